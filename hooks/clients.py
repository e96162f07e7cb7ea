"""The registry: the CDS clients that a site trusts, one `[[clients]]` table each (R160, R162, R167; row 17).

docs/authentication.md explains the keys.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from hooks.errors import SettingsError
from hooks.outbound import Base, parse_base
from hooks.pama import Pama

DEFAULT_ALGORITHMS = ("ES384", "RS384")
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
"""Spellings of this machine in a URL."""


@dataclass(frozen=True)
class Client:
    """One registered CDS client: how its tokens are recognized, and what it may name and do.

    jwks_file: where its public keys are, else they are fetched from jku, of which it may have several. tenants: those
    that its tokens may name, empty for any or none. rate_per_second: calls, on all workers together. max_token_seconds:
    how far ahead tokens expire. states: criterion id and state, where it is another for this client. repeat_days:
    for how long an information card that was acknowledged is not shown again; 0: it always is. pama: how it wants
    imaging orders rated; None: not at all.
    """

    issuer: str
    jwks_file: Path | None = None
    jku: tuple[str, ...] = ()
    algorithms: tuple[str, ...] = DEFAULT_ALGORITHMS
    tenants: tuple[str, ...] = ()
    fhir_servers: tuple[Base, ...] = ()
    cors_origins: tuple[str, ...] = ()
    rate_per_second: float = 50
    max_token_seconds: int = 300
    states: tuple[tuple[str, str], ...] = ()
    repeat_days: int = 0
    pama: Pama | None = None


def load_clients(stated: Sequence[Mapping[str, Any]], folder: Path, development: bool) -> tuple[Client, ...]:
    """The clients of a configuration that fits the schema; file names count from `folder`. Raises SettingsError."""
    clients: list[Client] = []
    for index, each in enumerate(stated):
        place = f"clients[{index}]"
        client = _client(each, folder, place)
        if any(client.issuer == other.issuer for other in clients):
            raise SettingsError(f"{place}.issuer: {client.issuer} is registered twice; it should have one table")
        if not (client.jku or client.jwks_file):
            raise SettingsError(f"{place}: the keys of {client.issuer} are not named; it should have jku or jwks_file")
        _check_jku(client, development, place)
        if math.isnan(client.rate_per_second):
            raise SettingsError(f"{place}.rate_per_second: nan is not a number to compare with; it should be finite")
        clients.append(client)
    return tuple(clients)


def check_trust(development: bool, clients: Sequence[Client], public_url: str) -> None:
    """Raises SettingsError for a service that is not for development and would believe anyone, or nobody."""
    if development:
        return
    if not clients:
        raise SettingsError(
            "clients: nobody is registered, so every call would be refused; it should name the clients that may call "
            "([[clients]], see docs/authentication.md). On a machine that only you can reach, development = true asks "
            "nobody who they are"
        )
    if not public_url:
        raise SettingsError(
            "public_url: it is not set, so no token can be meant for this service; it should be the https URL under "
            "which clients reach it, without /cds-services"
        )


def audience_bases(public_url: str, development: bool, port: int) -> tuple[str, ...]:
    """What a token's `aud` may begin with: the public URL, and on one's own machine every spelling of it (R157).

    Never what a header of the request says.
    """
    public = (public_url.rstrip("/"),) if public_url else ()
    return public + (tuple(f"http://{host}:{port}" for host in LOOPBACK) if development else ())


def _client(stated: Mapping[str, Any], folder: Path, place: str) -> Client:
    values = {key: tuple(value) if isinstance(value, list) else value for key, value in stated.items()}
    if "pama" in values:
        values["pama"] = Pama(**values["pama"])
    if "states" in values:
        values["states"] = tuple(values["states"].items())
    if isinstance(values.get("jku"), str):
        values["jku"] = (values["jku"],)
    if "jwks_file" in values:
        values["jwks_file"] = folder / values["jwks_file"]
    for index, url in enumerate(bases := list(values.get("fhir_servers", ()))):
        try:
            bases[index] = parse_base(url)
        except ValueError as error:
            raise SettingsError(f"{place}.fhir_servers[{index}]: {error}") from None
    return Client(**values | {"fhir_servers": tuple(bases)})


def _check_jku(client: Client, development: bool, place: str) -> None:
    for url in client.jku:
        try:
            scheme, _ = urlsplit(url).scheme, urlsplit(url).port  # a port is looked at when it is asked for
        except ValueError:
            raise SettingsError(f"{place}.jku: {url!r} is not a URL; it should be that of its keys") from None
        if scheme == "http" and not (development or client.jwks_file):
            raise SettingsError(f"{place}.jku: keys are fetched over https only, unless development = true")
