"""A CDS Hooks service over HTTP, as a client sees it: discovery and calls, with limits on what is waited for."""

import http.client
import ipaddress
import urllib.error
import urllib.request
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit

import msgspec

from hooks.cli.terminal import Unusable

TIMEOUT_SECONDS = 10.0
MAX_ANSWER = 10 * 1024 * 1024

_HEADERS = {"Accept": "application/json, application/fhir+json", "Content-Type": "application/json"}
_DISCOVERY = "/cds-services"


class Reply(NamedTuple):
    """What came back. body: the JSON, None when it is none."""

    status: int
    body: Any

    @property
    def ok(self) -> bool:
        """Whether it is an answer and not an error."""
        return self.status == 200 and isinstance(self.body, dict)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A chart is sent to the address that was given, and to no other."""

    def redirect_request(self, *_: object) -> None:
        return None


class Client:
    """One CDS Hooks server, by its base URL or by that of its discovery or of one of its services."""

    def __init__(self, url: str) -> None:
        """Raises Unusable for what is no http or https URL."""
        base, self.service_id = _split(url)
        self.discovery_url = base + _DISCOVERY
        proxies = [urllib.request.ProxyHandler({})] if _is_loopback(urlsplit(base).hostname or "") else []
        self._open = urllib.request.build_opener(*proxies, _NoRedirect).open

    def discover(self) -> Reply:
        """GET the discovery document. Raises Unusable when nobody answers."""
        return self._ask(self.discovery_url)

    def call(self, service_id: str, request: bytes, token: str = "") -> Reply:
        """POST a CDS Hooks request, with a token when there is one. Raises Unusable when nobody answers."""
        return self._ask(f"{self.discovery_url}/{quote(service_id, safe='')}", request, token)

    def _ask(self, url: str, body: bytes | None = None, token: str = "") -> Reply:
        headers = _HEADERS | ({"Authorization": f"Bearer {token}"} if token else {})
        request = urllib.request.Request(url, body, headers)  # noqa: S310 (http or https: `_split` saw to it)
        try:
            with self._open(request, timeout=TIMEOUT_SECONDS) as response:
                return Reply(response.status, _json(response))
        except urllib.error.HTTPError as error:
            with error:
                return Reply(error.code, _json(error))
        except urllib.error.URLError as error:
            raise Unusable(f"{url} cannot be reached: {_reason(error.reason)}") from None
        except (OSError, http.client.HTTPException) as error:
            raise Unusable(f"{url} did not answer: {_reason(error)}") from None


def _split(url: str) -> tuple[str, str | None]:
    """The base URL, and the service when the URL names one."""
    wrong = f"{url} is no address of a service; give one such as http://127.0.0.1:8080"
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and parts.hostname and (parts.port is None or parts.port)
    except ValueError:
        raise Unusable(wrong) from None
    if not usable or parts.query or parts.fragment or not url.isascii() or not url.isprintable() or " " in url:
        raise Unusable(wrong)
    base, found, service_id = url.rstrip("/").partition(_DISCOVERY)
    return base, service_id.strip("/") or None if found else None


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _json(response: Any) -> Any:
    try:
        body = response.read(MAX_ANSWER + 1)
        return msgspec.json.decode(body) if len(body) <= MAX_ANSWER else None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _reason(error: Any) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer within {TIMEOUT_SECONDS:g} seconds"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
