"""The command line in tests: in this process with a fixed clock, or as a program of its own."""

import io
import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from fhir_profiles.terminology import load_knowledge
from hooks.cli import main
from tests.records import AT
from tests.service_rig import ROOT

load_once = cache(load_knowledge)


class Ran(NamedTuple):
    """What a command did. json: its output, read."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def lines(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]


class Cli:
    """Runs commands in this process and collects what they write."""

    def __init__(self, folder: Path, capture: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
        self._folder = folder
        self._capture = capture
        self._monkeypatch = monkeypatch

    def __call__(self, *args: str, stdin: bytes = b"") -> Ran:
        self._monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(stdin))))
        self._capture.readouterr()
        try:
            code = main(args, clock=lambda: AT)
        except SystemExit as stop:  # argparse ends the program itself
            code = stop.code
        return Ran(code, *self._capture.readouterr())

    def file(self, content: Any, name: str = "chart.json") -> str:
        """A file with JSON, text or bytes in it."""
        path = self._folder / name
        text = content if isinstance(content, str | bytes) else json.dumps(content)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return str(path)


@pytest.fixture
def cli(tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch) -> Cli:
    for name in ("BACKPAIN_CDS_CONFIG", "COLUMNS", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("hooks.cli.site.load_knowledge", load_once)
    return Cli(tmp_path, capsys, monkeypatch)


def program(*args: str, stdin: bytes = b"", **environ: str) -> Ran:
    """The command line as a program of its own."""
    env = {**os.environ, "PYTHONPATH": str(ROOT), **environ}
    done = subprocess.run([sys.executable, "-m", "hooks.cli", *args], input=stdin, capture_output=True, env=env)
    return Ran(done.returncode, done.stdout.decode(), done.stderr.decode())


def one_line(text: str) -> bool:
    """Whether it is one line that says something, and no traceback."""
    return text.strip().count("\n") == 0 and text.startswith("backpain-cds: ") and "Traceback" not in text
