"""What goes over the line, for people: JSON laid out, and commands that send it from a terminal."""

import shlex
from typing import Any, NamedTuple

import msgspec

from hooks.workbench.call import Call

SHOWN_WHOLE = 200_000
"""Octets of a request that the page shows; a larger one can be downloaded."""
_IN_COMMAND = 60_000


class Wire(NamedTuple):
    """request: "" when it is too large to be shown; octets: of it as sent."""

    url: str
    request: str
    response: str
    octets: int
    command: str


def wire(call: Call, response: bytes, base_url: str, is_open: bool) -> Wire:
    """is_open: nobody is asked for a token."""
    url = f"{base_url}/cds-services/{call.service.id}"
    whole = pretty(call.body) if len(call.body) <= SHOWN_WHOLE else ""
    body = call.body.decode() if len(call.body) <= _IN_COMMAND else ""
    return Wire(url, whole, pretty(response), len(call.body), curl(url, body, is_open))


def curl(url: str, body: str, is_open: bool) -> str:
    """A command that posts the body; the file request.json in place of one that is too long for a command line."""
    lines = [f"curl -sS {shlex.quote(url)}", "-H 'Content-Type: application/json'"]
    if not is_open:
        lines.append('-H "Authorization: Bearer $TOKEN"')
    lines.append(f"--data-raw {shlex.quote(body)}" if body else "--data-binary @request.json")
    return " \\\n  ".join(lines)


def pretty(body: bytes) -> str:
    return msgspec.json.format(body, indent=2).decode()


def pretty_value(value: Any) -> str:
    return pretty(msgspec.json.encode(value))
