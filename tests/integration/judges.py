"""What runs beside the project, in an environment of its own: Helm's engine, schemas of Kubernetes, those of CycloneDX.

    python judges.py render CHART < values.json     manifests, and what is wrong with them
    python judges.py sbom < sbom.json               what is wrong with a bill of materials

Answers in JSON. Kubernetes schemas are strict: a field that does not exist is an error.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import yaml

OLDEST, NEWEST = "1.30", "1.37"
"""Releases of Kubernetes: the oldest that the chart takes, the newest that there are schemas of."""

SERVICE_MONITOR = json.loads((Path(__file__).parent / "servicemonitor.schema.json").read_text("utf-8"))


def render(chart: str) -> dict[str, Any]:
    from helm_python import Chart, HelmError, lint

    values = json.load(sys.stdin)
    try:
        with Chart.load(chart) as loaded:
            files = loaded.render(values, name="trial", namespace="cds")
    except HelmError as error:
        return {"error": str(error), "manifests": [], "invalid": []}
    manifests = [each for _, text in sorted(files.items()) for each in yaml.safe_load_all(text) if each]
    complaints = [each for each in lint(chart, values)["messages"] if each["severity"] > 1]
    invalid = [problem for each in manifests for problem in problems(each)]
    return {"error": "", "manifests": manifests, "invalid": invalid + complaints}


def problems(manifest: dict[str, Any]) -> Iterator[str]:
    import kubernetes_validate

    name = f"{manifest['kind']} {manifest['metadata']['name']}"
    if manifest["kind"] == "ServiceMonitor":
        yield from (
            f"{name}: {each.message}" for each in jsonschema.Draft7Validator(SERVICE_MONITOR).iter_errors(manifest)
        )
        return
    for release in (OLDEST, NEWEST):
        try:
            kubernetes_validate.validate(manifest, release, strict=True)
        except kubernetes_validate.ValidationError as error:
            yield f"{name}, Kubernetes {release}: {error.message}"


def sbom() -> list[str]:
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    problem = JsonStrictValidator(SchemaVersion.V1_6).validate_str(sys.stdin.read())
    return [str(problem)] if problem else []


if __name__ == "__main__":
    json.dump(render(sys.argv[2]) if sys.argv[1] == "render" else sbom(), sys.stdout)
