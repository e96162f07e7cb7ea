"""The pages of a FHIR search, put together to one Bundle (reliability.md, rows 13 to 15; R73).

What is missing at the end is said as FHIR says it: by a link to a next page.
"""

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING
from urllib.parse import urljoin

import msgspec
from msgspec import Struct

from fhir_profiles.record import UNREADABLE
from hooks.errors import RequestError, Unavailable
from hooks.outbound import Base
from hooks.strict_json import check_json

if TYPE_CHECKING:
    from hooks.fhir_client import Access

MAX_PAGES = 20


class Link(Struct, gc=False):
    relation: str | None = None
    url: str | None = None


class Page(Struct):
    """A searchset Bundle, its entries unopened."""

    resourceType: str | None = None
    type: str | None = None
    total: int | None = None
    link: list[Link] | None = None
    entry: list[msgspec.Raw] | None = None

    @property
    def next_url(self) -> str | None:
        return next((link.url or "" for link in self.link or () if link.relation == "next"), None)


class Head(Struct):
    """What tells whether a page has to be opened at all."""

    resourceType: str | None = None
    id: str | None = None
    link: list[Link] | None = None


_head = msgspec.json.Decoder(Head)
_page = msgspec.json.Decoder(Page)


def read_head(body: bytes | msgspec.Raw) -> Head | None:
    """None for what is no resource."""
    try:
        return _head.decode(body)
    except UNREADABLE:
        return None


def read_page(body: bytes | msgspec.Raw) -> Page | None:
    """None for what is no page of a search, an OperationOutcome say."""
    try:
        page = _page.decode(body)
    except UNREADABLE:
        return None
    return page if page.resourceType == "Bundle" and page.type in ("searchset", None) else None


def check_body(body: bytes) -> None:
    """Raises Unavailable for JSON that would not be taken from a client either."""
    try:
        check_json(body)
    except RequestError:
        raise Unavailable("not-json") from None


class Pages:
    """Collects a search, page by page, so that what was had is there whatever ends it.

    first: the page that the client sent. reason: the code of why something is missing, "" for a complete search.
    """

    def __init__(self, access: "Access", first: Page | None = None, reason: str = "") -> None:
        self.entries: list[msgspec.Raw] = list(first.entry or ()) if first else []
        self.reason = reason
        self._access = access
        self._pages = 1 if first else 0
        self._visited: set[str] = set()
        self._next = first.next_url if first else None

    @property
    def is_empty_handed(self) -> bool:
        """Not one page was had: nothing is known, not even that there is nothing."""
        return not self._pages

    @property
    def is_whole(self) -> bool:
        return bool(self._pages) and self._next is None

    async def follow(self, url: str, params: dict[str, str]) -> None:
        """From the first page, or from the one at hand, to the last. Raises Unavailable where that is not possible."""
        if self.is_empty_handed:
            await self._get(url, params)
        while self._next is not None:
            if self._pages == MAX_PAGES:
                raise Unavailable("too-many-pages")
            await self._get(_absolute(url, self._next))

    def bundle(self) -> bytes:
        """The whole search as one Bundle."""
        link = [{"relation": "next"}] if self.reason else []
        return msgspec.json.encode({"resourceType": "Bundle", "type": "searchset", "link": link, "entry": self.entries})

    async def _get(self, url: str, params: dict[str, str] | None = None) -> None:
        if url in self._visited:
            raise Unavailable("page-loop")
        self._visited.add(url)
        body = await self._access.get(url, params)
        check_body(body)
        page = read_page(body)
        if page is None:
            raise Unavailable("not-a-searchset")
        self._add(page)

    def _add(self, page: Page) -> None:
        entries = page.entry or []
        self._pages += 1
        taken = entries[: self._access.resources_left]
        self.entries += taken
        self._access.resources_left -= len(taken)
        if len(taken) < len(entries):
            raise Unavailable("too-many-resources")
        self._next = page.next_url
        if self._next is None and (page.total or 0) > len(self.entries):
            raise Unavailable("fewer-than-total")


def _absolute(url: str, following: str) -> str:
    try:
        return urljoin(url, following)
    except ValueError:
        raise Unavailable("foreign-url") from None


class _Reference(Struct, gc=False):
    reference: str | None = None


class _Medicine(Struct, gc=False):
    resourceType: str | None = None
    id: str | None = None
    medicationReference: _Reference | None = None


class _Entry(Struct, gc=False):
    fullUrl: str | None = None
    resource: _Medicine | None = None


_entry = msgspec.json.Decoder(_Entry)


def absent_medications(entries: Collection[msgspec.Raw], base: Base) -> list[str]:
    """The ids of the Medications at this server that prescriptions refer to and that are not among the entries."""
    named: dict[str, None] = {}
    present = set()
    for entry in _opened(entries):
        resource = entry.resource
        if resource is None:
            continue
        if resource.resourceType == "Medication":
            present |= {entry.fullUrl, f"Medication/{resource.id}"}
        elif resource.medicationReference and resource.medicationReference.reference:
            named[resource.medicationReference.reference] = None
    absent = [reference for reference in named if reference not in present]
    local = [reference.removeprefix(f"{base}/").partition("/_history/")[0] for reference in absent]
    return [name[11:] for name in dict.fromkeys(local) if name.startswith("Medication/") and name not in present]


def _opened(entries: Collection[msgspec.Raw]) -> Iterator[_Entry]:
    for raw in entries:
        try:
            yield _entry.decode(raw)
        except UNREADABLE:
            continue  # counted where the record is read
