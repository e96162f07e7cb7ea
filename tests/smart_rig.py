"""An EHR for the intake form: SMART authorization server and FHIR server in a process of its own, HTTP on loopback.

The base URL `/<name>/<fault>/fhir` says what goes wrong; each name has resources of its own, those given at the start
at first. A `launch` is the id of the patient and, after `~`, the appContext. Signing in is a page of
links: Allow and Deny, for a standalone launch one Allow for each patient.
"""

import base64
import hashlib
import html
import json
import re
import secrets
import socket
import subprocess
import sys
import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import jwt

from tests.patience import PATIENCE

ROOT = Path(__file__).parent.parent
SECRET = "a secret of the confidential client"
PATIENTS = ("p1", "p2")
TOKEN_SECONDS = 300
FAULTS = {
    "good",
    "no-smart",  # no smart-configuration
    "http-endpoints",  # endpoints at another host, without TLS
    "v1",  # scopes of SMART v1 only
    "other-state",  # the browser comes back with another state
    "no-patient",  # no patient in the token response
    "mac-token",
    "token-500",
    "long-token",
    "huge-token",
    "secret",  # a confidential client: client_secret_basic
    "signed",  # private_key_jwt
    "no-record",  # Patient cannot be read
    "no-transaction",
    "refuse-403",
    "refuse-422",
    "fail-500",
    "stored-500",  # what is written is there, but the answer says 500; once
    "only-answers",  # no transaction, no Observations
    "expires",  # the first token of a name cannot write
}
_names = count(1)
_JSON = "application/fhir+json"

Json = dict[str, Any]


class Ehr:
    """The running process."""

    def __init__(self, port: int) -> None:
        self.origin = f"http://127.0.0.1:{port}"

    def base(self, fault: str = "good") -> str:
        """A base URL with resources of its own."""
        assert fault in FAULTS
        return f"{self.origin}/t{next(_names)}/{fault}/fhir"

    def written(self, base: str, kind: str) -> list[Json]:
        """What was created there, oldest first."""
        stored = self._asked("_store", base)
        return [each for each in stored if each["resourceType"] == kind and each["id"].startswith("new")]

    def log(self, base: str) -> list[Json]:
        """Requests below the base: method, path, body, and token: the Authorization header, "" without."""
        return self._asked("_log", base)

    def _asked(self, what: str, base: str) -> Any:
        name = urlsplit(base).path.split("/")[1]
        return httpx.get(f"{self.origin}/{what}/{name}", trust_env=False, timeout=PATIENCE).json()


@contextmanager
def ehr(folder: Path, resources: list[Json], public_key: str = "") -> Iterator[Ehr]:
    """public_key: PEM, of the client that signs."""
    data = folder / "ehr.json"
    data.write_text(json.dumps({"resources": resources, "key": public_key}), "utf-8")
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.smart_rig", str(listener.fileno()), str(data)],
            cwd=ROOT,
            pass_fds=[listener.fileno()],
        )
        try:
            yield Ehr(listener.getsockname()[1])
        finally:
            process.terminate()
            process.wait(timeout=PATIENCE)


class Code(NamedTuple):
    """What was agreed to when a code was given."""

    base: str
    client_id: str
    redirect_uri: str
    challenge: str
    patient: str
    context: str
    scope: str


class _State:
    def __init__(self, data: Json) -> None:
        self.lock = threading.Lock()
        self.seed = data["resources"]
        self.key = data["key"]
        self.stores: dict[str, list[Json]] = {}
        self.logs: dict[str, list[Json]] = defaultdict(list)
        self.codes: dict[str, Code] = {}
        self.tokens: dict[str, list[str]] = defaultdict(list)
        self.failed: set[str] = set()
        self.ids = count(1)

    def store(self, name: str) -> list[Json]:
        return self.stores.setdefault(name, json.loads(json.dumps(self.seed)))


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    state: _State

    def log_message(self, *_: object) -> None:
        """Nothing: what is asked is in the log that tests read."""

    def do_GET(self) -> None:
        self._serve(b"")

    def do_POST(self) -> None:
        self._serve(self.rfile.read(int(self.headers.get("Content-Length", 0))))

    def _serve(self, body: bytes) -> None:
        url = urlsplit(self.path)
        way = url.path.strip("/").split("/")
        self.query = {name: values[0] for name, values in parse_qs(url.query).items()}
        with self.state.lock:
            if way[0] == "_store":
                return self._send(200, self.state.store(way[1]))
            if way[0] == "_log":
                return self._send(200, self.state.logs[way[1]])
            self.name, self.fault = way[0], way[1]
            self.base = f"http://{self.headers['Host']}/{self.name}/{self.fault}/fhir"
            told = {"method": self.command, "path": self.path, "body": body.decode()}
            self.state.logs[self.name].append(told | {"token": self.headers.get("Authorization", "")})
            self._route("/".join(way[2:]), body)

    def _route(self, path: str, body: bytes) -> None:
        if path == "fhir/.well-known/smart-configuration":
            return self._configuration()
        if path == "authorize":
            return self._authorize()
        if path == "chart":  # of the EHR, with an app in it
            return self._page("Chart", f'<iframe src="{html.escape(self.query["app"])}"></iframe>')
        if path == "token":
            return self._token({name: values[0] for name, values in parse_qs(body.decode()).items()})
        return self._fhir(path.removeprefix("fhir").strip("/"), body)

    # --- authorization -----------------------------------------------------------------------------------

    def _configuration(self) -> None:
        if self.fault == "no-smart":
            return self._send(404, {})
        own = self.base.removesuffix("/fhir")
        host = "http://ehr.example.org" if self.fault == "http-endpoints" else own
        version = "permission-v1" if self.fault == "v1" else "permission-v2"
        told = {"authorization_endpoint": f"{host}/authorize", "token_endpoint": f"{host}/token"}
        capabilities = ["launch-ehr", "launch-standalone", "client-public", version]
        self._send(200, told | {"capabilities": capabilities, "code_challenge_methods_supported": ["S256"]})

    def _authorize(self) -> None:
        asked = self.query
        wrong = [
            name
            for name, right in {
                "response_type": asked.get("response_type") == "code",
                "aud": asked.get("aud") == self.base,
                "code_challenge_method": asked.get("code_challenge_method") == "S256",
                "code_challenge": re.fullmatch(r"[\w-]{43}", asked.get("code_challenge", "")),
                "state": len(asked.get("state", "")) >= 22,
                "redirect_uri": asked.get("redirect_uri", "").endswith("/intake/callback"),
                "scope": ("launch" if "launch" in asked else "launch/patient") in asked.get("scope", "").split(),
            }.items()
            if not right
        ]
        if wrong:
            return self._send(400, {"error": f"wrong: {', '.join(wrong)}"})
        patient, _, context = asked.get("launch", "").partition("~")
        links = [f'<li><a href="{self._denied()}">Deny</a></li>']
        for each in [patient] if patient else PATIENTS:
            words = "Allow" if patient else f"Allow {each}"
            links.append(f'<li><a href="{self._allowed(each, context)}">{words}</a></li>')
        self._page("Sign in", f"<ul>{''.join(links)}</ul>")

    def _allowed(self, patient: str, context: str) -> str:
        asked, code = self.query, secrets.token_urlsafe(16)
        agreed = asked["client_id"], asked["redirect_uri"], asked["code_challenge"], patient, context, asked["scope"]
        self.state.codes[code] = Code(self.base, *agreed)
        state = "x" * 43 if self.fault == "other-state" else asked["state"]
        return html.escape(f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': state})}")

    def _denied(self) -> str:
        query = urlencode({"error": "access_denied", "error_description": "<b>no</b>", "state": self.query["state"]})
        return html.escape(f"{self.query['redirect_uri']}?{query}")

    def _token(self, form: Mapping[str, str]) -> None:
        code = self.state.codes.pop(form.get("code", ""), None)
        verifier = form.get("code_verifier", "").encode()
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier).digest()).rstrip(b"=").decode()
        if self.fault == "token-500":
            return self._send(500, {})
        if not self._is_client(form):
            return self._send(401, {"error": "invalid_client"})
        fits = code and (code.base, code.challenge, code.redirect_uri) == (
            self.base,
            challenge,
            form.get("redirect_uri"),
        )
        if not fits or form.get("grant_type") != "authorization_code":
            return self._send(400, {"error": "invalid_grant"})
        length = {"long-token": 4500, "huge-token": 30_000}.get(self.fault, 24)
        token = secrets.token_urlsafe(length)
        self.state.tokens[self.name].append(token)
        kind = "mac" if self.fault == "mac-token" else "Bearer"
        told = {"access_token": token, "token_type": kind, "expires_in": TOKEN_SECONDS, "scope": code.scope}
        told |= {} if self.fault == "no-patient" else {"patient": code.patient}
        self._send(200, told | ({"appContext": code.context} if code.context else {}))

    def _is_client(self, form: Mapping[str, str]) -> bool:
        if self.fault == "secret":
            basic = base64.b64encode(f"backpain-cds-intake:{SECRET}".encode()).decode()
            return self.headers.get("Authorization") == f"Basic {basic}"
        if self.fault == "signed":
            own = self.base.removesuffix("/fhir") + "/token"
            claims = jwt.decode(form["client_assertion"], self.state.key, ["RS384"], audience=own)
            kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
            named = jwt.get_unverified_header(form["client_assertion"]).get("kid")
            return claims["sub"] == "backpain-cds-intake" and form["client_assertion_type"] == kind and named == "k1"
        return form.get("client_id") == "backpain-cds-intake" and "Authorization" not in self.headers

    # --- FHIR --------------------------------------------------------------------------------------------

    def _fhir(self, path: str, body: bytes) -> None:
        tokens = self.state.tokens[self.name]
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        is_old = self.fault == "expires" and self.command == "POST" and tokens[:1] == [token]
        if token not in tokens or is_old:
            return self._send(401, {})
        if self.command == "GET":
            return self._read(path)
        if path in ("", "QuestionnaireResponse", "Observation"):
            return self._write(path, json.loads(body))
        return self._send(404, {})

    def _read(self, path: str) -> None:
        kind, _, id_ = path.partition("/")
        stored = [each for each in self.state.store(self.name) if each["resourceType"] == kind]
        if self.fault == "no-record" and kind == "Patient":
            return self._send(500, {})
        if id_:
            found = [each for each in stored if each["id"] == id_]
            return self._send(200 if found else 404, found[0] if found else {})
        wanted = f"Patient/{self.query.get('patient')}"
        entries = [{"resource": each} for each in stored if each.get("subject", {}).get("reference") == wanted]
        return self._send(200, {"resourceType": "Bundle", "type": "searchset", "entry": entries})

    def _write(self, path: str, content: Json) -> None:
        status = {"refuse-403": 403, "refuse-422": 422, "fail-500": 500}.get(self.fault)
        if path == "" and self.fault in ("no-transaction", "only-answers"):
            status = 405
        if path == "Observation" and self.fault == "only-answers":
            status = 422
        if status:
            return self._send(status, {"resourceType": "OperationOutcome"})
        if path == "":
            ids = self._transaction(content)
        else:
            ids = [self._create(content, self.headers.get("If-None-Exist", ""))]
        if self.fault == "stored-500" and self.name not in self.state.failed:
            self.state.failed.add(self.name)
            return self._send(500, {})
        if path:
            return self._answer(201, b"", _JSON, {"Location": f"{self.base}/{path}/{ids[0]}/_history/1"})
        done = [{"response": {"status": "201", "location": id_}} for id_ in ids]
        return self._send(200, {"resourceType": "Bundle", "type": "transaction-response", "entry": done})

    def _transaction(self, bundle: Json) -> list[str]:
        text, locations = json.dumps(bundle), []
        for entry in bundle["entry"]:
            kind = entry["resource"]["resourceType"]
            entry = next(each for each in json.loads(text)["entry"] if each["fullUrl"] == entry["fullUrl"])
            id_ = self._create(entry["resource"], entry["request"]["ifNoneExist"])
            text = _linked(text, entry["fullUrl"], f"{kind}/{id_}")
            locations.append(f"{kind}/{id_}/_history/1")
        return locations

    def _create(self, resource: Json, unless: str) -> str:
        system, _, value = parse_qs(unless)["identifier"][0].partition("|")
        for each in self.state.store(self.name):
            identifiers = each.get("identifier", [])
            listed = identifiers if isinstance(identifiers, list) else [identifiers]
            if each["resourceType"] == resource["resourceType"] and {"system": system, "value": value} in listed:
                return each["id"]
        id_ = f"new{next(self.state.ids)}"
        self.state.store(self.name).append(resource | {"id": id_})
        return id_

    # --- answers -----------------------------------------------------------------------------------------

    def _send(self, status: int, content: Any) -> None:
        self._answer(status, json.dumps(content).encode(), _JSON)

    def _page(self, title: str, content: str) -> None:
        head = f"<!doctype html><html lang=en><title>{title}</title><link rel=icon href=data:,><h1>{title}</h1>"
        self._answer(200, f"{head}{content}".encode(), "text/html")

    def _answer(self, status: int, body: bytes, kind: str, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


def _linked(text: str, full_url: str, reference: str) -> str:
    """References to an entry that was just created; its own fullUrl stays."""
    return text.replace(f'"reference": "{full_url}"', f'"reference": "{reference}"')


def main(handle: str, data: str) -> None:
    _Handler.state = _State(json.loads(Path(data).read_text("utf-8")))
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler, bind_and_activate=False)
    server.daemon_threads = True
    server.socket.close()
    server.socket = socket.socket(fileno=int(handle))
    server.server_address = server.socket.getsockname()
    server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
