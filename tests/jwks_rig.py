"""Registered clients for tests: their keys, the tokens they sign, and a server of JWK Sets that counts its visitors."""

import base64
import json
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from uuid import uuid4

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

ISSUER = "https://ehr.example.org/fhir"
KID = "key-1"
CURVES = {"ES256": ec.SECP256R1, "ES384": ec.SECP384R1, "ES512": ec.SECP521R1}


def private_key(name: str = "a", alg: str = "ES384", bits: int = 2048) -> Any:
    """The key of that name which the algorithm takes; the same at each call."""
    return _generated(name, CURVES.get(alg), bits)


@cache
def _generated(name: str, curve: Any, bits: int) -> Any:
    return ec.generate_private_key(curve()) if curve else rsa.generate_private_key(65537, bits)


def jwk(name: str = "a", kid: str = KID, alg: str = "ES384", bits: int = 2048, **members: Any) -> dict[str, Any]:
    """The public half as a JWK; `...` takes a member away."""
    handler = jwt.get_algorithm_by_name(alg)
    made = handler.to_jwk(private_key(name, alg, bits).public_key(), as_dict=True)
    made.pop("key_ops", None)
    made |= {"kid": kid, "use": "sig", "alg": alg, **members}
    return {key: value for key, value in made.items() if value is not ...}


def jwks(*keys: dict[str, Any]) -> dict[str, Any]:
    return {"keys": list(keys or (jwk(),))}


def claims(aud: Any, **others: Any) -> dict[str, Any]:
    """Those of a good token; `...` takes one away. Times are seconds from now."""
    now = time.time()
    made = {"iss": ISSUER, "aud": aud, "iat": 0, "exp": 300, "jti": str(uuid4()), **others}
    made |= {name: now + made[name] for name in ("iat", "exp", "nbf") if isinstance(made.get(name), int | float)}
    return {name: value for name, value in made.items() if value is not ...}


def token(aud: Any, key: str = "a", alg: str = "ES384", header: dict[str, Any] | None = None, **others: Any) -> str:
    """A token, good unless something says otherwise. `header`: members that differ, `...` takes one away."""
    return signed(claims(aud, **others), key, alg, header)


def signed(payload: Any, key: str = "a", alg: str = "ES384", header: dict[str, Any] | None = None) -> str:
    """The payload (text as it is) signed by hand, so that no library keeps a test from signing nonsense."""
    members = {"alg": alg, "typ": "JWT", "kid": KID, **(header or {})}
    head = json.dumps({name: value for name, value in members.items() if value is not ...})
    text = payload if isinstance(payload, str) else json.dumps(payload)
    signing_input = f"{b64(head.encode())}.{b64(text.encode())}"
    return f"{signing_input}.{b64(jwt.get_algorithm_by_name(alg).sign(signing_input.encode(), private_key(key, alg)))}"


PUBLIC_URL = "https://cds.example.org/backpain"


def registered(folder: Path, *more: str, public_url: str = PUBLIC_URL, **client: Any) -> str:
    """The configuration of a service that asks for tokens, with one client; `more`: lines at its top.

    The keys of the client are in a file in the folder, unless `jku` is given.
    """
    if "jku" not in client:
        (folder / "keys.json").write_text(json.dumps(jwks()))
        client["jwks_file"] = "keys.json"
    lines = ["development = false", f'public_url = "{public_url}"', *more, "[[clients]]", f'issuer = "{ISSUER}"']
    return "\n".join([*lines, *(f"{key} = {json.dumps(value)}" for key, value in client.items())])


def b64(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).decode().rstrip("=")


def bearer(text: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {text}"}


class JwksServer:
    """What it serves can be changed at any time. fetches: the paths asked for; delay: seconds before it answers."""

    def __init__(self) -> None:
        self.fetches: list[str] = []
        self.keys: Any = jwks()
        self.headers: dict[str, str] = {}
        self.status = 200
        self.delay = 0.0
        self.url = ""

    def respond(self, handler: BaseHTTPRequestHandler) -> None:
        self.fetches.append(handler.path)
        time.sleep(self.delay)
        body = self.keys if isinstance(self.keys, bytes) else json.dumps(self.keys).encode()
        handler.send_response(self.status)
        for name, value in {"Content-Length": str(len(body)), **self.headers}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)


def certificate(file: Path) -> Path:
    """A PEM file with a key and a certificate of "localhost" that it signed itself, valid for an hour."""
    key = private_key("tls", "ES256")
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file.write_bytes(secret + made.public_bytes(Encoding.PEM))
    return file


@contextmanager
def jwks_server(certificate: Path | None = None) -> Iterator[JwksServer]:
    """A server on a free loopback port; `url` is that of its set. certificate: of "localhost", and its key, for TLS."""
    state = JwksServer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            try:
                state.respond(self)
            except OSError:
                self.close_connection = True  # who asked has gone

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    state.url = f"http{'s' if certificate else ''}://localhost:{server.server_port}/jwks.json"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
