"""What the service reads and writes, as profiles of FHIR R4: what each changes in its base.

A resource of a profile is understood by the service; the readers take more than the profiles ask for. The definitions
with their snapshots are files, which `make profiles` writes: the base definitions of FHIR are no part of the service.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from cds.concepts import BOOLEAN_FINDINGS, NUMERIC_FINDINGS
from fhir_profiles.codes import QUESTIONNAIRE, REVIEWED_CODE
from fhir_profiles.conformance.resource import FHIR_VERSION, Edition, Resource, canonical, described
from fhir_profiles.conformance.snapshot import Base, snapshot
from fhir_profiles.site_value_sets import EXPANDED_FROM

FOLDER = Path(__file__).parent / "structure-definitions"
FINDING, MEASURED, INTAKE, ORDER = "finding", "measured-finding", "intake-response", "suggested-order"
_BASE_URL = "http://hl7.org/fhir/StructureDefinition/"


class Profile(NamedTuple):
    """A profile before it has a snapshot. context: where an extension may stand."""

    id: str
    type: str
    title: str
    description: str
    differential: Sequence[dict[str, Any]]
    context: Sequence[str] = ()

    @property
    def url(self) -> str:
        return canonical("StructureDefinition", self.id)


def profile_url(id_: str) -> str:
    """The canonical URL by which a resource says that it is of the profile."""
    return canonical("StructureDefinition", id_)


@cache
def structure_definitions() -> tuple[Resource, ...]:
    """The definitions as they ship, with snapshots."""
    return tuple(msgspec.json.decode(file.read_bytes()) for file in sorted(FOLDER.glob("*.json")))


def definition(profile: Profile, edition: Edition, bases: Mapping[str, Base]) -> Resource:
    """The whole definition. bases: FHIR's own definitions by type."""
    head = described("StructureDefinition", profile.id, profile.title, profile.description, edition)
    differential = [_sourced(element, profile.url) for element in profile.differential]
    place = (
        {"context": [{"type": "element", "expression": each} for each in profile.context]} if profile.context else {}
    )
    return head | {
        "fhirVersion": FHIR_VERSION,
        "kind": "complex-type" if profile.type == "Extension" else "resource",
        "abstract": False,
        **place,
        "type": profile.type,
        "baseDefinition": _BASE_URL + profile.type,
        "derivation": "constraint",
        "snapshot": {"element": snapshot(differential, bases[profile.type], bases)},
        "differential": {"element": differential},
    }


def _sourced(element: dict[str, Any], url: str) -> dict[str, Any]:
    rules = [rule | {"source": url} for rule in element.get("constraint", ())]
    return element | ({"constraint": rules} if rules else {})


def _element(id_: str, **constraints: Any) -> dict[str, Any]:
    path = ".".join(part.partition(":")[0] for part in id_.split("."))
    return {"id": id_, "path": path, **constraints}


def _bound(value_set: str, description: str) -> dict[str, Any]:
    return {"strength": "required", "description": description, "valueSet": canonical("ValueSet", value_set)}


def _rule(key: str, human: str, expression: str) -> dict[str, str]:
    return {"key": key, "severity": "error", "human": human, "expression": expression}


def _types(*codes: str) -> list[dict[str, str]]:
    return [{"code": code} for code in codes]


_PATIENT = {"min": 1, "type": [{"code": "Reference", "targetProfile": [f"{_BASE_URL}Patient"]}]}
_NOT_TURNED_ROUND = {
    "max": "0",
    "short": "None",
    "definition": "A resource with a modifier extension is not read: it could turn the meaning round.",
}


def _observation(code: dict[str, Any], value: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        _element("Observation"),
        _element("Observation.modifierExtension", **_NOT_TURNED_ROUND),
        _element("Observation.status", binding=_bound("finding-status", "Those that are read.")),
        _element("Observation.code", binding=code),
        _element("Observation.subject", **_PATIENT),
        _element(
            "Observation.effective[x]",
            min=1,
            type=_types("dateTime", "Period", "instant"),
            comment="Findings count for a time only, so that one without a date may count too long or not at all.",
        ),
        _element("Observation.value[x]", **value),
    ]


_FINDING = Profile(
    FINDING,
    "Observation",
    "Finding of back pain: present or absent",
    "An Observation that states a finding as present or absent. Without a value and without dataAbsentReason it is "
    "present. The service also understands SNOMED CT answers, components, and a finding given as the value of an "
    "assertion code.",
    _observation(
        _bound("finding-code", "One coding that means the finding; for emergencies our own mean new or clearly worse."),
        {
            "short": "Present (true, yes) or absent (false, no)",
            "type": _types("boolean", "CodeableConcept"),
            "binding": _bound("finding-answer", "Yes or no."),
        },
    ),
)
_MEASURED = Profile(
    MEASURED,
    "Observation",
    "Finding of back pain: a number",
    "An Observation of a finding that is a number: pain score, strength grade, walking distance, Cobb angle, weeks of "
    "treatment. The service understands more units than this profile asks for.",
    _observation(
        _bound("measured-finding-code", "One coding that means what is measured."),
        {
            "min": 1,
            "short": "The number in the unit of the finding; scores and grades also as an integer",
            "type": _types("Quantity", "integer"),
            "binding": _bound("finding-unit", "The unit in which findings are compared."),
        },
    ),
)


def _linked(links: Sequence[str]) -> str:
    """FHIRPath: the questions with these linkIds, in the groups of the form or outside of them.

    Spelled out, for not every validator knows `repeat` and `descendants`; the form has no deeper levels.
    """
    ids = " | ".join(f"'{link}'" for link in links)
    return f"(item | item.item).where(linkId in ({ids}))"


_INTAKE = Profile(
    INTAKE,
    "QuestionnaireResponse",
    "Answers to the intake form",
    "A QuestionnaireResponse to our red-flag Questionnaire, of any version of it. A question without an answer states "
    "nothing; of several responses the later replaces the earlier, answer by answer.",
    [
        _element(
            "QuestionnaireResponse",
            constraint=[
                _rule(
                    "intake-1",
                    "At least one question of ours is answered",
                    f"{_linked([*BOOLEAN_FINDINGS, *NUMERIC_FINDINGS])}.answer.exists()",
                ),
                _rule(
                    "intake-2",
                    "A yes-or-no question is answered by a boolean",
                    f"{_linked(BOOLEAN_FINDINGS)}.answer.value.all($this is boolean)",
                ),
                _rule(
                    "intake-3",
                    "A question for a number is answered by one",
                    f"{_linked(NUMERIC_FINDINGS)}.answer.value.all($this is integer or $this is decimal)",
                ),
            ],
        ),
        _element("QuestionnaireResponse.modifierExtension", **_NOT_TURNED_ROUND),
        _element(
            "QuestionnaireResponse.questionnaire",
            min=1,
            constraint=[
                _rule(
                    "intake-4",
                    "The form is ours, with or without a version",
                    f"$this = '{QUESTIONNAIRE}' or $this.startsWith('{QUESTIONNAIRE}|')",
                )
            ],
        ),
        _element("QuestionnaireResponse.status", binding=_bound("intake-status", "Those that are read.")),
        _element("QuestionnaireResponse.subject", **_PATIENT),
        _element("QuestionnaireResponse.authored", min=1),
        _element("QuestionnaireResponse.item", min=1),
        _element("QuestionnaireResponse.item.modifierExtension", **_NOT_TURNED_ROUND),
        _element("QuestionnaireResponse.item.answer.modifierExtension", **_NOT_TURNED_ROUND),
    ],
)
_ORDER = Profile(
    ORDER,
    "ServiceRequest",
    "Suggested order",
    "A ServiceRequest as a card suggests it: a draft proposal that a clinician may accept, change or leave. It has no "
    "id, no date and no requester before somebody accepts it.",
    [
        _element("ServiceRequest"),
        _element("ServiceRequest.modifierExtension", max="0"),
        _element("ServiceRequest.status", patternCode="draft"),
        _element("ServiceRequest.intent", patternCode="proposal"),
        _element("ServiceRequest.priority", min=1),
        _element("ServiceRequest.doNotPerform", max="0"),
        _element(
            "ServiceRequest.code", min=1, binding=_bound("suggested-order", "The one code of each suggested order.")
        ),
        _element("ServiceRequest.code.coding", min=1, max="1"),
        _element("ServiceRequest.code.coding.system", min=1),
        _element("ServiceRequest.code.coding.code", min=1),
        _element("ServiceRequest.code.coding.display", min=1),
        _element("ServiceRequest.code.text", min=1, short="What the order is called, whatever the words of the code"),
        _element("ServiceRequest.subject", **_PATIENT),
        _element("ServiceRequest.reasonReference", short="Conditions, Observations and reports among the evidence"),
        _element("ServiceRequest.insurance", max="0"),
        _element("ServiceRequest.supportingInfo", short="The rest of the evidence"),
    ],
)


def _part(name: str, kind: str, definition_: str, **cardinality: int | str) -> list[dict[str, Any]]:
    """A part of an extension of ours, at most once unless `cardinality` says otherwise."""
    at = f"Extension.extension:{name}"
    return [
        _element(at, sliceName=name, **({"max": "1"} | cardinality), short=definition_, definition=definition_),
        _element(f"{at}.extension", max="0"),
        _element(f"{at}.url", fixedUri=name),
        _element(f"{at}.value[x]", min=1, type=_types(kind)),
    ]


def _extension(
    url: str, title: str, description: str, parts: Sequence[dict[str, Any]], context: tuple[str, ...]
) -> Profile:
    """An extension of ours that has parts and no value of its own, at most once."""
    ends = (_element("Extension.url", fixedUri=url), _element("Extension.value[x]", max="0"))
    elements = [_element("Extension", max="1"), *parts, *ends]
    return Profile(url.rpartition("/")[2], "Extension", title, description, elements, context=context)


_REVIEWED_CODE = _extension(
    REVIEWED_CODE,
    "What a reviewer should know of a code",
    "Where a code of a value set was looked up, under which license it is used, and why a code was left out.",
    [
        *_part("source", "string", "Keys of the sources in which the code was looked up, separated by spaces"),
        *_part("note", "string", "What a reviewer should know"),
        *_part("license", "code", "snomed-affiliate: outside the SNOMED CT Global Patient Set, terms are not shipped"),
        *_part("descendants", "boolean", "Everything below the code is meant too; ICD-10-CM is matched so, by prefix"),
        *_part("reason", "string", "Why a code that looks right is wrong"),
        *_part("vetoes", "boolean", "The code takes the concept from right codes beside it in one CodeableConcept"),
        *_part("expanded", "boolean", "From a site's terminology server, not reviewed"),
    ],
    context=("ValueSet.compose.include.concept", "ValueSet.compose.exclude.concept", "ValueSet.expansion.contains"),
)

_EXPANDED_FROM = _extension(
    EXPANDED_FROM,
    "Where the codes of a value set come from that a site expanded",
    "Which terminology server, or which file, a site's own edition of a value set was expanded from, and when.",
    [
        *_part("source", "string", "The origin of the server, or the names of files", min=1),
        *_part("software", "string", "What the server says of its software"),
        *_part("at", "dateTime", "When it was asked", min=1),
        *_part("codeSystem", "uri", "A code system and its version, url|version", max="*"),
    ],
    context=("ValueSet",),
)

PROFILES = (_FINDING, _MEASURED, _INTAKE, _ORDER, _REVIEWED_CODE, _EXPANDED_FROM)
