"""A site's terminology server over HTTP: `ValueSet/$expand`, page by page, within limits.

Nothing here follows a redirect, asks a proxy of the environment or sends the token anywhere but to the server that was
named. Unusable ends the command; KnowledgeError says of one question that it has no whole answer.
"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec

from fhir_profiles.errors import KnowledgeError
from fhir_profiles.expansion import Resource
from fhir_profiles.expansion_pages import MAX_CODES, Answer, Listed, Page, read_page
from hooks.cli.terminal import Unusable
from hooks.outbound import Base, is_loopback, parse_base
from hooks.tls import tls_context

CONNECT_SECONDS, READ_SECONDS = 5.0, 60.0
ANSWER_SECONDS = 180.0
"""For a whole answer, however slowly it comes."""
MAX_PAGE = 32 * 1024 * 1024
MAX_PAGES = 1000
PAGE_CODES = 1000

_FHIR_JSON = "application/fhir+json"
_HEADERS = {"Accept": _FHIR_JSON, "Accept-Encoding": "identity", "User-Agent": "backpain-cds"}
_JSON = frozenset((_FHIR_JSON, "application/json", "application/json+fhir"))
_SAID_AT_MOST = 200


class TerminologyServer:
    """One server; close it with `with`. page_codes: how many codes of an expansion are asked for at a time;
    seconds: within which an answer has to be there."""

    def __init__(
        self,
        url: str,
        token: str = "",
        ca_file: Path | None = None,
        page_codes: int = PAGE_CODES,
        seconds: float = ANSWER_SECONDS,
    ) -> None:
        """Raises Unusable for a URL that may not be asked, and for a CA file that cannot be read."""
        self.base = _base(url)
        self._page_codes = page_codes
        self._seconds = seconds
        authorization = {"Authorization": f"Bearer {token}"} if token else {}
        self._http = httpx.Client(
            verify=_trust(ca_file),
            trust_env=False,
            follow_redirects=False,
            headers=_HEADERS | authorization,
            timeout=httpx.Timeout(READ_SECONDS, connect=CONNECT_SECONDS),
        )

    def __enter__(self) -> "TerminologyServer":
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def software(self) -> str:
        """What the server says that it is: name and version; empty when it does not say."""
        try:
            stated = msgspec.json.decode(self._exchange("GET", "metadata", params={"_summary": "true"}))
            software = stated["software"]
            return " ".join(str(software[part]) for part in ("name", "version") if part in software)[:_SAID_AT_MOST]
        except (KnowledgeError, msgspec.DecodeError, KeyError, TypeError):
            return ""

    def expand(self, question: Resource | str) -> Answer:
        """All pages of an expansion, of a ValueSet or of one that the server knows by its URL.

        Raises KnowledgeError for anything that leaves it open whether the expansion is whole.
        """
        codes: dict[tuple[str, str], Listed] = {}
        versions: set[str] = set()
        passed_over = offset = 0
        for _ in range(MAX_PAGES):
            page = read_page(self._page(question, offset))
            new = {code.key: code for code in page.codes if code.key not in codes}
            if page.codes and not new:
                raise KnowledgeError("the server sends the same page again: it does not go by `offset`")
            codes |= new
            versions.update(page.versions)
            passed_over += page.passed_over
            offset += page.entries
            if len(codes) > MAX_CODES:
                raise KnowledgeError(f"the expansion has more than {MAX_CODES} codes")
            if self._is_last(page, offset):
                return Answer(tuple(codes.values()), tuple(sorted(versions)), passed_over)
        raise KnowledgeError(f"the expansion has more than {MAX_PAGES} pages")

    def _is_last(self, page: Page, offset: int) -> bool:
        """A page longer than was asked for is all there is: such a server knows no pages."""
        if page.total is not None and offset < page.total:
            if page.entries:
                return False
            raise KnowledgeError(f"the server speaks of {page.total} codes and sends {offset}")
        return page.total is not None or not page.entries or page.entries > self._page_codes

    def _page(self, question: Resource | str, offset: int) -> bytes:
        if isinstance(question, str):
            params = {"url": question, "count": str(self._page_codes), "offset": str(offset), "excludeNested": "true"}
            return self._exchange("GET", "ValueSet/$expand", params=params)
        body = {"resourceType": "Parameters", "parameter": [*_parameters(question, self._page_codes, offset)]}
        headers = {"Content-Type": _FHIR_JSON}
        return self._exchange("POST", "ValueSet/$expand", content=msgspec.json.encode(body), headers=headers)

    def _exchange(self, method: str, what: str, **parts: Any) -> bytes:
        with self._reached(), self._http.stream(method, f"{self.base}/{what}", **parts) as response:
            status, kind = response.status_code, response.headers.get("content-type", "")
            if status in (401, 403):
                raise Unusable(f"{self.base} refuses (HTTP {status}): --token-env names the variable with the token")
            if response.is_redirect:
                raise Unusable(f"{self.base} redirects (HTTP {status}): name the address that it leads to")
            body = self._body(response)
        if status != 200:
            raise KnowledgeError(f"the server answers HTTP {status}{_said(body)}")
        if kind.partition(";")[0].strip().lower() not in _JSON:
            raise KnowledgeError("the server answers with something that is not FHIR in JSON")
        return body

    def _body(self, response: httpx.Response) -> bytes:
        if response.headers.get("content-encoding", "identity").strip().lower() not in ("identity", ""):
            raise KnowledgeError("the answer is compressed, though that was not asked for")
        body, until = bytearray(), time.monotonic() + self._seconds
        for part in response.iter_raw():
            body += part
            if len(body) > MAX_PAGE:
                raise KnowledgeError(f"a page is larger than {MAX_PAGE // 2**20} MiB")
            if time.monotonic() > until:
                raise KnowledgeError(f"the answer takes longer than {self._seconds:g} seconds")
        return bytes(body)

    @contextmanager
    def _reached(self) -> Iterator[None]:
        try:
            yield
        except httpx.TimeoutException:
            raise KnowledgeError(f"no answer within {READ_SECONDS:g} seconds") from None
        except (httpx.ConnectError, httpx.UnsupportedProtocol) as error:
            raise Unusable(f"{self.base} cannot be reached: {error}") from None
        except (httpx.TransportError, httpx.DecodingError) as error:
            raise KnowledgeError(f"the answer was cut off: {type(error).__name__}") from None


def token_of(variable: str | None) -> str:
    """The token in an environment variable, "" without one. Raises Unusable, never with what stood in it."""
    if variable is None:
        return ""
    token = os.environ.get(variable, "").strip()
    if not token:
        raise Unusable(f"--token-env: the environment variable {variable} is not set or empty")
    if not (token.isascii() and token.isprintable() and " " not in token):
        raise Unusable(f"--token-env: what {variable} holds is no token: visible ASCII without spaces is expected")
    return token


def _base(url: str) -> Base:
    try:
        base = parse_base(url)
    except ValueError as error:
        raise Unusable(f"--tx: {error}") from None
    if base.scheme != "https" and not is_loopback(base):
        raise Unusable("--tx: the server should be asked by https; http is for this machine only")
    return base


def _trust(ca_file: Path | None) -> Any:
    try:
        return tls_context(ca_file)
    except OSError as error:  # ssl.SSLError is one
        raise Unusable(f"--ca-file: {ca_file} is no file with certificates in PEM: {error.strerror}") from None


def _parameters(value_set: Resource, count: int, offset: int) -> Iterator[Resource]:
    yield {"name": "valueSet", "resource": value_set}
    yield {"name": "count", "valueInteger": count}
    yield {"name": "offset", "valueInteger": offset}
    yield {"name": "activeOnly", "valueBoolean": True}
    yield {"name": "excludeNested", "valueBoolean": True}


def _said(body: bytes) -> str:
    """What an OperationOutcome says, in short."""
    try:
        issue = msgspec.json.decode(body)["issue"][0]
        text = issue.get("diagnostics") or issue.get("details", {}).get("text") or ""
        return f", {issue['code']}: {' '.join(str(text).split())[:_SAID_AT_MOST]}"
    except (msgspec.DecodeError, UnicodeDecodeError, LookupError, TypeError, AttributeError):
        return ""
