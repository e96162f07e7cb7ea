"""What every reader needs: the dates, the meaning of codes, whose a resource is, and how evidence is worded."""

import re
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Protocol, TypeVar

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
from fhir_profiles.codes import CONDITION_VERIFICATION, ENTERED_IN_ERROR, FINDING, REFUTED
from fhir_profiles.dates import BadDate, Calendar, Dated
from fhir_profiles.record import UNREADABLE
from fhir_profiles.terminology import Knowledge

Fact = TypeVar("Fact")

NOTHING: frozenset[str] = frozenset()
DISPLAY_LENGTH = 200
ONLY_IDEAS = frozenset({"proposal", "plan"})  # the intents that rule 2 leaves out
NOT_NEW = frozenset({"nsaid", "muscle-relaxant", "analgesic", "pain-score"})  # never new evidence (section 3)

# Controls, zero-width and bidirectional marks, line separators, soft hyphen, tags: what can hide or turn text round.
_INVISIBLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e0fff]+"
)


class Identified(Protocol):
    """Any resource that becomes evidence."""

    id: str | None
    meta: fhir.Later


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
        entries: Sequence[tuple[object, str | None]],
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
        self._meant: dict[tuple[str | None, str | None], frozenset[str]] = {}
        self._entries = entries
        self._by_url: dict[str, object] = {}
        self._by_id: dict[str, dict[str | None, object]] = {}

    # --- codes -------------------------------------------------------------------------------------------

    def concepts(self, code: fhir.CodeableConcept | None) -> frozenset[str]:
        """What the codings mean together. Asked of every resource, so a lone coding is looked up once only."""
        if code is None or not (codings := code.coding):
            return NOTHING
        if len(codings) > 1:
            return self.knowledge.concepts([(each.system, each.code) for each in codings])
        key = (codings[0].system, codings[0].code)
        known = self._meant.get(key)
        if known is None:
            known = self._meant[key] = self.knowledge.concepts((key,))
        return known

    def concepts_of(self, codes: Iterable[fhir.CodeableConcept] | None) -> frozenset[str]:
        return NOTHING.union(*map(self.concepts, codes or ()))

    # --- references --------------------------------------------------------------------------------------

    def resolve(self, reference: fhir.Reference, contained: Sequence[fhir.Contained] | None) -> object | None:
        """The contained or sent resource that a reference means, None when it was not sent."""
        target = reference.reference
        if not target:
            return None
        if target.startswith("#"):
            return next((each for each in contained or () if each.id == target[1:]), None)
        if not self._by_url:
            self._by_url = {full_url: resource for resource, full_url in self._entries if full_url}
        found = self._by_url.get(target)
        if found is not None:
            return found
        kind, _, name = self.whose.relative(target).partition("/")
        if kind not in self._by_id:
            self._by_id[kind] = {
                each.id: each for each, _ in self._entries if type(each).__name__ == kind and hasattr(each, "id")
            }
        return self._by_id[kind].get(name)

    def referenced_code(
        self, reference: fhir.Reference, contained: Sequence[fhir.Contained] | None
    ) -> fhir.CodeableConcept | None:
        """What a resource referred to is about, unless it is refuted, a mistake, or of somebody else."""
        resource = self.resolve(reference, contained)
        try:
            if is_withdrawn(resource) or not self.whose.is_ours(getattr(resource, "subject", None)):
                return None
        except UNREADABLE:
            return None
        if isinstance(resource, fhir.Observation) and self.concepts(resource.valueCodeableConcept):
            return resource.valueCodeableConcept
        code = getattr(resource, "code", None)
        return code if isinstance(code, fhir.CodeableConcept) else None

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
            return end._replace(when=end.when._replace(first=1)), end
        return begin, end

    def updated(self, resource: Identified) -> float:
        meta = fhir.META.read(resource.meta)
        return self.calendar.seconds(meta.lastUpdated if meta else None)

    # --- evidence ----------------------------------------------------------------------------------------

    def display(self, code: fhir.CodeableConcept | None, concept: str) -> str:
        """The text of the record, else the title of the concept."""
        if code is not None:
            for text in (code.text, *(coding.display for coding in code.coding or ())):
                if text and (clean := cleaned(text)):
                    return clean
        return self.title(concept)

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
        reference=f"{kind}/{resource.id}" if resource.id else full_url or kind,
        display=display[:DISPLAY_LENGTH],
        date=date.when.text if date else "",
        relation=relation,
        latest=newest.when.last if newest else None,
        renews=concept not in NOT_NEW,
    )


def when_of(dated: Dated | None) -> When | None:
    return dated.when if dated is not None else None


def newer(one: Dated | None, other: Dated | None) -> Dated | None:
    """The one that may reach further towards now."""
    if one is None or other is None:
        return one or other
    return one if one.when.last >= other.when.last else other


def cleaned(text: str) -> str:
    """Chart text as one short visible line. Escaping is for whoever prints it."""
    if text.isascii() and text.isprintable() and len(text) <= DISPLAY_LENGTH:
        return text.strip()
    return " ".join(_INVISIBLE.sub(" ", text[: 4 * DISPLAY_LENGTH]).split())[:DISPLAY_LENGTH].rstrip()


def status_code(status: fhir.CodeableConcept | None, system: str = "") -> str:
    """Its code in the HL7 system, else in whatever system it is spelled; "" when it has none."""
    codings = [coding for coding in (status.coding if status else None) or () if coding.code]
    preferred = [coding for coding in codings if coding.system == system]
    return next((coding.code for coding in preferred or codings if coding.code), "")


def is_withdrawn(resource: object) -> bool:
    """Refuted or entered in error, wherever the type keeps it."""
    if isinstance(resource, fhir.Condition):
        status = status_code(fhir.CODE.read(resource.verificationStatus), CONDITION_VERIFICATION)
        return status in (REFUTED, ENTERED_IN_ERROR)
    return getattr(resource, "status", None) == ENTERED_IN_ERROR


def is_own(code: fhir.CodeableConcept | None, finding: str) -> bool:
    """Stated in our own code, which for the emergency findings means new or clearly worse (rule 8)."""
    codings = code.coding if code is not None else None
    return any(coding.code == finding and coding.system == FINDING for coding in codings or ())
