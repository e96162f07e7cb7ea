"""`backpain-cds call`: a CDS Hooks client that shows in the terminal what an EHR would show."""

import argparse
from datetime import datetime
from typing import Any

import msgspec
from rich.text import Text

from fhir_profiles.samples import shifted
from hooks.cli.cards import card_panels
from hooks.cli.charts import DEFAULT_HOOK, ChartError, is_request
from hooks.cli.client import Client, Reply
from hooks.cli.ehr import Chart, hook_request
from hooks.cli.inputs import named, read_document
from hooks.cli.orders import ORDER_HOOK, with_orders
from hooks.cli.terminal import Terminal, Unusable

ANSWERED = 0
FAILED = 1

Service = dict[str, Any]


def run(args: argparse.Namespace, terminal: Terminal) -> int:
    """Discover, choose the service of the hook, send the chart, show the answer."""
    client = Client(args.url)
    token = _token(args)
    document = _read(args, terminal)
    hook = args.hook or (ORDER_HOOK if args.order else _hook_of(document))
    discovery = client.discover()
    services = _services(discovery)
    if services is None:
        return _show_error(discovery, "discovery", args.json, terminal)
    service = _chosen(services, hook, client)
    reply = client.call(service["id"], msgspec.json.encode(_request(args, document, hook, service)), token)
    if not (reply.ok and isinstance(reply.body.get("cards"), list)):
        return _show_error(reply, service["id"], args.json, terminal)
    if args.json:
        terminal.write_json(reply.body)
    else:
        terminal.show(_heading(service, hook), *card_panels(reply.body))
    return ANSWERED


def _read(args: argparse.Namespace, terminal: Terminal) -> dict[str, Any]:
    """The document as JSON: a request as it is, a Bundle moved to today. Raises Unusable."""
    body = read_document(args.file)
    try:
        document = msgspec.json.decode(body) if is_request(body) else _moved(body, args.today, terminal.clock())
        document = with_orders(document, args.order)
    except ChartError as error:
        raise Unusable(f"{named(args.file)}: {error}") from None
    return document


def _moved(body: bytes, today: bool | None, now: datetime) -> dict[str, Any]:
    """The Bundle, its dates moved so that its timestamp is now; unless asked otherwise, when it has one."""
    bundle = msgspec.json.decode(body)
    if today or (today is None and "timestamp" in bundle):
        try:
            return shifted(bundle, now)
        except ValueError as error:
            raise ChartError(f"{error}; --no-today sends the dates as they are") from None
    return bundle


def _token(args: argparse.Namespace) -> str:
    """The token to send, "" for none. Raises Unusable for one that would not fit into a header."""
    if args.token_file is None and args.token is None:
        return ""
    token = (args.token or read_document(args.token_file).decode(errors="replace")).strip()
    if not (token.isascii() and token.isprintable() and token and " " not in token):
        raise Unusable("the token should be one word of ASCII characters: a JWT, as `backpain-cds token` prints it")
    return token


def _hook_of(document: dict[str, Any]) -> str:
    hook = document.get("hook")
    return hook if isinstance(hook, str) else DEFAULT_HOOK


def _services(reply: Reply) -> list[Service] | None:
    """The services of a discovery document, those at least that can be called; None when it is none."""
    services = reply.body.get("services") if reply.ok else None
    if not isinstance(services, list):
        return None
    return [each for each in services if isinstance(each, dict) and isinstance(each.get("id"), str)]


def _chosen(services: list[Service], hook: str, client: Client) -> Service:
    for service in services:
        if service.get("hook") == hook and client.service_id in (None, service["id"]):
            return service
    offered = ", ".join(f"{each['id']} ({each.get('hook')})" for each in services) or "none at all"
    wanted = f"service {client.service_id} for {hook}" if client.service_id else f"service for {hook}"
    raise Unusable(f"{client.discovery_url} offers no {wanted}; it offers {offered}")


def _request(args: argparse.Namespace, document: dict[str, Any], hook: str, service: Service) -> dict[str, Any]:
    """The request to send: the document itself, or one made of it."""
    if document.get("resourceType") != "Bundle":
        return document | {"hook": hook}
    try:
        chart = Chart(document)
        context = chart.context(hook)
    except ChartError as error:
        raise Unusable(f"{named(args.file)}: {error}") from None
    return hook_request(hook, context, chart.prefetch(_templates(service), context))


def _templates(service: Service) -> dict[str, str]:
    prefetch = service.get("prefetch")
    stated = prefetch.items() if isinstance(prefetch, dict) else ()
    return {key: query for key, query in stated if isinstance(query, str)}


def _heading(service: Service, hook: str) -> Text:
    return Text.assemble((str(service.get("title") or service["id"]), "bold"), f" ({service['id']}, {hook})")


def _show_error(reply: Reply, asked: str, as_json: bool, terminal: Terminal) -> int:
    if as_json and reply.body is not None:
        terminal.write_json(reply.body)
    unexpected = " with something else than CDS Hooks JSON" if reply.status == 200 else ""
    terminal.complain(f"{asked} answered {reply.status}{unexpected}")
    if not as_json:
        for line in _issues(reply.body):
            terminal.remark(line)
    return FAILED


def _issues(body: Any) -> list[str]:
    """The issues of an OperationOutcome, a line each."""
    issues = body.get("issue") if isinstance(body, dict) else None
    return [_issue(issue) for issue in issues if isinstance(issue, dict)] if isinstance(issues, list) else []


def _issue(issue: dict[str, Any]) -> str:
    details = issue.get("details")
    text = issue.get("diagnostics") or (details.get("text") if isinstance(details, dict) else None) or issue.get("code")
    places = issue.get("expression")
    where = f" ({', '.join(map(str, places))})" if isinstance(places, list) and places else ""
    return f"  {issue.get('severity', 'error')}: {text}{where}"
