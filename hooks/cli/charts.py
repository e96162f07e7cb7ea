"""A chart as it comes to the command line: a FHIR Bundle, or a CDS Hooks request with prefetch keys of any name."""

from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from fhir_profiles.errors import RecordError
from fhir_profiles.record import Gathered, gather_bundle
from hooks.errors import RequestError
from hooks.request import gather, parse_request
from hooks.services import ENCOUNTER_KEY, PATIENT_KEY, SEARCH_KEYS, SERVICES, Service

DEFAULT_HOOK = "patient-view"

_KEYS = {**SEARCH_KEYS, PATIENT_KEY: "Patient", ENCOUNTER_KEY: "Encounter"}
_KEY_OF = {kind: key for key, kind in _KEYS.items()}
_BY_HOOK = {service.hook: service for service in SERVICES.values()}


class ChartError(Exception):
    """A document that is no chart of one patient: the message says what is wrong and what would be right."""


class Asked(NamedTuple):
    """A chart ready to be read, and the hook to answer as."""

    gathered: Gathered
    hook: str


class _Kind(msgspec.Struct):
    resourceType: str | None = None
    hook: msgspec.Raw = msgspec.Raw()
    context: msgspec.Raw = msgspec.Raw()


class _Resource(msgspec.Struct):
    resourceType: str | None = None


class _Entry(msgspec.Struct):
    resource: msgspec.Raw = msgspec.Raw(b"null")


class _Value(msgspec.Struct):
    resourceType: str | None = None
    entry: list[_Entry] | None = None


_kind = msgspec.json.Decoder(_Kind)
_members = msgspec.json.Decoder(dict[str, msgspec.Raw])
_resource = msgspec.json.Decoder(_Resource)
_value = msgspec.json.Decoder(_Value)


def is_request(body: bytes) -> bool:
    """Whether the document is a CDS Hooks request; otherwise it is a FHIR Bundle. Raises ChartError if neither."""
    try:
        kind = _kind.decode(body)
    except msgspec.ValidationError:
        raise ChartError(_neither("something else")) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ChartError(f"not JSON: {_syntax(error)}") from None
    if kind.resourceType is None and (bytes(kind.hook) or bytes(kind.context)):
        return True
    if kind.resourceType != "Bundle":
        raise ChartError(_neither(f"a FHIR {kind.resourceType}" if kind.resourceType else "another JSON object"))
    return False


def read_asked(body: bytes, hook: str | None, at: datetime, zone: ZoneInfo) -> Asked:
    """A chart from a document; `hook`: to answer as, if not as the request says. Raises ChartError."""
    try:
        if is_request(body):
            return _from_request(body, hook)
        return Asked(gather_bundle(body, hook or DEFAULT_HOOK, at, zone), hook or DEFAULT_HOOK)
    except (RecordError, RequestError) as error:
        raise ChartError(str(error)) from None


def _from_request(body: bytes, hook: str | None) -> Asked:
    """A request whose prefetch keys go by the types found in them, where they are not ours."""
    request = _members.decode(body)
    if hook:
        request["hook"] = msgspec.Raw(msgspec.json.encode(hook))
    service = _service(request.get("hook"))
    prefetch, more = _by_our_keys(request.get("prefetch"))
    if prefetch is not None:
        request["prefetch"] = msgspec.Raw(msgspec.json.encode(prefetch))
    gathered = gather(parse_request(msgspec.json.encode(request), service), service)
    bundles = {kind: [*found, *more.get(kind, ())] for kind, found in gathered.bundles.items()}
    return Asked(gathered._replace(bundles=bundles), service.hook)


def _service(hook: msgspec.Raw | None) -> Service:
    name = msgspec.json.decode(hook) if hook is not None else None
    if not isinstance(name, str) or name not in _BY_HOOK:
        raise ChartError(f"hook should be one of {', '.join(_BY_HOOK)}")
    return _BY_HOOK[name]


def _by_our_keys(prefetch: msgspec.Raw | None) -> tuple[dict[str, msgspec.Raw] | None, dict[str, list[msgspec.Raw]]]:
    """Prefetch under our keys, and by type what else was found when several keys hold one type."""
    try:
        given = _members.decode(prefetch) if prefetch is not None else None
    except msgspec.ValidationError:
        return None, {}  # left as it is: the check of the envelope says what is wrong with it
    if given is None:
        return None, {}
    known = {key: value for key, value in given.items() if key in _KEYS}
    more: dict[str, list[msgspec.Raw]] = {}
    for name in given.keys() - known.keys():
        for kind, value in _held(name, given[name]):
            if _KEY_OF[kind] in known:
                more.setdefault(kind, []).append(value)
            else:
                known[_KEY_OF[kind]] = value
    return known, more


def _held(name: str, value: msgspec.Raw) -> Iterator[tuple[str, msgspec.Raw]]:
    """The types that a prefetch value answers for, with what answers: by content, else by the name of its key."""
    types = dict(_types(value))
    for kind in types.keys() & _KEY_OF.keys():
        yield kind, types[kind] if kind in ("Patient", "Encounter") else value
    if not types.keys() & _KEY_OF.keys():
        yield from ((kind, value) for kind in _KEY_OF if _plain(name) in (_plain(kind), _plain(_KEY_OF[kind])))


def _types(value: msgspec.Raw) -> Iterator[tuple[str, msgspec.Raw]]:
    try:
        read = _value.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return
    for each in (entry.resource for entry in read.entry or ()) if read.resourceType == "Bundle" else (value,):
        try:
            yield _resource.decode(each).resourceType or "", each
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            continue


def _plain(name: str) -> str:
    return "".join(filter(str.isalnum, name)).lower().rstrip("s")


def _syntax(error: Exception) -> str:
    if isinstance(error, msgspec.DecodeError):
        return f"{error} (one document a line is read with --ndjson)" if "trailing" in str(error) else str(error)
    return "it is nested too deeply" if isinstance(error, RecursionError) else "it is not UTF-8 text"


def _neither(found: str) -> str:
    return f"this is {found}: a CDS Hooks request or a FHIR Bundle of one patient is expected"
