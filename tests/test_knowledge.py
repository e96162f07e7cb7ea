"""What codes mean, and what the Observation search asks for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_profiles import codes as c
from fhir_profiles.terminology import load_knowledge

KNOWLEDGE = load_knowledge()


def means(*codings):
    return KNOWLEDGE.concepts(codings)


# what codes mean

MEANINGS = {
    "a symptom in SNOMED CT": (c.SNOMED, "203095000", {"back-spasm"}),
    "the same in ICD-10-CM": (c.ICD10CM, "M62.830", {"back-spasm"}),
    "urinary incontinence, type not stated": (c.ICD10CM, "R32", {"bladder-control-loss"}),
    "pain score in LOINC": (c.LOINC, "72514-3", {"pain-score"}),
    "an ingredient in two lists": (c.RXNORM, "8640", {"systemic-corticosteroid", "immunosuppressant"}),
    "a diagnosis and its subset": (c.ICD10CM, "M48.062", {"spinal-stenosis", "neurogenic-claudication"}),
    "cancer is also history of cancer": (c.ICD10CM, "C50.911", {"malignancy-active", "cancer-history"}),
    "history of cancer": (c.SNOMED, "266987004", {"malignancy-history", "cancer-history"}),
    "our own code": (c.FINDING, "saddle-anesthesia", {"saddle-anesthesia"}),
    "our own code of a numeric finding": (
        c.FINDING,
        "conservative-treatment-weeks",
        {"conservative-treatment-weeks"},
    ),
    "our own code of a finding that shares a diagnosis' list": (c.FINDING, "back-pain", {"back-pain"}),
    "our own code of cancer is no diagnosis": (c.FINDING, "cancer-history", {"cancer-history"}),
    "a child of a listed ICD-10-CM code": (c.ICD10CM, "M54.59", {"back-pain"}),
    "the listed code itself": (c.ICD10CM, "M54.5", {"back-pain"}),
    "a child of a code listed alone": (c.ICD10CM, "M62.8301", set()),
    "a sibling that is not listed": (c.ICD10CM, "M54.2", set()),
    "a shorter code than listed": (c.ICD10CM, "M54", set()),
    "a code in small letters": (c.ICD10CM, "m54.59", set()),
    "a SNOMED CT code has no children here": (c.SNOMED, "2030950001", set()),
    "a known code under another system": (c.LOINC, "203095000", set()),
    "an unknown system": ("urn:oid:1.2.3", "203095000", set()),
    "no system": (None, "203095000", set()),
    "no code": (c.ICD10CM, None, set()),
    "an empty code": (c.ICD10CM, "", set()),
}


@pytest.mark.parametrize(("system", "code", "expected"), MEANINGS.values(), ids=MEANINGS)
def test_meaning(system, code, expected):
    assert means((system, code)) == expected


@pytest.mark.parametrize(("alias", "system"), c.SYSTEM_ALIASES.items())
def test_alias_means_the_same(alias, system):
    info = next(i for i in KNOWLEDGE.value_sets.values() for code in i.codes if code.system == system)
    code = next(code for code in info.codes if code.system == system)
    assert KNOWLEDGE.meaning(alias, code.code) == KNOWLEDGE.meaning(system, code.code) is not None


def test_every_listed_code_means_its_concept():
    for info in KNOWLEDGE.value_sets.values():
        for code in info.codes:
            assert info.concept in means((code.system, code.code)), (info.concept, code)
            if code.prefix:
                assert info.concept in means((code.system, code.code + "X9")), (info.concept, code)


PREFIXES = sorted({code.code for info in KNOWLEDGE.value_sets.values() for code in info.codes if code.prefix})


@given(st.builds(lambda start, end: start + end, st.sampled_from(PREFIXES), st.text("0123456789.AXS", max_size=4)))
def test_prefix_look_up_agrees_with_the_lists(code):
    """The table's one hit finds what walking through all lists would find."""
    listed = {
        info.concept
        for info in KNOWLEDGE.value_sets.values()
        for item in info.codes
        if item.system == c.ICD10CM and (item.code == code or (item.prefix and code.startswith(item.code)))
    }
    found = KNOWLEDGE.meaning(c.ICD10CM, code)
    assert set(found.concepts) == listed


def test_codings_together_mean_all_they_mean_alone():
    assert means((c.ICD10CM, "M62.830"), (c.SNOMED, "386661006"), ("x", "y")) == {"back-spasm", "fever"}


def test_nothing_known_is_one_shared_empty_set():
    assert means((c.SNOMED, "1")) is means()


# codes that look right and are wrong

EXCLUSIONS = [(info.concept, item) for info in KNOWLEDGE.value_sets.values() for item in info.exclusions]


def test_every_trap_is_kept():
    assert len(EXCLUSIONS) == 169
    assert sum(item.vetoes for _, item in EXCLUSIONS) == 37


def test_no_trap_means_its_concept():
    for concept, item in EXCLUSIONS:
        assert concept not in means((item.system, item.code)), (concept, item)


def test_every_trap_says_why():
    assert [item for _, item in EXCLUSIONS if not item.reason] == []


def test_vetoing_trap_takes_the_concept_from_the_codings_beside_it():
    for concept, item in EXCLUSIONS:
        for code in KNOWLEDGE.value_sets[concept].codes:
            together = means((code.system, code.code), (item.system, item.code))
            assert (concept in together) is not item.vetoes, (concept, code, item)


VETOES = {
    "stress incontinence": ((c.ICD10CM, "R32"), (c.ICD10CM, "N39.3"), "bladder-control-loss"),
    "a child of a vetoing code": ((c.SNOMED, "44695005"), (c.ICD10CM, "G81.91"), "paralysis"),
    "six minutes' walk, by exact code": ((c.SNOMED, "165263003"), (c.LOINC, "64098-7"), "walking-distance"),
    "even our own code": ((c.FINDING, "urinary-retention"), (c.ICD10CM, "R33.0"), "urinary-retention"),
}


@pytest.mark.parametrize(("right", "vetoing", "concept"), VETOES.values(), ids=VETOES)
def test_veto(right, vetoing, concept):
    assert concept in means(right)
    assert concept not in means(right, vetoing)
    assert concept not in means(vetoing, right)


def test_veto_leaves_other_concepts_alone():
    assert means((c.ICD10CM, "R32"), (c.ICD10CM, "R33.0")) == {"bladder-control-loss"}


# the Observation search


def test_observation_search_fits_into_a_query():
    codes = KNOWLEDGE.observation_codes()
    assert len("%2C".join(codes)) < 6000
    assert len(codes) == len(set(codes))


@pytest.mark.parametrize(
    "code",
    [
        "72514-3",
        "1988-5",
        "58410-2",
        "24968-0",
        "75325-1",
        "404684003",
        "ASSERTION",
        "saddle-anesthesia",
        "cancer-history",
    ],
)
def test_observation_search_asks_for(code):
    assert code in KNOWLEDGE.observation_codes()


def test_observation_search_leaves_out_diagnoses_and_medicines():
    systems = {
        code.system
        for info in KNOWLEDGE.value_sets.values()
        for code in info.codes
        if code.code in KNOWLEDGE.observation_codes()
    }
    assert systems == {c.SNOMED, c.LOINC, c.FINDING}
    assert "C50" not in KNOWLEDGE.observation_codes()
    assert "266987004" not in KNOWLEDGE.observation_codes()
