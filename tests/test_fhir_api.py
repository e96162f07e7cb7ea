"""`/fhir`: reading, searching and expanding the knowledge over HTTP."""

from typing import Any

import pytest
from werkzeug.test import TestResponse

from fhir_profiles.codes import VALUE_SET
from hooks.clients import Client
from hooks.fhir_package import KINDS, published
from hooks.settings import Settings
from tests.records import knowledge
from tests.service_rig import app, client, expressions
from tests.validation import parse_r4, validate_r4

FHIR_JSON = "application/fhir+json"


def get(path: str, **query: Any) -> TestResponse:
    return client().get(f"/fhir/{path}", query_string=query or None)


def found(path: str, **query: Any) -> dict[str, Any]:
    answer = get(path, **query)
    assert (answer.status_code, answer.content_type) == (200, FHIR_JSON)
    return answer.get_json()


def ids(bundle: dict[str, Any]) -> list[str]:
    return [entry["resource"]["id"] for entry in bundle.get("entry", ())]


def capabilities() -> dict[str, dict[str, Any]]:
    return {each["type"]: each for each in found("metadata")["rest"][0]["resource"]}


# --- what it can do ---


def test_metadata_is_of_this_server():
    stated = found("metadata")
    assert (stated["kind"], stated["fhirVersion"]) == ("instance", "4.0.1")
    assert stated["implementation"]["url"] == "http://localhost/fhir"
    assert validate_r4(stated) == []


@pytest.mark.parametrize("asked", [{"mode": "full"}, {"mode": "terminology"}, {"_summary": "true"}])
def test_what_clients_ask_metadata_for_does_not_keep_them_from_it(asked: dict[str, str]):
    """Our own client of terminology servers asks for a summary; a server may send the whole."""
    assert found("metadata", **asked) == found("metadata")
    assert get("ValueSet", **asked).status_code == 400


def test_a_public_url_stands_in_place_of_the_host_that_was_called():
    answer = client(public_url="https://cds.example.org/").get("/fhir/metadata")
    assert answer.get_json()["implementation"]["url"] == "https://cds.example.org/fhir"
    bundle = client(public_url="https://cds.example.org/").get("/fhir/CodeSystem").get_json()
    assert {entry["fullUrl"].rpartition("/")[0] for entry in bundle["entry"]} == {
        "https://cds.example.org/fhir/CodeSystem"
    }


def test_metadata_names_all_types_that_are_served():
    served = published(Settings(), knowledge(), "0.0.1").resources
    assert set(capabilities()) == {each["resourceType"] for each in served}


@pytest.mark.parametrize("kind", KINDS)
def test_it_can_do_what_metadata_says(kind: str):
    stated = capabilities()[kind]
    bundle = found(kind, _count=200)
    assert bundle["total"] == len(ids(bundle)) > 0
    first = bundle["entry"][0]["resource"]
    for search in stated["searchParam"]:
        value = {"_id": first["id"], "url": first["url"], "name": first["name"]}[search["name"]]
        assert first["id"] in ids(found(kind, **{search["name"]: value}))
    assert {each["code"] for each in stated["interaction"]} == {"read", "search-type"}
    assert found(f"{kind}/{first['id']}") == first
    assert ("operation" in stated) == (kind == "ValueSet")


# --- reading and searching ---


def test_a_search_by_url_finds_the_one():
    assert ids(found("ValueSet", url=f"{VALUE_SET}back-pain")) == ["back-pain"]
    assert ids(found("ValueSet", url=f"{VALUE_SET}back-pain|2.6.0")) == ["back-pain"]
    assert ids(found("ValueSet", url=f"{VALUE_SET}back-pain|1.0.0")) == []


def test_values_with_a_comma_are_either_and_parameters_are_both():
    assert ids(found("ValueSet", _id="crp,esr")) == ["crp", "esr"]
    assert ids(found("ValueSet", _id="crp,esr", name="c")) == ["crp"]
    assert ids(get("ValueSet?_id=crp,esr&_id=esr,wbc").get_json()) == ["esr"]


def test_a_name_is_sought_from_its_beginning_in_any_case():
    assert ids(found("ValueSet", name="backp")) == ["back-pain"]
    assert ids(found("ValueSet", name="pain")) == ["pain-relieved-by-rest", "pain-score", "pain-worse-with-activity"]


def test_a_search_without_result_is_an_empty_bundle():
    bundle = found("ValueSet", _id="none")
    assert (bundle["total"], "entry" in bundle) == (0, False)
    assert validate_r4(bundle) == []


@pytest.mark.parametrize("count", [7, 50, 200])
def test_the_links_lead_through_all_pages(count: int):
    seen, url = [], f"/fhir/ValueSet?_count={count}"
    while url:
        bundle = client().get(url).get_json()
        seen += ids(bundle)
        url = next((each["url"] for each in bundle["link"] if each["relation"] == "next"), "")
    assert len(seen) == len(set(seen)) == bundle["total"]


def test_a_page_is_a_valid_bundle():
    parse_r4(found("CodeSystem", _count=1))
    assert validate_r4(found("ValueSet", _count=3)) == []


def test_a_page_holds_no_more_than_it_may():
    assert len(ids(found("ValueSet"))) == 20
    assert ids(found("ValueSet", _count=0)) == []


def test_links_keep_what_was_sought():
    bundle = found("ValueSet", _id="crp,esr", _count=1)
    (following,) = (each["url"] for each in bundle["link"] if each["relation"] == "next")
    assert ids(client().get(following).get_json()) == ["esr"]


# --- expanding ---


def listed(value_set: dict[str, Any]) -> list[str]:
    return [each["code"] for each in value_set["expansion"].get("contains", ())]


def test_an_expansion_by_url_and_by_id_is_the_same():
    by_url = found("ValueSet/$expand", url=f"{VALUE_SET}cancer-history")
    assert by_url == found("ValueSet/cancer-history/$expand")
    codes = [code.code for code in knowledge().value_sets["cancer-history"].codes]
    assert sorted(listed(by_url)) == sorted(codes)
    assert by_url["expansion"]["total"] == len(codes)
    assert "compose" not in by_url
    assert validate_r4(by_url) == []


def test_an_expansion_is_filtered_by_display_and_by_code():
    assert "278860009" in listed(found("ValueSet/back-pain/$expand", filter="CHRONIC low"))
    assert listed(found("ValueSet/back-pain/$expand", filter="27886000")) == ["278860009"]
    nothing = found("ValueSet/back-pain/$expand", filter="no such words")
    assert (nothing["expansion"]["total"], listed(nothing)) == (0, [])
    assert validate_r4(nothing) == []


@pytest.mark.parametrize("count", [1, 7, 100])
def test_pages_of_an_expansion_make_the_whole(count: int):
    whole = found("ValueSet/back-pain/$expand")["expansion"]
    pages = [
        found("ValueSet/back-pain/$expand", count=count, offset=offset) for offset in range(0, whole["total"], count)
    ]
    assert [code for page in pages for code in listed(page)] == listed({"expansion": whole})
    assert {page["expansion"]["total"] for page in pages} == {whole["total"]}


def test_an_expansion_is_known_by_its_identifier():
    """One for all pages of it; an expansion with other contents is another."""

    def identifier(**query: Any) -> str:
        return found("ValueSet/back-pain/$expand", **query)["expansion"]["identifier"]

    assert identifier(count=1) == identifier(count=1, offset=1) == identifier()
    assert identifier(filter="low", count=1) == identifier(filter="LOW")
    assert len({identifier(), identifier(filter="low"), identifier(filter="chronic")}) == 3


def test_a_count_of_nought_asks_for_the_number_alone():
    page = found("ValueSet/back-pain/$expand", count=0)
    assert page["expansion"]["total"] > 0
    assert listed(page) == []


def test_an_expansion_of_one_version():
    url = f"{VALUE_SET}crp"
    assert found("ValueSet/$expand", url=url, valueSetVersion="2.6.0") == found("ValueSet/$expand", url=f"{url}|2.6.0")
    assert get("ValueSet/$expand", url=url, valueSetVersion="2.5").status_code == 404
    assert get("ValueSet/$expand", url=f"{url}|2.5").status_code == 404


# --- caching ---


@pytest.mark.parametrize("path", ["metadata", "ValueSet", "ValueSet/crp", "ValueSet/crp/$expand"])
def test_what_a_client_has_is_not_sent_again(path: str):
    first = get(path)
    assert first.headers["Cache-Control"] == "no-cache"
    again = client().get(f"/fhir/{path}", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")
    other = client().get(f"/fhir/{path}", headers={"If-None-Match": '"other"'})
    assert other.data == first.data


def test_head_is_get_without_the_body():
    head = client().head("/fhir/ValueSet/crp")
    assert (head.status_code, head.data) == (200, b"")
    assert head.headers["ETag"] == get("ValueSet/crp").headers["ETag"]


# --- who may ---


def test_nobody_has_to_say_who_they_are():
    registered = Settings(clients=(Client("https://ehr.example.org", jku="https://ehr.example.org/keys"),))
    assert app(registered).test_client().get("/fhir/ValueSet/crp").status_code == 200


# --- refusals ---


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("Patient", 404, "not-found"),
        ("Patient/p-secret", 404, "not-found"),
        ("ValueSet/p-secret", 404, "not-found"),
        ("ValueSet/p-secret/$expand", 404, "not-found"),
        ("ValueSet/$expand?url=urn:p-secret", 404, "not-found"),
        ("ValueSet/$expand", 400, "required"),
        ("ValueSet?p-secret=1", 400, "not-supported"),
        ("ValueSet/crp?p-secret=1", 400, "not-supported"),
        ("ValueSet/$expand?url=x&date=p-secret", 400, "not-supported"),
        ("ValueSet?_count=p-secret", 400, "invalid"),
        ("ValueSet?_offset=-1", 400, "invalid"),
        ("ValueSet?_count=99999999999999999999", 400, "invalid"),
        ("ValueSet/crp/$expand?count=p-secret", 400, "invalid"),
        ("ValueSet/crp/$expand?offset=1.5", 400, "invalid"),
        ("ValueSet/crp?_format=p-secret", 406, "not-supported"),
        ("CodeSystem/finding/$lookup", 404, "not-found"),
    ],
)
def test_what_cannot_be_had_is_said_and_not_repeated(path: str, status: int, code: str):
    answer = get(path)
    assert answer.status_code == status
    assert answer.content_type == FHIR_JSON
    expressions(answer)
    (issue,) = answer.get_json()["issue"]
    assert issue["code"] == code
    assert b"p-secret" not in answer.data
    assert validate_r4(answer.get_json()) == []


@pytest.mark.parametrize("accept", ["application/fhir+xml", "text/turtle"])
def test_other_formats_are_refused(accept: str):
    answer = client().get("/fhir/ValueSet/crp", headers={"Accept": accept})
    assert answer.status_code == 406
    assert answer.get_json()["resourceType"] == "OperationOutcome"


@pytest.mark.parametrize(
    "accept", ["", "*/*", "application/json", "application/fhir+json;fhirVersion=4.0", "text/html, */*;q=0.1"]
)
def test_json_is_what_most_clients_take(accept: str):
    assert client().get("/fhir/ValueSet/crp", headers={"Accept": accept}).status_code == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
@pytest.mark.parametrize("path", ["ValueSet", "ValueSet/crp", "ValueSet/$expand"])
def test_nothing_can_be_written(method: str, path: str):
    answer = client().open(f"/fhir/{path}", method=method, json={})
    assert answer.status_code == 405
    assert "GET" in answer.headers["Allow"]
