"""Cards and evaluations as the JSON of CDS Hooks and of the command line (R79 to R131; catalogue, section 9)."""

import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from functools import cache, lru_cache
from typing import Any

from cds.answers import Answer
from cds.card import Card, OrderChange, Suggestion
from cds.catalogue import CRITERIA
from cds.evaluation import CATALOGUE_VERSION, BackProblem, Evaluation
from cds.facts import Evidence
from fhir_profiles.codes import BASE
from fhir_profiles.suggestions import Orders, referable, stat_order
from fhir_profiles.transparency import load_transparency
from hooks.override_reasons import override_reasons

TOPIC_SYSTEM = f"{BASE}/CodeSystem/card-topic"
EXTENSION = "org.example.backpain-cds.evaluation"
ASSOCIATED = "davinci-crd.associated-resource"
SOURCE_LABEL = f"Back pain criteria, version {CATALOGUE_VERSION}"
BASIS_LABEL = "Basis: criteria and sources"
TOPICS = {
    "emergency": "Emergency",
    "red-flag": "Red flags",
    "surgical-referral": "Surgical referral",
    "information": "Information",
    "not-assessed": "Not assessed",
    "order-safety": "Order safety",
}

NewUuid = Callable[[], Any]

# What would begin an HTML tag or a script URL in a client that shows extension text as it stands (R88).
_TAG = re.compile(r"<(?=[A-Za-z/!?])")
_SCRIPT = re.compile(r"(javascript|vbscript|data)\s*:", re.IGNORECASE)


class Responder:
    """Writes responses for one site. intake_url, public_url: "" when the site has none."""

    def __init__(self, orders: Orders, knowledge_version: str, intake_url: str, public_url: str) -> None:
        self._orders = orders
        self._knowledge_version = knowledge_version
        self._intake_url = intake_url
        self._public_url = public_url
        self._review = load_transparency().review
        self._sources = {group: self._source(group) for group in TOPICS}

    def response(self, cards: Iterable[Card], evaluation: Evaluation, new_uuid: NewUuid) -> dict[str, Any]:
        """The CDS Hooks response; nothing in it is null or empty but the list of cards itself (R3, R4, R80)."""
        return {"cards": [self._card(card, evaluation, new_uuid) for card in cards]}

    def _card(self, card: Card, evaluation: Evaluation, new_uuid: NewUuid) -> dict[str, Any]:
        patient = evaluation.chart.patient.reference
        suggestions = [self._suggestion(each, card, patient, new_uuid) for each in card.suggestions]
        suggestions += [_change(each, new_uuid) for each in card.changes if referable(_draft(each))]
        shown = {
            "uuid": str(new_uuid()),
            "summary": card.summary,
            "detail": card.detail + self._review_note(evaluation.case.at),
            "indicator": card.indicator,
            "source": self._sources[card.group],
            "suggestions": suggestions,
            "selectionBehavior": "any" if suggestions else "",
            "overrideReasons": override_reasons(card.group),
            "links": self._links(card),
            "extension": {EXTENSION: self._basis(card, evaluation)} | _orders(card),
        }
        return _filled(shown)

    def _source(self, group: str) -> dict[str, Any]:
        topic = {"system": TOPIC_SYSTEM, "code": group, "display": TOPICS[group]}
        return _filled({"label": SOURCE_LABEL, "url": self._public_url, "topic": topic})

    def _suggestion(self, suggestion: Suggestion, card: Card, patient: str, new_uuid: NewUuid) -> dict[str, Any]:
        action = {
            "type": "create",
            "description": suggestion.label,
            "resource": self._orders.service_request(suggestion, patient),
        }
        said = {"label": suggestion.label, "uuid": str(new_uuid())}
        recommended = {"isRecommended": True} if card.group == "emergency" else {}
        return said | recommended | {"actions": [action]}

    def _links(self, card: Card) -> list[dict[str, Any]]:
        """The intake form, told which criteria are open, and the basis; nothing of the patient (R119 to R127)."""
        links = []
        if card.asks and self._intake_url:
            context = {"appContext": ",".join(card.criteria)} if card.criteria else {}
            links.append({"label": "Open the intake form", "url": self._intake_url, "type": "smart"} | context)
        if self._public_url:
            links.append({"label": BASIS_LABEL, "url": self._basis_url(card), "type": "absolute"})
        return links

    def _basis_url(self, card: Card) -> str:
        """The page of all criteria, opened at the first; what follows `#` stays in the browser (row 31)."""
        return f"{self._public_url.rstrip('/')}/criteria" + "".join(f"#{id_}" for id_ in card.criteria[:1])

    def _review_note(self, at: datetime) -> str:
        """A last line once the criteria are past their review date (row 9)."""
        if not self._review.is_overdue(at.date()):
            return ""
        return f"\n\nThe criteria behind this card are past their review date, {self._review.due}."

    def _basis(self, card: Card, evaluation: Evaluation) -> dict[str, Any]:
        """What the card rests on, for machines."""
        criteria = [_filled(criterion_json(id_, evaluation.told(id_))) for id_ in (*card.criteria, *card.switched_off)]
        return _filled(
            {
                "group": card.group,
                "at": instant(evaluation.at),
                "knowledge": self._knowledge_version,
                "criteria": criteria,
            }
        )


def criterion_json(id_: str, answer: Answer) -> dict[str, Any]:
    """One criterion with its status, reason and evidence."""
    group, title, sources = _row(id_)
    return {
        "id": id_,
        "group": group,
        "status": answer.status,
        "title": title,
        "reason": inert(answer.reason),
        "evidence": [evidence_json(fact) for fact in answer.evidence],
        "sources": sources,
    }


@cache
def _row(id_: str) -> tuple[str, str, list[str]]:
    """Group, title and sources of a criterion as plain text."""
    criterion = CRITERIA[id_]
    return str(criterion.group), criterion.title, [str(source) for source in criterion.sources]


def evidence_json(fact: Evidence) -> dict[str, str]:
    """One resource that decided; a reference that leads nowhere is cut to its type."""
    reference = fact.reference if referable(fact.reference) else fact.reference.partition("/")[0]
    return _filled({"reference": inert(reference), "display": inert(fact.display), "date": fact.date})


def evaluation_json(
    evaluation: Evaluation, response: dict[str, Any], disabled: frozenset[str] = frozenset()
) -> dict[str, Any]:
    """A whole evaluation for the command line: all criteria but the disabled ones, and the cards of `response`."""
    return {
        "patient": evaluation.chart.patient.reference,
        "at": instant(evaluation.at),
        "backProblem": _back_problem(evaluation.back_problem),
        "criteria": [criterion_json(id_, evaluation.told(id_)) for id_ in evaluation.answers if id_ not in disabled],
        "cards": response["cards"],
    }


@lru_cache(maxsize=8)
def instant(at: datetime) -> str:
    """An instant in UTC, to the second."""
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def inert(text: str) -> str:
    """Chart text that begins no tag and no script URL, wherever a client shows it; otherwise as it stands."""
    if "<" in text:
        text = _TAG.sub("< ", text)
    return _SCRIPT.sub(r"\1 :", text) if ":" in text else text


def _back_problem(problem: BackProblem | None) -> dict[str, Any] | None:
    if problem is None:
        return None
    onset = {"onset": problem.onset.when.text} if problem.onset else {}
    return onset | {"current": problem.current, "evidence": [evidence_json(fact) for fact in problem.evidence]}


def _change(change: OrderChange, new_uuid: NewUuid) -> dict[str, Any]:
    """Delete a draft order or raise its priority; an update carries the whole order (R110, R111)."""
    deletes = change.action == "delete"
    target = {"resourceId": _draft(change)} if deletes else {"resource": stat_order(change)}
    action = {"type": change.action, "description": change.label} | target
    return {"label": change.label, "uuid": str(new_uuid()), "actions": [action]}


def _orders(card: Card) -> dict[str, Any]:
    """The draft orders that a card is about, in the extension that HL7's guide on coverage requirements defines."""
    named = [{"reference": name} for order in card.orders if referable(name := f"ServiceRequest/{order.id}")]
    return {ASSOCIATED: named} if named else {}


def _draft(change: OrderChange) -> str:
    return f"ServiceRequest/{change.order.id}"


def _filled(members: dict[str, Any]) -> dict[str, Any]:
    """Without the members that have no value (R3 to R5)."""
    return {name: value for name, value in members.items() if value or value is False}
