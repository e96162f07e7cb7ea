"""The shipped knowledge files: complete, valid, reviewable; damaged ones stop the start-up."""

import csv
import json
import re
import shutil
from itertools import chain
from pathlib import Path

import pytest

from cds.concepts import ALL_CONCEPTS, BOOLEAN_FINDINGS, NUMERIC_FINDINGS
from fhir_profiles import codes as c
from fhir_profiles.concept_lists import OWN_CODE_ONLY
from fhir_profiles.errors import KnowledgeError
from fhir_profiles.terminology import FOLDER, load_knowledge
from fhir_profiles.transparency import FILE
from tests.validation import parse_r4, validate_r4

DOCS = Path(__file__).parents[1] / "docs" / "knowledge.md"
SYSTEMS = (c.SNOMED, c.ICD10CM, c.LOINC, c.RXNORM)
KNOWLEDGE = load_knowledge()
FILES = sorted((FOLDER / "value-sets").glob("*.json"))
RESOURCES = {path.name: json.loads(path.read_text()) for path in (*FILES, *FOLDER.glob("*.json")) if path.name != FILE}


@pytest.fixture
def folder(tmp_path):
    """A copy of the shipped knowledge, to be damaged."""
    return shutil.copytree(FOLDER, tmp_path / "knowledge")


# the shipped files


def test_docs_list_every_concept_with_its_number_of_codes():
    rows = re.findall(r"^\| `([a-z-]+)` \| \w+ \| (\d+) \| (\d+) \| (\d+) \| (\d+) \|", DOCS.read_text(), re.M)
    listed = {concept: tuple(map(int, counts)) for concept, *counts in rows}
    counted = {
        concept: tuple(info.counts.get(system, 0) for system in SYSTEMS)
        for concept, info in KNOWLEDGE.value_sets.items()
    }
    assert listed == counted


def test_number_of_distinct_codes():
    codes = {code.key for info in KNOWLEDGE.value_sets.values() for code in info.codes}
    assert {system: sum(key[0] == system for key in codes) for system in (*SYSTEMS, c.FINDING)} == {
        c.SNOMED: 1062,
        c.ICD10CM: 1376,
        c.LOINC: 185,
        c.RXNORM: 1127,
        c.FINDING: 42,
    }


def test_only_the_known_concepts_have_no_standard_code():
    bare = {i.concept for i in KNOWLEDGE.value_sets.values() if all(code.origin == "own" for code in i.codes)}
    assert bare == OWN_CODE_ONLY


@pytest.mark.parametrize("name", RESOURCES)
def test_resource_is_valid(name):
    assert validate_r4(RESOURCES[name]) == []
    parse_r4(RESOURCES[name])


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_one_code_a_line(path):
    compose = json.loads(path.read_text())["compose"]
    groups = [*compose["include"], *compose.get("exclude", [])]
    expected = [json.dumps(item, ensure_ascii=False) for group in groups for item in group.get("concept", [])]
    lines = [line.strip().rstrip(",") for line in path.read_text().splitlines()]
    assert [line for line in lines if line.startswith('{"code"')] == expected


def _reviews():
    """Yield each code line with its system and what our extension says about it."""
    for path in FILES:
        compose = json.loads(path.read_text())["compose"]
        for group in (*compose["include"], *compose.get("exclude", [])):
            for item in group.get("concept", []):
                parts = chain.from_iterable(e["extension"] for e in item.get("extension", []))
                yield (
                    path.stem,
                    group["system"],
                    item,
                    {p["url"]: next(v for k, v in p.items() if k != "url") for p in parts},
                )


def test_every_code_names_its_source_and_every_source_is_named():
    with (FOLDER / "sources.csv").open(newline="") as file:
        known = {row["key"] for row in csv.DictReader(file)}
    used = set()
    for concept, system, item, review in _reviews():
        if system != c.FINDING:
            assert review.get("source"), (concept, item)
            used.update(review["source"].split())
    assert used == known


def test_snomed_terms_are_shipped_for_the_free_subset_only():
    for concept, system, item, review in _reviews():
        if system == c.SNOMED:
            free = "snomed-gps-2020" in review["source"].split()
            assert free is ("license" not in review), (concept, item)
            assert free or "display" not in item, (concept, item)


NOTICES = {c.SNOMED: "SNOMED International", c.LOINC: "Regenstrief", c.RXNORM: "National Library of Medicine"}


def test_notices_name_the_owners_of_the_codes_used():
    for path in FILES:
        notice = json.loads(path.read_text()).get("copyright", "")
        used = {system for concept, system, _, _ in _reviews() if concept == path.stem}
        for system, owner in NOTICES.items():
            assert (owner in notice) is (system in used), (path.stem, owner)


def test_code_system_defines_the_findings():
    kinds = {item["code"]: item["property"][0]["valueCode"] for item in KNOWLEDGE.code_system["concept"]}
    assert kinds == {
        **dict.fromkeys(BOOLEAN_FINDINGS, "boolean"),
        **dict.fromkeys(NUMERIC_FINDINGS, "numeric"),
    }
    assert KNOWLEDGE.code_system["count"] == len(kinds)


def test_suggested_orders_are_recognized_as_orders_of_their_kind():
    orders = KNOWLEDGE.suggested_orders
    kinds = {name: KNOWLEDGE.concepts([(order.system, order.code)]) for name, order in orders.items()}
    assert kinds == {
        "mri-lumbar": {"mri-lumbar"},
        "mri-whole-spine": {"mri-whole-spine"},
        "esr": {"esr", "esr-order"},
        "crp": {"crp", "crp-order"},
        "blood-count": {"blood-count-order"},
        "spine-surgeon-referral": {"spine-surgeon-referral"},
        "spine-review": {"spine-surgeon-referral"},
        "emergency-department-referral": {"emergency-referral"},
    }


# the questionnaire

GROUPS = {group["linkId"]: group["item"] for group in KNOWLEDGE.questionnaire["item"]}
QUESTIONS = {item["linkId"]: item for item in chain.from_iterable(GROUPS.values())}
EMERGENCY = {
    "saddle-anesthesia",
    "urinary-retention",
    "bladder-control-loss",
    "bowel-control-loss",
    "leg-weakness",
    "paralysis",
    "limb-sensation-loss",
    "progressive-neurological-deficit",
    "balance-loss",
    "one-sided-weakness-or-numbness",
    "altered-consciousness",
}


def test_questionnaire_asks_for_every_finding_once():
    asked = [item["linkId"] for items in GROUPS.values() for item in items]
    assert sorted(asked) == sorted((*BOOLEAN_FINDINGS, *NUMERIC_FINDINGS))
    for name, item in QUESTIONS.items():
        assert [(coding["system"], coding["code"]) for coding in item["code"]] == [(c.FINDING, name)]
        assert (item["type"] == "boolean") is (name in BOOLEAN_FINDINGS)


def test_no_group_could_be_taken_for_a_finding():
    assert not set(GROUPS) & ALL_CONCEPTS


def test_emergencies_come_first_and_are_asked_as_new_or_clearly_worse():
    assert {item["linkId"] for item in next(iter(GROUPS.values()))} == EMERGENCY
    assert [name for name in EMERGENCY if "new or clearly worse" not in QUESTIONS[name]["text"]] == []


def test_some_questions_are_asked_only_after_a_yes():
    conditional = {name: item["enableWhen"] for name, item in QUESTIONS.items() if "enableWhen" in item}
    tried, shooting = (
        [{"question": name, "operator": "=", "answerBoolean": True}]
        for name in ("conservative-treatment-tried", "radicular-pain")
    )
    assert conditional == {
        "conservative-treatment-weeks": tried,
        "significant-relief": tried,
        "radicular-pain-worsening": shooting,
    }


# damaged knowledge stops the start-up


def edited(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_missing_value_set(folder):
    (folder / "value-sets" / "fever.json").unlink()
    with pytest.raises(KnowledgeError, match=r"value-sets/fever\.json is missing"):
        load_knowledge(folder=folder)


def test_value_set_that_no_criterion_uses(folder):
    shutil.copy(folder / "value-sets" / "fever.json", folder / "value-sets" / "headache.json")
    with pytest.raises(KnowledgeError, match="no criterion uses 'headache'"):
        load_knowledge(folder=folder)


DAMAGE = {
    "wrong url": ('/ValueSet/back-spasm"', '/ValueSet/spasm"', "url should be"),
    "wrong id": ('"id": "back-spasm"', '"id": "spasm"', "id and url should be"),
    "unknown system": ("http://snomed.info/sct", "http://snomed.info/ct", "unknown"),
    "own code missing": ('{"code": "back-spasm"', '{"code": "spasm"', "own code is missing"),
    "malformed JSON": ('"compose": {', '"compose": [', "not a FHIR R4 ValueSet"),
    "code as a number": ('{"code": "203095000"', '{"code": 203095000', "not a FHIR R4 ValueSet"),
    "included and excluded": (
        '{"code": "203095000"',
        '{"code": "55300003"',
        "includes '55300003' and excludes",
    ),
}


@pytest.mark.parametrize(("old", "new", "told"), DAMAGE.values(), ids=DAMAGE)
def test_damaged_value_set(folder, old, new, told):
    edited(folder / "value-sets" / "back-spasm.json", old, new)
    with pytest.raises(KnowledgeError, match="back-spasm.*" + told):
        load_knowledge(folder=folder)


def test_code_listed_twice(folder):
    path = folder / "value-sets" / "back-spasm.json"
    line = next(line for line in path.read_text().splitlines() if '"203095000"' in line)
    edited(path, line, f"{line},\n{line}")
    with pytest.raises(KnowledgeError, match=r"'203095000'.*listed twice"):
        load_knowledge(folder=folder)


def test_emptied_value_set(folder):
    path = folder / "value-sets" / "balance-loss.json"
    resource = json.loads(path.read_text())
    resource["compose"] = {"include": resource["compose"]["include"][:1]}
    path.write_text(json.dumps(resource))
    with pytest.raises(KnowledgeError, match="'balance-loss' has no codes"):
        load_knowledge(folder=folder)


@pytest.mark.parametrize("name", ["questionnaire-red-flags.json", "code-system-finding.json", "suggested-orders.csv"])
def test_other_knowledge_missing(folder, name):
    (folder / name).unlink()
    with pytest.raises(KnowledgeError, match=name):
        load_knowledge(folder=folder)


# the version


def test_version_is_the_catalogue_and_a_fingerprint():
    assert re.fullmatch(r"2\.6\.0\+[0-9a-f]{12}", KNOWLEDGE.version)


def test_version_does_not_depend_on_layout(folder):
    for path in sorted(folder.rglob("*.json"), reverse=True):
        resource = json.loads(path.read_text())
        path.unlink()
        path.write_text(json.dumps(dict(reversed(resource.items())), indent=1))
    assert load_knowledge(folder=folder).version == KNOWLEDGE.version


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("value-sets/back-spasm.json", "M62.830", "M62.831"),
        ("units.csv", "0.3048", "0.3047"),
        ("suggested-orders.csv", "24968-0", "24967-2"),
        ("questionnaire-red-flags.json", "new or clearly worse", "new"),
    ],
)
def test_version_changes_with_the_content(folder, name, old, new):
    edited(folder / name, old, new)
    assert load_knowledge(folder=folder).version != KNOWLEDGE.version
