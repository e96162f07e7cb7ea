"""JSON Schemas of `GET /criteria` and `GET /criteria/{id}`, for the OpenAPI document."""

from cds.catalogue import CRITERIA, Group, Source
from fhir_profiles.transparency import ATTRIBUTES
from hooks.openapi_schemas import Schema, closed, some, text

_ID = {"enum": [*CRITERIA]}
_GROUP = {"enum": [str(group) for group in Group]}
_SOURCE = {"enum": [str(source) for source in Source]}
_DAY = text(format="date")


def criteria_schemas() -> dict[str, Schema]:
    """Name -> schema."""
    catalogue = {
        "versions": _versions(),
        "review": _review(),
        "criteria": some(closed(_brief())),
        "thresholds": some(_threshold()),
        "sources": some(_source()),
        "limits": some(text()),
    }
    return {"Criteria": closed(catalogue), "Criterion": _criterion()}


def _criterion() -> Schema:
    members = _brief() | {
        "versions": _versions(),
        "review": _review(),
        "asksGroups": {"type": "array", "items": _GROUP, "description": "groups whose criteria it asks"},
        "thresholds": {"type": "array", "items": _threshold()},
        "valueSets": {"type": "array", "items": _value_set()},
        "notices": {"type": "array", "items": text("what the owners of the codes want said")},
        "sources": some(_source()),
        "examples": closed({"met": _example("met"), "notMet": _example("not-met")}, "met", "notMet"),
        "limits": some(text()),
    }
    return closed(members)


def _brief() -> dict[str, Schema]:
    attributes = {name: text(f"{what}, or “not used”") for name, what in ATTRIBUTES.items()}
    return {
        "id": _ID,
        "title": text(),
        "group": _GROUP,
        "state": {"enum": ["on", "silent", "off", "disabled"], "description": "for calls of every client"},
        "rule": text("the rule in words"),
        "sources": some(closed({"key": _SOURCE, "title": text()})),
        "beyond": {"type": "boolean", "description": "goes further than the five source documents"},
        "sourceAttributes": closed(attributes) | {"description": "45 CFR 170.315(b)(11)(iv)(A)"},
    }


def _versions() -> Schema:
    return closed({"release": text(), "catalogue": text(), "knowledge": text(), "revised": _DAY})


def _review() -> Schema:
    return closed({"on": _DAY, "by": text(), "due": _DAY, "overdue": {"type": "boolean"}})


def _threshold() -> Schema:
    number = {"type": "number"}
    return closed({"key": text(), "value": number, "default": number, "unit": text(), "from": text()})


def _source() -> Schema:
    return closed({"key": _SOURCE, "title": text(), "citation": text(), "version": text(), "remark": text()})


def _value_set() -> Schema:
    code = {
        "system": text(format="uri"),
        "code": text(),
        "origin": {"enum": ["standard", "own", "site", "expanded"]},
        "descendants": {"const": True, "description": "every code that begins with it too"},
        "display": text(),
        "license": text("what the use of the code needs; its term is not shown"),
    }
    counts = {"type": "object", "additionalProperties": {"type": "integer", "minimum": 1}}
    codes = {"type": "array", "items": closed(code, "descendants", "display", "license")}
    return closed({"concept": text(), "title": text(), "url": text(format="uri"), "counts": counts, "codes": codes})


def _example(status: str) -> Schema:
    evidence = closed({"reference": text(), "display": text(), "date": text()}, "display", "date")
    return closed(
        {
            "chart": text("the name of a sample chart"),
            "title": text(),
            "story": text(),
            "at": text(format="date-time"),
            "status": {"const": status},
            "reason": text(),
            "evidence": {"type": "array", "items": evidence},
        }
    )
