"""Three-valued answers and how they combine (catalogue, section 2 rules 10 to 13).

An `Answer` refuses to be true or false: ask for its status. Reasons and evidence are gathered only when
somebody reads them, because most answers of a chart are never shown.
"""

from collections.abc import Iterable, Sequence
from operator import attrgetter

from cds.facts import Evidence

MET = "met"
NOT_MET = "not-met"
UNKNOWN = "unknown"

FACTS_IN_A_REASON = 4


class Answer:
    """What the record says to one question.

    silent: a diagnosis that is not coded or a measurement that was not made, which neither makes nor prevents
    `not-met` in a mixed row (rule 12). missing: searches without which nothing may become `not-met` (rule 10).
    weak: a red flag that alone raises suspicion only a little (section 6).
    """

    __slots__ = ("_evidence", "_reason", "facts", "missing", "parts", "phrase", "silent", "status", "weak")

    def __init__(
        self,
        status: str,
        phrase: str = "",
        facts: tuple[Evidence, ...] = (),
        parts: Sequence["Answer"] = (),
        silent: bool = False,
        missing: frozenset[str] = frozenset(),
        weak: bool = False,
    ) -> None:
        self.status = status
        self.phrase = phrase
        self.facts = facts
        self.parts = parts
        self.silent = silent
        self.missing = missing
        self.weak = weak
        self._reason: str | None = None
        self._evidence: tuple[Evidence, ...] | None = None

    def __bool__(self) -> bool:
        raise TypeError("an Answer is met, not-met or unknown: compare its status")

    @property
    def met(self) -> bool:
        return self.status is MET

    @property
    def reason(self) -> str:
        """Why, in words: what was found with its date, or what is not known. Chart text is not escaped here."""
        if self._reason is None:
            self._reason = "; ".join(dict.fromkeys(filter(None, self._phrases())))
        return self._reason

    @property
    def evidence(self) -> tuple[Evidence, ...]:
        """The resources that decided, newest first, each once."""
        if self._evidence is None:
            facts: list[Evidence] = []
            self._gather(facts)
            self._evidence = newest_first(facts) if len(facts) > 1 else tuple(facts)
        return self._evidence

    def _phrases(self) -> Iterable[str]:
        if self.phrase or self.facts:
            yield described(self.phrase, self.facts)
        for part in self.parts:
            yield from part._phrases()

    def _gather(self, facts: list[Evidence]) -> None:
        for part in self.parts:
            part._gather(facts)
        facts += self.facts


def described(phrase: str, facts: tuple[Evidence, ...]) -> str:
    """A reason: the newest facts with their dates, then the phrase that qualifies them."""
    if not facts:
        return phrase
    facts = newest_first(facts) if len(facts) > 1 else facts
    stated = ", ".join(stated_fact(fact) for fact in facts[:FACTS_IN_A_REASON])
    if len(facts) > FACTS_IN_A_REASON:
        stated = f"{stated} and {len(facts) - FACTS_IN_A_REASON} more"
    return f"{stated} ({phrase})" if phrase else stated


def newest_first(facts: Iterable[Evidence]) -> tuple[Evidence, ...]:
    """Each once, newest first, in an order that does not depend on the record's."""
    return tuple(sorted(set(facts), key=lambda fact: (fact.date, fact.reference, fact.display), reverse=True))


def stated_fact(fact: Evidence) -> str:
    """A fact with its date; a recordedDate does not say since when (rule 4)."""
    if not fact.date:
        return fact.display
    unstarted = ", start not recorded" if fact.relation == "recorded" else ""
    return f"{fact.display} {fact.relation} {fact.date}{unstarted}"


def met(*facts: Evidence, phrase: str = "", weak: bool = False) -> Answer:
    return Answer(MET, phrase, facts, weak=weak)


def not_met(phrase: str = "", *facts: Evidence) -> Answer:
    return Answer(NOT_MET, phrase, facts)


def unknown(phrase: str, *facts: Evidence, missing: frozenset[str] = frozenset()) -> Answer:
    return Answer(UNKNOWN, phrase, facts, missing=missing)


def silent(phrase: str) -> Answer:
    """Nothing coded or measured: neither makes nor prevents `not-met` beside other questions (rule 12)."""
    return Answer(UNKNOWN, phrase, silent=True)


_WEAK, _SILENT, _MISSING = attrgetter("weak"), attrgetter("silent"), attrgetter("missing")


def any_of(*answers: Answer) -> Answer:
    """Met if one is; not-met only if all that speak are; else unknown (rules 11 and 12)."""
    found = [answer for answer in answers if answer.status is MET]
    if found:
        return Answer(MET, parts=found, weak=all(map(_WEAK, found)))
    speaking = [answer for answer in answers if not answer.silent]
    if not speaking:
        return Answer(UNKNOWN, parts=answers, silent=True)
    open_ = [answer for answer in speaking if answer.status is UNKNOWN]
    return _unknown(open_) if open_ else Answer(NOT_MET, parts=speaking)


def all_of(*answers: Answer) -> Answer:
    """Not-met if one is; met only if all are; else unknown (rule 11)."""
    failed = [answer for answer in answers if answer.status is NOT_MET]
    if failed:
        return Answer(NOT_MET, parts=failed)
    open_ = [answer for answer in answers if answer.status is UNKNOWN]
    return _unknown(open_) if open_ else Answer(MET, parts=answers)


def at_least(n: int, *answers: Answer) -> Answer:
    """Met if `n` are; not-met once `n` cannot be reached any more; else unknown."""
    found = [answer for answer in answers if answer.status is MET]
    if len(found) >= n:
        return Answer(MET, parts=found)
    open_ = [answer for answer in answers if answer.status is UNKNOWN]
    if len(found) + len(open_) >= n:
        return _unknown(open_)
    return Answer(NOT_MET, parts=[answer for answer in answers if answer.status is NOT_MET])


def either(*answers: Answer) -> Answer:
    """Two ways to settle one question: met if one is, else not-met if one is (rule 13).

    A search that is missing keeps it from being not-met (rule 10).
    """
    found = [answer for answer in answers if answer.status is MET]
    if found:
        return Answer(MET, parts=found)
    failed = [answer for answer in answers if answer.status is NOT_MET]
    if failed and not any(map(_MISSING, answers)):
        return Answer(NOT_MET, parts=failed)
    return _unknown([answer for answer in answers if answer.status is UNKNOWN])


def settled(positive: Answer, *negatives: Answer) -> Answer:
    """For rows with a rule of their own for `not-met`: met as `positive` says, not-met if a negative is met."""
    if positive.status is not UNKNOWN or positive.missing:
        return positive
    against = [answer for answer in negatives if answer.status is MET]
    return Answer(NOT_MET, parts=against) if against else Answer(UNKNOWN, parts=(positive,))


_FLIPPED = {MET: NOT_MET, NOT_MET: MET, UNKNOWN: UNKNOWN}


def negated(answer: Answer) -> Answer:
    """Met becomes not-met and the reverse; unknown stays."""
    return Answer(_FLIPPED[answer.status], parts=(answer,), missing=answer.missing)


def none_met(*answers: Answer) -> Answer:
    """Met when none is; what is unknown does not block (rule 11)."""
    found = [answer for answer in answers if answer.status is MET]
    return Answer(NOT_MET, parts=found) if found else Answer(MET)


def only_positive(answer: Answer) -> Answer:
    """Counts when met and is silent otherwise (but a missing search stays missing)."""
    if answer.status is MET or answer.missing:
        return answer
    return Answer(UNKNOWN, parts=(answer,), silent=True)


def or_unknown(answer: Answer, phrase: str) -> Answer:
    """What is not met is not known here."""
    return unknown(phrase) if answer.status is NOT_MET else answer


def _unknown(open_: Sequence[Answer]) -> Answer:
    missing = frozenset().union(*map(_MISSING, open_))
    return Answer(UNKNOWN, parts=open_, missing=missing, silent=all(map(_SILENT, open_)))
