"""`backpain-cds check-config`: whether a site's configuration can be used, and what it means."""

import argparse
import os
from collections.abc import Iterator
from pathlib import Path

from rich.text import Text

from cds.evaluation import CATALOGUE
from fhir_profiles.terminology import Knowledge
from hooks.cli.site import knowledge_of, settings_of
from hooks.cli.terminal import Terminal, Unusable
from hooks.cli.thresholds import threshold_rows
from hooks.clients import Client, check_trust
from hooks.errors import SettingsError
from hooks.jwks import key_sources
from hooks.settings import Settings, config_path


def run(args: argparse.Namespace, terminal: Terminal) -> int:
    """Say what the configuration means; one that cannot be used is refused as at start-up."""
    settings = settings_of(args.file)
    _check_keys(settings)
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
    yield "time zone", settings.zone.key
    yield "intake form", settings.intake_url or "none: the not-assessed card has no link"
    yield "public URL", settings.public_url or "none"
    yield "web origins", _origins(settings)
    yield "FHIR servers", ", ".join(map(str, settings.fhir_servers)) or _no_servers(settings)
    yield "data folder", str(settings.data_dir or "none: which tokens were used is forgotten at a restart")
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


def _client(client: Client) -> Iterator[str]:
    yield f"keys from {client.jwks_file or client.jku}; {', '.join(client.algorithms)}; {_most(client)}"
    yield f"tenants: {', '.join(client.tenants) or 'any'}"
    yield f"FHIR servers: {', '.join(map(str, client.fhir_servers)) or 'none'}"
    yield f"web origins: {', '.join(client.cors_origins) or 'none'}"


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
