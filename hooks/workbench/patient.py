"""Whose chart the workbench shows: a sample's, or the one in the form."""

from datetime import datetime
from functools import cache
from typing import Any, NamedTuple

import msgspec

from fhir_profiles import samples
from fhir_profiles.record import UNREADABLE
from hooks.cli.charts import DEFAULT_HOOK, ChartError, is_request
from hooks.services import SERVICES
from hooks.workbench.form import Form

Resource = dict[str, Any]

HOOKS = {service.hook: service for service in SERVICES.values()}


class Patient(NamedTuple):
    """document: a FHIR Bundle or a CDS Hooks request; body: the request as given, b"" for a Bundle; hook: its own."""

    document: Resource
    body: bytes
    hook: str
    title: str
    story: str

    @property
    def is_request(self) -> bool:
        return bool(self.body)


class Sample(NamedTuple):
    """What the list of patients shows of a sample chart."""

    name: str
    title: str


@cache
def sample_list() -> tuple[Sample, ...]:
    return tuple(Sample(name, samples.story(name)["title"]) for name in samples.names())


def open_patient(form: Form, now: datetime) -> Patient:
    """The chart, a sample's moved to `now`. Raises ChartError saying what is wrong with it."""
    return _own(form.chart) if form.is_own else _sample(form.patient, now)


def _sample(name: str, now: datetime) -> Patient:
    try:
        bundle = samples.shifted(samples.load(name), now)
    except LookupError:
        raise ChartError("there is no sample patient of that name: choose one of the list") from None
    told = samples.story(name)
    return Patient(bundle, b"", told["hook"], told["title"], told["story"])


def _own(text: str) -> Patient:
    body = text.encode("utf-8", "surrogatepass").strip()
    if not body:
        raise ChartError("no chart was given: drop, choose or paste a FHIR Bundle or a CDS Hooks request")
    asks = is_request(body)
    try:
        document = msgspec.json.decode(body)
    except UNREADABLE as error:
        raise ChartError(f"not JSON that can be read: {error}") from None
    if not asks:
        return Patient(document, b"", DEFAULT_HOOK, "Your FHIR Bundle", "")
    hook = document.get("hook")
    return Patient(document, body, hook if isinstance(hook, str) else DEFAULT_HOOK, "Your CDS Hooks request", "")
