"""Orders: those already placed, and the drafts of an order hook (catalogue, section 2 rule 2; section 8)."""

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from cds.back_problem import BACK_SETS, GENERAL_FINDINGS
from cds.concepts import BOOLEAN_FINDINGS, NUMERIC_FINDINGS
from cds.facts import DraftOrder, Order
from fhir_profiles import resources as fhir
from fhir_profiles.codes import ENTERED_IN_ERROR
from fhir_profiles.dates import BadDate, Dated
from fhir_profiles.reader import ONLY_IDEAS, Reader, evidence, newer, when_of
from fhir_profiles.record import UNREADABLE, UNTRUSTED, Gathered, Record

URGENT = frozenset({"urgent", "asap", "stat"})
SPINE_REFERRAL = "spine-surgeon-referral"
_WITHDRAWN = frozenset({ENTERED_IN_ERROR, "revoked"})

_drafts = msgspec.json.Decoder(fhir.DraftBundle | None)
_type = msgspec.json.Decoder(fhir.TypeOnly)
_order = msgspec.json.Decoder(fhir.ServiceRequest)
_whole = msgspec.json.Decoder(dict[str, Any])

# Section 8: reasons that make a referral to orthopedics or neurosurgery one for the back. The sets of section 3,
# scoliosis, degenerative-spine, and the findings of section 4 but those that section 3 calls general and those
# about the child or the treatment rather than the back or the legs; foot drop is leg weakness by another name.
_BACK_DIAGNOSES = (*BACK_SETS, "scoliosis", "degenerative-spine", "foot-drop-leg-paresis")
_NOT_OF_THE_BACK = GENERAL_FINDINGS | {
    "irritability",
    "conservative-treatment-tried",
    "conservative-treatment-weeks",
    "significant-relief",
    "pain-score",
}
BACK_CONCEPTS = frozenset((*_BACK_DIAGNOSES, *BOOLEAN_FINDINGS, *NUMERIC_FINDINGS)) - _NOT_OF_THE_BACK


def read_order(reader: Reader, order: fhir.ServiceRequest, full_url: str | None) -> None:
    code = reader.code(order.code)
    concepts = code.concepts
    if not concepts or order.intent in ONLY_IDEAS or not is_order(reader, order):
        return
    placed, (begin, end) = reader.calendar.read(order.authoredOn), _occurrence(reader, order)
    fact = evidence(
        order, full_url, reader.display(code, min(concepts)), placed or begin, latest=newer(end or begin, placed)
    )
    read = Order(
        concepts=concepts,
        status=order.status or "",
        urgent=order.priority in URGENT,
        placed=when_of(placed),
        begun=when_of(begin or placed),
        has_occurrence=begin is not None and begin.earliest <= reader.calendar.at,
        about_back=is_about_back(reader, order, concepts),
        evidence=fact,
    )
    for concept in concepts:
        reader.note(reader.orders, concept, read)


def is_order(reader: Reader, order: fhir.ServiceRequest) -> bool:
    """Not withdrawn, not a wish that something be left undone, and not from the future. Raises BadDate."""
    if order.status in _WITHDRAWN or order.doNotPerform:
        return False
    return not reader.calendar.is_future(reader.calendar.read(order.authoredOn))


def is_about_back(reader: Reader, order: fhir.ServiceRequest, concepts: frozenset[str]) -> bool:
    """False for a referral whose stated (coded or referenced) reasons hold no back concept (section 8)."""
    if SPINE_REFERRAL not in concepts:
        return True
    referenced = [reader.referenced_code(each, order.contained) for each in order.reasonReference or ()]
    stated = [code for code in (*reader.codes(order.reasonCode), *referenced) if code.coding]
    return not stated or any(not BACK_CONCEPTS.isdisjoint(code.concepts) for code in stated)


def _occurrence(reader: Reader, order: fhir.ServiceRequest) -> tuple[Dated | None, Dated | None]:
    """Beginning and end of when it is to happen; of a timing, its bounds or its first and last event."""
    instant = reader.calendar.read(order.occurrenceDateTime)
    if instant is not None:
        return instant, instant
    timing = order.occurrenceTiming
    if timing is None:
        return reader.period(order.occurrencePeriod)
    events = [dated for event in timing.event or () if (dated := reader.calendar.read(event)) is not None]
    if events:
        return min(events), max(events, key=lambda dated: dated.latest)
    return reader.period(timing.repeat.boundsPeriod if timing.repeat else None)


def read_drafts(reader: Reader, gathered: Gathered, record: Record) -> Iterator[DraftOrder]:
    """The draft ServiceRequests that the order hook is about and whose code means something."""
    if gathered.drafts is None:
        return
    try:
        bundle = _drafts.decode(gathered.drafts)
    except UNREADABLE:
        record.skip(fhir.ServiceRequest())
        return
    for entry in (bundle.entry if bundle else None) or ():
        try:
            if _type.decode(entry.resource).resourceType != "ServiceRequest":
                continue
            draft = _draft(reader, entry, gathered.selections)
        except UNTRUSTED:
            record.skip(fhir.ServiceRequest())
        else:
            if draft is not None:
                yield draft


def _draft(reader: Reader, entry: fhir.DraftEntry, selections: Sequence[str] | None) -> DraftOrder | None:
    """Raises BadDate, or one of UNREADABLE, for one that cannot be read.

    Its intent may be a proposal or a plan: that is what it is about to leave.
    """
    order = _order.decode(entry.resource)
    code = reader.code(order.code)
    concepts = code.concepts
    if not concepts or not _is_selected(reader, order, entry.fullUrl, selections):
        return None
    if not reader.whose.is_ours(order.subject):
        reader.foreign += 1
        return None
    if order.modifierExtension:
        raise BadDate
    if not is_order(reader, order):
        return None
    placed, label = reader.calendar.read(order.authoredOn), reader.display(code, min(concepts))
    return DraftOrder(
        concepts=concepts,
        urgent=order.priority in URGENT,
        about_back=is_about_back(reader, order, concepts),
        id=order.id or "",
        resource=_whole.decode(entry.resource),
        evidence=evidence(order, entry.fullUrl, label, placed),
    )


def _is_selected(
    reader: Reader, order: fhir.ServiceRequest, full_url: str | None, selections: Sequence[str] | None
) -> bool:
    if selections is None:
        return True
    if full_url and full_url in selections:
        return True
    names = {f"ServiceRequest/{order.id}", f"urn:uuid:{order.id}", order.id} if order.id else set()
    return any(reader.whose.relative(selection) in names for selection in selections)
