"""All that the service publishes as FHIR resources: the knowledge, and the parts of it that belong to the conversation.

Made for one site: its codes, thresholds and switched-off criteria are in it, and then in the version too.
"""

import hashlib
from typing import Any

from cds.limits import Limits
from fhir_profiles.codes import BASE
from fhir_profiles.conformance.examples import examples
from fhir_profiles.conformance.logic import library
from fhir_profiles.conformance.package import Package, guide
from fhir_profiles.conformance.plans import activity_definitions, plan_definitions
from fhir_profiles.conformance.profiles import structure_definitions
from fhir_profiles.conformance.resource import FHIR_VERSION, Edition, Resource, canonical, described
from fhir_profiles.conformance.value_sets import value_sets
from fhir_profiles.terminology import Knowledge
from hooks.override_reasons import OWN_REASONS, override_reasons
from hooks.respond import TOPIC_SYSTEM, TOPICS
from hooks.services import SERVICES
from hooks.settings import Settings

SERVER = "fhir-api"
KINDS = (
    "ActivityDefinition",
    "CapabilityStatement",
    "CodeSystem",
    "ImplementationGuide",
    "Library",
    "PlanDefinition",
    "Questionnaire",
    "StructureDefinition",
    "ValueSet",
)
"""The resource types that are published."""
SEARCHED_BY = {
    "_id": "token",
    "url": "uri",
    "name": "string",
}
"""Search parameter -> its type."""

_UNPACKAGED = "0.0.0"
_HAVE_THEIR_OWN = frozenset(("ActivityDefinition", "Library", "PlanDefinition", "Questionnaire"))
"""HL7 defines the search parameters of most types together, as `conformance-…`."""
_PARAMETERS = "http://hl7.org/fhir/SearchParameter/"
_EXPAND = {"name": "expand", "definition": "http://hl7.org/fhir/OperationDefinition/ValueSet-expand"}


def published(settings: Settings, knowledge: Knowledge, release: str) -> Package:
    """The package of a release for a site. release: a semantic version, or a word for none."""
    mark = _mark(settings, knowledge)
    version = (release if release[:1].isdigit() else _UNPACKAGED) + mark
    edition = Edition(knowledge.code_system["version"] + mark, knowledge.code_system["date"])
    made, shown = _resources(settings, knowledge, edition), examples(knowledge)
    released = edition._replace(version=version)
    made.append(capability_statement(edition))
    made.append(library(released, settings.limits, settings.disabled))
    made.append(guide(made, shown, released))
    return Package(version, edition.date, made, shown)


def _mark(settings: Settings, knowledge: Knowledge) -> str:
    """What tells the editions of sites apart; nothing for the knowledge as it ships."""
    if settings.concepts_dir is None and settings.limits == Limits() and not settings.disabled:
        return ""
    decided = (knowledge.version, sorted(vars(settings.limits).items()), sorted(settings.disabled))
    return f"-site.h{hashlib.sha256(repr(decided).encode()).hexdigest()[:12]}"


def _resources(settings: Settings, knowledge: Knowledge, edition: Edition) -> list[Resource]:
    hooks = [service.hook for service in SERVICES.values()]
    return [
        *structure_definitions(),
        knowledge.code_system,
        _topics(edition),
        _reasons(edition),
        *value_sets(knowledge, edition),
        knowledge.questionnaire,
        *activity_definitions(knowledge, edition),
        *plan_definitions(knowledge, edition, hooks, settings.limits, settings.disabled),
    ]


def _topics(edition: Edition) -> Resource:
    return _code_system(TOPIC_SYSTEM, "Topics of cards", "What a card is about: source.topic of it.", TOPICS, edition)


def _reasons(edition: Edition) -> Resource:
    """Ours among the reasons that cards offer."""
    offered = (reason for group in TOPICS for reason in override_reasons(group))
    own = {reason["code"]: reason["display"] for reason in offered if reason["system"] == OWN_REASONS}
    about = "Why a clinician sets a card aside, where HL7 has no reason that fits."
    return _code_system(OWN_REASONS, "Reasons to override a card", about, own, edition)


def _code_system(url: str, title: str, about: str, codes: dict[str, str], edition: Edition) -> Resource:
    return described("CodeSystem", url.removeprefix(f"{BASE}/CodeSystem/"), title, about, edition) | {
        "caseSensitive": True,
        "content": "complete",
        "count": len(codes),
        "concept": [{"code": code, "display": display} for code, display in codes.items()],
    }


def capability_statement(edition: Edition, base: str = "") -> Resource:
    """What the endpoint can do: of the one at `base`, or without one of the software as such."""
    about = "Read-only access to the knowledge of the service; it holds no patient data."
    here = {"implementation": {"description": about, "url": base}} if base else {}
    return described("CapabilityStatement", SERVER, "FHIR endpoint of backpain-cds", about, edition) | {
        "kind": "instance" if base else "capability",
        "software": {"name": "backpain-cds"},
        **here,
        "fhirVersion": FHIR_VERSION,
        "format": ["json"],
        "implementationGuide": [canonical("ImplementationGuide", "backpain-cds")],
        "rest": [{"mode": "server", "resource": [_resource(kind) for kind in KINDS]}],
    }


def _resource(kind: str) -> dict[str, Any]:
    of = kind if kind in _HAVE_THEIR_OWN else "conformance"
    searches = [
        {"name": name, "type": type_, "definition": _PARAMETERS + ("Resource-id" if name == "_id" else f"{of}-{name}")}
        for name, type_ in SEARCHED_BY.items()
    ]
    operations = {"operation": [_EXPAND]} if kind == "ValueSet" else {}
    interactions = [{"code": "read"}, {"code": "search-type"}]
    return {"type": kind, "interaction": interactions, "searchParam": searches, **operations}
