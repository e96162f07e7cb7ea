"""Answers to our intake form (catalogue, section 2 rules 6 and 7; section 4)."""

from collections.abc import Iterable, Iterator

from cds.concepts import BOOLEAN_FINDINGS, NUMERIC_FINDINGS
from cds.facts import Form, Statement
from fhir_profiles import resources as fhir
from fhir_profiles.codes import QUESTIONNAIRE
from fhir_profiles.dates import Dated
from fhir_profiles.read_findings import yes_or_no
from fhir_profiles.read_numbers import measurement
from fhir_profiles.reader import Answered, Reader, evidence
from fhir_profiles.units import canonical_unit

_BOOLEAN = frozenset(BOOLEAN_FINDINGS)
_NUMERIC = frozenset(NUMERIC_FINDINGS)
ANSWERED = frozenset({"completed", "amended"})
# Every yes to these counts from its own date (section 7), until a later no.
_KEPT_WHILE_YES = frozenset({"conservative-treatment-tried"})


def is_our_form(_: Reader, response: fhir.QuestionnaireResponse) -> bool:
    """Any version of our Questionnaire."""
    return response.questionnaire is not None and response.questionnaire.partition("|")[0] == QUESTIONNAIRE


def read_response(reader: Reader, response: fhir.QuestionnaireResponse, full_url: str | None) -> None:
    """An answered form: its numbers are facts at once, of its yes and no only the valid ones in the end."""
    if response.status not in ANSWERED:
        return
    authored, updated = reader.calendar.read(response.authored), reader.updated(response)
    if reader.calendar.is_future(authored):
        return
    items = [item for item in _flat(fhir.ITEMS.read(response.item)) if item.answer]
    if not any(item.linkId in _BOOLEAN or item.linkId in _NUMERIC for item in items):
        return
    when = authored.when if authored else None
    reader.forms.append(Form(when, evidence(response, full_url, "Intake form", authored)))
    for item in items:
        finding, given = item.linkId or "", item.answer or ()
        if finding in _BOOLEAN and (present := _yes(given)) is not None:
            label = reader.title(finding) if present else f"{reader.title(finding)}: no"
            fact = evidence(response, full_url, label, authored, concept=finding)
            statement = Statement(present, when, when, True, False, fact)
            reader.answers.append(Answered(finding, authored.latest if authored else float("-inf"), statement))
        elif finding in _NUMERIC:
            _record_number(reader, response, full_url, finding, given, (authored, 0.0, updated))


def keep_valid_answers(reader: Reader) -> None:
    """Of several responses the later replaces the earlier, answer by answer, even on one day (rule 7).

    At one and the same instant a yes wins.
    """
    newest: dict[str, Answered] = {}
    kept: dict[str, list[Answered]] = {}
    for answer in sorted(reader.answers, key=_age_of):
        newest[answer.finding] = answer
        if answer.statement.present and answer.finding in _KEPT_WHILE_YES:
            kept.setdefault(answer.finding, []).append(answer)
        else:
            kept.pop(answer.finding, None)
    for finding, newest_answer in newest.items():
        for answer in kept.get(finding, (newest_answer,)):
            reader.note(reader.statements, finding, answer.statement)
    reader.keep()


def _age_of(answer: Answered) -> tuple[float, bool, str]:
    return answer.given, answer.statement.present, answer.statement.evidence.reference


def _flat(items: Iterable[fhir.Item] | None) -> Iterator[fhir.Item]:
    """Items of all levels, those below an answer included. What a modifier may turn round is passed over."""
    for item in items or ():
        if item.modifierExtension:
            continue
        yield item
        yield from _flat(item.item)
        for answer in item.answer or ():
            yield from _flat(answer.item)


def _yes(answers: Iterable[fhir.Answer]) -> bool | None:
    """A yes among several answers to one question is a yes."""
    stated = [
        said
        for answer in answers
        if not answer.modifierExtension
        and (said := answer.valueBoolean if answer.valueBoolean is not None else _coded(answer)) is not None
    ]
    return any(stated) if stated else None


def _coded(answer: fhir.Answer) -> bool | None:
    return yes_or_no([answer.valueCoding]) if answer.valueCoding is not None else None


def _record_number(
    reader: Reader,
    response: fhir.QuestionnaireResponse,
    full_url: str | None,
    finding: str,
    answers: Iterable[fhir.Answer],
    dates: tuple[Dated | None, float, float],
) -> None:
    for answer in answers:
        quantity = _quantity(finding, answer)
        measured = measurement(reader, finding, response, full_url, quantity, dates, reader.title(finding))
        if measured is not None:
            reader.note(reader.measurements, finding, measured)


def _quantity(finding: str, answer: fhir.Answer) -> fhir.Quantity | None:
    """A plain number is in the unit that the form asks for (rule 9)."""
    if answer.modifierExtension:
        return None
    if answer.valueQuantity is not None and (answer.valueQuantity.code or answer.valueQuantity.unit):
        return answer.valueQuantity
    quantity = answer.valueQuantity or fhir.Quantity(
        value=answer.valueInteger if answer.valueInteger is not None else answer.valueDecimal
    )
    unit = canonical_unit(finding)
    return fhir.Quantity(value=quantity.value, comparator=quantity.comparator, unit=unit, code=unit)
