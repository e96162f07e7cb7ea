"""The red-flag card (catalogue, section 6, red-flag)."""

from cds.answers import Answer, any_of
from cds.back_problem import since_at_least
from cds.case import Case
from cds.criteria.red_flag import fever_or_infection, night_pain, spinal_neoplasm
from cds.findings import telling
from cds.outline import ROUTINE, URGENT, Outline, Wish
from cds.signs import neurological_sign
from cds.triage import Section
from cds.wording import counted, listed, most_telling, short, summarized

TELLING = (
    "spinal-neoplasm",
    "spinal-infection",
    "child-spinal-infection",
    "cancer-history",
    "fever-or-infection",
    "unexplained-weight-loss",
    "iv-drug-use",
    "immunosuppression",
    "severe-radicular-pain",
    "gait-disturbance",
    "fracture-risk",
    "night-pain",
    "raised-inflammatory-markers",
    "child-back-pain",
)
CHILD = frozenset(("child-back-pain", "child-spinal-infection"))
BLOOD_TESTS_FOR = CHILD | {
    "cancer-history",
    "spinal-neoplasm",
    "fever-or-infection",
    "spinal-infection",
    "immunosuppression",
    "iv-drug-use",
}
SOON = frozenset(("spinal-neoplasm", "spinal-infection", "child-spinal-infection"))
"""Flags for which an MRI is suggested as urgent (our choice; the catalogue names no priority)."""
LOW_DEFENSE = ("immunosuppression", "iv-drug-use")
"""Beside fever or infection these raise the thought of an epidural abscess, which cannot wait either."""
ALONE = ("child-back-pain",)


def outline(case: Case, section: Section) -> Outline:
    ids = section.criteria
    weak = section.indicator == "info"
    lead = f"Back pain with {counted(len(ids), 'weak red flag' if weak else 'red flag')}"
    return Outline(
        summary=summarized(lead, telling(case, most_telling(ids, TELLING))),
        notes=tuple(_notes(case, ids, weak)),
        wishes=tuple(wishes(case, ids)),
    )


def wishes(case: Case, ids: tuple[str, ...]) -> list[Wish]:
    """An MRI, and blood tests where they may tell more; for a child's age alone only with something beside it."""
    if ids == ALONE and not reasons_beside_age(case):
        return []
    priority = URGENT if perhaps_abscess(ids) or not SOON.isdisjoint(ids) else ROUTINE
    whole = any_of(spinal_neoplasm(case), case.diagnosis("malignancy-active")).met
    imaging = Wish("mri-whole-spine" if whole else "mri-lumbar", priority)
    tests = ("esr", "crp", "blood-count") if not BLOOD_TESTS_FOR.isdisjoint(ids) else ()
    return [imaging, *(Wish(kind) for kind in tests)]


def reasons_beside_age(case: Case) -> list[str]:
    """What makes tests worthwhile for a child with back pain and no other flag, of what is on record."""
    return [words for words, answer in _tested_for(case) if answer.met]


def _tested_for(case: Case) -> list[tuple[str, Answer]]:
    """All that would; a criterion that is hidden is none."""
    days = case.limits.persistent_pain_days
    reasons = (
        ("", f"pain for more than {days} days", since_at_least(case, days + 1)),
        ("night-pain", "pain at night", night_pain(case)),
        ("fever-or-infection", "fever or signs of infection", fever_or_infection(case)),
        ("", "a neurological sign", neurological_sign(case)),
    )
    return [(words, answer) for id_, words, answer in reasons if id_ not in case.hidden]


def perhaps_abscess(ids: tuple[str, ...]) -> list[str]:
    """What makes an epidural abscess likelier, beside fever or infection."""
    return [id_ for id_ in LOW_DEFENSE if id_ in ids] if "fever-or-infection" in ids else []


def _notes(case: Case, ids: tuple[str, ...], weak: bool) -> list[str]:
    notes = ["A single red flag raises suspicion only a little; flags count together, and with the examination."]
    if weak:
        notes.append("What was found is weak on its own.")
    low_defense = perhaps_abscess(ids)
    if low_defense:
        notes.append(
            f"Fever or infection beside {listed([short(id_) for id_ in low_defense])}: an epidural abscess deserves "
            "a thought."
        )
    if not CHILD.isdisjoint(ids):
        notes.append(
            "Below adult age infection, tumor and inflammatory disease deserve thought before strain is assumed."
        )
    if ids == ALONE:
        notes.append(_why_for_a_child(case))
    return notes


def _why_for_a_child(case: Case) -> str:
    reasons = reasons_beside_age(case)
    if reasons:
        return f"Tests are suggested because the record also shows {', '.join(reasons)}."
    awaited = ", ".join(words for words, _ in _tested_for(case))
    return f"No test is suggested on age alone. Reasons would be {awaited}; the data at hand do not tell of any."
