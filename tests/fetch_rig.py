"""Calls that leave something out, and the service and the FHIR server that deal with them."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import httpx

from hooks.services import SEARCH_KEYS
from tests.fhir_rig import Rig, fhir_server
from tests.records import condition
from tests.service_rig import Server, call, path_of, running

TOKEN = "sesame-0123456789"
HOOK = "encounter-start"  # its service reads every key
KINDS = {"patient": "Patient", "encounter": "Encounter"} | SEARCH_KEYS
KEYS = tuple(KINDS)


@cache
def _told() -> str:
    """The JSON of all prefetch keys: back pain, and two things that matter with it."""
    return json.dumps(call(HOOK, condition("osteoporosis"), condition("cauda-equina-syndrome", days_ago=2))["prefetch"])


def whole(hook: str = HOOK) -> dict[str, Any]:
    """A call that lacks nothing, of the same record for every hook."""
    request = call(hook)
    told = json.loads(_told())
    return request | {"prefetch": {key: told[key] for key in request["prefetch"]}}


def record() -> list[dict[str, Any]]:
    """What the whole call holds, as the FHIR server has it."""
    values = [value for value in json.loads(_told()).values() if value]
    bundles = [value for value in values if value["resourceType"] == "Bundle"]
    entries = [entry["resource"] for bundle in bundles for entry in bundle["entry"]]
    return [value for value in values if value not in bundles] + entries


class Fetching(NamedTuple):
    """A service, and the FHIR server that it may ask."""

    service: Server
    rig: Rig

    def ask(self, request: Mapping[str, Any]) -> httpx.Response:
        return self.service.http.post(path_of(request["hook"]), json=request)


@contextmanager
def fetching(folder: Path, *more: Mapping[str, Any], delay: float = 0.0, workers: int = 1) -> Iterator[Fetching]:
    """The FHIR server has the record, a patient p1 and a visit e1."""
    with fhir_server(folder, *record(), *more, delay=delay) as rig, running(folder, workers) as service:
        yield Fetching(service, rig)


def authorization(scope: str = "patient/*.read", **members: Any) -> dict[str, Any]:
    given = {"access_token": TOKEN, "token_type": "Bearer", "expires_in": 300, "scope": scope, "subject": "cds"}
    return {name: value for name, value in (given | members).items() if value is not ...}


def lacking(base: str | None, *keys: str, hook: str = HOOK, **members: Any) -> dict[str, Any]:
    """A hook call without these prefetch keys (no prefetch at all without any), and a FHIR server to ask."""
    request = whole(hook)
    for key in keys or tuple(request["prefetch"]):
        del request["prefetch"][key]
    if base:
        request |= {"fhirServer": base, "fhirAuthorization": authorization()}
    return {name: value for name, value in (request | members).items() if value is not ...}


def lasting(value: Any) -> Any:
    """An answer without what differs from call to call: uuids and the instant."""
    if isinstance(value, dict):
        return {key: lasting(child) for key, child in value.items() if key not in ("uuid", "at")}
    return [lasting(child) for child in value] if isinstance(value, list) else value
