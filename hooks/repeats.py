"""Fewer repeats: an information card that a user has acknowledged is left out for a while (docs/switches.md).

Only where a client is registered for it, only cards of indicator info, only for the same user and the same patient, and
only while the card rests on the same evidence. When that cannot be found out, the card is shown.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import NamedTuple, Protocol

from cds.card import Card
from cds.evaluation import Evaluation
from cds.triage import NOT_ASSESSED
from hooks.audit.content import evidence_digest
from hooks.clients import Client
from hooks.request import HookRequest
from hooks.services import Service

REPEATABLE = "info"

Acknowledged = Mapping[str, str]
"""Digest of the evidence of a card that was acknowledged -> the card's uuid."""
NOTHING: Acknowledged = MappingProxyType({})


class Identifiers(Protocol):
    """How users and patients are named in the ledger."""

    def user(self, issuer: str, tenant: str, user_id: str) -> str: ...

    def patient(self, issuer: str, tenant: str, patient_id: str) -> str: ...


class Recall(NamedTuple):
    """Whose acknowledgements are asked for: of one user about one patient, received after `since`."""

    issuer: str
    user_key: str
    patient_key: str
    since: datetime


class Repeat(NamedTuple):
    """A card that was left out. card: uuid of the earlier one that was acknowledged."""

    group: str
    card: str


def recall_for(
    client: Client | None,
    tenant: str,
    request: HookRequest,
    service: Service,
    identifiers: Identifiers | None,
    at: datetime,
) -> Recall | None:
    """What to look up for a call; None where cards are repeated, as they are about orders, which are new each time."""
    if client is None or identifiers is None or not client.repeat_days or service.is_order_hook:
        return None
    user = identifiers.user(client.issuer, tenant, request.context.userId)
    patient = identifiers.patient(client.issuer, tenant, request.context.patientId)
    return Recall(client.issuer, user, patient, at - timedelta(days=client.repeat_days))


def repeats(cards: Iterable[Card], evaluation: Evaluation, acknowledged: Acknowledged) -> tuple[Repeat, ...]:
    """The cards that say again what was acknowledged."""
    if not acknowledged:
        return ()
    digests = ((card, evidence_digest(card, evaluation)) for card in cards if _may_be_left_out(card, evaluation))
    return tuple(Repeat(card.group, acknowledged[digest]) for card, digest in digests if digest in acknowledged)


def _may_be_left_out(card: Card, evaluation: Evaluation) -> bool:
    """Which data could not be had is no evidence, and may be others than last time."""
    return card.indicator == REPEATABLE and not (card.group == NOT_ASSESSED and evaluation.chart.missing)
