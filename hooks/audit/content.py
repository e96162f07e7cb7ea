"""What a row of the audit says of a call that was answered; references and counts, no content (row 37)."""

import hashlib
import re
from collections.abc import Mapping
from typing import Any

import msgspec

from cds.answers import MET, NOT_MET, UNKNOWN, Answer
from cds.card import Card
from cds.evaluation import Evaluation
from cds.facts import Evidence
from cds.limits import BY_KEY
from fhir_profiles.suggestions import referable
from hooks.audit.entry import CardEntry
from hooks.request import HookRequest
from hooks.settings import Settings
from hooks.states import OFF, ON, STATES, States

MOST_EVIDENCE = 20
"""References that a row holds of one criterion, the newest ones."""

_encode = msgspec.json.encode
_VERSION = re.compile(r"[A-Za-z0-9\-.]{1,64}")
_LONGEST_REFERENCE = 400
_WITHOUT_EVIDENCE = {
    (status, state): {"status": status, "state": state, "evidence": ()}
    for status in (MET, NOT_MET, UNKNOWN)
    for state in STATES
}
"""Most results of most charts, made once."""


def thresholds_digest(settings: Settings) -> str:
    """What of a site's configuration an evaluation depends on: thresholds, disabled criteria, time zone."""
    limits = {key: getattr(settings.limits, key) for key in BY_KEY}
    said = (limits, sorted(settings.disabled), settings.zone.key)
    return hashlib.sha256(_encode(said)).hexdigest()


def criteria_json(evaluation: Evaluation, states: States, left_out: frozenset[str]) -> dict[str, Mapping[str, Any]]:
    """Criterion id -> its result, state and evidence; without those that the site has left out of every answer.

    states: of the criteria that are not on. What is off was not looked at.
    """
    references = _References(evaluation.chart.patient.reference)
    return {
        id_: _result(answer, states.get(id_, ON), references)
        for id_, answer in evaluation.answers.items()
        if id_ not in left_out
    }


def card_entries(cards: Mapping[str, Card], evaluation: Evaluation) -> list[CardEntry]:
    """uuid -> card, as sent, to what the ledger keeps of them."""
    return [
        CardEntry(uuid, card.group, card.indicator, list(card.criteria), evidence_digest(card, evaluation))
        for uuid, card in cards.items()
    ]


def evidence_digest(card: Card, evaluation: Evaluation) -> str:
    """What a card rests on: the same digest says that it would tell the same again (64 hexadecimal digits)."""
    answers = [(id_, evaluation.answers[id_]) for id_ in card.criteria]
    rests = [(id_, answer.status, [_identity(fact) for fact in answer.evidence]) for id_, answer in answers]
    about = [_identity(order.evidence) for order in card.orders]
    return hashlib.sha256(_encode((card.group, rests, about))).hexdigest()


def input_json(request: HookRequest) -> bytes:
    """The request with all that was fetched for it, and without the token that it was fetched with."""
    context = {name: value for name, value in msgspec.structs.asdict(request.context).items() if value is not None}
    if not bytes(request.context.draftOrders):
        del context["draftOrders"]
    said = {"hook": request.hook, "hookInstance": request.hookInstance, "context": context}
    server = {"fhirServer": request.fhirServer} if request.fhirServer is not None else {}
    return _encode(said | server | {"prefetch": request.prefetch})


def _result(answer: Answer, state: str, references: "_References") -> Mapping[str, Any]:
    if state == OFF:
        return _WITHOUT_EVIDENCE[UNKNOWN, OFF]
    facts = answer.evidence
    if not facts:
        return _WITHOUT_EVIDENCE[answer.status, state]
    return {"status": answer.status, "state": state, "evidence": [references[fact] for fact in facts[:MOST_EVIDENCE]]}


class _References(dict[Evidence, str]):
    """`Condition/abc|3` of a fact, each worked out once; of the patient, and where nothing is referred to, the type."""

    def __init__(self, patient: str) -> None:
        super().__init__()
        self._patient = patient

    def __missing__(self, fact: Evidence) -> str:
        reference = self[fact] = self._named(fact)
        return reference

    def _named(self, fact: Evidence) -> str:
        reference = fact.reference
        if reference == self._patient:
            return "Patient"
        if not referable(reference) or len(reference) > _LONGEST_REFERENCE:
            reference = fact.kind or reference.partition("/")[0][:40]
        return f"{reference}|{fact.version}" if _VERSION.fullmatch(fact.version) else reference


def _identity(fact: Evidence) -> tuple[str, ...]:
    return fact.reference, fact.version, fact.display, fact.date, fact.relation
