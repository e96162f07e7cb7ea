"""Criteria, thresholds, groups, titles, sources, examples and docs agree (catalogue, sections 4 to 6)."""

from pathlib import Path

import pytest

from cds.catalogue import SOURCE_TITLES, Group, Source
from cds.concepts import ALL_CONCEPTS, BOOLEAN_FINDINGS, NUMERIC_FINDINGS
from cds.evaluation import CATALOGUE
from cds.explain import uses
from cds.limits import THRESHOLDS, Limits
from cds.triage import ORDER_INDICATORS
from fhir_profiles.reference import SHOWN, criteria_markdown, readme_with_cards
from tests.records import knowledge

ROOT = Path(__file__).parent.parent

CRITERIA = [
    ("cauda-equina", "emergency", ("droracle-etiology", "decompression-overview", "healthgrades-spasm"), False),
    ("progressive-neurological-deficit", "emergency", ("droracle-etiology",), False),
    ("severe-motor-weakness", "emergency", ("droracle-etiology",), False),
    ("limb-sensation-loss", "emergency", ("healthgrades-spasm",), False),
    ("balance-loss", "emergency", ("healthgrades-spasm",), False),
    ("one-sided-deficit", "emergency", ("healthgrades-spasm",), False),
    ("paralysis", "emergency", ("healthgrades-spasm",), False),
    ("altered-consciousness", "emergency", ("healthgrades-spasm",), False),
    ("possible-cord-compression", "emergency", ("nice-ng234",), True),
    ("cancer-history", "red-flag", ("droracle-etiology",), False),
    ("spinal-neoplasm", "red-flag", ("droracle-etiology",), False),
    ("unexplained-weight-loss", "red-flag", ("droracle-etiology",), False),
    ("fever-or-infection", "red-flag", ("droracle-etiology",), False),
    ("immunosuppression", "red-flag", ("droracle-etiology",), False),
    ("iv-drug-use", "red-flag", ("droracle-etiology",), False),
    ("pain-over-4-weeks", "red-flag", ("droracle-etiology",), False),
    ("night-pain", "red-flag", ("droracle-etiology",), False),
    ("severe-radicular-pain", "red-flag", ("droracle-etiology",), False),
    ("gait-disturbance", "red-flag", ("droracle-etiology",), False),
    ("spinal-infection", "red-flag", ("droracle-etiology",), False),
    ("raised-inflammatory-markers", "red-flag", ("droracle-etiology",), False),
    ("inflammatory-arthropathy", "red-flag", ("droracle-etiology",), False),
    ("child-back-pain", "red-flag", ("droracle-etiology",), False),
    ("child-spinal-infection", "red-flag", ("droracle-etiology",), False),
    ("fracture-risk", "red-flag", ("acp-2007", "acr-low-back"), True),
    ("failed-conservative-treatment", "surgical-referral", ("decompression-overview", "laser-spine-relief"), False),
    ("significant-radicular-pain", "surgical-referral", ("decompression-overview", "cleveland-clinic-surgery"), False),
    ("nerve-root-damage", "surgical-referral", ("decompression-overview",), False),
    ("neurogenic-claudication", "surgical-referral", ("decompression-overview",), False),
    ("progressive-scoliosis", "surgical-referral", ("decompression-overview",), False),
    ("neural-compression", "surgical-referral", ("cleveland-clinic-surgery",), False),
    ("mechanical-instability", "surgical-referral", ("cleveland-clinic-surgery",), False),
    ("degenerative-cause", "surgical-referral", ("laser-spine-relief",), False),
    ("persistent-after-compression-treatment", "prompt-review", ("healthgrades-spasm",), False),
    ("persistent-spasm", "prompt-review", ("healthgrades-spasm",), False),
    ("low-potassium", "contributing", ("healthgrades-spasm",), False),
    ("low-calcium", "contributing", ("healthgrades-spasm",), False),
    ("dehydration", "contributing", ("healthgrades-spasm",), False),
    ("isolated-spasm", "conservative", ("cleveland-clinic-surgery",), False),
    ("emergency-outstanding", "order-safety", ("droracle-etiology",), False),
    ("traction-caution", "order-safety", ("decompression-overview",), False),
    ("surgery-for-isolated-spasm", "order-safety", ("cleveland-clinic-surgery",), False),
    ("surgery-before-conservative", "order-safety", ("decompression-overview",), False),
    ("fusion-without-instability", "order-safety", ("decompression-overview",), False),
    ("imaging-without-red-flag", "order-safety", ("acp-2007", "acr-low-back"), True),
]
DEFAULTS = {
    "symptom_window_days": 90,
    "emergency_window_days": 90,
    "sudden_window_days": 30,
    "persistent_pain_days": 28,
    "conservative_min_days": 90,
    "conservative_full_days": 180,
    "surgery_timing_days": 120,
    "surgery_wait_days": 42,
    "claudication_limit_m": 200,
    "claudication_severe_m": 100,
    "weakness_grade": 3,
    "pain_moderate": 4,
    "pain_severe": 7,
    "pain_worsening_points": 2,
    "relief_percent": 30,
    "weight_loss_percent": 5,
    "weight_loss_days": 365,
    "fever_celsius": 38,
    "fever_window_days": 14,
    "infection_window_days": 365,
    "child_fever_celsius": 37.5,
    "esr_mm_h": 20,
    "crp_mg_l": 10,
    "wbc_10e9_l": 11,
    "wbc_child_10e9_l": 15,
    "lab_window_days": 30,
    "potassium_mmol_l": 3.5,
    "calcium_mg_dl": 8.5,
    "cobb_progress_degrees": 5,
    "compression_persist_days": 42,
    "spasm_persist_days": 28,
    "early_imaging_days": 42,
    "order_memory_days": 180,
    "done_memory_days": 90,
    "child_age_years": 18,
    "spinal_infection_age_min": 2,
    "spinal_infection_age_max": 12,
}


def test_ids_groups_sources_and_order_are_those_of_the_catalogue():
    assert [(e.id, e.group, e.sources, e.beyond) for e in CATALOGUE] == CRITERIA


def test_thresholds_and_defaults_are_those_of_the_catalogue():
    assert {threshold.key: threshold.default for threshold in THRESHOLDS} == DEFAULTS
    assert {key: getattr(Limits(), key) for key in DEFAULTS} == DEFAULTS


def test_limits_declare_exactly_the_thresholds():
    assert list(Limits.__annotations__) == [threshold.key for threshold in THRESHOLDS]


def test_a_site_overrides_one_threshold_and_keeps_the_others():
    limits = Limits(pain_severe=8)
    assert (limits.pain_severe, limits.pain_moderate) == (8, 4)
    assert limits != Limits()


def test_an_override_of_no_threshold_is_refused():
    with pytest.raises(KeyError):
        Limits(pain_terrible=9)


def test_every_source_is_cited_and_has_a_title():
    assert {source for e in CATALOGUE for source in e.sources} | {Source.ACP_2017} == set(Source)
    assert set(SOURCE_TITLES) == set(Source)


@pytest.mark.parametrize("entry", CATALOGUE, ids=lambda e: e.id)
def test_a_criterion_says_what_it_is_in_words(entry):
    assert entry.title
    assert entry.rule.__name__ == entry.id.replace("-", "_")
    assert entry.in_words.endswith(".")


def test_every_threshold_is_used_by_a_criterion_or_by_the_cards():
    used = {key for e in CATALOGUE for key in uses(e.id).thresholds}
    in_cards = {
        "conservative_full_days",
        "surgery_timing_days",
        "surgery_wait_days",
        "claudication_severe_m",
        "order_memory_days",
        "done_memory_days",
    }
    assert {threshold.key for threshold in THRESHOLDS} == used | in_cards


def test_every_concept_has_its_value_set():
    assert set(knowledge().value_sets) == ALL_CONCEPTS


def test_findings_are_those_of_section_4():
    assert len(BOOLEAN_FINDINGS) == 37
    assert len(NUMERIC_FINDINGS) == 5
    codes = {concept["code"] for concept in knowledge().code_system["concept"]}
    assert codes == {*BOOLEAN_FINDINGS, *NUMERIC_FINDINGS}


def test_every_order_criterion_has_an_indicator():
    assert set(ORDER_INDICATORS) == {e.id for e in CATALOGUE if e.group is Group.ORDER_SAFETY}


def test_the_criteria_reference_is_current():
    assert (ROOT / "docs" / "criteria.md").read_text() == criteria_markdown(knowledge()) + "\n"


def test_the_cards_in_the_readme_are_current():
    readme = (ROOT / "README.md").read_text()
    assert all(f"<b>{group}</b>" in readme for group in SHOWN)
    assert readme == readme_with_cards(readme, knowledge())
