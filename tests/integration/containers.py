"""The image as Docker builds and confines it, and the service with its database and proxy as Compose runs them.

`make containers` needs Docker with Compose 2.24.4 or newer, and the images that Dockerfile and compose.yaml name.
"""

import json
import re
import shutil
import ssl
import subprocess
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from itertools import count, takewhile
from pathlib import Path
from threading import Event
from typing import Any
from uuid import uuid4

import httpx
import pytest
import yaml

from tests.jwks_rig import bearer, jwks, token
from tests.patience import PATIENCE, until
from tests.service_rig import call, groups, path_of

ROOT = Path(__file__).parent.parent.parent
COMPOSE = yaml.safe_load((ROOT / "deploy/compose.yaml").read_text())
IMAGE = COMPOSE["services"]["backpain-cds"]["image"]
BASE = "python:3.13-slim"
MOST_BYTES = 150_000_000
"""Of the image, beyond its base (docs/deployment.md)."""
PATH = path_of("patient-view")
BODY = json.dumps(call()).encode()
JSON = {"Content-Type": "application/json"}
CONFINED = (
    *("--read-only", "--tmpfs", "/tmp:size=64m,mode=1777", "--user", "65532:65532", "--cap-drop", "ALL"),
    *("--security-opt", "no-new-privileges", "--pids-limit", "128", "--memory", "512m", "--memory-swap", "512m"),
)
SITE = "/etc/backpain-cds/site.toml"
SUITE = tuple(
    f"tests/test_{name}.py"
    for name in (
        *("service_server", "operations", "auth_server", "feedback_server", "audit_server"),
        *("canary", "fuzz", "isolation", "rollout", "restarts", "repeats"),
    )
)
"""Tests that talk to servers."""
NO_POSTGRESQL = "not postgresql and not away_at_the_start and not url_of_the_environment"
"""Nobody with a number for a name may run a PostgreSQL of his own."""


def docker(*args: str, given: str | None = None) -> str:
    """What it says. Raises AssertionError, with what went wrong."""
    ran = subprocess.run(["docker", *args], input=given, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, f"docker {' '.join(args)}\n{ran.stdout[-4000:]}\n{ran.stderr[-4000:]}"
    return ran.stdout.strip()


def inspected(name: str) -> Any:
    return json.loads(docker("inspect", name))[0]


@pytest.fixture(scope="module")
def image() -> str:
    docker("build", "--quiet", "--tag", IMAGE, str(ROOT))
    return IMAGE


@contextmanager
def confined(image: str, folder: Path, *options: str, workers: int = 1) -> Iterator[str]:
    """A container of it, as docs/deployment.md says, for development; removed at the end. folder: for its settings."""
    name = f"backpain-cds-{uuid4()}"
    _written(folder / "site.toml", "development = true\n")
    volumes = {name: "/var/lib/backpain-cds", f"{folder}/site.toml": f"{SITE}:ro"}
    mounted = [part for source, target in volumes.items() for part in ("--volume", f"{source}:{target}")]
    serve = ("serve", "--host", "0.0.0.0", "--port", "8080", "--workers", str(workers), "--config", SITE)
    published = ("--publish", "127.0.0.1::8080")
    try:
        docker("run", "--detach", "--name", name, *CONFINED, *mounted, *published, *options, image, *serve)
        yield name
    finally:
        docker("rm", "--force", "--volumes", name)
        docker("volume", "rm", "--force", name)


def _written(file: Path, text: str) -> None:
    """For whoever the container runs as."""
    file.write_text(text)
    file.chmod(0o644)


@pytest.fixture(scope="module")
def container(image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with confined(image, tmp_path_factory.mktemp("site"), "--health-interval", "1s", workers=2) as started:
        until(lambda: inspected(started)["State"]["Health"]["Status"] == "healthy")
        yield started


def url_of(name: str) -> str:
    return f"http://{docker('port', name, '8080').splitlines()[0]}"


# --- the image -------------------------------------------------------------------------------------------


def inspected_base() -> Any:
    """A build does not put it among the images."""
    with suppress(AssertionError):
        return inspected(BASE)
    docker("pull", "--quiet", BASE)
    return inspected(BASE)


def test_the_image_is_small_and_says_what_it_is(image: str):
    about, base = inspected(image), inspected_base()
    assert about["Size"] - base["Size"] <= MOST_BYTES
    assert about["Config"]["User"] == "65532:65532"
    assert about["Config"]["Labels"]["org.opencontainers.image.version"] == IMAGE.partition(":")[2]


def test_its_bill_of_materials_is_of_what_is_in_it(image: str):
    """Its build has compared it with what pip and dpkg list; here it is made once more."""
    python = ("run", "--rm", *CONFINED, "--entrypoint", "python", image, "/opt/backpain-cds/share/sbom.py")
    docker(*python, "--check", "/opt/backpain-cds/share/sbom.cdx.json")
    components = {each["name"] for each in json.loads(docker(*python))["components"]}
    assert {"flask", "granian", "libc6"} <= {name.lower() for name in components}


# --- a confined container --------------------------------------------------------------------------------


def test_its_process_has_no_rights(container: str):
    status = dict(line.split(":\t", 1) for line in docker("exec", container, "cat", "/proc/1/status").splitlines())
    assert set(status["Uid"].split()) == {"65532"}
    assert {int(status[each], 16) for each in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {0}
    assert status["NoNewPrivs"] == "1"


@pytest.mark.parametrize("folder", ["/opt/backpain-cds", "/etc", "/root"])
def test_nobody_can_write_into_its_file_system(container: str, folder: str):
    with pytest.raises(AssertionError, match="Read-only file system"):
        docker("exec", "--user", "0", container, "touch", f"{folder}/new")


def test_it_answers_a_call(container: str):
    answer = httpx.post(url_of(container) + PATH, content=BODY, headers=JSON, timeout=PATIENCE)
    assert answer.status_code == 200
    assert groups(answer.json())


def test_many_of_the_largest_bodies_stay_within_its_memory(container: str):
    filler = json.dumps({"resourceType": "Observation", "note": [{"text": "x" * 9_000}]})
    request = call()
    request["prefetch"]["observations"] = {"resourceType": "Bundle", "type": "searchset"}
    entries = ",".join([f'{{"resource":{filler}}}'] * 1000)
    body = json.dumps(request).replace('"type": "searchset"}', f'"type": "searchset", "entry": [{entries}]}}')
    assert 9_000_000 < len(body) < 10 * 2**20
    with ThreadPoolExecutor(8) as pool:
        url = url_of(container) + PATH
        sent = [pool.submit(httpx.post, url, content=body, headers=JSON, timeout=PATIENCE) for _ in range(24)]
    statuses = {each.result().status_code for each in sent}
    assert statuses - {503} == {200}
    assert inspected(container)["State"]["OOMKilled"] is False
    assert httpx.post(url, content=BODY, headers=JSON, timeout=PATIENCE).status_code == 200


def test_it_ends_when_it_is_told_to(image: str, tmp_path: Path):
    with confined(image, tmp_path, workers=2) as name:
        until(lambda: _is_ready(url_of(name)))
        docker("stop", "--time", "20", name)  # then it would be killed: 137
        assert inspected(name)["State"]["ExitCode"] == 0


def _is_ready(url: str) -> bool:
    with suppress(httpx.TransportError):
        return httpx.get(f"{url}/readyz", timeout=PATIENCE).status_code == 200
    return False


def test_the_tests_of_servers_pass_within_it(image: str, tmp_path: Path):
    """As uid 65532, read-only, without capabilities (P15). The tests take memory too, and start several servers."""
    shutil.copy(ROOT / "requirements-dev.lock", tmp_path)
    base_python = "$(python -c 'import sys; print(sys.base_prefix)')/bin/python3"
    install = "install --require-hashes --requirement requirements-dev.lock"
    lines = (
        *(f"FROM {image}", "USER 0", "WORKDIR /suite", "COPY requirements-dev.lock ."),
        *(f"RUN {base_python} -m pip --python /opt/backpain-cds/bin/python {install}", "USER 65532:65532"),
    )
    tagged = f"{image}-tests"
    docker("build", "--quiet", "--tag", tagged, "--file", "-", str(tmp_path), given="\n".join(lines))
    room = ("--memory", "1g", "--memory-swap", "1g", "--pids-limit", "512")
    mounted = ("--volume", f"{ROOT / 'tests'}:/suite/tests:ro", "--env", "PYTHONPATH=/suite")
    asked = ("python", "-P", "-m", "pytest", "-p", "no:cacheprovider", "-k", NO_POSTGRESQL)
    try:
        docker("run", "--rm", *CONFINED, *room, *mounted, "--entrypoint", "", tagged, *asked, *SUITE)
    finally:
        docker("rmi", tagged)


# --- with a database and a proxy --------------------------------------------------------------------------

TRIAL = """
services:
  backpain-cds:
    volumes: ["./keys.json:/etc/backpain-cds/keys.json:ro"]
  proxy:
    ports: !override ["127.0.0.1::443"]
"""


class Deployment:
    """What Compose runs. folder: that of its files."""

    def __init__(self, folder: Path, project: str) -> None:
        self._files = ("--file", str(folder / "compose.yaml"), "--file", str(folder / "trial.yaml"))
        self.project = project
        self._root = folder / "root.crt"

    def compose(self, *args: str) -> str:
        return docker("compose", *self._files, "--project-name", self.project, *args)

    def http(self) -> httpx.Client:
        """A client that trusts the proxy's own authority, and nobody else."""
        self.compose("cp", "proxy:/data/caddy/pki/authorities/local/root.crt", str(self._root))
        port = self.compose("port", "proxy", "443").rpartition(":")[2]
        trust = ssl.create_default_context(cafile=str(self._root))
        return httpx.Client(base_url=f"https://localhost:{port}", verify=trust, timeout=PATIENCE)

    def networks(self, service: str) -> Any:
        return inspected(self.compose("ps", "--quiet", service))["NetworkSettings"]["Networks"]

    def sql(self, query: str) -> str:
        asked = ("psql", "-U", "backpain", "-d", "backpain", "-tAc", query)
        return self.compose("exec", "--no-TTY", "database", *asked)


@pytest.fixture(scope="module")
def deployment(image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    folder = tmp_path_factory.mktemp("compose") / "deploy"
    shutil.copytree(ROOT / "deploy", folder)
    for name in ("database", "service"):
        text = (folder / f"compose/{name}.env.example").read_text()
        (folder / f"compose/{name}.env").write_text(text)
    site = folder / "compose/site.toml"
    text = re.sub(
        r"^jku = .*$", 'jwks_file = "keys.json"\nrate_per_second = 1000', site.read_text(), flags=re.MULTILINE
    )
    _written(site, text)
    _written(folder / "keys.json", json.dumps(jwks()))
    (folder / "trial.yaml").write_text(TRIAL)
    made = Deployment(folder, f"trial-{uuid4().hex[:8]}")
    try:
        made.compose("up", "--detach", "--no-build", "--wait")
        yield made
    finally:
        made.compose("down", "--volumes", "--timeout", "30")


@pytest.fixture
def http(deployment: Deployment) -> Iterator[httpx.Client]:
    with deployment.http() as client:
        yield client


def ask(http: httpx.Client) -> httpx.Response:
    """With a token of its own."""
    return http.post(PATH, content=BODY, headers=JSON | bearer(token(f"https://localhost{PATH}")))


def test_a_client_with_a_token_is_answered_and_others_are_not(http: httpx.Client):
    answer = ask(http)
    assert answer.status_code == 200
    assert groups(answer.json())
    assert answer.headers["Strict-Transport-Security"]
    assert http.post(PATH, content=BODY, headers=JSON).status_code == 401


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/metrics"])
def test_what_is_for_operators_is_not_for_callers(http: httpx.Client, path: str):
    assert http.get(path).status_code == 404


def test_only_the_proxy_can_be_reached_and_the_database_has_no_way_out(deployment: Deployment):
    ports = {
        each["Service"]: {port["PublishedPort"] for port in each["Publishers"] or ()} - {0}
        for each in map(json.loads, deployment.compose("ps", "--format", "json").splitlines())
    }
    assert {name for name, open_ports in ports.items() if open_ports} == {"proxy"}
    assert set(deployment.networks("database")) == {f"{deployment.project}_inside"}
    assert inspected(f"{deployment.project}_inside")["Internal"] is True
    assert set(deployment.networks("proxy")) == {f"{deployment.project}_outward"}


def test_rows_and_feedback_are_in_the_database(deployment: Deployment, http: httpx.Client):
    answer = ask(http).json()
    shown = answer["cards"][0]["uuid"]
    said = {"feedback": [{"card": shown, "outcome": "overridden", "outcomeTimestamp": "2026-11-20T12:00:00Z"}]}
    url = f"{PATH}/feedback"
    told = http.post(url, json=said, headers=bearer(token(f"https://localhost{url}")))
    assert told.status_code == 200
    assert deployment.sql(f"select outcome from feedback where card = '{shown}'") == "overridden"
    until(lambda: deployment.sql(f"select count(*) from card where uuid = '{shown}'") == "1")


def test_a_database_that_is_away_loses_no_row(deployment: Deployment, http: httpx.Client):
    deployment.compose("stop", "database")
    try:
        answers = [ask(http) for _ in range(20)]
    finally:
        deployment.compose("start", "database")
    assert {each.status_code for each in answers} == {200}
    ids = ", ".join(f"'{each.headers['X-Request-Id']}'" for each in answers)
    until(lambda: _says(deployment, f"select count(*) from call where id in ({ids})") == "20")


def _says(deployment: Deployment, query: str) -> str:
    """Nothing while the database is on its way up."""
    with suppress(AssertionError):
        return deployment.sql(query)
    return ""


def test_the_service_is_made_anew_and_no_call_is_lost(deployment: Deployment, http: httpx.Client):
    """An update on one machine: the proxy holds calls until the new container listens."""
    over = Event()

    def ask_on(_: int) -> Counter[int]:
        return Counter(ask(http).status_code for _ in takewhile(lambda _: not over.is_set(), count()))

    with ThreadPoolExecutor(4) as pool:
        asked = pool.map(ask_on, range(4))
        try:
            deployment.compose("up", "--detach", "--no-build", "--force-recreate", "--no-deps", "backpain-cds")
            served = [ask(http).status_code for _ in range(20)]
        finally:
            over.set()
    statuses = sum(asked, Counter(served))
    assert set(statuses) == {200}
