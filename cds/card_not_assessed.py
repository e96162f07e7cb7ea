"""The card that says what could not be assessed (catalogue, section 6, not-assessed)."""

from cds.answers import UNKNOWN
from cds.back_problem import back_problem
from cds.case import SEARCH_WORDS, SUPPLEMENTARY, Case
from cds.catalogue import CRITERIA, Group, in_group
from cds.markdown import bullets
from cds.outline import Outline
from cds.triage import Section
from cds.wording import capitalized, counted, listed, short, switched_off

OF_A_CHART = tuple(group for group in Group if group is not Group.ORDER_SAFETY)
KINDS = {Group.EMERGENCY: "Emergency signs", Group.RED_FLAG: "Red flags"}


def outline(case: Case, section: Section) -> Outline:
    return Outline(
        summary=_summary(case, section.criteria),
        notes=tuple(filter(None, _notes(case, section.criteria))),
        asks=True,
        switched_off=tuple(entry.id for entry in in_group(*OF_A_CHART) if entry.id in case.switched_off),
    )


def _notes(case: Case, ids: tuple[str, ...]) -> tuple[str, ...]:
    return _missing(case), _open(ids), WHY if ids else "", switched_off(case, *OF_A_CHART)


WHY = "Open is neither a yes nor a no: the data at hand do not settle it. Asking or examining the patient may."


def not_available(case: Case) -> str:
    """The data that could not be had, in words: "conditions and observations".

    Nothing when only such data are missing as no criterion asks for.
    """
    if case.chart.missing <= SUPPLEMENTARY:
        return ""
    return listed([SEARCH_WORDS.get(name, name) for name in sorted(case.chart.missing)])


def _summary(case: Case, ids: tuple[str, ...]) -> str:
    if back_problem(case).status is UNKNOWN:
        return "Back pain could not be checked: conditions were not available"
    if not ids:
        return "Some data for back pain could not be had"
    missing = "; some data could not be had" if not_available(case) else ""
    return f"Back pain: {counted(len(ids), 'emergency or red-flag question')} not answered in the record{missing}"


def _missing(case: Case) -> str:
    names = not_available(case)
    if not names:
        return ""
    said = f"Could not be had: {names}. What they hold is not part of this answer."
    return f"Back pain could not be checked. {said}" if back_problem(case).status is UNKNOWN else said


def _open(ids: tuple[str, ...]) -> str:
    names = {kind: [short(id_) for id_ in ids if CRITERIA[id_].group is group] for group, kind in KINDS.items()}
    return bullets(f"**{kind}**: {capitalized(', '.join(open_))}." for kind, open_ in names.items() if open_)
