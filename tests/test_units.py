"""Units: each conversion on both sides of a limit, and what is not understood."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cds.concepts import MEASUREMENTS
from fhir_profiles.units import canonical_unit, measured_concepts, to_canonical

CONVERSIONS = {
    "fever in Fahrenheit is exactly the limit": ("body-temperature", 100.4, "[degF]", 38.0),
    "a tenth less is below it": ("body-temperature", 100.3, "[degF]", 37.944444),
    "body heat in Fahrenheit": ("body-temperature", 98.2, "[degF]", 36.777778),
    "kelvin": ("body-temperature", 311.15, "K", 38.0),
    "pounds": ("body-weight", 200, "[lb_av]", 90.718474),
    "grams, as for a baby": ("body-weight", 3250, "g", 3.25),
    "CRP in mg/dL is ten times as much": ("crp", 1.0, "mg/dL", 10.0),
    "CRP in mg/L": ("crp", 10, "mg/L", 10.0),
    "ESR by the sixty minutes": ("esr", 21, "mm/(60.min)", 21.0),
    "white cells by the thousand": ("wbc", 11.1, "10*3/uL", 11.1),
    "white cells by the cell": ("wbc", 11100, "/uL", 11.1),
    "white cells per liter": ("wbc", 11.1e9, "/L", 11.1),
    "potassium in milliequivalents": ("potassium", 3.4, "meq/L", 3.4),
    "calcium in millimoles, just below 8.5 mg/dL": ("calcium-total", 2.12, "mmol/L", 8.496536),
    "calcium in millimoles, just above": ("calcium-total", 2.13, "mmol/L", 8.536614),
    "a hundred yards": ("walking-distance", 100, "[yd_i]", 91.44),
    "two hundred meters in feet, rounded down": ("walking-distance", 656, "[ft_i]", 199.9488),
    "and up": ("walking-distance", 657, "[ft_i]", 200.2536),
    "kilometers": ("walking-distance", 0.2, "km", 200.0),
    "weeks in days": ("conservative-treatment-weeks", 91, "d", 13.0),
    "weeks in months": ("conservative-treatment-weeks", 3, "mo", 13.044375),
    "an angle in radians": ("cobb-angle", 0.5, "rad", 28.64789),
    "a score with its annotation": ("pain-score", 7, "{score}", 7.0),
    "a score with the unit one": ("pain-score", 7, "1", 7.0),
    "a grade without a unit": ("muscle-strength-grade", 4, None, 4.0),
}


@pytest.mark.parametrize(("concept", "value", "code", "expected"), CONVERSIONS.values(), ids=CONVERSIONS)
def test_conversion(concept, value, code, expected):
    assert to_canonical(concept, value, code, None) == expected


NOT_UNDERSTOOD = {
    "no unit where one is needed": ("walking-distance", None, None),
    "an empty code and an empty unit": ("body-weight", "", ""),
    "a unit of something else": ("body-weight", "cm", None),
    "a code in the wrong case": ("body-temperature", "CEL", None),
    "a unit that is only readable": ("body-temperature", None, "degrees Fahrenheit"),
    "a score in millimeters": ("pain-score", "mm", None),
    "a known unit beside an unknown code": ("crp", "mmol/L", "mg/L"),
}


@pytest.mark.parametrize(("concept", "code", "unit"), NOT_UNDERSTOOD.values(), ids=NOT_UNDERSTOOD)
def test_unit_not_understood(concept, code, unit):
    assert to_canonical(concept, 5, code, unit) is None


def test_unit_text_counts_when_there_is_no_code():
    assert to_canonical("walking-distance", 100, None, "[yd_i]") == 91.44


def test_code_wins_over_unit_text():
    assert to_canonical("crp", 1, "mg/dL", "mg/L") == 10.0


def test_every_measurement_has_units_and_nothing_else_has():
    assert measured_concepts() == set(MEASUREMENTS)


def test_canonical_unit_is_accepted_unchanged():
    for concept in MEASUREMENTS:
        assert to_canonical(concept, 12.5, canonical_unit(concept), None) == 12.5, concept


def test_limits_are_in_the_canonical_units():
    assert {concept: canonical_unit(concept) for concept in ("crp", "esr", "wbc", "potassium", "calcium-total")} == {
        "crp": "mg/L",
        "esr": "mm/h",
        "wbc": "10*9/L",
        "potassium": "mmol/L",
        "calcium-total": "mg/dL",
    }


@given(st.integers(min_value=0, max_value=11_000), st.integers(min_value=0, max_value=11_000))
def test_conversion_keeps_the_order(low, high):
    """A higher temperature never becomes a lower one, whatever the rounding."""
    first, second = (to_canonical("body-temperature", tenth / 100, "[degF]", None) for tenth in sorted((low, high)))
    assert first <= second
