"""Suggested orders as FHIR R4 ServiceRequests (catalogue, section 9), and changes to draft orders."""

import re
from typing import Any

from fhir.resources.R4B.servicerequest import ServiceRequest

from cds.card import OrderChange, Suggestion
from cds.facts import Evidence
from fhir_profiles.terminology import Knowledge

_TEXT = {
    "mri-lumbar": "MRI of the lumbar spine",
    "mri-whole-spine": "MRI of the whole spine",
    "esr": "Erythrocyte sedimentation rate",
    "crp": "C-reactive protein",
    "blood-count": "Complete blood count",
    "spine-surgeon-referral": "Referral to a spine surgeon",
    "spine-review": "Specialist spine review",
    "emergency-department-referral": "Urgent referral to the emergency department",
}
"""What each suggested order is called, whatever the words of the code that stands for it."""

_REASON_TYPES = frozenset(("Condition", "Observation", "DiagnosticReport", "DocumentReference"))
"""What ServiceRequest.reasonReference may refer to in R4; all else goes to supportingInfo."""

_EMPTY = (None, "", [], {})
_RELATIVE = re.compile(r"([A-Z][A-Za-z]{1,63})/[A-Za-z0-9\-.]{1,128}")
_ABSOLUTE = re.compile(r"(?:https?://[^\s\"<>]+/([A-Z][A-Za-z]+)/[A-Za-z0-9\-.]+|urn:(?:uuid|oid):[0-9A-Za-z.\-]+)")


def referable(reference: str) -> bool:
    """Whether it is a FHIR reference that leads somewhere: Type/id, an absolute URL of one, or a URN."""
    return bool(_RELATIVE.fullmatch(reference) or _ABSOLUTE.fullmatch(reference))


class Orders:
    """One checked template for each kind of suggested order.

    Built once: the check of a whole resource costs more than a hook call may.
    """

    def __init__(self, knowledge: Knowledge) -> None:
        """Raises ValueError when a code of the knowledge makes no valid ServiceRequest."""
        self._templates = {kind: _template(kind, knowledge) for kind in _TEXT}

    def service_request(self, suggestion: Suggestion, patient: str) -> dict[str, Any]:
        """The order to create for a patient ("Patient/123"), with the evidence it rests on."""
        request = self._templates[suggestion.kind] | {
            "subject": {"reference": patient},
            "priority": suggestion.priority,
        }
        reasons, supporting = _references(suggestion.reasons)
        if reasons:
            request["reasonReference"] = reasons
        if supporting:
            request["supportingInfo"] = supporting
        return request


def stat_order(change: OrderChange) -> dict[str, Any]:
    """The whole draft order as it would be with priority stat (R110), without the empty values it came with (R4)."""
    return {**without_empty(change.order.resource), "priority": "stat"}


def without_empty(value: Any) -> Any:
    """JSON without what R4 forbids anywhere: null, "", [] and {}."""
    if isinstance(value, dict):
        return {name: kept for name, child in value.items() if (kept := without_empty(child)) not in _EMPTY}
    if isinstance(value, list):
        return [kept for child in value if (kept := without_empty(child)) not in _EMPTY]
    return value


def order_code(kind: str, knowledge: Knowledge) -> dict[str, Any]:
    """The CodeableConcept of a suggested order."""
    order = knowledge.suggested_orders[kind]
    coding = {"system": order.system, "code": order.code, "display": order.display}
    return {"coding": [coding], "text": _TEXT[kind]}


def _template(kind: str, knowledge: Knowledge) -> dict[str, Any]:
    template = {
        "resourceType": "ServiceRequest",
        "status": "draft",
        "intent": "proposal",
        "code": order_code(kind, knowledge),
    }
    ServiceRequest.model_validate(template | {"subject": {"reference": "Patient/1"}, "priority": "stat"})
    return template


def _references(evidence: tuple[Evidence, ...]) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
    """Reasons and supporting information, each once; evidence without an id cannot be referred to."""
    reasons, supporting = [], []
    for reference, kind in dict.fromkeys((fact.reference, fact.kind) for fact in evidence):
        if referable(reference):
            reason = (kind or _type(reference)) in _REASON_TYPES
            (reasons if reason else supporting).append({"reference": reference})
    return reasons, supporting


def _type(reference: str) -> str:
    found = _RELATIVE.fullmatch(reference) or _ABSOLUTE.fullmatch(reference)
    return (found and found[1]) or ""
