"""A FHIR server must prove who it is (reliability.md, row 21)."""

import asyncio
import ssl
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from hooks.errors import Unavailable
from hooks.fhir_client import FhirClient
from hooks.outbound import Server, parse_base
from hooks.tls import tls_context
from tests.fetch_rig import TOKEN

pytestmark = pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")

NOW = datetime.now(UTC)
BODY = b'{"resourceType":"Patient","id":"p1"}'
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(BODY), BODY)


class Authority:
    """Signs certificates, into PEM files of a folder."""

    def __init__(self, folder: Path, name: str) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        self._folder = folder
        self.file = self._written(name, self._signed(self._name, self._key, is_authority=True))

    def issue(self, host: str = "127.0.0.1", days: int = 30) -> Path:
        """A certificate with its key, valid until so many days from now."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, host)])
        return self._written(f"{host}-{days}", self._signed(name, key, host, days), key)

    def _signed(self, name: Any, key: Any, host: str = "", days: int = 30, is_authority: bool = False) -> bytes:
        builder = x509.CertificateBuilder().subject_name(name).issuer_name(self._name).public_key(key.public_key())
        builder = builder.serial_number(x509.random_serial_number())
        builder = builder.not_valid_before(NOW - timedelta(days=60)).not_valid_after(NOW + timedelta(days=days))
        builder = builder.add_extension(x509.BasicConstraints(is_authority, None), critical=True)
        if host:
            other = x509.IPAddress(ip_address(host)) if host[0].isdigit() else x509.DNSName(host)
            builder = builder.add_extension(x509.SubjectAlternativeName([other]), critical=False)
        return builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    def _written(self, name: str, certificate: bytes, key: Any = None) -> Path:
        file = self._folder / f"{name}.pem"
        form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        file.write_bytes(certificate + (key.private_bytes(*form) if key else b""))
        return file


def asked(
    certificate: Path, ca_file: Path | None, newest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3
) -> tuple[str, bytes]:
    """What a request to a server with that certificate brings, or why nothing; and what the server was told."""
    told: list[bytes] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, newest
    context.load_cert_chain(certificate)

    async def serve(read: asyncio.StreamReader, write: asyncio.StreamWriter) -> None:
        told.append(await read.readuntil(b"\r\n\r\n"))
        write.write(ANSWER)
        await write.drain()
        write.close()

    async def run() -> str:
        async with await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context) as server:
            return await _fetched(server.sockets[0].getsockname()[1], ca_file)

    return asyncio.run(run()), b"".join(told)


async def _fetched(port: int, ca_file: Path | None) -> str:
    client = FhirClient(ca_file)
    server = Server(parse_base(f"https://127.0.0.1:{port}/fhir"), f"Bearer {TOKEN}")
    try:
        with client.access(server, time.monotonic() + 5) as access:
            return (await access.get(f"{server.base}/Patient/p1")).decode()
    except Unavailable as failure:
        return failure.reason
    finally:
        await client.close()


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "hospital")


def test_an_authority_of_the_site_is_trusted(authority: Authority):
    body, told = asked(authority.issue(), authority.file)
    assert body.encode() == BODY
    assert TOKEN.encode() in told


def test_formal_rules_do_not_count_with_any_python(monkeypatch: pytest.MonkeyPatch):
    """From 3.13 on Python asks for them by itself."""
    strict = ssl.create_default_context()
    strict.verify_flags |= ssl.VERIFY_X509_STRICT
    monkeypatch.setattr(httpx, "create_ssl_context", lambda **_: strict)
    assert not tls_context(None).verify_flags & ssl.VERIFY_X509_STRICT


@pytest.mark.parametrize(
    "defect",
    [
        lambda authority, _: (authority.issue(), None),
        lambda authority, _: (authority.issue("other.example.org"), authority.file),
        lambda authority, _: (authority.issue(days=-1), authority.file),
        lambda authority, folder: (Authority(folder, "stranger").issue(), authority.file),
        lambda authority, _: (authority.issue(), authority.file, ssl.TLSVersion.TLSv1_1),
    ],
    ids=["unknown authority", "wrong host", "expired", "other authority", "TLS 1.1"],
)
def test_row_21_a_certificate_with_a_defect_gets_no_request(
    authority: Authority, tmp_path: Path, defect: Callable[[Authority, Path], tuple]
):
    assert asked(*defect(authority, tmp_path)) == ("connect", b"")
