"""A site's own codes: added, replaced, refused."""

import json

import pytest

from fhir_profiles import codes as c
from fhir_profiles.errors import KnowledgeError
from fhir_profiles.terminology import load_knowledge

KNOWLEDGE = load_knowledge()


@pytest.fixture
def site(tmp_path):
    """An empty site folder."""
    (tmp_path / "site").mkdir()
    return tmp_path / "site"


LOCAL = "https://hospital.example.org/codes"


def test_site_adds_codes(site):
    (site / "saddle-anesthesia.csv").write_text(
        f"system,code,display\n{LOCAL},SADDLE,Numb saddle\nicd10cm,R20.8,\nurn:oid:2.16.840.1.113883.6.96,123,\n"
    )
    knowledge = load_knowledge(site)
    for coding in (
        (LOCAL, "SADDLE"),
        (c.ICD10CM, "R20.8"),
        (c.SNOMED, "123"),
        (c.FINDING, "saddle-anesthesia"),
    ):
        assert knowledge.concepts([coding]) == {"saddle-anesthesia"}
    assert knowledge.concepts([(c.ICD10CM, "R20.81")]) == set()
    assert {code.code for code in knowledge.value_sets["saddle-anesthesia"].codes if code.origin == "site"} == {
        "SADDLE",
        "R20.8",
        "123",
    }
    assert {"SADDLE", "123"} <= set(knowledge.observation_codes())
    assert "R20.8" not in knowledge.observation_codes()


def test_site_adds_a_family_of_codes(site):
    (site / "recent-trauma.csv").write_text("system,code,include_descendants\nicd10cm,V43,yes\n")
    assert load_knowledge(site).concepts([(c.ICD10CM, "V43.52XA")]) == {"recent-trauma"}


def test_site_code_of_cancer_is_history_of_cancer_too(site):
    (site / "malignancy-active.csv").write_text(f"system,code\n{LOCAL},CA\n")
    assert load_knowledge(site).concepts([(LOCAL, "CA")]) == {"malignancy-active", "cancer-history"}


def test_site_may_add_a_code_that_a_later_release_ships(site):
    (site / "back-spasm.csv").write_text("\ufeffsystem,code\r\nsnomed,203095000\r\n")
    assert load_knowledge(site).concepts([(c.SNOMED, "203095000")]) == {"back-spasm"}


def test_hidden_entries_of_a_mounted_volume_are_passed_over(site):
    (site / "..data").mkdir()
    (site / ".keep").write_text("")
    assert load_knowledge(site).value_sets == KNOWLEDGE.value_sets


def value_set(concept=None, **parts):
    url = {"url": c.VALUE_SET + concept} if concept else {}
    return json.dumps({"resourceType": "ValueSet", "status": "active", **url, **parts})


def listing(*codes, system=c.SNOMED):
    return {"compose": {"include": [{"system": system, "concept": [{"code": code} for code in codes]}]}}


def test_site_replaces_a_value_set(site):
    (site / "ours.json").write_text(value_set("saddle-anesthesia", **listing("1", "2")))
    info = load_knowledge(site).value_sets["saddle-anesthesia"]
    assert {code.key for code in info.codes} == {
        (c.SNOMED, "1"),
        (c.SNOMED, "2"),
        (c.FINDING, "saddle-anesthesia"),
    }


def test_site_replaces_by_file_name_and_adds_to_it(site):
    (site / "nsaid.json").write_text(value_set(**listing("1", system=c.RXNORM)))
    (site / "nsaid.csv").write_text("system,code\nrxnorm,2\n")
    assert [code.code for code in load_knowledge(site).value_sets["nsaid"].codes] == ["1", "2"]


def test_site_expansion_from_a_terminology_server(site):
    inner = {"system": c.RXNORM, "code": "2", "contains": [{"system": c.RXNORM, "code": "3"}]}
    contains = [{"abstract": True, "system": c.RXNORM, "code": "1", "contains": [inner]}]
    compose = {"include": [{"system": c.RXNORM, "filter": [{"property": "tty", "op": "=", "value": "SCD"}]}]}
    (site / "nsaid.json").write_text(value_set(compose=compose, expansion={"contains": contains}))
    assert [code.code for code in load_knowledge(site).value_sets["nsaid"].codes] == ["2", "3"]


def test_site_value_set_takes_over_the_codes_of_another_but_not_its_own_code(site):
    compose = {"include": [{"valueSet": [c.VALUE_SET + "saddle-anesthesia"]}]}
    (site / "fever.json").write_text(value_set("fever", compose=compose))
    knowledge = load_knowledge(site)
    theirs = [code for code in knowledge.value_sets["saddle-anesthesia"].codes if code.system == c.SNOMED]
    assert knowledge.concepts([theirs[0].key]) == {"saddle-anesthesia", "fever"}
    assert knowledge.concepts([(c.FINDING, "saddle-anesthesia")]) == {"saddle-anesthesia"}


def test_replaced_value_set_brings_its_own_exclusions(site):
    (site / "urinary-retention.json").write_text(value_set(**listing("R33", system=c.ICD10CM)))
    assert load_knowledge(site).concepts([(c.ICD10CM, "R33"), (c.ICD10CM, "R33.0")]) == {"urinary-retention"}


SITE_ERRORS = {
    "a file of another kind": ("fever.xlsx", "", ["fever.xlsx", ".csv"]),
    "an unknown concept": ("fewer.csv", "system,code\n", ["fewer.csv", "docs/knowledge.md"]),
    "an unknown concept in our url": ("x.json", value_set("fewer"), ["x.json", "'fewer'"]),
    "an unknown column": (
        "fever.csv",
        "system,code,valid\n",
        ["fever.csv", "'valid'", "include_descendants"],
    ),
    "a missing column": ("fever.csv", "code\nR50\n", ["fever.csv", "'system'"]),
    "an empty file": ("fever.csv", "", ["fever.csv", "'system'"]),
    "an unknown system name": ("fever.csv", "system,code\nicd10,R50\n", ["row 2", "'icd10'", "icd10cm"]),
    "an empty code": ("fever.csv", "system,code\nsnomed,\n", ["row 2", "code is empty"]),
    "a comma without quotes": (
        "fever.csv",
        "system,code,display\nsnomed,1,Fever, high\n",
        ["row 2", "quotes"],
    ),
    "a code twice": ("fever.csv", "system,code\nsnomed,1\nsnomed,1\n", ["fever.csv", "'1'", "twice"]),
    "a wrong flag": ("fever.csv", "system,code,include_descendants\nicd10cm,R50,ja\n", ["'ja'", "yes or no"]),
    "descendants that cannot be known": (
        "fever.csv",
        "system,code,include_descendants\nsnomed,1,yes\n",
        ["list the codes"],
    ),
    "an excluded code": ("bladder-control-loss.csv", "system,code\nicd10cm,N39.3\n", ["'N39.3'", "replaces"]),
    "a family that holds an excluded code": (
        "bladder-control-loss.csv",
        "system,code,include_descendants\nicd10cm,N39,yes\n",
        ["'N39'", "'N39.3'"],
    ),
    "a code of an excluded family": (
        "bladder-control-loss.csv",
        "system,code\nicd10cm,F98.01\n",
        ["'F98.01'", "'F98.0'"],
    ),
    "not UTF-8": ("fever.csv", b"system,code\nsnomed,\xff\n", ["fever.csv", "UTF-8"]),
    "not JSON": ("fever.json", "{", ["fever.json", "JSON"]),
    "another resource": ("fever.json", '{"resourceType": "Bundle"}', ["fever.json", "ValueSet"]),
    "nothing listed": ("fever.json", value_set("fever"), ["'fever'", "no codes"]),
    "a rule in place of codes": (
        "fever.json",
        value_set("fever", compose={"include": [{"system": c.SNOMED}]}),
        ["fever.json", "list the codes"],
    ),
    "another publisher's value set": (
        "fever.json",
        value_set("fever", compose={"include": [{"valueSet": ["https://example.org/vs"]}]}),
        ["fever.json", "https://example.org/vs"],
    ),
    "a set within itself": (
        "fever.json",
        value_set("fever", compose={"include": [{"valueSet": [c.VALUE_SET + "fever"]}]}),
        ["'fever'", "includes itself"],
    ),
}


@pytest.mark.parametrize(("name", "content", "told"), SITE_ERRORS.values(), ids=SITE_ERRORS)
def test_site_error_names_the_place_and_the_remedy(site, name, content, told):
    (site / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(KnowledgeError) as error:
        load_knowledge(site)
    assert [part for part in told if part not in str(error.value)] == []


def test_two_files_that_replace_one_value_set(site):
    (site / "a.json").write_text(value_set("fever", **listing("1")))
    (site / "fever.json").write_text(value_set(**listing("2")))
    with pytest.raises(KnowledgeError, match="keep one"):
        load_knowledge(site)


def test_folder_within_the_site_folder_is_not_silently_ignored(site):
    (site / "value-sets").mkdir()
    with pytest.raises(KnowledgeError, match="value-sets is not expected"):
        load_knowledge(site)


def test_site_folder_that_does_not_exist(tmp_path):
    with pytest.raises(KnowledgeError, match="nowhere: cannot be read"):
        load_knowledge(tmp_path / "nowhere")


def test_version_changes_with_a_site_code(site):
    (site / "fever.csv").write_text("system,code\nsnomed,1\n")
    first = load_knowledge(site).version
    (site / "fever.csv").write_text("system,code\nsnomed,2\n")
    assert len({first, load_knowledge(site).version, KNOWLEDGE.version}) == 3
