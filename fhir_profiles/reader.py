"""What every reader needs: the dates, the meaning of codes, whose a resource is, and how evidence is worded."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Protocol, TypeVar

import msgspec

from cds.facts import (
    Diagnosis,
    Evidence,
    Form,
    Measurement,
    Medicine,
    Order,
    Report,
    Statement,
    Treatment,
    When,
)
from fhir_profiles import resources as fhir
from fhir_profiles.codes import CONDITION_VERIFICATION, ENTERED_IN_ERROR, REFUTED
from fhir_profiles.dates import BadDate, Calendar, Dated
from fhir_profiles.read_codes import DISPLAY_LENGTH, NO_CODE, Code, read_code, status_code, usual_codes
from fhir_profiles.record import UNREADABLE
from fhir_profiles.terminology import Knowledge

Fact = TypeVar("Fact")

ONLY_IDEAS = frozenset({"proposal", "plan"})  # the intents that rule 2 leaves out
_NO_META = fhir.Meta()
NOT_NEW = frozenset({"nsaid", "muscle-relaxant", "analgesic", "pain-score"})  # never new evidence (section 3)


class Identified(Protocol):
    """Any resource that becomes evidence."""

    id: str | None
    meta: fhir.Later | fhir.Meta


class Whose:
    """Says whether a subject is the context's patient (rule 1).

    same: the references that name the patient; whoever knows the fullUrl of the Patient's entry adds it.
    """

    def __init__(self, patient_id: str, fhir_server: str, identifiers: Iterable[fhir.Identifier]) -> None:
        self._base = fhir_server.rstrip("/") + "/" if fhir_server else ""
        self.same = {f"Patient/{patient_id}", f"urn:uuid:{patient_id}"} if patient_id else set[str]()
        self._identifiers = {(known.system, known.value) for known in identifiers if known.value}

    def is_ours(self, subject: fhir.Reference | None) -> bool:
        """True too without a subject: the Bundle was searched for this patient."""
        if subject is None:
            return True
        if subject.reference:
            return self.names(subject.reference)
        if subject.identifier is not None:
            return (subject.identifier.system, subject.identifier.value) in self._identifiers
        return True

    def names(self, reference: str) -> bool:
        if reference in self.same:
            return True
        return self.relative(reference) in self.same

    def relative(self, reference: str) -> str:
        """Without our server's base, a leading slash and a version: Type/id where it is one of our server's."""
        if self._base and reference.startswith(self._base):
            reference = reference[len(self._base) :]
        return reference.removeprefix("/").partition("/_history/")[0]


class Answered(NamedTuple):
    """A yes or no on our form, and when it was given at the latest (POSIX seconds, not cut off)."""

    finding: str
    given: float
    statement: Statement


class Reader:
    """Reads the resources of one chart. `entries` are all of them, for references between them."""

    def __init__(
        self,
        calendar: Calendar,
        knowledge: Knowledge,
        whose: Whose,
        birth: When | None,
        entries: Sequence[fhir.Entry],
    ) -> None:
        self.calendar = calendar
        self.knowledge = knowledge
        self.whose = whose
        self.birth = birth
        self.foreign = 0
        self.diagnoses: dict[str, list[Diagnosis]] = {}
        self.statements: dict[str, list[Statement]] = {}
        self.measurements: dict[str, list[Measurement]] = {}
        self.medicines: dict[str, list[Medicine]] = {}
        self.treatments: dict[str, list[Treatment]] = {}
        self.orders: dict[str, list[Order]] = {}
        self.reports: dict[str, list[Report]] = {}
        self.allergies: dict[str, list[Evidence]] = {}
        self.forms: list[Form] = []
        self.answers: list[Answered] = []
        self._noted: list[tuple[dict[str, list[Any]], str, Any]] = []
        self._usual = usual_codes(knowledge)
        self._known: dict[bytes, Code] = {}
        self._entries = entries
        self._by_url: dict[str, object] = {}
        self._by_id: dict[str, dict[str | None, object]] = {}

    # --- codes -------------------------------------------------------------------------------------------

    def code(self, element: fhir.Later) -> Code:
        """What a CodeableConcept says. A chart repeats a few hundred, letter for letter. Raises one of UNREADABLE."""
        if element is fhir.ABSENT:
            return NO_CODE
        spelled = bytes(element)
        code = self._usual.get(spelled) or self._known.get(spelled)
        if code is None:
            code = self._known[spelled] = read_code(spelled, self.knowledge)
        return code

    def codes(self, element: fhir.Later) -> list[Code]:
        """Those of an element that may have several. Raises one of UNREADABLE."""
        elements = fhir.SEVERAL.read(element) or ()
        if not all(map(fhir.is_given, elements)):
            raise msgspec.ValidationError("a list holds null")
        return [self.code(each) for each in elements]

    # --- references --------------------------------------------------------------------------------------

    def resolve(self, reference: fhir.Reference, contained: fhir.Later) -> object | None:
        """The contained or sent resource that a reference means, None when it was not sent."""
        target = reference.reference
        if not target:
            return None
        if target.startswith("#"):
            return next((each for each in fhir.CONTAINED.read(contained) or () if each.id == target[1:]), None)
        if not self._by_url:
            self._by_url = {entry.fullUrl: entry.resource for entry in self._entries if entry.fullUrl}
        found = self._by_url.get(target)
        if found is not None:
            return found
        kind, _, name = self.whose.relative(target).partition("/")
        if kind not in self._by_id:
            resources = (entry.resource for entry in self._entries)
            self._by_id[kind] = {
                each.id: each for each in resources if type(each).__name__ == kind and hasattr(each, "id")
            }
        return self._by_id[kind].get(name)

    def referenced_code(self, reference: fhir.Reference, contained: fhir.Later) -> Code:
        """What a resource referred to is about, unless it is refuted, a mistake, or of somebody else.

        Raises one of UNREADABLE for contained resources, which are a part of the one that refers to them.
        """
        resource = self.resolve(reference, contained)
        if isinstance(resource, fhir.Contained):
            return self.code(resource.code)
        try:
            if self._is_withdrawn(resource) or not self.whose.is_ours(getattr(resource, "subject", None)):
                return NO_CODE
            if isinstance(resource, fhir.Observation):
                value = self.code(resource.valueCodeableConcept)
                if value.concepts:
                    return value
            return self.code(getattr(resource, "code", fhir.ABSENT))
        except UNREADABLE:
            return NO_CODE

    def _is_withdrawn(self, resource: object) -> bool:
        """Refuted or entered in error, wherever the type keeps it."""
        if isinstance(resource, fhir.Condition):
            status = status_code(self.code(resource.verificationStatus), CONDITION_VERIFICATION)
            return status in (REFUTED, ENTERED_IN_ERROR)
        return getattr(resource, "status", None) == ENTERED_IN_ERROR

    # --- dates -------------------------------------------------------------------------------------------

    def at_age(self, age: fhir.Quantity | None) -> Dated | None:
        if age is None or age.comparator:
            return None
        return self.calendar.at_age(self.birth, age.value, age.code or age.unit)

    def period(self, period: fhir.Period | None) -> tuple[Dated | None, Dated | None]:
        """Beginning and end. Open-ended: up to now; without a beginning: it began on or before its end."""
        if period is None:
            return None, None
        begin, end = self.calendar.read(period.start), self.calendar.read(period.end)
        if begin and end and end.latest < begin.earliest:
            raise BadDate
        if begin and not end:
            return begin, self.calendar.now(begin.when.text)
        if end and not begin:
            return Dated(end.earliest, end.latest, end.when._replace(first=1)), end
        return begin, end

    def updated(self, resource: Identified) -> float:
        return self.calendar.seconds(_meta(resource).lastUpdated)

    # --- evidence ----------------------------------------------------------------------------------------

    def display(self, code: Code, concept: str) -> str:
        """The text of the record, else the title of the concept."""
        return code.shown or self.title(concept)

    def note(self, facts: dict[str, list[Fact]], concept: str, fact: Fact) -> None:
        """A fact of the resource at hand, which counts once that has been read to its end."""
        self._noted.append((facts, concept, fact))

    def keep(self) -> None:
        """The resource at hand was readable: all that it says counts."""
        for facts, concept, fact in self._noted:
            facts.setdefault(concept, []).append(fact)
        self._noted.clear()

    def drop(self) -> None:
        """The resource at hand was not readable after all: nothing that it says counts."""
        self._noted.clear()

    def title(self, concept: str) -> str:
        return self.knowledge.value_sets[concept].title


def evidence(
    resource: Identified,
    full_url: str | None,
    display: str,
    date: Dated | None,
    relation: str = "on",
    latest: Dated | None = None,
    concept: str = "",
) -> Evidence:
    """`latest`: the newest moment it speaks of, where that is not `date`."""
    newest = latest or date
    kind = type(resource).__name__
    return Evidence(
        f"{kind}/{resource.id}" if resource.id else full_url or kind,
        display[:DISPLAY_LENGTH],
        date.when.text if date else "",
        relation,
        newest.when.last if newest else None,
        concept not in NOT_NEW,
        kind,
        _version(resource),
    )


def _version(resource: Identified) -> str:
    """The versionId; what else would stand there is no version, and the resource is as good without one."""
    try:
        version = _meta(resource).versionId
    except UNREADABLE:
        return ""
    return version if isinstance(version, str) else ""


def _meta(resource: Identified) -> fhir.Meta:
    """Its meta, which once it is read stays read. Raises one of UNREADABLE."""
    meta = resource.meta
    if type(meta) is not fhir.Meta:
        meta = resource.meta = fhir.META.read(meta) or _NO_META
    return meta


def when_of(dated: Dated | None) -> When | None:
    return dated.when if dated is not None else None


def newer(one: Dated | None, other: Dated | None) -> Dated | None:
    """The one that may reach further towards now."""
    if one is None or other is None:
        return one or other
    return one if one.when.last >= other.when.last else other
