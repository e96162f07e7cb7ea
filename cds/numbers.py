"""Numbers, compared without guessing: comparators, reference ranges, ties (catalogue, section 2 rule 9)."""

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from math import inf

from cds.answers import MET, NOT_MET, UNKNOWN, Answer, not_met, unknown
from cds.facts import Measurement

Judge = Callable[[Measurement], str]

_one_judge = lru_cache(maxsize=256)
"""The judge of a limit is always the same one, so that a case knows a question that it was asked before."""


def bounds(measurement: Measurement) -> tuple[float, bool, float, bool]:
    """Lowest and highest value it can stand for, each with whether that value itself is possible."""
    value, comparator = measurement.value, measurement.comparator
    if not comparator:
        return value, True, value, True
    match comparator:
        case "<":
            return -inf, False, value, False
        case "<=":
            return -inf, False, value, True
        case ">":
            return value, False, inf, False
    return value, True, inf, False


@_one_judge
def at_least(limit: float) -> Judge:
    """`>= limit`; `<10` is never at or above 10."""

    def judge(measurement: Measurement) -> str:
        low, _, high, high_possible = bounds(measurement)
        if low >= limit:
            return MET
        return NOT_MET if high < limit or (high == limit and not high_possible) else UNKNOWN

    return judge


@_one_judge
def at_most(limit: float) -> Judge:
    """`<= limit`; `>10` is never at or below 10."""

    def judge(measurement: Measurement) -> str:
        low, low_possible, high, _ = bounds(measurement)
        if high <= limit:
            return MET
        return NOT_MET if low > limit or (low == limit and not low_possible) else UNKNOWN

    return judge


@_one_judge
def above(limit: float) -> Judge:
    """`> limit`."""
    flipped = at_most(limit)
    return lambda measurement: _FLIP[flipped(measurement)]


@_one_judge
def below(limit: float) -> Judge:
    """`< limit`."""
    flipped = at_least(limit)
    return lambda measurement: _FLIP[flipped(measurement)]


_FLIP = {MET: NOT_MET, NOT_MET: MET, UNKNOWN: UNKNOWN}


@_one_judge
def raised(low_limit: float, high_limit: float) -> Judge:
    """Laboratory value above its upper limit: the laboratory's word, its own range, else ours.

    low_limit, high_limit: our limit at the youngest and oldest age the patient can have; equal when age
    does not matter or is known.
    """

    def judge(measurement: Measurement) -> str:
        if measurement.judgement:
            return MET if measurement.judgement == "raised" else NOT_MET
        if measurement.value is None:
            return UNKNOWN
        if measurement.high is not None:
            return above(measurement.high)(measurement)
        if above(high_limit)(measurement) is MET:
            return MET
        return NOT_MET if above(low_limit)(measurement) is NOT_MET else UNKNOWN

    return judge


@_one_judge
def lowered(limit: float) -> Judge:
    """Laboratory value below its lower limit: the laboratory's word, its own range, else ours."""

    def judge(measurement: Measurement) -> str:
        if measurement.judgement:
            return MET if measurement.judgement == "lowered" else NOT_MET
        if measurement.value is None:
            return UNKNOWN
        return below(limit if measurement.low is None else measurement.low)(measurement)

    return judge


def newest(measurements: Iterable[Measurement]) -> Sequence[Measurement]:
    """The newest dated ones: effective, then issued, then last updated; several when these tie."""
    dated = [measurement for measurement in measurements if measurement.when is not None]
    if len(dated) < 2:
        return dated
    order = max(measurement.order for measurement in dated)
    return [measurement for measurement in dated if measurement.order == order]


def answered(measurements: Sequence[Measurement], judge: Judge, undated: Sequence[Measurement] = ()) -> Answer:
    """What the measurements say: met if one is; an undated one speaks only when it is met (rule 5)."""
    judged = [(judge_or_unknown(judge, measurement), measurement) for measurement in (*measurements, *undated)]
    found = [measurement.evidence for status, measurement in judged if status is MET]
    if found:
        return Answer(MET, facts=tuple(found))
    dated = judged[: len(measurements)]
    open_ = [measurement for status, measurement in dated if status is UNKNOWN]
    if open_ or not dated:
        problem = next((m.problem for m in (*open_, *undated) if m.problem), "value cannot be judged")
        return unknown(problem, *(measurement.evidence for measurement in open_ or undated))
    return not_met("", *[measurement.evidence for _, measurement in dated])


def judge_or_unknown(judge: Judge, measurement: Measurement) -> str:
    """A value without a unit that we understand is no evidence, unless the laboratory judged it."""
    if measurement.value is None and not measurement.judgement:
        return UNKNOWN
    return judge(measurement)
