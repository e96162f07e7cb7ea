"""From the bytes of a hook call to the bytes of its answer: the one place where all parts meet."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from cds.card import Card
from cds.cards import cards
from cds.evaluation import Evaluation, evaluate
from cds.facts import Chart
from fhir_profiles.errors import PatientMissing, PatientReplaced, RecordError
from fhir_profiles.reading import read_chart
from fhir_profiles.record import Gathered
from fhir_profiles.suggestions import Orders
from fhir_profiles.terminology import Knowledge, load_knowledge
from hooks.errors import DataMissing, Issue, invalid
from hooks.pama import Pama, with_ratings
from hooks.repeats import NOTHING, Acknowledged, Repeat, repeats
from hooks.request import HookRequest, gather, missing_keys, not_given
from hooks.respond import NewUuid, Responder
from hooks.services import SEARCH_KEYS, SERVICES, Service, prefetch_templates
from hooks.settings import Settings
from hooks.states import ALL_ON, States
from hooks.strict_json import parse_strictly

_encode = msgspec.json.Encoder().encode


class Site(NamedTuple):
    """All that one site's answers depend on but the request and the instant; loaded once, never changed.

    templates: service id -> prefetch key -> FHIR query.
    """

    settings: Settings
    knowledge: Knowledge
    responder: Responder
    templates: Mapping[str, Mapping[str, str]]


class Caller(NamedTuple):
    """What holds for whoever calls, beyond what holds for the site.

    states: in force for it. acknowledged: what need not be said again. pama: how it wants ratings of imaging orders.
    """

    states: States = ALL_ON
    acknowledged: Acknowledged = NOTHING
    pama: Pama | None = None


ANYBODY = Caller()


class Answered(NamedTuple):
    """The body of a 200, and what it came from.

    cards: those sent, by uuid, in their order. states: of the criteria that were not on. suppressed: what was
    left out because this user had acknowledged it.
    """

    body: bytes
    evaluation: Evaluation
    cards: Mapping[str, Card]
    gathered: Gathered
    states: States = ALL_ON
    suppressed: tuple[Repeat, ...] = ()

    @property
    def shown(self) -> tuple[str, ...]:
        """The criteria that the cards are about."""
        return tuple(id_ for card in self.cards.values() for id_ in card.criteria)


def load_site(settings: Settings, knowledge: Knowledge | None = None) -> Site:
    """Raises KnowledgeError for lists of codes that cannot be used."""
    known = knowledge or load_knowledge(settings.concepts_dir)
    responder = Responder(Orders(known), known.version, settings.intake_url, settings.public_url)
    templates = {service.id: prefetch_templates(service, known) for service in SERVICES.values()}
    return Site(settings, known, responder, templates)


def answer(
    body: bytes,
    request: HookRequest,
    service: Service,
    site: Site,
    at: datetime,
    new_uuid: NewUuid,
    caller: Caller = ANYBODY,
) -> Answered:
    """Answer one hook call as of `at`. request: what the body says, and what was fetched for it.

    Raises RequestError, and DataMissing where nothing can be said.
    """
    gathered = gather(request, service)
    try:
        evaluation, shown = judge(gathered, service.hook, site, at, caller.states)
    except (PatientMissing, PatientReplaced) as error:
        raise _no_patient(error, request.prefetch, service) from None
    except RecordError as error:
        raise invalid(str(error), "prefetch.patient", "conflict") from None
    chart = evaluation.chart
    if chart.unreadable:  # perhaps because a number in it is none, and then the body is not JSON as it should be
        parse_strictly(body)
    if _nothing_usable(chart):
        raise DataMissing(*(not_given(key) for key in SEARCH_KEYS))
    suppressed = repeats(shown, evaluation, caller.acknowledged)
    if suppressed:
        shown = cards(evaluation, service.hook, frozenset(repeat.group for repeat in suppressed))
    response = site.responder.response(shown, evaluation, new_uuid)
    sent = {wire["uuid"]: card for wire, card in zip(response["cards"], shown, strict=True)}
    if caller.pama:
        response = with_ratings(response, evaluation, caller.pama, site.settings.public_url, new_uuid)
    return Answered(_encode(response), evaluation, sent, gathered, caller.states, suppressed)


def judge(
    gathered: Gathered, hook: str, site: Site, at: datetime, states: States = ALL_ON
) -> tuple[Evaluation, list[Card]]:
    """Read, evaluate, and choose the cards; what is off or silent is evaluated, but no card is about it.

    Raises RecordError for what cannot be the record of the patient.
    """
    settings = site.settings
    chart = read_chart(gathered, at, settings.zone, site.knowledge)
    evaluation = evaluate(chart, at, settings.zone, settings.limits, settings.disabled, frozenset(states))
    return evaluation, cards(evaluation, hook)


def _no_patient(error: RecordError, prefetch: dict[str, Any], service: Service) -> DataMissing:
    if isinstance(error, PatientReplaced):
        return DataMissing(Issue("deleted", str(error), "prefetch.patient"))
    return DataMissing(*missing_keys(prefetch, service))


def _nothing_usable(chart: Chart) -> bool:
    """Every search failed or was not given: an answer without cards would read as "no red flags" (R78)."""
    found = (chart.diagnoses, chart.statements, chart.measurements, chart.medicines, chart.treatments, chart.orders)
    return chart.missing.issuperset(SEARCH_KEYS.values()) and not any(found)
