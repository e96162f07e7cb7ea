"""The FHIR NPM package: our resources in the layout that FHIR tools load, the same bytes for the same content.

Layout: https://confluence.hl7.org/display/FHIR/NPM+Package+Specification
"""

import gzip
import io
import tarfile
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import msgspec

from fhir_profiles.codes import BASE
from fhir_profiles.conformance.resource import (
    FHIR_VERSION,
    PUBLISHER,
    UNREVIEWED,
    Edition,
    Resource,
    canonical,
    described,
)

PACKAGE_ID = "org.example.backpain-cds"
TITLE = "Back pain: red flags and referral to a spine surgeon"
_ABOUT = (
    "What the CDS Hooks service backpain-cds reads and writes, the codes it goes by, and when its cards appear. SNOMED "
    f"CT, LOINC and UCUM codes are under the licenses that the resources name. {UNREVIEWED}"
)
_TERMS = (
    "SNOMED CT: copyright SNOMED International; codes marked snomed-affiliate need an Affiliate License where they are "
    "used. LOINC (http://loinc.org): copyright Regenstrief Institute, Inc. and the LOINC Committee, available at no "
    "cost under the license at http://loinc.org/license. UCUM: copyright Regenstrief Institute, Inc. and the UCUM "
    "Organization. RxNorm: courtesy of the U.S. National Library of Medicine. ICD-10-CM: public domain in the United "
    "States. FHIR is the registered trademark of HL7."
)
_DEPENDS_ON = {"hl7.fhir.r4.core": FHIR_VERSION}
_INDEXED = ("url", "version", "kind", "type")


class Package(NamedTuple):
    """What is published. resources: canonical ones, the guide among them; version: semantic, new for every change."""

    version: str
    date: str
    resources: Sequence[Resource]
    examples: Sequence[Resource]

    @property
    def file_name(self) -> str:
        return f"{PACKAGE_ID}-{self.version}.tgz"


def guide(resources: Sequence[Resource], examples: Sequence[Resource], edition: Edition) -> Resource:
    """The ImplementationGuide that lists them all."""
    listed = [*map(_listed, resources), *(_listed(each) | _of_profile(each) for each in examples)]
    return described("ImplementationGuide", "backpain-cds", TITLE, _ABOUT, edition) | {
        "copyright": _TERMS,
        "packageId": PACKAGE_ID,
        "license": "Apache-2.0",
        "fhirVersion": [FHIR_VERSION],
        "definition": {"resource": listed},
    }


def _listed(resource: Resource) -> dict[str, Any]:
    reference = {"reference": f"{resource['resourceType']}/{resource['id']}"}
    return {"reference": reference, "name": resource.get("title", resource["id"])} | _said(resource)


def _said(resource: Resource) -> dict[str, str]:
    return {"description": resource["description"]} if "description" in resource else {}


def _of_profile(example: Resource) -> dict[str, Any]:
    profiles = example.get("meta", {}).get("profile")
    return {"exampleCanonical": profiles[0]} if profiles else {"exampleBoolean": True}


def archive(package: Package) -> bytes:
    """The package as a .tgz."""
    packed = io.BytesIO()
    with (
        gzip.GzipFile(filename="", fileobj=packed, mode="wb", mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.USTAR_FORMAT) as tar,
    ):
        for name, content in _files(package):
            entry = tarfile.TarInfo(f"package/{name}")
            entry.size, entry.mode = len(content), 0o644
            tar.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


def _files(package: Package) -> Iterator[tuple[str, bytes]]:
    yield "package.json", _encoded(_manifest(package))
    yield from _folder("", package.resources)
    yield from _folder("example/", package.examples)


def _folder(place: str, resources: Sequence[Resource]) -> Iterator[tuple[str, bytes]]:
    files = sorted((f"{each['resourceType']}-{each['id']}.json", each) for each in resources)
    index = {"index-version": 1, "files": [_entry(*file) for file in files]}
    yield f"{place}.index.json", _encoded(index)
    yield from ((f"{place}{name}", _encoded(resource)) for name, resource in files)


def _entry(name: str, resource: Resource) -> dict[str, Any]:
    indexed = {key: resource[key] for key in _INDEXED if isinstance(resource.get(key), str)}
    return {"filename": name, "resourceType": resource["resourceType"], "id": resource["id"], **indexed}


def _encoded(content: dict[str, Any]) -> bytes:
    return msgspec.json.format(msgspec.json.encode(content)) + b"\n"


def _manifest(package: Package) -> dict[str, Any]:
    return {
        "name": PACKAGE_ID,
        "version": package.version,
        "canonical": BASE,
        "url": canonical("ImplementationGuide", "backpain-cds"),
        "title": TITLE,
        "description": _ABOUT,
        "fhirVersions": [FHIR_VERSION],
        "dependencies": _DEPENDS_ON,
        "type": "IG",
        "author": PUBLISHER,
        "license": "Apache-2.0",
        "date": package.date.replace("-", "") + "000000",
    }
