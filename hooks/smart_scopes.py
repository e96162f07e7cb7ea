"""What an access token allows, as its scopes tell: SMART v1 and v2, for patient, user and system (R77).

https://hl7.org/fhir/smart-app-launch/scopes-and-launch-context.html
"""

import re
from enum import Enum

_SCOPE = re.compile(
    r"(?:patient|user|system)/(?P<kind>[A-Za-z]+|\*)\.(?P<may>read|write|\*|c?r?u?d?s?)(?P<filter>\?.*)?"
)
_V1 = {"read": "rs", "write": "", "*": "cruds"}
READ, SEARCH = "r", "s"


class Reach(Enum):
    """How much of what is asked for the token lets us have. PART: a scope with a filter (`?category=...`)."""

    NOTHING = "nothing"
    PART = "part"
    WHOLE = "whole"


def reach(scope: str, kind: str, interaction: str) -> Reach:
    """interaction: READ or SEARCH. An empty scope says nothing, and then the server decides."""
    if not scope.strip():
        return Reach.WHOLE
    matches = [match for match in map(_SCOPE.fullmatch, scope.split()) if match and match["kind"] in (kind, "*")]
    granted = [match for match in matches if interaction in _V1.get(match["may"], match["may"])]
    if not granted:
        return Reach.NOTHING
    return Reach.WHOLE if any(not match["filter"] for match in granted) else Reach.PART
