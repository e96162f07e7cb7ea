"""What is already ordered or done, so that nothing is suggested twice (catalogue, section 8)."""

from collections.abc import Iterator
from typing import NamedTuple

from cds.case import Case
from cds.facts import Order, When
from cds.wording import latest_day

STANDS = frozenset(("active", "draft", "on-hold"))

COVERED_BY = {
    "mri-lumbar": ("mri-lumbar", "mri-whole-spine"),
    "mri-whole-spine": ("mri-whole-spine",),
    "esr": ("esr-order",),
    "crp": ("crp-order",),
    "blood-count": ("blood-count-order",),
    "spine-surgeon-referral": ("spine-surgeon-referral",),
    "spine-review": ("spine-surgeon-referral",),
    "emergency-department-referral": ("emergency-referral",),
}
"""Kind of a suggestion -> concepts that make it needless; an MRI of the whole spine shows the lumbar region."""


class Found(NamedTuple):
    """What makes a suggestion needless: which concept, whether done or only ordered, and its recorded date.

    date: when it was done or ordered, "" where only a day to come is recorded; planned: for which later day.
    """

    day: int
    done: bool
    concept: str
    date: str
    planned: str = ""


def already(case: Case, kind: str) -> Found | None:
    """The newest order or result within the site's memory. An undated one cannot be told from an old one."""
    return max(_known(case, kind), default=None)


def already_urgent(case: Case, kind: str, since: int | None) -> Found | None:
    """As `already`, for an emergency: urgent orders, and results, surely dated on or after its first day.

    since: that day (ordinal); None: not known, so that nothing can be shown to have come after it.
    """
    return None if since is None else max(_known(case, kind, urgent=True, since=since), default=None)


def _known(case: Case, kind: str, urgent: bool = False, since: int = 0) -> Iterator[Found]:
    for concept in COVERED_BY[kind]:
        for order, when in _ordered(case, concept, urgent):
            if case.today - when.last <= case.limits.order_memory_days and when.first >= since:
                yield Found(when.last, False, concept, *_dates(case, order, when))
        for when in _done(case, concept):
            if case.today - when.last <= case.limits.done_memory_days and when.first >= since:
                yield Found(when.last, True, concept, when.text)


def _ordered(case: Case, concept: str, urgent: bool) -> Iterator[tuple[Order, When]]:
    """Standing orders, drafts too, with their date (rule 4); a referral for something else than the back is none."""
    for order in case.chart.orders.get(concept, ()):
        counts = order.status in STANDS and order.about_back and (order.urgent or not urgent)
        if counts and order.begun is not None:
            yield order, order.begun


def _dates(case: Case, order: Order, begun: When) -> tuple[str, str]:
    """When it was ordered and for which later day; nothing was ordered on a day to come."""
    if order.placed is not None:
        return order.placed.text, begun.text if begun.text > order.placed.text else ""
    is_to_come = (latest_day(begun.text) or 0) > case.today
    return ("", begun.text) if is_to_come else (begun.text, "")


def _done(case: Case, concept: str) -> Iterator[When]:
    """Procedures that are completed, results that are final, images that are there."""
    for treatment in case.chart.treatments.get(concept, ()):
        when = treatment.end or treatment.start
        if treatment.completed and when is not None:
            yield when
    for report in case.chart.reports.get(concept, ()):
        if report.done and report.when is not None:
            yield report.when
