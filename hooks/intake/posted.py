"""What a browser has just posted, and what its sender is told to do about it, whatever else goes wrong."""

from collections.abc import Iterable
from typing import Any

from flask import current_app, request
from werkzeug.exceptions import HTTPException

from fhir_profiles.intake_answers import questions
from hooks.intake.answers import CALL_AT_ONCE, PREFIX, read_answers, urgent

SHEET = "sheet"
"""The field with the sealed form."""

View = dict[str, Any]


def posted() -> dict[str, str]:
    """Of fields with one name the first that is filled in: a number before its "don't know"."""
    return {name: next(filter(None, values), "") for name, values in request.form.lists()}


def advice(signs: Iterable[str]) -> View:
    """signs: emergency questions answered with yes."""
    titles = {item["linkId"]: item["code"][0]["display"] for item in questions(the_form()["item"])}
    return {"signs": [titles[sign] for sign in signs], "call": not CALL_AT_ONCE.isdisjoint(signs)}


def advice_on_posted() -> View:
    """The same for whatever was posted, also where nothing is taken; `unsure` where it could not be read."""
    try:
        values = posted()
    except HTTPException:
        return {"unsure": True}
    form = the_form()
    links = [item["linkId"] for item in questions(form["item"])]
    return advice(urgent(form, read_answers(form, links, values).answers))


def resent() -> View:
    """What was posted as fields that can be sent once more; none where it could not be read."""
    try:
        values = posted()
    except HTTPException:
        return {}
    fields = {name: value for name, value in values.items() if value and name.startswith((SHEET, PREFIX))}
    return {"fields": fields} if SHEET in fields else {}


def the_form() -> View:
    return current_app.site.knowledge.questionnaire
