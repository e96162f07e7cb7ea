"""Whatever goes wrong on the way to one kind of data, the answer is as if that data had not been given (rows 10 to 19).

Never a silent empty answer, never something "not met" that nobody could see (P4), never a call that lasts (P3). What a
key that was not given means, criterion by criterion, is tested where records are read.
"""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.fetch_rig import KEYS, KINDS, Fetching, fetching, lacking, lasting, whole
from tests.fhir_rig import FAULTS
from tests.service_rig import expressions, searchset

# Nothing usable comes of these, whichever resource is asked for.
FATAL = ["hang", "slow", "drip", "stall", "reset", "400", "401", "403", "404", "410", "414", "500", "502", "503", "429"]
FATAL += ["429-60", "503-3600", "503-past", "503-garbage", "301", "302", "307", "308", "html", "html-type", "truncated"]
FATAL += [
    "cut-off",
    "empty",
    "null",
    "outcome",
    "other-type",
    "bomb",
    "not-gzip",
    "brotli",
    "gibibyte",
    "deep",
    "half-pair",
]
# Nothing comes of these searches but that they have no end, or are none.
ENDLESS = ["not-utf-8", "outcome-entry", "collection", "short", "loop-self", "loop-ab", "growing", "endless", "many"]
# The first page comes, and the next lies where nobody goes.
ASTRAY = ["next-host", "next-path", "next-dots", "next-https", "next-user", "next-bad", "next-empty"]
SOON = 12.0  # seconds: a busy machine may take three times the four that are promised, and such a server takes minutes


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fetching]:
    with fetching(tmp_path_factory.mktemp("faults")) as made:
        yield made


def ask_each(there: Fetching, fault: str, keys: tuple[str, ...]) -> dict[str, httpx.Response]:
    """One call for each key, which is missing and which the server has that fault with; all at once."""
    requests = [lacking(there.rig.base(fault, KINDS[key]), key) for key in keys]
    with ThreadPoolExecutor(len(keys)) as pool:
        return dict(zip(keys, pool.map(there.ask, requests), strict=True))


def test_every_fault_is_tried():
    elsewhere = {"good", "mends", "gzip", "429-1", "503-date", "other-id"}
    assert set(FATAL) | set(ENDLESS) | set(ASTRAY) | elsewhere == set(FAULTS)


@pytest.mark.parametrize("fault", FATAL)
def test_p4_a_key_that_fails_is_a_key_that_was_not_given(there: Fetching, fault: str):
    began = time.monotonic()
    for key, answer in ask_each(there, fault, KEYS).items():
        expected = there.ask(lacking(None, key))
        assert answer.status_code == expected.status_code == (412 if key == "patient" else 200), key
        assert lasting(answer.json()) == lasting(expected.json()), key
    assert time.monotonic() - began < SOON


@pytest.mark.parametrize("fault", ENDLESS)
def test_p4_a_search_without_an_end_is_one_that_was_not_made(there: Fetching, fault: str):
    for key, answer in ask_each(there, fault, KEYS[2:]).items():
        expected = there.ask(lacking(None, key))
        assert answer.status_code == expected.status_code == 200, key
        assert lasting(answer.json()) == lasting(expected.json()), key


@pytest.mark.parametrize("fault", ASTRAY)
def test_r74_what_the_first_page_brought_counts_and_no_other_page_is_asked_for(there: Fetching, fault: str):
    for key, answer in ask_each(there, fault, KEYS[2:]).items():
        request = whole()
        first = request["prefetch"][key] or searchset()
        request["prefetch"][key] = first | {"link": [{"relation": "next", "url": "https://elsewhere.example.org"}]}
        assert lasting(answer.json()) == lasting(there.ask(request).json()), key
    assert not there.rig.requests("http://x/elsewhere")


def test_p4_when_everything_fails_it_is_412_with_each_key_named(there: Fetching):
    answer = there.ask(lacking(there.rig.base("500")))
    assert answer.status_code == 412
    assert expressions(answer) == [f"prefetch.{key}" for key in KEYS]


def test_r78_with_nothing_but_the_patient_it_is_412(there: Fetching):
    request = lacking(there.rig.base("404"), *KEYS[2:])
    assert there.ask(request).status_code == 412


def test_p4_a_chart_that_could_not_be_seen_is_never_an_empty_list(there: Fetching):
    """Even where the record at hand shows no back problem at all."""
    request = lacking(there.rig.base("503", "Condition"), "conditions")
    request["prefetch"] = {key: None if key in KEYS[2:] else value for key, value in request["prefetch"].items()}
    answer = there.ask(request)
    assert answer.status_code == 200
    assert answer.json()["cards"]


def test_the_log_says_why_and_nothing_else(there: Fetching):
    there.ask(lacking(there.rig.base("403", "Procedure"), "procedures"))
    assert '"not_fetched":{"procedures":"http-403"}' in there.service.log
