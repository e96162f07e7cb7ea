"""Criteria that are off or silent: nobody sees them, and answers that could be misread say so (rows 48 and 49)."""

import json
from datetime import timedelta
from functools import cache
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cds.catalogue import CRITERIA, Group, in_group
from cds.limits import Limits
from cds.unrecorded import silence, silences_under
from cds.wording import short
from fhir_profiles import samples
from hooks.app import create_app
from hooks.clients import Client
from hooks.errors import SettingsError
from hooks.pipeline import Caller, Site, answer, load_site
from hooks.request import parse_request
from hooks.services import SERVICES
from hooks.settings import Settings, load_settings
from hooks.states import ALL, OFF, ON, SILENT, STATES, Switch, states_in_force
from tests.cli_rig import Cli, cli  # noqa: F401
from tests.records import AT, condition, draft, knowledge, observation
from tests.service_rig import EXTENSION, call, call_from, groups, post

RETENTION = condition("urinary-retention", 3)
NIGHT_PAIN = observation("night-pain", True)
EVERYTHING = dict.fromkeys(CRITERIA, OFF)
SWITCHED_OFF = "Switched off at this site, not assessed: "


@cache
def site() -> Site:
    return load_site(Settings(), knowledge())


def answered(request: dict[str, Any], states: dict[str, str]) -> Any:
    """The answer with ids that are always the same ones."""
    service = next(each for each in SERVICES.values() if each.hook == request["hook"])
    body = json.dumps(request).encode()
    return answer(body, parse_request(body, service), service, site(), AT, iter(range(1000)).__next__, Caller(states))


def cards(request: dict[str, Any], **states: str) -> dict[str, Any]:
    """Group -> card."""
    told = json.loads(answered(request, {id_.replace("_", "-"): state for id_, state in states.items()}).body)["cards"]
    return {card["extension"][EXTENSION]["group"]: card for card in told}


def listed(card: dict[str, Any]) -> dict[str, tuple[str, str]]:
    return {each["id"]: (each["status"], each["reason"]) for each in card["extension"][EXTENSION]["criteria"]}


def test_what_is_off_opens_no_card_and_is_listed_as_not_assessed():
    found = cards(call("patient-view", RETENTION), cauda_equina=OFF)
    assert set(found) == {"not-assessed"}
    assert listed(found["not-assessed"])["cauda-equina"] == ("unknown", "Switched off at this site")
    assert f"{SWITCHED_OFF}signs of cauda equina syndrome." in found["not-assessed"]["detail"]


def test_what_is_off_is_not_counted_among_the_open_questions():
    before, after = (cards(call("patient-view"), **states)["not-assessed"] for states in ({}, {"night_pain": OFF}))
    count = len(listed(before))
    assert f"{count} emergency" in before["summary"]
    assert f"{count - 1} emergency" in after["summary"]
    assert after["detail"].count("ight pain") + after["detail"].count("pain at night") == 1


def test_that_something_is_off_opens_no_card_by_itself():
    quiet = call_from(samples.load("17-negative-intake-form"), "patient-view")
    assert cards(quiet) == cards(quiet, cauda_equina=OFF, night_pain=OFF) == {}


@pytest.mark.parametrize("group", ["red-flag", "surgical-referral", "information"])
def test_other_cards_say_that_an_emergency_was_not_looked_for(group: str):
    shown = {
        "red-flag": [NIGHT_PAIN],
        "surgical-referral": [condition("foot-drop-leg-paresis", 200)],
        "information": [condition("back-spasm", 60)],
    }[group]
    request = call("patient-view", RETENTION, *shown)
    assert f"{SWITCHED_OFF}signs of cauda equina syndrome." in cards(request, cauda_equina=OFF)[group]["detail"]
    assert SWITCHED_OFF not in cards(request)[group]["detail"]
    assert SWITCHED_OFF not in cards(request, low_calcium=OFF)[group]["detail"]


def test_a_card_that_rests_on_the_absence_of_red_flags_names_those_that_are_off():
    request = call("order-sign")
    request["context"]["draftOrders"]["entry"] = [{"resource": draft("mri-lumbar")}]
    told = cards(request, night_pain=SILENT)["order-safety"]["detail"]
    assert f"{SWITCHED_OFF}pain at night." in told


def test_a_criterion_that_is_off_still_holds_back_what_rests_on_its_absence():
    """A spasm with signs of cauda equina syndrome is no spasm on its own, whoever may see the signs."""
    request = call("patient-view", RETENTION, condition("back-spasm", 10))
    assert "isolated-spasm" not in {id_ for card in cards(request, cauda_equina=OFF).values() for id_ in listed(card)}


def test_when_all_is_off_nothing_is_said():
    request = call("patient-view", RETENTION)
    request["prefetch"].pop("observations")
    assert set(cards(request)) == {"emergency", "not-assessed"}
    assert json.loads(answered(request, EVERYTHING).body) == {"cards": []}


def test_disabled_wins_and_leaves_no_trace(cli: Cli):  # noqa: F811
    text = 'disabled = ["night-pain"]\n[states]\nnight-pain = "off"\nparalysis = "silent"\n'
    chart = cli.file({"resourceType": "Bundle", "entry": [{"resource": {"resourceType": "Patient", "id": "p"}}]})
    told = cli("evaluate", chart, "--json", "--config", cli.file(text, "site.toml")).json["criteria"]
    status = {each["id"]: (each["status"], each["reason"]) for each in told}
    assert "night-pain" not in status
    assert status["paralysis"] == ("unknown", "Switched off at this site")


def test_the_report_of_the_command_line_names_what_is_off(cli: Cli):  # noqa: F811
    chart = cli.file({"resourceType": "Bundle", "entry": [{"resource": {"resourceType": "Patient", "id": "p"}}]})
    config = cli.file('[states]\nparalysis = "off"\n', "site.toml")
    assert "switched off here: paralysis" in " ".join(cli("evaluate", chart, "--config", config).out.split())


REQUESTS = [
    call("patient-view", RETENTION, NIGHT_PAIN),
    call("encounter-start", condition("foot-drop-leg-paresis", 5), condition("back-spasm", 60)),
    call("order-sign", RETENTION, condition("osteoporosis", 400)),
    call("order-select", condition("osteoporosis", 400)),
]


@given(st.sampled_from(REQUESTS), st.sets(st.sampled_from(sorted(CRITERIA))))
def test_silent_is_off_byte_for_byte(request_: dict[str, Any], ids: set[str]):
    silent, off = (answered(request_, dict.fromkeys(sorted(ids), state)) for state in (SILENT, OFF))
    assert silent.body == off.body


def test_the_audit_is_told_what_a_silent_criterion_would_have_said():
    told = answered(call("patient-view", RETENTION), {"cauda-equina": SILENT})
    assert told.states == {"cauda-equina": SILENT}
    assert told.evaluation.answers["cauda-equina"].met
    assert "cauda-equina" not in told.shown


@pytest.mark.parametrize("missing", [frozenset(), frozenset({"Condition", "Observation"})])
def test_answers_of_silence_do_not_depend_on_what_is_hidden(missing: frozenset[str]):
    """They are worked out once for all clients, whatever is switched off for whom."""
    for id_, expected in silences_under(Limits(), missing).items():
        hidden = silence(id_, Limits(), missing, frozenset(CRITERIA))
        assert (hidden.asked, hidden.answer.status, hidden.answer.reason) == (
            expected.asked,
            expected.answer.status,
            expected.answer.reason,
        )


# --- what holds for whom ----------------------------------------------------------------------------------------------

A, B = "https://a.example.org", "https://b.example.org"


def switched(*said: str) -> list[Switch]:
    """Each "criterion state" or "criterion state client", one a minute."""
    parts = [(*each.split(), "")[:3] for each in said]
    return [
        Switch(AT + timedelta(minutes=minute), "Dr. Doe", "a reason", client, criterion, state)
        for minute, (criterion, state, client) in enumerate(parts)
    ]


def held(*said: str, issuer: str = A, configured: dict[str, str] | None = None) -> dict[str, str]:
    return dict(states_in_force(configured or {}, switched(*said), issuer))


NIGHT, LOW = "night-pain", "low-calcium"
ALL_OFF = dict.fromkeys(CRITERIA, OFF)


@pytest.mark.parametrize(
    ("said", "states"),
    [
        ([f"{NIGHT} off"], {NIGHT: OFF}),
        ([f"{NIGHT} off", f"{NIGHT} silent"], {NIGHT: SILENT}),
        ([f"{NIGHT} off", f"{NIGHT} on"], {}),
        ([f"{NIGHT} off {B}"], {}),
        ([f"{NIGHT} off {A}"], {NIGHT: OFF}),
        ([f"{NIGHT} off", f"{NIGHT} on {A}"], {}),
        ([f"{NIGHT} on {A}", f"{NIGHT} off"], {NIGHT: OFF}),
        ([f"{NIGHT} off {A}", f"{NIGHT} off", f"{NIGHT} on"], {NIGHT: OFF}),
        ([f"{NIGHT} off {A}", f"{NIGHT} off", f"{NIGHT} on {A}"], {}),
        (["* off"], ALL_OFF),
        (["* off", "* on"], {}),
        ([f"{NIGHT} off", "* off", "* on"], {NIGHT: OFF}),
        (["* off", f"{NIGHT} on"], {id_: OFF for id_ in CRITERIA if id_ != NIGHT}),
        ([f"* off {A}", "* on"], ALL_OFF),
        ([f"* off {A}", f"{NIGHT} on"], ALL_OFF),
        ([f"* off {A}", f"* on {A}"], {}),
        ([f"{NIGHT} off", "* silent"], dict.fromkeys(CRITERIA, SILENT)),
    ],
)
def test_later_switches_win_and_on_lifts_what_it_names(said: list[str], states: dict[str, str]):
    assert held(*said) == states


def test_the_configuration_holds_where_nothing_is_switched():
    configured = {NIGHT: SILENT, LOW: ON}
    assert held(configured=configured) == {NIGHT: SILENT}
    assert held("* off", "* on", configured=configured) == {NIGHT: SILENT}
    assert held(f"{NIGHT} on", configured=configured) == {}


@given(st.lists(st.tuples(st.sampled_from([ALL, NIGHT, LOW]), st.sampled_from(STATES), st.sampled_from(["", A, B]))))
def test_the_last_off_for_everybody_reaches_everybody(said: list[tuple[str, str, str]]):
    history = switched(*(" ".join(each) for each in said), f"{NIGHT} off", "* off")
    assert states_in_force({}, history, A) == ALL_OFF
    assert states_in_force({}, history[:-1], B)[NIGHT] == OFF


def test_a_client_has_states_of_its_own():
    settings = Settings(
        states=((NIGHT, OFF), (LOW, SILENT)),
        clients=(Client(A, states=((NIGHT, ON),)), Client(B, states=((LOW, OFF),))),
    )
    board = create_app(settings, knowledge()).switches
    assert dict(board.states(A)) == {LOW: SILENT}
    assert dict(board.states(B)) == {NIGHT: OFF, LOW: OFF}
    assert dict(board.states()) == {NIGHT: OFF, LOW: SILENT}


def test_the_service_answers_as_configured():
    response = post(call("patient-view", RETENTION), states=(("cauda-equina", OFF),))
    assert set(groups(response.get_json())) == {"not-assessed"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[states]\nnite-pain = "off"', "states.nite-pain: this is not a criterion id; did you mean night-pain?"),
        ('[states]\nnight-pain = "quiet"', "states.night-pain: 'quiet' is not one of"),
        ('[[clients]]\nissuer = "x"\njku = "https://x.org"\nstates.x = "off"', "clients[0].states.x: this is not"),
        ('[[clients]]\nissuer = "x"\njku = "https://x.org"\nrepeat_days = -1', "clients[0].repeat_days"),
    ],
)
def test_what_is_wrong_with_the_configuration_is_named(tmp_path: Any, text: str, said: str):
    (tmp_path / "site.toml").write_text(text)
    with pytest.raises(SettingsError) as refused:
        load_settings(tmp_path / "site.toml")
    assert said in str(refused.value)


def test_all_emergencies_that_are_off_stand_on_one_line():
    off = [entry.id for entry in in_group(Group.EMERGENCY)]
    told = json.loads(answered(call("patient-view", NIGHT_PAIN), dict.fromkeys(off, OFF)).body)["cards"][0]["detail"]
    lines = [each for each in told.splitlines() if each.startswith(SWITCHED_OFF)]
    assert lines == [f"{SWITCHED_OFF}{', '.join(map(short, off))}."]
