"""Numbers and names as the report writes them."""

from cds.evaluation import CATALOGUE
from cds.triage import EMERGENCY, INFORMATION, NOT_ASSESSED, ORDER_SAFETY, RED_FLAG, SURGICAL_REFERRAL
from hooks.override_reasons import COMMENT_ONLY, DISPLAYS

NOTHING = "–"
CARDS = {
    EMERGENCY: "Emergency",
    RED_FLAG: "Red flags",
    SURGICAL_REFERRAL: "Surgical referral",
    INFORMATION: "Information",
    NOT_ASSESSED: "Not assessed",
    ORDER_SAFETY: "About an order",
}
"""Group of a card -> what people call it."""

_TITLES = {entry.id: entry.title for entry in CATALOGUE}
_REASONS = DISPLAYS | {"": "No reason given", COMMENT_ONLY: "A comment, no reason from the list"}
_LONGEST_CODE = 60


def count(number: int) -> str:
    return f"{number:,}"


def some(number: int, what: str) -> str:
    """`1 card`, `2 cards`."""
    return f"{number:,} {what}" + ("" if number == 1 else "s")


def share(part: int, whole: int) -> str:
    """Per cent with one digit; a share that is not nothing, or not all, is never rounded to it."""
    if not whole:
        return NOTHING
    if part == whole:
        return "100%"
    percent = min(max(part / whole * 100, 0.1 if part else 0), 99.9)
    return f"{percent:.1f}%" if part else "0%"


def per_hundred(part: int, whole: int) -> str:
    """How many there are for each hundred, with the digits that a small number needs."""
    if not whole:
        return NOTHING
    number = part / whole * 100
    return f"{number:.2f}" if 0 < number < 1 else f"{number:.1f}"


def title(id_: str) -> str:
    """Of a criterion; of one that this release does not know, the id."""
    return _TITLES.get(id_, id_)


def reason(code: str) -> str:
    """Why a card was overridden; a code of somebody else's list stands for itself."""
    return _REASONS.get(code, code[:_LONGEST_CODE])
