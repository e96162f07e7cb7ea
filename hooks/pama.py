"""Appropriateness ratings of imaging orders as system actions, for clients that record them (docs/orders.md).

The shape is that of the Argonaut guide "CDS Hooks for PAMA": a draft order comes back unchanged but for extensions with
the rating, who gave it and a number for the consultation. It changes nothing that the clinician ordered.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from cds.appropriateness import UNDETERMINED, is_advanced_imaging, rating
from cds.evaluation import Evaluation
from cds.facts import DraftOrder
from fhir_profiles.suggestions import referable, without_empty
from hooks.respond import NewUuid

EXTENSIONS = "http://fhir.org/argonaut/Extension"
RATING = f"{EXTENSIONS}/pama-rating"
RATINGS = "http://fhir.org/argonaut/CodeSystem/pama-rating"
CONSULTED = f"{EXTENSIONS}/pama-rating-qcdsm-consulted"
CONSULTATION = f"{EXTENSIONS}/pama-rating-consult-id"
APPLIED = f"{EXTENSIONS}/pama-rating-auc-applied"
_OURS = frozenset((RATING, CONSULTED, CONSULTATION, APPLIED))

SYSTEM_ACTIONS = "systemActions"


@dataclass(frozen=True)
class Pama:
    """How one client wants its ratings. mechanism: the identifier under which this service is registered as a decision
    support mechanism, "" for none; place: where the client looks for the actions (CDS Hooks 2.0, or the guide's
    extension of 1.0)."""

    mechanism: str = ""
    place: str = SYSTEM_ACTIONS


def with_ratings(
    response: dict[str, Any], evaluation: Evaluation, pama: Pama, public_url: str, new_uuid: NewUuid
) -> dict[str, Any]:
    """The response, and an update of each imaging order that could be rated (R81, R128, R129)."""
    actions = list(_actions(evaluation, pama, public_url.rstrip("/"), new_uuid))
    if not actions:
        return response
    held = {"systemActions": actions}
    return response | (held if pama.place == SYSTEM_ACTIONS else {"extension": held})


def _actions(evaluation: Evaluation, pama: Pama, base: str, new_uuid: NewUuid) -> Iterator[dict[str, Any]]:
    for draft in evaluation.chart.drafts:
        if not (is_advanced_imaging(draft) and referable(f"ServiceRequest/{draft.id}")):
            continue
        given, criterion = rating(evaluation, draft)
        if given != UNDETERMINED:
            page = f"{base}/criteria/{criterion}" if base and criterion else ""
            resource = _rated(draft, given, pama.mechanism, page, str(new_uuid()))
            yield {"type": "update", "description": f"Appropriateness of the imaging: {given}", "resource": resource}


def _rated(draft: DraftOrder, given: str, mechanism: str, page: str, uuid: str) -> dict[str, Any]:
    """The whole order, as an update needs it (R110), without the empty values it came with (R4); a rating that it
    already had is replaced."""
    order = without_empty(draft.resource)
    before = order.get("extension")
    kept = [each for each in before if not _is_ours(each)] if isinstance(before, list) else []
    ours = [
        {"url": RATING, "valueCodeableConcept": {"coding": [{"system": RATINGS, "code": given}]}},
        {"url": CONSULTATION, "valueUri": f"urn:uuid:{uuid}"},
        *([{"url": CONSULTED, "valueString": mechanism}] if mechanism else []),
        *([{"url": APPLIED, "valueUri": page}] if page else []),
    ]
    return {**order, "extension": kept + ours}


def _is_ours(extension: Any) -> bool:
    return isinstance(extension, dict) and extension.get("url") in _OURS
