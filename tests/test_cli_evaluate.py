"""`backpain-cds evaluate`: what it takes, what it prints, how it ends (catalogue, section 9)."""

import gzip
import json
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cds.evaluation import CATALOGUE
from tests import cli_rig
from tests.cli_rig import Cli, one_line, program
from tests.records import AT, back_pain, condition, draft, encounter, observation, own
from tests.service_rig import EXTENSION, ROOT, call, changed, groups, patient

cli = cli_rig.cli
NOW = "2026-11-20T12:00:00Z"
EMERGENCY = condition("urinary-retention", days_ago=1)


def chart(*resources: Any, **elements: Any) -> dict[str, Any]:
    """One patient's Bundle."""
    entries = [{"resource": each} for each in (patient(), *resources)]
    return {"resourceType": "Bundle", "type": "collection", "entry": entries, **elements}


def status(result: dict[str, Any], criterion: str) -> str:
    return next(entry["status"] for entry in result["criteria"] if entry["id"] == criterion)


def test_a_bundle_is_a_complete_record(cli: Cli) -> None:
    ran = cli("evaluate", cli.file(chart(back_pain(), EMERGENCY)), "--at", NOW, "--json")
    assert (ran.code, ran.err) == (0, "")
    assert list(ran.json) == ["patient", "at", "backProblem", "criteria", "cards"]
    assert (ran.json["patient"], ran.json["at"]) == ("Patient/p1", NOW)
    assert ran.json["backProblem"]["current"] is True
    assert [entry["id"] for entry in ran.json["criteria"]] == [entry.id for entry in CATALOGUE]
    assert status(ran.json, "cauda-equina") == "met"
    assert status(ran.json, "cancer-history") == "not-met"
    assert groups(ran.json)["emergency"] == "critical"


def test_no_back_problem_is_null(cli: Cli) -> None:
    ran = cli("evaluate", cli.file(chart()), "--json")
    assert ran.json["backProblem"] is None
    assert ran.json["cards"] == []


def test_without_an_instant_the_clock_decides(cli: Cli) -> None:
    assert cli("evaluate", cli.file(chart()), "--json").json["at"] == AT.isoformat().replace("+00:00", "Z")


def test_stdin_and_gzip_are_read(cli: Cli) -> None:
    body = json.dumps(chart(back_pain())).encode()
    plain = cli("evaluate", "-", "--json", stdin=body)
    packed = cli("evaluate", "-", "--json", stdin=gzip.compress(body))
    file = cli("evaluate", cli.file(gzip.compress(body), "chart.json.gz"), "--json")
    marked = cli("evaluate", "-", "--json", stdin=b"\xef\xbb\xbf" + body)
    assert plain.code == 0
    assert plain.json["criteria"] == packed.json["criteria"] == file.json["criteria"] == marked.json["criteria"]


class TestRequests:
    """A CDS Hooks request is answered as its hook says."""

    def test_as_the_service_answers_it(self, cli: Cli) -> None:
        ran = cli("evaluate", cli.file(call("patient-view", EMERGENCY)), "--json")
        assert ran.code == 0
        assert groups(ran.json)["emergency"] == "critical"

    @pytest.mark.parametrize("name", ["Condition", "problems", "problem-list", "CONDITIONS"])
    def test_prefetch_keys_of_any_name_go_by_what_they_hold(self, cli: Cli, name: str) -> None:
        request = call("patient-view", EMERGENCY)
        renamed = changed(request, f"prefetch.{name}", request["prefetch"]["conditions"])
        ran = cli("evaluate", cli.file(changed(renamed, "prefetch.conditions", ...)), "--json")
        assert status(ran.json, "cauda-equina") == "met"
        assert status(ran.json, "cancer-history") == "not-met"

    def test_two_keys_may_hold_one_type(self, cli: Cli) -> None:
        more = {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": EMERGENCY}]}
        ran = cli("evaluate", cli.file(changed(call(), "prefetch.encounterDiagnoses", more)), "--json")
        assert status(ran.json, "cauda-equina") == "met"

    @pytest.mark.parametrize(("name", "expected"), [("condition", "not-met"), ("whatever", "unknown")])
    def test_an_empty_answer_goes_by_the_name_of_its_key(self, cli: Cli, name: str, expected: str) -> None:
        empty = {"resourceType": "Bundle", "type": "searchset"}
        request = changed(changed(call(), "prefetch.conditions", ...), f"prefetch.{name}", empty)
        assert status(cli("evaluate", cli.file(request), "--json").json, "cancer-history") == expected

    def test_a_patient_under_another_key_is_the_patient(self, cli: Cli) -> None:
        request = changed(changed(call(), "prefetch.patient", ...), "prefetch.item1", patient())
        assert cli("evaluate", cli.file(request), "--json").code == 0

    def test_an_absent_key_is_a_search_not_done(self, cli: Cli) -> None:
        ran = cli("evaluate", cli.file(changed(call(), "prefetch.conditions", ...)), "--json")
        assert status(ran.json, "cancer-history") == "unknown"

    def test_the_hook_can_be_chosen(self, cli: Cli) -> None:
        request = call("order-sign", condition("osteoporosis"))
        assert set(groups(cli("evaluate", cli.file(request), "--json").json)) == {"order-safety"}
        as_view = cli("evaluate", cli.file(request), "--json", "--hook", "patient-view").json
        assert "order-safety" not in groups(as_view)


class TestBundles:
    """What of a Bundle belongs to the context of a hook (catalogue, section 2 rule 10)."""

    def test_draft_orders_are_those_of_an_order_hook(self, cli: Cli) -> None:
        path = cli.file(chart(back_pain(), condition("osteoporosis"), draft("spinal-traction")))
        assert cli("evaluate", path, "--json").json["cards"] != []
        shown = cli("evaluate", path, "--json", "--hook", "order-sign").json["cards"]
        assert [card["extension"][EXTENSION]["criteria"][0]["id"] for card in shown] == ["traction-caution"]

    def test_the_visit_going_on_can_be_the_back_problem(self, cli: Cli) -> None:
        ran = cli("evaluate", cli.file(chart(encounter("back-pain"))), "--json", "--hook", "encounter-start")
        assert ran.json["backProblem"] is not None


class TestInstants:
    """--at takes a day or a date with time; without a zone it is the site's."""

    @pytest.mark.parametrize(
        ("given", "expected"),
        [
            ("2026-11-20", "2026-11-20T23:59:59Z"),
            ("2026-11-20T12:00:00Z", "2026-11-20T12:00:00Z"),
            ("2026-11-20T12:00z", "2026-11-20T12:00:00Z"),
            ("2026-11-20T12:00", "2026-11-20T12:00:00Z"),
            ("2026-11-20 12:00:30.5", "2026-11-20T12:00:30Z"),
            ("2026-11-20T12:00:00+14:00", "2026-11-19T22:00:00Z"),
        ],
    )
    def test_forms(self, cli: Cli, given: str, expected: str) -> None:
        assert cli("evaluate", cli.file(chart()), "--json", "--at", given).json["at"] == expected

    @pytest.mark.parametrize(
        ("given", "utc"), [("2026-07-01", "2026-07-02T03:59:59Z"), ("2026-07-01T08:00", "2026-07-01T12:00:00Z")]
    )
    def test_the_site_zone_counts(self, cli: Cli, given: str, utc: str) -> None:
        config = cli.file('time_zone = "America/New_York"', "site.toml")
        ran = cli("evaluate", cli.file(chart()), "--json", "--at", given, "--config", config)
        assert ran.json["at"] == utc

    @pytest.mark.parametrize(
        "given",
        [
            *("", "tomorrow", "2026", "2026-11", "2026-02-30", "20261120", "٢٠٢٦-11-20"),
            *("2026-11-20T25:00", "2026-11-20T12:00:00 PM", "2026-11-20T12:00+99:00"),
            *("9999-12-31T23:59:59Z", "9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00+14:00"),
        ],
    )
    def test_anything_else_is_refused_with_the_form_wanted(self, cli: Cli, given: str) -> None:
        ran = cli("evaluate", cli.file(chart()), "--at", given)
        assert ran.code == 2
        assert one_line(ran.err)
        assert "2026-11-20T12:00:00Z" in ran.err


UNUSABLE = {
    "empty": (b"", "not JSON"),
    "not JSON": (b"{", "not JSON"),
    "not text": (b"\xff\xfe\x00", "not JSON"),
    "a list": (b"[]", "a CDS Hooks request or a FHIR Bundle"),
    "a number": (b"1", "a CDS Hooks request or a FHIR Bundle"),
    "null": (b"null", "a CDS Hooks request or a FHIR Bundle"),
    "nested without end": (b'{"skipped":' * 100_000, "not JSON"),
    "another object": (b"{}", "another JSON object"),
    "another resource": (b'{"resourceType": "Patient", "id": "p1"}', "a FHIR Patient"),
    "two documents": (b"{}\n{}", "--ndjson"),
    "Bundle without Patient": (b'{"resourceType": "Bundle"}', "no Patient"),
    "Bundle of two": (chart(patient(id="p2")), "2 Patients"),
    "Bundle of odd entries": (b'{"resourceType": "Bundle", "entry": 5}', "Bundle"),
    "unknown hook": (changed(call(), "hook", "patient-greet"), "patient-view, encounter-start"),
    "hook of wrong type": (changed(call(), "hook", 5), "patient-view, encounter-start"),
    "no context": (changed(call(), "context", ...), "context"),
    "no prefetch": (changed(call(), "prefetch", ...), "prefetch.patient"),
    "prefetch of wrong type": (changed(call(), "prefetch", []), "prefetch"),
    "no Patient": (changed(call(), "prefetch.patient", ...), "prefetch.patient"),
    "another Patient": (changed(call(), "prefetch.patient.id", "p2"), "patient"),
    "cut-off gzip": (gzip.compress(json.dumps(chart()).encode() * 9)[:60], "cut off"),
    "damaged gzip": (b"\x1f\x8b\x08\x00" + b"\x00" * 6 + b"\xff" * 30, "damaged"),
}


@pytest.mark.parametrize(("content", "said"), UNUSABLE.values(), ids=UNUSABLE)
def test_unusable_input_is_one_clear_line_and_exit_code_2(cli: Cli, content: Any, said: str) -> None:
    path = cli.file(content)
    for ran in (cli("evaluate", path), cli("evaluate", path, "--json")):
        assert (ran.code, ran.out) == (2, "")
        assert one_line(ran.err), ran.err
        assert said in ran.err
        assert "chart.json" in ran.err


@pytest.mark.parametrize(
    "args",
    [
        ["evaluate", "no/such/file.json"],
        ["evaluate", "."],
        ["evaluate", "nul\0byte"],
        ["evaluate", "-", "--config", "no-such.toml"],
    ],
)
def test_what_cannot_be_opened_is_one_clear_line(cli: Cli, args: list[str]) -> None:
    ran = cli(*args)
    assert ran.code == 2
    assert one_line(ran.err)


@pytest.mark.parametrize(
    "args", [["evaluate"], ["evaluate", "x", "--hook", "other"], ["evaluate", "x", "--what"], [], ["what"]]
)
def test_unusable_options_exit_with_2(cli: Cli, args: list[str]) -> None:
    ran = cli(*args)
    assert ran.code == 2
    assert "usage:" in ran.err


class TestNdjson:
    """One chart a line in, one result a line out."""

    def test_all_good(self, cli: Cli) -> None:
        stream = "\n".join(json.dumps(each) for each in (chart(), call("patient-view", EMERGENCY)))
        ran = cli("evaluate", cli.file(stream), "--ndjson", "--at", NOW)
        assert (ran.code, ran.err) == (0, "")
        assert [line["at"] for line in ran.lines] == [NOW, NOW]
        assert [status(line, "cauda-equina") for line in ran.lines] == ["unknown", "met"]

    def test_a_bad_line_costs_itself(self, cli: Cli) -> None:
        good = json.dumps(chart())
        ran = cli(
            "evaluate", "-", "--ndjson", stdin="\n".join([good, "{", "", '{"resourceType": "Bundle"}', good]).encode()
        )
        assert ran.code == 1
        assert [line.get("line") for line in ran.lines] == [None, 2, 4, None]
        assert all(set(line) == {"line", "error"} for line in ran.lines if "line" in line)
        assert "no Patient" in ran.lines[2]["error"]

    def test_results_are_those_of_the_single_charts(self, cli: Cli) -> None:
        single = cli("evaluate", cli.file(chart(back_pain())), "--json").json
        line = cli("evaluate", "-", "--ndjson", stdin=gzip.compress(json.dumps(chart(back_pain())).encode())).lines[0]
        assert line.keys() == single.keys()
        assert line["patient"] == single["patient"]

    def test_nothing_in_nothing_out(self, cli: Cli) -> None:
        assert cli("evaluate", "-", "--ndjson") == (0, "", "")

    def test_a_stream_that_breaks_off_keeps_what_came_before(self, cli: Cli) -> None:
        lines = "".join(json.dumps(chart(identifier={"value": str(n)})) + "\n" for n in range(600)).encode()
        packed = gzip.compress(lines)
        ran = cli("evaluate", cli.file(packed[: len(packed) * 9 // 10]), "--ndjson")
        assert ran.code == 2
        assert len(ran.lines) > 50
        assert "cut off" in ran.err


class TestReport:
    """What a person reads."""

    def test_says_whom_what_and_why(self, cli: Cli) -> None:
        ran = cli("evaluate", cli.file(chart(back_pain(), EMERGENCY)), "--at", NOW)
        assert ran.code == 0
        for said in ("Patient/p1, female, 50 years", "2026-11-20 12:00 UTC", "Back problem since 2026-11-10, current",
                     "CRITICAL", "cauda-equina", "Knowledge 2."):  # fmt: skip
            assert said in ran.out
        assert "\x1b" not in ran.out
        assert max(map(len, ran.out.splitlines())) <= 100

    def test_silence_is_not_sold_as_health(self, cli: Cli) -> None:
        ran = cli("evaluate", cli.file(chart()))
        assert "No back problem on record" in ran.out
        assert "It does not mean: no red flags." in ran.out

    def test_gaps_are_named(self, cli: Cli) -> None:
        odd = condition("back-pain") | {"code": 5}
        foreign = condition("back-pain") | {"subject": {"reference": "Patient/other"}}
        request = changed(call("patient-view", odd, foreign), "prefetch.observations", ...)
        ran = cli("evaluate", cli.file(request))
        assert "Not available: Observation" in ran.out
        assert "left out: 1 Condition" in ran.out
        assert "another patient and left out: 1" in ran.out

    def test_chart_text_cannot_steer_the_terminal(self, cli: Cli) -> None:
        text = "back \x1b[31m\x9b31m\x07\u202e[bold]pain[/bold]\r\n&#27;"
        named = back_pain() | {"code": back_pain()["code"] | {"text": text}}
        for option in ([], ["--json"], ["--ndjson"]):
            out = cli("evaluate", cli.file(json.dumps(chart(named))), *option).out
            assert not set(out) & set("\x1b\x9b\x07\r\u202e")
            assert "[bold]pain[/bold]" in out

    def test_a_narrow_terminal_is_kept_to(self, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("COLUMNS", "72")
        ran = cli("evaluate", cli.file(chart(back_pain(), EMERGENCY)))
        assert max(map(len, ran.out.splitlines())) <= 72
        assert "persistent-after-compression-treatment" in ran.out

    def test_disabled_criteria_are_left_out(self, cli: Cli) -> None:
        config = cli.file('disabled = ["cauda-equina"]', "site.toml")
        path = cli.file(chart(back_pain(), EMERGENCY))
        ran = cli("evaluate", path, "--config", config)
        assert "disabled here: cauda-equina" in ran.out
        result = cli("evaluate", path, "--json", "--config", config).json
        assert "cauda-equina" not in [entry["id"] for entry in result["criteria"]]


def test_own_finding_code_counts(cli: Cli) -> None:
    told = observation("saddle-anesthesia", value=True, code=own("saddle-anesthesia"), days_ago=0)
    ran = cli("evaluate", cli.file(chart(back_pain(), told)), "--json", "--at", NOW)
    assert status(ran.json, "cauda-equina") == "met"


class TestProgram:
    """As a program of its own."""

    def test_exit_codes(self) -> None:
        good = json.dumps(chart()).encode()
        assert program("evaluate", "-", "--json", stdin=good).code == 0
        assert program("evaluate", "-", "--ndjson", stdin=good + b"\n{").code == 1
        refused = program("evaluate", "-", stdin=b"{")
        assert refused.code == 2
        assert one_line(refused.err)

    def test_progress_is_shown_to_who_watches_and_results_go_elsewhere(self, tmp_path: Path) -> None:
        charts = tmp_path / "charts.ndjson"
        charts.write_text((json.dumps(chart()) + "\n") * 3)
        watching, terminal = pty.openpty()
        try:
            done = subprocess.run(
                [sys.executable, "-m", "hooks.cli", "evaluate", str(charts), "--ndjson"],
                stdout=subprocess.PIPE, stderr=terminal, cwd=ROOT, env={**os.environ, "TERM": "xterm"},
            )  # fmt: skip
            shown = os.read(watching, 100_000).decode()
        finally:
            os.close(watching)
            os.close(terminal)
        assert done.returncode == 0
        assert [json.loads(line)["patient"] for line in done.stdout.splitlines()] == ["Patient/p1"] * 3
        assert "evaluating" in shown
        assert "Patient/p1" not in shown

    def test_a_reader_that_leaves_is_no_error(self) -> None:
        lines = (json.dumps(chart()).encode() + b"\n") * 200
        child = subprocess.Popen(
            [sys.executable, "-m", "hooks.cli", "evaluate", "-", "--ndjson"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT,
        )  # fmt: skip
        child.stdout.close()
        _, err = child.communicate(lines)
        assert (child.returncode, err) == (141, b"")

    def test_an_encoding_without_the_characters_is_no_error(self) -> None:
        ran = program("evaluate", "-", stdin=json.dumps(chart(back_pain())).encode(), PYTHONIOENCODING="ascii")
        assert ran.code == 0

    def test_color_is_the_terminal_s_choice(self) -> None:
        body = json.dumps(chart(back_pain())).encode()
        assert "\x1b[" in program("evaluate", "-", stdin=body, FORCE_COLOR="1", TERM="xterm").out
        assert "\x1b[3" not in program("evaluate", "-", stdin=body, FORCE_COLOR="1", NO_COLOR="1", TERM="xterm").out
