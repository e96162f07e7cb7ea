"""All pages of the form (docs/intake.md)."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from flask import Blueprint, Response, request
from werkzeug.exceptions import HTTPException

from hooks.intake.desk import PAGES
from hooks.intake.filling import add_form
from hooks.intake.pages import Message, page
from hooks.intake.posted import advice_on_posted, resent
from hooks.intake.sign_in import add_sign_in
from hooks.states import States

BELOW = (PAGES,)
"""What the paths begin with that a browser posts answers to."""


def intake(clock: Callable[[], datetime], new_uuid: Callable[[], Any], states: Callable[[], States]) -> Blueprint:
    """states: of the criteria, in force for everybody. The application has a `desk` when it is served."""
    pages = Blueprint("intake", __name__, template_folder="templates")
    add_sign_in(pages, clock)
    add_form(pages, clock, new_uuid, states)
    pages.register_error_handler(HTTPException, _refused)
    return pages


def _refused(error: HTTPException) -> Response:
    """Whatever it was: who has just answered is told what to do, and can send the answers once more."""
    status, title = error.code or 500, "This did not work"
    if request.method != "POST":
        message = Message(status, title, "This service cannot do it at the moment. Try again soon.")
        return page("message", {"message": message}, None, status)
    message = Message(status, title, "It is not certain that your answers were saved. Nothing is saved twice.")
    return page("message", {"message": message, **advice_on_posted(), **resent()}, None, status)
