"""Headers of every answer, and cross-origin calls from browsers (R135, R170 to R174; reliability.md, row 55).

One WSGI layer around everything, so that errors carry them too.
"""

import time
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from hooks.log import ISSUER, REQUEST_ID, STARTED

Environ = dict[str, Any]
StartResponse = Callable[..., Any]

_ALWAYS = [("X-Content-Type-Options", "nosniff"), ("Vary", "Origin")]
_PREFLIGHT = [
    ("Access-Control-Allow-Methods", "GET, POST, OPTIONS"),
    ("Access-Control-Allow-Headers", "authorization, content-type"),
    ("Access-Control-Max-Age", "600"),
]


class Origins:
    """Whose web pages may call. site: those of the site; clients: issuer -> those of a client; is_open: any."""

    def __init__(self, site: Collection[str], clients: Mapping[str, Collection[str]], is_open: bool) -> None:
        self._site = frozenset(site)
        self._clients = {issuer: frozenset(origins) for issuer, origins in clients.items()}
        self._all = self._site.union(*self._clients.values())
        self._is_open = is_open

    def allow(self, origin: str, issuer: str) -> bool:
        """issuer: of the client that calls; "" before anybody has said who it is, as in a preflight."""
        own = self._site | self._clients[issuer] if issuer in self._clients else self._all
        return self._is_open or origin in own


class OuterHeaders:
    """Credentials are never allowed across origins."""

    def __init__(self, app: Callable, origins: Origins, new_uuid: Callable[[], Any]) -> None:
        self._app = app
        self._origins = origins
        self._new_uuid = new_uuid

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        environ.setdefault(STARTED, time.perf_counter())  # a call may pass here twice, before and after its errand
        request_id = environ.setdefault(REQUEST_ID, str(self._new_uuid()))
        extra = self.headers(request_id, environ.get("HTTP_ORIGIN"), environ.get(ISSUER, ""))
        if len(extra) > len(_ALWAYS) + 1 and _is_preflight(environ):
            start_response("204 No Content", _PREFLIGHT + extra)
            return []

        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            return start_response(status, headers + extra, exc_info)

        return self._app(environ, start)

    def headers(self, request_id: str, origin: str | None, issuer: str = "") -> list[tuple[str, str]]:
        """Those that every answer has. issuer: of the client that calls, as far as it is known."""
        headers = [*_ALWAYS, ("X-Request-Id", request_id)]
        if origin and self._origins.allow(origin, issuer):
            headers += [("Access-Control-Allow-Origin", origin), ("Access-Control-Expose-Headers", "X-Request-Id")]
        return headers


def _is_preflight(environ: Environ) -> bool:
    return environ["REQUEST_METHOD"] == "OPTIONS" and "HTTP_ACCESS_CONTROL_REQUEST_METHOD" in environ
