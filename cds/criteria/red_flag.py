"""Red flags (catalogue, section 6): one card, a warning unless only weak ones are met."""

from cds import numbers
from cds.answers import (
    MET,
    NOT_MET,
    Answer,
    all_of,
    any_of,
    at_least,
    either,
    met,
    negated,
    not_met,
    only_positive,
    settled,
    silent,
    unknown,
)
from cds.back_problem import back_problem, since_at_least
from cds.case import CONDITIONS, OBSERVATIONS, PROCEDURES, STATED, Case, standing
from cds.catalogue import Group, Source, criterion
from cds.facts import Measurement
from cds.numbers import bounds, newest, raised
from cds.signs import RADICULAR_DIAGNOSES, radicular_pain
from cds.treatment import no_significant_relief, treated_at_least

STRONG_FACTOR = 5
"""From so many times its upper limit an inflammatory marker is a strong flag."""
STEROID_DAYS = 90
"""A systemic corticosteroid taken so long weakens bone."""
NEWEST_WEIGHT_DAYS = 90
ADULT_YEARS = 18
OLDEST_YEARS = 120


@criterion("cancer-history", title="History of cancer", group=Group.RED_FLAG, sources=(Source.DRORACLE_ETIOLOGY,))
def cancer_history(case: Case) -> Answer:
    """A malignancy in any clinical status, or stated; none recorded is not met."""
    return any_of(
        case.ever_diagnosed("malignancy-active", "malignancy-history"),
        case.finding("cancer-history", silence=NOT_MET),
    )


@criterion(
    "spinal-neoplasm",
    title="Tumor or metastasis of the spine",
    group=Group.RED_FLAG,
    sources=(Source.DRORACLE_ETIOLOGY,),
)
def spinal_neoplasm(case: Case) -> Answer:
    """An active tumor of the spine or bone metastasis; none recorded is not met."""
    return case.diagnosis("spinal-neoplasm", "metastasis-bone", silence=NOT_MET)


@criterion(
    "unexplained-weight-loss",
    title="Unexplained weight loss",
    group=Group.RED_FLAG,
    sources=(Source.DRORACLE_ETIOLOGY,),
)
def unexplained_weight_loss(case: Case) -> Answer:
    """Stated, or in adults a measured fall from the highest to the newest weight, without an explanation.

    Intended loss, pregnancy or bariatric surgery since then explains it.
    """
    return either(_stated_loss(case), _measured_loss(case))


def _stated_loss(case: Case) -> Answer:
    window = case.limits.weight_loss_days
    stated = case.finding("unexplained-weight-loss", window, conditions_within=window)
    if stated.status is not MET:
        return stated
    dates = [d.start.first for d in case.active("unexplained-weight-loss") if d.start]
    dates += [s.when.first for s in standing(case.chart.statements.get("unexplained-weight-loss", ())) if s.when]
    since = max(max(dates, default=0), case.today - window)
    return all_of(stated, negated(_explained(case, since)))


def _measured_loss(case: Case) -> Answer:
    """Weights of the window: fewer than two, or an old newest one, are silent."""
    window = case.limits.weight_loss_days
    weights = [w for w in case.measured("body-weight", window) if w.when and w.value is not None and not w.comparator]
    latest = newest(weights)
    if len(weights) < 2 or not latest or not case.within(latest[0].when, NEWEST_WEIGHT_DAYS):
        return case.unless_lacking(frozenset((OBSERVATIONS,)), silent("weight not measured twice"))
    now = min(latest, key=lambda w: (w.value, w.evidence))
    highest = max(weights, key=lambda w: (w.value, w.order, w.evidence))
    if (highest.value - now.value) * 100 < case.limits.weight_loss_percent * highest.value:
        return case.unless_lacking(frozenset((OBSERVATIONS,)), not_met("weight stable", highest.evidence, now.evidence))
    child = case.younger_than(ADULT_YEARS)
    if child.status is not NOT_MET:
        return (
            silent("weights of a child") if child.met else unknown("age not recorded", highest.evidence, now.evidence)
        )
    return all_of(met(highest.evidence, now.evidence), negated(_explained(case, highest.when.first)))


def _explained(case: Case, since: int) -> Answer:
    """Whether intent, pregnancy or bariatric surgery stands on the record since that day; silence says no."""
    stated = case.finding(
        "intentional-weight-loss", case.today - since, conditions_within=case.today - since, silence=NOT_MET
    )
    recorded = [
        d.evidence
        for concept in ("pregnancy", "bariatric-surgery")
        for d in case.chart.diagnoses.get(concept, ())
        if d.start is not None and d.start.last >= since
    ]
    operated = [
        t.evidence for t in case.treatments("bariatric-surgery") if t.start is not None and t.start.last >= since
    ]
    if recorded or operated:
        return met(*recorded, *operated)
    return any_of(stated, case.unless_lacking(STATED | {PROCEDURES}, not_met("no explanation recorded")))


@criterion(
    "fever-or-infection",
    title="Fever or signs of infection",
    group=Group.RED_FLAG,
    sources=(Source.DRORACLE_ETIOLOGY,),
)
def fever_or_infection(case: Case) -> Answer:
    """A raised temperature, stated fever or signs of infection lately, or an active infection.

    A normal temperature with no sign recorded, or both findings denied, is not met.
    """
    limits = case.limits
    temperature = case.any_measured(
        "body-temperature", limits.fever_window_days, numbers.at_least(limits.fever_celsius)
    )
    fever, signs = _recent_sign(case, "fever"), _recent_sign(case, "infection-signs")
    return settled(
        any_of(
            temperature,
            only_positive(fever),
            only_positive(signs),
            case.diagnosis("infection-active-systemic", within=limits.infection_window_days),
            case.diagnosis("infection-spinal"),
        ),
        negated(temperature),
        all_of(negated(fever), negated(signs)),
    )


def _recent_sign(case: Case, name: str) -> Answer:
    limits = case.limits
    return case.finding(name, limits.fever_window_days, conditions_within=limits.symptom_window_days)


@criterion("immunosuppression", title="Immunosuppression", group=Group.RED_FLAG, sources=(Source.DRORACLE_ETIOLOGY,))
def immunosuppression(case: Case) -> Answer:
    """An active immunosuppressing condition or systemic medicine, or stated; none recorded is not met."""
    return any_of(
        case.diagnosis("immunosuppression-condition", silence=NOT_MET),
        case.medicine("immunosuppressant"),
        case.finding("immunosuppression", silence=NOT_MET),
    )


@criterion("iv-drug-use", title="Intravenous drug use", group=Group.RED_FLAG, sources=(Source.DRORACLE_ETIOLOGY,))
def iv_drug_use(case: Case) -> Answer:
    """Injecting drugs, now or ever, by diagnosis, social history or answer."""
    return case.finding("iv-drug-use")


@criterion(
    "pain-over-4-weeks",
    title="Pain for more than four weeks despite treatment",
    group=Group.RED_FLAG,
    sources=(Source.DRORACLE_ETIOLOGY,),
)
def pain_over_4_weeks(case: Case) -> Answer:
    """Onset and conservative treatment both weeks ago, and no significant relief. A weak flag."""
    return weakened(persisting(case, case.limits.persistent_pain_days + 1, case.limits.persistent_pain_days))


def persisting(case: Case, onset_days: int, treatment_days: int) -> Answer:
    """The back problem has lasted and has been treated at least so long, without significant relief."""
    return all_of(
        back_problem(case),
        since_at_least(case, onset_days),
        treated_at_least(case, treatment_days),
        no_significant_relief(case),
    )


def weakened(answer: Answer) -> Answer:
    return Answer(answer.status, parts=(answer,), missing=answer.missing, weak=answer.status is MET)


@criterion("night-pain", title="Pain at night", group=Group.RED_FLAG, sources=(Source.DRORACLE_ETIOLOGY,))
def night_pain(case: Case) -> Answer:
    """Persistent pain at night."""
    return case.finding("night-pain")


@criterion(
    "severe-radicular-pain",
    title="Severe or worsening radicular pain",
    group=Group.RED_FLAG,
    sources=(Source.DRORACLE_ETIOLOGY,),
)
def severe_radicular_pain(case: Case) -> Answer:
    """Radicular pain with a high or risen score, a severe diagnosis, or said to grow worse."""
    limits = case.limits
    return all_of(
        radicular_pain(case),
        any_of(
            case.newest("pain-score", limits.symptom_window_days, numbers.at_least(limits.pain_severe)),
            only_positive(_risen(case)),
            radicular_severity(case, "severe"),
            only_positive(case.finding("radicular-pain-worsening")),
        ),
    )


def _risen(case: Case) -> Answer:
    """Whether the newest pain score of the window lies well above the lowest earlier one."""
    scores = [m for m in case.measured("pain-score", case.limits.symptom_window_days) if _exact(m)]
    latest = newest(scores)
    earlier = [m for m in scores if m.order < latest[0].order] if latest else []
    if not earlier:
        return silent("pain scored once at most")
    now = max(latest, key=lambda m: (m.value, m.evidence))
    lowest = min(earlier, key=lambda m: (m.value, m.evidence))
    if now.value - lowest.value >= case.limits.pain_worsening_points:
        return met(lowest.evidence, now.evidence)
    return not_met("pain has not risen", lowest.evidence, now.evidence)


def _exact(measurement: Measurement) -> bool:
    return measurement.value is not None and not measurement.comparator and measurement.when is not None


def radicular_severity(case: Case, *degrees: str) -> Answer:
    """The severity of a radicular diagnosis; it speaks against only when no pain was scored."""
    graded = [d for d in case.active("radicular-pain", *RADICULAR_DIAGNOSES) if d.severity]
    found = [d.evidence for d in graded if d.severity in degrees]
    if found:
        return met(*found)
    scored = case.measured("pain-score", case.limits.symptom_window_days)
    less = graded and not scored
    below = not_met("less severe", *(d.evidence for d in graded)) if less else silent("severity not recorded")
    return case.unless_lacking(STATED if less else frozenset((CONDITIONS,)), below)


@criterion("gait-disturbance", title="Gait disturbance", group=Group.RED_FLAG, sources=(Source.DRORACLE_ETIOLOGY,))
def gait_disturbance(case: Case) -> Answer:
    """An abnormal gait."""
    return case.finding("gait-disturbance")


@criterion(
    "spinal-infection",
    title="Infection of the spine",
    group=Group.RED_FLAG,
    sources=(Source.DRORACLE_ETIOLOGY,),
)
def spinal_infection(case: Case) -> Answer:
    """An active infection of vertebra, disc or epidural space; none recorded is not met."""
    return case.diagnosis("infection-spinal", silence=NOT_MET)


@criterion(
    "raised-inflammatory-markers",
    title="Raised inflammatory markers",
    group=Group.RED_FLAG,
    sources=(Source.DRORACLE_ETIOLOGY,),
)
def raised_inflammatory_markers(case: Case) -> Answer:
    """Newest ESR, CRP or white cell count raised; weak below five times the upper limit."""
    return any_of(*(_marker(case, name) for name in ("esr", "crp", "wbc")))


def _marker(case: Case, name: str) -> Answer:
    limits = marker_limits(case, name)
    answer = case.newest(name, case.limits.lab_window_days, raised(*limits))
    if answer.status is not MET:
        return answer
    in_window = newest(case.measured(name, case.limits.lab_window_days)) or case.measured(
        name, case.limits.lab_window_days
    )
    return Answer(MET, facts=answer.facts, weak=not any(_strong(m, limits[1]) for m in in_window))


def marker_limits(case: Case, name: str) -> tuple[float, float]:
    """Our upper limit at the youngest and at the oldest age that the patient can have."""
    limits = case.limits
    youngest, oldest = case.age or (0, OLDEST_YEARS)
    match name:
        case "esr":
            add = 10 if case.chart.patient.sex == "female" else 0
            return max(limits.esr_mm_h, (youngest + add) / 2), max(limits.esr_mm_h, (oldest + add) / 2)
        case "wbc":
            by_age = [
                limits.wbc_child_10e9_l if age < limits.child_age_years else limits.wbc_10e9_l
                for age in (youngest, oldest)
            ]
            return min(by_age), max(by_age)
    return limits.crp_mg_l, limits.crp_mg_l


def _strong(measurement: Measurement, limit: float) -> bool:
    upper = limit if measurement.high is None else measurement.high
    return measurement.value is not None and bounds(measurement)[0] >= STRONG_FACTOR * upper


@criterion(
    "inflammatory-arthropathy",
    title="Inflammatory joint disease",
    group=Group.RED_FLAG,
    sources=(Source.DRORACLE_ETIOLOGY,),
)
def inflammatory_arthropathy(case: Case) -> Answer:
    """An active inflammatory arthropathy; none recorded is not met. A weak flag."""
    return weakened(case.diagnosis("inflammatory-arthropathy", silence=NOT_MET))


@criterion("child-back-pain", title="Back pain in a child", group=Group.RED_FLAG, sources=(Source.DRORACLE_ETIOLOGY,))
def child_back_pain(case: Case) -> Answer:
    """A back problem below adult age, where serious causes are to be excluded."""
    return all_of(back_problem(case), case.younger_than(case.limits.child_age_years))


@criterion(
    "child-spinal-infection",
    title="Signs of spinal infection in a child",
    group=Group.RED_FLAG,
    sources=(Source.DRORACLE_ETIOLOGY,),
)
def child_spinal_infection(case: Case) -> Answer:
    """A child of the typical age with a back problem and at least two signs; what was not asked is unknown."""
    limits = case.limits
    return all_of(
        back_problem(case),
        case.aged_between(limits.spinal_infection_age_min, limits.spinal_infection_age_max),
        at_least(
            2,
            case.finding("night-pain"),
            any_of(
                case.any_measured(
                    "body-temperature", limits.fever_window_days, numbers.at_least(limits.child_fever_celsius)
                ),
                _recent_sign(case, "fever"),
            ),
            case.finding("reduced-range-of-motion"),
            case.finding("irritability"),
            case.finding("localized-tenderness"),
            case.finding("limping"),
            raised_inflammatory_markers(case),
        ),
    )


@criterion(
    "fracture-risk",
    title="Risk of a vertebral fracture",
    group=Group.RED_FLAG,
    sources=(Source.ACP_2007, Source.ACR_LOW_BACK),
    beyond=True,
)
def fracture_risk(case: Case) -> Answer:
    """Recent trauma, osteoporosis, a vertebral fracture or a long-taken systemic corticosteroid."""
    return any_of(
        case.finding("recent-trauma", conditions_within=case.limits.symptom_window_days, silence=NOT_MET),
        case.ever_diagnosed("osteoporosis"),
        case.diagnosis("vertebral-fracture", silence=NOT_MET),
        case.medicine("systemic-corticosteroid", begun_days_ago=STEROID_DAYS),
    )
