"""The committee's report: its numbers are those of the ledger, its page needs nothing and gives nobody away."""

import random
import re
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from playwright.sync_api import Browser

from cds.evaluation import CATALOGUE
from cds.triage import ORDER_SAFETY
from hooks.ledger.database import Ledger, open_ledger
from hooks.override_reasons import DISPLAYS
from hooks.report import plots
from hooks.report.figures import Call, Card, Figures
from hooks.report.from_audit import report_of
from hooks.report.page import Report, build_page
from hooks.report.periods import calendar_of
from hooks.report.words import per_hundred, share
from tests import cli_rig
from tests.audit_rig import Kept
from tests.browser_rig import barriers, opened
from tests.cli_rig import Cli, one_line
from tests.feedback_rig import ISSUER, OTHER, accepted, add_feedback, ledger_at, overridden
from tests.records import AT, condition
from tests.report_rig import Shown, add, add_switch, result, results
from tests.service_rig import call

NEW_YORK = ZoneInfo("America/New_York")
DAY = timedelta(days=1)
RED = ("red-flag", "warning", ["night-pain", "cancer-history"])
EMERGENCY = ("emergency", "critical", ["cauda-equina"])
OPEN = ("not-assessed", "info", ["cauda-equina"])
cli = cli_rig.cli


@pytest.fixture(autouse=True)
def no_url_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BACKPAIN_CDS_DATABASE_URL", raising=False)


@pytest.fixture
def ledger(database_url: str) -> Iterator[Ledger]:
    with closing(ledger_at(database_url)) as opened_:
        yield opened_


def shown(ledger: Ledger, since: datetime | None = None, until: datetime | None = None) -> Shown:
    return Shown(build_page(report_of(ledger, since, until, AT.astimezone(NEW_YORK))))


def page_of(*patients: list[Call], **parts: object) -> str:
    figures = Figures()
    for calls in patients:
        figures.add_patient(calls)
    return build_page(Report("Report", "Some calls.", None, None, AT, figures, **parts))


def one(day: int, status: str = "met", state: str = "on", id_: str = "night-pain", *cards: Card) -> Call:
    return Call(date(2026, 8, 1) + timedelta(days=day), "patient-view", {id_: result(status, state)}, cards)


# --- numbers of an audit -------------------------------------------------------------------------------------


def test_the_numbers_are_those_of_the_ledger(ledger: Ledger):
    both = results(met=["night-pain", "cancer-history"], unknown=["cauda-equina"])
    first, *_ = add(ledger, both, RED, OPEN, missing=["DiagnosticReport", "Procedure"])
    second, *_ = add(
        ledger, both, RED, at=AT - DAY, missing=["DiagnosticReport"], suppressed=[{"group": "information"}]
    )
    third, _ = add(ledger, both | results(met=["cauda-equina"]), EMERGENCY, RED, patient="patient-2", unreadable=3)
    add(ledger, results(not_met=["night-pain"]), patient="patient-3", foreign_resources=1)
    add(ledger, status=412)
    reason = {"code": "known-and-followed", "system": "s"}
    add_feedback(ledger, accepted(first), overridden(second, overrideReason={"reason": reason}), overridden(third))
    page = shown(ledger)

    assert page.key == {
        "Charts opened": "4 of 3 patients",
        "Cards per 100 charts": "125.0 5 cards in all",
        "Charts without a card": "25.0% 3 with at least one",
        "Charts with a critical card": "25.0% 1; 2 with a warning at most",
        "Cards overridden": "40.0% 2 of 5; accepted 1",
    }
    assert page.row("cards in charts opened", "All cards") == ["", "5", "125.0"]
    assert page.row("cards in charts opened", "Red flags") == ["warning", "3", "75.0"]
    assert page.row("cards in charts opened", "Emergency") == ["critical", "1", "25.0"]
    calls, met, patients, unknown, *_ = page.row("Red flags", "Pain at night", "on")
    assert (calls, met, patients, unknown) == ("4", "3 (75.0%)", "2", "0")
    calls, met, patients, unknown, *_ = page.row("Emergency", "Possible cauda equina", "on")
    assert (calls, met, patients, unknown) == ("3", "1 (33.3%)", "1", "2 (66.7%)")

    by_card = page.tables["what became of the cards, by card"]
    assert [row[:5] for row in by_card] == [
        ["Emergency", "1", "0", "1 (100%)", "0"],
        ["Red flags", "3", "1 (33.3%)", "1 (33.3%)", "1 (33.3%)"],
        ["Not assessed", "1", "0", "0", "1 (100%)"],
    ]
    by_criterion = "what became of the cards, by criterion"
    told = page.row(by_criterion, "Pain at night")
    assert told == ["3", "1 (33.3%)", "1 (33.3%)", "1 (33.3%)", "", f"{DISPLAYS['known-and-followed']}: 1"]
    assert page.row(by_criterion, "Possible cauda equina")[-1] == "No reason given: 1"

    assert page.row("searches that were not had", "DiagnosticReport") == ["2 (50.0%)", ""]
    assert page.row("searches that were not had", "Procedure") == ["1 (25.0%)", ""]
    assert "could not be read and were left out: 1 (25.0%)" in page.text
    assert "resources of another patient, left out: 1 (25.0%)" in page.text
    assert "had acknowledged the same card: 1 card," in page.text
    assert "1 with status 412" in page.text
    assert page.tables["releases, codes and thresholds"] == [
        ["2026-11-19", "2026-11-20", "4", "1.2.3", "2.6", "codes-1", "01234567"]
    ]


def test_silent_and_on_are_apart(ledger: Ledger):
    add(ledger, results(met=["night-pain"], state="silent"), at=AT - 2 * DAY)
    add(ledger, results(unknown=["night-pain"], state="silent"), at=AT - DAY)
    add(ledger, results(unknown=["night-pain"], state="off"))
    add(ledger, results(met=["night-pain"]), RED)
    page = shown(ledger)
    assert page.row("Red flags", "Pain at night", "on")[:2] == ["1", "1 (100%)"]
    assert page.row("Red flags", "Pain at night", "silent")[:4] == ["2", "1 (50.0%)", "1", "1 (50.0%)"]
    assert page.row("Red flags", "Pain at night", "off") == ["1", "Switched off in these calls, not looked at"]
    assert page.row("silent criteria", "Pain at night")[:3] == ["2", "2", "1 (50.0%)"]


def test_only_the_last_report_on_a_card_counts_and_only_that_of_its_client(ledger: Ledger):
    (card,) = add(ledger, results(met=["night-pain"]), RED)
    late = "2026-11-20T13:00:00Z"
    add_feedback(ledger, accepted(card, outcomeTimestamp=late), overridden(card, overrideReason={"userComment": "x"}))
    add_feedback(ledger, overridden(card, outcomeTimestamp="2026-11-20T14:00:00Z"), issuer=OTHER)
    page = shown(ledger)
    assert page.row("what became of the cards, by card", "Red flags")[:4] == ["1", "1 (100%)", "0", "0"]
    assert "1 report on no card that the client was shown" in page.text


def test_a_comment_is_said_to_be_there_and_not_shown(ledger: Ledger):
    (card,) = add(ledger, results(met=["night-pain"]), RED)
    add_feedback(ledger, overridden(card, overrideReason={"userComment": "Mrs. Secret has a rash"}))
    page = shown(ledger)
    assert page.row("what became of the cards, by criterion", "Pain")[-1] == "A comment, no reason from the list: 1"
    assert "Secret" not in page.text


def test_a_period_takes_in_its_calls_and_switches_by_the_days_of_the_site(ledger: Ledger):
    midnight = datetime(2026, 11, 20, tzinfo=NEW_YORK)
    for minutes in (-1, 1, 24 * 60 - 1, 24 * 60 + 1):
        at = midnight + timedelta(minutes=minutes)
        add(ledger, results(met=["night-pain"]), RED, at=at.astimezone(UTC), patient=f"p{minutes}")
        add_switch(ledger, "night-pain", "silent", at=at.astimezone(UTC), why=f"minute {minutes}")
    page = shown(ledger, midnight, midnight + DAY)
    assert page.key["Charts opened"] == "2 of 2 patients"
    assert [row[0] for row in page.tables["decisions in this time"]] == ["2026-11-20 00:01", "2026-11-20 23:59"]
    assert [row[:2] for row in page.tables["releases, codes and thresholds"]] == [["2026-11-20", "2026-11-20"]]
    assert page.text.startswith("Skip to the content Decision support for back pain: report 2026-11-20 All hook calls")
    assert shown(ledger).key["Charts opened"] == "4 of 4 patients"


def test_what_is_about_orders_is_counted_in_calls_about_orders(ledger: Ledger):
    entries = {each.id: result("met") for each in CATALOGUE}
    add(ledger, entries, ("order-safety", "warning", ["traction-caution"]), hook="order-sign")
    add(ledger, entries, EMERGENCY, hook="encounter-start")
    page = shown(ledger)
    assert {row[2] for name in ("Emergency", "Red flags", "Order safety") for row in page.tables[name]} == {"1"}
    assert len(page.tables["Order safety"]) == sum(each.group == ORDER_SAFETY for each in CATALOGUE)
    assert page.row("cards in calls about orders", "All cards; calls about orders: 1") == ["", "1", "100.0"]
    assert page.row("cards in charts opened", "All cards; charts opened: 1") == ["", "1", "100.0"]


def test_a_patient_counts_once_though_calls_are_read_in_parts(ledger: Ledger, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("hooks.report.from_audit._AT_ONCE", 4)
    for number in range(15):
        add(ledger, results(met=["night-pain"]), RED, patient=f"p{number % 3}", at=AT - timedelta(minutes=number))
    page = shown(ledger)
    assert page.key["Charts opened"] == "15 of 3 patients"
    assert page.row("Red flags", "Pain at night", "on")[:3] == ["15", "15 (100%)", "3"]
    assert page.row("cards in charts opened", "Red flags") == ["warning", "15", "100.0"]


def test_the_same_id_of_another_client_or_tenant_is_another_patient(ledger: Ledger):
    """As where a site keeps ids plain. The calls of each lie between those of the others."""
    whose = [{"issuer": ISSUER}, {"issuer": OTHER}, {"issuer": ISSUER, "tenant": "north"}] * 2
    for number, columns in enumerate(whose):
        add(ledger, results(met=["night-pain"]), patient="1", at=AT + timedelta(minutes=number), **columns)
    page = shown(ledger)
    assert page.key["Charts opened"] == "6 of 3 patients"
    assert page.row("Red flags", "Pain at night", "on")[:3] == ["6", "6 (100%)", "3"]


def test_rows_that_the_service_wrote_are_read(tmp_path: Path):
    kept = Kept(tmp_path)
    found = condition("cauda-equina-syndrome", days_ago=1)
    answered = kept.post(call("patient-view", found), issuer=ISSUER)
    kept.post(call("order-sign", condition("osteoporosis")), issuer=ISSUER)
    kept.post(b"{}", path="/cds-services/back-pain-patient-view")
    kept.file()
    with kept.ledger() as ledger:
        page = shown(ledger)
    assert page.row("Emergency", "Possible cauda equina", "on")[:3] == ["1", "1 (100%)", "1"]
    assert page.row("Order safety", "Traction", "on")[:2] == ["1", "1 (100%)"]
    assert int(page.row("cards in charts opened", "All cards")[1]) == len(answered.json["cards"])
    assert "1 with status 400" in page.text


# --- the page ------------------------------------------------------------------------------------------------


def test_what_people_and_clients_wrote_is_text(ledger: Ledger):
    evil = "<script>alert(1)</script>"
    (card,) = add(ledger, results(met=["night-pain"]), ("red-flag", "warning", [f"x{evil}", "night-pain"]))
    add_feedback(ledger, overridden(card, overrideReason={"reason": {"code": evil, "system": "s"}}))
    add_switch(ledger, "night-pain", "off", why=evil, who=evil, issuer=evil)
    html = build_page(report_of(ledger, None, None, AT))
    assert "<script" not in html
    page = Shown(html)
    assert page.row("decisions in this time", "2026-11-20")[2:] == [evil, evil, evil]
    assert page.row("what became of the cards, by criterion", f"x{evil}")[-1] == f"{evil}: 1"


def test_the_page_names_no_patient_and_no_user(ledger: Ledger):
    add(ledger, results(met=["night-pain"]), RED, patient="key-of-patient", user_key="key-of-user")
    html = build_page(report_of(ledger, None, None, AT))
    assert "key-of-" not in html
    assert "Condition/" not in html


def test_codes_of_a_client_that_makes_them_up_are_summed():
    cards = [Card("red-flag", "warning", ["night-pain"], "overridden", f"made-up-{n}") for n in range(50)]
    page = Shown(page_of([one(0, "met", "on", "night-pain", *cards)]))
    reasons = page.row("what became of the cards, by criterion", "Pain at night")[-1]
    assert reasons.count("made-up-") == 6
    assert reasons.endswith("Other reasons: 44")


@pytest.mark.parametrize(
    ("days", "calls", "met", "said"),
    [
        (5, 20, 20, "9 days and 480 calls"),
        (14, 499, 3, "1 call"),
        (13, 500, 3, "1 day"),
        (14, 500, 0, "Enough calls, met in none"),
        (14, 500, 1, "A clinician’s reading of 1 chart"),
        (14, 500, 80, "A clinician’s reading of 50 charts"),
    ],
)
def test_a_silent_criterion_is_measured_by_what_a_decision_needs(days: int, calls: int, met: int, said: str):
    silent = [one(n % days, "met" if n < met else "not-met", "silent") for n in range(calls)]
    assert Shown(page_of(silent)).row("silent criteria", "Pain at night")[-1] == said


def test_nothing_in_that_time_is_said():
    page = Shown(page_of())
    assert "No answered call in this time" in page.text
    assert page.tables == {}


def test_a_population_that_nobody_was_shown_has_no_feedback():
    calls = [one(0, "met", "on", "night-pain", Card(*RED)), one(0, "met", "silent")]
    page = Shown(page_of(calls, was_shown=False, limits=("Only adults.",)))
    assert "Cards overridden" not in page.key
    assert [name for name in page.tables if "became" in name or name == "silent criteria"] == []
    assert "Charts opened" not in page.text
    assert "Only adults." in page.text


def test_a_criterion_of_another_release_is_listed_by_its_id():
    assert Shown(page_of([one(0, id_="old-one")])).row("Of another release", "old-one", "on")[0] == "1"


def test_criteria_that_nobody_asked_are_named():
    assert "Possible cauda equina syndrome" in Shown(page_of([one(0)])).text.split("Asked in no call")[1]


@settings(max_examples=25)
@given(st.lists(st.integers(0, 5), min_size=1, max_size=12), st.randoms(use_true_random=False))
def test_the_order_of_patients_does_not_show(days: list[int], shuffle: random.Random):
    patients = [[one(day, "met" if day % 2 else "unknown", "on", "night-pain", Card(*RED))] for day in days]
    again = patients[:]
    shuffle.shuffle(again)
    assert page_of(*patients) == page_of(*again)


# --- plots ---------------------------------------------------------------------------------------------------


def rectangles(svg: str) -> list[tuple[str, ...]]:
    return re.findall(r'<rect class="([^"]*)" x="([^"]*)" y="([^"]*)" width="([^"]*)" height="([^"]*)"/>', svg)


def test_a_bar_is_divided_as_its_numbers_are():
    svg = plots.bar([("met", 1), ("unknown", 0), ("not-met", 3)], "1 & 3")
    assert [(name, x, width) for name, x, _, width, _ in rectangles(svg)] == [
        ("met", "0", "25"),
        ("not-met", "25", "75"),
    ]
    assert 'aria-label="1 &amp; 3"' in svg


def test_columns_stand_on_each_other_and_on_the_scale():
    svg = plots.columns({"info": [5, 0], "critical": [5, 20]}, 20, "cards")
    assert [(name, y, height) for name, _, y, _, height in rectangles(svg)] == [
        ("info", "75", "25"),
        ("critical", "50", "25"),
        ("critical", "0", "100"),
    ]


def test_the_plot_by_day_has_cards_for_each_hundred_charts_and_gaps():
    first = [one(0, "met", "on", "night-pain", Card(*RED)), one(0, "met", "on", "night-pain")]
    html = page_of(first, [one(2, "met", "on", "night-pain", Card(*EMERGENCY))])
    (burden,) = re.findall(r'<svg class="columns"[^>]*aria-label="Cards for each 100 charts, by day">.*?</svg>', html)
    assert [(name, x, height) for name, x, _, _, height in rectangles(burden)] == [
        ("warning", "0.15", "50"),
        ("critical", "2.15", "100"),
    ]


@pytest.mark.parametrize(("length", "unit", "pieces"), [(92, "day", 92), (93, "week", 14), (645, "month", 22)])
def test_a_long_time_is_cut_into_weeks_and_months(length: int, unit: str, pieces: int):
    first = date(2026, 8, 1)  # a Saturday
    calendar = calendar_of([first, first + timedelta(days=length - 1)])
    assert (calendar.unit, len(calendar.starts)) == (unit, pieces)
    assert sum(calendar.spread((first + timedelta(days=n), 1) for n in range(length))) == length
    assert calendar.spread([(first, 7)])[0] == 7
    assert calendar.spread([(calendar.last, 7)])[-1] == 7


@pytest.mark.parametrize(
    ("part", "whole", "said"),
    [(0, 0, "–"), (0, 9, "0%"), (9, 9, "100%"), (1, 10**6, "0.1%"), (10**6 - 1, 10**6, "99.9%"), (1, 8, "12.5%")],
)
def test_a_share_is_never_rounded_to_nothing_or_to_all(part: int, whole: int, said: str):
    assert share(part, whole) == said


def test_few_cards_are_still_told_apart():
    assert [per_hundred(*pair) for pair in ((1, 5000), (7, 5000), (0, 5), (3, 0))] == ["0.02", "0.14", "0.0", "–"]


@pytest.mark.parametrize(("highest", "edge"), [(0, 1), (0.7, 0.8), (1, 1), (1.2, 1.5), (101, 150), (960, 1000)])
def test_a_scale_ends_at_a_round_number(highest: float, edge: float):
    assert plots.ceiling(highest) == pytest.approx(edge)


# --- the command ---------------------------------------------------------------------------------------------


def test_the_command_writes_a_page_and_says_in_short_what_it_is(cli: Cli, database_url: str, tmp_path: Path):
    with closing(ledger_at(database_url)) as ledger:
        add(ledger, results(met=["night-pain"]), RED, at=AT - DAY)
        add(ledger, results(met=["night-pain"]), RED)
    config = ["--config", cli.file(f'database_url = "{database_url}"\ntime_zone = "America/New_York"\n', "site.toml")]
    file = str(tmp_path / "report.html")
    ran = cli("report", "--since", "2026-11-20", "--until", "2026-11-20", "--output", file, *config)
    assert (ran.code, ran.out) == (0, "")
    assert "report.html: 1 patient, 1 chart opened" in ran.err
    assert "100.0 cards per 100 charts" in ran.err
    page = Path(file).read_text()
    assert Shown(page).key["Charts opened"] == "1 of 1 patient"
    assert "2026-11-20 07:00, days in America/New_York" in Shown(page).text
    assert cli("report", "--since", "2026-11-20", "--until", "2026-11-20", "--output", "-", *config).out == page


def test_what_cannot_be_used_ends_with_2_and_one_line(cli: Cli, tmp_path: Path):
    url = f"sqlite:///{tmp_path / 'ledger.sqlite3'}"
    config = ["--config", cli.file(f'database_url = "{url}"\n', "site.toml")]
    absent = cli("report", *config)
    ledger_at(url).close()
    nowhere = cli("report", "--output", str(tmp_path / "no" / "folder.html"), *config)
    bad = cli("report", "--since", "yesterday", *config)
    none = cli("report", "--config", cli.file("", "empty.toml"))
    for ran, said in ((absent, "the ledger"), (nowhere, "cannot be written"), (bad, "--since"), (none, "data_dir")):
        assert ran.code == 2
        assert one_line(ran.err)
        assert said in ran.err


def test_a_ledger_without_calls_is_no_fault(cli: Cli, tmp_path: Path):
    url = f"sqlite:///{tmp_path / 'ledger.sqlite3'}"
    ledger_at(url).close()
    ran = cli("report", "--output", "-", "--config", cli.file(f'database_url = "{url}"\n', "site.toml"))
    assert ran.code == 0
    assert "No answered call in this time" in ran.out


# --- in a browser --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    url = f"sqlite:///{folder / 'ledger.sqlite3'}"
    with closing(ledger_at(url)) as ledger:
        for day in range(20):
            at = AT - day * DAY
            entries = {each.id: result(("met", "unknown", "not-met")[day % 3]) for each in CATALOGUE}
            entries["night-pain"] = result("met", "silent" if day > 10 else "on")
            (card, *_) = add(ledger, entries, RED, OPEN, at=at, missing=["DiagnosticReport"])
            add_feedback(ledger, overridden(card, overrideReason={"reason": {"code": "w" * 200, "system": "s"}}))
        add_switch(ledger, "night-pain", "on", why="w" * 300)
    with closing(open_ledger(url)) as ledger:
        (folder / "report.html").write_text(build_page(report_of(ledger, None, None, AT)))
    return folder / "report.html"


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_anybody_can_read_the_page_without_a_network(browser: Browser, report: Path, width: int, scheme: str):
    with opened(browser, report.as_uri(), width, scheme) as watched:
        assert watched.page.evaluate("document.documentElement.scrollWidth") == width
        assert barriers(watched.page) == []
        assert [url for url in watched.requests if not url.startswith("data:")] == [report.as_uri()]
        assert watched.faults == []


def test_its_own_policy_lets_its_style_in_and_paper_is_white(browser: Browser, report: Path):
    ink = "getComputedStyle(document.body).color"
    with (
        opened(browser, report.as_uri(), scheme="light") as light,
        opened(browser, report.as_uri(), scheme="dark") as dark,
    ):
        assert light.page.evaluate(ink) != dark.page.evaluate(ink)
        dark.page.emulate_media(media="print")
        assert dark.page.evaluate(ink) == "rgb(0, 0, 0)"
        assert not dark.page.get_by_role("navigation").is_visible()
