"""The FHIR R4 elements that are read, and nothing else: what is not named here is skipped while decoding.

One struct a resource type, told apart by `resourceType`. A primitive that is `null` (its value is in a
`_sibling` extension) is the same as absent. Wrong types raise `msgspec.ValidationError`, so that a resource
with an element we cannot trust is left out as a whole (reliability.md, row 4).

Most resources of a chart mean nothing to us, which their code tells. What is not needed to know that stays as
it came (`Later`), codes included: a few hundred spellings stand for all of them, so that comparing is quicker than
decoding.
"""

from typing import Any, Generic, TypeVar

import msgspec
from msgspec import Struct, defstruct, field

T = TypeVar("T")
Text = str | None


class Anything(Struct, gc=False):
    """An object of which only the presence matters."""


class Coding(Struct, gc=False):
    system: Text = None
    code: Text = None
    display: Text = None


class Identifier(Struct, gc=False):
    system: Text = None
    value: Text = None


class Reference(Struct, gc=False):
    reference: Text = None
    identifier: Identifier | None = None


class Period(Struct, gc=False):
    start: Text = None
    end: Text = None


class Quantity(Struct, gc=False):
    """Also Age, and the ends of a reference range."""

    value: float | None = None
    comparator: Text = None
    unit: Text = None
    code: Text = None


class Meta(Struct, gc=False):
    lastUpdated: Text = None
    versionId: Any = None  # one that is not a text is no reason to mistrust the resource


Later = msgspec.Raw  # read only when the resource turns out to matter, which most do not
ABSENT = msgspec.Raw()
_NULL = msgspec.Raw(b"null")


class CodeableConcept(Struct, gc=False):
    coding: Later = ABSENT
    text: Text = None


class Lazy(Generic[T]):
    """Reads an element that was left as it came. Raises msgspec.ValidationError."""

    def __init__(self, kind: type[T]) -> None:
        self._decoder = msgspec.json.Decoder(kind | None)

    def read(self, element: Later) -> T | None:
        return None if element is ABSENT else self._decoder.decode(element)


def is_given(element: Later) -> bool:
    """Whether an element that was left as it came is there at all."""
    return element is not ABSENT and element != _NULL


class Resource(Struct, gc=False, tag_field="resourceType", kw_only=True):
    """What every resource has. An extension that may turn its meaning round makes it unusable (rule 2)."""

    id: Text = None
    meta: Later = ABSENT
    modifierExtension: list[Anything] | None = None


class Condition(Resource, tag=True):
    clinicalStatus: Later = ABSENT
    verificationStatus: Later = ABSENT
    severity: Later = ABSENT
    code: Later = ABSENT
    subject: Reference | None = None
    onsetDateTime: Text = None
    onsetAge: Quantity | None = None
    onsetPeriod: Period | None = None
    abatementDateTime: Text = None
    abatementAge: Quantity | None = None
    abatementPeriod: Period | None = None
    abatementRange: Anything | None = None
    abatementString: Text = None
    recordedDate: Text = None


class ReferenceRange(Struct, gc=False):
    low: Quantity | None = None
    high: Quantity | None = None
    type: Later = ABSENT
    appliesTo: list[Anything] | None = None
    age: Anything | None = None


class Valued(Struct, gc=False, kw_only=True):
    """value[x]: what is read of it, and the presence of what is not. `given` tells a stated absence."""

    code: Later = ABSENT
    modifierExtension: list[Anything] | None = None
    valueQuantity: Later = ABSENT
    valueCodeableConcept: Later = ABSENT
    valueBoolean: bool | None = None
    valueInteger: float | None = None
    valueString: Text = None
    valueDateTime: Text = None
    valueTime: Text = None
    valuePeriod: Anything | None = None
    valueRange: Anything | None = None
    valueRatio: Anything | None = None
    valueSampledData: Anything | None = None
    no_boolean: Anything | None = field(default=None, name="_valueBoolean")
    no_integer: Anything | None = field(default=None, name="_valueInteger")
    no_string: Anything | None = field(default=None, name="_valueString")
    no_date_time: Anything | None = field(default=None, name="_valueDateTime")
    no_time: Anything | None = field(default=None, name="_valueTime")
    dataAbsentReason: Anything | None = None
    interpretation: Later = ABSENT
    referenceRange: Later = ABSENT


class Component(Valued):
    """A component of an Observation."""


class Part(Struct, gc=False):
    """The codes of a component: what tells whether the rest of it is worth reading."""

    code: Later = ABSENT
    valueCodeableConcept: Later = ABSENT


class Observation(Valued, tag_field="resourceType", tag=True):
    id: Text = None
    meta: Later = ABSENT
    status: Text = None
    category: Later = ABSENT
    subject: Reference | None = None
    effectiveDateTime: Text = None
    effectivePeriod: Period | None = None
    effectiveInstant: Text = None
    issued: Text = None
    bodySite: Later = ABSENT
    component: Later = ABSENT


class Answer(Struct, gc=False):
    modifierExtension: list[Anything] | None = None
    valueBoolean: bool | None = None
    valueInteger: float | None = None
    valueDecimal: float | None = None
    valueCoding: Coding | None = None
    valueQuantity: Quantity | None = None
    item: "list[Item] | None" = None


class Item(Struct, gc=False):
    linkId: Text = None
    modifierExtension: list[Anything] | None = None
    answer: list[Answer] | None = None
    item: "list[Item] | None" = None


class QuestionnaireResponse(Resource, tag=True):
    questionnaire: Text = None
    status: Text = None
    subject: Reference | None = None
    authored: Text = None
    item: Later = ABSENT


class Dosage(Struct, gc=False):
    route: Later = ABSENT


class Contained(Struct, gc=False):
    """A contained resource: the code of a Medication, Condition or Observation; other types have other codes."""

    resourceType: Text = None
    id: Text = None
    code: Later = ABSENT


class Medication(Resource, tag=True):
    status: Text = None
    code: Later = ABSENT


class MedicationRequest(Resource, tag=True):
    status: Text = None
    intent: Text = None
    doNotPerform: bool | None = None
    medicationCodeableConcept: Later = ABSENT
    medicationReference: Reference | None = None
    subject: Reference | None = None
    authoredOn: Text = None
    dosageInstruction: Later = ABSENT
    contained: Later = ABSENT


class MedicationStatement(Resource, tag=True):
    status: Text = None
    medicationCodeableConcept: Later = ABSENT
    medicationReference: Reference | None = None
    subject: Reference | None = None
    effectiveDateTime: Text = None
    effectivePeriod: Period | None = None
    dateAsserted: Text = None
    dosage: Later = ABSENT
    contained: Later = ABSENT


class Procedure(Resource, tag=True):
    status: Text = None
    code: Later = ABSENT
    subject: Reference | None = None
    performedDateTime: Text = None
    performedPeriod: Period | None = None
    performedAge: Quantity | None = None


class Repeat(Struct, gc=False):
    boundsPeriod: Period | None = None


class Timing(Struct, gc=False):
    event: list[Text] | None = None
    repeat: Repeat | None = None


class ServiceRequest(Resource, tag=True):
    status: Text = None
    intent: Text = None
    priority: Text = None
    doNotPerform: bool | None = None
    code: Later = ABSENT
    subject: Reference | None = None
    authoredOn: Text = None
    occurrenceDateTime: Text = None
    occurrencePeriod: Period | None = None
    occurrenceTiming: Timing | None = None
    reasonCode: Later = ABSENT
    reasonReference: list[Reference] | None = None
    contained: Later = ABSENT


class DiagnosticReport(Resource, tag=True):
    status: Text = None
    code: Later = ABSENT
    subject: Reference | None = None
    effectiveDateTime: Text = None
    effectivePeriod: Period | None = None
    issued: Text = None


class ImagingStudy(Resource, tag=True):
    status: Text = None
    procedureCode: Later = ABSENT
    subject: Reference | None = None
    started: Text = None


class AllergyIntolerance(Resource, tag=True):
    clinicalStatus: Later = ABSENT
    verificationStatus: Later = ABSENT
    code: Later = ABSENT
    subject: Reference | None = field(default=None, name="patient")
    onsetDateTime: Text = None
    recordedDate: Text = None


class Encounter(Resource, tag=True):
    status: Text = None
    subject: Reference | None = None
    period: Period | None = None
    reasonCode: Later = ABSENT
    reasonReference: list[Reference] | None = None
    contained: Later = ABSENT


class Link(Struct, gc=False):
    """Patient.link."""

    type: Text = None


class Patient(Resource, tag=True):
    identifier: list[Identifier] | None = None
    gender: Text = None
    birthDate: Text = None
    deceasedBoolean: bool | None = None
    deceasedDateTime: Text = None
    link: list[Link] | None = None


class OperationOutcome(Resource, tag=True):
    """The answer of a server that could not give more."""


READ = (
    Condition,
    Observation,
    QuestionnaireResponse,
    MedicationRequest,
    MedicationStatement,
    Procedure,
    ServiceRequest,
    DiagnosticReport,
    ImagingStudy,
    AllergyIntolerance,
    Medication,
    Encounter,
    Patient,
    OperationOutcome,
)
READ_TYPES = frozenset(kind.__name__ for kind in READ)

# What often lies beside them, named so that one such resource does not slow down its whole Bundle.
_BYSTANDERS = tuple(
    defstruct(name, [], gc=False, tag_field="resourceType", tag=name)
    for name in (
        "CarePlan",
        "CareTeam",
        "Claim",
        "Device",
        "DocumentReference",
        "ExplanationOfBenefit",
        "Goal",
        "Immunization",
        "Location",
        "MedicationAdministration",
        "Organization",
        "Practitioner",
        "PractitionerRole",
        "Provenance",
    )
)

AnyResource = READ[0]
for _kind in (*READ[1:], *_BYSTANDERS):
    AnyResource = AnyResource | _kind


class Search(Struct, gc=False):
    mode: Text = None


class Entry(Struct, gc=False):
    fullUrl: Text = None
    resource: AnyResource | None = None  # type: ignore[valid-type]
    search: Later = ABSENT


class BundleLink(Struct, gc=False):
    relation: Text = None


CODINGS = Lazy(list[Coding])
META = Lazy(Meta)
SEVERAL = Lazy(list[msgspec.Raw])
QUANTITY = Lazy(Quantity)
PARTS = Lazy(list[Part])
COMPONENTS = Lazy(list[Component])
ITEMS = Lazy(list[Item])
CONTAINED = Lazy(list[Contained])
RANGES = Lazy(list[ReferenceRange])
DOSES = Lazy(list[Dosage])
SEARCH = Lazy(Search)


class Bundle(Struct, gc=False):
    """A Bundle as it should be: each entry's resource of a known type and readable."""

    resourceType: Text = None
    entry: list[Entry] | None = None
    link: list[BundleLink] | None = None


class RawBundle(Struct, gc=False):
    """A Bundle whose entries are read one by one."""

    resourceType: Text = None
    entry: list[msgspec.Raw] | None = None
    link: list[BundleLink] | None = None


class TypeOnly(Struct, gc=False):
    resourceType: Text = None
    id: Text = None


class EntryType(Struct, gc=False):
    resource: TypeOnly | None = None


class DraftEntry(Struct, gc=False):
    fullUrl: Text = None
    resource: msgspec.Raw = msgspec.Raw(b"null")


class DraftBundle(Struct, gc=False):
    """context.draftOrders: orders that go back whole in an update."""

    entry: list[DraftEntry] | None = None
