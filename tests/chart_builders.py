"""Short ways to state the facts of a chart for a test, without any FHIR.

    case(active("back-pain", days_ago=14), says("night-pain", days_ago=1), measures("pain-score", 8, days_ago=3))

Every builder returns a fact that `chart` puts where it belongs. Dates count back from AT; `days_ago=None` is
undated, `when="2026-03"` a partial date, as it would be recorded. Several concepts make one fact of all of them.
"""

from calendar import monthrange
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple

from cds.case import Case
from cds.evaluation import Evaluation, evaluate
from cds.facts import (
    Chart,
    Diagnosis,
    DraftOrder,
    Evidence,
    Form,
    Measurement,
    Medicine,
    Order,
    Patient,
    Report,
    Statement,
    Treatment,
    Visit,
    When,
)
from cds.limits import Limits

AT = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
TODAY = AT.toordinal()
YES, NO = True, False
BORN = "1976-08-12"
NOT_NEW = frozenset({"nsaid", "muscle-relaxant", "analgesic", "pain-score"})
_EPOCH = date(1970, 1, 1).toordinal()
_INDEXES = ("diagnoses", "statements", "measurements", "medicines", "treatments", "orders", "reports", "allergies")


class Stated(NamedTuple):
    """A fact, and the field of Chart (for an index, the concepts) under which it belongs."""

    field: str
    concepts: tuple[str, ...]
    fact: Any


# --- the chart ------------------------------------------------------------------------------------------------


def chart(
    *facts: Stated,
    missing: Iterable[str] = (),
    born: str | None = BORN,
    sex: str = "female",
    deceased: bool = False,
    unreadable: dict[str, int] | None = None,
) -> Chart:
    """A chart of these facts; `missing` are the FHIR types whose search could not be had."""
    indexes: dict[str, dict[str, list]] = {name: {} for name in _INDEXES}
    forms, drafts, visits = [], [], []
    for field, concepts, fact in facts:
        for concept in concepts:
            indexes[field].setdefault(concept, []).append(fact)
        {"forms": forms, "drafts": drafts, "visit": visits}.get(field, []).append(fact)
    birth = on(when=born) if born else None
    return Chart(
        Patient("Patient/p1", birth, sex, deceased),
        **indexes,
        forms=forms,
        visit=visits[-1] if visits else None,
        drafts=drafts,
        missing=frozenset(missing),
        unreadable=unreadable or {},
        foreign=0,
    )


def case(*facts: Stated, limits: Limits | None = None, **patient: Any) -> Case:
    """These facts as of AT; `patient` as for `chart`."""
    return Case(chart(*facts, **patient), AT, limits or Limits())


def evaluated(*facts: Stated, limits: Limits | None = None, disabled: Iterable[str] = (), **patient: Any) -> Evaluation:
    """Every criterion answered for these facts as of AT; `disabled`: those that the site left out."""
    return evaluate(chart(*facts, **patient), AT, UTC, limits or Limits(), frozenset(disabled))


# --- dates ----------------------------------------------------------------------------------------------------


def on(days_ago: float | None = None, when: str | None = None) -> When | None:
    """A recorded date: a day so long ago, or a year, month or day as text; none at all is None."""
    if when is None:
        if days_ago is None:
            return None
        when = ago(days_ago)
    first, last = _span(when)
    last = min(last, TODAY)
    return When(min(first, last), last, (last - _EPOCH) * 86400.0, when)


def ago(days: float) -> str:
    return (AT - timedelta(days=days)).date().isoformat()


def _span(text: str) -> tuple[int, int]:
    parts = [int(part) for part in text.split("-")]
    if len(parts) == 3:
        day = date(*parts).toordinal()
        return day, day
    year, months = parts[0], parts[1:] or [1, 12]
    first, last = months[0], months[-1]
    return date(year, first, 1).toordinal(), date(year, last, monthrange(year, last)[1]).toordinal()


def shows(
    kind: str,
    concepts: Iterable[str],
    when: When | None,
    display: str = "",
    relation: str = "on",
    latest: When | None = None,
) -> Evidence:
    """The resource behind a fact. `latest`: its end or recordedDate, where later than `when`."""
    names = tuple(concepts)
    text = when.text if when else ""
    newest = latest or when
    return Evidence(
        reference=f"{kind}/{'-'.join((*names[:1], text or 'undated'))}",
        display=display or names[0].replace("-", " ").capitalize(),
        date=text,
        relation=relation,
        latest=newest.last if newest else None,
        renews=NOT_NEW.isdisjoint(names),
    )


# --- facts ----------------------------------------------------------------------------------------------------


def active(
    *concepts: str,
    days_ago: float | None = None,
    when: str | None = None,
    severity: str = "",
    recurring: bool = False,
    onset_stated: bool = True,
    recorded_days_ago: float | None = None,
    display: str = "",
    is_active: bool = True,
) -> Stated:
    """An active diagnosis that started then; `onset_stated=False`: only its recordedDate says so."""
    start = on(days_ago, when)
    recorded = on(recorded_days_ago) if recorded_days_ago is not None else None if onset_stated else start
    relation = "since" if onset_stated else "recorded"
    evidence = shows("Condition", concepts, start, display, relation, recorded)
    fact = Diagnosis(frozenset(concepts), is_active, start, onset_stated, recorded, severity, recurring, evidence)
    return Stated("diagnoses", concepts, fact)


def resolved(*concepts: str, **details: Any) -> Stated:
    """A diagnosis that is over."""
    return active(*concepts, is_active=False, **details)


def says(
    finding: str,
    present: bool = YES,
    days_ago: float | None = None,
    when: str | None = None,
    began_days_ago: float | None = None,
    own: bool = True,
    observed: bool = True,
    display: str = "",
) -> Stated:
    """A finding stated as there or not; `own=False`: in a standard code; `observed=False`: on the intake form."""
    stated = on(days_ago, when)
    began = on(began_days_ago) if began_days_ago is not None else stated
    kind = "Observation" if observed else "QuestionnaireResponse"
    evidence = shows(kind, (finding,), stated, display)
    if not present:
        evidence = evidence._replace(display=f"{evidence.display}: no")
    return Stated("statements", (finding,), Statement(present, stated, began, own, observed, evidence))


def measures(
    name: str,
    value: float | None,
    days_ago: float | None = None,
    when: str | None = None,
    comparator: str = "",
    site: str = "",
    judgement: str = "",
    low: float | None = None,
    high: float | None = None,
    observed: bool = True,
    display: str = "",
) -> Stated:
    """A number in the concept's canonical unit; None is one whose unit nobody understood."""
    taken = on(days_ago, when)
    label = display or f"{name.replace('-', ' ').capitalize()} {comparator}{'?' if value is None else f'{value:g}'}"
    evidence = shows("Observation" if observed else "QuestionnaireResponse", (name,), taken, label)
    evidence = evidence._replace(reference="-".join(filter(None, (evidence.reference, site, f"{value}"))))
    problem = "unit not understood" if value is None else ""
    order = (taken.moment if taken else 0.0, 0.0, 0.0)
    fact = Measurement(value, comparator, problem, taken, site, judgement, low, high, order, observed, evidence)
    return Stated("measurements", (name,), fact)


def takes(
    *concepts: str,
    days_ago: float | None = None,
    when: str | None = None,
    status: str = "active",
    systemic: bool = True,
    display: str = "",
) -> Stated:
    """A medicine begun then."""
    start = on(days_ago, when)
    counted = status in ("active", "completed", "stopped", "on-hold")
    evidence = shows("MedicationRequest", concepts, start, display, "since")
    return Stated("medicines", concepts, Medicine(status == "active", counted, systemic, start, evidence))


def treated(
    *concepts: str,
    days_ago: float | None = None,
    when: str | None = None,
    until_days_ago: float | None = None,
    status: str = "completed",
    display: str = "",
) -> Stated:
    """A procedure that was performed, or begun, then."""
    start = on(days_ago, when)
    end = start if until_days_ago is None else on(until_days_ago)
    evidence = shows("Procedure", concepts, start, display, latest=end)
    counted = status in ("completed", "in-progress")
    return Stated("treatments", concepts, Treatment(status == "completed", counted, start, end, evidence))


def ordered(
    *concepts: str,
    days_ago: float | None = None,
    when: str | None = None,
    status: str = "active",
    urgent: bool = False,
    occurs_days_ago: float | None = None,
    about_back: bool = True,
    display: str = "",
) -> Stated:
    """A ServiceRequest placed then; `occurs_days_ago` is its occurrence, where it has one."""
    placed = on(days_ago, when)
    begun = placed if occurs_days_ago is None else on(occurs_days_ago)
    evidence = shows("ServiceRequest", concepts, begun, display)
    fact = Order(frozenset(concepts), status, urgent, placed, begun, occurs_days_ago is not None, about_back, evidence)
    return Stated("orders", concepts, fact)


def reported(
    *concepts: str,
    days_ago: float | None = None,
    when: str | None = None,
    done: bool = True,
    kind: str = "DiagnosticReport",
    display: str = "",
) -> Stated:
    """A report, an imaging study or a laboratory result of that kind of order."""
    given = on(days_ago, when)
    return Stated("reports", concepts, Report(done, given, shows(kind, concepts, given, display)))


def allergic_to(concept: str = "nsaid-allergy", days_ago: float | None = None) -> Stated:
    return Stated("allergies", (concept,), shows("AllergyIntolerance", (concept,), on(days_ago), relation="recorded"))


def form_answered(days_ago: float | None = None) -> Stated:
    """Our intake form, answered then; what it says is stated with `says(…, observed=False)`."""
    given = on(days_ago)
    return Stated("forms", (), Form(given, shows("QuestionnaireResponse", ("intake-form",), given)))


def visits_for(*reasons: str) -> Stated:
    """The context Encounter with these reasons."""
    return Stated("visit", (), Visit(frozenset(reasons), shows("Encounter", ("visit",), None)))


def drafts(
    *concepts: str, urgent: bool = False, about_back: bool = True, id: str = "draft-1", display: str = ""
) -> Stated:
    """A draft order of an order hook."""
    resource = {"resourceType": "ServiceRequest", "id": id, "status": "draft", "intent": "order"}
    reference = f"ServiceRequest/{id}" if id else "ServiceRequest"
    evidence = shows("ServiceRequest", concepts, None, display)._replace(reference=reference)
    return Stated("drafts", (), DraftOrder(frozenset(concepts), urgent, about_back, id, resource, evidence))
