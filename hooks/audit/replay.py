"""A recorded call evaluated once more, from the input that was stored with it, as of its own instant (row 47)."""

import zlib
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple
from uuid import uuid4

from sqlalchemy import Connection, select

from hooks.audit.chain import cards_of
from hooks.audit.content import card_entries, criteria_json, thresholds_digest
from hooks.errors import RequestError
from hooks.ledger.schema import call, stored_input
from hooks.pipeline import Answered, Caller, Site, answer
from hooks.request import parse_request
from hooks.services import SERVICES
from hooks.states import ON


class Replayed(NamedTuple):
    """What became of one call. differences: in words, none when it came to the same; basis: what it rests on that is
    not as it was then (knowledge, thresholds)."""

    id: str
    differences: tuple[str, ...]
    basis: tuple[str, ...]

    @property
    def is_same(self) -> bool:
        return not self.differences


def replay(connection: Connection, site: Site, id_: str) -> Replayed | None:
    """One call; None where its input was not stored. Raises LedgerUnavailable."""
    both = select(call, stored_input.c.body).join(stored_input, stored_input.c.call_id == call.c.id)
    row = connection.execute(both.where(call.c.id == id_)).mappings().first()
    if row is None:
        return None
    try:
        answered = _answered(row, site)
    except RequestError as error:
        return Replayed(id_, (f"it is refused now: {error.status}",), _basis(row, site))
    differences = (*_criteria(row, answered, site), *_cards(row, cards_of(connection, [id_])[id_], answered))
    return Replayed(id_, differences, _basis(row, site))


def _answered(row: Mapping[str, Any], site: Site) -> Answered:
    service = SERVICES[row["service"]]
    body = zlib.decompress(row["body"])
    states = {id_: each["state"] for id_, each in row["criteria"].items() if each["state"] != ON}
    return answer(body, parse_request(body, service), service, site, row["at"], uuid4, Caller(states))


def _criteria(row: Mapping[str, Any], answered: Answered, site: Site) -> Iterator[str]:
    then = row["criteria"]
    now = criteria_json(answered.evaluation, answered.states, site.settings.disabled)
    for id_ in [*then, *(id_ for id_ in now if id_ not in then)]:
        before, after = then.get(id_), now.get(id_)
        if before is None or after is None:
            yield f"{id_}: {'not there then' if before is None else 'not there now'}"
        elif before["status"] != after["status"]:
            yield f"{id_}: {before['status']} then, {after['status']} now"
        elif before["evidence"] != list(after["evidence"]):
            yield f"{id_}: rests on other evidence"


def _cards(row: Mapping[str, Any], then: list[Any], answered: Answered) -> Iterator[str]:
    """Cards that were not shown because they had been told before come back here."""
    sent = sorted([group, indicator, criteria, evidence] for _, group, indicator, criteria, evidence in then)
    entries = card_entries(answered.cards, answered.evaluation)
    now = [[each.group, each.indicator, each.criteria, each.evidence] for each in entries]
    if any(each not in now for each in sent) or len(now) != len(sent) + len(row["suppressed"]):
        yield "cards: " + ", ".join(each[0] for each in sent) + " then, " + ", ".join(each[0] for each in now) + " now"


def _basis(row: Mapping[str, Any], site: Site) -> tuple[str, ...]:
    now = {"knowledge": site.knowledge.version, "thresholds": thresholds_digest(site.settings)}
    return tuple(name for name, value in now.items() if row[name] != value)
