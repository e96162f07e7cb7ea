"""`backpain-cds token`: a client of one's own for trying out authentication: its keys, and its tokens."""

import argparse
import os
import sys
from pathlib import Path
from typing import Any
from uuid import uuid4

import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from hooks.cli.inputs import read_document
from hooks.cli.terminal import Terminal, Unusable
from hooks.jwks import KINDS, parse_keys

_USUAL = {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512", "RSA": "RS384"}


def run(args: argparse.Namespace, terminal: Terminal) -> int:
    """Make a key, or print one token and nothing else."""
    if args.new_key:
        return _make_key(args, terminal)
    if not (args.url and args.key):
        raise Unusable("a token needs the URL to be called and --key; --new-key makes a key")
    sys.stdout.write(_token(args, terminal.clock().timestamp()) + "\n")
    return 0


def _make_key(args: argparse.Namespace, terminal: Terminal) -> int:
    """Two new files: the private key for this command, and the public one for the service."""
    name = args.new_key
    made = ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP384R1()), as_dict=True)
    private = {**made, "kid": str(uuid4()), "use": "sig", "alg": "ES384"}
    private.pop("key_ops", None)
    public = {member: value for member, value in private.items() if member != "d"}
    _write_new(f"{name}.jwk.json", private, 0o600)
    _write_new(f"{name}.jwks.json", {"keys": [public]}, 0o644)
    terminal.remark(f"{name}.jwk.json is private: keep it. In the configuration of the service stands:")
    lines = ("[[clients]]", f"issuer = {_quoted(args.issuer)}", f"jwks_file = {_quoted(f'{name}.jwks.json')}")
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


def _write_new(path: str, content: Any, mode: int) -> None:
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(msgspec.json.format(msgspec.json.encode(content)) + b"\n")
    except OSError as error:
        raise Unusable(f"{path} cannot be written: {error.strerror}") from None


def _quoted(text: str) -> str:
    """A TOML string: JSON has the same escapes."""
    return msgspec.json.encode(text).decode()


def _token(args: argparse.Namespace, now: float) -> str:
    """For one call of one URL. now: seconds since the epoch."""
    key, alg, kid = _private_key(args.key)
    claims = {"iss": args.issuer, "aud": args.url, "iat": int(now), "exp": int(now) + args.seconds, "jti": str(uuid4())}
    if args.tenant:
        claims["tenant"] = args.tenant
    headers = {"kid": kid} | ({"jku": args.jku} if args.jku else {})
    return jwt.encode(claims, key, alg, headers)


def _private_key(path: str) -> tuple[Any, str, str]:
    """The key, its algorithm and its `kid`, of a private JWK."""
    wrong = f"{Path(path).name} is no private key in JWK format, EC or RSA, with a kid; --new-key makes one"
    try:
        private = msgspec.json.decode(read_document(path), type=dict[str, Any])
        public = {member: value for member, value in private.items() if member not in ("d", "key_ops")}
        ((kid, found),) = parse_keys(msgspec.json.encode({"keys": [public]})).items()
        alg = found.alg or _USUAL[found.kind]
        key = jwt.PyJWK.from_dict(private, alg).key
    except (msgspec.DecodeError, jwt.PyJWTError, ValueError):
        raise Unusable(wrong) from None
    if "d" not in private or alg not in KINDS:
        raise Unusable(wrong)
    return key, alg, kid
