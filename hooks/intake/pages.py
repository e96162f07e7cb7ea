"""How the form's pages are sent, and what is said when there is nothing to fill in."""

from typing import Any, NamedTuple

from flask import Response, current_app, render_template

from hooks.intake.options import IntakeServer
from hooks.web import as_page

_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; base-uri 'none'; frame-ancestors "
)


class Message(NamedTuple):
    status: int
    title: str
    text: str


_AGAIN = "Open the form again from the patient’s chart."
MESSAGES = {
    "no-iss": Message(
        400, "Which record system?", "This address lacks the FHIR server (iss) that it was opened from. " + _AGAIN
    ),
    "unlisted": Message(
        403,
        "This record system is not registered",
        "The form may be opened from registered FHIR servers only, and nothing was asked of this one.",
    ),
    "not-smart": Message(
        502,
        "The record system cannot be signed in to",
        "It does not say how an app signs in (SMART configuration), or could not be reached. Try again in a minute.",
    ),
    "wrong-state": Message(
        400,
        "This sign-in does not fit",
        "It was not begun in this browser, was used already, or took longer than ten minutes. " + _AGAIN,
    ),
    "access_denied": Message(
        403, "No access was given", "The sign-in was declined, so nothing was read and nothing can be saved. " + _AGAIN
    ),
    "no-patient": Message(
        502, "No patient was named", "The record system did not say whose chart is open. Open the form from a chart."
    ),
    "denied": Message(
        502,
        "The sign-in did not work",
        "The record system refused it. Tell those who look after it if it happens again.",
    ),
    "too-large": Message(
        502,
        "The sign-in did not work",
        "The access token is larger than a browser can keep.",
    ),
    "signed-out": Message(401, "You are no longer signed in", "Nothing is kept here after a while. " + _AGAIN),
    "no-record": Message(
        502, "The record cannot be read", "The record system did not send the patient’s data. Load this page again."
    ),
    "wrong-record": Message(
        409, "The record does not fit", "What the record system sent is not the record of one living patient."
    ),
    "no-sheet": Message(
        400,
        "This form cannot be taken",
        "It was not sent by its own page, or was open for half a day. " + _AGAIN,
    ),
    "busy": Message(
        503,
        "Nothing was saved yet: the service is busy",
        "Load this page again in a moment. The browser then sends your answers once more, and may ask you whether it "
        "should.",
    ),
}


def said(code: str, server: IntakeServer | None = None, **more: Any) -> Response:
    """A page with one message. more: what else the template is told."""
    message = MESSAGES.get(code) or MESSAGES["denied"]
    return page("message", {"message": message, **more}, server, message.status)


def busy_page() -> Response:
    """For answers that nobody looked at: so it says what to do about any."""
    response = said("busy", unsure=True)
    response.headers["Retry-After"] = "1"
    return response


def page(template: str, view: dict[str, Any], server: IntakeServer | None, status: int = 200) -> Response:
    """server: whose pages may show it in a frame; of an unknown one, those of any."""
    options = current_app.site.settings.intake
    shown_in = (server,) if server else options.servers
    origins = " ".join(dict.fromkeys(origin for each in shown_in for origin in each.embedded_in))
    return as_page(render_template(f"intake/{template}.html", **view), status, _POLICY + (origins or "'none'"))
