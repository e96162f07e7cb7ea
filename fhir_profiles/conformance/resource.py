"""What all the canonical resources of the project have in common."""

from typing import Any, NamedTuple

from fhir_profiles.codes import BASE

PUBLISHER = "backpain-cds"
FHIR_VERSION = "4.0.1"
UNREVIEWED = "The medicine and the wording await review by a clinician."

Resource = dict[str, Any]


class Edition(NamedTuple):
    """Of which state of the knowledge a resource tells. date: a day, YYYY-MM-DD."""

    version: str
    date: str


def canonical(kind: str, id_: str) -> str:
    """The canonical URL of one of our resources."""
    return f"{BASE}/{kind}/{id_}"


def described(kind: str, id_: str, title: str, description: str, edition: Edition) -> Resource:
    """The head of a canonical resource; experimental, because no clinician has reviewed it."""
    return {
        "resourceType": kind,
        "id": id_,
        "url": canonical(kind, id_),
        "version": edition.version,
        "name": "".join(part.capitalize() for part in id_.split("-")),
        "title": title,
        "status": "active",
        "experimental": True,
        "date": edition.date,
        "publisher": PUBLISHER,
        "description": description,
    }
