"""Pages for people: what every page of the service has in common (R9, R135; reliability.md, row 29).

Nothing is loaded from anywhere else, and no script runs but the workbench's own, so a page can show text of a chart.
"""

import hashlib
from importlib.resources import files
from urllib.parse import urlsplit

from flask import Flask, Response, abort, request

from hooks.errors import invalid

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
_CONTENT_TYPES = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml"}
_FORMATS = {"html": "text/html", "json": "application/json"}


def add_pages(app: Flask, public_url: str, has_workbench: bool) -> None:
    """Style sheets and scripts, and what every template knows.

    That is root, the path under which a proxy shows the service, and whether there is a workbench to lead to.
    """
    app.jinja_env.globals |= {"root": urlsplit(public_url).path.rstrip("/"), "has_workbench": has_workbench}
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    shipped = {file.name: file.read_bytes() for file in files("hooks").joinpath("static").iterdir() if file.is_file()}

    @app.get("/static/<name>")
    def static_file(name: str) -> Response:
        kind = _CONTENT_TYPES.get(name.rpartition(".")[2])
        if kind is None or name not in shipped:
            abort(404, "there is no such file")
        response = Response(shipped[name], 200, {"Content-Type": kind, "Cache-Control": "no-cache"})
        response.set_etag(hashlib.sha256(shipped[name]).hexdigest()[:16])
        return response.make_conditional(request)


def wants_html() -> bool:
    """Whether a person asks: a browser does, anything else gets JSON; `?format=` decides against both.

    Raises RequestError for a format that there is none of.
    """
    stated = request.args.get("format")
    if stated is None:
        return request.accept_mimetypes.best_match([_FORMATS["json"], _FORMATS["html"]]) == _FORMATS["html"]
    if stated not in _FORMATS:
        raise invalid("format should be html or json", "format")
    return stated == "html"


def as_page(html: str | bytes, status: int = 200, policy: str = CONTENT_SECURITY_POLICY) -> Response:
    """HTML as an answer, with the headers that keep it harmless. policy: Content-Security-Policy."""
    headers = {
        "Content-Type": "text/html; charset=utf-8",
        "Content-Security-Policy": policy,
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
        "Vary": "Accept",
    }
    return Response(html, status, headers)
