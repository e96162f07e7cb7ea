"""Profiles, value sets and plans as FHIR: current, complete, and true of what the service does."""

import base64
import json
import pickle
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from cds.cards import cards
from cds.concepts import BOOLEAN_FINDINGS, NUMERIC_FINDINGS
from cds.evaluation import CATALOGUE
from cds.explain import offered_on, shown_on
from cds.limits import BY_KEY, Limits
from cds.offers import NAMES
from cds.triage import DECIDED_BY, INFORMATION, NOT_ASSESSED
from fhir_profiles import codes as c
from fhir_profiles import samples
from fhir_profiles.conformance.profiles import FOLDER, MEASURED, ORDER, PROFILES, Profile, profile_url
from fhir_profiles.conformance.snapshot import Base, snapshot
from fhir_profiles.conformance.value_sets import contains, expanded
from fhir_profiles.expansion import Found
from fhir_profiles.expansion_pages import Listed
from fhir_profiles.reference import sample_cards, sample_evaluation
from fhir_profiles.site_value_sets import Change, Provenance, text
from fhir_profiles.site_value_sets import value_set as site_value_set
from fhir_profiles.terminology import FOLDER as KNOWLEDGE
from fhir_profiles.terminology import load_knowledge
from fhir_profiles.units import to_canonical
from hooks.fhir_package import published
from hooks.settings import Settings
from tests.base_definitions import bases, written
from tests.records import AT, judge, knowledge
from tests.service_rig import HOOKS
from tests.validation import parse_r4, validate_r4

Resource = dict[str, Any]
PACKAGE = published(Settings(), knowledge(), "0.0.1")


STRICTER_THAN_FHIR = "'text/x-python' is not one of ['text/cql', 'text/fhirpath', 'application/x-fhir-query']"
"""The schema takes these for all languages of expressions; FHIR's binding is extensible, to any MIME type."""


def named(resource: Resource) -> str:
    return f"{resource['resourceType']}/{resource['id']}"


def of_type(kind: str, package: Any = PACKAGE) -> dict[str, Resource]:
    return {each["id"]: each for each in package.resources if each["resourceType"] == kind}


@cache
def by_url() -> dict[str, Resource]:
    return {each["url"]: each for each in of_type("ValueSet").values()}


def keys(value_set: str) -> set[tuple[str, str]]:
    return {(line["system"], line["code"]) for line in contains(by_url()[c.VALUE_SET + value_set], by_url())}


def values(resource: Any) -> Iterator[str]:
    """Every string in a resource."""
    if isinstance(resource, dict):
        for value in resource.values():
            yield from values(value)
    elif isinstance(resource, list):
        for value in resource:
            yield from values(value)
    elif isinstance(resource, str):
        yield resource


# --- all of it ---


@pytest.mark.parametrize("resource", [*PACKAGE.resources, *PACKAGE.examples], ids=named)
def test_it_is_valid_r4(resource: Resource):
    assert [fault for fault in validate_r4(resource) if not fault.endswith(STRICTER_THAN_FHIR)] == []
    parse_r4(resource)


def test_ids_and_urls_are_used_once():
    ids = [named(each) for each in (*PACKAGE.resources, *PACKAGE.examples)]
    urls = [each["url"] for each in PACKAGE.resources]
    assert len(set(ids)) == len(ids)
    assert len(set(urls)) == len(urls)
    assert [each["url"] for each in PACKAGE.resources if each["url"] != f"{c.BASE}/{named(each)}"] == []


def test_every_url_of_ours_leads_to_something_in_it():
    known = {each["url"] for each in PACKAGE.resources}
    for resource in (*PACKAGE.resources, *PACKAGE.examples):
        mentioned = {text for text in values(resource) if text.startswith(f"{c.BASE}/") and " " not in text}
        assert mentioned - known == set(), named(resource)


def test_examples_name_their_own_patients():
    people = {f"Patient/{each['id']}" for each in PACKAGE.examples if each["resourceType"] == "Patient"}
    assert {each["subject"]["reference"] for each in PACKAGE.examples if "subject" in each} == people


# --- profiles ---


@pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.id)
def test_the_file_of_a_profile_is_current(profile: Profile):
    """`make profiles` writes them."""
    assert (FOLDER / f"{profile.id}.json").read_bytes() == written(profile)


def test_there_are_no_other_files():
    assert {file.stem for file in FOLDER.iterdir()} == {profile.id for profile in PROFILES}


@pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.id)
def test_a_snapshot_is_the_base_with_the_differential(profile: Profile):
    made = {each["id"]: each for each in snapshot(profile.differential, bases()[profile.type], bases())}
    assert len(made) == len(snapshot(profile.differential, bases()[profile.type], bases()))
    assert [each["id"] for each in bases()[profile.type].element if each["id"] not in made] == []
    for change in profile.differential:
        element = made[change["id"]]
        rules = change.get("constraint", [])
        assert {key: element[key] for key in change if key != "constraint"} == {
            key: value for key, value in change.items() if key != "constraint"
        }
        assert [
            rule for rule in element.get("constraint", []) if rule["key"] in {each["key"] for each in rules}
        ] == rules


@pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.id)
def test_a_profile_only_tightens(profile: Profile):
    """No wider cardinality, no type that the base does not have, no binding loosened."""
    before = {each["id"]: each for each in bases()[profile.type].element}
    for element in snapshot(profile.differential, bases()[profile.type], bases()):
        base = before.get(element["id"])
        if base is None:
            continue
        assert element["min"] >= base["min"]
        assert base["max"] == "*" or int(element["max"]) <= int(base["max"])
        assert {each["code"] for each in element.get("type", ())} <= {each["code"] for each in base.get("type", ())}


BASE = Base(
    "urn:x:thing",
    [
        {"id": "Thing", "path": "Thing", "min": 0, "max": "*"},
        {"id": "Thing.code", "path": "Thing.code", "min": 0, "max": "1", "type": [{"code": "Word"}]},
        {"id": "Thing.code.id", "path": "Thing.code.id", "min": 0, "max": "1"},
        {"id": "Thing.part", "path": "Thing.part", "min": 1, "max": "*", "slicing": {}, "type": [{"code": "Word"}]},
        {"id": "Thing.last", "path": "Thing.last", "min": 0, "max": "1"},
    ],
)  # fmt: skip
WORD = Base(
    "urn:x:word", [{"id": "Word", "path": "Word"}, {"id": "Word.text", "path": "Word.text", "min": 0, "max": "1"}]
)


def made(*changes: Resource) -> list[Resource]:
    return snapshot(changes, BASE, {"Word": WORD})


def test_slices_stand_behind_what_they_are_slices_of_in_their_order():
    elements = made({"id": "Thing.part:a", "max": "1"}, {"id": "Thing.part:b"}, {"id": "Thing.part:a.text", "min": 1})
    ids = ["Thing.part", "Thing.part:a", "Thing.part:a.text", "Thing.part:b", "Thing.last"]
    assert [each["id"] for each in elements][3:] == ids
    assert elements[4] == {
        "id": "Thing.part:a", "path": "Thing.part", "min": 0, "max": "1", "type": [{"code": "Word"}], "sliceName": "a",
    }  # fmt: skip
    assert elements[5] == {"id": "Thing.part:a.text", "path": "Thing.part.text", "min": 1, "max": "1"}


@pytest.mark.parametrize("unknown", ["Thing.other", "Thing.part.words", "Thing.none:slice"])
def test_an_element_that_nothing_has_is_an_error(unknown: str):
    with pytest.raises((KeyError, ValueError)):
        made({"id": unknown})


def test_a_snapshot_leaves_the_base_as_it_is():
    before = json.dumps(BASE.element)
    made({"id": "Thing.part:a"}, {"id": "Thing.part.text", "min": 1})
    assert json.dumps(BASE.element) == before


# --- what is of a profile is understood ---


@pytest.mark.parametrize("example", [e for e in PACKAGE.examples if "subject" in e], ids=named)
def test_examples_are_read(example: Resource):
    resource = {**example, "subject": {"reference": "Patient/p1"}}
    chart = judge(resource).evaluation.chart
    (profile,) = example["meta"]["profile"]
    assert not chart.unreadable
    if profile == profile_url(ORDER):
        assert not chart.orders  # a proposal is no order yet
    else:
        assert bool(chart.statements) == (profile != profile_url(MEASURED))
        assert bool(chart.measurements) or profile != profile_url(MEASURED)


def test_each_code_of_a_finding_is_read():
    assert [code for code in keys("finding-code") if not knowledge().concepts([code]) & {*BOOLEAN_FINDINGS}] == []
    assert [
        code for code in keys("measured-finding-code") if not knowledge().concepts([code]) & {*NUMERIC_FINDINGS}
    ] == []


def test_each_coded_answer_is_understood():
    for code in keys("finding-answer"):
        answer = {"coding": [{"system": code[0], "code": code[1]}]}
        observation = {
            "resourceType": "Observation",
            "status": "final",
            "code": {"coding": [{"system": c.FINDING, "code": "fever"}]},
            "effectiveDateTime": "2026-11-19",
            "valueCodeableConcept": answer,
        }
        (statement,) = judge(observation).evaluation.chart.statements["fever"]
        assert statement.present == (code in c.YES)


def test_units_of_findings_are_understood():
    units = {code for _, code in keys("finding-unit")}
    for finding in NUMERIC_FINDINGS:
        assert any(to_canonical(finding, 3, unit, None) == 3 for unit in units)


@pytest.mark.parametrize(
    ("value_set", "kind"), [("finding-status", "Observation"), ("intake-status", "QuestionnaireResponse")]
)
def test_each_status_is_read_and_no_other(value_set: str, kind: str):
    bound = {code for _, code in keys(value_set)}
    example = next(e for e in PACKAGE.examples if e["resourceType"] == kind)
    for status in (*bound, "entered-in-error", "cancelled", "in-progress", "stopped", "registered"):
        chart = judge({**example, "status": status, "subject": {"reference": "Patient/p1"}}).evaluation.chart
        assert bool(chart.statements) == (status in bound)


# --- value sets ---


@pytest.mark.parametrize("concept", sorted(knowledge().value_sets))
def test_an_expansion_is_what_the_service_goes_by(concept: str):
    assert keys(concept) == {code.key for code in knowledge().value_sets[concept].codes}


def test_the_codes_of_findings_are_those_of_their_value_sets():
    for value_set, findings in (("finding-code", BOOLEAN_FINDINGS), ("measured-finding-code", NUMERIC_FINDINGS)):
        assert keys(value_set) == set().union(*map(keys, findings))


def test_suggested_orders_are_those_of_the_table():
    assert keys("suggested-order") == {(o.system, o.code) for o in knowledge().suggested_orders.values()}


@pytest.mark.parametrize(("value_set", "is_open"), [("back-pain", True), ("finding-unit", False)])
def test_an_expansion_that_cannot_be_whole_says_so(value_set: str, is_open: bool):
    """Descendants of SNOMED CT codes are meant, but the service knows no hierarchy: it lists what it matches."""
    resource = by_url()[c.VALUE_SET + value_set]
    expansion = expanded(resource, contains(resource, by_url()))["expansion"]
    assert ("extension" in expansion) == is_open


def test_licenses_stay_with_the_codes():
    lines = contains(by_url()[c.VALUE_SET + "saddle-anesthesia"], by_url())
    (outside,) = (line for line in lines if line["system"] == c.SNOMED)
    assert "snomed-affiliate" in json.dumps(outside["extension"])
    assert "display" not in outside


LOCAL = "https://hospital.example.org/codes"


def test_codes_of_a_site_are_in_its_edition(tmp_path: Path):
    (tmp_path / "saddle-anesthesia.csv").write_text(f"system,code,display\n{LOCAL},S1,Numb saddle\nicd10cm,R20.8,\n")
    replaced = {
        "resourceType": "ValueSet",
        "compose": {"include": [{"system": LOCAL, "concept": [{"code": "CRP"}]}]},
    }
    (tmp_path / "crp.json").write_text(json.dumps(replaced))
    known = load_knowledge(tmp_path)
    sets = of_type("ValueSet", published(Settings(concepts_dir=tmp_path), known, "0.0.1"))
    urls = {each["url"]: each for each in sets.values()}
    for concept, info in known.value_sets.items():
        listed = contains(sets[concept], urls)
        assert {(line["system"], line["code"]) for line in listed} == {code.key for code in info.codes}
    assert (LOCAL, "S1") in {(line["system"], line["code"]) for line in contains(sets["finding-code"], urls)}
    unchanged = of_type("ValueSet")
    changed = {id_ for id_, each in sets.items() if each["compose"] != unchanged[id_]["compose"]}
    assert changed == {"saddle-anesthesia", "crp"}
    assert {sets[id_]["version"] != unchanged[id_]["version"] for id_ in changed} == {True}
    assert sets["back-pain"]["version"] == unchanged["back-pain"]["version"]
    for id_ in changed:
        assert validate_r4(sets[id_]) == []


def expanded_at_a_site() -> Resource:
    """A value set as `expand` writes it, with one code that a terminology server added."""
    added = Listed(c.SNOMED, "900000001", "Invented thirst")
    shipped = json.loads((KNOWLEDGE / "value-sets/dehydration.json").read_text())
    found = Found((added,), None, frozenset((c.SNOMED,)), frozenset((f"{c.SNOMED}|2026", f"{c.RXNORM}|2026")))
    provenance = Provenance("https://tx.example.org", "Terms 4.2", AT)
    return site_value_set(shipped, None, Change("dehydration", (added,), (), ()), found, provenance)


def test_codes_that_a_terminology_server_added_are_marked_as_such(tmp_path: Path):
    """Nobody has reviewed them: what is published says so of each, as the site's file does."""
    (tmp_path / "dehydration.json").write_text(text(expanded_at_a_site()))
    made = published(Settings(concepts_dir=tmp_path), load_knowledge(tmp_path), "0.0.1")
    shown = of_type("ValueSet", made)["dehydration"]
    marked = {line["code"] for line in contains(shown, {}) if '"expanded"' in json.dumps(line)}
    assert marked == {"900000001"}
    assert validate_r4(shown) == []


def defined(extension: str) -> dict[str, Resource]:
    """The parts of an extension of ours by name."""
    elements = of_type("StructureDefinition")[extension]["differential"]["element"]
    return {each["sliceName"]: each for each in elements if "sliceName" in each}


def test_each_part_of_our_extensions_is_defined():
    """What the lists and the files of an expansion hold beside a code, and beside themselves."""
    (stated,) = expanded_at_a_site()["extension"]
    parts = [each["url"] for each in stated["extension"]]
    assert {stated["url"]} == {each["url"] for each in PACKAGE.resources if each["id"] == "expanded-from"}
    assert set(parts) == set(defined("expanded-from"))
    assert {name for name, part in defined("expanded-from").items() if part["max"] == "*"} == {"codeSystem"}
    assert parts.count("codeSystem") == 2
    used = {
        part["url"]
        for value_set in of_type("ValueSet").values()
        for groups in value_set["compose"].values()
        for group in groups
        for line in group.get("concept", ())
        for extension in line.get("extension", ())
        for part in extension["extension"]
    }
    assert used | {"expanded"} == set(defined("reviewed-code"))


# --- plans ---


def criteria_of(plan: Resource) -> list[str]:
    (card,) = plan["action"]
    return [each["id"] for each in card.get("action", ()) if "condition" in each]


def offers_of(plan: Resource) -> list[str]:
    (card,) = plan["action"]
    return [each["definitionCanonical"].rpartition("/")[2] for each in card["action"] if "definitionCanonical" in each]


def test_each_criterion_is_on_the_card_of_its_group():
    plans = of_type("PlanDefinition")
    assert set(plans) == set(DECIDED_BY)
    told = [
        id_ for group, plan in plans.items() if group not in (NOT_ASSESSED, INFORMATION) for id_ in criteria_of(plan)
    ]
    rest = [id_ for id_ in criteria_of(plans[INFORMATION]) if id_ not in told]
    assert sorted(told + rest) == sorted(entry.id for entry in CATALOGUE)


@pytest.mark.parametrize("name", samples.names())
def test_cards_are_about_what_their_plan_says(name: str):
    plans = of_type("PlanDefinition")
    for card in sample_cards(name, knowledge()):
        assert set(card.criteria) <= set(criteria_of(plans[card.group]))
        assert {offer.kind for offer in card.suggestions} <= set(offers_of(plans[card.group]))


def test_what_cards_can_offer():
    assert {group: offered_on(group) for group in DECIDED_BY if offered_on(group)} == {
        "emergency": ("mri-lumbar", "mri-whole-spine", "emergency-department-referral"),
        "red-flag": ("mri-lumbar", "mri-whole-spine", "esr", "crp", "blood-count"),
        "surgical-referral": ("spine-surgeon-referral", "spine-review"),
    }
    assert (
        {kind for group in DECIDED_BY for kind in offered_on(group)} == set(NAMES) == set(of_type("ActivityDefinition"))
    )


def test_each_criterion_is_told_in_its_own_words_and_numbers():
    limits = Limits(emergency_window_days=45)
    plans = of_type("PlanDefinition", published(Settings(limits=limits), knowledge(), "0.0.1"))
    actions = {each["id"]: each for each in plans["emergency"]["action"][0]["action"]}
    for entry in shown_on("emergency"):
        action = actions[entry.id]
        (condition,) = action["condition"]
        assert condition["expression"].items() >= {"name": entry.id, "description": entry.in_words}.items()
        assert [each["label"] for each in action["documentation"]] == sorted(
            entry.sources, key=list(type(entry.sources[0])).index
        )
    assert "emergency_window_days 45 days" in actions["cauda-equina"]["description"]
    assert {each["codeFilter"][0]["valueSet"].rpartition("/")[2] for each in actions["cauda-equina"]["input"]} == {
        "cauda-equina-syndrome", "saddle-anesthesia", "urinary-retention", "bladder-control-loss", "bowel-control-loss",
    }  # fmt: skip


def test_what_a_site_switched_off_is_in_no_plan():
    plans = of_type("PlanDefinition", published(Settings(disabled=frozenset({"night-pain"})), knowledge(), "0.0.1"))
    assert [group for group, plan in plans.items() if "night-pain" in criteria_of(plan)] == []


def test_a_plan_has_the_hooks_that_its_card_answers():
    for group, plan in of_type("PlanDefinition").items():
        events = [each["name"] for each in plan["action"][0]["trigger"]]
        assert events == [hook for hook in HOOKS if hook.startswith("order-") == (group == "order-safety")]


# --- the logic ---

RUN = """
import json, pickle, sys
sys.path.insert(0, sys.argv[1])
import cds, cds_site
expressions = json.loads(sys.argv[2])
told = {}
for name, (chart, at, hook) in pickle.load(sys.stdin.buffer).items():
    case = cds_site.case(chart, at)
    told[name] = [key for key, each in expressions.items() if eval(each, {"cds": cds, "case": case, "hook": hook})]
assert cds.__file__.startswith(sys.argv[1])
print(json.dumps(told))
"""


def conditions(package: Any = PACKAGE) -> dict[str, str]:
    """Group of a card or id of a criterion -> the expression that decides it."""
    cards = [card for plan in of_type("PlanDefinition", package).values() for card in plan["action"]]
    actions = [*cards, *(each for card in cards for each in card.get("action", ()) if "condition" in each)]
    found = [condition["expression"] for action in actions for condition in action["condition"]]
    assert {each["reference"] for each in found} == {of_type("Library", package)["criteria-logic"]["url"]}
    return {each["name"]: each["expression"] for each in found}


SITE = Settings(
    limits=Limits(symptom_window_days=1, pain_severe=9.5), disabled=frozenset({"cauda-equina", "night-pain"})
)


@pytest.mark.parametrize("site", [Settings(), SITE], ids=["as it ships", "a site with its own ways"])
def test_the_library_decides_by_itself_as_the_service_does(tmp_path: Path, site: Settings):
    """In a process that has nothing but Python: every card and every criterion, for every sample chart."""
    package = published(site, knowledge(), "0.0.1")
    for content in of_type("Library", package)["criteria-logic"]["content"]:
        file = tmp_path / content["title"]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(base64.b64decode(content["data"]))
        assert file.stat().st_size == content["size"]
    evaluations = {name: sample_evaluation(name, knowledge(), site.limits, site.disabled) for name in samples.names()}
    hooks = {name: samples.story(name)["hook"] for name in evaluations}
    asked = pickle.dumps({name: (each.chart, each.at, hooks[name]) for name, each in evaluations.items()})
    command = [sys.executable, "-I", "-S", "-c", RUN, str(tmp_path), json.dumps(conditions(package))]
    told = json.loads(subprocess.run(command, input=asked, capture_output=True, check=True).stdout)
    for name, evaluation in evaluations.items():
        met = {id_ for id_, answer in evaluation.answers.items() if answer.met} - site.disabled
        shown = {card.group for card in cards(evaluation, hooks[name])}
        assert set(told[name]) == met | shown, name


def test_the_library_names_the_thresholds_in_force():
    package = published(Settings(limits=Limits(emergency_window_days=45)), knowledge(), "0.0.1")
    parameters = of_type("Library", package)["criteria-logic"]["parameter"]
    said = {each["name"]: each["documentation"] for each in parameters}
    assert list(said) == list(BY_KEY)
    assert said["emergency_window_days"] == "days; here 45"


def test_the_library_has_the_version_of_the_release():
    """Its code may change where the catalogue does not."""
    assert of_type("Library")["criteria-logic"]["version"] == PACKAGE.version == "0.0.1"
