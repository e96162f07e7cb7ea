"""The envelope of a hook call, from bytes to what the record's reader takes (R41 to R61).

Members that nobody reads are ignored (R53).
"""

import re
from typing import Any, NamedTuple

import msgspec

from fhir_profiles.record import Gathered
from hooks.errors import DataMissing, Issue, RequestError, invalid
from hooks.outbound import parse_base
from hooks.services import ENCOUNTER_KEY, PATIENT_KEY, SEARCH_KEYS, Service
from hooks.strict_json import check_json, check_numbers, malformed, misfit

# FHIR allows 64 characters; ids of a large vendor have up to 88.
_ID = re.compile(r"[A-Za-z0-9\-.]{1,128}")
_REFERENCE = re.compile(r"[A-Z][A-Za-z]{1,63}/[A-Za-z0-9\-.]{1,128}")
_UUID = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")

_RIGHT = {
    "hook": "the name of the hook, a string",
    "hookInstance": "a UUID, a string",
    "context": "an object with the fields of the hook",
    "context.userId": "Type/id of the user, a string",
    "context.patientId": "the id of the patient, a string",
    "context.encounterId": "the id of the encounter, a string",
    "context.draftOrders": "a FHIR Bundle of the draft orders",
    "context.selections": "a list of Type/id of draft orders",
    "fhirServer": "the base URL of the FHIR server: scheme, host and plain path",
    "prefetch": "an object with the keys of the discovery document",
}


class Authorization(msgspec.Struct):
    """fhirAuthorization. A token that cannot be used is no fault of the call: nothing is fetched with it (R60)."""

    patient: str | None = None
    access_token: Any = None
    token_type: Any = None
    scope: Any = None


class Context(msgspec.Struct):
    """The fields that the hooks have in common, and those of single hooks."""

    userId: str
    patientId: str
    encounterId: str | None = None
    draftOrders: msgspec.Raw = msgspec.Raw()
    selections: list[str] | None = None


class Envelope(msgspec.Struct):
    """A hook call as it came, the values of its prefetch unopened."""

    hook: str
    hookInstance: str
    context: Context
    fhirServer: str | None = None
    fhirAuthorization: Authorization | None = None
    prefetch: dict[str, msgspec.Raw] | None = None


class HookRequest(NamedTuple):
    """A checked hook call. Prefetch values stay JSON: a bad one costs itself only."""

    hook: str
    hookInstance: str
    context: Context
    fhirServer: str | None
    fhirAuthorization: Authorization | None
    prefetch: dict[str, msgspec.Raw]


class _HookOnly(msgspec.Struct):
    hook: str = ""


_envelope = msgspec.json.Decoder(Envelope)
_hook_only = msgspec.json.Decoder(_HookOnly)


def parse_request(body: bytes, service: Service) -> HookRequest:
    """A checked hook call for one service. Raises RequestError naming the member that is not as it should be."""
    check_json(body)
    try:
        envelope = _envelope.decode(body)
    except msgspec.ValidationError as error:
        raise _other_hook(body, service) or _misfit(error) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise malformed(error) from None
    prefetch = envelope.prefetch or {}
    check_numbers(body, prefetch)
    _check_envelope(envelope, service)
    _check_context(envelope.context, service)
    named = envelope.fhirAuthorization and envelope.fhirAuthorization.patient
    if named and _bare(named, "Patient") != envelope.context.patientId:
        raise invalid(
            "fhirAuthorization.patient names another patient than context.patientId: they should be the same",
            "fhirAuthorization.patient",
        )
    return HookRequest(
        envelope.hook,
        envelope.hookInstance,
        envelope.context,
        envelope.fhirServer,
        envelope.fhirAuthorization,
        prefetch,
    )


def gather(request: HookRequest, service: Service) -> Gathered:
    """What the call brought, by FHIR type. An absent key is a search that was not done (R66)."""
    prefetch = request.prefetch
    patient = prefetch.get(PATIENT_KEY)
    if patient is None:
        raise DataMissing(*missing_keys(prefetch, service))
    missing = {kind for key, kind in SEARCH_KEYS.items() if key not in prefetch}
    if service.reads_encounter and ENCOUNTER_KEY not in prefetch:
        missing.add("Encounter")
    return Gathered(
        patient_id=request.context.patientId,
        fhir_server=request.fhirServer or "",
        encounter_id=request.context.encounterId or "",
        patient=patient,
        bundles={kind: [prefetch[key]] for key, kind in SEARCH_KEYS.items() if key in prefetch},
        encounter=prefetch.get(ENCOUNTER_KEY),
        drafts=request.context.draftOrders if service.is_order_hook else None,
        selections=request.context.selections if service.hook == "order-select" else None,
        missing=frozenset(missing),
    )


def missing_keys(prefetch: dict[str, msgspec.Raw], service: Service) -> tuple[Issue, ...]:
    """One issue for the Patient, which was not usable, and one for each further key that was not given."""
    patient = Issue(
        "required",
        "prefetch.patient should be the Patient resource of context.patientId: nothing can be said without it",
        "prefetch.patient",
    )
    others = [*([ENCOUNTER_KEY] if service.reads_encounter else []), *SEARCH_KEYS]
    return patient, *(not_given(key, "warning") for key in others if key not in prefetch)


def not_given(key: str, severity: str = "error") -> Issue:
    """The issue of a prefetch key that brought nothing usable."""
    right = "the resource" if key == ENCOUNTER_KEY else "a searchset Bundle, or null for a search without result"
    return Issue(
        "required", f"prefetch.{key} was not given or failed: it should be {right}", f"prefetch.{key}", severity
    )


def _other_hook(body: bytes, service: Service) -> RequestError | None:
    """A context of another hook does not fit either: then the hook is what is wrong."""
    try:
        hook = _hook_only.decode(body).hook
    except msgspec.ValidationError:
        return None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return malformed(error)
    return _wrong_hook(service) if hook and hook != service.hook else None


def _wrong_hook(service: Service) -> RequestError:
    return invalid(f"hook should be {service.hook}, the one hook of service {service.id}", "hook")


def _misfit(error: msgspec.ValidationError) -> RequestError:
    """A decoder's message in the request's own terms: the place, and what would be right there."""
    path, missing = misfit(error)
    if not path:
        return invalid("the body should be a JSON object: a CDS Hooks request", code="structure")
    wrong = "is missing" if missing else "has the wrong JSON type"
    right = _RIGHT.get(path)
    return invalid(
        f"{path} {wrong}" + (f": it should be {right}" if right else ""), path, "required" if missing else "value"
    )


def _check_envelope(request: Envelope, service: Service) -> None:
    if request.hook != service.hook:
        raise _wrong_hook(service)
    if not _UUID.fullmatch(request.hookInstance):
        raise _should_be("hookInstance", "value")
    if request.fhirServer is not None:
        _check_url(request.fhirServer)


def _check_url(fhir_server: str) -> None:
    try:
        parse_base(fhir_server)
    except ValueError:
        raise _should_be("fhirServer", "value") from None


def _check_context(context: Context, service: Service) -> None:
    """Bare ids stay: `Patient/1` in a field of ids is tolerated (R61)."""
    context.patientId = _bare(context.patientId, "Patient")
    if not _ID.fullmatch(context.patientId):
        raise _should_be("context.patientId", "value")
    if not _REFERENCE.fullmatch(context.userId):
        raise _should_be("context.userId", "value")
    if context.encounterId is not None:
        context.encounterId = _bare(context.encounterId, "Encounter")
        if not _ID.fullmatch(context.encounterId):
            raise _should_be("context.encounterId", "value")
    elif service.reads_encounter:
        raise _should_be("context.encounterId", "required")
    if service.is_order_hook and not _is_object(context.draftOrders):
        raise _should_be("context.draftOrders", "value" if bytes(context.draftOrders) else "required")


def _should_be(path: str, code: str) -> RequestError:
    return invalid(f"{path} should be {_RIGHT[path]}", path, code)


def _bare(name: str, kind: str) -> str:
    return name.removeprefix(f"{kind}/")


def _is_object(raw: msgspec.Raw) -> bool:
    return bytes(memoryview(raw)[:1]) == b"{"
