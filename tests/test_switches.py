"""The switch file, who reads it when, and the command that writes it (reliability.md, row 49)."""

import asyncio
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from cds.catalogue import CRITERIA
from hooks.alarm import ALARM_SECONDS
from hooks.clients import Client
from hooks.errors import LedgerUnavailable, SettingsError
from hooks.settings import Settings, load_settings
from hooks.states import ALL, OFF, SILENT, Switch
from hooks.switchboard import KEPT_FILE, LOOK_SECONDS, REREAD_SECONDS, Switchboard
from hooks.switches import append_switch, digest, read_switches
from hooks.upkeep import follow_switches
from tests.alarm_rig import Alarms, alarms  # noqa: F401
from tests.cli_rig import Cli, cli, one_line  # noqa: F401
from tests.records import AT

A = "https://a.example.org"
NIGHT = "night-pain"


def switch(criterion: str = NIGHT, state: str = OFF, client: str = "", why: str = "false alarms") -> Switch:
    return Switch(AT, "Dr. Doe", why, client, criterion, state)


def entry(**changed: str | None) -> str:
    """One entry as text; a member that is None is left out."""
    given = {"at": "2026-11-20T12:00:00Z", "who": '"D"', "why": '"w"', "criterion": f'"{NIGHT}"', "state": '"off"'}
    lines = [f"{key} = {value}" for key, value in (given | changed).items() if value is not None]
    return "\n".join(["[[switch]]", *lines]) + "\n"


# --- the file ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("why", ['the "new" template', "C:\\notes", "größer, 今日", "'", "# no comment", "a = 1"])
def test_what_is_appended_is_read_again(tmp_path: Path, why: str):
    file = tmp_path / "switches.toml"
    for each in (switch(why=why), switch(ALL, SILENT, A)):
        append_switch(file, each, [A])
    assert read_switches(file, [A]) == (switch(why=why), switch(ALL, SILENT, A))
    assert len({digest(each) for each in read_switches(file, [A])}) == 2


def test_what_a_person_wrote_in_the_file_stays(tmp_path: Path):
    file = tmp_path / "switches.toml"
    file.write_text("# ours\n" + entry())
    file.chmod(0o640)
    append_switch(file, switch(), [])
    assert file.read_text().startswith("# ours\n[[switch]]\nat = 2026-11-20T12:00:00Z\n")
    assert file.stat().st_mode & 0o777 == 0o640


def test_a_link_stays_a_link(tmp_path: Path):
    (tmp_path / "real.toml").write_text("")
    (tmp_path / "link.toml").symlink_to("real.toml")
    append_switch(tmp_path / "link.toml", switch(), [])
    assert (tmp_path / "link.toml").is_symlink()
    assert read_switches(tmp_path / "real.toml", []) == (switch(),)


def test_writers_at_the_same_time_lose_nothing_of_each_other(tmp_path: Path):
    file = tmp_path / "switches.toml"
    writers = [threading.Thread(target=append_switch, args=(file, switch(why=f"{n}"), [])) for n in range(20)]
    for each in writers:
        each.start()
    for each in writers:
        each.join()
    assert {each.why for each in read_switches(file, [])} == {f"{n}" for n in range(20)}


BAD = {
    "no TOML": ("[[switch]", "is not TOML"),
    "half an entry": ("[[switch]]\nat = 2026-11-20T12:00:00Z\n", "missing required field `who` - at `$.switch[0]`"),
    "a criterion there is not": (entry(criterion='"nite-pain"'), "switch[0].criterion: 'nite-pain' is not a criterion"),
    "a client there is not": (entry(client='"https://b.org"'), "switch[0].client: 'https://b.org' is not a registered"),
    "a state there is not": (entry(state='"quiet"'), "Invalid enum value"),
    "a time without a zone": (entry(at="2026-11-20T12:00:00"), "timezone"),
    "no reason": (entry(why='""'), "length >= 1"),
    "a member there is not": (entry(until='"x"'), "unknown field `until`"),
    "another table": (entry() + "\n[switches]\nx = 1\n", "unknown field `switches`"),
}


@pytest.mark.parametrize(("text", "said"), BAD.values(), ids=BAD)
def test_one_thing_that_is_wrong_makes_the_whole_file_unusable(tmp_path: Path, text: str, said: str):
    file = tmp_path / "switches.toml"
    file.write_text(entry() + text if text.startswith("[[switch]]\nat") else text)
    with pytest.raises(SettingsError) as refused:
        read_switches(file, [A])
    assert said.replace("[0]", "[1]" if file.read_text().startswith(entry()) else "[0]") in str(refused.value)
    assert str(file) in str(refused.value)


def test_octets_that_are_no_text(tmp_path: Path):
    (tmp_path / "s.toml").write_bytes(b"\xff")
    with pytest.raises(SettingsError, match="UTF-8"):
        read_switches(tmp_path / "s.toml", [])


def test_nothing_is_appended_to_a_file_that_is_unusable(tmp_path: Path):
    file = tmp_path / "switches.toml"
    file.write_text("[[switch]")
    with pytest.raises(SettingsError):
        append_switch(file, switch(), [])
    assert file.read_text() == "[[switch]"


# --- who reads it -----------------------------------------------------------------------------------------------------


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Site:
    """A switch file, and boards that follow it as workers do."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.settings = Settings(data_dir=folder, switch_file=folder / "switches.toml", clients=(Client(A),))
        self.file = folder / "switches.toml"
        self.clock = Clock()

    def board(self, **options: Any) -> Switchboard:
        return Switchboard(self.settings, self.folder, clock=self.clock, **options)

    def switch(self, *said: Any, **named: Any) -> None:
        append_switch(self.file, switch(*said, **named), [A])


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_a_switch_is_in_force_a_second_later(site: Site):
    board = site.board()
    assert dict(board.states()) == {}
    site.switch()
    assert dict(board.states()) == {}, "the file is looked at once a second at most"
    site.clock.now += LOOK_SECONDS
    assert dict(board.states()) == dict(board.states(A)) == {NIGHT: OFF}


def test_a_change_that_the_time_stamp_does_not_show_is_found_all_the_same(site: Site):
    site.switch()
    board = site.board()
    before = site.file.stat()
    text = site.file.read_text().replace('"off"', '"on" ')
    site.file.write_text(text)
    os.utime(site.file, ns=(before.st_atime_ns, before.st_mtime_ns))
    site.clock.now += REREAD_SECONDS
    assert dict(board.states()) == {}


DAMAGE = {
    "corrupt": lambda file: file.write_text("[[switch]"),
    "cut short": lambda file: file.write_text(file.read_text()[:-3]),
    "gone": lambda file: file.unlink(),
    "a folder": lambda file: (file.unlink(), file.mkdir()),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_damage_changes_nothing_but_raises_an_alarm_each_minute(site: Site, alarms: Alarms, damage: Any):  # noqa: F811
    site.switch()
    board = site.board()
    damage(site.file)
    for _ in range(int(2 * ALARM_SECONDS)):
        site.clock.now += LOOK_SECONDS
        assert dict(board.states()) == {NIGHT: OFF}
    assert {alarm["alarm"] for alarm in alarms} == {"switch-file"}
    assert len(alarms) == 2
    assert str(site.file) in board.fault


def test_a_file_that_is_mended_ends_the_alarm(site: Site):
    site.switch()
    board = site.board()
    site.file.write_text("[")
    site.clock.now += LOOK_SECONDS
    board.refresh()
    assert board.fault
    site.file.write_text(entry(state='"silent"'))
    site.clock.now += LOOK_SECONDS
    assert dict(board.states()) == {NIGHT: SILENT}
    assert board.fault == ""


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_server_does_not_start_on_damage_and_says_what_was_good(site: Site, damage: Any):
    site.switch()
    site.board()
    damage(site.file)
    with pytest.raises(SettingsError) as refused:
        site.board()
    assert "switches.kept.toml: put it back" in str(refused.value)


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_worker_that_starts_meanwhile_goes_by_what_was_good(site: Site, alarms: Alarms, damage: Any):  # noqa: F811
    site.switch()
    site.board()
    damage(site.file)
    worker = site.board(falls_back=True)
    assert dict(worker.states()) == {NIGHT: OFF}
    assert len(alarms) == 1


def test_a_disk_that_is_full_does_not_stop_a_switch(site: Site, monkeypatch: pytest.MonkeyPatch, alarms: Alarms):  # noqa: F811
    board = site.board()
    site.switch()

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("hooks.switchboard.replace_file", full)
    site.clock.now += LOOK_SECONDS
    assert dict(board.states()) == {NIGHT: OFF}
    assert len(alarms) == 1


def test_a_first_start_needs_no_file(site: Site):
    board = site.board()
    assert dict(board.states()) == {}
    assert board.fault == ""


def test_a_site_without_a_folder_for_it_has_no_switches():
    assert dict(Switchboard(Settings()).states()) == {}


def test_who_has_what_switched_off_is_not_tested_for(site: Site):
    board = site.board()
    site.switch(NIGHT, OFF, A)
    site.clock.now += LOOK_SECONDS
    board.refresh()
    assert board.left_out() == set()
    site.switch(NIGHT, OFF)
    site.switch("low-calcium", SILENT)
    site.clock.now += LOOK_SECONDS
    board.refresh()
    assert board.left_out() == {NIGHT}


def test_what_the_ledger_does_not_take_is_filed_when_it_does(
    site: Site,
    alarms: Alarms,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
):
    site.switch()
    tries: list[tuple[Switch, ...]] = []

    class Done(Exception):
        pass

    def file(_: Any, switches: tuple[Switch, ...]) -> None:
        tries.append(switches)
        if len(tries) == 1:
            raise LedgerUnavailable("database")
        site.switch(ALL)
        site.clock.now += LOOK_SECONDS
        if len(tries) == 3:
            raise Done

    monkeypatch.setattr("hooks.upkeep.file_switches", file)
    monkeypatch.setattr("hooks.upkeep.RETRY_SECONDS", 0)
    monkeypatch.setattr("hooks.upkeep.LOOK_SECONDS", 0)
    with pytest.raises(Done):
        asyncio.run(follow_switches(site.board(), None))
    assert tries == [(switch(),), (switch(),), (switch(), switch(ALL))]
    assert [alarm["alarm"] for alarm in alarms] == ["switches-not-filed"]


# --- the command ------------------------------------------------------------------------------------------------------


@pytest.fixture
def config(cli: Cli) -> str:  # noqa: F811
    return cli.file(f'data_dir = "."\n[[clients]]\nissuer = "{A}"\njku = "{A}/keys"\n', "site.toml")


def test_switching_and_what_holds_then(cli: Cli, config: str):  # noqa: F811
    told = cli("switch", NIGHT, "off", "--why", "a new template", "--who", "Dr. Doe", "--config", config)
    assert told.code == 0
    assert f"{NIGHT} off all clients" in " ".join(told.out.split())
    assert cli("switch", "*", "silent", "--why", "w", "--who", "W", "--client", A, "--config", config).code == 0
    shown = cli("switch", "--list", "--json", "--config", config).json
    assert shown["states"] == {NIGHT: "off"}
    assert shown["clients"] == {A: dict.fromkeys(CRITERIA, "silent")}
    assert shown["switches"][0] == {
        "at": "2026-11-20T12:00:00Z",
        "who": "Dr. Doe",
        "why": "a new template",
        "client": "",
        "criterion": NIGHT,
        "state": "off",
    }
    history = cli("switch", "--list", "--config", config).out
    assert all(said in " ".join(history.split()) for said in ("a new template", "all clients", A))


def test_the_login_name_stands_for_who(cli: Cli, config: str, monkeypatch: pytest.MonkeyPatch):  # noqa: F811
    monkeypatch.setattr("getpass.getuser", lambda: "doe")
    cli("switch", NIGHT, "off", "--why", "w", "--config", config)
    assert cli("switch", "--list", "--json", "--config", config).json["switches"][0]["who"] == "doe"


REFUSED = {
    "a criterion there is not": (("nite-pain", "off", "--why", "w"), "did you mean night-pain? known are altered-"),
    "a client there is not": ((NIGHT, "off", "--why", "w", "--client", "x"), f"known are {A}"),
    "no reason": ((NIGHT, "off"), "--why TEXT"),
    "no state": ((NIGHT, "--why", "w"), "off, silent or on"),
    "nothing": ((), "--list"),
    "a reason of two lines": ((NIGHT, "off", "--why", "a\nb"), "one line of plain text"),
    "a reason without end": ((NIGHT, "off", "--why", "x" * 1001), "length <= 1000"),
}


@pytest.mark.parametrize(("args", "said"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_switched_is_refused(cli: Cli, config: str, args: tuple[str, ...], said: str):  # noqa: F811
    told = cli("switch", *args, "--who", "D", "--config", config)
    assert told.code == 2
    assert one_line(told.err)
    assert said in told.err
    assert cli("switch", "--list", "--json", "--config", config).json["switches"] == []


def test_an_unknown_criterion_is_refused_with_all_there_are(cli: Cli, config: str):  # noqa: F811
    told = cli("switch", "x", "off", "--why", "w", "--who", "D", "--config", config)
    assert all(id_ in told.err for id_ in CRITERIA)


def test_without_a_place_for_the_file_nothing_can_be_switched(cli: Cli):  # noqa: F811
    told = cli("switch", "--list")
    assert told.code == 2
    assert "switch_file" in told.err


def test_a_corrupt_file_is_not_shown_as_nothing(cli: Cli, config: str):  # noqa: F811
    cli.file("[", "switches.toml")
    for args in (("switch", "--list"), ("evaluate", "x.json"), ("check-config",)):
        told = cli(*args, *(("--config", config) if args[0] != "check-config" else (config,)))
        assert told.code == 2
        assert "switches.toml" in told.err, args


VANISHED = {
    "switching": ("switch", "low-calcium", "off", "--why", "w", "--who", "D"),
    "listing": ("switch", "--list"),
    "evaluating": ("evaluate", "fhir_profiles/examples/09-isolated-spasm.json"),
    "checking": ("check-config",),
}


@pytest.mark.parametrize("args", VANISHED.values(), ids=VANISHED)
def test_a_file_that_vanished_is_not_begun_anew(cli: Cli, config: str, args: tuple[str, ...]):  # noqa: F811
    """Or the next switch would bring back every criterion that was off."""
    configured = load_settings(Path(config))
    assert cli("switch", NIGHT, "off", "--why", "w", "--who", "D", "--config", config).code == 0
    Switchboard(configured, configured.data_dir)
    configured.switch_file.unlink()
    told = cli(*args, *(() if args[0] == "check-config" else ("--config",)), config)
    assert told.code == 2
    assert KEPT_FILE in told.err
    assert not configured.switch_file.exists()
    configured.switch_file.touch()
    assert cli("switch", "low-calcium", "off", "--why", "w", "--who", "D", "--config", config).code == 0


@pytest.mark.parametrize("name", ["switches.toml", KEPT_FILE])
def test_a_file_that_cannot_be_looked_for_is_not_taken_for_none(cli: Cli, config: str, name: str):  # noqa: F811
    """As in a data folder that only the service may enter; a link to itself stands for it."""
    (Path(config).parent / name).symlink_to(name)
    told = cli("switch", "--list", "--config", config)
    assert told.code == 2
    assert one_line(told.err)
    assert f"{name}: whether there is such a file cannot be told" in told.err


def test_a_command_keeps_nothing(cli: Cli, config: str):  # noqa: F811
    cli("switch", NIGHT, "off", "--why", "w", "--who", "D", "--config", config)
    assert not (Path(config).parent / KEPT_FILE).exists()


def test_a_file_that_may_not_be_written(cli: Cli, config: str, tmp_path: Path):  # noqa: F811
    (tmp_path / "other").mkdir()
    text = 'switch_file = "no-such-folder/s.toml"\n'
    told = cli("switch", NIGHT, "off", "--why", "w", "--who", "D", "--config", cli.file(text, "elsewhere.toml"))
    assert told.code == 2
    assert "cannot be written" in told.err


def test_what_is_disabled_stays_so(cli: Cli):  # noqa: F811
    config = cli.file(f'disabled = ["{NIGHT}"]\ndata_dir = "."\n', "site.toml")
    assert "stays left out" in cli("switch", NIGHT, "on", "--why", "w", "--who", "D", "--config", config).err


def test_check_config_tells_of_states_and_switches(cli: Cli):  # noqa: F811
    text = (
        f'switch_file = "s.toml"\n[states]\n{NIGHT} = "silent"\n[[clients]]\nissuer = "{A}"\njku = "{A}/keys"\n'
        f'repeat_days = 7\nstates.{NIGHT} = "on"\n'
    )
    told = " ".join(cli("check-config", cli.file(text, "site.toml")).out.split())
    assert f"states {NIGHT} silent" in told
    assert f"states: {NIGHT} on" in told
    assert "s.toml" in told
    assert "not repeated for 7 days" in told
