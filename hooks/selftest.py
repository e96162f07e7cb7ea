"""Does every criterion still speak? Asked at start and again and again while the service runs (reliability.md, row 45).

Each criterion in force has to be met on the record that was made to meet it, and not on the one that was made not to.
One that fails at start keeps the service from starting; one that fails later raises an alarm and makes the worker not
ready. A criterion that is disabled, or off for everybody, is not asked: to take it out of use is the remedy.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace

from cds.answers import MET
from cds.evaluation import CATALOGUE
from fhir_profiles.read_codes import forget
from fhir_profiles.terminology import Knowledge
from fhir_profiles.vignettes import Vignette, judge, vignettes
from hooks.errors import SettingsError
from hooks.log import log_alarm

ROUND_SECONDS = 300.0
"""How long it takes until every criterion was asked once more."""


class SelfTest:
    """One worker's. left_out: the ids of the criteria that nobody depends on at this moment.

    failing: criterion id -> what is wrong with it, of those asked last; empty when all is well.
    """

    def __init__(self, knowledge: Knowledge, left_out: Callable[[], frozenset[str]]) -> None:
        self._knowledge = replace(knowledge)  # has a memory of its own of what codes mean
        self._left_out = left_out
        self._next = _round()
        self.failing: dict[str, str] = {}

    def run(self) -> None:
        """Ask all of them. Raises SettingsError naming those that fail."""
        for _ in CATALOGUE:
            self._step()
        if self.failing:
            said = "; ".join(f"{id_} {problem}" for id_, problem in self.failing.items())
            raise SettingsError(
                f"self-test: {said}. A value set or a rule is broken: mend it (concepts_dir, the installed release), "
                "or take the criterion out of use (disabled, or switch it off)"
            )

    def step(self) -> None:
        """Ask the next one, and raise an alarm when it fails: a few milliseconds."""
        id_ = self._step()
        if id_ in self.failing:
            log_alarm("self-test", criterion=id_, problem=self.failing[id_])

    @property
    def seconds(self) -> float:
        """How long to wait between two steps."""
        return ROUND_SECONDS / len(CATALOGUE)

    def _step(self) -> str:
        id_ = next(self._next)
        forget(self._knowledge)
        problem = "" if id_ in self._left_out() else fault(id_, self._knowledge)
        self.failing.pop(id_, None)
        if problem:
            self.failing[id_] = problem
        return id_


def fault(id_: str, knowledge: Knowledge) -> str:
    """What is wrong with a criterion, in words; "" when nothing is."""
    vignette = vignettes()[id_]
    try:
        return _compared(id_, vignette, knowledge)
    except Exception as error:  # noqa: BLE001 - whatever it is, the criterion does not work
        return f"fails with {type(error).__name__}"


def _compared(id_: str, vignette: Vignette, knowledge: Knowledge) -> str:
    if judge(vignette.met, vignette.hook, knowledge).answers[id_].status is not MET:
        return "is not met by the sample that should meet it"
    if judge(vignette.not_met, vignette.hook, knowledge).answers[id_].status is MET:
        return "is met by the sample that should not meet it"
    return ""


def _round() -> Iterator[str]:
    while True:
        yield from (entry.id for entry in CATALOGUE)
