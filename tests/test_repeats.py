"""An information card that a user has acknowledged is not repeated; every other card is (docs/switches.md)."""

import asyncio
import json
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from cds.triage import INFORMATION, NOT_ASSESSED, RED_FLAG
from hooks.audit.content import evidence_digest
from hooks.clients import Client
from hooks.errand import Errand
from hooks.errors import LedgerUnavailable
from hooks.ledger.database import Ledger, open_ledger, sqlite_url
from hooks.ledger.memory import REST_SECONDS, Memory, acknowledged
from hooks.ledger.migrate import migrate
from hooks.ledger.schema import call as call_row
from hooks.ledger.schema import card as card_row
from hooks.ledger.schema import feedback as feedback_row
from hooks.override_reasons import ACKNOWLEDGING, HL7_REASONS, OWN_REASONS
from hooks.pipeline import Answered, Caller, Site, answer, load_site
from hooks.repeats import Recall, recall_for
from hooks.request import parse_request
from hooks.services import SERVICES
from hooks.settings import Settings
from tests.jwks_rig import ISSUER, PUBLIC_URL, bearer, registered, token
from tests.patience import until
from tests.records import AT, condition, knowledge, observation
from tests.service_rig import Server, call, groups, path_of, running

PATH = path_of("patient-view")
SPASM = condition("back-spasm", 60)
KNOWN = {"system": OWN_REASONS, "code": "known-and-followed"}
RECALL = Recall(ISSUER, "u1", "p1", AT - timedelta(days=30))


@pytest.fixture(scope="module")
def site() -> Site:
    return load_site(Settings(), knowledge())


def answered(site: Site, request: dict[str, Any], known: dict[str, str]) -> Answered:
    service = next(each for each in SERVICES.values() if each.hook == request["hook"])
    body = json.dumps(request).encode()
    ids = iter(range(1000)).__next__
    return answer(body, parse_request(body, service), service, site, AT, ids, Caller(acknowledged=known))


def digests(told: Answered) -> dict[str, str]:
    """Group -> digest of the evidence of each card."""
    return {card.group: evidence_digest(card, told.evaluation) for card in told.cards.values()}


def shown(told: Answered) -> list[str]:
    return [card.group for card in told.cards.values()]


# --- which cards ------------------------------------------------------------------------------------------------------


def test_an_information_card_with_the_same_evidence_is_left_out(site: Site):
    first = answered(site, call("patient-view", SPASM), {})
    again = answered(site, call("patient-view", SPASM), {digests(first)[INFORMATION]: "c1"})
    assert shown(first) == [INFORMATION, NOT_ASSESSED]
    assert shown(again) == [NOT_ASSESSED]
    assert [repeat._asdict() for repeat in again.suppressed] == [{"group": INFORMATION, "card": "c1"}]


def test_new_evidence_shows_it_again(site: Site):
    known = {digests(answered(site, call("patient-view", SPASM), {}))[INFORMATION]: "c1"}
    more = call("patient-view", SPASM, observation("potassium", 3.0, "mmol/L", 2))
    assert INFORMATION in shown(answered(site, more, known))


@pytest.mark.parametrize(
    "found",
    [condition("urinary-retention", 3), observation("night-pain", True), condition("foot-drop-leg-paresis", 5)],
    ids=["critical", "warning", "surgical warning"],
)
def test_a_card_that_is_more_than_information_is_always_shown(site: Site, found: dict[str, Any]):
    first = answered(site, call("patient-view", found), {})
    serious = [card for card in first.cards.values() if card.indicator != "info"]
    again = answered(site, call("patient-view", found), dict.fromkeys(digests(first).values(), "c1"))
    assert serious
    assert [card.indicator for card in again.cards.values()] == [card.indicator for card in serious]


def test_no_card_refers_to_one_that_was_left_out(site: Site):
    request = call("patient-view", observation("night-pain", True))
    first = answered(site, request, {})
    again = answered(site, request, {digests(first)[NOT_ASSESSED]: "c1"})
    assert "see the last card" in first.body.decode()
    assert shown(again) == [RED_FLAG]
    assert "see the last card" not in again.body.decode()


def test_what_could_not_be_had_is_told_each_time(site: Site):
    request = call("patient-view", SPASM)
    del request["prefetch"]["medicationRequests"]
    first = answered(site, request, {})
    assert NOT_ASSESSED in shown(answered(site, request, dict.fromkeys(digests(first).values(), "c1")))


class Plain:
    def user(self, issuer: str, tenant: str, user_id: str) -> str:
        return f"{issuer} {tenant} {user_id}"

    patient = user


@pytest.mark.parametrize("hook", [service.hook for service in SERVICES.values()])
def test_only_a_client_that_wants_it_and_no_order_is_looked_up(hook: str):
    service = next(each for each in SERVICES.values() if each.hook == hook)
    request = parse_request(json.dumps(call(hook)).encode(), service)
    wants = Client(ISSUER, repeat_days=7)
    asked = recall_for(wants, "t", request, service, Plain(), AT)
    expected = Recall(ISSUER, f"{ISSUER} t Practitioner/dr1", f"{ISSUER} t p1", AT - timedelta(days=7))
    assert asked == (None if hook.startswith("order") else expected)
    assert recall_for(Client(ISSUER), "t", request, service, Plain(), AT) is None
    assert recall_for(None, "", request, service, Plain(), AT) is None
    assert recall_for(wants, "t", request, service, None, AT) is None


# --- what the ledger remembers ----------------------------------------------------------------------------------------


@pytest.fixture
def ledger(tmp_path: Path) -> Any:
    url = sqlite_url(tmp_path / "ledger.sqlite3")
    migrate(url)
    opened = open_ledger(url)
    yield opened
    opened.close()


def remember(ledger: Ledger, **changed: Any) -> None:
    """A call with one card, and what its user did with it; `changed`: columns of any of the three rows."""
    told = {
        "id": "k1", "at": AT, "issuer": ISSUER, "tenant": "", "user_key": "u1", "patient_key": "p1", "hook": "h",
        "service": "s", "hook_instance": "i", "status": 200, "reason": "", "release": "", "catalogue": "",
        "knowledge": "", "thresholds": "", "latency_ms": 1.0, "unreadable": 0, "foreign_resources": 0, "missing": [],
        "criteria": {}, "suppressed": [], "day": "2026-11-20", "position": 1, "chain": "",
    }  # fmt: skip
    card = {"uuid": "c1", "call_id": "k1", "group": INFORMATION, "indicator": "info", "criteria": [], "evidence": "e1"}
    said = {
        "digest": "d1", "received": AT, "service": "s", "card": "c1", "outcome": "overridden", "outcome_at": AT,
        "suggestions": [], "reason_code": KNOWN["code"], "reason_system": KNOWN["system"], "reason_display": "",
        "comment": "",
    }  # fmt: skip
    said["issuer"] = changed.pop("said_by", changed.get("issuer", ISSUER))
    with ledger.begin() as connection:
        for table, row in ((call_row, told), (card_row, card), (feedback_row, said)):
            names = {name: value for name, value in changed.items() if name in row}
            connection.execute(table.insert().values(row | names))


def test_an_acknowledged_card_is_remembered(ledger: Ledger):
    remember(ledger)
    assert acknowledged(ledger, RECALL) == {"e1": "c1"}


@pytest.mark.parametrize(("system", "code"), ACKNOWLEDGING)
def test_every_reason_that_acknowledges(ledger: Ledger, system: str, code: str):
    remember(ledger, reason_system=system, reason_code=code)
    assert acknowledged(ledger, RECALL) == {"e1": "c1"}


FORGOTTEN = {
    "another user": {"user_key": "u2"},
    "another patient": {"patient_key": "p2"},
    "another client": {"issuer": "https://other.example.org"},
    "too long ago": {"received": AT - timedelta(days=31)},
    "accepted": {"outcome": "accepted"},
    "no reason": {"reason_code": "", "reason_system": ""},
    "no time": {"reason_code": "limited-time", "reason_system": HL7_REASONS},
    "not applicable": {"reason_code": "cds-not-applicable", "reason_system": HL7_REASONS},
    "another's code": {"reason_system": "https://other.example.org"},
    "a warning": {"indicator": "warning"},
    "critical": {"indicator": "critical"},
    "about another card": {"card": "c2"},
}


@pytest.mark.parametrize("changed", FORGOTTEN.values(), ids=FORGOTTEN)
def test_what_does_not_count(ledger: Ledger, changed: dict[str, Any]):
    remember(ledger, **changed)
    assert acknowledged(ledger, RECALL) == {}


def test_feedback_of_another_client_does_not_count(ledger: Ledger):
    """It may name a card of ours by guessing its uuid."""
    remember(ledger, said_by="https://other.example.org")
    assert acknowledged(ledger, RECALL) == {}


def looked_up(monkeypatch: pytest.MonkeyPatch, ask: Callable[..., Any], seconds: float = 0.05) -> tuple[Any, list[int]]:
    """What two calls in a row get, and one after the pause, of a ledger that is asked by `ask`."""
    now, asked = [0.0], []

    def counted(*args: Any) -> Any:
        asked.append(1)
        return ask(*args)

    monkeypatch.setattr("hooks.ledger.memory.acknowledged", counted)

    async def three() -> list[Any]:
        memory = Memory(None, seconds, lambda: now[0])
        found = [await memory.look_up(RECALL), await memory.look_up(RECALL)]
        now[0] += REST_SECONDS
        return [*found, await memory.look_up(RECALL)]

    return asyncio.run(three()), asked


def test_a_ledger_that_is_away_is_asked_again_after_a_while_and_the_card_is_shown(monkeypatch: pytest.MonkeyPatch):
    def away(*_: Any) -> None:
        raise LedgerUnavailable("database")

    found, asked = looked_up(monkeypatch, away)
    assert [dict(each) for each in found] == [{}, {}, {}]
    assert len(asked) == 2


def test_a_ledger_that_is_slow_keeps_no_call_waiting(monkeypatch: pytest.MonkeyPatch):
    going = threading.Event()
    found, _ = looked_up(monkeypatch, lambda *_: going.wait(1) or {"e1": "c1"})
    assert [dict(each) for each in found] == [{}, {}, {}]
    going.set()


def test_a_ledger_that_is_well_is_asked_each_time(monkeypatch: pytest.MonkeyPatch):
    found, asked = looked_up(monkeypatch, lambda *_: {"e1": "c1"}, seconds=5)
    assert found == [{"e1": "c1"}] * 3
    assert len(asked) == 3


def test_an_errand_without_anything_to_do_is_closed():
    assert not Errand().is_open
    assert Errand(recall=RECALL).is_open


# --- a real server ----------------------------------------------------------------------------------------------------


def ask(server: Server, number: int, request: dict[str, Any]) -> dict[str, str]:
    answer = server.http.post(PATH, json=request, headers=bearer(token(PUBLIC_URL + PATH, jti=f"call {number}")))
    return {group: card["uuid"] for group, card in by_group(answer.json()).items()}


def by_group(answer: dict[str, Any]) -> dict[str, Any]:
    return dict(zip(groups(answer), answer["cards"], strict=True))


def override(server: Server, uuid: str) -> int:
    path = f"{PATH}/feedback"
    item = {
        "card": uuid,
        "outcome": "overridden",
        "outcomeTimestamp": "2026-11-20T12:00:00Z",
        "overrideReason": {"reason": KNOWN},
    }
    headers = bearer(token(PUBLIC_URL + path, jti=f"feedback {uuid}"))
    return server.http.post(path, json={"feedback": [item]}, headers=headers).status_code


def test_from_the_first_card_to_the_audit_of_its_absence(tmp_path: Path):
    """The chart is dated by today, which the server goes by."""
    spasm = condition("back-spasm", date=time.strftime("%Y-%m-%d", time.gmtime(time.time() - 60 * 86400)))
    request = call("patient-view", spasm)
    config = registered(tmp_path, f'data_dir = "{tmp_path}"', rate_per_second=1000, repeat_days=30)
    numbers = count(1)

    def once_filed() -> dict[str, str]:
        """The row of the first call is in the ledger about a second later."""
        shown = ask(server, next(numbers), request)
        return {} if INFORMATION in shown else shown

    with running(tmp_path, 1, config) as server:
        first = ask(server, 0, request)
        assert override(server, first[INFORMATION]) == 200
        assert NOT_ASSESSED in until(once_filed)
        other_user = request | {"context": request["context"] | {"userId": "Practitioner/other"}}
        assert INFORMATION in ask(server, next(numbers), other_user)
    ledger = open_ledger(sqlite_url(tmp_path / "ledger.sqlite3"))
    with ledger.read() as connection:
        suppressed = [row for row in connection.scalars(select(call_row.c.suppressed)) if row]
    ledger.close()
    assert suppressed == [[{"group": INFORMATION, "card": first[INFORMATION]}]]
