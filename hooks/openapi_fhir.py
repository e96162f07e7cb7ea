"""The read-only FHIR endpoint in the OpenAPI document."""

from typing import Any

from hooks.fhir_package import KINDS, SEARCHED_BY
from hooks.openapi_schemas import ID

REFUSALS = (400, 404, 406)

_TYPE = {
    "name": "resource_type",
    "in": "path",
    "required": True,
    "schema": {"enum": [*KINDS]},
}
_ID = {"name": "resource_id", "in": "path", "required": True, "schema": {"type": "string", "pattern": f"^{ID}$"}}
_WHOLE = {"type": "integer", "minimum": 0, "maximum": 9_999_999}


def fhir_operations() -> dict[str, dict[str, Any]]:
    """Path -> operation without its responses: those are alike, `REFUSALS` and a resource."""
    return {
        "/fhir/metadata": _operation("fhir-metadata", "What the FHIR endpoint can do", *_METADATA),
        "/fhir/{resource_type}": _operation("fhir-search", "Search for resources of a type", _TYPE, *_SEARCH),
        "/fhir/{resource_type}/{resource_id}": _operation("fhir-read", "One resource", _TYPE, _ID),
        "/fhir/ValueSet/$expand": _operation(
            "fhir-expand", "The codes of a value set", _URL | {"required": True}, *_EXPAND
        ),
        "/fhir/ValueSet/{resource_id}/$expand": _operation(
            "fhir-expand-one", "The codes of a value set", _ID, *_EXPAND
        ),
    }


def _query(name: str, said: str, schema: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"name": name, "in": "query", "description": said, "schema": schema or {"type": "string"}}


_URL = _query("url", "canonical URL of the value set, with or without |version")
_SEARCH = (
    *(_query(name, "values with a comma between them: any of these") for name in SEARCHED_BY),
    _query("_count", "resources a page", _WHOLE),
    _query("_offset", "how many to pass over", _WHOLE),
)
_METADATA = (_query("mode", "as FHIR has it; the answer is the same"), _query("_summary", "the answer is the same"))
_EXPAND = (
    _query("filter", "only codes in whose code or display it is"),
    _query("count", "codes a page; 0 for their number alone", _WHOLE),
    _query("offset", "how many to pass over", _WHOLE),
)


def _operation(name: str, summary: str, *parameters: dict[str, Any]) -> dict[str, Any]:
    return {"operationId": name, "summary": summary, "tags": ["fhir"], "parameters": list(parameters)}
