"""The folder of a proposal: the site's folder as it would be, complete, beside the one in use.

It is made under another name and renamed when it is whole and was loaded as the service would load it. Accepting swaps
two names; the former folder stays under a third.
"""

import hashlib
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path

import msgspec

from fhir_profiles import codes as c
from fhir_profiles.errors import KnowledgeError
from fhir_profiles.expansion import Resource
from fhir_profiles.site_value_sets import Change, Provenance
from fhir_profiles.terminology import load_knowledge
from hooks.cli.terminal import Unusable

RECORD = ".expansion.json"
"""What the proposal was made from; hidden, so that it is not read as a list."""


class Record(msgspec.Struct):
    """The part of it that is read again. base: fingerprint of the folder that was in use."""

    at: str
    base: str


def proposal_folder(into: str | None, concepts_dir: Path | None) -> Path:
    """Where the proposal is. Raises Unusable when nothing says it."""
    if into:
        return Path(into).absolute()
    if concepts_dir is None:
        raise Unusable("--into: name a folder for the proposal, since the configuration has no concepts_dir")
    return concepts_dir.absolute().with_name(f"{concepts_dir.absolute().name}.proposed")


def check_free(folder: Path) -> None:
    """Raises Unusable when something is there already."""
    if folder.exists():
        raise Unusable(f"{folder} is there already: accept it (--accept), move it away or name another with --into")
    if not folder.parent.is_dir():
        raise Unusable(f"{folder}: the folder around it does not exist")


def value_sets_of(concepts_dir: Path | None) -> dict[str, tuple[str, Resource]]:
    """The site's ValueSets by concept, each with the name of its file; the folder was loaded before."""
    found = {}
    for path in sorted(concepts_dir.glob("*.json")) if concepts_dir else ():
        resource = msgspec.json.decode(path.read_bytes())
        url = resource.get("url", "")
        found[url.removeprefix(c.VALUE_SET) if url.startswith(c.VALUE_SET) else path.stem] = (path.name, resource)
    return found


def write(
    folder: Path,
    concepts_dir: Path | None,
    files: Mapping[str, str],
    changes: Iterable[Change],
    provenance: Provenance,
) -> Path:
    """Write the proposal whole or not at all. Raises Unusable when it would not load."""
    making = None
    try:
        making = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
        for path in _files(concepts_dir):
            shutil.copyfile(path, making / path.name)
        for name, content in files.items():
            (making / name).write_text(content, "utf-8")
        (making / RECORD).write_bytes(_record(concepts_dir, changes, provenance))
        _check(making)
        making.chmod(0o755)
        making.rename(folder)
    except OSError as error:
        raise Unusable(f"{folder} cannot be written: {error.strerror}") from None
    finally:
        if making is not None:
            shutil.rmtree(making, ignore_errors=True)
    return folder


def accept(proposed: Path, concepts_dir: Path | None, at: datetime) -> str:
    """Put a proposal in place of the folder in use; returns what was done. Raises Unusable, and nothing has changed."""
    if concepts_dir is None:
        raise Unusable(f"concepts_dir: the configuration names no folder; with {proposed} it would use this one")
    active = concepts_dir.absolute()
    record = _recorded(proposed)
    if record.base != _digest(active):
        raise Unusable(f"{active} was changed after the proposal was made: remove {proposed} and expand again")
    _check(proposed)
    former = active.with_name(f"{active.name}.replaced-{at:%Y%m%dT%H%M%SZ}")
    try:
        if former.exists():
            raise Unusable(f"{former} is there already: move it away")
        active.rename(former)
        try:
            proposed.rename(active)
        except OSError:
            former.rename(active)
            raise
    except OSError as error:
        raise Unusable(f"{active} cannot be replaced: {error.strerror}; move {proposed} there yourself") from None
    return f"{active} holds the expansion of {record.at}; {former} is the former one. Restart the service to use it."


def _recorded(proposed: Path) -> Record:
    try:
        return msgspec.json.decode((proposed / RECORD).read_bytes(), type=Record)
    except (OSError, msgspec.DecodeError):
        raise Unusable(f"{proposed}: there is no proposal of an expansion") from None


def _check(folder: Path) -> None:
    try:
        load_knowledge(folder)
    except KnowledgeError as error:
        raise Unusable(f"the proposal would not load: {error}") from None


def _record(concepts_dir: Path | None, changes: Iterable[Change], provenance: Provenance) -> bytes:
    stated = {
        "source": provenance.source,
        "software": provenance.software,
        "at": provenance.at.isoformat().replace("+00:00", "Z"),
        "base": _digest(concepts_dir),
        "changes": {
            change.concept: {"added": len(change.added), "missing": len(change.missing), "dropped": change.dropped}
            for change in changes
        },
    }
    return msgspec.json.format(msgspec.json.encode(stated)) + b"\n"


def _files(folder: Path | None) -> list[Path]:
    """What the loader reads: nothing hidden."""
    return sorted(path for path in folder.iterdir() if not path.name.startswith(".")) if folder else []


def _digest(folder: Path | None) -> str:
    total = hashlib.sha256()
    for path in _files(folder):
        total.update(path.name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()
