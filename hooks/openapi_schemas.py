"""JSON Schemas (draft 2020-12) of what goes over the wire, for the OpenAPI document.

Requests are described as they should be sent: members that nobody knows are ignored (R53), so no request schema forbids
any. Answers are described exactly. What a FHIR resource looks like inside is FHIR R4's business.
"""

from typing import Any

from cds.catalogue import CRITERIA, Group, Source
from hooks.respond import ASSOCIATED, EXTENSION, TOPIC_SYSTEM, TOPICS
from hooks.services import ENCOUNTER_KEY, PATIENT_KEY, SEARCH_KEYS, SERVICES, Service

Schema = dict[str, Any]

ID = r"[A-Za-z0-9\-.]{1,128}"
UUID = "[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"
_REFERENCE = rf"^[A-Z][A-Za-z]{{1,63}}/{ID}$"
_DATE = r"^\d{4}(-\d{2}(-\d{2})?)?$"
_FHIR_SERVER = "base URL of the FHIR server: scheme, host and plain path"
_SEVERITIES = ["fatal", "error", "warning", "information"]


def ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def schemas() -> dict[str, Schema]:
    """Name -> schema; one request schema for each service."""
    requests = {request_name(service): _request(service) for service in SERVICES.values()}
    return requests | _parts() | _answers() | _pages()


def request_name(service: Service) -> str:
    return "".join(word.capitalize() for word in service.hook.split("-")) + "Request"


# --- small ones --------------------------------------------------------------------------------------------


def text(description: str = "", **more: Any) -> Schema:
    said = {"description": description} if description else {}
    return {"type": "string", "minLength": 1, **said, **more}


def closed(properties: dict[str, Schema], *optional: str) -> Schema:
    """An object with these members alone, all required but the optional ones."""
    required = [name for name in properties if name not in optional]
    return {"type": "object", "additionalProperties": False, "required": required, "properties": properties}


def _open(properties: dict[str, Schema], *required: str) -> Schema:
    return {"type": "object", "required": list(required), "properties": properties}


def some(items: Schema) -> Schema:
    return {"type": "array", "minItems": 1, "items": items}


def _of_type(kind: str, *members: str) -> Schema:
    return _open({"resourceType": {"const": kind}}, "resourceType", *members)


# --- what is sent ------------------------------------------------------------------------------------------


def _request(service: Service) -> Schema:
    return _open(
        {
            "hook": {"const": service.hook},
            "hookInstance": text("a UUID, new for each call", format="uuid", pattern=f"^{UUID}$"),
            "fhirServer": text(_FHIR_SERVER, format="uri", pattern="^[Hh][Tt][Tt][Pp][Ss]?://[^?#@%]+$"),
            "fhirAuthorization": ref("FhirAuthorization"),
            "context": _context(service),
            "prefetch": _prefetch(service),
        },
        "hook",
        "hookInstance",
        "context",
    )


def _context(service: Service) -> Schema:
    fields = {
        "userId": text("Type/id of the user", pattern=_REFERENCE),
        "patientId": text("id of the patient; Patient/id is tolerated", pattern=f"^(Patient/)?{ID}$"),
        "encounterId": text("id of the encounter; Encounter/id is tolerated", pattern=f"^(Encounter/)?{ID}$"),
    }
    required = ["userId", "patientId", *(["encounterId"] if service.reads_encounter else [])]
    if service.is_order_hook:
        fields["draftOrders"] = ref("Bundle") | {"description": "the draft orders"}
        required.append("draftOrders")
    if service.hook == "order-select":
        selected = "Type/id of the draft orders that were selected; all when there are none"
        fields["selections"] = {"type": "array", "items": {"type": "string"}, "description": selected}
    return _open(fields, *required)


def _prefetch(service: Service) -> Schema:
    """What the discovery document asks for, key by key. A failed search may be told by an OperationOutcome."""
    single = {PATIENT_KEY: "Patient"} | ({ENCOUNTER_KEY: "Encounter"} if service.reads_encounter else {})
    failed = [ref("OperationOutcomeReceived"), {"type": "null"}]
    reads = {key: {"anyOf": [_of_type(kind), *failed]} for key, kind in single.items()}
    searches = {
        key: {"anyOf": [ref("Bundle"), *failed], "description": f"a search for {kind}; null: nothing was found"}
        for key, kind in SEARCH_KEYS.items()
    }
    return _open(reads | searches)


def _parts() -> dict[str, Schema]:
    authorization = {
        "access_token": text(),
        "token_type": {"const": "Bearer"},
        "expires_in": {"type": "integer"},
        "scope": text(),
        "subject": text(),
        "patient": text("id of the patient; where given, that of the context"),
    }
    entry = _open({"resource": ref("Resource"), "fullUrl": {"type": "string"}})
    bundle = _of_type("Bundle")
    bundle["properties"] |= {"type": {"type": "string"}, "entry": {"type": "array", "items": entry}}
    return {
        "FhirAuthorization": _open(authorization, *(name for name in authorization if name != "patient")),
        "Resource": _open({"resourceType": text()}, "resourceType") | {"description": "a FHIR R4 resource"},
        "Bundle": bundle,
        "OperationOutcomeReceived": _of_type("OperationOutcome"),
    }


# --- what is answered --------------------------------------------------------------------------------------


def _answers() -> dict[str, Schema]:
    """R79 to R118 as this service uses them: no null, nothing empty but the list of cards."""
    uuid = text(format="uuid")
    coding = closed({"code": text(), "system": text(format="uri"), "display": text()})
    topic = closed({"system": {"const": TOPIC_SYSTEM}, "code": {"enum": [*TOPICS]}, "display": text()})
    suggestion = {"label": text(), "uuid": uuid, "isRecommended": {"const": True}, "actions": some(ref("Action"))}
    link = {
        "label": text(),
        "url": text(format="uri"),
        "type": {"enum": ["absolute", "smart"]},
        "appContext": text("ids of the open criteria, separated by commas"),
    }
    card = {
        "uuid": uuid,
        "summary": text(maxLength=139),
        "detail": text("GitHub Flavored Markdown, text of the chart escaped"),
        "indicator": {"enum": ["info", "warning", "critical"]},
        "source": closed({"label": text(), "url": text(format="uri"), "topic": topic}, "url"),
        "suggestions": some(closed(suggestion, "isRecommended")),
        "selectionBehavior": {"const": "any"},
        "overrideReasons": some(coding),
        "links": some(closed(link, "appContext")),
        "extension": closed(
            {EXTENSION: ref("Basis"), ASSOCIATED: some(closed({"reference": text("of a draft order")}))}, ASSOCIATED
        ),
    }
    return {
        "Response": closed({"cards": {"type": "array", "items": ref("Card")}}),
        "Card": closed(card, "detail", "suggestions", "selectionBehavior", "links"),
        "Action": _action(),
        "Basis": _basis(),
        "OperationOutcome": _outcome(),
    }


def _action() -> Schema:
    said = {"description": text()}
    order = _of_type("ServiceRequest")
    carried = [closed({"type": {"const": kind}} | said | {"resource": order}) for kind in ("create", "update")]
    return {"oneOf": [*carried, closed({"type": {"const": "delete"}} | said | {"resourceId": text()})]}


def _basis() -> Schema:
    evidence = closed({"reference": text(), "display": text(), "date": text(pattern=_DATE)}, "display", "date")
    criterion = {
        "id": {"enum": [*CRITERIA]},
        "group": {"enum": [str(group) for group in Group]},
        "status": {"enum": ["met", "not-met", "unknown"]},
        "title": text(),
        "reason": text(),
        "evidence": some(evidence),
        "sources": some({"enum": [str(source) for source in Source]}),
    }
    basis = {
        "group": {"enum": [*TOPICS]},
        "at": text("the instant of the evaluation, in UTC", format="date-time"),
        "knowledge": text("the version of the lists of codes"),
        "criteria": some(closed(criterion, "reason", "evidence", "sources")),
    }
    return closed(basis, "criteria") | {"description": "what the card rests on, for machines"}


def _outcome() -> Schema:
    issue = {
        "severity": {"enum": _SEVERITIES},
        "code": text("a code of FHIR's issue-type"),
        "diagnostics": text("what is wrong and what would be right; never the value that was sent"),
        "expression": some(text("the place in the request")),
    }
    return closed({"resourceType": {"const": "OperationOutcome"}, "issue": some(closed(issue, "expression"))})


def _pages() -> dict[str, Schema]:
    service = {
        "hook": {"enum": [service.hook for service in SERVICES.values()]},
        "title": text(),
        "description": text(),
        "id": {"enum": [*SERVICES]},
        "version": text("the version of CDS Hooks"),
        "hookVersion": text(),
        "prefetch": {"type": "object", "minProperties": 1, "additionalProperties": text("a FHIR query")},
        "usageRequirements": text(),
    }
    return {
        "Services": closed({"services": {"type": "array", "items": closed(service)}}),
        "Entrance": closed({"service": text(), "discovery": text(), "version": text()}),
        "Status": closed({"status": text()}),
        "Readiness": closed({"status": text(), "data": text(), "missing": some(text())}, "missing"),
        "Version": closed({"release": text(), "catalogue": text(), "knowledge": text()}),
    }
