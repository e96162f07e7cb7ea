"""The Helm chart, rendered by Helm's own engine and judged by schemas of Kubernetes; the bill of materials.

`make validate-deploy` installs these tools (350 MB) and runs this; docs/development.md.
"""

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from hooks.settings import load_settings

ROOT = Path(__file__).parent.parent.parent
CHART = ROOT / "deploy/helm/backpain-cds"
TOOLS = Path(os.environ["DEPLOY_TOOLS"])

CONFIG = """
public_url = "https://cds.example.org"

[[clients]]
issuer = "https://ehr.example.org"
jwks_file = "ehr.jwks.json"
"""
KEYS = '{"keys": []}'
NEEDED = {
    "image": {"repository": "registry.example.org/backpain-cds"},
    "config": CONFIG,
    "files": {"ehr.jwks.json": KEYS},
    "secretName": "backpain-cds",
}
EVERYTHING = NEEDED | {
    "image": {"repository": "registry.example.org/backpain-cds", "digest": "sha256:" + "0" * 64},
    "conceptsConfigMap": "codes",
    "switches": '[[switch]]\ncriterion = "night-pain"\n',
    "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
    "imagePullSecrets": [{"name": "registry"}],
    "nodeSelector": {"kubernetes.io/os": "linux"},
    "tolerations": [{"key": "dedicated", "operator": "Exists"}],
    "podAnnotations": {"example.org/team": "cds"},
}
BARE = NEEDED | {"autoscaling": {"enabled": False}, "networkPolicy": {"enabled": False}, "replicaCount": 3}


@cache
def judged(*args: str, given: str) -> Any:
    command = [TOOLS / "bin/python", Path(__file__).with_name("judges.py"), *args]
    return json.loads(subprocess.run(command, input=given, capture_output=True, text=True, check=True).stdout)


def rendered(values: dict[str, Any]) -> dict[str, Any]:
    answer = judged("render", str(CHART), given=json.dumps(values))
    assert (answer["error"], answer["invalid"]) == ("", [])
    return {f"{each['kind']}/{each['metadata']['name']}": each for each in answer["manifests"]}


NAME = "trial-backpain-cds"


@pytest.mark.parametrize(
    ("values", "kinds"),
    [
        (
            NEEDED,
            {"ConfigMap", "Deployment", "HorizontalPodAutoscaler", "NetworkPolicy", "PodDisruptionBudget", "Service"},
        ),
        (
            EVERYTHING,
            {
                "ConfigMap",
                "Deployment",
                "HorizontalPodAutoscaler",
                "NetworkPolicy",
                "PodDisruptionBudget",
                "Service",
                "ServiceMonitor",
            },
        ),
        (BARE, {"ConfigMap", "Deployment", "PodDisruptionBudget", "Service"}),
    ],
    ids=["needed", "everything", "bare"],
)
def test_every_manifest_is_valid(values: dict[str, Any], kinds: set[str]):
    assert {name.partition("/")[0] for name in rendered(values)} == kinds


def test_the_pod_is_confined():
    pod = rendered(NEEDED)[f"Deployment/{NAME}"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert (pod["securityContext"]["runAsUser"], pod["securityContext"]["runAsNonRoot"]) == (65532, True)
    assert pod["automountServiceAccountToken"] is False
    assert container["resources"]["limits"]["memory"] == "512Mi"
    writable = {each["mountPath"] for each in container["volumeMounts"] if not each.get("readOnly")}
    assert writable == {"/var/lib/backpain-cds", "/tmp"}


def test_stopping_fits_into_the_time_that_is_given():
    pod = rendered(NEEDED)[f"Deployment/{NAME}"]["spec"]["template"]["spec"]
    pause = pod["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert pause + 5 + 12 < pod["terminationGracePeriodSeconds"]


def test_the_service_takes_the_configuration(tmp_path: Path):
    files = rendered(EVERYTHING)[f"ConfigMap/{NAME}"]["data"]
    assert json.loads(files["ehr.jwks.json"]) == json.loads(KEYS)
    text = files["site.toml"]
    for folder in ("/var/lib/backpain-cds", "/etc/backpain-cds-switches"):
        made = tmp_path / folder.rsplit("/", 1)[1]
        made.mkdir()
        text = text.replace(folder, str(made))
    (tmp_path / "site.toml").write_text(text)
    (tmp_path / "ehr.jwks.json").write_text(KEYS)
    settings = load_settings(tmp_path / "site.toml")
    assert (settings.public_url, settings.operations.port) == ("https://cds.example.org", 9090)


def test_a_changed_configuration_replaces_pods_and_a_switch_does_not():
    def template(**changed: Any) -> Any:
        return rendered(NEEDED | changed)[f"Deployment/{NAME}"]["spec"]["template"]

    assert template(switches="# x") == template()
    assert template(config=CONFIG + "log_level = 'debug'") != template()


def test_secrets_come_from_a_secret_and_stand_nowhere_else():
    environ = rendered(NEEDED)[f"Deployment/{NAME}"]["spec"]["template"]["spec"]["containers"][0]["env"]
    assert {each["name"] for each in environ} == {"BACKPAIN_CDS_DATABASE_URL", "BACKPAIN_CDS_AUDIT_KEY"}
    assert {each["valueFrom"]["secretKeyRef"]["name"] for each in environ} == {"backpain-cds"}


def test_without_callers_named_nobody_may_call():
    policy = {"enabled": True, "from": [], "metricsFrom": []}
    rules = rendered(NEEDED | {"networkPolicy": policy})[f"NetworkPolicy/{NAME}"]["spec"]
    assert rules["policyTypes"] == ["Ingress", "Egress"]
    assert not rules["ingress"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"image": {"repository": ""}},
        {"config": ""},
        {"secretName": ""},
        {"config": 'data_dir = "/elsewhere"'},
        {"config": "[operations]\nport = 1"},
        {"files": {"site.toml": ""}},
        {"workers": 0},
        {"replicas": 3},
    ],
    ids=str,
)
def test_values_that_cannot_be_used_are_refused(wrong: dict[str, Any]):
    assert judged("render", str(CHART), given=json.dumps(NEEDED | wrong))["error"]


def test_the_bill_of_materials_is_valid():
    made = subprocess.run([sys.executable, ROOT / "deploy/sbom.py"], capture_output=True, text=True, check=True).stdout
    assert judged("sbom", given=made) == []
    assert judged("sbom", given=made.replace('"library"', '"book"')) != []
