"""Answers into the record: one transaction where the server takes it, else one resource after the other.

Every resource is created only if none with its identifier is there (If-None-Exist), so that a second try, or a second
click, writes nothing twice.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode
from uuid import uuid5

import msgspec

from fhir_profiles.intake_answers import NAMESPACE, SUBMISSION
from hooks.errors import Unavailable
from hooks.fhir_client import FhirClient
from hooks.intake.outward import Reply, send
from hooks.intake.record import Access

EXPIRED, REFUSED, UNREACHABLE = "expired", "refused", "unreachable"

Json = dict[str, Any]
Numbers = Callable[[str], list[Json]]
_JSON = "application/fhir+json"


@dataclass
class Outcome:
    """saved: the resources as they are there now, with id; unsaved: Observations that were not taken.

    problem: why the response is not there, "" when it is; reason: the same as a code for the log.
    """

    saved: list[Json] = field(default_factory=list)
    unsaved: list[Json] = field(default_factory=list)
    problem: str = ""
    reason: str = ""


class _Stopped(Exception):
    """The server will not take it. status: what it said."""

    def __init__(self, status: int) -> None:
        super().__init__(str(status))
        self.status = status


async def write_answers(client: FhirClient, access: Access, response: Json, numbers: Numbers) -> Outcome:
    """numbers: the Observations, given the reference of the response. Never raises for what a server does.

    A transaction that is refused has written nothing; a server without transactions refuses it too, in one of many
    ways. So every refusal but that of the token is followed by the attempt to write piece by piece.
    """
    try:
        return await _together(client, access, response, numbers)
    except _Stopped as stop:
        if stop.status == 401:
            return Outcome(problem=EXPIRED, reason="http-401")
    except Unavailable as failure:
        return Outcome(problem=UNREACHABLE, reason=failure.reason)
    return await _one_by_one(client, access, response, numbers)


async def _together(client: FhirClient, access: Access, response: Json, numbers: Numbers) -> Outcome:
    urn = uuid5(NAMESPACE, _value(response)).urn
    resources = [response, *numbers(urn)]
    if len(resources) == 1:  # nothing to be done together
        return await _one_by_one(client, access, response, numbers)
    entries = [_entry(each, urn if each is response else "") for each in resources]
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    ids = _ids_of(_taken(await _post(client, access, "", bundle)))
    if len(ids) != len(resources):
        raise Unavailable("not-a-transaction")
    return Outcome([each | {"id": id_ or _value(each)} for each, id_ in zip(resources, ids, strict=True)])


async def _one_by_one(client: FhirClient, access: Access, response: Json, numbers: Numbers) -> Outcome:
    try:
        written = await _create(client, access, response)
    except _Stopped as stop:
        return Outcome(problem=EXPIRED if stop.status == 401 else REFUSED, reason=f"http-{stop.status}")
    except Unavailable as failure:
        return Outcome(problem=UNREACHABLE, reason=failure.reason)
    outcome = Outcome([written])
    for number in numbers(f"QuestionnaireResponse/{written['id']}"):
        try:
            outcome.saved.append(await _create(client, access, number))
        except (_Stopped, Unavailable) as failure:
            outcome.unsaved.append(number)
            outcome.reason = str(failure)
    return outcome


async def _create(client: FhirClient, access: Access, resource: Json) -> Json:
    kind = resource["resourceType"]
    reply = await _post(client, access, f"/{kind}", resource, {"If-None-Exist": _same(resource)})
    if reply.status == 412:  # it is there, even more than once
        return resource | {"id": _value(resource)}
    reply = _taken(reply)
    id_ = _id_in(reply.headers.get("location", "") or reply.headers.get("content-location", ""))
    return resource | {"id": id_ or _id_of(reply) or _value(resource)}


async def _post(
    client: FhirClient, access: Access, path: str, content: Json, extra: Mapping[str, str] | None = None
) -> Reply:
    headers = {"Content-Type": _JSON, "Accept": _JSON, "Authorization": f"Bearer {access.token}", **(extra or {})}
    return await send(client, "POST", access.base + path, headers, msgspec.json.encode(content))


def _taken(reply: Reply) -> Reply:
    """Raises _Stopped for a refusal, Unavailable where it is not known what became of it."""
    if reply.status in (200, 201):
        return reply
    if (reply.status >= 500 and reply.status != 501) or reply.status in (408, 429):
        raise Unavailable(f"http-{reply.status}")
    raise _Stopped(reply.status)


def _entry(resource: Json, full_url: str) -> Json:
    request = {"method": "POST", "url": resource["resourceType"], "ifNoneExist": _same(resource)}
    return {"fullUrl": full_url or uuid5(NAMESPACE, _value(resource)).urn, "resource": resource, "request": request}


class _Done(msgspec.Struct):
    location: str | None = None


class _Entry(msgspec.Struct):
    response: _Done | None = None


class _Bundle(msgspec.Struct):
    entry: list[_Entry] | None = None


def _ids_of(reply: Reply) -> list[str]:
    """Of what a transaction created, "" where the server does not say. Raises Unavailable for what says nothing."""
    try:
        done = msgspec.convert(reply.json(), _Bundle).entry or []
    except msgspec.ValidationError:
        raise Unavailable("not-a-transaction") from None
    return [_id_in(each.response.location or "") if each.response else "" for each in done]


def _same(resource: Json) -> str:
    return urlencode({"identifier": f"{SUBMISSION}|{_value(resource)}"})


def _value(resource: Json) -> str:
    """A QuestionnaireResponse has one identifier, an Observation a list of them."""
    identifier = resource["identifier"]
    return (identifier if isinstance(identifier, dict) else identifier[0])["value"]


def _id_in(location: str) -> str:
    """Of `https://host/fhir/Observation/12/_history/1`, or relative."""
    way = location.partition("/_history/")[0].rstrip("/").split("/")
    return way[-1] if len(way) >= 2 else ""


def _id_of(reply: Reply) -> str:
    try:
        told = reply.json()
    except Unavailable:
        return ""
    id_ = told.get("id") if isinstance(told, dict) else None
    return id_ if isinstance(id_, str) else ""
