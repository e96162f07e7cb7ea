"""Observations: what they state of a finding, and what they measure (catalogue, section 2 rules 4, 6 and 9)."""

from collections.abc import Iterable, Iterator

from cds.concepts import BOOLEAN_FINDINGS, MEASUREMENTS, ORDERS
from cds.facts import Report, Statement
from fhir_profiles import resources as fhir
from fhir_profiles.codes import ASSERTIONS, NEGATIVE, NO, YES
from fhir_profiles.dates import Dated
from fhir_profiles.read_numbers import body_site, measurement
from fhir_profiles.reader import NOTHING, Reader, evidence, is_own

_FINDINGS = frozenset(BOOLEAN_FINDINGS)
_MEASUREMENTS = frozenset(MEASUREMENTS)
_ORDERS = frozenset(ORDERS)
_READ = frozenset({"final", "amended", "corrected", "preliminary"})
DONE = frozenset({"final", "amended", "corrected"})
_SOCIAL_HISTORY = "social-history"


class _Said:
    """One thing that an Observation or one of its components is about."""

    __slots__ = ("valued", "code", "concepts", "asserted")

    def __init__(
        self, valued: fhir.Valued, code: fhir.CodeableConcept | None, concepts: frozenset[str], asserted: bool
    ) -> None:
        self.valued = valued
        self.code = code
        self.concepts = concepts
        self.asserted = asserted  # the value names the finding, so it is present


def read_observation(reader: Reader, observation: fhir.Observation, full_url: str | None) -> None:
    said = list(_said(reader, observation))
    if not said or observation.status not in _READ:
        return
    begin, end = _times(reader, observation)
    if reader.calendar.is_future(begin):
        return
    issued = updated = 0.0
    if any(each.concepts & _MEASUREMENTS for each in said):
        issued, updated = reader.calendar.seconds(observation.issued), reader.updated(observation)
    for each in said:
        _state(reader, observation, full_url, each, begin, end)
        _measure(reader, observation, full_url, each, (end, issued, updated))
    _report(reader, observation, full_url, said[0], end)


def is_about_something(reader: Reader, observation: fhir.Observation) -> bool:
    """A quick look at its codes, and at its values where a value may name a finding."""
    if reader.concepts(observation.code):
        return True
    if observation.valueCodeableConcept is None and not observation.component:
        return False
    return any(True for _ in _said(reader, observation))


def truth(valued: fhir.Valued, code: frozenset[str], value: frozenset[str]) -> bool | None:
    """Yes, no, or nothing at all. Without a value the Observation itself says that the finding is there.

    `code` and `value`: the concepts of its code and of its coded value.
    """
    if valued.dataAbsentReason is not None:
        return None
    if valued.valueBoolean is not None:
        return valued.valueBoolean
    if valued.valueCodeableConcept is not None:
        answer = yes_or_no(valued.valueCodeableConcept.coding or ())
        return True if answer is None and code & value else answer
    if has_value(valued):
        return None
    interpretation = fhir.CODES.read(valued.interpretation) or ()
    return NEGATIVE not in {coding.code for each in interpretation for coding in each.coding or ()}


def yes_or_no(codings: Iterable[fhir.Coding]) -> bool | None:
    """What a coded answer says; one that says both says nothing."""
    keys = {(coding.system, coding.code) for coding in codings}
    yes, no = bool(keys & YES), bool(keys & NO)
    return yes if yes != no else None


def has_value(valued: fhir.Valued) -> bool:
    """Any value[x], one given only by its extensions included."""
    return any(
        value is not None
        for value in (
            valued.valueBoolean,
            valued.valueCodeableConcept,
            valued.valueQuantity,
            valued.valueInteger,
            valued.valueString,
            valued.valueDateTime,
            valued.valueTime,
            valued.valuePeriod,
            valued.valueRange,
            valued.valueRatio,
            valued.valueSampledData,
            valued.no_boolean,
            valued.no_integer,
            valued.no_string,
            valued.no_date_time,
            valued.no_time,
        )
    )


def _said(reader: Reader, observation: fhir.Observation) -> Iterator[_Said]:
    """What it is about: by its code, by its value, and by each component that has a value."""
    yield from _one(reader, observation)
    for component in observation.component or ():
        if has_value(component) and not component.modifierExtension:
            yield from _one(reader, component)


def _one(reader: Reader, valued: fhir.Valued) -> Iterator[_Said]:
    concepts = reader.concepts(valued.code)
    if concepts:
        yield _Said(valued, valued.code, concepts, asserted=False)
    value = valued.valueCodeableConcept
    if value is None or valued.dataAbsentReason is not None:
        return
    named = reader.concepts(value) & _FINDINGS
    if not named:
        return
    if _is_assertion(valued.code):
        yield _Said(valued, value, named, asserted=True)
    elif "iv-drug-use" in named - concepts and _is_social_history(valued):
        yield _Said(valued, value, frozenset({"iv-drug-use"}), asserted=True)


def _is_assertion(code: fhir.CodeableConcept | None) -> bool:
    codings = code.coding if code is not None else None
    return any((coding.system, coding.code) in ASSERTIONS for coding in codings or ())


def _is_social_history(valued: fhir.Valued) -> bool:
    categories = fhir.CODES.read(valued.category) if isinstance(valued, fhir.Observation) else None
    return any(coding.code == _SOCIAL_HISTORY for each in categories or () for coding in each.coding or ())


def _times(reader: Reader, observation: fhir.Observation) -> tuple[Dated | None, Dated | None]:
    calendar = reader.calendar
    instant = calendar.read(observation.effectiveDateTime) or calendar.read(observation.effectiveInstant)
    if instant is None:
        begin, end = reader.period(observation.effectivePeriod)
        if begin is not None:
            return begin, end
        instant = calendar.read(observation.issued)
    return instant, instant


def _state(
    reader: Reader,
    observation: fhir.Observation,
    full_url: str | None,
    said: _Said,
    begin: Dated | None,
    end: Dated | None,
) -> None:
    findings = said.concepts & _FINDINGS
    if not findings:
        return
    for finding in findings:
        value = NOTHING if said.asserted else reader.concepts(said.valued.valueCodeableConcept)
        present = True if said.asserted else truth(said.valued, frozenset({finding}), value)
        if present is None:
            continue
        label = reader.display(said.code, finding)
        fact = evidence(
            observation, full_url, label if present else f"{label[:190]}: no", *_dated(begin, end), concept=finding
        )
        statement = Statement(
            present,
            end.when if end else None,
            begin.when if begin else None,
            is_own(said.code, finding),
            True,
            fact,
        )
        reader.note(reader.statements, finding, statement)


def _dated(begin: Dated | None, end: Dated | None) -> tuple[Dated | None, str, Dated | None]:
    """A period is told by its beginning, unless it has none."""
    if begin is end or begin is None or begin.when.first == 1:
        return end, "on", end
    return begin, "since", end


def _measure(
    reader: Reader,
    observation: fhir.Observation,
    full_url: str | None,
    said: _Said,
    dates: tuple[Dated | None, float, float],
) -> None:
    if said.asserted or said.valued.dataAbsentReason is not None:
        return
    valued = said.valued
    quantity = valued.valueQuantity
    if quantity is None and valued.valueInteger is not None:
        quantity = fhir.Quantity(value=valued.valueInteger)
    for concept in said.concepts & _MEASUREMENTS:
        label, site = reader.display(valued.code, concept), body_site(fhir.CODE.read(observation.bodySite))
        measured = measurement(
            reader, concept, observation, full_url, quantity, dates, label, valued, site
        )
        if measured is not None:
            reader.note(reader.measurements, concept, measured)


def _report(
    reader: Reader, observation: fhir.Observation, full_url: str | None, said: _Said, end: Dated | None
) -> None:
    """A result is proof that the test or study was done (section 8)."""
    if said.valued is not observation or said.asserted or observation.dataAbsentReason is not None:
        return
    done, when = observation.status in DONE, end.when if end else None
    for concept in said.concepts & _ORDERS:
        fact = evidence(observation, full_url, reader.display(observation.code, concept), end)
        reader.note(reader.reports, concept, Report(done, when, fact))
