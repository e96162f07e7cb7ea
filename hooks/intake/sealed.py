"""What the form's server must remember lies in the browser, sealed: encrypted, signed, and old after a while.

The server itself keeps nothing, and any worker can open what another sealed. Each purpose has a key of its own, so that
nothing can be taken for something else.
"""

import base64
import hmac
import zlib
from datetime import datetime
from typing import Generic, TypeVar

import msgspec
from cryptography.fernet import Fernet, InvalidToken
from flask import Response
from werkzeug.datastructures import ImmutableMultiDict

PIECE = 3800
"""Octets of a cookie: browsers take 4,096 with name and attributes."""
MOST_PIECES = 4

T = TypeVar("T", bound=msgspec.Struct)


class Sealer(Generic[T]):
    """Seals one kind of content. key: the site's secret; seconds: for how long it can be opened."""

    def __init__(self, key: bytes, kind: type[T], seconds: int) -> None:
        derived = hmac.digest(key, b"intake:" + kind.__name__.encode(), "sha256")
        self._fernet = Fernet(base64.urlsafe_b64encode(derived))
        self._decoder = msgspec.json.Decoder(kind)
        self.seconds = seconds

    def seal(self, content: T, now: datetime) -> str:
        packed = zlib.compress(msgspec.json.encode(content), 9)
        return self._fernet.encrypt_at_time(packed, int(now.timestamp())).decode()

    def open(self, sealed: str, now: datetime) -> T | None:
        """None for what was not sealed here, is too old, of another kind, or of a release that kept something else."""
        try:
            packed = self._fernet.decrypt_at_time(sealed.encode(), self.seconds, int(now.timestamp()))
            return self._decoder.decode(zlib.decompress(packed))
        except (InvalidToken, UnicodeEncodeError, msgspec.ValidationError):
            return None


class Cookies:
    """How the form's cookies are set. path: below which the browser sends them; embedded: also within a frame."""

    def __init__(self, path: str, embedded: bool) -> None:
        self._path = path
        self._embedded = embedded

    def keep(self, response: Response, name: str, sealed: str, seconds: int) -> bool:
        """False for what is too large for a browser. Pieces of what was there before are taken away."""
        pieces = [sealed[start : start + PIECE] for start in range(0, len(sealed), PIECE)]
        if len(pieces) > MOST_PIECES:
            return False
        for number, piece in enumerate(pieces):
            self._set(response, f"{name}.{number}", piece, seconds)
        for number in range(len(pieces), MOST_PIECES):
            self._set(response, f"{name}.{number}", "", 0)
        return True

    def drop(self, response: Response, name: str) -> None:
        self.keep(response, name, "", 0)

    def _set(self, response: Response, name: str, value: str, seconds: int) -> None:
        response.set_cookie(
            name,
            value,
            max_age=seconds,
            path=self._path,
            secure=True,
            httponly=True,
            samesite="None" if self._embedded else "Lax",
            partitioned=self._embedded,
        )


def kept(cookies: ImmutableMultiDict[str, str], name: str) -> str:
    """What `Cookies.keep` put there; "" for nothing."""
    pieces = (cookies.get(f"{name}.{number}", "") for number in range(MOST_PIECES))
    return "".join(pieces)
