"""The port for those who run the service: metrics, and probes that answer whatever the workers do (rows 27, 43).

It is served by a thread of the server's own process, off unless the site names a port, and on loopback unless it names
an address. Nothing it says is about a patient or a client.
"""

import os
import sys
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import msgspec
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from hooks.board import Board
from hooks.errors import SettingsError
from hooks.log import log_alarm

_CLIENT_SECONDS = 5
_JSON = "application/json"

Said = tuple[int, str, bytes]  # status, content type, body


class Operations:
    """stuck_seconds: after which a worker that gives no sign of life counts as none."""

    def __init__(self, board: Board, metrics: Collector, stuck_seconds: float) -> None:
        self._board = board
        self._stuck_seconds = stuck_seconds
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(metrics)

    def say(self, path: str, accept: str) -> Said:
        """The answer to a GET. accept: formats of metrics that the client takes."""
        if path == "/metrics":
            encode, kind = choose_encoder(accept)
            return 200, kind, encode(self._registry)
        if path == "/livez":
            return _probe("no worker answers" if not self._living() else "", "live")
        if path == "/readyz":
            return _probe(self._missing(), "ready")
        return 404, _JSON, msgspec.json.encode({"status": "there are /metrics, /livez and /readyz"})

    def _missing(self) -> str:
        """Why no calls should be sent; "" when they should. A worker that is being replaced takes nothing away."""
        if self._board.is_draining:
            return "draining"
        living = self._living()
        if not living:
            return "no worker answers"
        return "" if all(seat.is_ready for seat in living) else "a worker is not ready: its own /readyz says why"

    def _living(self) -> list:
        since = time.monotonic() - self._stuck_seconds
        return [seat for seat in self._board.seats() if seat.beat >= since]


def _probe(missing: str, status: str) -> Said:
    said = {"status": f"not {status}", "missing": [missing]} if missing else {"status": status}
    return 503 if missing else 200, _JSON, msgspec.json.encode(said)


def listen(host: str, port: int, say: Callable[[str, str], Said]) -> Callable[[], None]:
    """Take the port; what comes back starts answering. Raises SettingsError when it cannot be had.

    Workers that are started later do not keep it open.
    """

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = _CLIENT_SECONDS

        def do_GET(self) -> None:
            status, kind, body = say(self.path.partition("?")[0], self.headers.get("accept", ""))
            self.send_response_only(status)
            for name, value in (("Content-Type", kind), ("Content-Length", str(len(body))), ("Connection", "close")):
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing: there is a probe every few seconds."""

    try:
        server = _Server((host, port), Handler)
    except OSError as error:
        raise SettingsError(f"operations_port: cannot listen on {host} port {port}: {error.strerror}") from None
    os.register_at_fork(after_in_child=server.server_close)
    return threading.Thread(target=server.serve_forever, name="operations", daemon=True).start


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64
    block_on_close = False

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away is no news."""
        kind = sys.exc_info()[0]
        if kind and not issubclass(kind, ConnectionError | TimeoutError):
            log_alarm("operations", error=kind.__name__)
