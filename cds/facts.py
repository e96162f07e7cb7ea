"""What one chart states, as plain facts (catalogue, section 2). Filled by `fhir_profiles`, read by `cds.case`.

Nothing here is decided: facts that rule 2 leaves out (entered in error, drafts, other patients) never
become facts at all; which fact counts is asked in `cds.case`.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple


class When(NamedTuple):
    """A recorded date as an interval of calendar days in the site's time zone (rule 5).

    first, last: earliest and latest possible day (proleptic ordinal), `last` cut off at the evaluation
    instant; moment: latest possible instant (POSIX seconds), for "newest"; text: as recorded.
    """

    first: int
    last: int
    moment: float
    text: str


class Evidence(NamedTuple):
    """One resource that decided something.

    relation: how the date belongs to it ("since", "recorded", "on"); latest: the later of its start and its
    recordedDate, a period's end (day ordinal; None: undated); renews: may count as new evidence (section 3);
    kind: its FHIR type, where the reference does not tell it. version: of the resource, "" where it has none.
    """

    reference: str
    display: str
    date: str = ""
    relation: str = "on"
    latest: int | None = None
    renews: bool = True
    kind: str = ""
    version: str = ""


class Diagnosis(NamedTuple):
    """A Condition (rules 3 and 4). `start` is the onset, else recordedDate (`start_recorded` False)."""

    concepts: frozenset[str]
    active: bool
    start: When | None
    start_recorded: bool
    recorded: When | None
    severity: str  # "mild", "moderate", "severe" or ""
    recurring: bool  # clinicalStatus recurrence or relapse
    evidence: Evidence


class Statement(NamedTuple):
    """A finding stated as present or absent by an Observation, an answer or a refuted Condition (rules 6, 7).

    `when` is its newest moment (a period's end); `began` its beginning. `own`: in our own code, which for the
    emergency findings means new or clearly worse (rule 8). Of our questionnaire only the valid answer is kept.
    """

    present: bool
    when: When | None
    began: When | None
    own: bool
    observed: bool  # by an Observation, which may make the back problem current (section 3)
    evidence: Evidence


class Measurement(NamedTuple):
    """A number in the concept's canonical unit (rule 9), or the `problem` that keeps it from being one.

    comparator: "", "<", "<=", ">=" or ">". site: muscle and side, "" when not stated. judgement: what the
    laboratory's interpretation says ("raised", "lowered", "normal" or ""). low, high: its own reference
    range, canonical. order: (moment, issued, updated), larger is newer.
    """

    value: float | None
    comparator: str
    problem: str
    when: When | None
    site: str
    judgement: str
    low: float | None
    high: float | None
    order: tuple[float, float, float]
    observed: bool
    evidence: Evidence


class Medicine(NamedTuple):
    """A MedicationRequest or MedicationStatement. counted: active, completed, stopped or on-hold."""

    active: bool
    counted: bool
    systemic: bool
    start: When | None
    evidence: Evidence


class Treatment(NamedTuple):
    """A Procedure. counted: completed or in progress; `end` is the open-ended period's evaluation instant."""

    completed: bool
    counted: bool
    start: When | None
    end: When | None
    evidence: Evidence


class Order(NamedTuple):
    """A ServiceRequest. placed: by authoredOn; begun: occurrence start, else authoredOn (rule 4).

    about_back: False only for a referral whose stated reasons hold no back concept (section 8).
    """

    concepts: frozenset[str]
    status: str
    urgent: bool  # priority urgent, asap or stat
    placed: When | None
    begun: When | None
    has_occurrence: bool
    about_back: bool
    evidence: Evidence


class DraftOrder(NamedTuple):
    """A draft ServiceRequest of an order hook. `resource` is it, whole; `urgent` as in Order; id may be ""."""

    concepts: frozenset[str]
    urgent: bool
    about_back: bool
    id: str
    resource: Mapping[str, Any]
    evidence: Evidence


class Report(NamedTuple):
    """A DiagnosticReport, an ImagingStudy or a laboratory Observation, as proof that something was done.

    done: report final, amended or corrected; study available.
    """

    done: bool
    when: When | None
    evidence: Evidence


class Patient(NamedTuple):
    """birth: interval of possible birth days (not cut off), None when not recorded. sex: administrative."""

    reference: str
    birth: When | None
    sex: str  # "male", "female" or ""
    deceased: bool


class Visit(NamedTuple):
    """The context Encounter: concepts of its reasonCode and reasonReference."""

    reasons: frozenset[str]
    evidence: Evidence


class Form(NamedTuple):
    """An answered intake form of ours (section 3, current)."""

    when: When | None
    evidence: Evidence


class Chart(NamedTuple):
    """Everything that one chart states, indexed by concept. Absent concept: nothing stated.

    missing: FHIR resource types whose search failed or was not given (rule 10).
    unreadable: resource type -> how many resources were skipped because they could not be read.
    foreign: how many resources were skipped because they name another patient.
    """

    patient: Patient
    diagnoses: Mapping[str, Sequence[Diagnosis]]
    statements: Mapping[str, Sequence[Statement]]
    measurements: Mapping[str, Sequence[Measurement]]
    medicines: Mapping[str, Sequence[Medicine]]
    treatments: Mapping[str, Sequence[Treatment]]
    orders: Mapping[str, Sequence[Order]]
    reports: Mapping[str, Sequence[Report]]
    allergies: Mapping[str, Sequence[Evidence]]
    forms: Sequence[Form]
    visit: Visit | None
    drafts: Sequence[DraftOrder]
    missing: frozenset[str]
    unreadable: Mapping[str, int]
    foreign: int

    @property
    def present(self) -> set[str]:
        """Every concept that the chart says something about."""
        return set().union(
            self.diagnoses,
            self.statements,
            self.measurements,
            self.medicines,
            self.treatments,
            self.orders,
            self.reports,
            self.allergies,
        )
