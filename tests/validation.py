"""Is a resource valid FHIR R4? Asked of two judges that share no code.

The JSON Schema is HL7's for FHIR 4.0.1 (`docs/development.md` says where the file comes from); it
knows elements, types and patterns, and rejects any element that FHIR does not have. fhir.resources
knows cardinalities and choice types, which the schema leaves open. It offers no plain R4: its R4B
classes are the same for every resource type that this project reads or writes.
"""

import gzip
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from fhir.resources.R4B import get_fhir_model_class
from fhir_core.fhirabstractmodel import FHIRAbstractModel
from jsonschema import Draft6Validator
from jsonschema.exceptions import ValidationError
from jsonschema.validators import extend

SCHEMA_FILE = Path(__file__).with_name("fhir.schema.json.gz")
DEFINITION = "#/definitions/"
ANY_RESOURCE = "ResourceList"


def validate_r4(resource: dict[str, Any]) -> list[str]:
    """What the R4 JSON Schema objects to, each as `path: message`; an empty list says valid.

    Resources inside (contained, Bundle entries) are judged by their own type, so that a fault is
    reported where it is and not as "matches none of 146 types".
    """
    return [f"{error.json_path}: {error.message[:300]}" for error in r4_validator().iter_errors(resource)]


def parse_r4(resource: dict[str, Any]) -> FHIRAbstractModel:
    """The resource as a fhir.resources object; raises pydantic's ValidationError when it is not valid."""
    return get_fhir_model_class(resource["resourceType"]).model_validate(resource)


@cache
def r4_validator() -> Draft6Validator:
    """The compiled schema; 20 ms once, well under a millisecond for a small resource afterwards."""
    definitions = json.loads(gzip.decompress(SCHEMA_FILE.read_bytes()))["definitions"]
    resource_types = {ref["$ref"].removeprefix(DEFINITION) for ref in definitions[ANY_RESOURCE]["oneOf"]}

    def by_name(validator: Any, ref: str, instance: Any, _schema: dict[str, Any]) -> Iterator[ValidationError]:
        """`$ref` as a dictionary look-up; for "any resource", the type is the one the instance names."""
        name = ref.removeprefix(DEFINITION)
        if name == ANY_RESOURCE:
            name = instance.get("resourceType") if isinstance(instance, dict) else None
            if not isinstance(name, str) or name not in resource_types:
                yield ValidationError(f"resourceType {name!r} is not a FHIR R4 resource type")
                return
        yield from validator.descend(instance, definitions[name])

    return extend(Draft6Validator, {"$ref": by_name})({"$ref": DEFINITION + ANY_RESOURCE})
