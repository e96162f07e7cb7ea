"""What a call lacks is fetched, and nothing else (R64 to R73, R77; reliability.md, rows 12 to 14 and 20)."""

from collections.abc import Iterator
from typing import Any

import pytest

from hooks.services import SERVICES
from tests.fetch_rig import KEYS, KINDS, TOKEN, Fetching, authorization, fetching, lacking, lasting, whole
from tests.records import PATIENT_ID, coded
from tests.service_rig import HOOKS, changed, expressions, groups, searchset

OUTCOME = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "timeout"}]}
REMARK = {"resource": OUTCOME, "search": {"mode": "outcome"}}
MORE = {"link": [{"relation": "next", "url": "https://elsewhere.example.org/fhir?page=2"}]}
STEROID = coded("systemic-corticosteroid")


def prescription(medication: str, **elements: Any) -> dict[str, Any]:
    made = {"resourceType": "MedicationRequest", "id": "rx", "status": "active", "intent": "order"}
    made |= {"subject": {"reference": f"Patient/{PATIENT_ID}"}, "authoredOn": "2026-11-10"}
    return made | {"medicationReference": {"reference": medication}} | elements


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fetching]:
    medication = {"resourceType": "Medication", "id": "m1", "code": STEROID}
    with fetching(tmp_path_factory.mktemp("record"), medication) as made:
        yield made


def lacking_nothing(there: Fetching) -> dict[str, Any]:
    """A call with all its keys, and a server that could be asked."""
    return lacking(there.rig.base()) | {"prefetch": whole()["prefetch"]}


def asked(there: Fetching, request: dict[str, Any]) -> list[str]:
    """What a call makes the service ask for, below the base."""
    there.ask(request)
    return sorted(each.kind for each in there.rig.requests(request["fhirServer"]))


@pytest.mark.parametrize("hook", HOOKS)
def test_r66_a_call_without_prefetch_is_answered_like_a_whole_one(there: Fetching, hook: str):
    request = lacking(there.rig.base(), hook=hook)
    fetched, given = there.ask(request), there.ask(request | {"prefetch": whole(hook)["prefetch"]})
    assert fetched.status_code == given.status_code == 200
    assert lasting(fetched.json()) == lasting(given.json())


@pytest.mark.parametrize("fault", ["good", "gzip"])
@pytest.mark.parametrize("key", KEYS)
def test_r66_only_the_missing_key_is_asked_for(there: Fetching, key: str, fault: str):
    base = there.rig.base(fault)
    request = lacking(base, key)
    answer = there.ask(request)
    assert answer.status_code == 200
    assert lasting(answer.json()) == lasting(there.ask(request | {"prefetch": whole()["prefetch"]}).json())
    (only,) = there.rig.requests(base)
    assert only.kind.partition("/")[0] == KINDS[key]


def test_r65_null_and_empty_are_answers(there: Fetching):
    for value in (None, searchset(), {"resourceType": "Bundle", "type": "searchset", "total": 0, "entry": [REMARK]}):
        request = lacking(there.rig.base(), "reports")
        request["prefetch"] = {key: value if key in KEYS[2:] else each for key, each in whole()["prefetch"].items()}
        assert asked(there, request) == []


def test_r65_a_null_patient_is_not_asked_for_again(there: Fetching):
    request = changed(lacking(there.rig.base(), "reports"), "prefetch.patient", None)
    assert there.ask(request).status_code == 412
    assert "Patient/p1" not in {each.kind for each in there.rig.requests(request["fhirServer"])}


@pytest.mark.parametrize("value", [OUTCOME, searchset(OUTCOME), {"resourceType": "Basic"}, "text", 5, [], {}])
@pytest.mark.parametrize("key", ["patient", "conditions"])
def test_r67_a_key_that_failed_for_the_client_is_asked_for(there: Fetching, key: str, value: Any):
    request = changed(lacking_nothing(there), f"prefetch.{key}", value)
    answer = there.ask(request)
    assert [each.kind.partition("/")[0] for each in there.rig.requests(request["fhirServer"])] == [KINDS[key]]
    assert groups(answer.json())["emergency"] == "critical"


def test_nothing_is_asked_when_nothing_is_missing(there: Fetching):
    assert asked(there, lacking_nothing(there)) == []


def test_r73_the_first_page_is_completed(there: Fetching):
    """The client sent one page; the rest lies behind its next link, and only that is asked for."""
    request = lacking_nothing(there)
    first = {**request["prefetch"]["conditions"], "entry": request["prefetch"]["conditions"]["entry"][:1]}
    first["link"] = [{"relation": "next", "url": f"{request['fhirServer']}/Condition?patient=p1&_offset=1"}]
    answer = there.ask(changed(request, "prefetch.conditions", first))
    assert [each.params["_offset"] for each in there.rig.requests(request["fhirServer"])] == [["1"]]
    assert groups(answer.json())["emergency"] == "critical"


def test_r73_a_next_page_elsewhere_is_told(there: Fetching):
    request = lacking_nothing(there)
    first = searchset() | MORE
    answer = there.ask(changed(request, "prefetch.procedures", first))
    assert there.rig.requests(request["fhirServer"]) == []
    assert lasting(answer.json()) == lasting(there.ask(lacking(None, "procedures")).json())


def test_searches_are_those_of_discovery(there: Fetching):
    base = there.rig.base()
    there.ask(lacking(base))
    discovery = there.service.http.get("/cds-services").json()["services"]
    templates = next(each for each in discovery if each["hook"] == "encounter-start")["prefetch"]
    for each in there.rig.requests(base):
        assert each.headers["accept"] == "application/fhir+json"
        if "/" not in each.kind:
            (template,) = (text for text in templates.values() if text.startswith(f"{each.kind}?"))
            assert each.params.pop("patient") == [PATIENT_ID]
            wanted = dict(part.split("=", 1) for part in template.partition("?")[2].split("&"))
            assert {name: values[0] for name, values in each.params.items() if name not in ("patient", "_count")} == {
                name: value for name, value in wanted.items() if name != "patient"
            }


@pytest.mark.parametrize("bad", ["1&_include=*", "../p1", "p1/_history/2", "p1?x=1", "p%31", "", "..", "."])
def test_row_20_ids_stay_ids(there: Fetching, bad: str):
    base = there.rig.base()
    answer = there.ask(changed(lacking(base), "context.patientId", bad))
    assert answer.status_code in (400, 412)
    assert [each for each in there.rig.requests(base) if each.kind.startswith("Patient")] == []


@pytest.mark.parametrize("fault", ["other-type", "other-id"])
def test_another_resource_in_place_of_the_patient_is_none(there: Fetching, fault: str):
    """That is a fault of the server, not of the client: 412, not 400."""
    answer = there.ask(lacking(there.rig.base(fault, "Patient")))
    assert answer.status_code == 412
    assert expressions(answer) == ["prefetch.patient"]


# --- medicines -----------------------------------------------------------------------------------------------


def test_medications_that_prescriptions_refer_to_are_fetched(there: Fetching):
    request = changed(lacking_nothing(there), "prefetch.medicationRequests", searchset(prescription("Medication/m1")))
    answer = there.ask(request)
    (only,) = there.rig.requests(request["fhirServer"])
    assert (only.kind, only.params["_id"]) == ("Medication", ["m1"])
    assert "MedicationRequest/rx" in answer.text


@pytest.mark.parametrize("medication", ["{base}/Medication/m1", "Medication/m1/_history/3"])
def test_medications_are_known_by_their_full_url_and_version(there: Fetching, medication: str):
    request = lacking_nothing(there)
    reference = medication.format(base=request["fhirServer"])
    there.ask(changed(request, "prefetch.medicationRequests", searchset(prescription(reference))))
    assert [each.params["_id"] for each in there.rig.requests(request["fhirServer"])] == [["m1"]]


def test_medications_in_the_bundle_are_not_asked_for(there: Fetching):
    medication = {"resourceType": "Medication", "id": "m1", "code": STEROID}
    bundle = searchset(prescription("Medication/m1"), medication)
    assert asked(there, changed(lacking_nothing(there), "prefetch.medicationRequests", bundle)) == []


@pytest.mark.parametrize(
    "reference", ["#m1", "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0", "https://x.org/Medication/m1"]
)
def test_medications_elsewhere_are_not_asked_for(there: Fetching, reference: str):
    bundle = searchset(prescription(reference))
    assert asked(there, changed(lacking_nothing(there), "prefetch.medicationRequests", bundle)) == []


def test_a_medicine_that_nobody_can_name_makes_medicines_unknown(there: Fetching):
    request = changed(lacking_nothing(there), "prefetch.medicationRequests", searchset(prescription("Medication/gone")))
    there.ask(request)
    assert '"not_fetched":{"medicationRequests":"medications"}' in there.service.log


# --- the token -----------------------------------------------------------------------------------------------


def test_r70_each_request_has_the_token(there: Fetching):
    base = there.rig.base()
    there.ask(lacking(base))
    assert {each.headers["authorization"] for each in there.rig.requests(base)} == {f"Bearer {TOKEN}"}


def test_r72_an_open_server_is_asked_without(there: Fetching):
    base = there.rig.base()
    assert there.ask(lacking(base, fhirAuthorization=...)).status_code == 200
    assert all("authorization" not in each.headers for each in there.rig.requests(base))


@pytest.mark.parametrize(
    "members",
    [
        {"access_token": ...},
        {"access_token": ""},
        {"access_token": 7},
        {"access_token": "a\r\nX-Evil: 1"},
        {"access_token": "a b"},
        {"access_token": "naïve"},
        {"access_token": "t" * 9000},
        {"token_type": "MAC"},
        {"token_type": ...},
    ],
)
def test_r60_a_token_that_cannot_be_used_is_not(there: Fetching, members: dict[str, Any]):
    base = there.rig.base()
    answer = there.ask(lacking(base, fhirAuthorization=authorization(**members)))
    assert answer.status_code == 412
    assert there.rig.requests(base) == []


def test_tokens_of_two_calls_do_not_meet(there: Fetching):
    base = there.rig.base()
    there.ask(lacking(base))
    there.ask(lacking(base, fhirAuthorization=authorization(access_token="other")))
    there.ask(lacking(base, fhirAuthorization=...))
    seen = [each.headers.get("authorization") for each in there.rig.requests(base)]
    each = len(KEYS)
    assert seen == [f"Bearer {TOKEN}"] * each + ["Bearer other"] * each + [None] * each
    assert all("cookie" not in each.headers for each in there.rig.requests(base))


def test_r77_a_query_that_the_token_cannot_make_is_not_made(there: Fetching):
    base = there.rig.base()
    scope = "launch openid patient/Patient.read patient/Condition.rs patient/Observation.rs?category=laboratory"
    answer = there.ask(lacking(base, fhirAuthorization=authorization(scope)))
    assert sorted(each.kind for each in there.rig.requests(base)) == ["Condition", "Observation", "Patient/p1"]
    assert groups(answer.json())["emergency"] == "critical"
    assert '"observations":"scope"' in there.service.log


# --- who may be asked ------------------------------------------------------------------------------------------


def test_a_server_that_is_not_listed_is_not_asked_and_the_rest_counts(there: Fetching):
    answer = there.ask(lacking("https://ehr.example.org/fhir", "reports"))
    assert answer.status_code == 200
    assert lasting(answer.json()) == lasting(there.ask(lacking(None, "reports")).json())


def test_412_says_that_a_server_was_not_asked(there: Fetching):
    answer = there.ask(lacking("https://ehr.example.org/fhir"))
    assert answer.status_code == 412
    assert expressions(answer) == [*(f"prefetch.{key}" for key in KEYS), "fhirServer"]


def test_every_service_fetches_what_its_discovery_names(there: Fetching):
    for service in SERVICES.values():
        base = there.rig.base()
        there.ask(lacking(base, hook=service.hook))
        assert len(there.rig.requests(base)) == len(whole(service.hook)["prefetch"])
