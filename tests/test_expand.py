"""`backpain-cds expand`: asking a terminology server, comparing, proposing, accepting."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from fhir_profiles import codes as c
from fhir_profiles.errors import KnowledgeError
from fhir_profiles.expansion_pages import SYSTEMS
from fhir_profiles.site_value_sets import EXPANDED_FROM, TOGETHER
from fhir_profiles.terminology import FOLDER, load_knowledge
from fhir_profiles.value_sets import decode_value_set
from hooks.cli.terminology_server import TerminologyServer
from hooks.services import SERVICES, prefetch_templates
from tests.cli_rig import Cli, cli, load_once, one_line  # noqa: F401 (a fixture)
from tests.tx_rig import FAULTS, TOKEN, Rig, tx_server
from tests.validation import validate_r4

DEHYDRATION, HYPOVOLEMIA, IBUPROFEN = "34095006", "816082000", "5640"  # of the shipped lists
PREDNISONE_COMPONENT = "900010"
CHILD, GRANDCHILD, BELOW_WRONG = "900000001", "900000002", "900000003"
COMPONENT, TABLET, PACK = "900001", "900002", "900003"
EYE_DROPS, ORAL = "900011", "900012"
GONE = "450316000"
OUR_NSAIDS = "https://tx.example.org/fhir/ValueSet/our-nsaids"


def _steroid() -> str:
    shipped = load_once().value_sets["systemic-corticosteroid"]
    return next(code.code for code in shipped.codes)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    with tx_server(
        tmp_path_factory.mktemp("tx"),
        children={DEHYDRATION: [CHILD, HYPOVOLEMIA], CHILD: [GRANDCHILD], HYPOVOLEMIA: [BELOW_WRONG]},
        relations={
            "has_ingredient": {IBUPROFEN: [COMPONENT], _steroid(): [PREDNISONE_COMPONENT]},
            "consists_of": {COMPONENT: [TABLET], PREDNISONE_COMPONENT: [EYE_DROPS, ORAL]},
            "contains": {TABLET: [PACK]},
        },
        displays={CHILD: "Invented thirst", EYE_DROPS: "invented 1 MG/ML Ophthalmic Solution", ORAL: "invented Tablet"},
        unknown=[GONE],
        value_sets={OUR_NSAIDS: [[c.RXNORM, TABLET], ["http://example.org/local", "x"]]},
    ) as rig:
        yield rig


class Site:
    """A site with a folder of codes, and the command."""

    def __init__(self, cli: Cli, folder: Path) -> None:  # noqa: F811
        self.concepts = folder / "codes"
        self.proposal = folder / "codes.proposed"
        self.concepts.mkdir()
        self.config = cli.file('concepts_dir = "codes"\n', "site.toml")
        self._cli = cli

    def expand(self, *args: str):
        return self._cli("expand", "--config", self.config, "--at", "2026-11-20", *args)

    def files(self, folder: Path | None = None) -> set[str]:
        return {path.name for path in (folder or self.concepts).iterdir()}


@pytest.fixture
def site(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:  # noqa: F811
    monkeypatch.setattr("hooks.cli.site.load_knowledge", load_knowledge)
    return Site(cli, tmp_path)


def _codes(folder: Path, concept: str) -> dict[str, str]:
    return {code.code: code.origin for code in load_knowledge(folder).value_sets[concept].codes}


# What is proposed


def test_descendants_come_into_the_proposal_and_nothing_else_changes(site: Site, server: Rig):
    (site.concepts / "back-spasm.csv").write_text("system,code\nsnomed,900000009\n")
    ran = site.expand("--tx", server.base(), "--concept", "dehydration")
    assert ran.code == 0
    assert site.files() == {"back-spasm.csv"}
    assert site.files(site.proposal) == {"back-spasm.csv", "dehydration.json", ".expansion.json"}
    before = {code.code: code.origin for code in load_once().value_sets["dehydration"].codes}
    assert _codes(site.proposal, "dehydration") == before | {CHILD: "expanded", GRANDCHILD: "expanded"}
    knowledge = load_knowledge(site.proposal)
    assert knowledge.value_sets["dehydration"].exclusions == load_once().value_sets["dehydration"].exclusions
    assert knowledge.concepts([(c.SNOMED, "900000009")]) == {"back-spasm"}


def test_what_is_below_an_excluded_code_is_not_taken(site: Site, server: Rig):
    site.expand("--tx", server.base(), "--concept", "dehydration")
    assert not {HYPOVOLEMIA, BELOW_WRONG} & _codes(site.proposal, "dehydration").keys()


def test_the_proposal_says_where_it_comes_from_and_is_valid_fhir(site: Site, server: Rig):
    site.expand("--tx", server.base(), "--concept", "dehydration")
    text = (site.proposal / "dehydration.json").read_text()
    written = json.loads(text)
    assert validate_r4(written) == []
    parts = [(part["url"], *list(part.values())[1:]) for part in written["extension"][0]["extension"]]
    assert written["extension"][0]["url"] == EXPANDED_FROM
    assert parts == [
        ("source", server.origin),
        ("software", "Terms 4.2"),
        ("at", "2026-11-20T23:59:59Z"),
        ("codeSystem", f"{c.SNOMED}|http://snomed.info/sct/731000124108"),
    ]
    assert written["version"].endswith("-expanded-2026-11-20")
    (line,) = [line for line in text.splitlines() if CHILD in line]
    assert "Invented thirst" in line
    assert "expanded" in line


def test_products_of_an_ingredient_are_found_by_way_of_its_components(site: Site, server: Rig):
    assert site.expand("--tx", server.base(), "--concept", "nsaid").code == 0
    came = {code for code, origin in _codes(site.proposal, "nsaid").items() if origin == "expanded"}
    assert came == {TABLET, PACK}


def test_products_that_act_locally_are_not_systemic(site: Site, server: Rig):
    ran = site.expand("--tx", server.base(), "--concept", "systemic-corticosteroid", "--json")
    changed = ran.json["concepts"]["systemic-corticosteroid"]
    assert [code["code"] for code in changed["added"]] == [ORAL]
    assert [code["code"] for code in changed["leftOut"]] == [EYE_DROPS]
    assert EYE_DROPS not in _codes(site.proposal, "immunosuppressant")


def test_what_a_part_gains_its_whole_gains_too(site: Site, server: Rig):
    site.expand("--tx", server.base(), "--concept", "systemic-corticosteroid")
    assert _codes(site.proposal, "immunosuppressant")[ORAL] == "expanded"


@pytest.mark.parametrize(("part", "whole"), TOGETHER)
def test_parts_are_parts_in_the_shipped_lists(part: str, whole: str):
    sets = load_once().value_sets
    parts, wholes = ({code.key for code in sets[each].codes if code.system in SYSTEMS} for each in (part, whole))
    assert parts <= wholes


def test_same_answers_give_the_same_bytes(site: Site, server: Rig, tmp_path: Path):
    for name in ("one", "two"):
        site.expand("--tx", server.base("small-pages"), "--concept", "dehydration", "--into", str(tmp_path / name))
    assert (tmp_path / "one/dehydration.json").read_bytes() == (tmp_path / "two/dehydration.json").read_bytes()


# Known codes that the server does not have


def test_a_known_code_that_the_server_lacks_is_named_and_kept(site: Site, server: Rig):
    ran = site.expand("--tx", server.base(), "--concept", "dehydration")
    assert "dehydration: 1 known codes that the source does not have (kept" in ran.out
    assert GONE in ran.out
    assert GONE in _codes(site.proposal, "dehydration")


def test_it_is_taken_out_when_that_is_asked_for(site: Site, server: Rig):
    ran = site.expand("--tx", server.base(), "--concept", "dehydration", "--drop-missing")
    assert "TAKEN OUT" in ran.out
    assert GONE not in _codes(site.proposal, "dehydration")
    assert "E86.0" in _codes(site.proposal, "dehydration")


def test_a_code_of_an_earlier_expansion_stays_until_somebody_drops_it(site: Site, server: Rig, tmp_path: Path):
    site.expand("--tx", server.base(), "--concept", "dehydration")
    site.expand("--accept")
    with tx_server(tmp_path, children={DEHYDRATION: [CHILD]}, unknown=[GRANDCHILD]) as later:
        ran = site.expand("--tx", later.base(), "--concept", "dehydration", "--json")
        changed = ran.json["concepts"]["dehydration"]
        assert changed["added"] == []
        assert [code["code"] for code in changed["missing"]] == [GRANDCHILD]
        assert _codes(site.proposal, "dehydration")[GRANDCHILD] == "expanded"


# Other ways to ask


def test_get_asks_for_the_value_sets_of_snomed(site: Site, server: Rig):
    site.expand("--tx", server.base(), "--concept", "dehydration", "--get")
    asked = [each for each in server.requests() if "isa" in each.target]
    assert {each.method for each in asked} == {"GET"}
    assert CHILD in _codes(site.proposal, "dehydration")


def test_get_cannot_ask_for_products(site: Site, server: Rig):
    ran = site.expand("--tx", server.base(), "--concept", "nsaid", "--get")
    assert (ran.code, site.proposal.exists()) == (1, False)
    assert "RxNorm has no value sets by URL" in ran.err


def test_a_value_set_of_the_server(site: Site, server: Rig):
    ran = site.expand("--tx", server.base(), "--value-set", f"nsaid={OUR_NSAIDS}", "--json")
    changed = ran.json["concepts"]["nsaid"]
    assert [code["code"] for code in changed["added"]] == [TABLET]
    assert IBUPROFEN in {code["code"] for code in changed["missing"]}
    assert IBUPROFEN in _codes(site.proposal, "nsaid")


def test_the_token_goes_with_every_request_and_nowhere_else(site: Site, server: Rig, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TX_TOKEN", TOKEN)
    ran = site.expand("--tx", server.base("auth"), "--token-env", "TX_TOKEN", "--concept", "dehydration")
    assert ran.code == 0
    asked = [each for each in server.requests() if each.target.startswith("/auth/")]
    assert {each.authorization for each in asked} == {f"Bearer {TOKEN}"}
    assert TOKEN not in ran.out + ran.err + "".join(path.read_text() for path in site.proposal.iterdir())


# Files


def _export(*codes: str, concept: str = "nsaid", system: str = c.RXNORM, **more) -> dict:
    contains = [{"system": system, "code": code} for code in codes]
    return {"resourceType": "ValueSet", "url": c.VALUE_SET + concept, "expansion": {"contains": contains} | more}


def test_an_exported_expansion_needs_no_server(site: Site, cli: Cli):  # noqa: F811
    first, second = cli.file(_export(TABLET), "a.json"), cli.file(_export(PACK), "b.json")
    ran = site.expand("--from", first, "--from", second)
    assert ran.code == 0
    came = {code for code, origin in _codes(site.proposal, "nsaid").items() if origin == "expanded"}
    assert came == {TABLET, PACK}
    assert "known codes that the source does not have (kept" in ran.out


def _snomed(concept: str) -> list[str]:
    return [code.code for code in load_once().value_sets[concept].codes if code.system == c.SNOMED]


PART, WHOLE = "spinal-fusion", "spinal-surgery"


@pytest.mark.parametrize("given", [(PART, WHOLE), (WHOLE,)], ids=["both", "the whole alone"])
def test_what_stays_in_a_part_stays_in_the_whole(site: Site, cli: Cli, given: tuple[str, ...]):  # noqa: F811
    """Or a spinal fusion would be no surgery of the spine."""
    fusion = _snomed(PART)
    listed = {PART: fusion, WHOLE: [code for code in _snomed(WHOLE) if code not in fusion]}
    exports = [cli.file(_export(*listed[each], concept=each, system=c.SNOMED), f"{each}.export.json") for each in given]
    ran = site.expand(*(arg for export in exports for arg in ("--from", export)), "--drop-missing", "--json")
    assert ran.code == 0
    assert [each["missing"] for each in ran.json["concepts"].values()] == [[]] * len(given)
    folder = site.proposal if site.proposal.exists() else site.concepts
    assert set(fusion) <= _codes(folder, PART).keys() & _codes(folder, WHOLE).keys()


def test_what_a_part_gains_is_not_taken_out_of_the_whole(site: Site, cli: Cli):  # noqa: F811
    """A known code of the whole that turns out to mean the part, and that a list of the whole leaves out."""
    fusion, surgery = _snomed(PART), _snomed(WHOLE)
    gained = next(code for code in surgery if code not in fusion)
    part = cli.file(_export(*fusion, gained, concept=PART, system=c.SNOMED), "part.json")
    rest = [code for code in surgery if code != gained]
    whole = cli.file(_export(*rest, concept=WHOLE, system=c.SNOMED), "whole.json")
    assert site.expand("--from", part, "--from", whole, "--drop-missing").code == 0
    assert gained in _codes(site.proposal, PART)
    assert gained in _codes(site.proposal, WHOLE)


def test_what_a_part_and_its_whole_lack_is_taken_out_of_both(site: Site, cli: Cli):  # noqa: F811
    gone, *fusion = _snomed(PART)
    surgery = [code for code in _snomed(WHOLE) if code != gone]
    part = cli.file(_export(*fusion, concept=PART, system=c.SNOMED), "part.json")
    whole = cli.file(_export(*surgery, concept=WHOLE, system=c.SNOMED), "whole.json")
    assert site.expand("--from", part, "--from", whole, "--drop-missing").code == 0
    assert gone not in _codes(site.proposal, PART)
    assert gone not in _codes(site.proposal, WHOLE)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"resourceType": "ValueSet"}, "expansion"),
        ({"resourceType": "Bundle"}, "ValueSet"),
        (_export(TABLET, concept="fewer"), "no concept of ours"),
        (_export("x", system="http://example.org"), "no code of SNOMED CT or RxNorm"),
        (_export(TABLET, total=2), "a part of 2 codes only"),
        (_export("12a"), "not in the form of RxNorm"),
        (b"{", "not a FHIR R4 ValueSet"),
    ],
)
def test_a_file_that_is_no_expansion(site: Site, cli: Cli, content, said: str):  # noqa: F811
    ran = site.expand("--from", cli.file(content, "export.json"))
    assert (ran.code, site.proposal.exists()) == (2, False)
    assert one_line(ran.err)
    assert said in ran.err


# Pages and faults


@pytest.mark.parametrize("how", ["small-pages", "no-total", "all-at-once"])
def test_every_page_is_read(site: Site, server: Rig, how: str):
    with TerminologyServer(server.base(how), page_codes=2) as asked:
        is_a = {"system": c.SNOMED, "filter": [{"property": "concept", "op": "is-a", "value": DEHYDRATION}]}
        answer = asked.expand({"resourceType": "ValueSet", "compose": {"include": [is_a]}})
    assert {code.code for code in answer.codes} == {DEHYDRATION, CHILD, GRANDCHILD, HYPOVOLEMIA, BELOW_WRONG}


def test_an_answer_that_never_ends_is_given_up(server: Rig):
    with (
        TerminologyServer(server.base("drip"), seconds=0.2) as asked,
        pytest.raises(KnowledgeError, match="longer than"),
    ):
        asked.expand(OUR_NSAIDS)


SAID = {
    "too-costly": "HTTP 422, too-costly: more than 1000 codes",
    "500": "HTTP 500",
    "html": "not FHIR in JSON",
    "bundle": "no FHIR R4 ValueSet",
    "no-expansion": "no FHIR R4 ValueSet",
    "null": "no FHIR R4 ValueSet",
    "incomplete": "not complete",
    "limited": "not complete",
    "bad-code": "not in the form of SNOMED CT",
    "long-display": "longer than 1000",
    "compressed": "compressed",
    "empty": "nothing is below",
    "huge": "larger than 32 MiB",
    "cut-off": "cut off",
    "repeats": "same page again",
    "sends-less": "sends",
}


@pytest.mark.parametrize("fault", SAID)
def test_an_answer_that_is_not_whole_changes_nothing(site: Site, server: Rig, fault: str):
    page = ("--page", "2") if fault == "repeats" else ()
    ran = site.expand("--tx", server.base(fault), "--concept", "dehydration", *page)
    assert (ran.code, site.proposal.exists()) == (1, False)
    assert SAID[fault] in ran.err
    assert "Traceback" not in ran.err


def test_every_fault_of_the_server_is_tried():
    assert FAULTS.keys() - SAID.keys() == {"redirect", "drip"}


def test_one_concept_that_fails_does_not_hinder_another(site: Site, server: Rig):
    ran = site.expand("--tx", server.base(), "--value-set", "nsaid=urn:none", "--concept", "dehydration")
    assert ran.code == 1
    assert "nsaid was not expanded: the server answers HTTP 404, not-found" in ran.err
    assert site.files(site.proposal) == {"dehydration.json", ".expansion.json"}


def test_a_redirect_is_not_followed(site: Site, server: Rig):
    ran = site.expand("--tx", server.base("redirect"), "--concept", "dehydration")
    assert ran.code == 2
    assert "redirects (HTTP 307)" in ran.err
    assert not [each for each in server.requests() if each.target.endswith("elsewhere")]


# What cannot be used


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ((), "--tx URL, or --from FILE"),
        (("--tx", "https://tx.example.org", "--from", "x"), "--tx URL, or --from FILE"),
        (("--tx", "http://tx.example.org/fhir"), "by https"),
        (("--tx", "https://user:secret@tx.example.org/fhir"), "plain path"),
        (("--tx", "https://127.0.0.1:1/fhir"), "cannot be reached"),
        (("--tx", "https://tx.example.org", "--ca-file", "none.pem"), "--ca-file"),
        (("--tx", "https://tx.example.org", "--token-env", "NO_SUCH_VARIABLE"), "not set or empty"),
        (("--from", "x.json", "--concept", "nsaid"), "go with --tx"),
        (("--from", "no-such-file.json"), "cannot be read"),
        (("--accept",), "there is no proposal"),
    ],
)
def test_options_that_cannot_be_used(site: Site, args: tuple[str, ...], said: str):
    ran = site.expand(*args)
    assert ran.code == 2
    assert said in ran.err
    assert "secret" not in ran.err
    assert site.files() == set()


def test_without_the_right_token(site: Site, server: Rig, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TX_TOKEN", "wrong-one")
    ran = site.expand("--tx", server.base("auth"), "--token-env", "TX_TOKEN")
    assert (ran.code, site.proposal.exists()) == (2, False)
    assert "refuses (HTTP 401)" in ran.err
    assert "wrong-one" not in ran.err


def test_a_concept_with_nothing_to_expand(site: Site, server: Rig):
    ran = site.expand("--tx", server.base(), "--concept", "esr")
    assert ran.code == 2
    assert "these have: " in ran.err


# The folder


def test_a_proposal_is_not_overwritten(site: Site, server: Rig):
    site.expand("--tx", server.base(), "--concept", "dehydration")
    ran = site.expand("--tx", server.base(), "--concept", "nsaid")
    assert ran.code == 2
    assert "is there already" in ran.err
    assert "nsaid.json" not in site.files(site.proposal)


def test_a_list_that_the_site_made_is_left_alone(site: Site, server: Rig):
    include = [{"system": c.SNOMED, "concept": [{"code": "900000009"}]}]
    own = {"resourceType": "ValueSet", "url": f"{c.VALUE_SET}dehydration", "compose": {"include": include}}
    (site.concepts / "ours.json").write_text(json.dumps(own))
    ran = site.expand("--tx", server.base(), "--concept", "dehydration")
    assert "the site's own list replaces ours" in ran.err
    assert not site.proposal.exists()


def test_accepting_puts_it_in_place_and_keeps_the_former_folder(site: Site, server: Rig):
    (site.concepts / "back-spasm.csv").write_text("system,code\nsnomed,900000009\n")
    site.expand("--tx", server.base(), "--concept", "dehydration")
    ran = site.expand("--accept")
    assert ran.code == 0
    assert CHILD in _codes(site.concepts, "dehydration")
    assert not site.proposal.exists()
    assert site.files(site.concepts.with_name("codes.replaced-20261120T235959Z")) == {"back-spasm.csv"}


def test_accepting_is_refused_when_the_folder_was_changed_meanwhile(site: Site, server: Rig):
    site.expand("--tx", server.base(), "--concept", "dehydration")
    (site.concepts / "back-spasm.csv").write_text("system,code\nsnomed,900000009\n")
    ran = site.expand("--accept")
    assert ran.code == 2
    assert "was changed after the proposal" in ran.err
    assert site.files() == {"back-spasm.csv"}


def test_accepting_is_refused_when_the_edited_proposal_does_not_load(site: Site, server: Rig):
    site.expand("--tx", server.base(), "--concept", "dehydration")
    (site.proposal / "dehydration.json").write_text("{")
    ran = site.expand("--accept")
    assert ran.code == 2
    assert "would not load" in ran.err
    assert site.files() == set()


def test_without_a_folder_in_use_a_proposal_needs_a_name(cli: Cli, tmp_path: Path):  # noqa: F811
    export = cli.file(_export(TABLET), "nsaid.json")
    assert "--into" in cli("expand", "--from", export).err
    assert cli("expand", "--from", export, "--into", str(tmp_path / "new")).code == 0
    assert "nsaid.json" in {path.name for path in (tmp_path / "new").iterdir()}
    assert "names no folder" in cli("expand", "--accept", "--into", str(tmp_path / "new")).err


# What the service does with it


def test_codes_that_are_too_many_for_the_search_are_left_out_of_it_and_recognized(tmp_path: Path):
    shipped = json.loads((FOLDER / "value-sets/radicular-pain.json").read_text())
    many = [str(900000000 + number) for number in range(2000)]
    mark = [{"url": c.REVIEWED_CODE, "extension": [{"url": "expanded", "valueBoolean": True}]}]
    (snomed,) = [group for group in shipped["compose"]["include"] if group["system"] == c.SNOMED]
    snomed["concept"] += [{"code": code, "extension": mark} for code in many]
    (tmp_path / "radicular-pain.json").write_text(json.dumps(shipped))
    knowledge = load_knowledge(tmp_path)
    assert knowledge.concepts([(c.SNOMED, many[0])]) == {"radicular-pain"}
    query = prefetch_templates(SERVICES["back-pain-patient-view"], knowledge)["observations"]
    untouched = prefetch_templates(SERVICES["back-pain-patient-view"], load_once())["observations"]
    assert query == untouched
    assert many[0] in knowledge.observation_codes()


def test_a_replaced_list_keeps_what_it_shares_with_ours_as_ours(tmp_path: Path):
    shipped = (FOLDER / "value-sets/malignancy-active.json").read_bytes()
    (tmp_path / "malignancy-active.json").write_bytes(shipped)
    assert load_knowledge(tmp_path).observation_codes() == load_once().observation_codes()
    assert decode_value_set("x", shipped).id == "malignancy-active"
