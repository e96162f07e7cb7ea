"""`backpain-cds serve`: the service, with a word on what is open and how to try it."""

import argparse
import ipaddress
import os
import shlex
import socket
from importlib.resources import files

from rich.text import Text

from fhir_profiles.errors import KnowledgeError
from fhir_profiles.samples import names
from hooks.cli.site import settings_of
from hooks.cli.terminal import Inert, Terminal, Unusable
from hooks.clients import check_trust
from hooks.errors import SettingsError
from hooks.server import is_loopback, serve
from hooks.settings import Settings, config_path


def run(args: argparse.Namespace, terminal: Terminal) -> int:
    """Serve until stopped."""
    settings = settings_of(args.config, is_loopback(args.host))
    _check_trust(settings)
    _check_address(args.host, args.port)
    terminal.err.print(Inert(_welcome(args, settings)), soft_wrap=True)
    try:
        serve(args.host, args.port, args.workers, config_path(args.config, os.environ), args.operations_port)
    except (SettingsError, KnowledgeError) as error:
        raise Unusable(str(error)) from None
    return 0


def _check_trust(settings: Settings) -> None:
    """Before anything is said of a service that would not start."""
    try:
        check_trust(settings.development, settings.clients, settings.public_url)
    except SettingsError as error:
        raise Unusable(str(error)) from None


def _check_address(host: str, port: int) -> None:
    """The server would only say that a worker failed."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        raise Unusable(f"cannot listen on {host} port {port}: {error.strerror}") from None


def _welcome(args: argparse.Namespace, settings: Settings) -> Text:
    base = f"http://{_shown(args.host)}:{args.port}"
    text = Text.assemble(("backpain-cds", "bold"), f" serves CDS Hooks at {base}/cds-services\n")
    if settings.development:
        text.append("DEVELOPMENT MODE: ", "bold yellow")
        text.append("any web page may call it, nobody is asked who they are, nothing is encrypted.\n", "yellow")
        text.append("Invented patients only.\n", "yellow")
        text.append("Try it from another terminal:\n  ")
        text.append(f"backpain-cds call {base} {shlex.quote(_sample())}\n", "cyan")
    else:
        text.append(f"A call needs a token of one of the {len(settings.clients)} registered clients.\n")
    return text.append("Stop it with Ctrl-C.")


def _sample() -> str:
    """A chart that comes with the release, so that the line can be copied as it is."""
    return str(files("fhir_profiles") / "examples" / f"{names()[0]}.json")


def _shown(host: str) -> str:
    """The host as it stands in a URL that works from this machine."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if address.is_unspecified:
        return "127.0.0.1" if address.version == 4 else "[::1]"
    return f"[{host}]" if address.version == 6 else host
