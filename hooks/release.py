"""Which release of the package this is."""

from importlib.metadata import PackageNotFoundError, version


def release_version() -> str:
    """The installed release; "unknown" when run from a folder that is not installed."""
    try:
        return version("backpain-cds")
    except PackageNotFoundError:
        return "unknown"
