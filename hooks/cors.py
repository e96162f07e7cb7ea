"""Headers of every answer, and cross-origin calls from browsers (R135, R170 to R174; reliability.md, row 55).

One WSGI layer around everything, so that errors carry them too.
"""

import time
from collections.abc import Callable, Iterable
from typing import Any

from hooks.log import REQUEST_ID, STARTED

Environ = dict[str, Any]
StartResponse = Callable[..., Any]

_ALWAYS = [("X-Content-Type-Options", "nosniff"), ("Vary", "Origin")]
_PREFLIGHT = [
    ("Access-Control-Allow-Methods", "GET, POST, OPTIONS"),
    ("Access-Control-Allow-Headers", "authorization, content-type"),
    ("Access-Control-Max-Age", "600"),
]


class OuterHeaders:
    """origins: those that may call from a browser; None: any (development). Credentials are never allowed."""

    def __init__(self, app: Callable, origins: frozenset[str] | None, new_uuid: Callable[[], Any]) -> None:
        self._app = app
        self._origins = origins
        self._new_uuid = new_uuid

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        environ.setdefault(STARTED, time.perf_counter())  # a call may pass here twice, before and after its errand
        request_id = environ.setdefault(REQUEST_ID, str(self._new_uuid()))
        extra = [*_ALWAYS, ("X-Request-Id", request_id), *self._cross_origin(environ.get("HTTP_ORIGIN"))]
        if len(extra) > len(_ALWAYS) + 1 and _is_preflight(environ):
            start_response("204 No Content", _PREFLIGHT + extra)
            return []

        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            return start_response(status, headers + extra, exc_info)

        return self._app(environ, start)

    def _cross_origin(self, origin: str | None) -> list[tuple[str, str]]:
        if not origin or (self._origins is not None and origin not in self._origins):
            return []
        return [("Access-Control-Allow-Origin", origin), ("Access-Control-Expose-Headers", "X-Request-Id")]


def _is_preflight(environ: Environ) -> bool:
    return environ["REQUEST_METHOD"] == "OPTIONS" and "HTTP_ACCESS_CONTROL_REQUEST_METHOD" in environ
