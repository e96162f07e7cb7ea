"""Observations: what they state of a finding, and what they measure (catalogue, section 2 rules 4, 6 and 9)."""

from collections.abc import Iterable

from msgspec import Struct

from cds.facts import Report, Statement
from fhir_profiles import resources as fhir
from fhir_profiles.codes import ASSERTIONS, NEGATIVE, NO, YES
from fhir_profiles.dates import Dated
from fhir_profiles.read_codes import Code, is_own
from fhir_profiles.read_numbers import body_site, measurement
from fhir_profiles.reader import Reader, evidence

READ = frozenset({"final", "amended", "corrected", "preliminary"})
DONE = frozenset({"final", "amended", "corrected"})
_SOCIAL_HISTORY = "social-history"


class _Said(Struct, gc=False):
    """One thing that an Observation or one of its components is about."""

    valued: fhir.Valued
    code: Code
    findings: frozenset[str]
    asserted: bool  # the value names the finding, so it is present; nothing else is said then


def read_observation(reader: Reader, observation: fhir.Observation, full_url: str | None) -> None:
    if observation.status not in READ:
        return
    said = _said(reader, observation)
    begin, end = _times(reader, observation)
    if not said or reader.calendar.is_future(begin):
        return
    for each in said:
        if each.findings:
            _state(reader, observation, full_url, each, begin, end)
        if each.code.measurements and not each.asserted:
            _measure(reader, observation, full_url, each, end)
    if said[0].code.orders and not said[0].asserted:
        _report(reader, observation, full_url, said[0], end)


def names_something(reader: Reader, observation: fhir.Observation) -> bool:
    """Whether a value or a component means something where the code does not."""
    if observation.component is fhir.ABSENT and observation.valueCodeableConcept is fhir.ABSENT:
        return False
    if reader.code(observation.valueCodeableConcept).concepts:
        return bool(_said(reader, observation))
    for part in fhir.PARTS.read(observation.component) or ():
        if reader.code(part.code).concepts or reader.code(part.valueCodeableConcept).concepts:
            return bool(_said(reader, observation))
    return False


def truth(reader: Reader, valued: fhir.Valued, finding: str) -> bool | None:
    """Yes, no, or nothing at all. Without a value the Observation itself says that the finding is there."""
    if valued.dataAbsentReason is not None:
        return None
    if valued.valueBoolean is not None:
        return valued.valueBoolean
    if fhir.is_given(valued.valueCodeableConcept):
        value = reader.code(valued.valueCodeableConcept)
        answer = yes_or_no(value.coding)
        return True if answer is None and finding in value.concepts else answer
    if has_value(valued):
        return None
    flags = {coding.code for each in reader.codes(valued.interpretation) for coding in each.coding}
    return NEGATIVE not in flags


def yes_or_no(codings: Iterable[fhir.Coding]) -> bool | None:
    """What a coded answer says; one that says both says nothing."""
    keys = {(coding.system, coding.code) for coding in codings}
    yes, no = bool(keys & YES), bool(keys & NO)
    return yes if yes != no else None


def has_value(valued: fhir.Valued) -> bool:
    """Any value[x], one given only by its extensions included."""
    return (
        fhir.is_given(valued.valueQuantity)
        or fhir.is_given(valued.valueCodeableConcept)
        or any(
            value is not None
            for value in (
                valued.valueBoolean,
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
    )


def _said(reader: Reader, observation: fhir.Observation) -> list[_Said]:
    """What it is about: by its code, by its value, and by each component that has a value."""
    said = _one(reader, observation)
    if observation.component is not fhir.ABSENT:
        for component in fhir.COMPONENTS.read(observation.component) or ():
            found = _one(reader, component)
            if found and has_value(component) and not component.modifierExtension:
                said += found
    return said


def _one(reader: Reader, valued: fhir.Valued) -> list[_Said]:
    code = reader.code(valued.code)
    said = [_Said(valued, code, code.findings, False)] if code.concepts else []
    if valued.valueCodeableConcept is not fhir.ABSENT and valued.dataAbsentReason is None:
        value = reader.code(valued.valueCodeableConcept)
        named = value.findings
        if named and _is_assertion(code):
            said.append(_Said(valued, value, named, True))
        elif "iv-drug-use" in named - code.concepts and _is_social_history(reader, valued):
            said.append(_Said(valued, value, frozenset({"iv-drug-use"}), True))
    return said


def _is_assertion(code: Code) -> bool:
    return any((coding.system, coding.code) in ASSERTIONS for coding in code.coding)


def _is_social_history(reader: Reader, valued: fhir.Valued) -> bool:
    categories = reader.codes(valued.category) if isinstance(valued, fhir.Observation) else ()
    return any(coding.code == _SOCIAL_HISTORY for each in categories for coding in each.coding)


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
    for finding in said.findings:
        present = True if said.asserted else truth(reader, said.valued, finding)
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
    reader: Reader, observation: fhir.Observation, full_url: str | None, said: _Said, when: Dated | None
) -> None:
    valued = said.valued
    if valued.dataAbsentReason is not None:
        return
    quantity = fhir.QUANTITY.read(valued.valueQuantity)
    if quantity is None and valued.valueInteger is not None:
        quantity = fhir.Quantity(valued.valueInteger)
    dates = when, reader.calendar.seconds(observation.issued), reader.updated(observation)
    site = body_site(reader.code(observation.bodySite)) if observation.bodySite is not fhir.ABSENT else ""
    for concept in said.code.measurements:
        label = reader.display(said.code, concept)
        measured = measurement(reader, concept, observation, full_url, quantity, dates, label, valued, site)
        if measured is not None:
            reader.note(reader.measurements, concept, measured)


def _report(
    reader: Reader, observation: fhir.Observation, full_url: str | None, said: _Said, end: Dated | None
) -> None:
    """A result is proof that the test or study was done (section 8)."""
    if said.valued is not observation or observation.dataAbsentReason is not None:
        return
    done, when = observation.status in DONE, end.when if end else None
    for concept in said.code.orders:
        fact = evidence(observation, full_url, reader.display(said.code, concept), end)
        reader.note(reader.reports, concept, Report(done, when, fact))
