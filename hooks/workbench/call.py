"""The hook call that an EHR would make for the chart: all four hooks, with a visit and draft orders where they lack."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from fhir_profiles.samples import load_order, order_names
from hooks.cli.charts import ChartError
from hooks.cli.ehr import Chart, hook_request
from hooks.pipeline import Site
from hooks.respond import instant
from hooks.services import ENCOUNTER_KEY, Service
from hooks.workbench.form import Form
from hooks.workbench.patient import HOOKS, Patient, Resource

SAMPLE_ORDERS = {name: load_order(name)["code"]["text"] for name in order_names()}
"""Orders that can be put into the cart: name -> label."""

_FIRST_ORDER = "mri-lumbar"
_VISIT_ID = "workbench-visit"


class Draft(NamedTuple):
    """An order in the cart. selected: just now, which order-select asks about."""

    reference: str
    label: str
    selected: bool


class Call(NamedTuple):
    """A call as it goes out. resources: of the whole chart, by reference; orders: sample orders in it, by concept;
    notes: what was added to the chart so that the hook has what it is about."""

    service: Service
    body: bytes
    resources: Mapping[str, Resource]
    drafts: tuple[Draft, ...]
    orders: tuple[str, ...]
    notes: tuple[str, ...]


def make_call(patient: Patient, form: Form, site: Site, at: datetime, without: frozenset[str]) -> Call:
    """Raises ChartError for a chart or hook that makes no call."""
    hook = form.hook or patient.hook
    if hook not in HOOKS:
        raise ChartError(f"hook should be one of {', '.join(HOOKS)}")
    make = _from_request if patient.is_request else _from_bundle
    return make(patient, form, HOOKS[hook], site, at, without)


def _from_bundle(
    patient: Patient, form: Form, service: Service, site: Site, at: datetime, without: frozenset[str]
) -> Call:
    chart = Chart(patient.document)
    resources = {name_of(each): each for each in chart.resources}
    chart.resources = [each for each in chart.resources if each is chart.patient or name_of(each) not in without]
    notes = []
    if service.reads_encounter and chart.visit() is None:
        chart.resources.append(_visit(chart.patient["id"], at))
        notes.append("The chart has no visit: one was added.")
    orders = _orders(form, service, bool(chart.drafts()), notes)
    chart.resources += [_order(each, chart.patient["id"], at) for each in orders]
    context = chart.context(service.hook)
    drafts = tuple(_drafts(chart.drafts(), form)) if service.is_order_hook else ()
    if "selections" in context:
        context["selections"] = [each.reference for each in drafts if each.selected]
    prefetch = chart.prefetch(site.templates[service.id], context)
    request = hook_request(service.hook, context, prefetch) | {"hookInstance": form.instance}
    return Call(service, msgspec.json.encode(request), resources, drafts, orders, tuple(notes))


def _from_request(
    patient: Patient, form: Form, service: Service, site: Site, at: datetime, without: frozenset[str]
) -> Call:
    """The request as it is, unless something of it was changed: whether it is right is for the service to say."""
    request = patient.document
    resources = {name_of(each): each for each in _within(request)}
    context, prefetch = _object(request.get("context")), _object(request.get("prefetch"))
    about, notes = str(context.get("patientId", "")).removeprefix("Patient/"), list[str]()
    cart = _object(context.get("draftOrders"))
    orders = _orders(form, service, bool(_resources(cart)), notes)
    changed: Resource = {}
    if service.hook != request.get("hook"):
        changed["hook"] = service.hook
    if service.reads_encounter and "encounterId" not in context:
        notes.append("The request has no visit: one was added.")
        context = context | {"encounterId": _VISIT_ID}
        changed |= {"context": context, "prefetch": prefetch | {ENCOUNTER_KEY: _visit(about, at)}}
    if orders or (service.is_order_hook and "draftOrders" not in context):
        made = [{"resource": _order(each, about, at)} for each in orders]
        entries = [*_entries(cart), *made]
        context = context | {"draftOrders": {"resourceType": "Bundle", "type": "collection", "entry": entries}}
        changed["context"] = context
    drafts = tuple(_drafts(_resources(_object(context.get("draftOrders"))), form)) if service.is_order_hook else ()
    if service.hook == "order-select" and (form.offered or "selections" not in context):
        changed["context"] = context | {"selections": [each.reference for each in drafts if each.selected]}
    if without & resources.keys():
        changed["prefetch"] = _reduced(changed.get("prefetch", prefetch), without)
    body = msgspec.json.encode(request | changed) if changed else patient.body
    return Call(service, body, resources, drafts, orders, tuple(notes))


def _orders(form: Form, service: Service, has_drafts: bool, notes: list[str]) -> tuple[str, ...]:
    """The sample orders in the cart; an order hook is about orders, so that an empty cart gets one."""
    if not service.is_order_hook:
        return ()
    chosen = tuple(each for each in form.orders if each in SAMPLE_ORDERS)
    if chosen or has_drafts:
        return chosen
    notes.append(f"The chart has no draft order: “{SAMPLE_ORDERS[_FIRST_ORDER]}” was put into the cart.")
    return (_FIRST_ORDER,)


def _drafts(orders: list[Resource], form: Form) -> Iterator[Draft]:
    """The cart; what was not offered before is new, and so selected."""
    for order in orders:
        reference = name_of(order)
        yield Draft(reference, label_of(order), reference in form.selected or reference not in form.offered)


def _order(name: str, patient_id: str, at: datetime) -> Resource:
    own = {"id": f"workbench-{name}", "subject": {"reference": f"Patient/{patient_id}"}, "authoredOn": instant(at)}
    return load_order(name) | own


def _visit(patient_id: str, at: datetime) -> Resource:
    ambulatory = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"}
    return {
        "resourceType": "Encounter",
        "id": _VISIT_ID,
        "status": "in-progress",
        "class": ambulatory,
        "subject": {"reference": f"Patient/{patient_id}"},
        "period": {"start": instant(at)},
    }


# --- reading what others wrote ----------------------------------------------------------------------------


def name_of(resource: Resource) -> str:
    """`Type/id`, as evidence names it; "Type/" for a resource without id."""
    return f"{resource.get('resourceType', '')}/{resource.get('id', '')}"


def label_of(resource: Resource) -> str:
    """What it is called: the text of its code, a display, or its type."""
    code = _object(resource.get("code") or resource.get("medicationCodeableConcept"))
    codings = code.get("coding")
    displays = (_object(each).get("display") for each in (codings if isinstance(codings, list) else ()))
    said = code.get("text") or next((each for each in displays if each), None) or resource.get("resourceType")
    return said if isinstance(said, str) else ""


def _within(request: Resource) -> Iterator[Resource]:
    """Every resource of a request that has a name."""
    for value in (*_object(request.get("prefetch")).values(), _object(request.get("context")).get("draftOrders")):
        found = _object(value)
        yield from _resources(found) if found.get("resourceType") == "Bundle" else [found] if found else []


def _reduced(prefetch: Resource, without: frozenset[str]) -> Resource:
    """Prefetch without these resources; single resources stay."""
    return {key: _reduced_search(value, without) for key, value in prefetch.items()}


def _reduced_search(value: Any, without: frozenset[str]) -> Any:
    if not isinstance(value, dict) or value.get("resourceType") != "Bundle":
        return value
    kept = [each for each in _entries(value) if name_of(_object(_object(each).get("resource"))) not in without]
    return value | {"entry": kept, "total": len(kept)}


def _resources(bundle: Resource) -> list[Resource]:
    return [found for entry in _entries(bundle) if (found := _object(_object(entry).get("resource")))]


def _entries(bundle: Resource) -> list[Any]:
    entries = bundle.get("entry")
    return entries if isinstance(entries, list) else []


def _object(value: Any) -> Resource:
    return value if isinstance(value, dict) else {}
