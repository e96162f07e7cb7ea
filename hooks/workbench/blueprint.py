"""The pages of the workbench: a form, and what the service makes of it. Nothing is stored, logged or fetched."""

from collections.abc import Callable
from datetime import datetime
from io import BytesIO
from typing import Any

from flask import Blueprint, Request, Response, current_app, render_template, request
from werkzeug.exceptions import HTTPException

from cds.limits import THRESHOLDS
from hooks.cli.charts import ChartError
from hooks.errors import RequestError, SettingsError
from hooks.log import log_call
from hooks.pipeline import Site
from hooks.respond import instant
from hooks.services import SERVICES
from hooks.settings import settings_schema
from hooks.states import States
from hooks.web import as_page, wants_html
from hooks.workbench.call import make_call
from hooks.workbench.cards import verdict_on
from hooks.workbench.form import OWN, Form, FormError, empty_form, read_form, read_instant
from hooks.workbench.outcome import outcome_of
from hooks.workbench.patient import open_patient, sample_list
from hooks.workbench.view import outcome_view
from hooks.workbench.wire import curl, pretty_value

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""The page's own script may ask this server, nobody else may be asked."""
FORMS = ("/", "/workbench/request.json")
"""Paths that a browser posts the form to."""
_UNUSABLE = (ChartError, FormError, SettingsError)


class KeptInMemory(Request):
    """A request whose files never reach a disk, however large: they are charts."""

    def _get_file_stream(self, *_about: Any, **_more: Any) -> BytesIO:
        return BytesIO()


def workbench(
    clock: Callable[[], datetime],
    new_uuid: Callable[[], Any],
    states: Callable[[], States],
    machines: Callable[[], Response],
) -> Blueprint:
    """states: of the criteria, in force for everybody; machines: what answers a program that asks for `/`."""
    pages = Blueprint("workbench", __name__, template_folder="templates")

    @pages.get("/")
    def entrance() -> Response:
        return _page(clock(), str(new_uuid()), states()) if wants_html() else machines()

    @pages.post("/")
    def changed() -> Response:
        return _page(clock(), str(new_uuid()), states())

    @pages.post("/workbench/request.json")
    def request_json() -> Response:
        return _request_json(clock(), str(new_uuid()))

    pages.register_error_handler(HTTPException, _refused)
    pages.record_once(lambda state: setattr(state.app, "request_class", KeptInMemory))
    return pages


def _page(now: datetime, instance: str, states: States) -> Response:
    form, problem = _form(instance)
    if problem:
        return _html({"form": form, "problem_said": problem}, 400)
    try:
        view = _outcome(form, now, states)
    except _UNUSABLE as error:
        return _html({"form": form, "problem_said": _said(error)}, 400)
    except RequestError as error:
        view = {"refusal": error}  # what the service would answer is a result too
    return _html({"form": form, **view}, 200)


def _outcome(form: Form, now: datetime, states: States) -> dict[str, Any]:
    site: Site = current_app.site
    patient = open_patient(form, now)
    at = read_instant(form.at, site.settings.zone, now)
    outcome = outcome_of(patient, form, site, at, states)
    base_url = site.settings.public_url or request.host_url.rstrip("/")
    view = outcome_view(outcome, patient, form, site, base_url)
    verdict = verdict_on(outcome.response["cards"], form.verdict, dict(form.reasons), instant(now))
    if verdict:
        body = pretty_value(verdict.feedback)
        command = curl(f"{view['wire'].url}/feedback", body, site.settings.development)
        view |= {"verdict": verdict, "feedback": body, "feedback_command": command}
    return view


def _request_json(now: datetime, instance: str) -> Response:
    """The call as a file, for what is too large to be shown or copied."""
    form, problem = _form(instance)
    if problem:
        return _html({"form": form, "problem_said": problem}, 400)
    site: Site = current_app.site
    try:
        at = read_instant(form.at, site.settings.zone, now)
        call = make_call(open_patient(form, now), form, site, at, form.without)
    except _UNUSABLE as error:
        return _html({"form": form, "problem_said": _said(error)}, 400)
    headers = {"Content-Disposition": 'attachment; filename="request.json"', "Cache-Control": "no-store"}
    return Response(call.body, 200, {"Content-Type": "application/json", **headers})


def _form(instance: str) -> tuple[Form, str]:
    request.max_form_memory_size = current_app.config["MAX_CONTENT_LENGTH"]
    return read_form(request, sample_list()[0].name, instance)


def _said(error: Exception) -> str:
    """The message as a sentence."""
    text = str(error)
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "?", "!")) else ".")


def _refused(error: HTTPException) -> Response:
    """A body that was not taken: the page that sent it still has all that was in it."""
    status = error.code or 500
    largest = current_app.config["MAX_CONTENT_LENGTH"] // 2**20
    said = f"The chart is larger than {largest} MiB." if status == 413 else error.description or error.name
    return _html({"form": empty_form(sample_list()[0].name), "problem_said": said}, status)


def _html(view: dict[str, Any], status: int) -> Response:
    """The page, or of it what the form changes, where a script asks for that only."""
    if status >= 400:
        log_call(request.environ, "", status)
    template = "outcome" if request.args.get("part") == "outcome" else "page"
    return as_page(render_template(f"workbench/{template}.html", **view, **_controls()), status, POLICY)


def _controls() -> dict[str, Any]:
    """What the controls offer, whatever the chart."""
    site: Site = current_app.site
    schema = settings_schema()["properties"]["thresholds"]["properties"]
    return {
        "own": OWN,
        "samples": sample_list(),
        "services": list(SERVICES.values()),
        "thresholds": [(each, getattr(site.settings.limits, each.key), schema[each.key]) for each in THRESHOLDS],
        "zone": site.settings.zone.key,
        "section": "workbench",
    }
