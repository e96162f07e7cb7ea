"""Why a clinician may set a card aside (R116 to R118).

HL7's non-adherence reasons where one fits, with HL7's own displays (CodeSystem of CDS Hooks 3.0.0-ballot), so that
sites can compare; ours where none does.
"""

from fhir_profiles.codes import BASE

HL7_REASONS = "http://terminology.hl7.org/CodeSystem/non-adherence-reason-codes"
OWN_REASONS = f"{BASE}/CodeSystem/override-reason"

Coding = dict[str, str]


def _hl7(code: str, display: str) -> Coding:
    return {"code": code, "system": HL7_REASONS, "display": display}


def _own(code: str, display: str) -> Coding:
    return {"code": code, "system": OWN_REASONS, "display": display}


_NOT_APPLICABLE = _hl7("cds-not-applicable", "PC CDS does not apply to patient")
_COMPLETED = _hl7("action-completed", "Recommended action was already completed")
_ORDERED = _hl7("indication-order-exists", "Patient has indication/order for intended action")
_CONTRAINDICATED = _hl7("patient-contraindication", "Patient has contraindication to recommended action")
_RISK_BENEFIT = _hl7("risk-benefit-ratio", "Recipient assessment of risk/benefit ratio")
_ALTERNATIVE = _hl7("prefers-alternative", "Patient prefers an alternative approach or treatment")
_MORE_INFO = _hl7(
    "need-more-info",
    "Could not address recommended action due to need for more information/pending results/pending consult",
)
_LIMITED_TIME = _hl7("limited-time", "Could not address recommended action due to limited time")
_EXAMINED = _own("examined-not-confirmed", "Examined: the finding is not confirmed")
_KNOWN = _own("known-and-followed", "Known and already followed up")

_REASONS = {
    "emergency": [_EXAMINED, _KNOWN, _COMPLETED, _NOT_APPLICABLE],
    "red-flag": [_KNOWN, _EXAMINED, _COMPLETED, _MORE_INFO, _NOT_APPLICABLE],
    "surgical-referral": [_ALTERNATIVE, _KNOWN, _CONTRAINDICATED, _COMPLETED, _NOT_APPLICABLE],
    "information": [_KNOWN, _COMPLETED, _CONTRAINDICATED, _NOT_APPLICABLE],
    "not-assessed": [_LIMITED_TIME, _COMPLETED, _NOT_APPLICABLE],
    "order-safety": [_ORDERED, _RISK_BENEFIT, _ALTERNATIVE, _NOT_APPLICABLE],
}

DISPLAYS = {reason["code"]: reason["display"] for reasons in _REASONS.values() for reason in reasons}
"""Code -> what it means."""

COMMENT_ONLY = "comment only"
"""In place of the code of a reason that was only written down; what it says may be about a patient."""

ACKNOWLEDGING = tuple((reason["system"], reason["code"]) for reason in (_COMPLETED, _ORDERED, _KNOWN, _MORE_INFO))
"""System and code of the reasons that say "seen, and taken care of": done already, ordered, followed up, awaited."""


def override_reasons(group: str) -> list[Coding]:
    """The reasons offered on a card of a group."""
    return _REASONS[group]
