"""CodeableConcepts of the record: their codings, their words, and the concepts that they mean together."""

import re
from collections.abc import Sequence
from functools import lru_cache

import msgspec

from cds.concepts import BOOLEAN_FINDINGS, MEASUREMENTS, ORDERS
from fhir_profiles import resources as fhir
from fhir_profiles.codes import FINDING
from fhir_profiles.terminology import Knowledge

NOTHING: frozenset[str] = frozenset()
DISPLAY_LENGTH = 200
_FINDINGS, _MEASUREMENTS, _ORDERS = frozenset(BOOLEAN_FINDINGS), frozenset(MEASUREMENTS), frozenset(ORDERS)
_USUAL_LENGTH = 600  # octets of JSON
_REMEMBERED = 4096

_codeable = msgspec.json.Decoder(fhir.CodeableConcept | None)

# Controls, zero-width and bidirectional marks, line separators, soft hyphen, tags: what can hide or turn text round.
_INVISIBLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e0fff]+"
)


class Code:
    """One CodeableConcept. coding: empty when it has none; concepts: what the codings mean together.

    findings, measurements, orders: those of the concepts that are such.
    """

    __slots__ = ("_shown", "_text", "coding", "concepts", "findings", "measurements", "orders")

    def __init__(self, coding: Sequence[fhir.Coding], text: str | None, concepts: frozenset[str]) -> None:
        self.coding = coding
        self.concepts = concepts
        self.findings = concepts and concepts & _FINDINGS
        self.measurements = concepts and concepts & _MEASUREMENTS
        self.orders = concepts and concepts & _ORDERS
        self._text = text
        self._shown: str | None = None

    @property
    def shown(self) -> str:
        """Its words in the record as one short visible line, "" when there are none."""
        if self._shown is None:
            texts = (self._text, *[coding.display for coding in self.coding])
            self._shown = next((clean for text in texts if text and (clean := cleaned(text))), "")
        return self._shown

    @property
    def has_own_words(self) -> bool:
        """Whether its text says anything but a display of its codings."""
        return self._text is not None and self._text not in [coding.display for coding in self.coding]

    @property
    def words(self) -> str:
        """Its text alone, to compare with."""
        return (self._text or "").strip().lower()


NO_CODE = Code((), None, NOTHING)


def read_code(spelled: bytes, knowledge: Knowledge) -> Code:
    """The CodeableConcept of a piece of JSON. Raises msgspec.DecodeError, UnicodeDecodeError or RecursionError."""
    usual = usual_codes(knowledge)
    code = usual.get(spelled)
    if code is None:
        code = _read(spelled, knowledge)
        if not code.has_own_words:
            _remember(usual, spelled, code)
    return code


@lru_cache(maxsize=8)
def usual_codes(_: Knowledge) -> dict[bytes, Code]:
    """The spellings of CodeableConcepts that were met before.

    Charts of one hospital spell the same few thousand codes the same way. What somebody wrote beside a code is never
    kept: it may be about a patient.
    """
    return {}


@lru_cache(maxsize=8)
def _usual_codings(_: Knowledge) -> dict[bytes, Code]:
    """As `usual_codes`, of their lists of codings alone."""
    return {}


def forget(knowledge: Knowledge) -> None:
    """Look codes up anew: for whoever wants to know whether they still mean what they should."""
    usual_codes(knowledge).clear()
    _usual_codings(knowledge).clear()


def _remember(usual: dict[bytes, Code], spelled: bytes, code: Code) -> None:
    if len(usual) >= _REMEMBERED:
        usual.clear()
    if len(spelled) <= _USUAL_LENGTH:
        usual[spelled] = code


def _read(spelled: bytes, knowledge: Knowledge) -> Code:
    read = _codeable.decode(spelled)
    if read is None:
        return NO_CODE
    bare = _without_text(read.coding, knowledge)
    return bare if read.text is None else Code(bare.coding, read.text, bare.concepts)


def _without_text(element: fhir.Later, knowledge: Knowledge) -> Code:
    """What the codings of a CodeableConcept say, whatever somebody wrote beside them."""
    usual, spelled = _usual_codings(knowledge), bytes(element)
    code = usual.get(spelled)
    if code is None:
        codings = fhir.CODINGS.read(element) or ()
        code = Code(codings, None, knowledge.concepts([(each.system, each.code) for each in codings]))
        _remember(usual, spelled, code)
    return code


def cleaned(text: str) -> str:
    """Chart text as one short visible line. Escaping is for whoever prints it."""
    if text.isascii() and text.isprintable() and len(text) <= DISPLAY_LENGTH:
        return text.strip()
    return " ".join(_INVISIBLE.sub(" ", text[: 4 * DISPLAY_LENGTH]).split())[:DISPLAY_LENGTH].rstrip()


def status_code(status: Code, system: str = "") -> str:
    """Its code in the HL7 system, else in whatever system it is spelled; "" when it has none."""
    codings = [coding for coding in status.coding if coding.code]
    preferred = [coding for coding in codings if coding.system == system]
    return next((coding.code for coding in preferred or codings if coding.code), "")


def is_own(code: Code, finding: str) -> bool:
    """Stated in our own code, which for the emergency findings means new or clearly worse (rule 8)."""
    return any(coding.code == finding and coding.system == FINDING for coding in code.coding)
