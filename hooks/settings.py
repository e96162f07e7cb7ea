"""The site's configuration: one TOML file, checked against a JSON Schema before anything starts (catalogue, section 5).

docs/configuration.md explains each key; `settings.schema.json` is the same for editors.
"""

import difflib
import json
import math
import ssl
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from jsonschema import Draft202012Validator, ValidationError
from jsonschema.exceptions import best_match

from cds.evaluation import CATALOGUE
from cds.limits import BY_KEY, Limits
from hooks.audit.options import AuditOptions
from hooks.clients import Client, load_clients
from hooks.errors import SettingsError
from hooks.intake.options import LAUNCH, IntakeOptions, load_intake
from hooks.outbound import Base, parse_base

CONFIG_VARIABLE = "BACKPAIN_CDS_CONFIG"
SWITCH_FILE = "switches.toml"
"""Of the data folder, unless the site names another."""

# Lower threshold, higher threshold: pairs that make no sense the other way round.
_ORDERED = (
    ("spinal_infection_age_min", "spinal_infection_age_max"),
    ("claudication_severe_m", "claudication_limit_m"),
    ("conservative_min_days", "conservative_full_days"),
    ("pain_moderate", "pain_severe"),
)


@dataclass(frozen=True)
class Retention:
    """For how many days the ledger keeps what it knows."""

    feedback_days: int = 90
    audit_days: int = 90


@dataclass(frozen=True)
class Running:
    """How the server runs. port: for metrics and probes, 0 for none, on `host`.

    drain_seconds: between SIGTERM and the end of listening. stuck_seconds: how long a worker may do nothing at all.
    """

    host: str = "127.0.0.1"
    port: int = 0
    drain_seconds: float = 5.0
    stuck_seconds: float = 10.0


@dataclass(frozen=True)
class Settings:
    """What a site may decide. development: any web page may call (CORS), nobody is asked who they are; for one's own
    machine only."""

    limits: Limits = field(default_factory=Limits)
    disabled: frozenset[str] = frozenset()
    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))
    intake_url: str = ""
    public_url: str = ""
    concepts_dir: Path | None = None
    cors_origins: tuple[str, ...] = ()
    log_level: str = "info"
    development: bool = False
    workbench: bool = False
    intake: IntakeOptions = field(default_factory=IntakeOptions)
    clients: tuple[Client, ...] = ()
    data_dir: Path | None = None
    fhir_servers: tuple[Base, ...] = ()
    fhir_ca_file: Path | None = None
    database_url: str = field(default="", repr=False)  # it may hold a password
    states: tuple[tuple[str, str], ...] = ()
    switch_file: Path | None = None
    retention: Retention = field(default_factory=Retention)
    operations: Running = field(default_factory=Running)

    @property
    def may_fetch(self) -> bool:
        """Whether there is any FHIR server that may be asked."""
        return self.development or bool(self.fhir_servers) or any(client.fhir_servers for client in self.clients)

    audit: AuditOptions = field(default_factory=AuditOptions)


def config_path(option: str | None, environ: Mapping[str, str]) -> Path | None:
    """The configuration file: the one of the command line, else of BACKPAIN_CDS_CONFIG, else none."""
    name = option or environ.get(CONFIG_VARIABLE)
    return Path(name) if name else None


def load_settings(path: Path | None, development: bool = False) -> Settings:
    """The defaults without a file. Raises SettingsError naming the key and what would be right.

    development: what holds when the file does not say.
    """
    stated = _read(path) if path else {}
    _check(stated)
    limits = _limits(stated.get("thresholds", {}))
    development = stated.get("development", development)
    return Settings(
        limits=limits,
        disabled=frozenset(stated.get("disabled", ())),
        zone=_zone(stated.get("time_zone", "UTC")),
        intake_url=_intake_url(stated),
        public_url=stated.get("public_url", ""),
        concepts_dir=_folder("concepts_dir", stated, path, "hold the site's code lists"),
        cors_origins=tuple(stated.get("cors_origins", ())),
        log_level=stated.get("log_level", "info"),
        development=development,
        workbench=stated.get("workbench", development),
        intake=load_intake(stated.get("intake"), path.parent if path else Path(), development),
        clients=load_clients(stated.get("clients", ()), path.parent if path else Path(), development),
        fhir_servers=_fhir_servers(stated.get("fhir_servers", ())),
        fhir_ca_file=_ca_file(stated.get("fhir_ca_file"), path),
        database_url=stated.get("database_url", ""),
        retention=Retention(**stated.get("retention", {})),
        operations=Running(**{"drain_seconds": 0.0 if development else 5.0} | stated.get("operations", {})),
        audit=AuditOptions(**stated.get("audit", {})),
        states=tuple(stated.get("states", {}).items()),
        switch_file=_switch_file(stated, path),
        data_dir=_folder("data_dir", stated, path, "exist and be writable by the service"),
    )


def _intake_url(stated: dict[str, Any]) -> str:
    """Of another app where the site names one, else of our own form where it has that."""
    own = stated.get("public_url", "").rstrip("/") + LAUNCH
    return stated.get("intake_url", own if "intake" in stated and "public_url" in stated else "")


def read_limits(thresholds: Mapping[str, float]) -> Limits:
    """The defaults but for these thresholds. Raises SettingsError as `load_settings` does."""
    stated = dict(thresholds)
    _check({"thresholds": stated})
    return _limits(stated)


@cache
def settings_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of the configuration file."""
    return json.loads(files("hooks").joinpath("settings.schema.json").read_text("utf-8"))


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise SettingsError(f"{path}: the configuration cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SettingsError(f"{path}: the configuration is not UTF-8 text") from None
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise SettingsError(f"{path}: the configuration is not TOML: {error}") from None


def _check(stated: dict[str, Any]) -> None:
    error = best_match(Draft202012Validator(settings_schema()).iter_errors(stated))
    if error is not None:
        raise SettingsError(_explained(error))


def _explained(error: ValidationError) -> str:
    """A schema error in words: the key, and what would be right."""
    key = _dotted(error.absolute_path)
    if error.validator == "additionalProperties":
        known = error.schema["properties"]
        unknown = next(name for name in error.instance if name not in known)
        return f"{key + '.' if key else ''}{unknown}: unknown key{_similar(unknown, known)}"
    if key.startswith("disabled[") and error.validator == "enum":
        ids = [entry.id for entry in CATALOGUE]
        return f"{key}: {error.instance!r} is not a criterion id{_similar(error.instance, ids)}"
    if "propertyNames" in error.absolute_schema_path:
        ids = [entry.id for entry in CATALOGUE]
        return f"{key}.{error.instance}: this is not a criterion id{_similar(error.instance, ids)}"
    right = error.schema.get("description", "").rstrip(".")
    if error.schema.get("writeOnly"):  # a secret is not repeated
        return f"{key}: it should be: {right}"
    return f"{key}: {error.message}" + (f"; it should be: {right}" if right else "")


def _dotted(path: Any) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")


def _similar(name: Any, known: Any) -> str:
    close = difflib.get_close_matches(str(name), known, n=1)
    return f"; did you mean {close[0]}?" if close else f"; known are {', '.join(sorted(known))}"


def _limits(stated: dict[str, float]) -> Limits:
    for key, value in stated.items():
        if not math.isfinite(value):
            raise SettingsError(f"thresholds.{key}: {value} is not a number to compare with; it should be finite")
    limits = Limits(**{key: int(value) if BY_KEY[key].whole else value for key, value in stated.items()})
    for lower, higher in _ORDERED:
        if getattr(limits, lower) > getattr(limits, higher):
            raise SettingsError(
                f"thresholds.{lower}: {getattr(limits, lower)} is above thresholds.{higher} "
                f"({getattr(limits, higher)}); it should be at most that"
            )
    return limits


def _zone(name: str) -> ZoneInfo:
    if name not in available_timezones():
        close = difflib.get_close_matches(name, available_timezones(), n=1)
        hint = f"; did you mean {close[0]}?" if close else "; it should be an IANA name such as Europe/London"
        raise SettingsError(f"time_zone: {name!r} is not a time zone{hint}")
    return ZoneInfo(name)


def _fhir_servers(urls: Sequence[str]) -> tuple[Base, ...]:
    try:
        return tuple(map(parse_base, urls))
    except ValueError as error:
        raise SettingsError(f"fhir_servers: {error}, without user name, query or percent-encoding") from None


def _ca_file(name: str | None, path: Path | None) -> Path | None:
    """A relative file counts from the configuration file. Raises SettingsError for one without certificates."""
    if name is None:
        return None
    file = (path.parent if path else Path()) / name
    try:
        ssl.create_default_context().load_verify_locations(file)
    except OSError:  # ssl.SSLError is one
        raise SettingsError(f"fhir_ca_file: {file} should be a file of certificates in PEM form") from None
    return file


def _switch_file(stated: dict[str, Any], path: Path | None) -> Path | None:
    """It need not be there yet. A relative one counts from the configuration file."""
    folder = path.parent if path else Path()
    if "switch_file" in stated:
        return folder / stated["switch_file"]
    return folder / stated["data_dir"] / SWITCH_FILE if "data_dir" in stated else None


def _folder(key: str, stated: dict[str, Any], path: Path | None, right: str) -> Path | None:
    """A relative folder counts from the configuration file."""
    if key not in stated:
        return None
    folder = (path.parent if path else Path()) / stated[key]
    if not folder.is_dir():
        raise SettingsError(f"{key}: {folder} is not a folder; it should {right}")
    return folder
