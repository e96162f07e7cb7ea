"""A card before the answer as a whole is known: what its group has to say and which orders it would suggest."""

from typing import NamedTuple

from cds.card import OrderChange
from cds.catalogue import Source
from cds.facts import DraftOrder

ROUTINE, URGENT, STAT = "routine", "urgent", "stat"


class Wish(NamedTuple):
    """An order that a card would suggest, unless another card does or the record holds it already.

    purpose: what it is for, where the card's other words do not say so.
    """

    kind: str
    priority: str = ROUTINE
    purpose: str = ""


class Outline(NamedTuple):
    """The part of a card that its group decides.

    notes: paragraphs of Markdown on what was found; urges, options: what may be considered before and after the
    wishes; since: for an emergency, the day from which an order counts (`already_urgent`); sources: beyond those of
    the criteria shown.
    """

    summary: str
    notes: tuple[str, ...] = ()
    urges: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    wishes: tuple[Wish, ...] = ()
    since: int | None = None
    sources: tuple[Source, ...] = ()
    changes: tuple[OrderChange, ...] = ()
    orders: tuple[DraftOrder, ...] = ()
    switched_off: tuple[str, ...] = ()
    asks: bool = False
