"""`GET /criteria` and `GET /criteria/<id>`: what the service looks for and on which grounds; HTML or JSON (row 31)."""

from collections.abc import Callable
from datetime import datetime
from functools import lru_cache
from typing import Any

import msgspec
from flask import Flask, Response, abort, render_template

from cds.evaluation import CATALOGUE
from fhir_profiles.codes import SYSTEM_TITLES
from fhir_profiles.transparency import ATTRIBUTES, NOT_USED
from hooks.criteria_view import GROUPS, View
from hooks.states import States
from hooks.web import as_page, wants_html

_KNOWN = {entry.id: entry for entry in CATALOGUE}
_WORDS = {"section": "criteria", "names": ATTRIBUTES, "not_used": NOT_USED, "systems": SYSTEM_TITLES}

StatesInForce = tuple[tuple[str, str], ...]


def add_criteria(app: Flask, view: View, states: Callable[[], States], clock: Callable[[], datetime]) -> None:
    """Both pages. states: in force for everybody; clock: the day decides whether the criteria are past their review.

    A page is written once and kept until one of these changes: the long ones take longer than a hook call.
    """

    @lru_cache(maxsize=256)
    def written(id_: str, html: bool, overdue: bool, in_force: StatesInForce) -> bytes:
        held = dict(in_force)
        document = view.criterion(_KNOWN[id_], overdue, held) if id_ else view.catalogue(overdue, held)
        return _page_of(id_, document) if html else msgspec.json.encode(document)

    def shown(id_: str = "") -> Response:
        html = wants_html()
        body = written(id_, html, view.is_overdue(clock()), tuple(states().items()))
        return as_page(body) if html else _as_json(body)

    @app.get("/criteria")
    def criteria() -> Response:
        return shown()

    @app.get("/criteria/<id_>")
    def criterion(id_: str) -> Response:
        return shown(id_) if id_ in _KNOWN else _unknown()


def _page_of(id_: str, document: dict[str, Any]) -> bytes:
    if id_:
        return render_template("criterion.html", groups=GROUPS, **_WORDS, **document).encode()
    return render_template("criteria.html", groups=_by_group(document["criteria"]), **_WORDS, **document).encode()


def _as_json(body: bytes) -> Response:
    return Response(body, 200, {"Content-Type": "application/json", "Cache-Control": "no-store", "Vary": "Accept"})


def _unknown() -> Response:
    if wants_html():
        return as_page(render_template("no_criterion.html", **_WORDS), 404)
    abort(404, "there is no such criterion: GET /criteria lists those there are")


def _by_group(criteria: list[dict[str, Any]]) -> list[tuple[str, str, str, list[dict[str, Any]]]]:
    """Group, its title and what becomes of it, and its criteria."""
    return [
        (str(group), title, becomes, [each for each in criteria if each["group"] == group])
        for group, (title, becomes) in GROUPS.items()
    ]
