"""Which server may be asked: strict reading of URLs, and the list of allowed servers (reliability.md, rows 17 to 20).

Two parsers that understand one URL differently are how requests end up elsewhere. So there is one spelling of a base
URL that is taken, with nothing in it that parsers disagree on, and it is compared as a whole: no patterns, no prefixes.
"""

import re
from collections.abc import Collection
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import NamedTuple

MAX_URL = 16_384

_ORIGIN = r"(?P<scheme>https?)://(?P<host>\[[0-9a-f:]+\]|[a-z0-9_.-]+)(?::(?P<port>[1-9][0-9]{0,4}))?"
_SEGMENT = r"(?!\.{1,2}(?:[/?]|$))"  # none of the dot segments, which are taken out of a path before it is sent
_BASE = re.compile(_ORIGIN + rf"(?P<path>(?:/{_SEGMENT}[A-Za-z0-9._~-]+)*)/?")
_WITHIN = re.compile(
    _ORIGIN + rf"(?P<path>(?:/{_SEGMENT}[A-Za-z0-9._~:@!$&'()*+,;=-]*)*)(?:\?[!-~]*)?"  # a query of visible ASCII
)
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_DEFAULT_PORTS = {"http": 80, "https": 443}


class Base(NamedTuple):
    """A FHIR base URL, taken apart. host: in lower case, IPv6 in brackets; path: without a slash at its end."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def origin(self) -> str:
        return f"{self.scheme}://{self.host}:{self.port}"

    def __str__(self) -> str:
        port = "" if self.port == _DEFAULT_PORTS[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{self.host}{port}{self.path}"


class Server(NamedTuple):
    """A FHIR server that may be asked, and the Authorization header for it ("" for an open one)."""

    base: Base
    authorization: str = ""


def parse_base(url: str) -> Base:
    """Raises ValueError for anything but scheme, host, port and plain path: user names, queries, fragments,
    backslashes, dot segments, percent-encoding, characters outside ASCII, other spellings of IP addresses."""
    base, _ = _parsed(_BASE, url)
    return base


def covers(base: Base, url: str) -> bool:
    """Whether an absolute URL, a page link say, lies at this origin and below this base path."""
    try:
        found, path = _parsed(_WITHIN, url)
    except ValueError:
        return False
    return found.origin == base.origin and (path == base.path or path.startswith(base.path + "/"))


def may_ask(base: Base, listed: Collection[Base], development: bool) -> bool:
    """A listed server by https; in development also any server of this machine, listed or not."""
    if development and is_loopback(base):
        return True
    return base.scheme == "https" and base in listed


def is_loopback(base: Base) -> bool:
    if base.host in ("localhost", "[::1]"):
        return True
    return _is_ipv4(base.host) and IPv4Address(base.host).is_loopback


def _parsed(pattern: re.Pattern[str], url: str) -> tuple[Base, str]:
    """Scheme and host may be in any case; what follows them may not."""
    scheme_host, slash, rest = _split(url)
    match = pattern.fullmatch(scheme_host.lower() + slash + rest) if len(url) <= MAX_URL and url.isascii() else None
    if match is None or "\\" in url or "#" in url or not _is_host(match["host"]):
        raise ValueError("this should be an absolute http or https URL: scheme, host and plain path")
    port = int(match["port"] or _DEFAULT_PORTS[match["scheme"]])
    if port > 65535:
        raise ValueError("the port should be at most 65535")
    return Base(match["scheme"], match["host"], port, match["path"].rstrip("/")), match["path"]


def _split(url: str) -> tuple[str, str, str]:
    start = url.find("/", url.find("://") + 3)
    return (url, "", "") if start < 0 else (url[:start], "/", url[start + 1 :])


def _is_host(host: str) -> bool:
    if host.startswith("["):
        return _is_ipv6(host[1:-1])
    labels = host.split(".")
    if _NUMBER.fullmatch(labels[-1]):  # what some parsers take for an IPv4 address: only its usual spelling
        return _is_ipv4(host)
    return len(host) <= 253 and all(_LABEL.fullmatch(label) for label in labels)


def _is_ipv4(host: str) -> bool:
    try:
        return str(IPv4Address(host)) == host
    except AddressValueError:
        return False


def _is_ipv6(host: str) -> bool:
    try:
        address = IPv6Address(host)
    except AddressValueError:
        return False
    return str(address) == host and address.ipv4_mapped is None
