"""The envelope of a hook call: what is accepted and what is refused, and how (R41 to R61)."""

import json
from typing import Any

import pytest

from tests.service_rig import HOOKS, INSTANCE, JSON, call, changed, client, expressions, path_of, patient, post

LONG_ID = "e" * 88  # as long as ids of a large vendor get


@pytest.mark.parametrize("hook", HOOKS)
def test_r41_a_valid_call_is_answered(hook: str):
    answer = post(call(hook))
    assert answer.status_code == 200
    assert isinstance(answer.get_json()["cards"], list)
    assert answer.headers["Cache-Control"] == "no-store"


BAD_MEMBERS: list[tuple[str, Any]] = [
    ("hook", ...),
    ("hook", ""),
    ("hook", 7),
    ("hook", None),
    ("hook", "order-dispatch"),
    ("hookInstance", ...),
    ("hookInstance", ""),
    ("hookInstance", 5),
    ("hookInstance", "not-a-uuid"),
    ("hookInstance", f"urn:uuid:{INSTANCE}"),
    ("hookInstance", INSTANCE + "0"),
    ("context", ...),
    ("context", None),
    ("context", []),
    ("context", "p1"),
    ("context.patientId", ...),
    ("context.patientId", ""),
    ("context.patientId", None),
    ("context.patientId", 1),
    ("context.patientId", "1&_include=*"),
    ("context.patientId", "../1"),
    ("context.patientId", "Observation/1"),
    ("context.patientId", "p1\n"),
    ("context.patientId", "x" * 129),
    ("context.userId", ...),
    ("context.userId", ""),
    ("context.userId", 3),
    ("context.userId", "dr1"),
    ("context.userId", "Practitioner/"),
    ("context.encounterId", 3),
    ("context.encounterId", ""),
    ("context.encounterId", "a b"),
    ("fhirServer", 1),
    ("fhirServer", "ehr.example.org"),
    ("fhirServer", "javascript:alert(1)"),
    ("fhirServer", "https://ehr.example.org/fhir?x=1"),
    ("fhirAuthorization", "token"),
    ("fhirAuthorization", {"access_token": "secret", "patient": "someone-else"}),
    ("fhirAuthorization", {"patient": 7}),
    ("prefetch", "x"),
    ("prefetch", []),
]


@pytest.mark.parametrize(("path", "value"), BAD_MEMBERS)
def test_r42_to_r48_r58_a_bad_member_is_400_and_named(path: str, value: Any):
    answer = post(changed(call(), path, value), "patient-view")
    assert answer.status_code == 400
    assert any(expression.startswith(path) for expression in expressions(answer))


@pytest.mark.parametrize(
    ("hook", "path", "value"),
    [
        ("encounter-start", "context.encounterId", ...),
        ("encounter-start", "context.encounterId", None),
        ("order-sign", "context.draftOrders", ...),
        ("order-sign", "context.draftOrders", None),
        ("order-sign", "context.draftOrders", []),
        ("order-sign", "context.draftOrders", "x"),
        ("order-select", "context.draftOrders", ...),
        ("order-select", "context.selections", "ServiceRequest/1"),
        ("order-select", "context.selections", [1]),
    ],
)
def test_r46_fields_that_one_hook_needs(hook: str, path: str, value: Any):
    answer = post(changed(call(hook), path, value), hook)
    assert answer.status_code == 400
    assert any(expression.startswith(path) for expression in expressions(answer))


@pytest.mark.parametrize("hook", HOOKS)
@pytest.mark.parametrize("service", HOOKS)
def test_r47_the_hook_of_another_service_is_400_and_says_so(hook: str, service: str):
    answer = post(call(hook), service)
    assert answer.status_code == (200 if hook == service else 400)
    if hook != service:
        assert expressions(answer) == ["hook"]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("hookInstance", INSTANCE.upper()),
        ("context.patientId", "Patient/p1"),
        ("context.userId", "PractitionerRole/" + LONG_ID),
        ("context.encounterId", "Encounter/e1"),
        ("context.encounterId", None),
        ("context.unknown", {"deep": [1, {}]}),
        ("extension", {"com.example.anything": {"a": [None]}}),
        ("context.extension", {}),
        ("fhirServer", "https://ehr.example.org/fhir"),
        ("fhirServer", "http://localhost:8080/fhir/"),
        ("fhirServer", None),
        ("fhirAuthorization", {}),
        ("fhirAuthorization", None),
        ("fhirAuthorization", {"access_token": 5, "token_type": "MAC", "expires_in": "soon"}),
        ("fhirAuthorization", {"access_token": "t", "patient": "p1"}),
        ("fhirAuthorization", {"access_token": "t", "patient": "Patient/p1"}),
        ("prefetch.anythingElse", 5),
        ("future", [1, 2, 3]),
    ],
)
def test_r53_r60_r61_what_is_tolerated_changes_nothing(path: str, value: Any):
    request = call()
    plain, answer = post(request), post(changed(request, path, value))
    assert answer.status_code == 200
    assert [card["summary"] for card in answer.get_json()["cards"]] == [
        card["summary"] for card in plain.get_json()["cards"]
    ]


def test_ids_longer_than_fhir_allows_are_taken():
    request = changed(changed(call(), "context.patientId", LONG_ID), "prefetch.patient", patient(id=LONG_ID))
    assert post(request).status_code == 200


def test_r50_an_unknown_service_is_404_and_a_known_one_with_a_bad_body_is_not():
    unknown = client().post("/cds-services/back-pain", json=call())
    assert unknown.status_code == 404
    assert expressions(unknown) == []
    assert client().post(path_of("patient-view"), data=b"{", content_type=JSON).status_code == 400


@pytest.mark.parametrize("method", ["get", "put", "delete", "patch"])
def test_r51_a_wrong_method_is_405_with_allow(method: str):
    answer = getattr(client(), method)(path_of("patient-view"))
    assert answer.status_code == 405
    assert "POST" in answer.headers["Allow"]


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/json", 200),
        ("application/json; charset=utf-8", 200),
        ("application/json;charset=UTF-8", 200),
        ("Application/JSON", 200),
        ("application/fhir+json", 200),
        ("", 200),
        (None, 200),
        ("text/plain", 415),
        ("application/xml", 415),
        ("multipart/form-data; boundary=x", 415),
        ("application/x-www-form-urlencoded", 415),
        ("application/json; charset=utf-16", 415),
        ("nonsense", 415),
    ],
)
def test_r49_content_types(content_type: str | None, status: int):
    answer = client().post(path_of("patient-view"), data=body(), content_type=content_type)
    assert answer.status_code == status


@pytest.mark.parametrize(("encoding", "status"), [("gzip", 415), ("br", 415), ("identity", 200), ("", 200)])
def test_a_compressed_body_is_415(encoding: str, status: int):
    headers = {"Content-Encoding": encoding}
    answer = client().post(path_of("patient-view"), data=body(), content_type=JSON, headers=headers)
    assert answer.status_code == status


@pytest.mark.parametrize("path", ["/nope", "/cds-services/back-pain-patient-view/nope", "/cds-services/"])
def test_r56_an_unknown_url_is_404_in_json(path: str):
    answer = client().post(path, json={})
    assert answer.status_code == 404
    assert expressions(answer) == []


def test_r56_r57_a_fault_of_ours_is_500_without_content(monkeypatch: pytest.MonkeyPatch, caplog):
    def fail(*_: Any) -> None:
        raise ValueError("Kim Muster")

    monkeypatch.setattr("hooks.app.answer", fail)
    with caplog.at_level("DEBUG", "backpain_cds"):
        answer = post(call())
    assert answer.status_code == 500
    assert expressions(answer) == []
    assert "Muster" not in answer.text + caplog.text
    assert answer.headers["X-Request-Id"] in caplog.text
    assert "ValueError" in caplog.text


def test_r59_errors_do_not_echo_what_was_sent():
    request = changed(call(), "fhirAuthorization", {"access_token": "sesame", "patient": "sesame"})
    request = changed(request, "prefetch.patient", patient(name=[{"family": "sesame"}]))
    answer = post(request)
    assert answer.status_code == 400
    assert "sesame" not in answer.text


def body() -> bytes:
    return json.dumps(call()).encode()
