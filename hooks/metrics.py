"""Prometheus metrics of a whole server: what its workers counted, put together (docs/operations.md).

The workers' counts come from files (hooks/counters.py), so that one port shows all of them, and what a worker counted
before it died is not lost.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path

import msgspec
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from cds.answers import MET, UNKNOWN
from cds.evaluation import CATALOGUE
from hooks.board import is_alive
from hooks.counters import BOUNDS, SEPARATOR, Counts

PREFIX = "backpain_cds_"

_TOTALS = {
    "calls": ("Calls answered, by service and HTTP status; no service: other URLs", ("service", "status")),
    "cards": ("Cards sent", ("group", "indicator")),
    "criteria": ("Answers of each criterion, silent ones too", ("criterion", "status")),
    "prefetch": ("How the data of each prefetch key came: sent, fetched or missing", ("key", "how")),
    "faults": ("What FHIR servers did not bring, by reason", ("reason",)),
    "feedback": ("Feedback kept, by outcome", ("outcome",)),
}
_GAUGES = {
    "build": ("What is running", ("release", "catalogue", "knowledge")),
    "circuit_open": ("1 while a worker leaves this FHIR server alone because it failed", ("server",)),
    "waiting": ("Calls that are being computed or wait for that", ()),
    "fetching": ("Calls that wait for a FHIR server", ()),
    "audit_waiting_octets": ("Octets of the audit that are not in the database yet", ()),
    "alarm": ("1 while something is wrong that a person should look at", ("alarm",)),
    "audit_rows_lost": ("Calls that the audit could not keep", ()),
    "log_lines_dropped": ("Log lines that nobody read in time", ()),
}
_LARGEST = frozenset(("build", "circuit_open", "alarm", "audit_waiting_octets"))
"""Gauges of which all workers see the same: not to be added up."""

_decode = msgspec.json.Decoder(Counts).decode


class Metrics(Collector):
    """folder: where the workers leave their counts."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._past = Counts()

    def collect(self) -> Iterator[Metric]:
        living = list(self._living())
        known = [self._past, *living]
        yield GaugeMetricFamily(f"{PREFIX}workers", "Worker processes that count", value=len(living))
        yield from (_total(name, known) for name in _TOTALS)
        yield _seconds(known)
        yield from (_gauge(name, living) for name in _GAUGES)

    def _living(self) -> Iterator[Counts]:
        """The counts of the workers at work; what the others counted is kept and their files are not."""
        for file in sorted(self._folder.glob("*.json")):
            counts = _decode(file.read_bytes())
            if is_alive(int(file.stem)):
                yield counts
            else:
                self._past = _sum(self._past, counts)
                file.unlink()


def _sum(one: Counts, other: Counts) -> Counts:
    return Counts({name: _added(name, [one, other]) for name in _TOTALS}, _all_seconds([one, other]))


def _added(name: str, known: list[Counts]) -> Counter[str]:
    return sum((Counter(counts.totals.get(name, {})) for counts in known), Counter())


def _all_seconds(known: list[Counts]) -> dict[str, list[float]]:
    services = {service for counts in known for service in counts.seconds}
    lists = {service: [each.seconds[service] for each in known if service in each.seconds] for service in services}
    return {service: [sum(numbers) for numbers in zip(*found, strict=True)] for service, found in lists.items()}


def _total(name: str, known: list[Counts]) -> Metric:
    """Counts of criteria begin at 0, so that one that never fires can be seen."""
    told, labels = _TOTALS[name]
    family = CounterMetricFamily(f"{PREFIX}{name}", told, labels=labels)
    counts = dict(_added(name, known))
    if name == "criteria":
        counts = {SEPARATOR.join((each.id, status)): 0 for each in CATALOGUE for status in (MET, UNKNOWN)} | counts
    for joined, number in sorted(counts.items()):
        family.add_metric(joined.split(SEPARATOR), number)
    return family


def _seconds(known: list[Counts]) -> Metric:
    told = "Seconds that answered calls took, from their first octets, fetching and all"
    family = HistogramMetricFamily(f"{PREFIX}call_seconds", told, labels=("service",))
    for service, (*buckets, total) in sorted(_all_seconds(known).items()):
        names = [*map(str, BOUNDS), "+Inf"]
        family.add_metric([service], list(zip(names, accumulate(buckets), strict=True)), total)
    return family


def _gauge(name: str, living: list[Counts]) -> Metric:
    told, labels = _GAUGES[name]
    family = GaugeMetricFamily(f"{PREFIX}{name}", told, labels=labels)
    found: defaultdict[str, list[float]] = defaultdict(list)
    for counts in living:
        for joined, value in counts.gauges.get(name, {}).items():
            found[joined].append(value)
    for joined, values in sorted(found.items()):
        family.add_metric(joined.split(SEPARATOR) if labels else [], (max if name in _LARGEST else sum)(values))
    return family
