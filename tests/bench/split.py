"""Where the time of a call goes: the steps of `hooks.pipeline` one after the other, in this process."""

import time
from datetime import datetime
from itertools import pairwise
from typing import NamedTuple
from uuid import uuid4

import msgspec

from cds.cards import cards
from cds.evaluation import evaluate
from fhir_profiles.reading import read_chart
from fhir_profiles.record import open_record
from hooks.pipeline import Site, answer
from hooks.request import gather, parse_request
from hooks.services import SERVICES, Service

SERVICE: Service = SERVICES["back-pain-patient-view"]
_AT_LEAST = 9  # calls
_SECONDS = 1.5  # for one size


class Split(NamedTuple):
    """Seconds a step. envelope: checking and opening the request; decode: resources out of their JSON; read: what
    they state; evaluate, cards, encode: criteria, texts, JSON; whole: a call as the service makes it."""

    envelope: float
    decode: float
    read: float
    evaluate: float
    cards: float
    encode: float
    whole: float


def split(body: bytes, site: Site, at: datetime) -> Split:
    """The best of many calls at `at`, each new from the bytes on, so that nothing is remembered of the last one."""
    calls: list[list[float]] = []
    end = time.perf_counter() + _SECONDS
    while len(calls) < _AT_LEAST or time.perf_counter() < end:
        calls.append(_one_call(body, site, at))
    envelope, decode, read, *rest = map(min, zip(*calls, strict=True))
    return Split(envelope, decode, read - decode, *rest)


def _one_call(body: bytes, site: Site, at: datetime) -> list[float]:
    """Seconds of the steps. Decoding is a part of reading; it is done once more on its own to tell them apart."""
    zone, limits = site.settings.zone, site.settings.limits
    times = [time.perf_counter()]

    def lap() -> None:
        times.append(time.perf_counter())

    gathered = gather(parse_request(body, SERVICE), SERVICE)
    lap()
    open_record(gathered)
    lap()
    chart = read_chart(gathered, at, zone, site.knowledge)
    lap()
    evaluation = evaluate(chart, at, zone, limits)
    lap()
    shown = cards(evaluation, SERVICE.hook)
    lap()
    msgspec.json.encode(site.responder.response(shown, evaluation, uuid4))
    lap()
    answer(body, parse_request(body, SERVICE), SERVICE, site, at, uuid4)
    lap()
    return [end - begin for begin, end in pairwise(times)]
