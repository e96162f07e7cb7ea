"""One card for each draft order that deserves a second look (catalogue, section 6, order-safety)."""

from typing import NamedTuple

from cds.back_problem import onset
from cds.card import OrderChange
from cds.card_emergency import TELLING
from cds.case import Case
from cds.catalogue import Group, met_in
from cds.facts import DraftOrder
from cds.findings import telling
from cds.markdown import recorded_date
from cds.outline import Outline
from cds.triage import Section
from cds.wording import capitalized, listed, most_telling, summarized

ORDER_NAMES = {
    "mri-whole-spine": "MRI of the whole spine",
    "mri-lumbar": "MRI of the lumbar spine",
    "ct-lumbar": "CT of the lumbar spine",
    "xray-lumbar": "X-ray of the lumbar spine",
    "spinal-fusion": "spinal fusion",
    "spinal-surgery": "spinal surgery",
    "epidural-injection": "epidural injection",
    "spinal-traction": "spinal traction",
    "physical-therapy": "physical therapy",
    "spine-surgeon-referral": "referral to a spine surgeon",
}
"""What an order is called in our words, the more exact concept first."""
RADIATION = frozenset(("xray-lumbar", "ct-lumbar"))
MAY_BE_UPDATED = frozenset(("emergency-outstanding", "fusion-without-instability"))
DAYS_PER_WEEK, DAYS_PER_MONTH = 7, 30


class Text(NamedTuple):
    """What a criterion says of an order: the summary's lead, why, and what may be considered.

    Its fields are those of `_figures`.
    """

    lead: str
    why: str
    option: str


TEXTS = {
    "emergency-outstanding": Text(
        "{orders}: routine, and an emergency not settled",
        "An emergency sign is on record and nothing shows that it was settled; a routine order may be too late for it.",
        "Consider priority stat, and a same-day referral to the emergency department.",
    ),
    "traction-caution": Text(
        "Caution with {orders}",
        "Traction may not suit a spine that cancer, infection, bone loss or a fracture can have weakened.",
        "Consider another treatment, or a specialist's view before traction.",
    ),
    "surgery-for-isolated-spasm": Text(
        "{orders}: only a back spasm is on record",
        "A back spasm on its own is not a surgical problem, and no other cause was found in what was recorded.",
        "Consider conservative care first.",
    ),
    "surgery-before-conservative": Text(
        "{orders}: conservative treatment was short or not tried",
        "The sources speak of {months} to {full_months} months of conservative treatment before surgery; the record "
        "shows less than {months}, and nothing alarming was found in it.",
        "Consider a full course of conservative treatment first, unless something speaks for haste.",
    ),
    "fusion-without-instability": Text(
        "{orders}: stenosis, and no instability found on record",
        "Nothing that calls for stabilization was found in what was recorded. For stenosis, decompression alone "
        "relieved symptoms about as well as decompression with fusion, and keeps the joint mobile.",
        "Consider decompression alone.",
    ),
    "imaging-without-red-flag": Text(
        "{orders}: early, and nothing alarming found on record",
        "The back pain began less than {weeks} weeks ago ({onset}), and nothing alarming was found in what was "
        "recorded. Imaging this early seldom changes the treatment.",
        "Consider imaging later if the pain lasts, or as soon as a red flag appears.",
    ),
}

TRACTION_CAUSES = (
    ("tumor or metastasis of the spine", ("spinal-neoplasm", "metastasis-bone")),
    ("active cancer", ("malignancy-active",)),
    ("infection of the spine", ("infection-spinal",)),
    ("active infection", ("infection-active-systemic",)),
    ("vertebral fracture", ("vertebral-fracture",)),
    ("compression of the spinal cord", ("cord-compression-myelopathy",)),
)
"""What speaks against traction in our words; osteoporosis counts in any clinical status."""
BEYOND_TRACTION = frozenset(("vertebral fracture", "compression of the spinal cord"))


def outline(case: Case, section: Section) -> Outline:
    (id_,) = section.criteria
    drafts, text = concerning(case, id_), TEXTS[id_]
    figures = _figures(case, drafts)
    return Outline(
        summary=summarized(capitalized(text.lead.format(**figures)), _items(case, id_)),
        notes=(f"About: {figures['all_orders']}.", text.why.format(**figures), *_notes(case, id_, drafts)),
        options=(text.option,),
        changes=tuple(_changes(id_, drafts)),
        orders=tuple(drafts),
    )


def concerning(case: Case, id_: str) -> list[DraftOrder]:
    """The draft orders that a met criterion is about: those among its evidence."""
    evidence = set(case.answers[id_].evidence)
    return [draft for draft in case.chart.drafts if draft.evidence in evidence]


def order_name(draft: DraftOrder) -> str:
    return next((name for concept, name in ORDER_NAMES.items() if concept in draft.concepts), "order")


def traction_causes(case: Case) -> list[str]:
    found = [words for words, concepts in TRACTION_CAUSES if case.diagnosis(*concepts).met]
    return [*found, *(("osteoporosis",) if case.ever_diagnosed("osteoporosis").met else ())]


def emergencies(case: Case) -> list[str]:
    """Ids of the emergency criteria that are met, most telling first."""
    return most_telling(met_in(case, Group.EMERGENCY), TELLING)


def _figures(case: Case, drafts: list[DraftOrder]) -> dict[str, str | int]:
    """What the texts may name. Not more than one order in a summary, or it grows too long."""
    limits, begun = case.limits, onset(case)
    names = list(dict.fromkeys(map(order_name, drafts)))
    more = [f"{len(names) - 1} more"] if len(names) > 1 else []
    return {
        "orders": listed([*names[:1], *more]),
        "all_orders": listed(names),
        "months": limits.conservative_min_days // DAYS_PER_MONTH,
        "full_months": limits.conservative_full_days // DAYS_PER_MONTH,
        "weeks": limits.early_imaging_days // DAYS_PER_WEEK,
        "onset": recorded_date(begun.when.text) if begun else "",
    }


def _items(case: Case, id_: str) -> list[str]:
    if id_ == "emergency-outstanding":
        return telling(case, emergencies(case))
    return traction_causes(case) if id_ == "traction-caution" else []


def _notes(case: Case, id_: str, drafts: list[DraftOrder]) -> list[str]:
    if id_ == "traction-caution" and not BEYOND_TRACTION.isdisjoint(traction_causes(case)):
        return ["Caution for a fracture or for cord compression goes beyond the source named below."]
    exposed = any(not RADIATION.isdisjoint(draft.concepts) for draft in drafts)
    if id_ == "imaging-without-red-flag" and exposed and case.diagnosis("pregnancy").met:
        return ["A pregnancy is on record: X-ray and CT expose the unborn child to radiation."]
    return []


def _changes(id_: str, drafts: list[DraftOrder]) -> list[OrderChange]:
    """What the clinician may do with one click; nothing to an order without an id."""
    known = [draft for draft in drafts if draft.id]
    updates = [
        OrderChange("update", f"Change to priority stat: {order_name(draft)}", draft)
        for draft in known
        if id_ in MAY_BE_UPDATED and not draft.urgent
    ]
    return [*updates, *(OrderChange("delete", f"Remove the draft: {order_name(draft)}", draft) for draft in known)]
