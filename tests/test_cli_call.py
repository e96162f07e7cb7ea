"""`backpain-cds call`: a CDS Hooks client, against the service itself and against services that misbehave."""

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import pytest

from fhir_profiles import samples
from hooks.cli.ehr import Chart, ChartError
from tests import cli_rig
from tests.cli_rig import Cli, one_line
from tests.records import back_pain, condition, draft, encounter, observation, standard_code
from tests.service_rig import ROOT, Server, call, changed, free_port, groups, patient, running

cli = cli_rig.cli
PATIENT = patient()
FORM = "https://forms.example.org/Questionnaire/q"


def bundle(*resources: Any, **elements: Any) -> dict[str, Any]:
    entries = [{"resource": each} for each in (PATIENT, *resources)]
    return {"resourceType": "Bundle", "type": "collection", "entry": entries, **elements}


def found(answer: dict[str, Any]) -> list[str]:
    """The ids in a searchset Bundle."""
    assert (answer["resourceType"], answer["type"]) == ("Bundle", "searchset")
    entries = answer.get("entry", [])
    assert answer["total"] == len(entries)
    return [entry["resource"]["id"] for entry in entries]


CHART = Chart(
    bundle(
        condition("back-pain", id="ours"),
        observation("saddle-anesthesia", value=True, id="coded"),
        condition("back-pain", id="foreign") | {"subject": {"reference": "Patient/p2"}},
        {"resourceType": "Condition", "id": "nobodys"},
        {"resourceType": "QuestionnaireResponse", "id": "answered", "questionnaire": f"{FORM}|1.0"},
    )
)


class TestSearch:
    """A chart in memory answers prefetch templates as an EHR would."""

    system, code = standard_code("saddle-anesthesia")

    @pytest.mark.parametrize(
        ("query", "expected"),
        [
            ("Condition?patient=p1", ["ours", "nobodys"]),
            ("Condition?subject=Patient/p1&_count=5&clinical-status=inactive", ["ours", "nobodys"]),
            ("Condition?patient=p2", ["foreign", "nobodys"]),
            ("Procedure?patient=p1", []),
            (f"Observation?patient=p1&code=1234-5,{code}", ["coded"]),
            (f"Observation?code={system}|{code}", ["coded"]),
            (f"Observation?code=http%3A%2F%2Fother.example|{code}", []),
            (f"Observation?code=|{code}", []),
            ("Observation?code=1234-5", []),
            (f"QuestionnaireResponse?questionnaire={FORM}", ["answered"]),
            (f"QuestionnaireResponse?questionnaire={FORM}x", []),
        ],
    )
    def test_searches(self, query: str, expected: list[str]) -> None:
        assert found(CHART.query(query)) == expected

    def test_reads(self) -> None:
        assert CHART.query("Patient/p1") == PATIENT
        assert CHART.query("Patient/p9") is None

    def test_a_template_that_cannot_be_filled_is_left_out(self) -> None:
        templates = {
            "patient": "Patient/{{context.patientId}}",
            "visit": "Encounter/{{context.encounterId}}",
            "user": "{{userPractitionerId}}",
        }
        assert CHART.prefetch(templates, CHART.context("patient-view")) == {"patient": PATIENT}

    def test_references_within_the_chart_become_type_and_id(self) -> None:
        stated = {"resourceType": "Condition", "subject": {"reference": "urn:uuid:a1"}}
        entries = [{"fullUrl": "urn:uuid:a1", "resource": {"resourceType": "Patient"}},
                   {"fullUrl": "urn:uuid:b2", "resource": stated}]  # fmt: skip
        chart = Chart({"resourceType": "Bundle", "entry": entries})
        (entry,) = chart.query("Condition?patient=a1")["entry"]
        assert entry["resource"] == stated | {"id": "b2", "subject": {"reference": "Patient/a1"}}

    @pytest.mark.parametrize("entry", [None, 5, [5, None], [{"resource": 5}, {}]])
    def test_a_bundle_without_a_patient_is_refused(self, entry: Any) -> None:
        with pytest.raises(ChartError, match="no Patient"):
            Chart({"resourceType": "Bundle", "entry": entry})


class TestContext:
    """What of a chart becomes the context of a hook."""

    def test_the_visit_going_on(self) -> None:
        chart = Chart(bundle(encounter("back-pain", "finished") | {"id": "old"}, encounter("back-pain")))
        expected = {"userId": "Practitioner/example", "patientId": "p1", "encounterId": "e1"}
        assert chart.context("patient-view") == expected

    def test_draft_orders(self) -> None:
        order = draft("spinal-traction", id="t1")
        chart = Chart(bundle(order, {"resourceType": "Practitioner", "id": "dr2"}))
        context = chart.context("order-select")
        assert context["userId"] == "Practitioner/dr2"
        assert [entry["resource"] for entry in context["draftOrders"]["entry"]] == [order]
        assert context["selections"] == ["ServiceRequest/t1"]
        assert "selections" not in chart.context("order-sign")
        assert "draftOrders" not in chart.context("patient-view")

    @pytest.mark.parametrize("hook", ["encounter-start", "order-select", "order-sign"])
    def test_a_chart_without_what_the_hook_is_about_is_refused(self, cli: Cli, server: Server, hook: str) -> None:
        ran = cli("call", server.url, cli.file(bundle()), "--hook", hook)
        assert (ran.code, ran.out) == (2, "")
        assert one_line(ran.err)
        assert hook in ran.err


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("server")) as started:
        yield started


class TestService:
    """Against the service, in a process of its own."""

    def test_a_sample_chart_is_moved_to_today_and_answered(self, cli: Cli, server: Server) -> None:
        path = str(ROOT / "fhir_profiles" / "examples" / "01-cauda-equina.json")
        ran = cli("call", server.url, path)
        assert (ran.code, ran.err) == (0, "")
        assert "back-pain-patient-view" in ran.out
        assert "CRITICAL" in ran.out
        assert "[ " in ran.out  # a suggestion, as a button

    @pytest.mark.parametrize("path", ["/", "/cds-services", "/cds-services/back-pain-patient-view"])
    def test_any_of_the_service_s_addresses_will_do(self, cli: Cli, server: Server, path: str) -> None:
        assert cli("call", server.url + path, cli.file(bundle()), "--json").json == {"cards": []}

    def test_every_sample_gets_the_cards_of_its_story(self, cli: Cli, server: Server) -> None:
        for name in samples.names():
            story = samples.story(name)
            ran = cli("call", server.url, cli.file(samples.load(name)), "--hook", story["hook"], "--json")
            assert ran.code == 0, name
            expected = story["cards"].get("order-safety", story["cards"])
            assert len(ran.json["cards"]) == len(expected), name

    @pytest.mark.parametrize("hook", ["encounter-start", "order-select", "order-sign"])
    def test_every_hook_can_be_called(self, cli: Cli, server: Server, hook: str) -> None:
        chart = bundle(back_pain(), condition("osteoporosis"), encounter("back-pain"), draft("spinal-traction"))
        ran = cli("call", server.url, cli.file(chart), "--hook", hook, "--json")
        assert ran.code == 0
        assert ("order-safety" in groups(ran.json)) == hook.startswith("order")

    def test_a_ready_request_is_sent_as_it_is(self, cli: Cli, server: Server) -> None:
        ran = cli("call", server.url, cli.file(call("order-sign", condition("osteoporosis"))), "--json")
        assert set(groups(ran.json)) == {"order-safety"}

    def test_an_error_is_told_with_its_issues(self, cli: Cli, server: Server) -> None:
        path = cli.file(changed(call(), "prefetch.patient", ...))
        ran = cli("call", server.url, path)
        assert (ran.code, ran.out) == (1, "")
        assert "back-pain-patient-view answered 412" in ran.err
        assert "(prefetch.patient)" in ran.err
        as_json = cli("call", server.url, path, "--json")
        assert (as_json.code, as_json.json["resourceType"]) == (1, "OperationOutcome")

    def test_a_hook_that_nobody_serves_is_told_with_those_served(self, cli: Cli, server: Server) -> None:
        ran = cli("call", server.url, cli.file(changed(call(), "hook", "appointment-book")))
        assert ran.code == 2
        assert "back-pain-order-sign (order-sign)" in ran.err

    def test_dates_are_left_alone_when_asked(self, cli: Cli, server: Server) -> None:
        old = (back_pain(days_ago=400), condition("urinary-retention", days_ago=400))
        chart = bundle(*old, timestamp="2025-10-20T00:00:00Z")
        today = cli("call", server.url, cli.file(chart), "--json").json
        as_dated = cli("call", server.url, cli.file(chart), "--json", "--no-today").json
        assert "emergency" in groups(today)
        assert "emergency" not in groups(as_dated)

    def test_today_needs_a_timestamp(self, cli: Cli, server: Server) -> None:
        assert cli("call", server.url, cli.file(bundle()), "--no-today").code == 0
        ran = cli("call", server.url, cli.file(bundle()), "--today")
        assert ran.code == 2
        assert "timestamp" in ran.err


@contextmanager
def answering(status: int, body: Any, headers: dict[str, str] | None = None) -> Iterator[str]:
    """A server whose discovery is in order and whose service answers as told; yields its URL."""
    prefetch = {"patient": "Patient/{{context.patientId}}", "odd": 5}
    discovery = {"services": [5, {"hook": "patient-view", "id": "s1", "prefetch": prefetch}]}
    answers = {"GET": (200, json.dumps(discovery).encode(), {}), "POST": (status, body, headers or {})}

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            code, content, extra = answers[self.command]
            self.send_response(code)
            for name, value in {**extra, "Content-Length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = answer

        def log_message(self, *_: Any) -> None:
            """Nothing: the test's output is its own."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


class TestOtherServices:
    """A service may be anybody's: what it sends is shown, never obeyed."""

    @pytest.mark.parametrize(
        ("status", "body", "said"),
        [
            (500, b"<html>", "s1 answered 500"),
            (200, b"<html>", "something else than CDS Hooks JSON"),
            (200, b"[]", "something else than CDS Hooks JSON"),
            (200, b'{"cards": 5}', "something else than CDS Hooks JSON"),
            (200, b'{"cards": [' + b"[" * 100_000, "something else than CDS Hooks JSON"),
            (200, b"\xff", "something else than CDS Hooks JSON"),
            (422, b'{"resourceType": "OperationOutcome", "issue": [{"details": {"text": "Bad luck"}}, 5]}', "Bad luck"),
        ],
    )
    def test_errors_exit_with_1(self, cli: Cli, status: int, body: bytes, said: str) -> None:
        with answering(status, body) as url:
            ran = cli("call", url, cli.file(bundle()))
        assert (ran.code, ran.out) == (1, "")
        assert said in ran.err

    def test_redirects_are_not_followed(self, cli: Cli) -> None:
        elsewhere = answering(200, b'{"cards": [{"summary": "elsewhere"}]}')
        with elsewhere as other, answering(307, b"", {"Location": f"{other}/cds-services/s1"}) as url:
            ran = cli("call", url, cli.file(bundle()))
        assert ran.code == 1
        assert "s1 answered 307" in ran.err

    def test_cards_cannot_steer_the_terminal(self, cli: Cli) -> None:
        nasty = "\x1b[31m\x9b2J\x07\u202e[red]red[/red]"
        card = {
            "summary": nasty,
            "detail": f"&#27;[31m &#x9b;2J <script>alert(1)</script> {nasty} [look](https://look.example/here)",
            "indicator": nasty,
            "source": {"label": nasty, "topic": {"display": nasty}},
            "suggestions": [{"label": nasty, "actions": [{"type": nasty, "resource": {"code": {"text": nasty}}}]}],
            "overrideReasons": [{"display": nasty}],
            "links": [{"label": nasty, "url": nasty, "type": "smart"}],
        }
        with answering(200, json.dumps({"cards": [card]}).encode()) as url:
            ran = cli("call", url, cli.file(bundle()))
            as_json = cli("call", url, cli.file(bundle()), "--json")
        assert ran.code == 0
        assert not set(ran.out + as_json.out) & set("\x1b\x9b\x07\u202e")
        assert "[red]red[/red]" in ran.out
        assert "https://look.example/here" in ran.out
        assert "<script>" not in ran.out
        assert as_json.json == {"cards": [card]}

    @pytest.mark.parametrize("card", [{}, {"summary": 5, "source": [], "suggestions": {}, "links": [None]}, 5, None])
    def test_odd_cards_are_no_crash(self, cli: Cli, card: Any) -> None:
        with answering(200, json.dumps({"cards": [card]}).encode()) as url:
            assert cli("call", url, cli.file(bundle())).code == 0


def test_nobody_there(cli: Cli) -> None:
    ran = cli("call", f"http://127.0.0.1:{free_port()}", cli.file(bundle()))
    assert (ran.code, ran.out) == (2, "")
    assert one_line(ran.err)
    assert "cannot be reached" in ran.err


def test_somebody_who_hangs_up(cli: Cli) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        hang_up = Thread(target=lambda: listening.accept()[0].close())
        hang_up.start()
        ran = cli("call", f"http://127.0.0.1:{listening.getsockname()[1]}", cli.file(bundle()))
        hang_up.join()
    assert ran.code == 2
    assert one_line(ran.err)


@pytest.mark.parametrize(
    "url",
    ["", "127.0.0.1:8080", "file:///etc/passwd", "ftp://h/", "http://", "http://h:port", "http://h:99999", "http://h/?q",
     "http://h/ x", "http://h\r\nX: y", "http://hö.example", "http://[::1"],
)  # fmt: skip
def test_what_is_no_address_of_a_service_is_refused(cli: Cli, url: str) -> None:
    ran = cli("call", url, cli.file(bundle()))
    assert ran.code == 2
    assert one_line(ran.err)
    assert "http://127.0.0.1:8080" in ran.err


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b'{"resourceType": "Bundle"}', b'{"resourceType": "Patient"}'])
def test_unusable_charts_are_one_clear_line(cli: Cli, server: Server, content: bytes) -> None:
    ran = cli("call", server.url, cli.file(content))
    assert (ran.code, ran.out) == (2, "")
    assert one_line(ran.err)
