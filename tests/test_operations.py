"""The port for those who run the service, and how a server lives and dies (rows 42 to 44; docs/operations.md)."""

import json
import os
import resource
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from granian import Granian
from prometheus_client.parser import text_string_to_metric_families

from hooks.replay import FILE
from hooks.supervisor import Supervisor
from hooks.turns import IN_FLIGHT, WAITING
from tests.fetch_rig import TOKEN, fetching, lacking
from tests.jwks_rig import registered
from tests.patience import PATIENCE, until
from tests.records import condition
from tests.service_rig import ROOT, Server, call, changed, end_orphans, free_port, path_of, patient, running

URL = path_of("patient-view")
SERVICE = "back-pain-patient-view"
MARK = "Zyx0wvu"


class Operated:
    """A server, and the port for those who run it."""

    def __init__(self, server: Server, port: int) -> None:
        self.server = server
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE)

    def ask(self, request: dict[str, Any] | None = None) -> httpx.Response:
        """On a connection of its own, so that any worker may get it."""
        return httpx.post(self.server.url + URL, json=request or call(), timeout=PATIENCE)

    def metrics(self) -> str:
        return self.http.get("/metrics").text

    def value(self, name: str, **labels: str) -> float:
        """The sum of the samples that have these labels."""
        families = text_string_to_metric_families(self.metrics())
        samples = [sample for family in families for sample in family.samples]
        return sum(each.value for each in samples if each.name == name and labels.items() <= each.labels.items())

    def workers(self) -> set[int]:
        return set(self.server.workers)


@contextmanager
def operated(folder: Path, *lines: str, workers: int = 1, top: str = "development = true") -> Iterator[Operated]:
    port = free_port()
    config = "\n".join([top, "[operations]", f"port = {port}", *lines])
    with running(folder, workers, config) as server:
        made = Operated(server, port)
        with made.http:
            yield made


# --- metrics ---------------------------------------------------------------------------------------------


def test_metrics_of_all_workers_together(tmp_path: Path):
    text = {**condition("osteoporosis"), "id": MARK}
    text["code"]["text"] = MARK
    marked = changed(call("patient-view", text), "prefetch.patient", patient(name=[{"family": MARK}]))
    partly = changed(marked, "prefetch.reports", ...)
    with operated(tmp_path, workers=2) as there:
        for request in [marked] * 11 + [partly]:
            assert there.ask(request).status_code == 200
        assert there.ask({"hook": MARK}).status_code == 400
        httpx.get(there.server.url + f"/{MARK}")
        until(lambda: there.value("backpain_cds_calls_total") >= 14)
        assert there.value("backpain_cds_calls_total", service=SERVICE, status="200") == 12
        assert there.value("backpain_cds_calls_total", service=SERVICE, status="400") == 1
        assert there.value("backpain_cds_call_seconds_count", service=SERVICE) == 12
        assert there.value("backpain_cds_call_seconds_bucket", service=SERVICE, le="+Inf") == 12
        assert 0 < there.value("backpain_cds_call_seconds_sum") < 12 * 4.2
        assert there.value("backpain_cds_criteria_total", criterion="fracture-risk", status="met") == 12
        assert there.value("backpain_cds_criteria_total", criterion="fracture-risk") == 12
        assert there.value("backpain_cds_criteria_total", criterion="cauda-equina") == 12
        assert there.value("backpain_cds_cards_total", group="red-flag") == 12
        assert there.value("backpain_cds_prefetch_total", key="reports", how="sent") == 11
        assert there.value("backpain_cds_prefetch_total", key="reports", how="missing") == 1
        assert there.value("backpain_cds_workers") == 2
        assert there.value("backpain_cds_build") == 1
        assert there.value("backpain_cds_waiting") == 0
        assert MARK.lower() not in there.metrics().lower()


def test_what_a_worker_counted_before_it_died_is_not_lost(tmp_path: Path):
    with operated(tmp_path) as there:
        for _ in range(3):
            there.ask()
        until(lambda: there.value("backpain_cds_calls_total", status="200", service=SERVICE) == 3)
        (first,) = there.workers()
        os.kill(first, signal.SIGKILL)
        until(lambda: there.workers() and there.workers() != {first} and there.value("backpain_cds_workers") == 1)
        there.ask()
        until(lambda: there.value("backpain_cds_calls_total", status="200", service=SERVICE) == 4)
        assert there.value("backpain_cds_criteria_total", criterion="cauda-equina") == 4


def test_metrics_are_not_for_callers(tmp_path: Path):
    with operated(tmp_path) as there:
        assert there.server.http.get("/metrics").status_code == 404
        assert there.http.post("/metrics").status_code == 501
        assert there.http.get("/elsewhere").status_code == 404
        assert there.http.get("/metrics").headers["content-type"].startswith("text/plain")


def test_a_port_that_is_taken_stops_the_start(tmp_path: Path):
    with operated(tmp_path) as there:
        port = there.http.base_url.port
        config = f"development = true\n[operations]\nport = {port}\n"
        with pytest.raises(RuntimeError, match="operations"), running(tmp_path, config=config):
            pass


# --- probes ----------------------------------------------------------------------------------------------


def test_row_43_probes(tmp_path: Path):
    with operated(tmp_path) as there:
        for http in (there.http, there.server.http):
            assert http.get("/livez").status_code == 200
            assert http.get("/readyz").json()["status"] == "ready"
        assert there.server.http.get("/readyz").json()["data"] == "prefetch and FHIR servers"


def test_without_a_list_of_fhir_servers_readiness_says_so(tmp_path: Path):
    with running(tmp_path, config=registered(tmp_path)) as server:
        assert server.http.get("/readyz").json() == {"status": "ready", "data": "prefetch only"}


def test_row_43_a_store_that_takes_nothing_makes_it_unready_and_not_dead(tmp_path: Path):
    with operated(tmp_path, top='development = true\ndata_dir = "."') as there:
        lock = sqlite3.connect(tmp_path / FILE, isolation_level=None)
        lock.execute("BEGIN EXCLUSIVE")
        until(lambda: there.http.get("/readyz").status_code == 503)
        assert there.server.http.get("/readyz").json()["missing"] == ["tokens"]
        until(lambda: there.value("backpain_cds_alarm", alarm="tokens") == 1)
        assert there.http.get("/livez").status_code == there.server.http.get("/livez").status_code == 200
        assert there.ask().status_code == 200
        lock.execute("COMMIT")
        lock.close()
        until(lambda: there.http.get("/readyz").status_code == there.server.http.get("/readyz").status_code == 200)


# --- life and death --------------------------------------------------------------------------------------


def test_row_42_it_listens_while_the_proxy_notices_that_it_will_stop(tmp_path: Path):
    with operated(tmp_path, "drain_seconds = 3") as there:
        kept = there.server.http
        assert "connection" not in kept.get("/readyz").headers
        there.server.process.send_signal(signal.SIGTERM)
        until(lambda: there.http.get("/readyz").status_code == 503)
        assert kept.get("/readyz").json()["missing"] == ["draining"]
        assert there.http.get("/livez").status_code == 200
        answer = there.ask()
        assert answer.status_code == 200
        assert answer.headers["connection"] == "close"
        assert there.server.process.wait(timeout=PATIENCE) == 0


def test_row_42_a_second_signal_cuts_the_pause_short(tmp_path: Path):
    with operated(tmp_path, "drain_seconds = 300") as there:
        there.server.process.send_signal(signal.SIGTERM)
        until(lambda: there.http.get("/readyz").status_code == 503)
        there.server.process.send_signal(signal.SIGTERM)
        assert there.server.process.wait(timeout=PATIENCE) == 0


def test_a_worker_that_is_told_to_stop_while_it_is_made_stops_before_it_does_anything():
    """The handler stands for that of the server, which only takes note."""
    made = """
import os, signal
from hooks.supervisor import held_back
from hooks.worker import die_when_told_while_loading

def start():
    os.kill(os.getpid(), signal.SIGTERM)
    die_when_told_while_loading()
    print("goes on")

signal.signal(signal.SIGTERM, lambda *_: None)
held_back(start)()
"""
    ran = subprocess.run([sys.executable, "-c", made], cwd=ROOT, capture_output=True, text=True)
    assert (ran.returncode, ran.stdout, ran.stderr) == (-signal.SIGTERM, "", "")


def test_a_worker_that_is_told_to_stop_before_its_event_loop_turns_hears_it():
    made = """
import asyncio, os, signal
import uvloop
from hooks.worker import hear_signals, hold_signals

loop = uvloop.new_event_loop()
told = loop.create_future()
hold_signals()
loop.add_signal_handler(signal.SIGTERM, told.set_result, "told")
os.kill(os.getpid(), signal.SIGTERM)
loop.create_task(hear_signals())
print(loop.run_until_complete(asyncio.wait_for(told, 60)))
"""
    ran = subprocess.run([sys.executable, "-c", made], cwd=ROOT, capture_output=True, text=True)
    assert (ran.stdout, ran.stderr) == ("told\n", "")


LOADED = """
import signal, sys
from pathlib import Path
from hooks.audit.identifiers import make_key
from hooks.worker import load_worker

folder = Path(sys.argv[1])
make_key(folder)
load_worker(None, True, 8080, folder, folder)
"""


def in_a_loaded_worker(folder: Path, script: str, *arguments: int) -> str:
    """What it prints."""
    asked = [sys.executable, "-c", LOADED + script, str(folder), *map(str, arguments)]
    ran = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True)
    assert ran.stderr == ""
    return ran.stdout


def test_a_worker_that_is_loaded_holds_signals_until_its_event_loop_turns(tmp_path: Path):
    held = "print(signal.SIGTERM in signal.pthread_sigmask(signal.SIG_BLOCK, ()))"
    assert in_a_loaded_worker(tmp_path, held) == "True\n"


def test_in_a_worker_the_thread_that_receives_does_not_wait_for_several_calls(tmp_path: Path):
    """A call of a common chart takes two milliseconds, and Python's own interval is five."""
    assert float(in_a_loaded_worker(tmp_path, "print(sys.getswitchinterval())")) <= 0.001


@pytest.mark.parametrize(
    ("octets", "number", "is_kept"), [(200_000, 24, True), (3_000_000, 4, True), (8_000_000, 1, False)]
)
def test_what_a_body_has_left_is_there_for_the_next_unless_it_is_large(
    tmp_path: Path, octets: int, number: int, is_kept: bool
):
    """Pages asked for anew for each body cost the interpreter's time; large ones would be missed elsewhere."""
    made = """
import resource
from threading import Thread

octets, number = map(int, sys.argv[2:])

def receive():
    for _ in range(20):
        bodies = [b"x" * octets for _ in range(number)]
        bodies.clear()

before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
thread = Thread(target=receive)
thread.start()
thread.join()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
    asked_for = int(in_a_loaded_worker(tmp_path, made, octets, number))
    needed_once = octets * number // resource.getpagesize()
    assert (asked_for < 10 * needed_once) == is_kept


def test_signals_are_held_back_while_a_worker_is_made_and_no_longer(monkeypatch: pytest.MonkeyPatch):
    held: list[bool] = []

    def look() -> None:
        held.append(signal.SIGTERM in signal.pthread_sigmask(signal.SIG_BLOCK, ()))

    monkeypatch.setattr(Granian, "_spawn_worker", lambda self, *args, **kwargs: SimpleNamespace(start=look))
    Supervisor._spawn_worker(object.__new__(Supervisor)).start()
    look()
    assert held == [True, False]


def test_row_44_a_worker_that_is_stuck_is_replaced(tmp_path: Path):
    with operated(tmp_path, "stuck_seconds = 3") as there:
        (stuck,) = there.workers()
        os.kill(stuck, signal.SIGSTOP)
        until(lambda: there.http.get("/livez").status_code == 503)
        until(lambda: there.http.get("/readyz").status_code == 200)
        assert stuck not in there.workers()
        assert there.ask().status_code == 200
        assert '"alarm":"worker-stuck"' in there.server.log


def test_row_44_a_log_that_nobody_reads_keeps_no_call_waiting(tmp_path: Path):
    """A pipe holds 64 KiB; the lines of three hundred calls are more."""
    port = free_port()
    start = f"from hooks.server import serve; serve('127.0.0.1', {port}, 1, None)"
    process = subprocess.Popen(
        [sys.executable, "-c", start],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        cwd=ROOT,
        start_new_session=True,
    )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE) as http:
            until(lambda: _answers(http))
            request = call("patient-view", condition("osteoporosis"), condition("iv-drug-use", days_ago=5))
            assert {http.post(URL, json=request).status_code for _ in range(300)} == {200}
    finally:
        process.terminate()
        assert process.wait(timeout=PATIENCE) == 0
        process.stderr.close()
        end_orphans(process.pid)


def _answers(http: httpx.Client) -> bool:
    try:
        return http.get("/readyz").status_code == 200
    except httpx.TransportError:
        return False


def test_row_39_what_is_too_much_is_told_at_once(tmp_path: Path):
    """Of a hundred calls at the same moment some are refused; whoever is not refused is answered."""
    body = json.dumps(call("patient-view", condition("osteoporosis"))).encode()
    head = f"POST {URL} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\nOrigin: https://a.org\r\n\r\n"
    with operated(tmp_path) as there:
        connections = [there.server.connect() for _ in range(100)]
        for connection in connections:
            connection.sendall(head.encode() + body)
        answers = [connection.recv(65536).partition(b"\r\n\r\n") for connection in connections]
        for connection in connections:
            connection.close()
        statuses = [int(head[9:12]) for head, _, _ in answers]
        assert set(statuses) == {200, 503}
        assert statuses.count(200) >= IN_FLIGHT + WAITING
        head, _, content = answers[statuses.index(503)]
        assert json.loads(content)["issue"][0]["code"] == "throttled"
        assert {b"retry-after: 1", b"access-control-allow-origin: https://a.org"} <= set(head.lower().split(b"\r\n"))
        assert there.ask().status_code == 200
        until(lambda: there.value("backpain_cds_calls_total", status="503") == statuses.count(503))
    assert there.server.log.count('"alarm":"calls-refused"') == 1


# --- traces ----------------------------------------------------------------------------------------------


def test_traces_say_where_the_time_went_and_nothing_of_the_patient(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    heard: list[bytes] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            heard.append(self.path.encode() + self.rfile.read(int(self.headers["content-length"])))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    collector = ThreadingHTTPServer(("127.0.0.1", 0), Collector)
    Thread(target=collector.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{collector.server_port}")
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "100")
    wanted = (b"/v1/traces", b"call", b"fetch", b"evaluate", b"backpain-cds", SERVICE.encode())
    with fetching(tmp_path, condition("osteoporosis") | {"id": MARK}) as there:
        assert there.ask(lacking(there.rig.base(), hook="patient-view")).status_code == 200
        assert there.ask({"hook": "patient-view", "context": MARK}).status_code == 400
        until(lambda: all(name in b"".join(heard) for name in wanted))
    collector.shutdown()
    collector.server_close()
    said = b"".join(heard).lower()
    assert not [each for each in (MARK, TOKEN, "127.0.0.1") if each.lower().encode() in said]
