"""One server, one call: time, memory and second tries of single requests (reliability.md, section 2)."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime
from random import Random
from typing import Any

import pytest

from hooks import breaker, fhir_client
from hooks.errors import Unavailable
from hooks.fetch import FETCH_SECONDS
from hooks.fhir_client import Access, FhirClient
from hooks.outbound import Server, parse_base
from tests.fetch_rig import record
from tests.fhir_rig import MENDED, Rig, fhir_server

LONG = 30.0  # seconds that no test here should take
NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    with fhir_server(tmp_path_factory.mktemp("client"), *record()) as made:
        yield made


def using(base: str, use: Callable[[FhirClient, Access], Awaitable[Any]], seconds: float = LONG, **parts: Any) -> Any:
    """What `use` makes of an access to a server."""

    async def run() -> Any:
        client = FhirClient(**parts)
        try:
            with client.access(Server(parse_base(base)), time.monotonic() + seconds) as access:
                return await use(client, access)
        finally:
            await client.close()

    return asyncio.run(run())


def reason(base: str, **parts: Any) -> str:
    """Why the Conditions could not be had; "" when they could."""

    async def use(_: FhirClient, access: Access) -> str:
        try:
            await access.get(f"{base}/Condition", {"patient": "p1"})
        except Unavailable as failure:
            return failure.reason
        return ""

    return using(base, use, **parts)


@pytest.mark.parametrize("fault", ["good", "gzip"])
def test_a_good_answer_is_had(rig: Rig, fault: str):
    assert reason(rig.base(fault)) == ""


@pytest.mark.parametrize(("fault", "limit"), [("stall", "GAP_SECONDS"), ("hang", "REQUEST_SECONDS")])
def test_each_limit_of_time_ends_it(rig: Rig, fault: str, limit: str, monkeypatch: pytest.MonkeyPatch):
    for name in ("GAP_SECONDS", "REQUEST_SECONDS", "CONNECT_SECONDS"):
        monkeypatch.setattr(fhir_client, name, LONG)
    monkeypatch.setattr(fhir_client, limit, 0.1)
    began = time.monotonic()
    assert reason(rig.base(fault)) == "timeout"
    assert time.monotonic() - began < LONG / 2


def test_the_limits_are_these():
    assert FETCH_SECONDS == 3.7
    assert fhir_client.CONNECT_SECONDS == 1.0
    assert fhir_client.GAP_SECONDS == 1.0
    assert fhir_client.REQUEST_SECONDS == 2.5
    assert (fhir_client.SLOTS_PER_CALL, fhir_client.SLOTS_PER_HOST) == (6, 20)
    assert (fhir_client.MAX_RESOURCES, fhir_client.MAX_OCTETS) == (5000, 20 * 2**20)


@pytest.mark.parametrize("fault", ["bomb", "gibibyte"])
def test_row_15_what_is_too_large_is_cut(rig: Rig, fault: str):
    assert reason(rig.base(fault)) == "too-large"


def test_what_a_call_held_is_given_back(rig: Rig):
    async def run() -> tuple[int, int]:
        client, base = FhirClient(), rig.base()
        with client.access(Server(parse_base(base)), time.monotonic() + LONG) as access:
            body = await access.get(f"{base}/Patient/p1")
            held = client.held
        await client.close()
        return held - len(body), client.held

    assert asyncio.run(run()) == (0, 0)


@pytest.mark.parametrize("limit", ["MAX_OCTETS", "HELD_AT_ONCE"])
def test_what_one_call_and_all_calls_hold_is_limited(rig: Rig, limit: str, monkeypatch: pytest.MonkeyPatch):
    """A second body is not taken when the first has used up the limit."""
    base = rig.base()

    async def use(_: FhirClient, access: Access) -> str:
        try:
            await access.get(f"{base}/Patient/p1")
            await access.get(f"{base}/Patient/p1")
        except Unavailable as failure:
            return failure.reason
        return ""

    assert using(base, use) == ""
    monkeypatch.setattr(fhir_client, limit, 10)
    assert using(base, use) == "too-large"


def test_pauses_before_second_tries_are_random(rig: Rig, monkeypatch: pytest.MonkeyPatch):
    slept: list[float] = []
    sleep = asyncio.sleep

    async def note(seconds: float) -> None:
        slept.append(seconds)
        await sleep(0)

    monkeypatch.setattr(asyncio, "sleep", note)
    assert reason(rig.base("503"), random=Random(1)) == "http-503"
    assert slept == [Random(1).uniform(0.05, 0.2)]


def test_a_timer_that_comes_early_costs_no_second_try(rig: Rig, monkeypatch: pytest.MonkeyPatch):
    """uvloop counts whole milliseconds. Here every sleep lasts half as long as it should."""
    sleep = asyncio.sleep
    monkeypatch.setattr(asyncio, "sleep", lambda seconds: sleep(seconds / 2))
    base = rig.base("429-1", "Condition")
    reason(base)
    assert len(rig.requests(base)) == 2


def test_no_second_try_when_time_is_short(rig: Rig):
    base = rig.base("503")
    assert reason(base, seconds=0.05) == "http-503"
    assert len(rig.requests(base)) == 1


def test_two_second_tries_a_call(rig: Rig):
    base = rig.base("429")

    async def use(_: FhirClient, access: Access) -> None:
        for kind in ("Condition", "Procedure", "Observation", "ServiceRequest"):
            with pytest.raises(Unavailable):
                await access.get(f"{base}/{kind}")

    using(base, use)
    assert len(rig.requests(base)) == 6


def test_after_a_retry_after_nothing_is_asked_before(rig: Rig):
    """The whole call waits, not only the request that was told."""
    base = rig.base("429-1", "Condition")

    async def use(_: FhirClient, access: Access) -> None:
        told = asyncio.create_task(access.get(f"{base}/Condition"))
        while not access._not_before:
            await asyncio.sleep(0.01)
        await access.get(f"{base}/Procedure")
        await asyncio.gather(told, return_exceptions=True)

    using(base, use)
    first, *others = rig.requests(base)
    assert {each.kind for each in others} == {"Condition", "Procedure"}
    assert all(each.at - first.at >= 1.0 for each in others)


@pytest.mark.parametrize(
    ("stated", "seconds"),
    [
        ("", None),
        ("0", 0.0),
        ("7", 7.0),
        ("99999999999999999999", 999_999_999.0),
        ("-1", None),
        ("1.5", None),
        ("\u0661", None),
        ("soon", None),
        ("Sun, 22 Nov 2026 12:00:30 GMT", 30.0),
        ("Sun, 22 Nov 2026 11:59:30 GMT", 0.0),
        ("Sun, 22 Nov 2026 12:00:30 -0000", 30.0),
        ("Sunday, 22-Nov-26 12:00:30 GMT", 30.0),
        ("Sun, 99 Nov 2026 12:00:30 GMT", None),
    ],
)
def test_retry_after_in_seconds_or_as_a_date(stated: str, seconds: float | None):
    assert fhir_client._retry_after(stated, lambda: NOON) == seconds


def test_row_16_a_server_that_is_well_again_is_asked_again(rig: Rig, monkeypatch: pytest.MonkeyPatch):
    """It fails five times and no more; after its rest one request finds that out, and all may follow."""
    monkeypatch.setattr(breaker, "REST_SECONDS", 0.3)
    base = rig.base("mends")

    async def tried(client: FhirClient) -> str:
        with client.access(Server(parse_base(base)), time.monotonic() + LONG) as access:
            try:
                await access.get(f"{base}/Condition", {"patient": "p1"})
            except Unavailable as failure:
                return failure.reason
        return ""

    async def outage() -> list[str]:
        client = FhirClient()
        try:
            said = [await tried(client)]
            while said[-1]:
                said.append(await tried(client))
            assert client.circuits() == {parse_base(base): False}
            return list(dict.fromkeys(said))
        finally:
            await client.close()

    assert asyncio.run(outage()) == ["http-503", "circuit-open", ""]
    assert len(rig.requests(base)) == MENDED + 1
