"""At which FHIR servers the intake form is registered as a SMART app, and as whom (docs/intake.md)."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

from hooks.errors import SettingsError
from hooks.outbound import Base, is_loopback, may_ask, parse_base

DEVELOPMENT_ID = "backpain-cds-intake"
"""What the form calls itself at a server of this machine that nobody registered it with."""

LAUNCH = "/intake/launch"


@dataclass(frozen=True)
class IntakeServer:
    """One FHIR server at which the form is registered.

    secret: shared with its authorization server; key: signs for the client instead, with key_id and algorithm.
    scopes: asked for instead of the usual. embedded_in: origins of pages that may show the form in a frame.
    """

    base: Base
    client_id: str
    name: str = ""
    secret: str = field(default="", repr=False)
    key: RSAKey | ECKey | None = field(default=None, repr=False, compare=False)
    key_id: str = ""
    algorithm: str = "RS384"
    scopes: tuple[str, ...] = ()
    embedded_in: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        return self.name or self.base.host


@dataclass(frozen=True)
class IntakeOptions:
    """is_on: whether the service has the form at all. development: any FHIR server of this machine may launch it."""

    is_on: bool = False
    servers: tuple[IntakeServer, ...] = ()
    development: bool = False

    def server(self, iss: str) -> IntakeServer | None:
        """The server of that base URL, None for one that is not to be asked anything."""
        try:
            base = parse_base(iss)
        except ValueError:
            return None
        if not may_ask(base, [each.base for each in self.servers], self.development):
            return None
        named = (each for each in self.servers if each.base == base)
        return next(named, None) or (IntakeServer(base, DEVELOPMENT_ID) if is_loopback(base) else None)


def load_intake(
    stated: Mapping[str, Any] | None, folder: Path, development: bool, environ: Mapping[str, str] = os.environ
) -> IntakeOptions:
    """The options of a configuration that fits the schema; file names count from `folder`. Raises SettingsError."""
    tables = (stated or {}).get("servers", ())
    servers = tuple(
        _server(table, folder, f"intake.servers[{index}]", development, environ) for index, table in enumerate(tables)
    )
    _check_once([each.base for each in servers])
    return IntakeOptions(development or stated is not None, servers, development)


def _check_once(bases: Sequence[Base]) -> None:
    for index, base in enumerate(bases):
        if base in bases[:index]:
            raise SettingsError(f"intake.servers[{index}].fhir_server: {base} is registered twice; once is enough")


def _server(
    table: Mapping[str, Any], folder: Path, place: str, development: bool, environ: Mapping[str, str]
) -> IntakeServer:
    try:
        base = parse_base(table["fhir_server"])
    except ValueError as error:
        raise SettingsError(f"{place}.fhir_server: {error}") from None
    if base.scheme == "http" and not development:
        raise SettingsError(f"{place}.fhir_server: {base} should be https, unless development = true")
    if "secret_variable" in table and "private_key_file" in table:
        raise SettingsError(f"{place}: secret_variable and private_key_file are both there; it should have one of them")
    return IntakeServer(
        base,
        table["client_id"],
        table.get("name", ""),
        _secret(table, place, environ),
        _key(table, folder, place),
        table.get("key_id", ""),
        table.get("algorithm", "RS384"),
        tuple(table.get("scopes", ())),
        tuple(table.get("embedded_in", ())),
    )


def _secret(table: Mapping[str, Any], place: str, environ: Mapping[str, str]) -> str:
    variable = table.get("secret_variable")
    if variable is None:
        return ""
    if not environ.get(variable):
        raise SettingsError(f"{place}.secret_variable: the environment has no {variable}; it should hold the secret")
    return environ[variable]


def _key(table: Mapping[str, Any], folder: Path, place: str) -> RSAKey | ECKey | None:
    if "private_key_file" not in table:
        return None
    file = folder / table["private_key_file"]
    kind = ECKey if table.get("algorithm", "RS384").startswith("ES") else RSAKey
    try:
        key = kind.import_key(file.read_bytes())
    except OSError as error:
        raise SettingsError(f"{place}.private_key_file: {file} cannot be read: {error.strerror}") from None
    except (JoseError, ValueError, TypeError):
        key = None
    if key is None or not key.is_private:
        right = "an EC" if kind is ECKey else "an RSA"
        raise SettingsError(f"{place}.private_key_file: {file} should be {right} private key in PEM form")
    return key
