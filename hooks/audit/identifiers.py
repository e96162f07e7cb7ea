"""Who a call was about, in a form that tells the same person from another and not who it is (row 34).

HMAC-SHA256 with a key of the site: without the key nobody can try out all patient numbers.
"""

import hmac
import os
import secrets
from collections.abc import Mapping
from pathlib import Path

import msgspec

from hooks.errors import SettingsError

KEY_VARIABLE = "BACKPAIN_CDS_AUDIT_KEY"
KEY_FILE = "audit.key"
LEAST_KEY = 32  # characters
LONGEST = 200  # characters, of an identifier in plain

_encode = msgspec.json.encode


class Identifiers:
    """key: the secret of the site. plain: the ids themselves instead of hashes."""

    def __init__(self, key: bytes, plain: bool = False) -> None:
        self._key = key
        self._plain = plain

    @property
    def chain_key(self) -> bytes:
        """What the audit's chain is made with."""
        return hmac.digest(self._key, b"chain", "sha256")

    def user(self, issuer: str, tenant: str, user_id: str) -> str:
        """userId of a call (`Practitioner/1`) as it stands in the audit; "" stays ""."""
        return self._named("user", issuer, tenant, user_id)

    def patient(self, issuer: str, tenant: str, patient_id: str) -> str:
        """patientId of a call as it stands in the audit; the same id at another client is another patient."""
        return self._named("patient", issuer, tenant, patient_id)

    def _named(self, kind: str, issuer: str, tenant: str, id_: str) -> str:
        if self._plain or not id_:
            return id_[:LONGEST]
        return hmac.digest(self._key, _encode((kind, issuer, tenant, id_)), "sha256").hex()


def load_key(folder: Path, environ: Mapping[str, str] = os.environ) -> bytes:
    """The site's key: of the environment, else of the file in `folder`. Raises SettingsError for none or a weak one."""
    if KEY_VARIABLE in environ:
        return _checked(environ[KEY_VARIABLE], KEY_VARIABLE)
    file = folder / KEY_FILE
    try:
        with file.open("rb") as opened:
            if os.fstat(opened.fileno()).st_mode & 0o007:
                raise SettingsError(f"{file}: others may read the key of the audit; its mode should be 0600")
            return _checked(opened.read().decode("utf-8", "replace"), str(file))
    except OSError as error:
        raise SettingsError(f"{file}: the key of the audit cannot be read: {error.strerror}") from None


def make_key(folder: Path, environ: Mapping[str, str] = os.environ) -> None:
    """A new key in `folder` where there is none yet; of two servers that start at once one wins.

    Raises SettingsError where it cannot be written.
    """
    file = folder / KEY_FILE
    if KEY_VARIABLE in environ or file.exists():
        return
    made = folder / f".{KEY_FILE}.{os.getpid()}"
    try:
        with open(made, "x", opener=lambda name, flags: os.open(name, flags, 0o600)) as opened:
            opened.write(secrets.token_hex(32) + "\n")
            os.fsync(opened.fileno())
        os.link(made, file)
    except FileExistsError:
        pass
    except OSError as error:
        raise SettingsError(f"{file}: the key of the audit cannot be written: {error.strerror}") from None
    finally:
        made.unlink(missing_ok=True)


def _checked(text: str, place: str) -> bytes:
    key = text.strip()
    if len(key) < LEAST_KEY:
        raise SettingsError(f"{place}: it should be a secret of at least {LEAST_KEY} characters")
    return key.encode()
