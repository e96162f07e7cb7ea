"""`/fhir`: the knowledge of the service as FHIR R4 resources, to read and to search; nobody has to say who they are.

It holds no patient data and takes none. What it answers is the same until the service is started anew.
"""

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any
from urllib.parse import urlencode

import msgspec
from flask import Blueprint, Response, request
from werkzeug.datastructures import MIMEAccept, MultiDict
from werkzeug.exceptions import NotAcceptable, NotFound

from fhir_profiles.conformance.package import Package
from fhir_profiles.conformance.resource import Edition, Resource
from fhir_profiles.conformance.value_sets import Line, contains, expanded
from hooks.errors import invalid
from hooks.fhir_package import SEARCHED_BY, SERVER, capability_statement

FHIR_JSON = "application/fhir+json"
PAGE, LONGEST_PAGE = 20, 200
_READABLE = (FHIR_JSON, "application/json")
_FORMATS = frozenset(("json", *_READABLE))
_ALWAYS = frozenset(("_format", "_pretty"))
_OF_METADATA = frozenset(("mode", "_summary"))
"""A server may pass these over (R4, capabilities and _summary), and clients send them to ask what it is at all."""
_PAGING = frozenset(("_count", "_offset"))
_EXPANDING = frozenset(("url", "valueSetVersion", "filter", "offset", "count"))
_WITHOUT_EFFECT = frozenset(
    (
        "activeOnly",
        "displayLanguage",
        "excludeNested",
        "excludeNotForUI",
        "excludePostCoordinated",
        "includeDesignations",
    )
)
"""Parameters of $expand that change nothing: the expansions are flat, in one language and without designations."""

_encode = msgspec.json.encode
Given = MultiDict[str, str]


class Library:
    """The resources that are served, put together when first asked for. publish: makes them."""

    def __init__(self, publish: Callable[[], Package]) -> None:
        self._publish = publish
        self._contains: dict[str, list[Line]] = {}

    @cached_property
    def by_kind(self) -> Mapping[str, Mapping[str, Resource]]:
        """Type -> id -> resource."""
        made: dict[str, dict[str, Resource]] = {}
        for resource in self._publish().resources:
            made.setdefault(resource["resourceType"], {})[resource["id"]] = resource
        return made

    @cached_property
    def value_sets(self) -> Mapping[str, Resource]:
        """By URL."""
        return {each["url"]: each for each in self.by_kind["ValueSet"].values()}

    def kind(self, name: str) -> Mapping[str, Resource]:
        """The resources of a type by id. Raises NotFound for a type that the server does not have."""
        if name not in self.by_kind:
            raise NotFound("this server has no resources of that type: GET /fhir/metadata lists the types it has")
        return self.by_kind[name]

    def one(self, kind: str, id_: str) -> Resource:
        """Raises NotFound."""
        found = self.kind(kind).get(id_)
        if found is None:
            raise NotFound(f"there is no {kind} with that id: GET /fhir/{kind} lists those there are")
        return found

    def listed(self, value_set: Resource) -> list[Line]:
        """The codes of a value set."""
        url = value_set["url"]
        if url not in self._contains:
            self._contains[url] = contains(value_set, self.value_sets)
        return self._contains[url]


def fhir_api(publish: Callable[[], Package], public_url: str) -> Blueprint:
    """The endpoint. publish: makes what is served; public_url: of the service, "" where only the caller knows it."""
    api = Blueprint("fhir", __name__, url_prefix="/fhir")
    library = Library(publish)

    def base() -> str:
        return f"{(public_url or request.url_root).rstrip('/')}/fhir"

    @api.get("/metadata")
    def metadata() -> Response:
        _given(_OF_METADATA)
        stated = library.one("CapabilityStatement", SERVER)
        return _sent(capability_statement(Edition(stated["version"], stated["date"]), base()))

    @api.get("/<resource_type>")
    def search(resource_type: str) -> Response:
        resources = library.kind(resource_type)
        given = _given(_PAGING | SEARCHED_BY.keys())
        found = [each for each in resources.values() if _is_sought(each, given)]
        return _sent(_searchset(found, given, f"{base()}/{resource_type}"))

    @api.get("/<resource_type>/<resource_id>")
    def read(resource_type: str, resource_id: str) -> Response:
        _given(frozenset())
        return _sent(library.one(resource_type, resource_id))

    @api.get("/ValueSet/$expand")
    def expand() -> Response:
        given = _given(_EXPANDING | _WITHOUT_EFFECT)
        if "url" not in given:
            raise invalid("name the value set: url is its canonical URL", "url", "required")
        url, _, version = given["url"].partition("|")
        return _expansion(library, library.value_sets.get(url), version, given)

    @api.get("/ValueSet/<resource_id>/$expand")
    def expand_one(resource_id: str) -> Response:
        given = _given(_EXPANDING | _WITHOUT_EFFECT)
        return _expansion(library, library.one("ValueSet", resource_id), "", given)

    return api


def _given(known: frozenset[str] | set[str]) -> Given:
    """The parameters of the request. Raises RequestError for one that would be passed over, and for another format."""
    given = request.args
    if not given.keys() <= known | _ALWAYS:
        raise invalid(
            f"a parameter is not supported here; those that are: {', '.join(sorted(known | _ALWAYS))}",
            "",
            "not-supported",
        )
    if given.get("_format", "json") not in _FORMATS or not _takes_json(request.accept_mimetypes):
        raise NotAcceptable("this server speaks JSON: Accept should allow application/fhir+json")
    return given


def _takes_json(accepted: MIMEAccept) -> bool:
    """Whether JSON is among what a client takes, whatever the parameters of the format (fhirVersion)."""
    kinds = [kind.partition(";")[0] for kind, quality in accepted if quality > 0]
    return not kinds or any(kind in _READABLE or kind in ("*/*", "application/*") for kind in kinds)


def _is_sought(resource: Resource, given: Given) -> bool:
    """All parameters have to fit; of values with a comma between them one."""
    return all(
        any(_fits(resource, name, value) for value in values.split(","))
        for name in SEARCHED_BY
        for values in given.getlist(name)
    )


def _fits(resource: Resource, name: str, value: str) -> bool:
    if name == "url":
        url, _, version = value.partition("|")
        return resource.get("url") == url and version in ("", resource.get("version"))
    if name == "_id":
        return resource["id"] == value
    return resource["name"].casefold().startswith(value.casefold())


def _searchset(found: list[Resource], given: Given, here: str) -> Resource:
    offset, count = _number(given, "_offset", 0), min(_number(given, "_count", PAGE), LONGEST_PAGE)
    page = found[offset : offset + count]
    links = [{"relation": "self", "url": _link(here, given, offset, count)}]
    if count and offset + count < len(found):
        links.append({"relation": "next", "url": _link(here, given, offset + count, count)})
    entries = [{"fullUrl": f"{here}/{each['id']}", "resource": each, "search": {"mode": "match"}} for each in page]
    bundle = {"resourceType": "Bundle", "type": "searchset", "total": len(found), "link": links}
    return bundle | ({"entry": entries} if entries else {})


def _link(here: str, given: Given, offset: int, count: int) -> str:
    kept = [(name, value) for name, value in given.items(multi=True) if name in SEARCHED_BY]
    return f"{here}?{urlencode([*kept, ('_count', count), ('_offset', offset)])}"


def _expansion(library: Library, value_set: Resource | None, version: str, given: Given) -> Response:
    """Raises NotFound for a value set, or a version of it, that is not here."""
    asked = given.get("valueSetVersion", "") or version
    if value_set is None or asked not in ("", value_set["version"]):
        raise NotFound("there is no such value set here: GET /fhir/ValueSet lists those there are, with their versions")
    offset = _number(given, "offset", 0)
    count = _number(given, "count", 0) if "count" in given else None
    return _sent(expanded(value_set, library.listed(value_set), given.get("filter", ""), offset, count))


def _number(given: Given, name: str, default: int) -> int:
    """Raises RequestError for what is no whole number from 0 on."""
    text = given.get(name, str(default))
    if not (text.isascii() and text.isdigit() and len(text) < 8):
        raise invalid(f"{name} should be a whole number from 0 on", name)
    return int(text)


def _sent(resource: Any) -> Response:
    response = Response(_encode(resource), 200, {"Content-Type": FHIR_JSON, "Cache-Control": "no-cache"})
    response.add_etag()
    return response.make_conditional(request)
