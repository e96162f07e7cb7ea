"""Numbers with their units, and what the laboratory says of them (catalogue, section 2 rule 9)."""

from collections.abc import Iterable
from functools import lru_cache

from cds.facts import Measurement
from fhir_profiles import resources as fhir
from fhir_profiles.codes import ABNORMAL, LOWERED, NORMAL, RAISED
from fhir_profiles.dates import Dated
from fhir_profiles.read_codes import Code, cleaned
from fhir_profiles.reader import Reader, evidence
from fhir_profiles.units import to_canonical

LABORATORY = frozenset({"esr", "crp", "wbc", "potassium", "calcium-total"})
SCALES = {"pain-score": (0, 10), "muscle-strength-grade": (0, 5)}
NO_VALUE = "value not recorded"
_ABNORMAL_IS_RAISED = frozenset({"esr", "crp"})
_COMPARATORS = frozenset({"<", "<=", ">=", ">"})


def measurement(
    reader: Reader,
    concept: str,
    resource: fhir.Observation | fhir.QuestionnaireResponse,
    full_url: str | None,
    quantity: fhir.Quantity | None,
    dates: tuple[Dated | None, float, float],
    label: str,
    valued: fhir.Valued | None = None,
    site: str = "",
) -> Measurement | None:
    """What a quantity says of a concept; None when it says nothing.

    A laboratory result without a number still says something when the laboratory judged it. `dates`: when,
    then issued and updated in POSIX seconds. `valued`: the Observation or component it is from.
    """
    judgement, low, high = "", None, None
    if valued is not None and concept in LABORATORY:
        judgement = _judgement(reader, concept, valued)
        low, high = _limits(reader, concept, valued, quantity)
    value, problem = _canonical(concept, quantity)
    if not _on_scale(concept, value) or (problem == NO_VALUE and not judgement):
        return None
    when, issued, updated = dates
    comparator = quantity.comparator if quantity is not None else None
    return Measurement(
        value,
        comparator if comparator in _COMPARATORS else "",
        problem,
        when.when if when else None,
        site,
        judgement,
        low,
        high,
        (when.when.moment if when else 0.0, issued, updated),
        isinstance(resource, fhir.Observation),
        evidence(resource, full_url, f"{label[:150]}{_as_recorded(quantity)}", when, concept=concept),
    )


def body_site(site: Code) -> str:
    """Muscle and side: what makes two grades comparable."""
    codings = sorted(f"{coding.system or ''}|{coding.code}" for coding in site.coding if coding.code)
    return ",".join(codings) or site.words


def _canonical(concept: str, quantity: fhir.Quantity | None) -> tuple[float | None, str]:
    """The number in the concept's unit, or the problem that keeps it from being one."""
    if quantity is None or quantity.value is None:
        return None, NO_VALUE
    if quantity.comparator and quantity.comparator not in _COMPARATORS:
        return None, "comparator not understood"
    value = to_canonical(concept, quantity.value, quantity.code, quantity.unit)
    return value, "" if value is not None else "unit not understood"


def _on_scale(concept: str, value: float | None) -> bool:
    if value is None or concept not in SCALES:
        return True
    lowest, highest = SCALES[concept]
    return lowest <= value <= highest


def _as_recorded(quantity: fhir.Quantity | None) -> str:
    if quantity is None or quantity.value is None:
        return ""
    comparator = quantity.comparator if quantity.comparator in _COMPARATORS else ""
    return f" {comparator}{quantity.value:.10g}{_unit_shown(quantity.unit or quantity.code or '')}"


@lru_cache(256)
def _unit_shown(unit: str) -> str:
    shown = "" if unit == "1" or unit.startswith("{") else cleaned(unit)[:30]
    return f" {shown}".rstrip()


def _judgement(reader: Reader, concept: str, valued: fhir.Valued) -> str:
    flags = {coding.code for code in reader.codes(valued.interpretation) for coding in code.coding}
    if flags & RAISED or (concept in _ABNORMAL_IS_RAISED and flags & ABNORMAL and not flags & LOWERED):
        return "raised"
    if flags & LOWERED:
        return "lowered"
    return "normal" if flags & NORMAL else ""


def _limits(
    reader: Reader, concept: str, valued: fhir.Valued, quantity: fhir.Quantity | None
) -> tuple[float | None, float | None]:
    """The Observation's own normal range, canonical. A limit without a unit is in the unit of the value."""
    normal = _normal_range(reader, fhir.RANGES.read(valued.referenceRange) or ())
    if normal is None:
        return None, None
    return _limit(concept, normal.low, quantity), _limit(concept, normal.high, quantity)


def _normal_range(reader: Reader, ranges: Iterable[fhir.ReferenceRange]) -> fhir.ReferenceRange | None:
    """The one for everybody if there is one, else the first."""
    usual = [each for each in ranges if not fhir.is_given(each.type) or _is_normal(reader.code(each.type))]
    return min(usual, key=lambda each: (bool(each.appliesTo), each.age is not None), default=None)


def _is_normal(kind: Code) -> bool:
    return any(coding.code == "normal" for coding in kind.coding)


def _limit(concept: str, limit: fhir.Quantity | None, value: fhir.Quantity | None) -> float | None:
    if limit is None or limit.value is None:
        return None
    unit = limit if limit.code or limit.unit else value or limit
    return to_canonical(concept, limit.value, unit.code, unit.unit)
