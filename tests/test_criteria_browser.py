"""The criteria pages in a real browser, from a real server: readable by everybody, wide and narrow, light and dark."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.browser_rig import barriers, chromium, opened
from tests.records import condition
from tests.service_rig import Server, call, path_of, running

PAGES = ["/criteria", "/criteria/cauda-equina", "/criteria/neurogenic-claudication", "/criteria/headache"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    config = 'disabled = ["low-calcium"]\n[thresholds]\nemergency_window_days = 60\n'
    with running(tmp_path_factory.mktemp("pages"), config=config) as started:
        yield started


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
@pytest.mark.parametrize("path", PAGES)
def test_anybody_can_use_the_page(browser: Browser, server: Server, path: str, width: int, scheme: str):
    with opened(browser, server.url + path, width, scheme) as watched:
        for closed in watched.page.query_selector_all("summary")[:2]:
            closed.click()
        assert watched.page.evaluate("document.documentElement.scrollWidth") == width
        assert barriers(watched.page) == []
        assert watched.strangers(server.url) == []
        assert [fault for fault in watched.faults if "404" not in fault] == []


def test_the_style_sheet_is_in_force(browser: Browser, server: Server):
    """Its own policy does not shut it out."""
    url = f"{server.url}/criteria"
    with opened(browser, url) as light, opened(browser, url, scheme="dark") as dark:
        grounds = [each.page.evaluate("getComputedStyle(document.body).backgroundColor") for each in (light, dark)]
    assert grounds[0] != grounds[1]


def test_the_link_of_a_card_opens_the_criterion_that_it_is_about(browser: Browser, server: Server):
    (card, *_) = server.http.post(path_of("order-sign"), json=call("order-sign", condition("osteoporosis"))).json()[
        "cards"
    ]
    (link,) = [link["url"] for link in card["links"] if link["type"] == "absolute"]
    assert link == f"http://localhost:{server.port}/criteria#traction-caution"
    with opened(browser, link) as watched:
        shown = watched.page.locator(":target")
        assert shown.locator("h3").inner_text() == "Traction where the spine may not bear it"
        assert shown.evaluate("e => e.getBoundingClientRect().top < innerHeight")
        shown.get_by_role("link", name="Traction where").click()
        assert watched.page.locator("h1").inner_text() == "Traction where the spine may not bear it"


def test_a_reader_finds_the_sites_own_settings(browser: Browser, server: Server):
    with opened(browser, f"{server.url}/criteria/cauda-equina") as watched:
        row = watched.page.get_by_role("row", name="emergency_window_days")
        assert "60 days" in row.inner_text()
        assert "changed here" in row.inner_text()
    with opened(browser, f"{server.url}/criteria#low-calcium") as watched:
        assert "left out at this site" in watched.page.locator(":target").inner_text()


def test_codes_are_folded_until_somebody_wants_them(browser: Browser, server: Server):
    with opened(browser, f"{server.url}/criteria/cauda-equina", scripts=False) as watched:
        code = watched.page.locator("details code", has_text="G83.4").first
        assert not code.is_visible()
        watched.page.locator("summary", has_text="Cauda equina syndrome").click()
        assert code.is_visible()
