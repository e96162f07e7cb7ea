"""A card as the medicine sees it: who it is for on the wire is `hooks`' business (catalogue, section 6)."""

from typing import NamedTuple

from cds.facts import DraftOrder, Evidence


class Suggestion(NamedTuple):
    """An order that a clinician may accept.

    kind: "mri-lumbar", "mri-whole-spine", "esr", "crp", "blood-count", "spine-surgeon-referral",
    "spine-review" or "emergency-department-referral"; priority: "routine", "urgent" or "stat".
    """

    kind: str
    label: str
    priority: str
    reasons: tuple[Evidence, ...]


class OrderChange(NamedTuple):
    """What may be done to a draft order: "delete" it, or "update" its priority to stat."""

    action: str
    label: str
    order: DraftOrder


class Card(NamedTuple):
    """One advisory card.

    group: of section 1; criteria: ids of the criteria it shows, in catalogue order; summary: plain text, fewer
    than 140 characters; detail: GitHub Markdown with chart text escaped; orders: the draft orders it is about;
    switched_off: ids of the criteria that it lists as not assessed because the site switched them off.
    """

    group: str
    indicator: str  # "info", "warning" or "critical"
    summary: str
    detail: str
    criteria: tuple[str, ...]
    suggestions: tuple[Suggestion, ...] = ()
    changes: tuple[OrderChange, ...] = ()
    asks: bool = False  # links to the intake form when the site has one
    orders: tuple[DraftOrder, ...] = ()
    switched_off: tuple[str, ...] = ()
