"""The site's configuration: what it may say, and what stops the start-up (catalogue, section 5; reliability row 50)."""

from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from jsonschema import Draft202012Validator

from cds.evaluation import CATALOGUE
from cds.limits import THRESHOLDS, Limits
from hooks.errors import SettingsError
from hooks.settings import Settings, config_path, load_settings, settings_schema

EVERYTHING = """
disabled = ["night-pain", "traction-caution"]
time_zone = "Europe/London"
intake_url = "https://intake.example.org/launch"
public_url = "https://cds.example.org/about"
concepts_dir = "codes"
cors_origins = ["https://ehr.example.org", "http://localhost:8080"]
log_level = "warning"
development = false

[thresholds]
symptom_window_days = 60
fever_celsius = 38.3
"""


def load(tmp_path: Path, text: str) -> Settings:
    file = tmp_path / "site.toml"
    file.write_text(text, "utf-8")
    return load_settings(file)


def test_without_a_file_the_defaults_hold():
    assert load_settings(None) == Settings()
    assert load_settings(None).limits == Limits()


def test_an_empty_file_is_the_defaults(tmp_path: Path):
    assert load(tmp_path, "") == Settings()


def test_every_key_is_taken(tmp_path: Path):
    (tmp_path / "codes").mkdir()
    assert load(tmp_path, EVERYTHING) == Settings(
        limits=Limits(symptom_window_days=60, fever_celsius=38.3),
        disabled=frozenset({"night-pain", "traction-caution"}),
        zone=ZoneInfo("Europe/London"),
        intake_url="https://intake.example.org/launch",
        public_url="https://cds.example.org/about",
        concepts_dir=tmp_path / "codes",
        cors_origins=("https://ehr.example.org", "http://localhost:8080"),
        log_level="warning",
        development=False,
    )


def test_the_file_decides_about_development_else_the_server(tmp_path: Path):
    file = tmp_path / "site.toml"
    for text, given, expected in (("", True, True), ("", False, False), ("development = false", True, False)):
        file.write_text(text)
        assert load_settings(file, development=given).development is expected


# What stands in the file -> what the message must name.
BAD = {
    "unknown key": ("treshold = 1", "treshold: unknown key"),
    "unknown table": ("[limits]\na = 1", "limits: unknown key"),
    "unknown threshold": (
        "[thresholds]\npain_sever = 8",
        "thresholds.pain_sever: unknown key; did you mean pain_severe?",
    ),
    "unknown criterion": (
        'disabled = ["night-pains"]',
        "disabled[0]: 'night-pains' is not a criterion id; did you mean night-pain?",
    ),
    "disabled is text": ('disabled = "night-pain"', "disabled:"),
    "disabled twice": ('disabled = ["night-pain", "night-pain"]', "disabled:"),
    "negative": ("[thresholds]\nlab_window_days = -1", "thresholds.lab_window_days:"),
    "negative fraction": ("[thresholds]\ncrp_mg_l = -0.5", "thresholds.crp_mg_l:"),
    "half days": ("[thresholds]\nlab_window_days = 30.5", "thresholds.lab_window_days:"),
    "text for a number": ('[thresholds]\npain_severe = "7"', "thresholds.pain_severe:"),
    "true for a number": ("[thresholds]\npain_severe = true", "thresholds.pain_severe:"),
    "list for a number": ("[thresholds]\npain_severe = [7]", "thresholds.pain_severe:"),
    "date for a number": ("[thresholds]\npain_severe = 2026-01-01", "thresholds.pain_severe:"),
    "not a number": ("[thresholds]\npain_severe = nan", "thresholds.pain_severe:"),
    "infinite": ("[thresholds]\ncrp_mg_l = inf", "thresholds.crp_mg_l:"),
    "beyond the scale": ("[thresholds]\npain_severe = 11", "thresholds.pain_severe:"),
    "a century of days": ("[thresholds]\nlab_window_days = 40000", "thresholds.lab_window_days:"),
    "ages the wrong way round": ("[thresholds]\nspinal_infection_age_min = 13", "thresholds.spinal_infection_age_min:"),
    "distances the wrong way round": ("[thresholds]\nclaudication_severe_m = 201", "thresholds.claudication_severe_m:"),
    "months the wrong way round": ("[thresholds]\nconservative_full_days = 80", "thresholds.conservative_min_days:"),
    "pain the wrong way round": ("[thresholds]\npain_moderate = 8", "thresholds.pain_moderate:"),
    "thresholds is no table": ("thresholds = 5", "thresholds:"),
    "unknown time zone": (
        'time_zone = "Europe/Londn"',
        "time_zone: 'Europe/Londn' is not a time zone; did you mean Europe/London?",
    ),
    "a region is no time zone": ('time_zone = "America"', "time_zone:"),
    "a path is no time zone": ('time_zone = "../etc/passwd"', "time_zone:"),
    "empty time zone": ('time_zone = ""', "time_zone:"),
    "time zone is a number": ("time_zone = 1", "time_zone:"),
    "missing folder": ('concepts_dir = "nowhere"', "concepts_dir:"),
    "folder is a file": ('concepts_dir = "site.toml"', "concepts_dir:"),
    "empty folder name": ('concepts_dir = ""', "concepts_dir:"),
    "plain http": ('intake_url = "http://intake.example.org"', "intake_url:"),
    "no URL": ('intake_url = "intake"', "intake_url:"),
    "script URL": ('intake_url = "javascript:alert(1)"', "intake_url:"),
    "URL with a user": ('public_url = "https://a@b.example.org"', "public_url:"),
    "origin with a path": ('cors_origins = ["https://ehr.example.org/"]', "cors_origins[0]:"),
    "any origin": ('cors_origins = ["*"]', "cors_origins[0]:"),
    "origins is text": ('cors_origins = "https://ehr.example.org"', "cors_origins:"),
    "unknown log level": ('log_level = "loud"', "log_level:"),
    "development is text": ('development = "yes"', "development:"),
    "not TOML": ("a = ", "is not TOML"),
    "twice the same key": ("log_level = 'info'\nlog_level = 'info'", "is not TOML"),
}


@pytest.mark.parametrize(("text", "said"), BAD.values(), ids=BAD)
def test_what_stops_the_start_up(tmp_path: Path, text: str, said: str):
    with pytest.raises(SettingsError) as refused:
        load(tmp_path, text)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


GOOD = {
    "the largest on a scale": "[thresholds]\npain_severe = 10",
    "zero": "[thresholds]\nlab_window_days = 0",
    "whole days written with a point": "[thresholds]\nlab_window_days = 30.0",
    "equal ages": "[thresholds]\nspinal_infection_age_min = 12",
    "equal distances": "[thresholds]\nclaudication_severe_m = 200",
    "http on this machine": 'intake_url = "http://localhost:9000/launch"',
    "a folder above": 'concepts_dir = "."',
    "a zone of the database": 'time_zone = "Pacific/Kiritimati"',
}


@pytest.mark.parametrize("text", GOOD.values(), ids=GOOD)
def test_what_is_allowed(tmp_path: Path, text: str):
    load(tmp_path, text)


def test_whole_days_are_whole_numbers(tmp_path: Path):
    assert isinstance(load(tmp_path, "[thresholds]\nlab_window_days = 30.0").limits.lab_window_days, int)


def test_a_file_that_cannot_be_read(tmp_path: Path):
    for path in (tmp_path / "nothing.toml", tmp_path):
        with pytest.raises(SettingsError, match="cannot be read"):
            load_settings(path)
    (tmp_path / "latin.toml").write_bytes("# Größe".encode("latin-1"))
    with pytest.raises(SettingsError, match="not UTF-8"):
        load_settings(tmp_path / "latin.toml")


def test_the_workbench_is_for_development_unless_the_file_says_otherwise(tmp_path: Path):
    file = tmp_path / "site.toml"
    for text, given, expected in (
        ("", True, True),
        ("", False, False),
        ("workbench = true", False, True),
        ("workbench = false", True, False),
    ):
        file.write_text(text, "utf-8")
        assert load_settings(file, development=given).workbench is expected


def test_where_the_configuration_is_named():
    assert config_path(None, {}) is None
    assert config_path(None, {"BACKPAIN_CDS_CONFIG": "a.toml"}) == Path("a.toml")
    assert config_path("b.toml", {"BACKPAIN_CDS_CONFIG": "a.toml"}) == Path("b.toml")


def test_the_schema_is_a_schema():
    Draft202012Validator.check_schema(settings_schema())


def test_the_schema_has_every_threshold_with_its_default():
    stated = settings_schema()["properties"]["thresholds"]["properties"]
    assert {key: (each["default"], each["type"]) for key, each in stated.items()} == {
        each.key: (each.default, "integer" if each.whole else "number") for each in THRESHOLDS
    }
    assert all(each["minimum"] == 0 and each["maximum"] > each["default"] for each in stated.values())
    assert all(each.source in stated[each.key]["description"] for each in THRESHOLDS)


def test_the_schema_has_every_criterion():
    assert settings_schema()["properties"]["disabled"]["items"]["enum"] == [each.id for each in CATALOGUE]


def test_every_key_is_documented():
    page = (Path(__file__).parent.parent / "docs" / "configuration.md").read_text("utf-8")
    keys = {*settings_schema()["properties"], *(each.key for each in THRESHOLDS)}
    assert not {key for key in keys if f"`{key}`" not in page}
