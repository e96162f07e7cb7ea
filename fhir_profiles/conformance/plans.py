"""Each card as a PlanDefinition and each suggested order as an ActivityDefinition, read off the catalogue.

A condition is told in words, and as an expression that the code of the service answers, which the package carries as
a Library. What a criterion looks at, which thresholds it goes by and which orders a card can suggest is read off the
code too (`cds.explain`).
"""

from collections.abc import Collection, Iterator, Sequence
from typing import Any

from cds import concepts as ids
from cds.catalogue import SOURCE_TITLES, Criterion, Source
from cds.explain import offered_on, opening, shown_on, uses
from cds.limits import BY_KEY, Limits
from cds.offers import NAMES, with_article
from cds.triage import DECIDED_BY, ORDER_HOOKS, ORDER_INDICATORS, ORDER_SAFETY
from cds.wording import capitalized
from fhir_profiles import codes as c
from fhir_profiles.conformance.logic import LOGIC, condition, when_met, when_shown
from fhir_profiles.conformance.profiles import ORDER, profile_url
from fhir_profiles.conformance.resource import UNREVIEWED, Edition, Resource, canonical, described
from fhir_profiles.suggestions import order_code
from fhir_profiles.terminology import Knowledge

_PLAN_TYPE = {"system": "http://terminology.hl7.org/CodeSystem/plan-definition-type", "code": "eca-rule"}
_CREATE = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/action-type", "code": "create"}]}
_TOPIC = f"{c.BASE}/CodeSystem/card-topic"

_LOOKED_AT = (
    (frozenset((*ids.BOOLEAN_FINDINGS, *ids.MEASUREMENTS)), "Observation", "code"),
    (frozenset((*ids.BOOLEAN_FINDINGS, *ids.CONDITIONS)), "Condition", "code"),
    (frozenset(ids.MEDICINES), "MedicationRequest", "medication"),
    (frozenset(ids.MEDICINES), "MedicationStatement", "medication"),
    (frozenset(ids.ROUTES), "MedicationRequest", "dosageInstruction.route"),
    (frozenset(ids.PROCEDURES), "Procedure", "code"),
    (frozenset((*ids.PROCEDURES, *ids.ORDERS)), "ServiceRequest", "code"),
    (frozenset(ids.ORDERS), "DiagnosticReport", "code"),
)
"""Concepts, the resources that carry them, and where."""


def activity_definitions(knowledge: Knowledge, edition: Edition) -> Iterator[Resource]:
    """One for each kind of suggested order."""
    for kind, order in knowledge.suggested_orders.items():
        about = f"{capitalized(with_article(NAMES[kind]))}, as cards suggest it. The code: {order.why}. {UNREVIEWED}"
        yield described("ActivityDefinition", kind, capitalized(NAMES[kind]), about, edition) | {
            "kind": "ServiceRequest",
            "profile": profile_url(ORDER),
            "code": order_code(kind, knowledge),
            "intent": "proposal",
            "dynamicValue": [
                {"path": "status", "expression": {"language": "text/fhirpath", "expression": "'draft'"}},
            ],
        }


def plan_definitions(
    knowledge: Knowledge, edition: Edition, hooks: Sequence[str], limits: Limits, hidden: Collection[str] = ()
) -> Iterator[Resource]:
    """One for each group of cards. hooks: those of the service; hidden: criteria that the site switched off."""
    for group in DECIDED_BY:
        shown = [entry for entry in shown_on(group) if entry.id not in hidden]
        about = f"When the card *{group}* appears, which criteria it is about and what it offers. {UNREVIEWED}"
        yield described("PlanDefinition", group, _title(group), about, edition) | {
            "type": {"coding": [_PLAN_TYPE]},
            "usage": "To read, to index and to run: the conditions are Python, and the library holds the code.",
            "library": [canonical("Library", LOGIC)],
            "topic": [{"coding": [{"system": _TOPIC, "code": group}]}],
            "relatedArtifact": _documents({source for entry in shown for source in entry.sources}),
            "action": [_card(group, shown, hooks, limits)],
        }


def _title(group: str) -> str:
    return f"Back pain: {group.replace('-', ' ')} card"


def _card(group: str, shown: Sequence[Criterion], hooks: Sequence[str], limits: Limits) -> dict[str, Any]:
    on = [hook for hook in hooks if (hook in ORDER_HOOKS) == (group == ORDER_SAFETY)]
    inner = [*(_criterion(entry, limits) for entry in shown), *(_offer(kind) for kind in offered_on(group))]
    return {
        "id": group,
        "title": _title(group),
        "trigger": [{"type": "named-event", "name": hook} for hook in on],
        "condition": [condition(group, opening(group), when_shown(group))],
        **({"selectionBehavior": "any", "action": inner} if inner else {}),
    }


def _criterion(entry: Criterion, limits: Limits) -> dict[str, Any]:
    used = uses(entry.id)
    in_force = [f"{key} {getattr(limits, key):g} {BY_KEY[key].unit}" for key in used.thresholds]
    severity = f" Indicator: {ORDER_INDICATORS[entry.id]}." if entry.id in ORDER_INDICATORS else ""
    beyond = " Goes beyond the source documents." if entry.beyond else ""
    numbers = f" Thresholds in force: {'; '.join(in_force)}." if in_force else ""
    looked_at = [_looked_at(kind, path, concept) for concept in used.concepts for kind, path in _carriers(concept)]
    return {
        "id": entry.id,
        "title": entry.title,
        "description": f"{entry.in_words}{numbers}{severity}{beyond}",
        "documentation": _documents(set(entry.sources)),
        "condition": [condition(entry.id, entry.in_words, when_met(entry))],
        **({"input": looked_at} if looked_at else {}),
    }


def _carriers(concept: str) -> Iterator[tuple[str, str]]:
    return ((kind, path) for concepts, kind, path in _LOOKED_AT if concept in concepts)


def _looked_at(kind: str, path: str, concept: str) -> dict[str, Any]:
    return {"type": kind, "codeFilter": [{"path": path, "valueSet": c.VALUE_SET + concept}]}


def _offer(kind: str) -> dict[str, Any]:
    return {
        "id": f"offer-{kind}",
        "title": capitalized(NAMES[kind]),
        "description": "Offered where the card finds a reason for it and the record does not hold it already.",
        "type": _CREATE,
        "definitionCanonical": canonical("ActivityDefinition", kind),
    }


def _documents(sources: Collection[Source]) -> list[dict[str, str]]:
    """In the order of the catalogue."""
    named = [source for source in Source if source in sources]
    return [{"type": "justification", "label": source, "display": SOURCE_TITLES[source]} for source in named]
