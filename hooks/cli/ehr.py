"""The part of an EHR that calls a CDS Hooks service: a chart in memory that answers prefetch templates.

Enough of FHIR search for prefetch: by patient, by code and by questionnaire; other parameters are ignored, as servers
do that do not know them. References within the chart become `Type/id`, as on a server that has stored it.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl
from uuid import uuid4

from hooks.cli.charts import ChartError

Resource = dict[str, Any]

_TOKEN = re.compile(r"\{\{([^{}]*)\}\}")
_OPEN_VISITS = ("in-progress", "arrived", "triaged", "onleave", "planned")
_ORDER_HOOKS = frozenset(("order-select", "order-sign"))
_NESTED = frozenset((dict, list))
_PATIENT_PARAMETERS = frozenset(("patient", "subject"))


class Chart:
    """The resources of one patient; the Bundle is changed into what a server would have stored.

    Raises ChartError for a Bundle without exactly one Patient that has an id.
    """

    def __init__(self, bundle: Resource) -> None:
        entries = [entry for entry in _list(bundle, "entry") if isinstance(_dict(entry).get("resource"), dict)]
        names = _stored_names(entries)
        self.resources: list[Resource] = [_with_id(entry) for entry in entries]
        for resource in self.resources:
            _rename(resource, names)
        self.patient = self._only_patient()

    def context(self, hook: str) -> Resource:
        """The context of a hook: the visit where there is one, the draft orders where the hook is about orders.

        Raises ChartError when the chart lacks what the hook is about.
        """
        context: Resource = {"userId": self._user(), "patientId": self.patient["id"]}
        visit = self.visit()
        if visit:
            context["encounterId"] = visit["id"]
        elif hook == "encounter-start":
            raise ChartError("encounter-start is about a visit: an Encounter is expected in the Bundle")
        return context | self._orders(hook)

    def prefetch(self, templates: Mapping[str, str], context: Resource) -> Resource:
        """Each key with its answer; a template is left out when it has a token that the context does not fill."""
        queries = {key: _filled(template, context) for key, template in templates.items()}
        return {key: self.query(query) for key, query in queries.items() if query is not None}

    def visit(self) -> Resource | None:
        """The visit going on: by status, else the only one."""
        visits = self._of_type("Encounter")
        going_on = [visit for status in _OPEN_VISITS for visit in visits if visit.get("status") == status]
        return going_on[0] if going_on else visits[0] if len(visits) == 1 else None

    def drafts(self) -> list[Resource]:
        """The orders that are being written."""
        return [each for each in self._of_type("ServiceRequest") if each.get("status") == "draft"]

    def query(self, query: str) -> Resource | None:
        """The answer to `Type/id` (None: there is none such) or to `Type?parameters` (a searchset Bundle)."""
        path, question, parameters = query.partition("?")
        kind, _, id_ = path.partition("/")
        of_kind = [each for each in self.resources if each.get("resourceType") == kind]
        if not question:
            return next((each for each in of_kind if each.get("id") == id_), None)
        wanted = [_test(*each) for each in parse_qsl(parameters, keep_blank_values=True)]
        return _searchset([each for each in of_kind if all(test(each) for test in wanted)])

    def _of_type(self, kind: str) -> list[Resource]:
        return [each for each in self.resources if each.get("resourceType") == kind and each.get("id")]

    def _only_patient(self) -> Resource:
        patients = [each for each in self.resources if each.get("resourceType") == "Patient"]
        if len(patients) != 1:
            count = f"{len(patients)} Patients" if patients else "no Patient"
            raise ChartError(f"the Bundle holds {count}: exactly one is expected")
        if not isinstance(patients[0].get("id"), str):
            raise ChartError("the Patient has no id: one is needed to ask about the patient")
        return patients[0]

    def _user(self) -> str:
        practitioners = self._of_type("Practitioner")
        return f"Practitioner/{practitioners[0]['id']}" if practitioners else "Practitioner/example"

    def _orders(self, hook: str) -> Resource:
        if hook not in _ORDER_HOOKS:
            return {}
        drafts = self.drafts()
        if not drafts:
            raise ChartError(f"{hook} is about orders: a draft ServiceRequest with an id is expected in the Bundle")
        entries = [{"resource": draft} for draft in drafts]
        orders = {"draftOrders": {"resourceType": "Bundle", "type": "collection", "entry": entries}}
        chosen = [f"ServiceRequest/{draft['id']}" for draft in drafts]
        return orders | ({"selections": chosen} if hook == "order-select" else {})


def hook_request(hook: str, context: Resource, prefetch: Resource) -> Resource:
    """A CDS Hooks request; without a FHIR server, for there is none behind a file."""
    return {"hook": hook, "hookInstance": str(uuid4()), "context": context, "prefetch": prefetch}


def _filled(template: str, context: Resource) -> str | None:
    values = {f"context.{name}": value for name, value in context.items() if isinstance(value, str)}
    tokens = [token.strip() for token in _TOKEN.findall(template)]
    if not all(token in values for token in tokens):
        return None
    return _TOKEN.sub(lambda found: values[found[1].strip()], template)


def _searchset(found: list[Resource]) -> Resource:
    bundle: Resource = {"resourceType": "Bundle", "type": "searchset", "total": len(found)}
    entries = [{"resource": each, "search": {"mode": "match"}} for each in found]
    return bundle | ({"entry": entries} if entries else {})


def _test(parameter: str, value: str) -> Callable[[Resource], bool]:
    """What a resource has to pass for one parameter of a search."""
    if parameter in _PATIENT_PARAMETERS:
        return lambda resource: _is_about(resource, value)
    if parameter == "code":
        return _code_test(value)
    if parameter == "questionnaire":
        asked = value.split(",")
        return lambda resource: str(resource.get("questionnaire", "")).partition("|")[0] in asked
    return lambda resource: True


def _is_about(resource: Resource, patient: str) -> bool:
    """By subject; what names none is in the patient's chart all the same."""
    subject = _dict(resource.get("subject") or resource.get("patient"))
    reference = subject.get("reference")
    if not isinstance(reference, str):
        return True
    return reference.partition("/_history/")[0] == f"Patient/{patient.removeprefix('Patient/')}"


def _code_test(value: str) -> Callable[[Resource], bool]:
    """By code with or without its system; a search of ours has hundreds of them."""
    tokens = frozenset(token.rpartition("|") for token in value.split(","))
    systems = frozenset((system, code) for system, bar, code in tokens if bar)
    anywhere = frozenset(code for _, bar, code in tokens if not bar)

    def has_code(resource: Resource) -> bool:
        coded = _dict(resource.get("code") or resource.get("medicationCodeableConcept"))
        codings = [(coding.get("system", ""), coding.get("code")) for coding in map(_dict, _list(coded, "coding"))]
        return any(_is_text(each) and (each[1] in anywhere or each in systems) for each in codings)

    return has_code


def _is_text(values: tuple[Any, ...]) -> bool:
    return all(isinstance(value, str) for value in values)


def _stored_names(entries: Iterable[Resource]) -> dict[str, str]:
    """fullUrl -> `Type/id`."""
    stored = ((entry.get("fullUrl"), _with_id(entry)) for entry in entries)
    return {
        url: f"{resource.get('resourceType')}/{resource['id']}"
        for url, resource in stored
        if isinstance(url, str) and "id" in resource
    }


def _with_id(entry: Resource) -> Resource:
    """The resource with an id: its own, else the last part of its fullUrl."""
    resource, url = entry["resource"], entry.get("fullUrl")
    if "id" in resource or not isinstance(url, str):
        return resource
    return resource | {"id": re.split(r"[/:]", url)[-1]}


def _rename(resource: Resource, names: Mapping[str, str]) -> None:
    """Turn its references by fullUrl into those of the stored resources."""
    open_: list[Any] = [resource]
    while open_:
        node = open_.pop()
        if type(node) is dict:
            reference = node.get("reference")
            if type(reference) is str and reference in names:
                node["reference"] = names[reference]
            node = node.values()
        open_ += [child for child in node if type(child) in _NESTED]


def _dict(value: Any) -> Resource:
    return value if isinstance(value, dict) else {}


def _list(holder: Resource, member: str) -> Iterator[Any]:
    value = holder.get(member)
    return iter(value) if isinstance(value, list) else iter(())
