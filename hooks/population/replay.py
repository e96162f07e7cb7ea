"""A run from the options to the tables: what it rests on is written down first, what came of it last."""

import os
import secrets
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from hooks.audit.identifiers import KEY_FILE, KEY_VARIABLE, Identifiers, load_key
from hooks.errors import PopulationError
from hooks.population import local
from hooks.population.charts import View
from hooks.population.grouping import LeftOver, number_of_parts
from hooks.population.judging import EVALUATED, Side, Task
from hooks.population.manifest import FILE, Basis, Manifest, basis, digest, load, save
from hooks.population.source import Source, fingerprint

LOCAL, SPARK = "local", "spark"
PLAIN = "plain"
IDS_KEY = "ids.key"
"""In the output folder: the key of its patients' hashes, where the site has none."""


class Replay(NamedTuple):
    """A run to be made. sides: as in Task. key: of the hashes that stand for patients, None for their plain ids."""

    source: Source
    view: View
    sides: tuple[Side, ...]
    output: Path
    key: bytes | None
    engine: str = LOCAL
    processes: int = 1

    @property
    def ids(self) -> str:
        """As `Basis.ids` has it."""
        return PLAIN if self.key is None else digest([self.key.hex()])

    @property
    def bases(self) -> list[Basis]:
        return [basis(side, self.view, self.ids) for side in self.sides]


def run(replay: Replay, resume: bool, progress: local.Progress) -> Manifest:
    """Fills the output folder and returns what came of it. A finished run is not made again.

    Raises PopulationError for an output folder of another run, or one that is in use without `resume`.
    """
    manifest = _begin(replay, resume)
    if manifest.finished:
        return manifest
    task = Task(replay.view, replay.sides, Identifiers(replay.key or b"", plain=replay.key is None))
    if replay.engine == SPARK:
        left, counts = _spark().run(replay.source, task, replay.output)
    else:
        left = local.run(replay.source, task, replay.output, manifest.parts, replay.processes, progress)
        counts = local.counts(replay.output, manifest.parts)
    _note(manifest, left, counts)
    save(manifest, replay.output)
    local.clear(replay.output)
    return manifest


def _spark() -> ModuleType:
    try:
        return import_module("hooks.population.spark")
    except ModuleNotFoundError as error:
        raise PopulationError(f"--engine spark needs {error.name}: pip install 'backpain-cds[spark]'") from None


def _begin(replay: Replay, resume: bool) -> Manifest:
    """The manifest of a new run, or of the one that is gone on with."""
    first, *baseline = replay.bases
    files = digest(fingerprint(replay.source))
    parts = number_of_parts(replay.source, local.cores())
    manifest = Manifest(first, files, parts, replay.engine, baseline[0] if baseline else None)
    earlier = load(replay.output) if (replay.output / FILE).exists() else None
    if earlier and resume:
        manifest.parts = earlier.parts
        if not manifest.goes_on_from(earlier):
            raise PopulationError(
                f"{replay.output}: its run was of other files, or with other options, codes or release: "
                "nothing of it can be used; name another folder"
            )
        return earlier
    if earlier or any(each.name != IDS_KEY for each in replay.output.iterdir()):
        raise PopulationError(
            f"{replay.output} is not empty: --resume goes on with a run; name another folder for a new one"
        )
    save(manifest, replay.output)
    return manifest


def _note(manifest: Manifest, left: LeftOver, counts: Mapping[str, int]) -> None:
    manifest.finished = True
    manifest.counts = {EVALUATED: 0, **{name: counts[name] for name in sorted(counts)}}
    manifest.bad_lines = dict(left.bad_lines)
    manifest.unassigned = dict(left.unassigned)
    manifest.outcomes = left.outcomes
    manifest.types = list(left.types)


def bad(manifest: Manifest) -> int:
    """Bad lines, and charts that could not be evaluated."""
    inside = sum(number for name, number in manifest.counts.items() if name != EVALUATED)
    return sum(manifest.bad_lines.values()) + inside


def key_for(output: Path, data_dir: Path | None, other: Path | None, environ: Mapping[str, str] = os.environ) -> bytes:
    """The key of the hashes: the site's; else that of the output compared with; else one of this output's own.

    Raises SettingsError for a key of the site that cannot be used.
    """
    if KEY_VARIABLE in environ or (data_dir and (data_dir / KEY_FILE).exists()):
        return load_key(data_dir or output, environ)
    own = output / IDS_KEY
    if not own.exists():
        inherited = other / IDS_KEY if other else own
        text = inherited.read_text() if inherited.exists() else secrets.token_hex(32) + "\n"
        with open(own, "x", opener=lambda name, flags: os.open(name, flags, 0o600)) as made:
            made.write(text)
    return own.read_text().strip().encode()
