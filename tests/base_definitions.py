"""FHIR's own definitions of the types that the profiles constrain, and the command that writes the profiles anew.

`fhir-base.json.gz` holds the snapshots of six StructureDefinitions of FHIR 4.0.1 without their mappings; where it is
from stands in docs/development.md.
"""

import gzip
import json
from functools import cache
from pathlib import Path

import msgspec

from fhir_profiles.conformance.profiles import FOLDER, PROFILES, Profile, definition
from fhir_profiles.conformance.resource import Edition
from fhir_profiles.conformance.snapshot import Base
from fhir_profiles.terminology import load_knowledge

BASE_FILE = Path(__file__).with_name("fhir-base.json.gz")


@cache
def bases() -> dict[str, Base]:
    """The definitions by type."""
    held = json.loads(gzip.decompress(BASE_FILE.read_bytes()))
    return {name: Base(each["url"], each["element"]) for name, each in held.items()}


def written(profile: Profile) -> bytes:
    """The file of a profile as it should be."""
    system = load_knowledge().code_system
    made = definition(profile, Edition(system["version"], system["date"]), bases())
    return msgspec.json.format(msgspec.json.encode(made), indent=1) + b"\n"


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for profile in PROFILES:
        (FOLDER / f"{profile.id}.json").write_bytes(written(profile))
