"""Requests of the form to an EHR's servers: FHIR, authorization (reliability.md, section 2 and rows 17 to 20).

They go through the worker's one client, so all that holds for it holds here: no redirects, cookies, proxies of the
environment; TLS with the site's authorities.
"""

import asyncio
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import httpx
import msgspec

from hooks.errors import RequestError, Unavailable
from hooks.fhir_client import CONNECT_SECONDS, FhirClient
from hooks.outbound import MAX_URL, is_loopback, parse_base
from hooks.strict_json import check_json

SECONDS = 10.0
LARGEST = 1024 * 1024
"""Octets of an answer."""


class Reply(NamedTuple):
    """An answer. headers: names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """Raises Unavailable for what is no JSON, or JSON that would not be taken from a client either."""
        try:
            check_json(self.body)
            return msgspec.json.decode(self.body)
        except (RequestError, msgspec.DecodeError, UnicodeDecodeError):
            raise Unavailable("not-json") from None


async def send(client: FhirClient, method: str, url: str, headers: Mapping[str, str], body: bytes = b"") -> Reply:
    """One request, not repeated. Raises Unavailable when there is no whole answer in time."""
    timeout = httpx.Timeout(SECONDS, connect=CONNECT_SECONDS)
    asked = {**headers, "Accept-Encoding": "identity"}  # what is inflated would be measured too late
    request = client.http.build_request(method, url, headers=asked, content=body, timeout=timeout)
    try:
        async with asyncio.timeout(SECONDS):
            response = await client.http.send(request, stream=True)
            try:
                return Reply(response.status_code, response.headers, await _body(response))
            finally:
                await response.aclose()
    except (TimeoutError, httpx.TimeoutException):
        raise Unavailable("timeout") from None
    except (httpx.TransportError, httpx.DecodingError):
        raise Unavailable("connect") from None


async def _body(response: httpx.Response) -> bytes:
    body = bytearray()
    async for part in response.aiter_bytes():
        body += part
        if len(body) > LARGEST:
            raise Unavailable("too-large")
    return bytes(body)


def is_endpoint(url: str, development: bool) -> bool:
    """Whether an endpoint that a server names may be used: https, in development also of this machine."""
    if len(url) > MAX_URL or not url.isascii() or "#" in url:
        return False
    try:
        parts = urlsplit(url)
        base = parse_base(f"{parts.scheme}://{parts.netloc}")
    except ValueError:
        return False
    return base.scheme == "https" or (development and is_loopback(base))
