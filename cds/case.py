"""One patient at one instant, and the questions that criteria ask (catalogue, section 2).

Each question says what silence means, and turns into `unknown` where a search that could change it is
missing. Days are calendar days in the site's time zone; windows are inclusive.
"""

from calendar import monthrange
from collections.abc import Callable, Hashable, Iterable, Sequence
from datetime import date, datetime
from functools import cache, cached_property, wraps
from typing import Any, TypeVar

from cds.answers import MET, NOT_MET, UNKNOWN, Answer, any_of, met, not_met, silent, unknown
from cds.facts import Chart, Diagnosis, Evidence, Measurement, Order, Statement, Treatment, When
from cds.limits import Limits
from cds.numbers import Judge, answered, newest

CONDITIONS = "Condition"
OBSERVATIONS = "Observation"
RESPONSES = "QuestionnaireResponse"
MEDICATION_REQUESTS = "MedicationRequest"
MEDICATION_STATEMENTS = "MedicationStatement"
PROCEDURES = "Procedure"
SERVICE_REQUESTS = "ServiceRequest"

SUPPLEMENTARY = frozenset(("AllergyIntolerance", "ImagingStudy"))
"""What only texts and suggestions rest on, never a criterion."""
STATED = frozenset((CONDITIONS, OBSERVATIONS, RESPONSES))
"""Where a finding can stand; also what a precondition of absence needs (rule 11)."""
MEDICINES = frozenset((MEDICATION_REQUESTS, MEDICATION_STATEMENTS))

NEVER_EXPIRES = frozenset(
    (
        "cancer-history",
        "immunosuppression",
        "iv-drug-use",
        "spinal-instability",
        "conservative-treatment-tried",
        "conservative-treatment-weeks",
    )
)
NUMBERS_OF_THE_FORM = frozenset(
    ("pain-score", "muscle-strength-grade", "walking-distance", "cobb-angle", "conservative-treatment-weeks")
)
LONG_STANDING = "long-standing"
SEARCH_WORDS = {
    CONDITIONS: "conditions",
    OBSERVATIONS: "observations",
    RESPONSES: "questionnaire responses",
    MEDICATION_REQUESTS: "medication requests",
    MEDICATION_STATEMENTS: "medication statements",
    PROCEDURES: "procedures",
    SERVICE_REQUESTS: "service requests",
    "DiagnosticReport": "diagnostic reports",
    "ImagingStudy": "imaging studies",
    "AllergyIntolerance": "allergies",
    "Encounter": "encounter",
}

_DEFAULT = -1
T = TypeVar("T")


def remembered(ask: Callable[..., T]) -> Callable[..., T]:
    """A question that a case answers once in the same words, however many criteria and cards ask it."""
    name = ask.__name__

    @wraps(ask)
    def asked(case: "Case", *words: Any, **options: Any) -> T:
        memo = case.memo
        key = (name, words, *options.items()) if options else (name, words)
        if key not in memo:
            memo[key] = ask(case, *words, **options)
        return memo[key]

    return asked


class Case:
    """The chart of one patient as of `at` (an aware datetime in the site's zone), under the site's limits.

    hidden: ids of the criteria that are answered, because others rest on them, but that no card is about;
    switched_off: those among them that answers name as switched off.
    """

    def __init__(
        self,
        chart: Chart,
        at: datetime,
        limits: Limits,
        hidden: frozenset[str] = frozenset(),
        switched_off: frozenset[str] = frozenset(),
    ) -> None:
        self.chart = chart
        self.limits = limits
        self.hidden = hidden
        self.switched_off = switched_off
        self.at = at
        self.today = at.toordinal()
        self.present = chart.present
        self.answers: dict[str, Answer] = {}
        self.memo: dict[Hashable, Any] = {}

    # --- time -------------------------------------------------------------------------------------------

    def within(self, when: When | None, days: int | None) -> bool:
        """In the window by its latest possible day; undated and unlimited are inside (rule 5)."""
        return days is None or when is None or self.today - when.last <= days

    def started_at_least(self, when: When | None, days: int) -> str:
        """Status of "at least N days ago": met by the latest possible day, ruled out by the earliest."""
        if when is None:
            return UNKNOWN
        if self.today - when.last >= days:
            return MET
        return NOT_MET if self.today - when.first < days else UNKNOWN

    def days_of_years(self, years: int) -> int:
        """How many days the last so many calendar years have; on February 29 from February 28."""
        day = min(self.at.day, monthrange(self.at.year - years, self.at.month)[1])
        return self.today - date(self.at.year - years, self.at.month, day).toordinal()

    # --- the patient ------------------------------------------------------------------------------------

    @cached_property
    def age(self) -> tuple[int, int] | None:
        """Lowest and highest possible age in completed years; None when the birth date is not recorded."""
        birth = self.chart.patient.birth
        return birth and (self._years_since(birth.last), self._years_since(birth.first))

    def _years_since(self, day: int) -> int:
        born = date.fromordinal(min(max(day, 1), self.today))
        return self.at.year - born.year - ((self.at.month, self.at.day) < (born.month, born.day))

    @property
    def born(self) -> Evidence:
        """The Patient as evidence of an age; never new evidence (section 3)."""
        patient = self.chart.patient
        return Evidence(patient.reference, f"Born {patient.birth.text}" if patient.birth else "Patient", renews=False)

    def younger_than(self, years: int) -> Answer:
        """Age in completed years below the limit; silence (no birth date) is unknown."""
        if self.age is None:
            return unknown("birth date not recorded")
        youngest, oldest = self.age
        if oldest < years:
            return met(self.born)
        return not_met(f"age {years} or over") if youngest >= years else unknown("birth date not exact")

    def aged_between(self, lowest: int, highest: int) -> Answer:
        """Age within both limits, inclusive; silence is unknown."""
        if self.age is None:
            return unknown("birth date not recorded")
        youngest, oldest = self.age
        if lowest <= youngest and oldest <= highest:
            return met(self.born)
        if oldest < lowest or youngest > highest:
            return not_met(f"age outside {lowest} to {highest}")
        return unknown("birth date not exact")

    # --- what could not be had --------------------------------------------------------------------------

    def lacking(self, needed: frozenset[str]) -> Answer | None:
        """The answer when a search that is needed for `not-met` is missing (rule 10), else None."""
        missing = needed & self.chart.missing
        if not missing:
            return None
        words = " and ".join(SEARCH_WORDS.get(name, name) for name in sorted(missing))
        return unknown(f"{words} not available", missing=missing)

    def unless_lacking(self, needed: frozenset[str], answer: Answer) -> Answer:
        lacking = self.lacking(needed) if self.chart.missing else None
        return answer if lacking is None else lacking

    def available(self, needed: frozenset[str]) -> Answer:
        """Met when none of these searches is missing: what rests on an absence asks for it (rule 10)."""
        return self.unless_lacking(needed, Answer(MET))

    # --- diagnoses --------------------------------------------------------------------------------------

    def active(self, *concepts: str) -> list[Diagnosis]:
        """Active Conditions in any of the sets."""
        diagnoses = self.chart.diagnoses
        return [d for concept in concepts if concept in diagnoses for d in diagnoses[concept] if d.active]

    def diagnosis(self, *concepts: str, within: int | None = None, silence: str = UNKNOWN) -> Answer:
        """An active Condition, started within the window where one is given.

        silence=NOT_MET: a complete search without one says no; otherwise one that is not coded is silent (rule 12).
        """
        active = self.active(*concepts)
        found = [d.evidence for d in active if self.within(d.start, within)] if active else ()
        if found:
            return met(*found)
        return self.unless_lacking(_CONDITIONS_ONLY, none_recorded() if silence is NOT_MET else none_coded())

    def new_diagnosis(self, *concepts: str, within: int, silence: str = UNKNOWN) -> Answer:
        """As `diagnosis`, in the emergency rows: one that started before the window is long-standing (rule 8)."""
        answer = self.diagnosis(*concepts, within=within, silence=silence)
        older = () if answer.met or answer.missing else self.active(*concepts)
        return not_met(LONG_STANDING, *(d.evidence for d in older)) if older else answer

    def ever_diagnosed(self, *concepts: str) -> Answer:
        """A Condition in any clinical status (refuted ones are no Diagnosis); none recorded is `not-met`."""
        diagnoses = self.chart.diagnoses
        found = [d.evidence for concept in concepts if concept in diagnoses for d in diagnoses[concept]]
        if found:
            return met(*found)
        return self.unless_lacking(_CONDITIONS_ONLY, none_recorded())

    # --- findings ---------------------------------------------------------------------------------------

    def finding(
        self,
        name: str,
        within: int | None = _DEFAULT,
        conditions_within: int | None = None,
        silence: str = UNKNOWN,
    ) -> Answer:
        """A finding, stated or diagnosed (rules 6 to 8): an active Condition stands, else the newest statement.

        within: window of statements in days, by default `symptom_window_days`, none for those that never expire;
        conditions_within: window of Conditions, where the row names one. silence: status when nobody said anything.
        """
        if name not in self.present:
            return self.unless_lacking(STATED, none_recorded() if silence is NOT_MET else not_recorded(name))
        found = [d.evidence for d in self.active(name) if self.within(d.start, conditions_within)]
        return met(*found) if found else self._stated(name, self._window(name, within), silence)

    @remembered
    def new_finding(self, name: str, within: int) -> Answer:
        """A finding in the emergency rows: new within the window (rule 8).

        A Condition, or a standard-coded Observation of something older, is long-standing; our own codes mean new
        or clearly worse and count beside it.
        """
        if name not in self.present:
            return self.unless_lacking(STATED, not_recorded(name))
        conditions = self.active(name)
        recent = [d.evidence for d in conditions if self.within(d.start, within)]
        if recent:
            return met(*recent)
        statements = self.chart.statements.get(name, ())
        old = [s for s in statements if s.present and not s.own and (conditions or not self.within(s.began, within))]
        answer = self._stated(name, within, UNKNOWN, ignored=old)
        if answer.met or answer.missing:
            return answer
        older = [*(d.evidence for d in conditions), *(s.evidence for s in old if self.within(s.when, within))]
        return not_met(LONG_STANDING, *older) if older else answer

    def _window(self, name: str, within: int | None) -> int | None:
        if within != _DEFAULT:
            return within
        return None if name in NEVER_EXPIRES else self.limits.symptom_window_days

    def _stated(self, name: str, within: int | None, silence: str, ignored: Sequence[Statement] = ()) -> Answer:
        """The newest statement in the window; the positive wins on one day, an undated negative says nothing."""
        in_window = [s for s in self.chart.statements.get(name, ()) if s not in ignored and self.within(s.when, within)]
        positive = standing(in_window)
        if positive:
            return met(*[s.evidence for s in positive])
        negative = [s for s in in_window if not s.present and s.when is not None]
        if not self.chart.missing.isdisjoint(STATED):
            return self.available(STATED)
        if negative:
            newest_day = max(s.when.last for s in negative)
            return not_met("stated as absent", *(s.evidence for s in negative if s.when.last == newest_day))
        return none_recorded() if silence is NOT_MET else not_recorded(name)

    # --- numbers ----------------------------------------------------------------------------------------

    @remembered
    def measured(self, name: str, within: int | None) -> Sequence[Measurement]:
        """Measurements in the window; undated ones are inside it."""
        return [m for m in self.chart.measurements.get(name, ()) if self.within(m.when, within)]

    @remembered
    def newest(self, name: str, within: int | None, judge: Judge) -> Answer:
        """What the newest measurement in the window says; one that was not made is silent (rule 12)."""
        return self._judged(name, self.measured(name, within), judge, newest)

    @remembered
    def any_measured(self, name: str, within: int | None, judge: Judge) -> Answer:
        """Whether any measurement in the window is such; none made is silent."""
        return self._judged(name, self.measured(name, within), judge, lambda ms: [m for m in ms if m.when is not None])

    @remembered
    def newest_per_site(self, name: str, within: int | None, judge: Judge) -> Answer:
        """As `newest`, for each muscle and side on its own: met if one is."""
        sites: dict[str, list[Measurement]] = {}
        for measurement in self.measured(name, within):
            sites.setdefault(measurement.site, []).append(measurement)
        if not sites:
            return self._judged(name, [], judge, newest)
        return any_of(*[self._judged(name, of_site, judge, newest) for _, of_site in sorted(sites.items())])

    def _judged(self, name: str, measurements: Sequence[Measurement], judge: Judge, chosen) -> Answer:
        needed = _FORM_OR_OBSERVATION if name in NUMBERS_OF_THE_FORM else _OBSERVATION_ONLY
        if not measurements:
            return self.unless_lacking(needed, not_measured(name))
        answer = answered(chosen(measurements), judge, [m for m in measurements if m.when is None])
        return self.unless_lacking(needed, answer) if answer.status is NOT_MET else answer

    # --- medicines, treatments, orders -------------------------------------------------------------------

    def medicine(self, concept: str, begun_days_ago: int = 0) -> Answer:
        """An active systemic medicine, begun at least so many days ago; none recorded is `not-met`."""
        taken = [m for m in self.chart.medicines.get(concept, ()) if m.active and m.systemic]
        by_status = [(self.started_at_least(m.start, begun_days_ago) if begun_days_ago else MET, m) for m in taken]
        found = [m.evidence for status, m in by_status if status is MET]
        if found:
            return met(*found)
        if not self.chart.missing.isdisjoint(MEDICINES):
            return self.available(MEDICINES)
        open_ = [m.evidence for status, m in by_status if status is UNKNOWN]
        return unknown("start not recorded", *open_) if open_ else none_recorded()

    def treatments(self, *concepts: str) -> Iterable[Treatment]:
        """Procedures that are completed or in progress."""
        chart = self.chart.treatments
        return [t for concept in concepts for t in chart.get(concept, ()) if t.counted]

    def orders(self, *concepts: str) -> Iterable[Order]:
        """ServiceRequests, drafts left out (rule 2)."""
        chart = self.chart.orders
        return [o for concept in concepts for o in chart.get(concept, ()) if o.status != "draft"]


def once(ask: Callable[[Case], T]) -> Callable[[Case], T]:
    """A question that a case answers once, however many criteria ask it."""
    key = ask.__name__

    @wraps(ask)
    def asked(case: Case) -> T:
        memo = case.memo
        if key not in memo:
            memo[key] = ask(case)
        return memo[key]

    return asked


def standing(statements: Sequence[Statement]) -> list[Statement]:
    """The positive statements that no surely later negative replaces, newest day only (rules 5 and 7).

    A positive may be as late as its latest day, a negative as early as its earliest, so that a date that is not
    exact never hides a finding.
    """
    positive = [s for s in statements if s.present]
    if not positive:
        return []
    denied_since = max((s.when.first for s in statements if not s.present and s.when is not None), default=0)
    left = [s for s in positive if s.when is None or s.when.last >= denied_since]
    latest = max((s.when.last for s in left if s.when is not None), default=0)
    return [s for s in left if s.when is None or s.when.last == latest]


@cache
def none_recorded() -> Answer:
    """A complete search without one says no (rule 12)."""
    return not_met("none recorded")


@cache
def none_coded() -> Answer:
    return silent("no diagnosis coded")


@cache
def not_recorded(name: str) -> Answer:
    """Nobody said anything about the finding."""
    return unknown(f"{spoken(name)} not recorded")


@cache
def not_measured(name: str) -> Answer:
    return silent(f"{spoken(name)} not recorded")


def spoken(name: str) -> str:
    """A concept's name in a reason: "saddle-anesthesia" -> "saddle anesthesia"."""
    return name.replace("-", " ")


_CONDITIONS_ONLY = frozenset((CONDITIONS,))
_OBSERVATION_ONLY = frozenset((OBSERVATIONS,))
_FORM_OR_OBSERVATION = frozenset((OBSERVATIONS, RESPONSES))
