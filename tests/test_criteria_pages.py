"""`GET /criteria` and the link to it on each card: what can be looked up about a card (reliability.md, row 31)."""

import re
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import html5lib
import pytest
from flask.testing import FlaskClient

from cds.catalogue import CRITERIA
from cds.evaluation import CATALOGUE, CATALOGUE_VERSION
from cds.limits import Limits
from fhir_profiles.transparency import load_transparency
from hooks.app import create_app
from hooks.settings import Settings
from hooks.worker import with_own_url
from tests.records import condition, knowledge
from tests.service_rig import HOOKS, app, call, client, post

BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
PATHS = ["/criteria", *(f"/criteria/{id_}" for id_ in CRITERIA)]


def html(path: str, asked: FlaskClient | None = None) -> str:
    answer = (asked or client()).get(path, headers=BROWSER)
    assert (answer.status_code, answer.content_type) == (200, "text/html; charset=utf-8")
    return answer.text


def told(path: str, asked: FlaskClient | None = None) -> dict[str, Any]:
    answer = (asked or client()).get(path)
    assert (answer.status_code, answer.content_type) == (200, "application/json")
    return answer.get_json()


def switched(states: dict[str, str]) -> FlaskClient:
    """A site whose switches say this; the test may change them."""
    return create_app(Settings(), knowledge(), switches=SimpleNamespace(states=lambda issuer="": states)).test_client()


# --- for whom ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("accept", "query", "kind"),
    [
        (BROWSER["Accept"], "", "text/html"),
        ("text/html", "", "text/html"),
        ("application/json", "", "application/json"),
        ("*/*", "", "application/json"),
        (None, "", "application/json"),
        ("application/json", "?format=html", "text/html"),
        ("text/html", "?format=json", "application/json"),
    ],
)
@pytest.mark.parametrize("path", ["/criteria", "/criteria/night-pain"])
def test_people_get_html_and_machines_json(path: str, accept: str | None, query: str, kind: str):
    answer = client().get(path + query, headers={"Accept": accept} if accept else {})
    assert (answer.status_code, answer.mimetype) == (200, kind)
    assert "Accept" in answer.headers.getlist("Vary")


def test_another_format_is_refused():
    answer = client().get("/criteria?format=xml")
    assert answer.status_code == 400
    assert answer.get_json()["issue"][0]["expression"] == ["format"]


def test_a_criterion_that_there_is_not():
    machine, person = client().get("/criteria/headache"), client().get("/criteria/headache", headers=BROWSER)
    assert (machine.status_code, machine.get_json()["resourceType"]) == (404, "OperationOutcome")
    assert (person.status_code, person.mimetype) == (404, "text/html")
    assert "headache" not in person.text


# --- what it says -----------------------------------------------------------------------------------------


def test_the_catalogue_has_every_criterion_in_order():
    document = told("/criteria")
    assert [each["id"] for each in document["criteria"]] == [entry.id for entry in CATALOGUE]
    assert document["versions"]["catalogue"] == CATALOGUE_VERSION
    assert document["versions"]["knowledge"] == knowledge().version
    shown = html("/criteria")
    assert all(f'id="{entry.id}"' in shown and f'href="/criteria/{entry.id}"' in shown for entry in CATALOGUE)


@pytest.mark.parametrize("id_", CRITERIA)
def test_a_criterion_in_full(id_: str):
    document, shown = told(f"/criteria/{id_}"), html(f"/criteria/{id_}")
    entry, about = CRITERIA[id_], load_transparency()
    assert document["rule"] == entry.in_words
    assert [each["key"] for each in document["sources"]] == list(entry.sources)
    assert document["sourceAttributes"] == about.attributes(id_)
    assert set(about.limits) <= set(document["limits"])
    assert all(each["codes"] for each in document["valueSets"])
    for words in (entry.title, *(each["key"] for each in document["thresholds"] + document["sources"])):
        assert words in shown
    assert shown.count("<dt>Use of ") == 9


def test_the_sites_thresholds_are_those_in_force():
    asked = client(limits=Limits(emergency_window_days=61))
    (threshold,) = told("/criteria/cauda-equina", asked)["thresholds"]
    assert (threshold["key"], threshold["value"], threshold["default"]) == ("emergency_window_days", 61, 90)
    assert "changed here" in html("/criteria/cauda-equina", asked)
    assert "changed here" not in html("/criteria/cauda-equina")


def test_states_are_shown_as_they_change():
    states: dict[str, str] = {}
    asked = switched(states)
    assert told("/criteria/night-pain", asked)["state"] == "on"
    for state, words in (("off", "switched off"), ("silent", "evaluated, not shown"), ("on", ">on<")):
        states["night-pain"] = state
        assert told("/criteria/night-pain", asked)["state"] == state
        assert words in html("/criteria/night-pain", asked)
    assert told("/criteria", asked)["criteria"][0]["state"] == "on"


def test_a_criterion_that_the_site_left_out_says_so():
    asked = client(disabled=frozenset({"low-calcium"}))
    assert told("/criteria/low-calcium", asked)["state"] == "disabled"
    assert html("/criteria", asked).count("left out at this site") == 1


def test_terms_of_snomed_ct_that_need_a_license_are_not_shown():
    codes = [code for each in told("/criteria/cauda-equina")["valueSets"] for code in each["codes"]]
    licensed = [code for code in codes if "license" in code]
    assert licensed
    assert all("display" not in code and code["system"] == "http://snomed.info/sct" for code in licensed)
    assert html("/criteria/cauda-equina").count("term not shown") == len(licensed)


def test_the_owners_of_the_codes_are_named_once():
    notices = told("/criteria/fever-or-infection")["notices"]
    assert len([each for each in notices if each.startswith("SNOMED CT:")]) == 1
    assert len([each for each in notices if "content from LOINC" in each]) == 1


@pytest.mark.parametrize("id_", CRITERIA)
def test_each_criterion_has_an_example_that_is_met_and_one_that_is_not(id_: str):
    examples = told(f"/criteria/{id_}")["examples"]
    assert {name: each["status"] for name, each in examples.items()} == {"met": "met", "notMet": "not-met"}
    assert examples["met"]["evidence"]
    assert all(each["reason"] and each["story"] and each["chart"] for each in examples.values())


def test_examples_are_judged_under_the_sites_thresholds():
    """No invented patient walks a single meter, so where that is the limit none is shown as met."""
    strict = client(limits=Limits(claudication_limit_m=1, claudication_severe_m=1))
    assert "met" in told("/criteria/neurogenic-claudication")["examples"]
    assert "met" not in told("/criteria/neurogenic-claudication", strict)["examples"]
    assert "notMet" in told("/criteria/neurogenic-claudication", strict)["examples"]
    assert "Worked examples" in html("/criteria/neurogenic-claudication", strict)


def test_past_the_review_date_the_pages_say_so():
    due = load_transparency().review.due
    late = app(at=datetime(due.year, due.month, due.day, 12, tzinfo=UTC) + timedelta(days=1)).test_client()
    assert told("/criteria", late)["review"]["overdue"] is True
    assert told("/criteria")["review"]["overdue"] is False
    assert "Past the review date" in html("/criteria/night-pain", late)
    assert "Past the review date" not in html("/criteria/night-pain")


# --- how it is made ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/criteria", "/criteria/cauda-equina", "/criteria/low-potassium"])
def test_pages_are_valid_html(path: str):
    html5lib.HTMLParser(strict=True).parse(html(path))


@pytest.mark.parametrize("path", PATHS)
def test_pages_load_nothing_from_elsewhere(path: str):
    shown = html(path)
    assert "<script" not in shown
    assert "style=" not in shown
    loaded = re.findall(r'<(?:link|img|iframe|object|source)[^>]*(?:href|src)="([^"]*)"', shown)
    assert sorted(loaded) == ["/static/site.css", "data:,"]


@pytest.mark.parametrize("path", ["/criteria", "/criteria/night-pain", "/criteria/headache"])
def test_headers_of_a_page(path: str):
    headers = client().get(path, headers=BROWSER).headers
    policy = dict(part.split(" ", 1) for part in headers["Content-Security-Policy"].split("; "))
    assert policy == {
        "default-src": "'none'",
        "style-src": "'self'",
        "img-src": "'self' data:",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "no-store"
    assert headers["Referrer-Policy"] == "no-referrer"


def test_the_style_sheet_is_served_and_not_sent_twice():
    first = client().get("/static/site.css")
    assert (first.status_code, first.mimetype) == (200, "text/css")
    again = client().get("/static/site.css", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")


@pytest.mark.parametrize("name", ["app.py", "../app.py", "%2e%2e/app.py", "site.css.map", "base.html", ""])
def test_nothing_else_is_served_as_a_file(name: str):
    assert client().get(f"/static/{name}").status_code == 404


def test_links_stay_below_the_path_of_the_public_url():
    asked = client(public_url="https://cds.example.org/backpain/")
    for path in ("/criteria", "/criteria/night-pain"):
        links = re.findall(r'href="(/[^"]*)"', html(path, asked))
        assert links
        assert all(link.startswith("/backpain/") for link in links)


@pytest.mark.parametrize(("has_workbench", "home"), [(True, "/"), (False, "/criteria")])
def test_the_way_home_leads_to_a_page_for_people(has_workbench: bool, home: str):
    asked = client(workbench=has_workbench)
    shown = html("/criteria/night-pain", asked)
    assert re.findall(r'class="brand" href="([^"]*)"', shown) == [home]
    assert (">Workbench<" in shown) is has_workbench
    assert asked.get(home, headers=BROWSER).mimetype == "text/html"


# --- the link on a card -----------------------------------------------------------------------------------


def basis_links(hook: str, **settings: Any) -> list[list[dict[str, str]]]:
    cards = post(call(hook, condition("cauda-equina-syndrome"), condition("osteoporosis")), **settings).get_json()[
        "cards"
    ]
    assert cards
    return [[link for link in card.get("links", []) if link["type"] == "absolute"] for card in cards]


@pytest.mark.parametrize("hook", HOOKS)
def test_each_card_leads_to_its_criterion(hook: str):
    for links in basis_links(hook, public_url="https://cds.example.org/backpain/"):
        (link,) = links
        url = urlsplit(link["url"])
        assert link["label"] == "Basis: criteria and sources"
        assert (url.scheme, url.netloc, url.path, url.query) == ("https", "cds.example.org", "/backpain/criteria", "")
        assert f'id="{url.fragment}"' in html("/criteria")


def test_without_a_public_url_there_is_no_link():
    assert all(links == [] for links in basis_links("patient-view"))


def test_on_ones_own_machine_the_link_leads_to_this_server():
    assert with_own_url(Settings(development=True), 8080).public_url == "http://localhost:8080"
    assert with_own_url(Settings(development=True, public_url="https://a.example.org"), 1).public_url[:9] == "https://a"
    assert with_own_url(Settings(), 8080).public_url == ""


def test_what_is_asked_says_nothing_of_a_patient():
    """The criterion stands behind `#`, which browsers keep to themselves."""
    request = call("patient-view", condition("cauda-equina-syndrome"))
    (card, *_) = post(request, public_url="https://cds.example.org").get_json()["cards"]
    sent = card["links"][-1]["url"].partition("#")[0]
    assert sent == "https://cds.example.org/criteria"
