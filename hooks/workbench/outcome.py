"""What the service makes of the call, and what a change makes of that."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from functools import partial
from itertools import count
from typing import Any, NamedTuple
from uuid import NAMESPACE_URL, UUID, uuid5

import msgspec

from cds.cards import cards
from cds.evaluation import evaluate
from hooks.pipeline import Answered, Caller, Site, answer
from hooks.request import parse_request
from hooks.respond import evaluation_json
from hooks.states import ALL_ON, States
from hooks.workbench.call import Call, make_call
from hooks.workbench.form import Form, changed_limits, limits_with
from hooks.workbench.patient import Patient

Json = dict[str, Any]


class Outcome(NamedTuple):
    """evaluation: as the command line's JSON (catalogue, section 9); before: the same without the changes, None when
    there are none. changed: thresholds that differ from the site's."""

    call: Call
    answered: Answered
    response: Json
    evaluation: Json
    changed: Mapping[str, float]
    before: Json | None


class _Judged(NamedTuple):
    answered: Answered
    response: Json
    evaluation: Json


def outcome_of(patient: Patient, form: Form, site: Site, at: datetime, states: States = ALL_ON) -> Outcome:
    """states: of the criteria at the site.

    Raises ChartError, FormError and SettingsError for what cannot be used, RequestError for what is refused.
    """
    changed = changed_limits(form.thresholds, site.settings.limits)
    limits = limits_with(changed, site.settings.limits)
    settings = site.settings
    call = make_call(patient, form, site, at, form.without)
    tried = site._replace(settings=replace(settings, limits=limits, disabled=settings.disabled | form.disabled))
    judged = partial(_judged, at=at, instance=form.instance, states=states)
    now = judged(call, tried)
    before = None
    if form.without & call.resources.keys():
        before = judged(make_call(patient, form, site, at, frozenset()), site).evaluation
    elif changed or form.disabled:
        before = _of_the_same_chart(now.answered, call, site, states)
    return Outcome(call, *now, changed, before)


def _judged(call: Call, site: Site, at: datetime, instance: str, states: States) -> _Judged:
    request = parse_request(call.body, call.service)
    answered = answer(call.body, request, call.service, site, at, _uuids(instance), Caller(states))
    response = msgspec.json.decode(answered.body)
    return _Judged(answered, response, evaluation_json(answered.evaluation, response, site.settings.disabled))


def _of_the_same_chart(answered: Answered, call: Call, site: Site, states: States) -> Json:
    """What the site's own thresholds and criteria make of a chart that has been read already."""
    settings, chart, at = site.settings, answered.evaluation.chart, answered.evaluation.at
    evaluation = evaluate(chart, at, settings.zone, settings.limits, settings.disabled, frozenset(states))
    response = site.responder.response(cards(evaluation, call.service.hook), evaluation, _uuids(""))
    return evaluation_json(evaluation, response, settings.disabled)


def _uuids(instance: str) -> Callable[[], UUID]:
    """The same ids for the same call, so that a card is still the same one when a button of it comes back."""
    numbers = count(1)
    return lambda: uuid5(NAMESPACE_URL, f"{instance}/{next(numbers)}")


class Change(NamedTuple):
    """A criterion whose status is another than before; "" where it was or is left out of the answer."""

    id: str
    title: str
    before: str
    after: str


def changes(outcome: Outcome) -> list[Change]:
    """What the changes of thresholds and facts changed."""
    if outcome.before is None:
        return []
    before, after = ({each["id"]: each for each in of["criteria"]} for of in (outcome.before, outcome.evaluation))
    status = partial(_status, before), partial(_status, after)
    return [
        Change(id_, (before.get(id_) or after[id_])["title"], status[0](id_), status[1](id_))
        for id_ in dict.fromkeys((*before, *after))
        if status[0](id_) != status[1](id_)
    ]


def _status(criteria: Mapping[str, Json], id_: str) -> str:
    return criteria[id_]["status"] if id_ in criteria else ""


def card_changes(outcome: Outcome) -> tuple[list[str], list[str]]:
    """Summaries of the cards that came and of those that went."""
    if outcome.before is None:
        return [], []
    before, after = ([card["summary"] for card in of["cards"]] for of in (outcome.before, outcome.evaluation))
    return [each for each in after if each not in before], [each for each in before if each not in after]
