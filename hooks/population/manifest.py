"""replay.json: on what a run rests and what came of it, so that it can be gone on with and compared with later."""

import hashlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from cds.evaluation import CATALOGUE_VERSION
from cds.limits import BY_KEY
from hooks.errors import PopulationError
from hooks.population.charts import View
from hooks.population.judging import Side
from hooks.release import release_version
from hooks.respond import instant

FILE = "replay.json"


class Basis(msgspec.Struct, frozen=True, rename="camel"):
    """What the results of one side depend on. ids: how patients are named: "plain", or a digest of the key."""

    at: str
    hook: str
    release: str
    catalogue: str
    knowledge: str
    time_zone: str
    thresholds: dict[str, float]
    disabled: list[str]
    states: dict[str, str]
    ids: str
    fhir_server: str
    missing: list[str]


class Manifest(msgspec.Struct, rename="camel"):
    """input: digest of names, sizes and times of the files. baseline: what is compared with in the same run.

    counts, bad_lines, unassigned: what became of the charts, bad lines by file, resources without patient by type.
    """

    basis: Basis
    input: str
    parts: int
    engine: str
    baseline: Basis | None = None
    finished: bool = False
    counts: dict[str, int] = {}
    bad_lines: dict[str, int] = {}
    unassigned: dict[str, int] = {}
    outcomes: int = 0
    types: list[str] = []

    def goes_on_from(self, other: "Manifest") -> bool:
        """Whether a run with this one can use what that of `other` left behind."""
        return (self.basis, self.baseline, self.input, self.parts, self.engine) == (
            other.basis,
            other.baseline,
            other.input,
            other.parts,
            other.engine,
        )


def basis(side: Side, view: View, ids: str) -> Basis:
    settings = side.settings
    return Basis(
        at=instant(view.at),
        hook=view.hook,
        release=release_version(),
        catalogue=CATALOGUE_VERSION,
        knowledge=side.knowledge.version,
        time_zone=settings.zone.key,
        thresholds={key: getattr(settings.limits, key) for key in BY_KEY},
        disabled=sorted(settings.disabled),
        states=dict(side.states),
        ids=ids,
        fhir_server=view.fhir_server,
        missing=sorted(view.missing),
    )


def digest(values: Iterable[Any]) -> str:
    return hashlib.sha256(msgspec.json.encode(list(values))).hexdigest()


def save(manifest: Manifest, folder: Path) -> None:
    made = folder / f"{FILE}.unfinished"
    made.write_bytes(msgspec.json.format(msgspec.json.encode(manifest)) + b"\n")
    os.replace(made, folder / FILE)


def load(folder: Path) -> Manifest:
    """Raises PopulationError for a folder that is not the output of a run."""
    try:
        return msgspec.json.decode((folder / FILE).read_bytes(), type=Manifest)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        raise PopulationError(f"{folder}: there is no usable {FILE}: the output folder of a run is expected") from None


def differences(before: Basis, after: Basis) -> dict[str, tuple[Any, Any]]:
    """What the two rest on that is not the same: name (thresholds by key, states by criterion) -> both values."""
    one, other = _flat(before), _flat(after)
    return {name: (one.get(name), other.get(name)) for name in {**one, **other} if one.get(name) != other.get(name)}


def _flat(known: Basis) -> Mapping[str, Any]:
    plain = msgspec.to_builtins(known)
    inner = {f"{name}.{key}": value for name in ("thresholds", "states") for key, value in plain.pop(name).items()}
    return plain | inner
