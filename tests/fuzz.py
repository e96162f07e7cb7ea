"""Requests that are almost right, by the thousand, against a real server (reliability.md, rows 1 and 4, promise P1).

    python -m tests.fuzz --requests 10000 [--workers 2] [--seed 1]

Three sources: every element of good calls replaced by each JSON type, dropped, doubled or buried; Hypothesis, which
changes several places of sample charts, their bytes and their headers; Schemathesis, which reads our OpenAPI document.
No answer may be a 5xx, every answer is one that the document names, and no worker may have died.
"""

import argparse
import copy
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import schemathesis
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode, checks

from fhir_profiles import samples
from tests.service_rig import HOOKS, JSON, Server, call, call_from, path_of, patient, running
from tests.test_reading_properties import RICH, element, json_values, paths, removed, replaced

SHARES = {"elements": 0.7, "schemathesis": 0.1}
"""Of all requests; the rest is Hypothesis."""

NOBODY = "http://127.0.0.1:9/fhir"
"""A FHIR server that may be asked, and is not there."""
AUTHORIZATION = {
    "access_token": "x",
    "token_type": "Bearer",
    "expires_in": 300,
    "scope": "patient/*.rs",
    "subject": "cds",
}
FAULT = 500
"""The first status that no request may cause."""

_TWICE = "twice\N{SNOWMAN}"  # marks a member that is to have the name of the one beside it
_CHECKS = [
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]


class Sent(NamedTuple):
    """A request that is almost right."""

    path: str
    body: bytes
    headers: dict[str, str] = {"Content-Type": JSON}  # noqa: RUF012


class Tally:
    """What was answered: how often each status, the slowest answer in seconds, and the requests that hurt."""

    def __init__(self) -> None:
        self.statuses: Counter[int] = Counter()
        self.slowest = 0.0
        self.hurt: list[str] = []

    def count(self, status: int, seconds: float, request: str) -> None:
        self.statuses[status] += 1
        self.slowest = max(self.slowest, seconds)
        if status >= FAULT:
            self.hurt.append(f"{status}: {request[:300]}")


def send(server: Server, sent: Sent, tally: Tally) -> httpx.Response:
    began = time.perf_counter()
    answer = server.http.post(sent.path, content=sent.body, headers=sent.headers)
    tally.count(answer.status_code, time.perf_counter() - began, f"POST {sent.path} {sent.body!r}")
    answer.json()
    return answer


# --- every element of good calls ---------------------------------------------------------------------------


@cache
def good_calls() -> dict[str, dict[str, Any]]:
    """Hook -> a call; that of patient-view brings one of each resource, with every element that is read."""
    rich = (resource | {"id": f"r{number}"} for number, resource in enumerate(RICH.values()))
    calls = {hook: call(hook, *rich) if hook == "patient-view" else call(hook) for hook in HOOKS}
    return {
        hook: request | {"fhirServer": NOBODY, "fhirAuthorization": AUTHORIZATION} for hook, request in calls.items()
    }


def _set(value: Any) -> Callable[[Any, tuple], Any]:
    return lambda request, place: replaced(request, place, value)


def _doubled(request: Any, place: tuple) -> Any:
    """The item once more, or a second member of the same name, of another type."""
    changed = copy.deepcopy(request)
    *way, last = place
    parent = element(changed, tuple(way))
    if isinstance(parent, list):
        parent.insert(last, parent[last])
    else:
        parent[f"{_TWICE}{last}"] = [parent[last]]
    return changed


def _buried(request: Any, place: tuple) -> Any:
    return replaced(request, place, {"x": [element(request, place)]})


CHANGES: dict[str, Callable[[Any, tuple], Any]] = {
    "null": _set(None),
    "boolean": _set(True),
    "number": _set(-7.5),
    "string": _set("x"),
    "array": _set([]),
    "object": _set({}),
    "array of null": _set([None]),
    "dropped": removed,
    "doubled": _doubled,
    "buried": _buried,
}


def encoded(request: Any) -> bytes:
    return json.dumps(request).replace(json.dumps(_TWICE)[1:-1], "").encode()


def all_elements() -> list[tuple[str, tuple, str]]:
    """Hook, place and change of everything that can be done to one element of a good call."""
    places = ((hook, place) for hook, request in good_calls().items() for place in paths(request))
    return [(hook, place, change) for hook, place in places for change in CHANGES]


def changed_elements(at_most: int) -> Iterator[Sent]:
    """So many of them, spread evenly; all when there are no more."""
    every = all_elements()
    step = max(1.0, len(every) / at_most)
    for number in range(min(at_most, len(every))):
        hook, place, change = every[int(number * step)]
        yield Sent(path_of(hook), encoded(CHANGES[change](good_calls()[hook], place)))


def send_elements(server: Server, at_most: int, tally: Tally) -> None:
    for sent in changed_elements(at_most):
        send(server, sent, tally)


# --- Hypothesis: several places, bytes and headers ---------------------------------------------------------


@cache
def _charts() -> list[tuple[str, dict[str, Any]]]:
    views = [
        (hook, call_from(samples.load(name), hook))
        for name in samples.names()
        for hook in ("patient-view", "order-sign")
    ]
    return views + list(good_calls().items())


@st.composite
def almost_right(draw: st.DrawFn) -> Sent:
    hook, request = draw(st.sampled_from(_charts()))
    for _ in range(draw(st.integers(0, 4))):
        places = list(paths(request))
        if places:
            request = _changed(draw, request, draw(st.sampled_from(places)))
    body = encoded(request)
    for _ in range(draw(st.integers(0, 3))):
        body = draw(_damaged(body))
    return Sent(path_of(hook), body, draw(_HEADERS))


def _changed(draw: st.DrawFn, request: Any, place: tuple) -> Any:
    change = draw(st.sampled_from([*CHANGES, "anything", "strange text"]))
    if change in CHANGES:
        return CHANGES[change](request, place)
    return replaced(request, place, draw(json_values if change == "anything" else _STRANGE))


_STRANGE = st.sampled_from(
    ["\ud800", "\x00", "\u202e", "Patient/" * 2000, "9" * 5000, "1e999", "\N{GRINNING FACE}" * 300, "../../p1", "{{x}}"]
) | st.text(max_size=40)
_TYPES = [
    JSON,
    "application/fhir+json",
    "application/json; charset=utf-8",
    "application/json;charset",
    "text/html",
    "x",
]
_HEADERS = st.fixed_dictionaries(
    {"Content-Type": st.sampled_from(_TYPES[:1] * 12 + _TYPES)},
    optional={
        "Content-Encoding": st.sampled_from(["identity", "gzip"]),
        "Authorization": st.sampled_from(["", "Bearer", "Bearer x.y.z", "Basic eA==", "Bearer " + "x" * 9000]),
    },
) | st.just({"Content-Type": JSON})


def _damaged(body: bytes) -> st.SearchStrategy[bytes]:
    """One byte another, some bytes gone, some put in, or the rest cut off."""
    places = st.integers(0, max(len(body) - 1, 0))
    bits = st.integers(1, 255)
    odd = st.sampled_from([b"\xff", b"\xef\xbb\xbf", b"\x00", b"NaN", b"[" * 500, b"1e999", b"\\ud800", b'{"":'])
    return st.one_of(
        st.builds(lambda at, bit: body[:at] + bytes([(body[at] if body else 0) ^ bit]) + body[at + 1 :], places, bits),
        st.builds(lambda at, size: body[:at] + body[at + size :], places, st.integers(1, 20)),
        st.builds(lambda at, put: body[:at] + put + body[at:], places, odd | st.binary(max_size=8)),
        st.builds(lambda at: body[:at], places),
    )


def send_hypothesis(server: Server, requests: int, tally: Tally, start: int) -> None:
    """Raises AssertionError with the smallest request found that causes a 5xx."""

    @seed(start)
    @settings(max_examples=requests, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(almost_right())
    def never_hurts(sent: Sent) -> None:
        answer = send(server, sent, tally)
        assert answer.status_code < FAULT, sent

    never_hurts()


# --- Schemathesis: our own OpenAPI document ----------------------------------------------------------------


def send_schemathesis(server: Server, requests: int, tally: Tally, start: int) -> None:
    """Cases that are as the document describes them, and cases that are not. Raises what a check finds."""
    document = schemathesis.openapi.from_dict(server.http.get("/openapi.json").json())
    operations = [found.ok() for found in document.get_all_operations()]
    calls = [operation for operation in operations if operation.method == "post"]
    for operation in (operation for operation in operations if operation not in calls):
        _send_cases(server, operation, GenerationMode.POSITIVE, 3, tally, start)
    for operation in calls:
        for mode in GenerationMode:
            _send_cases(server, operation, mode, max(1, requests // (2 * len(calls))), tally, start)


def _send_cases(server: Server, operation: Any, mode: GenerationMode, count: int, tally: Tally, start: int) -> None:
    cases = operation.as_strategy(generation_mode=mode)

    @seed(start)
    @settings(max_examples=count, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(cases, st.booleans())
    def answered_as_described(case: Any, with_patient: bool) -> None:
        if mode is GenerationMode.POSITIVE and isinstance(case.body, dict):
            _make_coherent(case.body, with_patient)
        answer = case.call(base_url=server.url)
        tally.count(answer.status_code, answer.elapsed, f"{operation.label} {case.body!r}")
        case.validate_response(answer, checks=_CHECKS)
        fine = (200, 304, 404 if operation.path.startswith("/fhir/") else 412)  # no schema lists what is there to read
        assert mode is GenerationMode.NEGATIVE or answer.status_code in fine, answer.text

    answered_as_described()


def _make_coherent(body: dict[str, Any], with_patient: bool) -> None:
    """No schema can say that two members name one patient; nor does ours say all that is wrong with a URL."""
    if "context" not in body:  # of feedback
        return
    body.get("fhirAuthorization", {}).pop("patient", None)
    body.get("prefetch", {}).pop("patient", None)
    if "fhirServer" in body:
        body["fhirServer"] = NOBODY if with_patient else "https://ehr.example.org/fhir"
    if with_patient:
        body["context"]["patientId"] = patient()["id"]
        body["prefetch"] = {"conditions": None} | body.get("prefetch", {}) | {"patient": patient()}


# --- all of it ---------------------------------------------------------------------------------------------


def workers(server: Server) -> set[tuple[int, str]]:
    """Process id and starting time of each: another set means that one died."""
    return {(each, Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()[19]) for each in server.workers}


def fuzz(server: Server, requests: int, start: int = 0) -> Tally:
    """At least so many requests from the three sources. Raises AssertionError when something hurts."""
    tally = Tally()
    before = workers(server)
    assert before
    send_elements(server, round(requests * SHARES["elements"]), tally)
    send_schemathesis(server, round(requests * SHARES["schemathesis"]), tally, start)
    send_hypothesis(server, max(1, requests - tally.statuses.total()), tally, start)
    assert tally.hurt == []
    assert workers(server) == before, "a worker died"
    return tally


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--requests", type=int, default=10_000, help="at least so many (10000)")
    parser.add_argument("--workers", type=int, default=2, help="workers of the server (2)")
    parser.add_argument("--seed", type=int, default=0, help="another seed, other requests (0)")
    options = parser.parse_args()
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder, running(Path(folder), workers=options.workers) as server:
        tally = fuzz(server, options.requests, options.seed)
    took = time.perf_counter() - began
    said = {"requests": tally.statuses.total(), "statuses": dict(sorted(tally.statuses.items()))}
    said |= {"5xx": len(tally.hurt), "worker deaths": 0, "slowest s": round(tally.slowest, 3), "took s": round(took, 1)}
    print(json.dumps(said, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
