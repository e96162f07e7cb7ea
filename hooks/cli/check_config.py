"""`backpain-cds check-config`: whether a site's configuration can be used, and what it means."""

import argparse
import os
from collections.abc import Iterator
from pathlib import Path

from rich.text import Text

from cds.evaluation import CATALOGUE
from fhir_profiles.terminology import Knowledge
from hooks.audit.options import AuditOptions
from hooks.cli.site import knowledge_of, settings_of, states_of
from hooks.cli.terminal import Terminal, Unusable
from hooks.cli.thresholds import threshold_rows
from hooks.clients import Client, check_trust
from hooks.errors import SettingsError
from hooks.jwks import key_sources
from hooks.ledger.database import ledger_url, open_ledger
from hooks.settings import Settings, config_path


def run(args: argparse.Namespace, terminal: Terminal) -> int:
    """Say what the configuration means; one that cannot be used is refused as at start-up."""
    settings = settings_of(args.file)
    _check_keys(settings)
    states_of(settings)
    knowledge = knowledge_of(settings)
    path = config_path(args.file, os.environ)
    stated = str(path) if path else "no configuration file: the defaults hold"
    terminal.show(Text.assemble(("OK ", "bold green"), stated))
    for name, meaning in _meaning(settings, knowledge):
        terminal.show(Text.assemble((f"  {name:13}", "bold"), meaning))
    return 0


def _meaning(settings: Settings, knowledge: Knowledge) -> Iterator[tuple[str, str]]:
    changed = [row for row in threshold_rows(settings.limits) if row["changed"]]
    yield "thresholds", f"{len(changed)} changed" if changed else "all as by default"
    for row in changed:
        yield "", f"{row['key']} = {row['value']:g} {row['unit']} (default {row['default']:g})"
    disabled = [entry.id for entry in CATALOGUE if entry.id in settings.disabled]
    yield "disabled", ", ".join(disabled) or "none"
    yield "states", _states(settings.states, "every criterion is on")
    yield "switch file", str(settings.switch_file or "none: nothing can be switched off in running servers")
    yield "time zone", settings.zone.key
    yield "intake form", settings.intake_url or "none: the not-assessed card has no link"
    yield from (("", f"{each.title}: {each.base} as {each.client_id}") for each in settings.intake.servers)
    yield "public URL", settings.public_url or "none"
    yield "web origins", _origins(settings)
    yield "FHIR servers", ", ".join(map(str, settings.fhir_servers)) or _no_servers(settings)
    yield "data folder", str(settings.data_dir or "none: which tokens were used is forgotten at a restart")
    yield "database", _database(settings)
    yield "audit", _audit(settings.audit)
    yield "kept", f"calls {settings.retention.audit_days} days, feedback {settings.retention.feedback_days} days"
    yield "clients", _trust(settings)
    for client in settings.clients:
        yield "", client.issuer
        yield from (("", f"  {line}") for line in _client(client))
    yield "log level", settings.log_level
    yield "codes", str(settings.concepts_dir) if settings.concepts_dir else "those of the release alone"
    yield from (("", line) for line in _site_codes(knowledge))
    yield "knowledge", knowledge.version


def _check_keys(settings: Settings) -> None:
    try:
        key_sources(settings.clients, Path())
    except SettingsError as error:
        raise Unusable(str(error)) from None


def _trust(settings: Settings) -> str:
    """Who may call, and for a service that is not for development whether it would start."""
    if settings.development:
        return f"{len(settings.clients)} registered; a call needs no token (development = true)"
    try:
        check_trust(settings.development, settings.clients, settings.public_url)
    except SettingsError as error:
        return f"{len(settings.clients)} registered; starts on a loopback address only, for development: {error}"
    return f"{len(settings.clients)} registered; a call needs a token of one of them"


def _no_servers(settings: Settings) -> str:
    return "those of this machine" if settings.development else "none without a token: prefetch only"


def _audit(audit: AuditOptions) -> str:
    inputs = "inputs kept" if audit.store_input else "inputs not kept"
    otherwise = "what cannot be kept is not answered" if audit.strict else "calls are answered in any case"
    return f"users and patients {audit.identifiers}; {inputs}; {otherwise}"


def _database(settings: Settings) -> str:
    """Without its password."""
    if not (settings.database_url or settings.data_dir):
        return "temporary: feedback and audit are lost at a restart, unless the environment names one"
    try:
        return str(open_ledger(ledger_url(settings, settings.data_dir or Path(), environ={})))
    except SettingsError as error:
        raise Unusable(str(error)) from None


def _client(client: Client) -> Iterator[str]:
    keys = client.jwks_file or " and ".join(client.jku)
    yield f"keys from {keys}; {', '.join(client.algorithms)}; {_most(client)}"
    yield f"tenants: {', '.join(client.tenants) or 'any'}"
    yield f"FHIR servers: {', '.join(map(str, client.fhir_servers)) or 'none'}"
    yield f"web origins: {', '.join(client.cors_origins) or 'none'}"
    yield f"states: {_states(client.states, 'those of the site')}"
    if client.pama:
        yield f"imaging orders are rated, in {client.pama.place}, as mechanism {client.pama.mechanism or '(none)'}"
    if client.repeat_days:
        yield f"an information card that was acknowledged is not repeated for {client.repeat_days} days"


def _states(stated: tuple[tuple[str, str], ...], otherwise: str) -> str:
    return ", ".join(f"{criterion} {state}" for criterion, state in stated) or otherwise


def _most(client: Client) -> str:
    return f"at most {client.rate_per_second:g} calls a second, tokens of {client.max_token_seconds} seconds"


def _origins(settings: Settings) -> str:
    if settings.development:
        return "any (development = true)"
    return ", ".join(settings.cors_origins) or "none; on a loopback address any, unless development = false"


def _site_codes(knowledge: Knowledge) -> Iterator[str]:
    """How many codes the site's folder brought to which concept."""
    for concept, info in sorted(knowledge.value_sets.items()):
        count = sum(code.origin == "site" for code in info.codes)
        if count:
            yield f"{concept}: {count} of the site's own"
        expanded = sum(code.origin == "expanded" for code in info.codes)
        if expanded:
            yield f"{concept}: {expanded} by expansion"
