"""`criteria`, `thresholds`, `check-config`, `serve` and what all commands share."""

import os
import select
import signal
import socket
import subprocess
import sys
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from cds.catalogue import SOURCE_TITLES
from cds.evaluation import CATALOGUE
from cds.limits import THRESHOLDS
from fhir_profiles.transparency import load_transparency
from tests import cli_rig
from tests.cli_rig import Cli, load_once, one_line, program
from tests.patience import PATIENCE
from tests.service_rig import ROOT, Server, await_ready, free_port

cli = cli_rig.cli
COMMANDS = ("serve", "evaluate", "call", "criteria", "thresholds", "check-config", "package", "token",
            "feedback", "report", "migrate", "retention", "backup")  # fmt: skip


class TestCriteria:
    def test_all_of_them_as_a_table(self, cli: Cli) -> None:
        ran = cli("criteria")
        assert ran.code == 0
        assert [entry.id for entry in CATALOGUE if entry.id not in ran.out] == []
        assert max(map(len, ran.out.splitlines())) <= 100

    def test_all_of_them_as_json(self, cli: Cli) -> None:
        listed = cli("criteria", "--json").json
        assert [entry["id"] for entry in listed] == [entry.id for entry in CATALOGUE]
        assert listed[0] == {
            "id": "cauda-equina",
            "group": "emergency",
            "title": CATALOGUE[0].title,
            "sources": [str(source) for source in CATALOGUE[0].sources],
            "beyond": False,
            "disabled": False,
        }

    @pytest.mark.parametrize("id_", [entry.id for entry in CATALOGUE])
    def test_each_in_full(self, cli: Cli, id_: str) -> None:
        full = cli("criteria", id_, "--json").json
        assert full["rule"]
        assert full["sourceAttributes"] == load_transparency().attributes(id_)
        assert all(title == SOURCE_TITLES[key] for key, title in full["sources"].items())
        shown = cli("criteria", id_)
        assert shown.code == 0
        for name in (*(each["key"] for each in full["thresholds"]), *(each["concept"] for each in full["valueSets"])):
            assert name in shown.out

    def test_with_what_it_rests_on(self, cli: Cli) -> None:
        config = cli.file("[thresholds]\nemergency_window_days = 60", "site.toml")
        full = cli("criteria", "cauda-equina", "--json", "--config", config).json
        assert {"key": "emergency_window_days", "value": 60, "unit": "days"} in full["thresholds"]
        retention = next(each for each in full["valueSets"] if each["concept"] == "urinary-retention")
        assert retention["codes"] == dict(load_once(None).value_sets["urinary-retention"].counts)
        assert "60 days" in cli("criteria", "cauda-equina", "--config", config).out

    def test_an_unknown_one_brings_the_nearest(self, cli: Cli) -> None:
        ran = cli("criteria", "cauda-equine")
        assert (ran.code, ran.out) == (2, "")
        assert one_line(ran.err)
        assert "cauda-equina?" in ran.err
        assert "lists them" in cli("criteria", "\x1b[31mzzz").err

    def test_a_disabled_one_says_so(self, cli: Cli) -> None:
        config = cli.file('disabled = ["night-pain"]', "site.toml")
        assert [entry["id"] for entry in cli("criteria", "--json", "--config", config).json if entry["disabled"]] == [
            "night-pain"
        ]
        assert "disabled" in cli("criteria", "night-pain", "--config", config).out


class TestThresholds:
    def test_all_of_them(self, cli: Cli) -> None:
        rows = cli("thresholds", "--json").json
        assert [(row["key"], row["value"], row["changed"]) for row in rows] == [
            (threshold.key, threshold.default, False) for threshold in THRESHOLDS
        ]
        shown = cli("thresholds").out
        assert [threshold.key for threshold in THRESHOLDS if threshold.key not in shown] == []
        assert "all as by default" in shown

    def test_changed_ones_are_marked(self, cli: Cli) -> None:
        config = cli.file("[thresholds]\nfever_celsius = 38.3", "site.toml")
        changed = [row for row in cli("thresholds", "--json", "--config", config).json if row["changed"]]
        assert [(row["key"], row["value"], row["default"]) for row in changed] == [("fever_celsius", 38.3, 38.0)]
        assert "38.3 *" in cli("thresholds", "--config", config).out

    def test_the_environment_names_the_configuration(self, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("BACKPAIN_CDS_CONFIG", cli.file("[thresholds]\nfever_celsius = 38.3", "site.toml"))
        assert "38.3 *" in cli("thresholds").out


class TestCheckConfig:
    def test_says_what_it_means(self, cli: Cli, tmp_path: Path) -> None:
        (tmp_path / "codes").mkdir()
        (tmp_path / "codes" / "back-pain.csv").write_text("system,code\nhttps://site.example/codes,BP1\n")
        config = cli.file(
            'time_zone = "Europe/London"\ndisabled = ["night-pain"]\nconcepts_dir = "codes"\n'
            "[thresholds]\nfever_celsius = 38.3",
            "site.toml",
        )
        ran = cli("check-config", config)
        assert (ran.code, ran.err) == (0, "")
        for said in ("OK", "fever_celsius = 38.3 Cel (default 38)", "night-pain", "Europe/London", "back-pain: 1 of"):
            assert said in ran.out

    @pytest.mark.parametrize(
        ("line", "said"),
        [
            ('fhir_servers = ["https://ehr.example.org/fhir/"]', "https://ehr.example.org/fhir"),
            ("", "prefetch only"),
            ("development = true", "those of this machine"),
        ],
    )
    def test_says_which_servers_are_asked_without_a_token(self, cli: Cli, line: str, said: str) -> None:
        shown = cli("check-config", cli.file(line, "site.toml")).out.splitlines()
        (servers,) = (each for each in shown if "FHIR servers" in each)
        assert servers.endswith(said)

    def test_the_defaults_are_a_configuration(self, cli: Cli) -> None:
        assert cli("check-config").code == 0

    @pytest.mark.parametrize(
        ("text", "key"),
        [
            ("colour = 1", "colour"),
            ('time_zone = "Mars/Base"', "time_zone"),
            ('disabled = ["nite-pain"]', "disabled"),
            ('concepts_dir = "nowhere"', "concepts_dir"),
            ("[thresholds]\nfever_celsius = -1", "fever_celsius"),
            ("[thresholds]\nfever_celsius = 'hot'", "fever_celsius"),
            ("[thresholds]\nfevr = 1", "fevr"),
            ("not toml", "TOML"),
        ],
    )
    def test_what_cannot_be_used_names_the_key_in_every_command(self, cli: Cli, text: str, key: str) -> None:
        config = cli.file(text, "site.toml")
        commands = (["check-config", config], ["thresholds", "--config", config], ["criteria", "--config", config],
                    ["evaluate", "-", "--config", config], ["serve", "--config", config])  # fmt: skip
        for command in commands:
            ran = cli(*command)
            assert (ran.code, ran.out) == (2, "")
            assert one_line(ran.err)
            assert key in ran.err

    def test_a_bad_list_of_codes_names_the_file(self, cli: Cli, tmp_path: Path) -> None:
        (tmp_path / "codes").mkdir()
        (tmp_path / "codes" / "back-pane.csv").write_text("system,code\n")
        ran = cli("check-config", cli.file('concepts_dir = "codes"', "site.toml"))
        assert ran.code == 2
        assert "back-pane.csv" in ran.err


class TestServe:
    def test_serves_until_it_is_interrupted(self, tmp_path: Path) -> None:
        port = free_port()
        log_file = tmp_path / "serve.log"
        environ = {**os.environ, "PYTHONPATH": str(ROOT)}
        with log_file.open("wb") as log:
            command = [sys.executable, "-m", "hooks.cli", "serve", "--port", str(port)]
            process = subprocess.Popen(command, stdout=log, stderr=log, env=environ)
        server = Server(port, process, log_file)
        try:
            with closing(server.http):
                await_ready(server)
        finally:
            process.send_signal(signal.SIGTERM)
            code = process.wait(timeout=PATIENCE)
        assert code == 0
        assert f"{server.url}/cds-services" in server.log
        assert f"backpain-cds call {server.url}" in server.log
        assert "DEVELOPMENT MODE" in server.log

    def test_a_port_in_use_is_said_at_once(self, cli: Cli) -> None:

        with socket.create_server(("127.0.0.1", 0)) as taken:
            ran = cli("serve", "--port", str(taken.getsockname()[1]))
        assert ran.code == 2
        assert one_line(ran.err)
        assert "in use" in ran.err

    @pytest.mark.parametrize("option", [("--port", "0"), ("--port", "65536"), ("--port", "x"), ("--workers", "0")])
    def test_options_out_of_range_are_refused(self, cli: Cli, option: tuple[str, str]) -> None:
        ran = cli("serve", *option)
        assert ran.code == 2
        assert "whole number" in ran.err


class TestAll:
    @pytest.mark.parametrize("command", COMMANDS)
    def test_help_comes_with_examples_and_is_documented(self, cli: Cli, command: str) -> None:
        ran = cli(command, "--help")
        assert ran.code == 0
        assert f"  backpain-cds {command}" in ran.out
        assert f"## {command}" in (ROOT / "docs" / "cli.md").read_text("utf-8")

    def test_help_lists_the_commands(self, cli: Cli) -> None:
        ran = cli("--help")
        assert ran.code == 0
        assert [command for command in COMMANDS if command not in ran.out] == []

    def test_version(self) -> None:
        ran = program("--version")
        assert ran.code == 0
        assert ran.out.startswith("backpain-cds ")

    def test_ctrl_c_ends_quietly(self) -> None:
        command = [sys.executable, "-m", "hooks.cli", "evaluate", "-", "--ndjson"]
        environ = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": ""}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        heeded = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # what runs in the background may be born deaf
        with subprocess.Popen(command, env=environ, preexec_fn=heeded, **pipes) as process:
            process.stdin.write(b"{}\n")
            process.stdin.flush()
            is_at_work, *_ = select.select([process.stdout], [], [], PATIENCE)
            assert is_at_work
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=PATIENCE)
        assert (process.returncode, err) == (130, b"")
