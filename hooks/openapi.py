"""The OpenAPI 3.1 document of all endpoints, made from the tables that the service itself runs on.

It describes the interface for people and for tools; nothing is checked against it at run time.
"""

from http import HTTPStatus
from typing import Any

import msgspec

from cds.catalogue import CRITERIA
from hooks.openapi_criteria import criteria_schemas
from hooks.openapi_feedback import feedback_schemas
from hooks.openapi_fhir import REFUSALS, fhir_operations
from hooks.openapi_schemas import Schema, ref, request_name, schemas
from hooks.services import SERVICES, Service
from hooks.strict_json import MAX_CONTAINERS, MAX_DEPTH

OPENAPI_VERSION = "3.1.0"
JSON, FHIR_JSON = "application/json", "application/fhir+json"

_ABOUT = (
    "CDS Hooks services that look through a FHIR R4 chart for red flags and reasons for a spine-surgery referral in "
    "back pain. Advice for clinicians: a card offers options with their basis. An answer without cards does not say "
    "that the patient is well."
)
_REASONS = {
    400: "The request is not as it should be: each issue names the place and what would be right.",
    401: "The token of the caller was refused.",
    404: "There is nothing of that name here.",
    406: "The answer is wanted in a format other than JSON.",
    408: "The body did not arrive in time.",
    412: "Data without which nothing can be said was not given: one issue for each prefetch key.",
    413: "The body is larger than the limit.",
    415: "The body is not JSON in UTF-8, or is compressed.",
    429: "The caller sent more calls than agreed.",
    503: "Too much is being sent, or nothing can be stored, at this moment.",
}
_HEADERS = {
    "X-Request-Id": ("The id under which the log of the service has this call.", {"type": "string", "format": "uuid"}),
    "ETag": ("Changes when the document does.", {"type": "string"}),
    "Retry-After": ("Seconds to wait.", {"type": "integer", "minimum": 0}),
    "WWW-Authenticate": ("The way to authenticate.", {"const": "Bearer"}),
}
_REFUSALS_OF_A_CALL = (400, 408, 412, 413, 415, 503)
_REFUSALS_OF_FEEDBACK = (400, 408, 413, 415, 503)
_REFUSALS_OF_A_CALLER = (401, 429, 503)
_HEADERS_OF = {401: ["WWW-Authenticate"], 429: ["Retry-After"], 503: ["Retry-After"]}
_PAGES = {
    "/": ("entrance", "Where to begin", "Entrance"),
    "/livez": ("live", "Whether the process answers", "Status"),
    "/readyz": ("ready", "Whether the service should be sent calls", "Readiness"),
    "/version": ("version", "Versions of release, catalogue and code lists", "Version"),
}

_FOR_PEOPLE = {
    "/criteria": ("criteria", "What is looked for, with thresholds in force, sources and limits", "Criteria"),
    "/criteria/{id}": ("criterion", "One criterion with rule, codes, examples and source attributes", "Criterion"),
}
"""Pages that a browser gets as HTML and a program as JSON."""
_HTML = {"text/html": {"schema": {"type": "string"}}}
_OUTCOME = {FHIR_JSON: {"schema": ref("OperationOutcome")}}
_NO_CRITERION = "There is no criterion of that name."


def openapi_document(release: str, max_body: int, authenticates: bool = False) -> bytes:
    """The document, the same bytes for the same arguments. max_body: octets; authenticates: clients are registered."""
    return msgspec.json.encode(
        {
            "openapi": OPENAPI_VERSION,
            "info": {
                "title": "backpain-cds",
                "version": release,
                "description": _ABOUT,
                "license": {"name": "Apache License 2.0", "identifier": "Apache-2.0"},
            },
            "servers": [{"url": "/", "description": "this server"}],
            "tags": [{"name": "cds-hooks"}, {"name": "fhir"}, {"name": "operation"}],
            "paths": _paths(max_body, authenticates),
            "components": _components(),
        }
    )


def _paths(max_body: int, authenticates: bool) -> dict[str, Any]:
    calls = {f"/cds-services/{service.id}": {"post": _call(service, max_body)} for service in SERVICES.values()}
    reports = {f"/cds-services/{service.id}/feedback": {"post": _feedback(service)} for service in SERVICES.values()}
    paths = {"/cds-services": {"get": _discovery()}} | calls | reports
    if authenticates:
        for operation in (operation for path in paths.values() for operation in path.values()):
            operation["responses"] |= {str(status): _refusal(status) for status in _REFUSALS_OF_A_CALLER}
            operation["security"] = [{"clientToken": []}]
        paths["/cds-services"]["get"]["security"].append({})
    paths |= {path: {"get": _page(*about)} for path, about in _PAGES.items()}
    paths["/readyz"]["get"]["responses"]["503"] = _success("Readiness") | {"description": "It should not."}
    paths |= {path: {"get": _page_for_people(*about)} for path, about in _FOR_PEOPLE.items()}
    paths |= {path: {"get": operation | _fhir_responses()} for path, operation in fhir_operations().items()}
    return paths | {"/openapi.json": {"get": _page("openapi", "This document", None)}}


def _discovery() -> dict[str, Any]:
    known = {"name": "If-None-Match", "in": "header", "schema": {"type": "string"}, "description": "an ETag"}
    unchanged = {"description": "The document is the one of the ETag.", "headers": _headers("ETag")}
    return {
        "operationId": "discovery",
        "summary": "The services of this server and the data they ask for",
        "tags": ["cds-hooks"],
        "parameters": [known],
        "responses": {"200": _success("Services", "ETag"), "304": unchanged},
    }


def _call(service: Service, max_body: int) -> dict[str, Any]:
    limits = (
        f"Limits: {max_body // 2**20} MiB uncompressed, {MAX_DEPTH} levels of nesting, {MAX_CONTAINERS} objects and "
        "arrays, numbers within a double. Unknown members are ignored."
    )
    return {
        "operationId": service.hook,
        "summary": service.title,
        "description": f"{service.description}\n\n{limits}",
        "tags": ["cds-hooks"],
        "requestBody": {"required": True, "content": {JSON: {"schema": ref(request_name(service))}}},
        "responses": {"200": _success("Response")} | {str(each): _refusal(each) for each in _REFUSALS_OF_A_CALL},
    }


def _feedback(service: Service) -> dict[str, Any]:
    return {
        "operationId": f"{service.hook}-feedback",
        "summary": f"What was done with cards of {service.title}",
        "description": "All of it is kept when the answer is 200, and else none. The same twice is kept once.",
        "tags": ["cds-hooks"],
        "requestBody": {"required": True, "content": {JSON: {"schema": ref("Feedback")}}},
        "responses": {"200": _success(None)} | {str(each): _refusal(each) for each in _REFUSALS_OF_FEEDBACK},
    }


def _page(operation: str, summary: str, schema: str | None) -> dict[str, Any]:
    responses = {"200": _success(schema)}
    return {"operationId": operation, "summary": summary, "tags": ["operation"], "responses": responses}


def _page_for_people(operation: str, summary: str, schema: str) -> dict[str, Any]:
    chosen = {"name": "format", "in": "query", "schema": {"enum": ["html", "json"]}}
    page = _page(operation, summary, schema)
    page["parameters"] = [chosen | {"description": "else Accept decides; JSON where it does not"}]
    page["responses"]["200"]["content"] |= _HTML
    page["responses"]["400"] = _refusal(400)
    if operation == "criterion":
        page["parameters"].append({"name": "id", "in": "path", "required": True, "schema": {"enum": [*CRITERIA]}})
        page["responses"]["404"] = {"description": _NO_CRITERION, "headers": _headers(), "content": _OUTCOME | _HTML}
    return page


def _fhir_responses() -> dict[str, Any]:
    read = _success(None, "ETag") | {"content": {FHIR_JSON: {"schema": {"type": "object"}}}}
    unchanged = {"description": "It is the one of the ETag.", "headers": _headers("ETag")}
    return {"responses": {"200": read, "304": unchanged} | {str(each): _refusal(each) for each in REFUSALS}}


def _success(schema: str | None, *headers: str) -> dict[str, Any]:
    what: Schema = ref(schema) if schema else {"type": "object"}
    return {"description": "As asked.", "headers": _headers(*headers), "content": {JSON: {"schema": what}}}


def _refusal(status: int) -> dict[str, Any]:
    return {"$ref": f"#/components/responses/{_name(status)}"}


def _headers(*names: str) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in ("X-Request-Id", *names)}


def _name(status: int) -> str:
    return HTTPStatus(status).phrase.title().replace(" ", "").replace("-", "")


def _components() -> dict[str, Any]:
    refusals = {
        _name(status): {"description": said, "headers": _headers(*_HEADERS_OF.get(status, ())), "content": _OUTCOME}
        for status, said in _REASONS.items()
    }
    jwt = "The JWT of a registered CDS client, signed with its key, for the URL that is called."
    return {
        "schemas": schemas() | criteria_schemas() | feedback_schemas(),
        "responses": refusals,
        "headers": {name: {"description": said, "schema": schema} for name, (said, schema) in _HEADERS.items()},
        "securitySchemes": {
            "clientToken": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": jwt}
        },
    }
