"""Which orders an answer suggests, each once (catalogue, sections 6 and 8)."""

from collections.abc import Sequence
from typing import NamedTuple

from cds.already_ordered import Found, already, already_urgent
from cds.case import Case
from cds.markdown import recorded_date
from cds.outline import ROUTINE, Outline, Wish
from cds.triage import EMERGENCY, Section
from cds.wording import capitalized

NAMES = {
    "mri-lumbar": "MRI of the lumbar spine",
    "mri-whole-spine": "MRI of the whole spine",
    "esr": "ESR",
    "crp": "CRP",
    "blood-count": "blood count",
    "spine-surgeon-referral": "referral to a spine surgeon",
    "spine-review": "specialist spine review",
    "emergency-department-referral": "referral to the emergency department",
}
_COVERING = {"mri-whole-spine": NAMES["mri-whole-spine"]}
"""Concepts that make a suggestion of another kind needless are named themselves."""


SPOKEN_WITH_A_VOWEL = ("MRI", "ESR", "urgent")


class Offer(NamedTuple):
    """A wish and what became of it: `found` when the record holds it already."""

    wish: Wish
    found: Found | None

    @property
    def label(self) -> str:
        kind, priority, purpose = self.wish
        urgency = "" if priority == ROUTINE else f", {priority}"
        return f"{capitalized(NAMES[kind])}{urgency}{f' ({purpose})' if purpose else ''}"

    @property
    def option(self) -> str:
        """As a line of the card."""
        kind, priority, purpose = self.wish
        if self.found is None:
            name = NAMES[kind] if priority == ROUTINE else f"{priority} {NAMES[kind]}"
            return f"Consider {with_article(name)}{f' for a {purpose}' if purpose else ''}."
        name = _COVERING.get(self.found.concept, NAMES[kind])
        return f"{capitalized(name)}: {fate(self.found)}."


def offers(case: Case, cards: Sequence[tuple[Section, Outline]]) -> list[list[Offer]]:
    """Each card's offers: each kind open once, on the first card; no lumbar MRI beside one of the whole spine."""
    judged = [[_judged(case, section, outline, wish) for wish in outline.wishes] for section, outline in cards]
    open_kinds = {offer.wish.kind for offers_ in judged for offer in offers_ if offer.found is None}
    taken = {"mri-lumbar"} if "mri-whole-spine" in open_kinds else set()
    return [[offer for offer in offers_ if _is_first(offer, taken)] for offers_ in judged]


def _judged(case: Case, section: Section, outline: Outline, wish: Wish) -> Offer:
    if section.group == EMERGENCY:
        return Offer(wish, already_urgent(case, wish.kind, outline.since))
    return Offer(wish, already(case, wish.kind))


def _is_first(offer: Offer, taken: set[str]) -> bool:
    """What is already ordered is said wherever it matters, but not beside the same suggestion on an earlier card."""
    kind = offer.wish.kind
    if kind in taken:
        return False
    if offer.found is None:
        taken.add(kind)
    return True


def fate(found: Found) -> str:
    """What became of an order: "done on 2026-11-02", "already ordered on 2026-11-02 for 2026-12-01"."""
    placed = f" on {recorded_date(found.date)}" if found.date else ""
    planned = f" for {recorded_date(found.planned)}" if found.planned else ""
    return f"{'done' if found.done else 'already ordered'}{placed}{planned}"


def with_article(name: str) -> str:
    return f"{'an' if name.startswith(SPOKEN_WITH_A_VOWEL) else 'a'} {name}"
