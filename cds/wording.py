"""Words that several cards share: dates, enumerations, short names of criteria, summaries."""

from calendar import monthrange
from collections.abc import Iterable, Sequence
from datetime import date
from functools import cache, lru_cache

from cds.answers import UNKNOWN
from cds.back_problem import onset
from cds.case import Case
from cds.catalogue import CRITERIA, Group, in_group
from cds.facts import Evidence
from cds.triage import NOT_ASKED

SUMMARY_LENGTH = 140
"""A summary is shorter than this (CDS Hooks, R85)."""
SHOWN_IN_SUMMARY = 2
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

SHORT = {
    "cauda-equina": "signs of cauda equina syndrome",
    "possible-cord-compression": "signs of spinal cord compression",
    "limb-sensation-loss": "loss of limb sensation",
    "one-sided-deficit": "one-sided weakness or numbness",
    "pain-over-4-weeks": "pain over 4 weeks despite treatment",
    "failed-conservative-treatment": "no relief from conservative treatment",
    "neurogenic-claudication": "walking cut short",
    "degenerative-cause": "spasm with a degenerative cause",
    "persistent-after-compression-treatment": "herniation or stenosis despite treatment",
    "persistent-spasm": "persistent back spasm",
}
"""Short names where the lower-cased title will not do inside a sentence."""

TIMELESS = frozenset(("child-back-pain", "child-spinal-infection"))
"""An age has no date worth naming."""
SINCE_ONSET = frozenset(("pain-over-4-weeks", "failed-conservative-treatment", "degenerative-cause"))


@cache
def short(id_: str) -> str:
    """A criterion's name inside a sentence."""
    return SHORT.get(id_) or lowered(CRITERIA[id_].title)


def lowered(text: str) -> str:
    """For the middle of a sentence; an abbreviation such as MRI keeps its capitals."""
    return text if text[1:2].isupper() else f"{text[:1].lower()}{text[1:]}"


def capitalized(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}"


def listed(items: Sequence[str]) -> str:
    """ "a, b and c"."""
    return " and ".join((", ".join(items[:-1]), items[-1])) if len(items) > 1 else "".join(items)


def counted(number: int, noun: str) -> str:
    """ "1 finding", "2 findings"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


# --- dates ----------------------------------------------------------------------------------------------------


@lru_cache(maxsize=4096)
def parts_of(text: str) -> tuple[int, ...]:
    """Year, month and day as far as a recorded date names them; nothing for any other text."""
    parts = text.split("-")
    return tuple(map(int, parts)) if len(parts) <= 3 and all(map(_is_number, parts)) else ()


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()


@lru_cache(maxsize=4096)
def latest_day(text: str) -> int | None:
    """The last day (ordinal) that a recorded date can mean, "1999/2000" included; None for what is no date."""
    parts = parts_of(text.rpartition("/")[2])
    if not parts:
        return None
    year, month, day = (*parts, *(12, 31)[len(parts) - 1 :])
    try:
        return date(year, month, min(day, monthrange(year, month)[1])).toordinal()
    except ValueError:  # month 13, year 0
        return None


def dated(evidence: Evidence, year: int) -> str:
    """ " since Nov 20", " recorded Mar 2019", " in 2019": with its space, nothing where no date is recorded."""
    day = short_date(evidence.date, year)
    if not day:
        return ""
    relation = evidence.relation
    is_span = day[-4:].isdigit()  # a month or year
    return f" in {day}" if relation == "on" and is_span else f" {relation} {day}"


def bracketed(evidence: Evidence, year: int, prefix: str = "") -> str:
    """ " (Nov 20)", with its space; nothing where no date is recorded."""
    day = short_date(evidence.date, year)
    return f" ({prefix}{day})" if day else ""


def short_date(text: str, year: int) -> str:
    """A day of this year as "Nov 20"; otherwise month and year, or the year alone, as far as recorded."""
    if latest_day(text) is None:
        return ""
    parts = parts_of(text)
    if len(parts) < 2:
        return text
    month = MONTHS[parts[1] - 1]
    return f"{month} {parts[2]}" if len(parts) == 3 and parts[0] == year else f"{month} {parts[0]}"


# --- summaries ------------------------------------------------------------------------------------------------


def summarized(lead: str, items: Sequence[str]) -> str:
    """The lead, the first items, and how many more there are: plain text that is short enough for any client."""
    for shown in range(min(SHOWN_IN_SUMMARY, len(items)), 0, -1):
        more = len(items) - shown
        text = listed([*items[:shown], *([f"{more} more"] if more else ())])
        if len(lead) + len(text) + 2 < SUMMARY_LENGTH:
            return f"{lead}: {text}"
    return lead


def named(case: Case, id_: str) -> str:
    """A met criterion in a summary, with the date of its newest evidence, or of the onset where that is the point."""
    begun = onset(case) if id_ in SINCE_ONSET else None
    if begun is not None:
        return f"{short(id_)}{bracketed(begun.evidence, case.at.year, 'onset ')}"
    if id_ in TIMELESS:
        return short(id_)
    return f"{short(id_)}{bracketed(case.answers[id_].evidence[0], case.at.year)}"


def most_telling(ids: Iterable[str], order: Sequence[str]) -> list[str]:
    """Those that `order` names first, in its order; then the others as they come."""
    rank = {id_: place for place, id_ in enumerate(order)}
    return sorted(ids, key=lambda id_: rank.get(id_, len(rank)))


# --- what is not known ----------------------------------------------------------------------------------------


def open_criteria(case: Case) -> list[str]:
    """Ids of the emergency and red-flag criteria that the record leaves open and somebody could answer."""
    return [id_ for id_ in _asked(case.hidden) if case.answers[id_].status is UNKNOWN]


@lru_cache(maxsize=64)
def _asked(hidden: frozenset[str]) -> tuple[str, ...]:
    asked = in_group(Group.EMERGENCY, Group.RED_FLAG)
    return tuple(entry.id for entry in asked if entry.id not in hidden | NOT_ASKED)


def switched_off(case: Case, *groups: Group) -> str:
    """What is switched off of these groups, as a sentence; "" when nothing is."""
    if not case.switched_off:
        return ""
    names = ", ".join(short(entry.id) for entry in in_group(*groups) if entry.id in case.switched_off)
    return f"Switched off at this site, not assessed: {names}." if names else ""
