"""The workbench's pages without a browser: what a form brings, and that it is what the service says."""

import json
import re
import shlex
from datetime import timedelta
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import html5lib
import pytest
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.datastructures import FileStorage
from werkzeug.test import TestResponse, encode_multipart

from cds.evaluation import CATALOGUE
from cds.facts import Evidence
from cds.limits import THRESHOLDS
from fhir_profiles import samples
from hooks.app import MAX_BODY
from hooks.feedback import parse_feedback
from hooks.services import SEARCH_KEYS
from hooks.settings import Settings, read_limits
from hooks.workbench.facts import LANES, Fact
from hooks.workbench.timeline import LEFT, RIGHT, picture
from tests.records import AT, condition, observation
from tests.service_rig import EXTENSION, HOOKS, INTAKE_URL, JSON, app, call, changed, client, groups, path_of

PAGE = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
NAMES = samples.names()
VOID = {"meta", "link", "input", "br"}
ORDERS = ["mri-lumbar", "spinal-traction", "spinal-fusion"]


def bench(**settings: Any) -> FlaskClient:
    return app(Settings(intake_url=INTAKE_URL, workbench=True, development=True, **settings)).test_client()


def post(part: str = "", status: int = 200, **fields: Any) -> TestResponse:
    boundary, body = encode_multipart(fields)
    answer = bench().post(f"/{part}", data=body, content_type=f"multipart/form-data; boundary={boundary}")
    assert answer.status_code == status, answer.text[:2000]
    return answer


class Element(NamedTuple):
    """said: the pieces of text in it."""

    tag: str
    attributes: dict[str, str | None]
    said: list[str]

    @property
    def text(self) -> str:
        return "".join(self.said)


class Reader(HTMLParser):
    """The elements of a page, in their order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[Element] = []
        self._open: list[Element] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, dict(attrs), [])
        self.elements.append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(Element(tag, dict(attrs), []))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop().tag == tag

    def handle_data(self, data: str) -> None:
        for element in self._open:
            element.said.append(data)


def elements(answer: TestResponse, tag: str = "", **attributes: str) -> list[Element]:
    """Those of a tag with these attributes."""
    read = Reader(f"<root>{answer.text}</root>").elements
    return [
        each
        for each in read
        if (not tag or each.tag == tag) and all(each.attributes.get(key) == value for key, value in attributes.items())
    ]


def text_of(answer: TestResponse) -> str:
    return " ".join(elements(answer, "root")[0].text.split())


def part(answer: TestResponse, id_: str) -> str:
    """The text of the element with that id."""
    (found,) = elements(answer, id=id_)
    return found.text


def statuses(answer: TestResponse) -> dict[str, str]:
    """Criterion -> its status in the table."""
    found, status = {}, ""
    for each in elements(answer):
        if each.tag == "tr":
            status = (each.attributes.get("class") or "").partition(" ")[0]
        elif each.attributes.get("name") == "disabled":
            found[each.attributes["value"]] = status
    return found


def response_of(answer: TestResponse) -> dict[str, Any]:
    return json.loads(part(answer, "response"))


# --- the entrance ----------------------------------------------------------------------------------------


def test_people_get_the_page_and_programs_the_json_they_always_got():
    for headers in ({}, {"Accept": JSON}, {"Accept": "*/*"}):
        assert bench().get("/", headers=headers).get_json() == client().get("/").get_json()
    page = bench().get("/", headers=PAGE)
    assert page.content_type == "text/html; charset=utf-8"
    assert "Workbench" in text_of(page)


def test_without_the_setting_there_is_none():
    assert client().get("/", headers=PAGE).is_json
    assert client().post("/", headers=PAGE).status_code == 405
    assert client().post("/workbench/request.json").status_code == 404


def test_a_page_may_load_from_here_only_and_is_not_kept():
    for answer in (bench().get("/", headers=PAGE), post(patient="own", chart="{", status=400)):
        policy = dict(each.strip().split(" ", 1) for each in answer.headers["Content-Security-Policy"].split(";"))
        assert policy.pop("default-src") == policy.pop("base-uri") == policy.pop("frame-ancestors") == "'none'"
        assert policy.pop("img-src") == "'self' data:"
        assert set(policy.values()) == {"'self'"}
        assert answer.headers["Cache-Control"] == "no-store"
        assert not re.search(r"\son\w+=|\sstyle=|<script(?! type=\"module\" src=)", answer.text)


# --- samples ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_a_sample_shows_the_cards_of_its_story(name: str):
    page = bench().get(f"/?patient={name}", headers=PAGE)
    story = samples.story(name)
    cards = response_of(page)["cards"]
    shown = groups({"cards": cards})
    if "order-safety" not in story["cards"]:
        assert shown == story["cards"]
    met = {id_ for id_, status in statuses(page).items() if status == "met"}
    assert set(story["met"]) <= met
    assert met.isdisjoint(story["notMet"])
    assert story["title"] in text_of(page)
    assert all(card["summary"] in text_of(page) for card in cards)


@pytest.mark.parametrize("hook", HOOKS)
@pytest.mark.parametrize("name", NAMES[::4])
def test_every_hook_can_be_tried_on_every_sample(name: str, hook: str):
    page = post("?part=outcome", patient=name, hook=hook)
    sent = post("workbench/request.json", patient=name, hook=hook).get_json()
    assert sent["hook"] == hook
    direct = client(workbench=True, development=True).post(path_of(hook), json=sent)
    assert direct.status_code == 200
    assert [each["summary"] for each in direct.get_json()["cards"]] == [
        each["summary"] for each in response_of(page)["cards"]
    ]


def test_each_criterion_and_threshold_is_there_once():
    page = post(patient=NAMES[0])
    assert list(statuses(page)) == [entry.id for entry in CATALOGUE]
    assert re.findall(r'name="threshold\.(\w+)"', page.text) == [each.key for each in THRESHOLDS]


def test_evidence_opens_the_json_of_its_resource():
    page = post(patient=NAMES[0])
    opened = {each.attributes["id"]: each.text for each in elements(page, "div") if "popover" in each.attributes}
    wanted = {each.attributes.get("popovertarget") for each in elements(page, "button")} - {None}
    assert wanted == set(opened)
    for text in opened.values():
        resource = json.loads(text[text.index("{") :])
        assert text.split()[0].startswith(f"{resource['resourceType']}/{resource['id']}")


def test_the_command_sends_the_request():
    page = post(patient="09-isolated-spasm")
    words = shlex.split(part(page, "command").replace("\\\n", ""))
    assert words[:3] == ["curl", "-sS", "http://localhost/cds-services/back-pain-patient-view"]
    assert json.loads(words[words.index("--data-raw") + 1]) == json.loads(part(page, "request"))


VALID = {
    "sample": {"patient": NAMES[5]},
    "orders": {"patient": NAMES[18], "hook": "order-select"},
    "changes": {"patient": NAMES[6], "threshold.pain_moderate": "7", "disabled": "neural-compression"},
    "bad": {"patient": "own", "chart": "</textarea><b>"},
}


@pytest.mark.parametrize("fields", VALID.values(), ids=VALID)
def test_the_html_is_valid(fields: dict[str, str]):
    html5lib.HTMLParser(strict=True).parse(post(status=400 if "chart" in fields else 200, **fields).text)


# --- changes ---------------------------------------------------------------------------------------------

SCIATICA = "07-sciatica-failed-conservative"


def test_a_changed_threshold_shows_what_it_changes():
    before, after = post(patient=SCIATICA), post(patient=SCIATICA, **{"threshold.pain_moderate": "7"})
    assert statuses(before)["significant-radicular-pain"] == "met"
    assert statuses(after)["significant-radicular-pain"] == "not-met"
    assert "What your changes change" not in before.text
    assert "Moderate to severe radicular pain met → becomes not met" in text_of(after)


def test_the_thresholds_in_force_change_nothing():
    stated = {f"threshold.{each.key}": f"{each.default:g}" for each in THRESHOLDS}
    assert "What your changes change" not in post(patient=SCIATICA, **stated).text


def test_the_site_s_thresholds_are_those_in_force():
    answer = (
        app(Settings(workbench=True, development=True, limits=_limits(pain_moderate=7)))
        .test_client()
        .get(f"/?patient={SCIATICA}", headers=PAGE)
    )
    assert statuses(answer)["significant-radicular-pain"] == "not-met"
    assert 'name="threshold.pain_moderate" type="number" step="any" min="0" max="10" value="7"' in answer.text


def _limits(**changed: float) -> Any:
    return read_limits(changed)


def test_a_resource_left_out_is_no_fact_any_more_and_can_be_put_back():
    fact = "Condition/e3c6588d7865154.retention"
    whole = post(patient=NAMES[0])
    without = post(patient=NAMES[0], without=fact)
    sent = post("workbench/request.json", patient=NAMES[0], without=fact).text
    assert fact.partition("/")[2] in part(whole, "request")
    assert fact.partition("/")[2] not in sent
    assert "1 resource left out" in text_of(without)
    boxes = elements(without, "input", name="without")
    assert [each.attributes["value"] for each in boxes if "checked" in each.attributes] == [fact]


def test_a_criterion_left_out_is_in_no_answer():
    page = post(patient=NAMES[0], disabled="cauda-equina")
    assert statuses(page)["cauda-equina"] == "off"
    assert "Possible cauda equina syndrome met → becomes left out" in text_of(page)
    shown = [each["id"] for card in response_of(page)["cards"] for each in card["extension"][EXTENSION]["criteria"]]
    assert "cauda-equina" not in shown


def test_what_the_site_disables_stays_so():
    page = bench(disabled=frozenset({"night-pain"})).get(f"/?patient={NAMES[1]}", headers=PAGE)
    (box,) = elements(page, "input", value="night-pain")
    assert {"checked", "disabled"} <= set(box.attributes)


def test_another_instant():
    early = AT - timedelta(days=10)
    page = post(patient=NAMES[0], at=f"{early:%Y-%m-%dT%H:%M}")
    assert f"{early:%Y-%m-%d %H:%M} UTC" in text_of(page)
    assert statuses(page)["cauda-equina"] != "met"


# --- orders ----------------------------------------------------------------------------------------------


def test_an_order_hook_without_orders_gets_one():
    page = post(patient=NAMES[0], hook="order-sign")
    assert "was put into the cart" in text_of(page)
    assert groups(response_of(page)) == {"order-safety": "critical"}


@pytest.mark.parametrize("hook", ["order-select", "order-sign"])
def test_sample_orders_are_known_to_the_criteria(hook: str):
    page = post("workbench/request.json", patient="13-no-back-problem", hook=hook, order=ORDERS)
    cart = [each["resource"] for each in page.get_json()["context"]["draftOrders"]["entry"]]
    assert [each["id"] for each in cart] == [f"workbench-{concept}" for concept in ORDERS]
    known = app(Settings(intake_url=INTAKE_URL)).site.knowledge
    for concept, order in zip(ORDERS, cart, strict=True):
        coding = order["code"]["coding"][0]
        assert concept in known.concepts([(coding["system"], coding["code"])])


def test_only_what_is_selected_is_asked_about():
    everything = post("workbench/request.json", patient=NAMES[0], hook="order-select", order=ORDERS)
    names = [f"ServiceRequest/workbench-{concept}" for concept in ORDERS]
    assert everything.get_json()["context"]["selections"] == names
    fields = {"patient": NAMES[0], "hook": "order-select", "order": ORDERS, "offered": names[:2], "selected": names[1]}
    assert post("workbench/request.json", **fields).get_json()["context"]["selections"] == names[1:]


# --- one's own chart -------------------------------------------------------------------------------------


def test_a_request_goes_to_the_service_as_it_is():
    own = json.dumps(call("patient-view", condition("cauda-equina-syndrome", days_ago=1)), indent=3)
    assert post("workbench/request.json", patient="own", chart=own).data.decode() == own
    page = post(patient="own", chart=own)
    assert groups(response_of(page)) == {"emergency": "critical", "not-assessed": "info"}
    assert part(page, "chart").strip() == own


def test_a_file_is_shown_whatever_patient_is_chosen():
    chart = json.dumps(samples.load("09-isolated-spasm")).encode()
    page = post(patient=NAMES[0], file=FileStorage(BytesIO(b"\xef\xbb\xbf" + chart), "chart.json"))
    assert "Your FHIR Bundle" in text_of(page)
    assert json.loads(part(page, "chart")) == json.loads(chart)


@pytest.mark.parametrize("hook", HOOKS)
def test_a_request_for_one_hook_can_be_tried_with_another(hook: str):
    own = json.dumps(call("patient-view", condition("cauda-equina-syndrome", days_ago=1)))
    sent = post("workbench/request.json", patient="own", chart=own, hook=hook).get_json()
    assert client().post(path_of(hook), json=sent).status_code == 200
    assert response_of(post(patient="own", chart=own, hook=hook))["cards"]


def test_an_order_call_keeps_its_own_drafts_beside_sample_orders():
    own = json.dumps(call("order-sign"))
    cart = post("workbench/request.json", patient="own", chart=own, order="mri-lumbar").get_json()["context"][
        "draftOrders"
    ]
    assert len(cart["entry"]) == 2


def test_a_fact_of_a_request_can_be_left_out():
    finding = condition("cauda-equina-syndrome", days_ago=1)
    own = json.dumps(call("patient-view", finding))
    sent = post("workbench/request.json", patient="own", chart=own, without=f"Condition/{finding['id']}").get_json()
    assert finding["id"] not in json.dumps(sent)
    assert set(sent["prefetch"]) == {"patient", *SEARCH_KEYS}


BAD_CHARTS = {
    "nothing": ("", "No chart was given"),
    "no JSON": ('{"resourceType": "Bundle",', "Not JSON"),
    "another resource": ('{"resourceType": "Patient"}', "This is a FHIR Patient"),
    "a list": ("[]", "something else"),
    "no Patient": ('{"resourceType": "Bundle", "entry": []}', "holds no Patient"),
    "two Patients": (
        '{"resourceType": "Bundle", "entry": [{"resource": {"resourceType": "Patient", "id": "1"}}, '
        '{"resource": {"resourceType": "Patient", "id": "2"}}]}',
        "2 Patients",
    ),
    "another hook": ('{"hook": "medication-prescribe", "context": {}}', "Hook should be one of"),
    "deep": ('{"hook": ' + "[" * 100_000, "Not JSON"),
    "half a character": ('{"resourceType": "Bundle", "language": "\\ud800"}', "Not JSON"),
    "odd entries": (
        '{"resourceType": "Bundle", "entry": [1, {"resource": 2}, {"resource": {"resourceType": "Patient", "id": 3}}]}',
        "no id",
    ),
}


@pytest.mark.parametrize(("chart", "said"), BAD_CHARTS.values(), ids=BAD_CHARTS)
def test_a_bad_chart_gets_one_message_and_stays_in_the_form(chart: str, said: str):
    page = post(patient="own", chart=chart, status=400, at="2026-11-20T10:00", **{"threshold.pain_severe": "8"})
    (alert,) = elements(page, role="alert")
    assert said in alert.text
    assert part(page, "chart").removeprefix("\n") == chart
    assert 'value="8"' in page.text
    assert 'value="2026-11-20T10:00"' in page.text


BAD_FIELDS = {
    "threshold": ({"threshold.pain_severe": "many"}, "Threshold pain_severe: a number is expected."),
    "range": ({"threshold.pain_severe": "11"}, "Thresholds.pain_severe: 11 is greater than the maximum of 10"),
    "infinite": ({"threshold.pain_severe": "inf"}, "Thresholds.pain_severe: "),
    "order": ({"threshold.pain_moderate": "9"}, "Thresholds.pain_moderate: 9 is above thresholds.pain_severe"),
    "instant": ({"at": "yesterday"}, "Instant: a date with time"),
    "far": ({"at": "9999-12-31T23:59"}, "Instant: a date with time"),
    "hook": ({"hook": "nope"}, "Hook should be one of"),
    "sample": ({"patient": "nobody"}, "There is no sample patient of that name"),
}


@pytest.mark.parametrize(("fields", "said"), BAD_FIELDS.values(), ids=BAD_FIELDS)
def test_a_bad_field_is_named(fields: dict[str, str], said: str):
    assert said in text_of(post(status=400, **{"patient": NAMES[0], **fields}))


def test_what_the_service_would_refuse_is_shown_as_that():
    page = post(patient="own", chart=json.dumps(changed(call(), "prefetch.patient", ...)))
    assert "The service refuses this call: 412" in text_of(page)
    assert "prefetch.patient" in text_of(page)


def test_a_file_that_is_no_text():
    page = post(patient=NAMES[0], chart="kept", file=FileStorage(BytesIO(b"\xff\xfe{}"), "chart.json"), status=400)
    assert "The file is not UTF-8 text" in text_of(page)
    assert part(page, "chart").strip() == "kept"


def test_an_uploaded_chart_never_touches_the_disk(monkeypatch: pytest.MonkeyPatch):
    def refused(*_args: Any, **_more: Any) -> None:
        raise AssertionError("a file was made")

    monkeypatch.setattr("tempfile.TemporaryFile", refused)
    monkeypatch.setattr("tempfile.SpooledTemporaryFile", refused)
    monkeypatch.setattr("werkzeug.formparser.SpooledTemporaryFile", refused)
    large = json.dumps(call("patient-view", observation("pain-score", 4, note=[{"text": "x" * 900_000}]))).encode()
    page = post("?part=outcome", file=FileStorage(BytesIO(large), "chart.json"))
    assert "Your CDS Hooks request" in page.text


def test_a_chart_that_is_too_large():
    page = post("?part=outcome", chart="x" * (MAX_BODY + 1), status=413)
    assert "larger than 10 MiB" in page.text
    assert "<html" not in page.text


def test_a_large_request_is_not_shown_but_can_be_had():
    many = [observation("pain-score", 4, note=[{"text": "x" * 900}]) for _ in range(300)]
    own = json.dumps(call("patient-view", *many))
    page = post(patient="own", chart=own)
    assert "Too large to be shown here" in text_of(page)
    assert "--data-binary @request.json" in text_of(page)
    assert post("workbench/request.json", patient="own", chart=own).data.decode() == own


def test_a_download_that_cannot_be_made_says_why():
    assert "No chart was given" in text_of(post("workbench/request.json", patient="own", status=400))
    given = {"patient": "own", "chart": json.dumps(call()), "file": FileStorage(BytesIO(b"\xff\xfe{}"), "chart.json")}
    assert "The file is not UTF-8 text" in text_of(post("workbench/request.json", **given, status=400))


# --- acting on a card ------------------------------------------------------------------------------------


def verdicts(page: TestResponse) -> list[str]:
    return [each.attributes["value"] for each in elements(page, "button", name="verdict")]


def instance(page: TestResponse) -> str:
    return elements(page, "input", name="instance")[0].attributes["value"]


@pytest.mark.parametrize("kind", ["accept", "override"])
def test_a_verdict_is_feedback_that_the_service_takes(kind: str):
    page = post(patient=NAMES[0])
    said = next(each for each in verdicts(page) if each.startswith(kind))
    card = response_of(page)["cards"][0]
    reason = {f"reason.{card['uuid']}": card["overrideReasons"][1]["code"]}
    after = post(patient=NAMES[0], instance=instance(page), verdict=said, **reason)
    assert response_of(after) == response_of(page)
    feedback = part(after, "feedback-json").encode()
    (row,) = parse_feedback(feedback, "", "back-pain-patient-view", AT)
    assert row["outcome"] == {"accept": "accepted", "override": "overridden"}[kind]
    stated = json.loads(feedback)["feedback"][0]
    assert stated["card"] == card["uuid"]
    if kind == "accept":
        assert stated["acceptedSuggestions"] == [{"id": card["suggestions"][0]["uuid"]}]
        assert "Accepted: Referral to the emergency department" in text_of(after)
    else:
        wanted = {key: card["overrideReasons"][1][key] for key in ("code", "system")}
        assert stated["overrideReason"] == {"reason": wanted}


@pytest.mark.parametrize("said", ["accept", "accept x y", "override x", "nonsense", " "])
def test_a_verdict_on_no_card_is_none(said: str):
    assert "feedback-json" not in post(patient=NAMES[0], verdict=said).text


# --- the picture -----------------------------------------------------------------------------------------


def fact(lane: str, row: str, first: int, last: int) -> Fact:
    return Fact(lane, row, first, max(first, last), "", Evidence(f"Condition/{row}", row))


days = st.integers(700_000, 740_100)


@given(st.lists(st.builds(fact, st.sampled_from(LANES), st.text("abc", max_size=60), days, days)), days | st.none())
def test_the_picture_holds_all_its_marks_and_time_runs_to_the_right(facts: list[Fact], onset: int | None):
    shown = picture(facts, {"Condition/a"}, 740_000, onset)
    marks = [mark for row in shown.rows for mark in row.marks]
    assert all(LEFT <= mark.x <= mark.end <= RIGHT for mark in marks)
    assert all(row.y < shown.height for row in shown.rows)
    assert [row.y for row in shown.rows] == sorted({row.y for row in shown.rows})
    assert all(list(row.marks) == sorted(row.marks, key=lambda mark: mark.x) for row in shown.rows)
    ticks = [tick.x for tick in shown.ticks]
    assert ticks == sorted(ticks, reverse=True)
    assert ticks[0] == RIGHT
    rows = {(each.lane, each.row) for each in facts}
    assert len(shown.rows) + shown.left_out == len(rows)


def test_what_weighs_is_drawn_first_and_undated_facts_not_at_all():
    heavy, light = fact(LANES[0], "heavy", 739_000, 739_000), fact(LANES[0], "light", 739_999, 739_999)
    undated = fact(LANES[0], "undated", 0, 0)._replace(first=None, last=None)
    shown = picture([light, undated, heavy], {"Condition/heavy"}, 740_000, None)
    assert [(row.label, row.weighs) for row in shown.rows] == [("heavy", True), ("light", False)]


# --- nothing is kept -------------------------------------------------------------------------------------


def test_the_page_s_files_come_from_the_package():
    for name, kind in (("workbench.js", "text/javascript"), ("workbench.css", "text/css")):
        answer = bench().get(f"/static/{name}")
        assert (answer.status_code, answer.mimetype) == (200, kind)
    script = bench().get("/static/workbench.js").text
    assert not re.search(r"localStorage|sessionStorage|indexedDB|document\.cookie|https?://", script)


def test_no_template_has_a_machine_or_a_site_in_it():
    folder = Path(__file__).parent.parent / "hooks" / "workbench"
    for file in folder.rglob("*.html"):
        assert not re.search(r"https?://", file.read_text("utf-8")), file.name
