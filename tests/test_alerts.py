"""The alarms that come with the service, tried by Prometheus' own tool (reliability.md, row 45)."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from hooks.metrics import Metrics
from tests.service_rig import ROOT

FOLDER = ROOT / "deploy" / "prometheus"
_OURS = re.compile(r"\b(backpain_cds_\w+)")
_SUFFIXES = ("", "_total", "_bucket")


def promtool(*arguments: str) -> str:
    """What it says when all is well. Raises RuntimeError where there is none on this machine."""
    program = shutil.which("promtool")
    if not program:
        raise RuntimeError("tests of alarms need promtool: `apt-get install prometheus`")
    done = subprocess.run([program, *arguments], cwd=FOLDER, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("days", sorted(FOLDER.glob("*.test.yaml")), ids=lambda file: file.name)
def test_alarms_go_off_on_bad_days_and_on_no_others(days: Path):
    assert "SUCCESS" in promtool("test", "rules", days.name)


def test_every_alarm_and_record_is_a_rule_that_prometheus_takes():
    assert "SUCCESS" in promtool("check", "rules", "alerts.yaml")


def test_alarms_look_at_metrics_that_there_are(tmp_path: Path):
    there = {family.name + suffix for family in Metrics(tmp_path).collect() for suffix in _SUFFIXES}
    named = set(_OURS.findall((FOLDER / "alerts.yaml").read_text("utf-8")))
    assert {"backpain_cds_alarm", "backpain_cds_criteria_total"} <= named <= there
