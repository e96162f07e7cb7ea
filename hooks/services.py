"""The services of this server: one row a hook, with what each needs of the record (catalogue, section 9)."""

from typing import NamedTuple

from fhir_profiles.codes import QUESTIONNAIRE
from fhir_profiles.terminology import Knowledge

MAX_QUERY = 8000  # octets that every server accepts in a URL (RFC 9110, 4.1)
_ROOM_FOR_ID = 128

PATIENT_KEY = "patient"
ENCOUNTER_KEY = "encounter"
SEARCH_KEYS = {
    "conditions": "Condition",
    "observations": "Observation",
    "responses": "QuestionnaireResponse",
    "medicationRequests": "MedicationRequest",
    "medicationStatements": "MedicationStatement",
    "procedures": "Procedure",
    "serviceRequests": "ServiceRequest",
    "reports": "DiagnosticReport",
    "allergies": "AllergyIntolerance",
    "imagingStudies": "ImagingStudy",
}
"""Prefetch keys that hold a search for the patient -> the FHIR type searched. No criterion needs the last two."""


class Service(NamedTuple):
    """One CDS service. hook_version: that of the published hook definition (R22)."""

    id: str
    hook: str
    title: str
    description: str
    hook_version: str = "1.0"
    reads_encounter: bool = False
    is_order_hook: bool = False


_CHART = (
    "Looks through a chart with back pain for emergencies, red flags, reasons to discuss a referral to a spine surgeon "
    "and first measures, each with its evidence, and says what could not be assessed."
)
_ORDERS = (
    "Looks at draft orders of imaging, traction, injections, surgery and referrals for the back, and says where "
    "the record speaks against one or asks for more haste."
)

SERVICES = {
    service.id: service
    for service in (
        Service("back-pain-patient-view", "patient-view", "Back pain: red flags and referral", _CHART),
        Service(
            "back-pain-encounter-start",
            "encounter-start",
            "Back pain: red flags and referral, at the start of a visit",
            _CHART,
            reads_encounter=True,
        ),
        Service("back-pain-order-select", "order-select", "Back pain: selected orders", _ORDERS, is_order_hook=True),
        Service("back-pain-order-sign", "order-sign", "Back pain: orders to be signed", _ORDERS, is_order_hook=True),
    )
}


def prefetch_templates(service: Service, knowledge: Knowledge) -> dict[str, str]:
    """Key -> FHIR query. Required context fields only, no parameter twice: clients drop or merge the rest (R39)."""
    searches = {key: f"{kind}?patient={{{{context.patientId}}}}" for key, kind in SEARCH_KEYS.items()}
    searches["observations"] = _observations(searches["observations"], knowledge)
    searches["responses"] += f"&questionnaire={QUESTIONNAIRE}"
    visit = {ENCOUNTER_KEY: "Encounter/{{context.encounterId}}"} if service.reads_encounter else {}
    return {PATIENT_KEY: "Patient/{{context.patientId}}"} | visit | searches


def _observations(search: str, knowledge: Knowledge) -> str:
    """Only the codes that mean something: with those that an expansion brought when there is room, and all Observations
    when a site's own codes alone make the query too long."""
    for expanded in (True, False):
        filtered = f"{search}&code={','.join(knowledge.observation_codes(expanded))}"
        if len(filtered) + _ROOM_FOR_ID <= MAX_QUERY:
            return filtered
    return search
