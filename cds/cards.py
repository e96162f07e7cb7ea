"""From an evaluation to cards: which appear is `cds.triage`'s, what they say and offer is told here.

Text is our own; what the chart says stands in the detail only, escaped. A card informs and offers, it never orders.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache

from cds import (
    card_emergency,
    card_information,
    card_not_assessed,
    card_order_safety,
    card_red_flag,
    card_surgical,
)
from cds.card import Card, Suggestion
from cds.case import Case
from cds.catalogue import CRITERIA, SOURCE_TITLES, Group, Source
from cds.evaluation import Evaluation
from cds.facts import Evidence
from cds.markdown import bullets, escaped, headed, paragraphs, recorded_date
from cds.offers import Offer, offers
from cds.outline import Outline
from cds.triage import (
    EMERGENCY,
    INFORMATION,
    NOT_ASSESSED,
    ORDER_SAFETY,
    RED_FLAG,
    SURGICAL_REFERRAL,
    Section,
    triage,
)
from cds.wording import counted, open_criteria, short, switched_off

OUTLINES = {
    EMERGENCY: card_emergency.outline,
    RED_FLAG: card_red_flag.outline,
    SURGICAL_REFERRAL: card_surgical.outline,
    INFORMATION: card_information.outline,
    NOT_ASSESSED: card_not_assessed.outline,
    ORDER_SAFETY: card_order_safety.outline,
}
EVIDENCE_SHOWN = 5
RESTS_ON_ABSENCE = frozenset(
    ("isolated-spasm", "surgery-for-isolated-spasm", "surgery-before-conservative", "imaging-without-red-flag")
)
"""Met because nothing alarming is; what nobody recorded does not block, so the card names it (rule 11)."""
BEYOND = frozenset((Source.ACP_2007, Source.ACP_2017, Source.ACR_LOW_BACK, Source.NICE_NG234))
TENTATIVE = ("(provisional)", "(differential)", "(unconfirmed)")


def cards(evaluation: Evaluation, hook: str, without: frozenset[str] = frozenset()) -> list[Card]:
    """The cards of a hook call, most urgent first; hidden criteria are not shown. without: groups to leave out."""
    case = evaluation.case
    sections = [section for section in triage(case, hook) if section.group not in without]
    outlined = [(section, OUTLINES[section.group](case, section)) for section in sections]
    unknown = open_criteria(case) if outlined else []
    listed = any(section.group == NOT_ASSESSED for section, _ in outlined)
    return [
        _card(case, section, outline, offered, _open(section, unknown, listed))
        for (section, outline), offered in zip(outlined, offers(case, outlined), strict=True)
    ]


def _card(case: Case, section: Section, outline: Outline, offered: list[Offer], open_: str) -> Card:
    evidence = {id_: case.answers[id_].evidence for id_ in section.criteria if case.answers[id_].met}
    reasons = tuple(dict.fromkeys(fact for facts in evidence.values() for fact in facts))
    options = [*outline.urges, *(offer.option for offer in offered), *outline.options]
    return Card(
        group=section.group,
        indicator=section.indicator,
        summary=outline.summary,
        detail=paragraphs(
            headed("What was found", _found(evidence)),
            *outline.notes,
            headed("Options", bullets(options)),
            open_,
            _switched_off(case, section),
            _caveats(case, section, reasons),
            basis(section.criteria, outline.sources),
        ),
        criteria=section.criteria,
        suggestions=tuple(_suggestion(offer, reasons) for offer in offered if offer.found is None),
        changes=outline.changes,
        asks=outline.asks,
        orders=outline.orders,
        switched_off=outline.switched_off,
    )


def _suggestion(offer: Offer, reasons: tuple[Evidence, ...]) -> Suggestion:
    return Suggestion(offer.wish.kind, offer.label, offer.wish.priority, reasons)


def _found(evidence: Mapping[str, tuple[Evidence, ...]]) -> str:
    """A line for each criterion that is met, with its newest evidence."""
    return bullets(f"**{CRITERIA[id_].title}**: {_shown(facts)}" for id_, facts in evidence.items())


def _shown(facts: tuple[Evidence, ...]) -> str:
    stated = [_stated(fact) for fact in facts[:EVIDENCE_SHOWN]]
    more = len(facts) - len(stated)
    return "; ".join((*stated, f"and {more} more") if more else stated)


def _stated(fact: Evidence) -> str:
    """As a reason states it, but escaped."""
    display = escaped(fact.display)
    return f"{display} {fact.relation} {recorded_date(fact.date)}" if fact.date else display


def _open(section: Section, unknown: Sequence[str], listed: bool) -> str:
    """What the record leaves open: how much, and on a card that rests on its absence also what."""
    if not unknown or section.group == NOT_ASSESSED:
        return ""
    count = f"{counted(len(unknown), 'emergency or red-flag question')} not answered in the record"
    if listed:
        return f"{count}: see the last card."
    if RESTS_ON_ABSENCE.isdisjoint(section.criteria):
        return "" if section.group == ORDER_SAFETY else f"{count}."
    return f"{count}: {', '.join(map(short, unknown))}."


def _switched_off(case: Case, section: Section) -> str:
    """What a reader could take for looked for: emergencies, and red flags where the card rests on their absence.

    The card of what was not assessed has a list of its own.
    """
    if not RESTS_ON_ABSENCE.isdisjoint(section.criteria):
        return switched_off(case, Group.EMERGENCY, Group.RED_FLAG)
    return "" if section.group in (NOT_ASSESSED, ORDER_SAFETY) else switched_off(case, Group.EMERGENCY)


def _caveats(case: Case, section: Section, reasons: tuple[Evidence, ...]) -> str:
    """Limits of the data that a reader would want to know."""
    skipped, caveats = sum(case.chart.unreadable.values()), []
    if any(fact.display.endswith(TENTATIVE) for fact in reasons):
        caveats.append("Some of this is marked in the record as not confirmed.")
    if skipped:
        caveats.append(f"{counted(skipped, 'resource')} of the record could not be read.")
    not_available = card_not_assessed.not_available(case)
    if not_available and section.group == ORDER_SAFETY:
        caveats.append(f"Could not be had: {not_available}.")
    return " ".join(caveats)


@lru_cache(maxsize=1024)
def basis(ids: tuple[str, ...], others: tuple[Source, ...]) -> str:
    """What the text rests on: the source documents, and apart from them the guidelines that go beyond."""
    used = {*others, *(source for id_ in ids for source in CRITERIA[id_].sources)}
    documents = "; ".join(SOURCE_TITLES[source] for source in Source if source in used - BEYOND)
    guidelines = "; ".join(SOURCE_TITLES[source] for source in Source if source in used & BEYOND)
    named = [documents, f"beyond the source documents: {guidelines}" if guidelines else ""]
    return f"**Basis**: {'; '.join(filter(None, named))}." if used else ""
