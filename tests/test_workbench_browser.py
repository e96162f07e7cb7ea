"""The workbench in a real browser, beside a real server: drop, type, tick, read; and text of a chart stays text."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from fhir_profiles import samples
from tests.bench.bodies import request_body
from tests.bench.workbench import measured
from tests.browser_rig import Watched, barriers, opened
from tests.records import condition, draft, observation
from tests.service_rig import Server, call, running
from tests.test_markdown import ATTACKS

CAUDA_EQUINA, SCIATICA = "01-cauda-equina", "07-sciatica-failed-conservative"
PER_CHART = 18


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("workbench")) as started:
        yield started


@pytest.fixture
def watched(browser: Browser, server: Server) -> Iterator[Watched]:
    """The page as it opens; at the end it has asked nobody else and nothing in it went wrong."""
    with opened(browser, f"{server.url}/") as page:
        yield page
        assert page.strangers(server.url) == []
        assert page.faults == []


@pytest.fixture
def page(watched: Watched) -> Page:
    return watched.page


def choose(page: Page, patient: str) -> None:
    page.get_by_label("Patient", exact=True).select_option(patient)
    expect(page.locator("#who")).to_have_text(samples.story(patient)["title"])


def drop(page: Page, content: bytes, name: str = "chart.json") -> None:
    """Drop a file on the controls, as the desktop would."""
    make = """([bytes, name]) => {
        const carried = new DataTransfer();
        carried.items.add(new File([new Uint8Array(bytes)], name));
        return carried;
    }"""
    carried = page.evaluate_handle(make, [list(content), name])
    page.dispatch_event("#bench", "drop", {"dataTransfer": carried})


# --- samples and axe -------------------------------------------------------------------------------------


def test_each_sample_shows_the_cards_of_its_story(page: Page):
    for name in samples.names():
        choose(page, name)
        cards = samples.story(name)["cards"]
        indicators = sorted(cards.pop("order-safety", {}).values()) or list(cards.values())
        shown = page.locator(".card .kind .badge")
        assert shown.all_inner_texts() == [each.upper() for each in indicators], name


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark"), (390, "light"), (1280, "dark")])
def test_nothing_keeps_anybody_out(browser: Browser, server: Server, width: int, scheme: str):
    query = f"?patient={SCIATICA}&hook=order-select&threshold.pain_moderate=7&disabled=neural-compression"
    with opened(browser, f"{server.url}/{query}", width, scheme) as watched:
        page = watched.page
        page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
        page.locator("#shown-all").check()
        assert barriers(page) == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        choose(page, CAUDA_EQUINA)
        page.get_by_label("Hook", exact=True).select_option("patient-view")
        page.get_by_role("button", name="Accept MRI of the lumbar spine").click()
        expect(page.locator("#verdict")).to_be_visible()
        page.locator(".chip:visible").first.click()
        assert barriers(page) == []
        page.keyboard.press("Escape")
        page.get_by_label("Patient", exact=True).select_option("own")
        expect(page.get_by_role("alert")).to_be_visible()
        assert barriers(page) == []


# --- one's own chart -------------------------------------------------------------------------------------


def test_a_dropped_bundle_is_shown(page: Page):
    drop(page, json.dumps(samples.load("06-stenosis-claudication")).encode())
    expect(page.locator("#who")).to_have_text("Your FHIR Bundle")
    expect(page.get_by_label("Patient", exact=True)).to_have_value("own")
    page.get_by_label("Instant", exact=True).fill("2026-11-20T12:00")
    page.get_by_label("Instant", exact=True).blur()
    expect(page.get_by_role("article")).to_have_count(len(samples.story("06-stenosis-claudication")["cards"]))


def test_a_chosen_file_and_a_pasted_text(page: Page):
    page.get_by_text("Your own chart", exact=True).last.click()
    request = json.dumps(call("patient-view", condition("cauda-equina-syndrome", days_ago=1))).encode()
    page.get_by_label("FHIR Bundle or CDS Hooks request").set_input_files(
        {"name": "request.json", "mimeType": "application/json", "buffer": request}
    )
    expect(page.locator("#who")).to_have_text("Your CDS Hooks request")
    page.get_by_label("or paste it").fill(json.dumps(samples.load("13-no-back-problem")))
    page.get_by_role("button", name="Use this chart").click()
    expect(page.locator("#who")).to_have_text("Your FHIR Bundle")
    expect(page.locator("#cards")).to_contain_text("No cards")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'{"resourceType": "Patient"}', "This is a FHIR Patient"),
        (b"\xff\xfe\x00", "not UTF-8 text"),
        (b"", "No chart was given"),
        (b"x" * (10 * 2**20 + 1), "larger than 10 MiB"),
    ],
    ids=["no chart", "no text", "empty", "too large"],
)
def test_a_bad_file_gets_one_message_and_nothing_is_lost(browser: Browser, server: Server, content: bytes, said: str):
    with opened(browser, f"{server.url}/") as watched:
        page = watched.page
        page.get_by_label("Hook", exact=True).select_option("encounter-start")
        page.get_by_text("Your own chart", exact=True).last.click()
        page.get_by_label("FHIR Bundle or CDS Hooks request").set_input_files(
            {"name": "bad.json", "mimeType": "application/json", "buffer": content}
        )
        expect(page.get_by_role("alert")).to_have_count(1)
        expect(page.get_by_role("alert")).to_contain_text(said)
        expect(page.get_by_label("Hook", exact=True)).to_have_value("encounter-start")
        choose(page, SCIATICA)
        expect(page.get_by_role("alert")).to_have_count(0)


def test_a_server_that_does_not_answer_is_said(browser: Browser, server: Server):
    with opened(browser, f"{server.url}/") as watched:
        page = watched.page
        page.route("**/?part=outcome", lambda route: route.abort())
        page.get_by_role("button", name="Evaluate").click()
        expect(page.get_by_role("alert")).to_contain_text("The service did not answer")
        expect(page.get_by_role("article")).not_to_have_count(0)


def test_a_server_that_is_busy_is_said(browser: Browser, server: Server):
    """It says so in JSON: that is no outcome to be shown."""
    with opened(browser, f"{server.url}/") as watched:
        page = watched.page
        busy = {"status": 503, "content_type": "application/fhir+json", "body": '{"resourceType": "OperationOutcome"}'}
        page.route("**/?part=outcome", lambda route: route.fulfill(**busy))
        page.get_by_role("button", name="Evaluate").click()
        expect(page.get_by_role("alert")).to_contain_text("The service is busy. Try again.")
        expect(page.get_by_role("article")).not_to_have_count(0)
        assert "OperationOutcome" not in page.locator("#outcome > .problem").inner_text()


# --- changes ---------------------------------------------------------------------------------------------


def test_a_threshold_a_criterion_and_a_fact_can_be_changed_and_changed_back(page: Page):
    choose(page, SCIATICA)
    changes = page.locator(".changes")
    page.get_by_text("Thresholds", exact=True).click()
    page.get_by_label("pain moderate").fill("7")
    page.get_by_label("pain moderate").blur()
    expect(changes).to_contain_text("Moderate to severe radicular pain")
    expect(page.get_by_role("status").first).to_contain_text("What your changes change")
    expect(page.get_by_label("pain moderate")).to_be_visible()
    page.get_by_label("pain moderate").fill("4")
    page.get_by_label("pain moderate").blur()
    expect(changes).to_have_count(0)
    page.get_by_role("checkbox", name="Leave out Compression of nerve or cord").check()
    expect(changes).to_contain_text("Compression of nerve or cord met")
    expect(page.get_by_role("checkbox", name="Leave out Compression of nerve or cord")).to_be_focused()
    page.get_by_role("checkbox", name="Leave out Compression of nerve or cord").uncheck()
    page.get_by_text("Facts as a table").click()
    page.get_by_role("checkbox", name="Disc herniation L4/L5, right").check()
    expect(changes).to_contain_text("Compression of nerve or cord")
    expect(page.locator("#facts")).to_have_attribute("open", "")
    choose(page, CAUDA_EQUINA)
    expect(page.locator("#changed")).to_have_count(0)


def test_a_threshold_out_of_its_range_is_not_sent(page: Page):
    page.get_by_text("Thresholds", exact=True).click()
    page.get_by_label("pain moderate").fill("99")
    page.get_by_label("pain moderate").blur()
    assert page.evaluate("document.getElementById('threshold-pain_moderate').validity.rangeOverflow")
    expect(page.get_by_role("alert")).to_have_count(0)


def test_orders_in_the_cart(page: Page):
    page.get_by_label("Hook", exact=True).select_option("order-select")
    expect(page.locator("#orders")).to_be_visible()
    samples = page.get_by_role("group", name="Put sample orders into the")
    fusion = samples.get_by_role("checkbox", name="Spinal fusion")
    fusion.check()
    expect(fusion).to_be_checked()
    selected = page.locator("[name=selected]")
    expect(selected).to_have_count(2)
    selected.first.uncheck()
    expect(page.locator("#request")).to_contain_text('"selections": [\n      "ServiceRequest/workbench-spinal-fusion"')


# --- acting on cards -------------------------------------------------------------------------------------


def test_accepting_and_setting_aside_tell_the_service(page: Page, server: Server):
    page.get_by_role("button", name="Accept MRI of the lumbar spine").click()
    expect(page.locator("#feedback-sent")).to_contain_text("stored")
    page.get_by_role("button", name="Set aside Possible cauda equina syndrome").click()
    expect(page.locator("#verdict")).to_contain_text("Set aside")
    expect(page.locator("#feedback-sent")).to_contain_text("stored")


def test_copying_the_command(browser: Browser, server: Server):
    with opened(browser, f"{server.url}/") as watched:
        page = watched.page
        page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        page.get_by_text("Command to copy").click()
        page.get_by_role("button", name="Copy command").click()
        expect(page.get_by_role("status").first).to_have_text("Copied.")
        copied = page.evaluate("navigator.clipboard.readText()")
        assert copied == page.locator("#command").text_content()
        assert copied.startswith("curl -sS http://")


def test_the_request_can_be_downloaded(page: Page):
    page.locator("#wire-request summary").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download request.json").click()
    assert json.loads(Path(download.value.path()).read_text())["hook"] == "patient-view"


# --- keyboard, and no script -----------------------------------------------------------------------------


def test_all_of_it_by_keyboard(page: Page):
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.get_by_label("Patient", exact=True)).to_be_focused()
    page.keyboard.type("07")
    expect(page.locator("#who")).to_have_text(samples.story(SCIATICA)["title"])
    expect(page.get_by_label("Patient", exact=True)).to_be_focused()
    reach(page, "summary:has-text('Thresholds')")
    page.keyboard.press("Enter")
    reach(page, "#threshold-pain_moderate")
    page.keyboard.type("7")
    page.keyboard.press("Enter")
    expect(page.locator(".changes")).to_contain_text("Moderate to severe radicular pain")
    reach(page, ".chip")
    page.keyboard.press("Enter")
    opened_ = page.locator(".resource:popover-open")
    expect(opened_).to_have_count(1)
    page.keyboard.press("Escape")
    expect(opened_).to_have_count(0)
    expect(page.locator(".chip:visible").first).to_be_focused()


def reach(page: Page, selector: str, steps: int = 120) -> None:
    """Tab until the first element of the selector has the focus."""
    for _ in range(steps):
        if page.evaluate("(selector) => document.activeElement.matches(selector)", selector.partition(":has-text")[0]):
            text = page.evaluate("document.activeElement.textContent")
            if ":has-text" not in selector or selector.split("'")[1] in text:
                return
        page.keyboard.press("Tab")
    raise AssertionError(f"{selector} is not reached by Tab")


def test_everything_works_without_script(browser: Browser, server: Server, tmp_path: Path):
    chart = tmp_path / "chart.json"
    chart.write_text(json.dumps(samples.load("09-isolated-spasm")))
    with opened(browser, f"{server.url}/", scripts=False) as watched:
        page = watched.page
        page.get_by_label("Patient", exact=True).select_option(SCIATICA)
        page.get_by_text("Thresholds", exact=True).click()
        page.get_by_label("pain moderate").fill("7")
        page.get_by_role("button", name="Evaluate").first.click()
        expect(page.locator(".changes")).to_contain_text("Moderate to severe radicular pain")
        page.get_by_role("checkbox", name="Leave out Compression of nerve or cord").check()
        page.locator(".criteria noscript button, .criteria button:text('Evaluate')").click()
        expect(page.locator(".changes")).to_contain_text("Compression of nerve or cord")
        page.locator(".chip:visible").first.click()
        expect(page.locator(".resource:popover-open")).to_be_visible()
        page.keyboard.press("Escape")
        page.get_by_role("button", name="Accept Referral to a spine surgeon").click()
        expect(page.locator("#feedback-json")).to_contain_text('"outcome": "accepted"')
        page.get_by_text("Your own chart", exact=True).last.click()
        page.get_by_label("FHIR Bundle or CDS Hooks request").set_input_files(chart)
        page.get_by_role("button", name="Use this chart").click()
        expect(page.locator("#who")).to_have_text("Your FHIR Bundle")
        assert watched.strangers(server.url) == []


# --- chart text ------------------------------------------------------------------------------------------

FOREIGN = """() => {
    const found = [];
    const ours = new Set(`html head meta title link script body a header div nav ul li main h1 p form input label select
        optgroup option details summary textarea button span section h2 h3 dl dt dd code article strong svg desc line
        text g rect circle table caption thead tbody tr th td fieldset legend br pre footer noscript`.split(/\\s+/));
    for (const node of document.querySelectorAll("*")) {
        const tag = node.localName;
        if (!ours.has(tag)) found.push(tag);
        if (tag === "script" && node.src !== `${location.origin}/static/workbench.js`) found.push("script");
        for (const { name, value } of node.attributes) {
            if (name.startsWith("on") || ["style", "srcdoc"].includes(name)) found.push(`${tag} ${name}`);
            if (/^\\s*(javascript|vbscript|data):/i.test(value) && value !== "data:,") found.push(`${tag} ${name}`);
        }
        if (tag === "a" && new URL(node.href).port !== location.port) found.push(`link to ${node.href}`);
    }
    return found;
}"""


def hostile(attacks: list[str], hook: str) -> dict[str, Any]:
    """A call with each payload in every place of free text that the page can show."""
    resources, drafts = [], []
    for attack in attacks:
        finding = condition("cauda-equina-syndrome", days_ago=1)
        finding["code"]["text"] = attack
        pain = observation("pain-score", 8)
        pain["code"] |= {"text": attack, "coding": [{**pain["code"]["coding"][0], "display": attack}]}
        noted = observation("crp", 300, "mg/L", note=[{"text": attack}], performer=[{"display": attack}])
        odd = {**condition("back-pain", days_ago=3), "id": attack, "recordedDate": attack}
        order = draft("spinal-traction")
        order["code"]["text"] = attack
        drafts.append(order)
        resources += [finding, pain, noted, odd]
    request = call(hook, *resources)
    request["prefetch"]["patient"] |= {"name": [{"text": "".join(attacks)}]}
    if hook == "order-select":
        request["context"]["draftOrders"]["entry"] = [{"resource": order} for order in drafts]
        request["context"]["selections"] = [f"ServiceRequest/{order['id']}" for order in drafts]
    return request


@pytest.mark.parametrize("hook", ["patient-view", "order-select"])
def test_row_29_no_payload_comes_alive(page: Page, hook: str):
    usable = [each for each in ATTACKS if "\ud800" not in each]  # half a character: the chart is refused as no JSON
    assert len(set(usable)) >= 100
    page.evaluate("document.getElementById('own-chart').open = true")
    for start in range(0, len(usable), PER_CHART):
        chart = json.dumps(hostile(usable[start : start + PER_CHART], hook))
        page.get_by_label("or paste it").fill(chart)
        with page.expect_response("**/?part=outcome") as answered:
            page.get_by_role("button", name="Use this chart").click()
        assert answered.value.status == 200
        expect(page.locator("#outcome")).not_to_have_attribute("aria-busy", "true")
        page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
        assert page.evaluate(FOREIGN) == []


def test_row_29_errors_repeat_nothing_that_comes_alive(browser: Browser, server: Server):
    attack = "</textarea></select><script>alert(1)</script><img src=x onerror=alert(1)>"
    with opened(browser, f"{server.url}/") as watched:
        page = watched.page
        for name, value in (("patient", attack), ("at", attack), ("hook", attack), ("threshold.pain_severe", attack)):
            page.goto(f"{server.url}/?{name}={value}")
            expect(page.get_by_role("alert")).to_be_visible()
            assert page.evaluate(FOREIGN) == []
        assert [each for each in watched.faults if "status of 400" not in each] == []


# --- size ------------------------------------------------------------------------------------------------


def test_a_chart_of_2000_resources_is_shown(page: Page):
    page.get_by_text("Your own chart", exact=True).last.click()
    page.get_by_label("FHIR Bundle or CDS Hooks request").set_input_files(
        {"name": "chart.json", "mimeType": "application/json", "buffer": request_body(2000, datetime.now(UTC))}
    )
    expect(page.locator("#who")).to_have_text("Your CDS Hooks request")
    expect(page.get_by_role("article").first).to_contain_text("Possible cauda equina syndrome")
    assert page.evaluate("document.getElementById('outcome').innerHTML.length") < 500_000


def test_the_bench_waits_for_what_it_measures(browser: Browser, server: Server):
    """Giving a chart and changing a threshold of it, each until the outcome is there (docs/performance.md)."""
    given, changed = measured(browser, f"{server.url}/", request_body(20, datetime.now(UTC)).decode(), 2, 4)
    assert (len(given), len(changed)) == (2, 4)
    assert min(*given, *changed) > 0
    with pytest.raises(RuntimeError, match="did not show"):
        measured(browser, f"{server.url}/", '{"resourceType": "Patient"}', 1, 1)
