"""A criterion that fell silent is found out before a patient depends on it (reliability.md, row 45)."""

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from cds.answers import NOT_MET
from cds.catalogue import CRITERIA
from fhir_profiles.terminology import FOLDER, Knowledge, load_knowledge
from fhir_profiles.vignettes import Vignette, judge, vignettes
from hooks.app import create_app
from hooks.errors import SettingsError
from hooks.selftest import ROUND_SECONDS, SelfTest
from hooks.settings import Settings, load_settings
from hooks.upkeep import keep_testing
from hooks.worker import pass_selftest
from tests.alarm_rig import Alarms, alarms  # noqa: F401
from tests.records import knowledge
from tests.service_rig import ROOT, running
from tests.validation import parse_r4, validate_r4


def of_bundle(bundle: bytes) -> list[dict[str, Any]]:
    return [entry["resource"] for entry in json.loads(bundle)["entry"]]


def codes_of(vignette: Vignette) -> set[tuple[str, str]]:
    """The codes of what meets the criterion, without those of what does not."""
    met, not_met = (
        {
            (coding["system"], coding["code"])
            for resource in of_bundle(bundle)
            for element in ("code", "medicationCodeableConcept")
            for coding in resource.get(element, {}).get("coding", ())
        }
        for bundle in (vignette.met, vignette.not_met)
    )
    return met - not_met


# --- the samples ------------------------------------------------------------------------------------------------------


def test_every_criterion_has_its_two_samples():
    assert set(vignettes()) == set(CRITERIA)


@pytest.mark.parametrize("id_", CRITERIA)
def test_the_samples_are_valid_and_say_what_they_should(id_: str):
    vignette = vignettes()[id_]
    assert judge(vignette.met, vignette.hook, knowledge()).answers[id_].met
    assert judge(vignette.not_met, vignette.hook, knowledge()).answers[id_].status is NOT_MET
    for resource in (*of_bundle(vignette.met), *of_bundle(vignette.not_met)):
        assert validate_r4(resource) == []
        parse_r4(resource)


def test_nothing_in_the_samples_is_left_unread():
    for vignette in vignettes().values():
        for bundle in (vignette.met, vignette.not_met):
            chart = judge(bundle, vignette.hook, knowledge()).chart
            assert chart.unreadable == {}
            assert not chart.foreign


# --- what is found out ------------------------------------------------------------------------------------------------


def without_code(folder: Path, code: str) -> Knowledge:
    """The knowledge of a release in which this code is misspelt in every list."""
    copy = folder / "knowledge"
    shutil.copytree(FOLDER, copy)
    for file in (copy / "value-sets").iterdir():
        file.write_text(file.read_text("utf-8").replace(f'"{code}"', f'"{code}0"'), "utf-8")
    return load_knowledge(folder=copy)


@pytest.mark.parametrize(
    ("id_", "code"), [("cauda-equina", "267064002"), ("iv-drug-use", "228388006"), ("low-potassium", "2823-3")]
)
def test_one_corrupt_code_is_refused_at_the_start_with_the_criterion_named(tmp_path: Path, id_: str, code: str):
    with pytest.raises(SettingsError, match=f"{id_} is not met by the sample that should meet it"):
        pass_selftest(create_app(Settings(), without_code(tmp_path, code)))


def break_(known: Knowledge, id_: str) -> None:
    """What a fault in memory, or a change behind our back, does to the codes of a criterion."""
    for system, code in codes_of(vignettes()[id_]):
        known._tables[system].exact.pop(code, None)


def test_what_breaks_later_is_an_alarm_and_the_worker_is_not_ready(alarms: Alarms):  # noqa: F811
    known = load_knowledge()
    selftest = SelfTest(known, frozenset)
    selftest.run()
    break_(known, "cauda-equina")
    assert a_round(selftest)[-1] == ("self-test", False)
    assert selftest.failing["cauda-equina"] == "is not met by the sample that should meet it"
    assert [alarm["criterion"] for alarm in alarms] == list(selftest.failing)


def a_round(selftest: SelfTest) -> list[tuple[str, bool]]:
    """What one round reports, without the pauses."""
    said: list[tuple[str, bool]] = []

    class Done(Exception):
        pass

    def report(part: str, is_well: bool) -> None:
        said.append((part, is_well))
        if len(said) == len(CRITERIA):
            raise Done

    class Quick(SelfTest):
        seconds = 0.0

    selftest.__class__ = Quick
    with pytest.raises(Done):
        asyncio.run(keep_testing(selftest, report))
    return said


def test_what_was_mended_is_well_again():
    known = load_knowledge()
    selftest = SelfTest(known, frozenset)
    tables = {system: dict(table.exact) for system, table in known._tables.items()}
    break_(known, "iv-drug-use")
    with pytest.raises(SettingsError, match="iv-drug-use"):
        selftest.run()
    for system, exact in tables.items():
        known._tables[system].exact.update(exact)
    selftest.run()
    assert selftest.failing == {}


@pytest.mark.parametrize(
    "settings",
    [Settings(disabled=frozenset({"dehydration"})), Settings(states=(("dehydration", "off"),))],
    ids=["disabled", "off"],
)
def test_what_nobody_depends_on_may_be_broken(settings: Settings):
    known = load_knowledge()
    break_(known, "dehydration")
    pass_selftest(create_app(settings, known))
    silent = create_app(Settings(states=(("dehydration", "silent"),)), known)
    with pytest.raises(SettingsError, match="dehydration"):
        pass_selftest(silent)


def test_a_rule_that_always_fires_is_found_out(monkeypatch: pytest.MonkeyPatch):
    turned = vignettes() | {"night-pain": Vignette("patient-view", *[vignettes()["night-pain"].met] * 2)}
    monkeypatch.setattr("hooks.selftest.vignettes", lambda: turned)
    with pytest.raises(SettingsError, match="night-pain is met by the sample that should not meet it"):
        SelfTest(knowledge(), frozenset).run()


def test_a_rule_that_raises_is_found_out(monkeypatch: pytest.MonkeyPatch):
    def broken(*_: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("hooks.selftest.judge", broken)
    selftest = SelfTest(knowledge(), frozenset)
    selftest.step()
    assert set(selftest.failing.values()) == {"fails with ZeroDivisionError"}


def test_a_site_may_set_any_threshold(tmp_path: Path):
    """The samples are judged by the default thresholds: they tell of codes and rules, not of the site's numbers."""
    (tmp_path / "site.toml").write_text("[thresholds]\nsymptom_window_days = 0\nfever_celsius = 45\npain_severe = 10\n")
    pass_selftest(create_app(load_settings(tmp_path / "site.toml"), knowledge()))


def test_a_round_takes_five_minutes():
    assert SelfTest(knowledge(), frozenset).seconds * len(CRITERIA) == pytest.approx(ROUND_SECONDS) == 300


# --- a real server ----------------------------------------------------------------------------------------------------


def test_a_server_does_not_start_on_codes_that_break_a_criterion(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A site's list that takes a code away is as bad as a release that lacks it."""
    package = tmp_path / "broken"
    shutil.copytree(ROOT / "fhir_profiles", package / "fhir_profiles", ignore=shutil.ignore_patterns("__pycache__"))
    file = package / "fhir_profiles" / "knowledge" / "value-sets" / "urinary-retention.json"
    file.write_text(file.read_text("utf-8").replace('"267064002"', '"2670640020"'), "utf-8")
    monkeypatch.setattr("tests.service_rig.ROOT", package)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.chdir(package)
    with pytest.raises(RuntimeError) as ended, running(tmp_path):
        pass
    assert "self-test: cauda-equina is not met by the sample that should meet it" in str(ended.value)
