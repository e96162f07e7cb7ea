"""`backpain-cds replay`: a population in, tables, figures and comparisons out (docs/population.md)."""

import gzip
import json
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import pytest

from hooks.cli import replayed
from hooks.population import grouping, local, tables
from hooks.population.charts import Line, View, by_chart
from hooks.population.figures import count
from hooks.population.source import find_source
from tests import cli_rig
from tests.bench.population import write_population
from tests.cli_rig import Cli, Ran, one_line, program
from tests.records import AT, back_pain, coded, condition, observation, resource
from tests.report_rig import Shown
from tests.service_rig import patient

cli = cli_rig.cli
NOW = "2026-11-20T12:00:00Z"
Resource = dict[str, Any]


class Output(NamedTuple):
    """The folder that a run left behind."""

    folder: Path

    def rows(self, query: str) -> list[tuple]:
        """`charts`, `criteria` and `changes` are the tables."""
        with duckdb.connect() as connection:
            for name, files in (("charts", "charts/*"), ("criteria", "criteria/*"), ("changes", "changes")):
                if [*self.folder.glob(f"{files}.parquet")]:
                    connection.execute(f"CREATE VIEW {name} AS FROM '{self.folder}/{files}.parquet'")
            return connection.execute(query).fetchall()

    @property
    def everything(self) -> list[tuple]:
        charts = self.rows("FROM charts ORDER BY ALL")
        return charts + self.rows("FROM criteria ORDER BY ALL")

    def status(self, criterion: str) -> dict[str, str]:
        return dict(self.rows(f"SELECT patient, status FROM criteria WHERE criterion = '{criterion}' ORDER BY 1"))

    @property
    def cards(self) -> dict[str, list[Resource]]:
        return dict(self.rows("SELECT patient, cards FROM charts ORDER BY 1"))

    @property
    def files(self) -> dict[str, bytes]:
        files = [*self.folder.glob("charts/*"), *self.folder.glob("criteria/*")]
        return {f"{file.parent.name}/{file.name}": file.read_bytes() for file in files}

    @property
    def manifest(self) -> Resource:
        return json.loads((self.folder / "replay.json").read_text())


class Population:
    """Writes exports into a folder, and replays them."""

    def __init__(self, cli: Cli, folder: Path) -> None:
        self._cli = cli
        self.source = folder / "export"
        self.source.mkdir()
        self._folder = folder

    def write(self, name: str, *lines: Resource | str | bytes) -> None:
        texts = [each if isinstance(each, bytes | str) else json.dumps(each) for each in lines]
        body = b"\n".join(each if isinstance(each, bytes) else each.encode() for each in texts)
        file = self.source / name
        file.write_bytes(gzip.compress(body) if name.endswith(".gz") else body)

    def replay(self, *options: str, output: str = "out") -> tuple[Ran, Output]:
        """In this process, so that no time goes into starting others."""
        folder = self._folder / output
        given = ["--at", NOW] if "--at" not in options else []
        processes = ["--processes", "1"] if "--processes" not in options else []
        ran = self._cli("replay", str(self.source), "--output", str(folder), *given, *processes, *options)
        return ran, Output(folder)


@pytest.fixture
def population(cli: Cli, tmp_path: Path) -> Population:
    return Population(cli, tmp_path)


def of(name: str, *resources: Resource) -> list[Resource]:
    """The resources as those of a patient with that id."""
    subject = {"reference": f"Patient/{name}"}
    return [
        patient() | {"id": name},
        *(each | {"subject": subject, "id": f"{name}-{each['id']}"} for each in resources),
    ]


def by_type(resources: Iterable[Resource]) -> dict[str, list[Resource]]:
    found: dict[str, list[Resource]] = {}
    for each in resources:
        found.setdefault(each["resourceType"], []).append(each)
    return found


def bundle(*resources: Resource) -> Resource:
    return {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": each} for each in resources]}


EMERGENCY = condition("urinary-retention", days_ago=1)


def test_each_chart_comes_to_what_evaluate_says_of_it(population: Population, cli: Cli) -> None:
    write_population(population.source, 12, seed=3)
    ran, output = population.replay("--plain-ids")
    assert (ran.code, output.manifest["counts"]) == (0, {"evaluated": 12})
    lines = [json.loads(line) for file in population.source.iterdir() for line in file.read_text().splitlines()]
    for person in by_type(lines)["Patient"]:
        own = {json.dumps({"reference": f"Patient/{person['id']}"})}
        chart = [person, *(each for each in lines if {json.dumps(each.get("subject") or each.get("patient"))} == own)]
        chart += [each for each in lines if each["resourceType"] == "Medication" and each["id"] in json.dumps(chart)]
        expected = cli("evaluate", cli.file(bundle(*chart)), "--at", NOW, "--json").json
        cards = [(each["group"], each["indicator"], each["criteria"]) for each in map(basis, expected["cards"])]
        assert [(each["group"], each["indicator"], each["criteria"]) for each in output.cards[person["id"]]] == cards
        assert output.rows(f"SELECT criterion, status, evidence FROM criteria WHERE patient = '{person['id']}'") == [
            (each["id"], each["status"], len(each["evidence"])) for each in expected["criteria"]
        ]


def basis(card: Resource) -> Resource:
    (said,) = card["extension"].values()
    criteria = [each["id"] for each in said.get("criteria", ())]
    return {"group": said["group"], "indicator": card["indicator"], "criteria": criteria}


def test_a_shared_medication_reaches_everybody_who_takes_it(population: Population) -> None:
    drug = {"resourceType": "Medication", "id": "m1", "code": coded("immunosuppressant")}
    request = resource(
        "MedicationRequest",
        status="active",
        intent="order",
        authoredOn="2026-10-01",
        medicationReference={"reference": "Medication/m1"},
    )
    population.write("all.ndjson", *of("a", back_pain(), request), drug, *of("b", request), *of("c", back_pain()))
    assert population.replay("--plain-ids")[1].status("immunosuppression") == {"a": "met", "b": "met", "c": "not-met"}


def test_bad_lines_are_counted_and_cost_themselves_only(population: Population) -> None:
    lone = observation("pain-score", 5) | {"subject": None}
    population.write("Patient.ndjson", *of("a"), "", "{not JSON", *of("b"))
    population.write("Condition.ndjson.gz", *of("a", EMERGENCY)[1:], b'{"resourceType":"Condition","x":"\xff"}', "[]")
    population.write("Observation.ndjson", lone, *of("nobody", observation("pain-score", 5))[1:])
    ran, output = population.replay("--plain-ids")
    assert ran.code == 1
    assert output.status("cauda-equina")["a"] == "met"
    assert output.manifest["badLines"] == {"Condition.ndjson.gz": 2, "Patient.ndjson": 1}
    assert output.manifest["unassigned"] == {"Observation": 1}
    assert output.manifest["counts"] == {"evaluated": 2, "no-patient": 1}
    assert "2 in Condition.ndjson.gz, 1 in Patient.ndjson" in ran.err
    assert "Not evaluated: 1 charts without a Patient" in ran.err


def test_what_only_the_reader_refuses_is_left_out_alone(population: Population) -> None:
    too_deep = json.dumps(of("a", EMERGENCY)[1])[:-1] + ', "x": ' + "[" * 200_000 + "]" * 200_000 + "}"
    population.write("all.ndjson", *of("a", EMERGENCY), too_deep)
    _, output = population.replay("--plain-ids")
    assert output.status("cauda-equina") == {"a": "met"}
    assert sum(output.manifest["badLines"].values()) + output.manifest["counts"].get("bad-line", 0) == 1


def test_bundles_are_charts_in_files_or_lines(population: Population) -> None:
    charts = {name: of(name, back_pain(), EMERGENCY) for name in ("a", "b", "c", "d")}
    population.write("a.json", json.dumps(bundle(*charts["a"]), indent=2))
    population.write("b.json.gz", bundle(*charts["b"]))
    population.write("more.ndjson", bundle(*charts["c"]))
    population.write("Condition.ndjson", *charts["d"])
    ran, output = population.replay("--plain-ids")
    assert (ran.code, [*output.cards]) == (0, ["a", "b", "c", "d"])
    assert all(cards == output.cards["a"] for cards in output.cards.values())


def test_a_long_line_is_a_chart_as_any_other(population: Population) -> None:
    long = bundle(*of("long", EMERGENCY)) | {"id": "x" * 2**24}
    population.write("charts.ndjson", long, bundle(*of("short", EMERGENCY)))
    ran, output = population.replay("--plain-ids")
    assert (ran.code, output.status("cauda-equina")) == (0, {"long": "met", "short": "met"})


def test_a_file_that_is_no_json_is_one_bad_line(population: Population) -> None:
    population.write("a.json", "{")
    population.write("b.json", bundle(*of("b")))
    ran, output = population.replay("--plain-ids")
    assert (ran.code, [*output.cards], output.manifest["badLines"]) == (1, ["b"], {"a.json": 1})


def test_a_patient_of_two_bundles_is_told(population: Population) -> None:
    population.write("charts.ndjson", bundle(*of("a")), bundle(*of("a", back_pain())), bundle(*of("b")))
    ran, _ = population.replay()
    assert "Charts of a patient who has another one: 1" in ran.err


def test_the_newest_version_of_a_patient_counts(population: Population) -> None:
    child, adult = ({"birthDate": born, "meta": {"lastUpdated": at}} for born, at in VERSIONS)
    population.write(
        "all.ndjson", *of("a", back_pain()), patient() | {"id": "a"} | adult, patient() | {"id": "a"} | child
    )
    population.write("more.ndjson", *of("b", back_pain()), patient() | {"id": "b", "birthDate": "1901-01-01"})
    _, output = population.replay("--plain-ids")
    assert output.status("child-back-pain") == {"a": "met"}
    assert output.manifest["counts"] == {"evaluated": 1, "no-record": 1}, "two of the same age: nobody can tell"


VERSIONS = (("2016-01-01", "2026-11-01T00:00:00Z"), ("1970-01-01", "2026-11-01T02:00:00+04:00"))


def test_absolute_references_are_of_the_server_that_is_named(population: Population) -> None:
    here, elsewhere = ("https://ehr.example.org/fhir", "https://other.example.org/fhir")
    found = [
        each | {"subject": {"reference": f"{base}/Patient/a"}}
        for base, each in ((here, EMERGENCY), (elsewhere, back_pain()))
    ]
    population.write("all.ndjson", *of("a"), *found)
    _, output = population.replay("--plain-ids", "--fhir-server", here + "/", output="named")
    assert output.status("cauda-equina") == {"a": "met"}
    assert output.manifest["unassigned"] == {"Condition": 1}
    _, output = population.replay("--plain-ids")
    assert output.manifest["unassigned"] == {"Condition": 2}


def test_a_type_that_was_not_exported_is_unknown(population: Population) -> None:
    population.write("all.ndjson", *of("a", observation("back-pain", True)))
    ran, output = population.replay("--plain-ids", output="empty")
    assert output.status("cancer-history") == {"a": "not-met"}
    assert "Taken as exported and empty (see --missing): Condition" in ran.err
    ran, output = population.replay("--plain-ids", "--missing", "Condition,Procedure")
    assert output.status("cancer-history") == {"a": "unknown"}
    assert "Taken as not available: Condition, Procedure" in ran.err


def test_patients_are_hashes_that_one_key_makes_alike(population: Population, monkeypatch: pytest.MonkeyPatch) -> None:
    population.write("all.ndjson", *of("secret-name", EMERGENCY))
    names = []
    for output in ("first", "second"):
        folder = population.replay(output=output)[1]
        names += folder.cards
        assert not any(b"secret-name" in file.read_bytes() for file in folder.folder.rglob("*") if file.is_file())
        assert not (folder.folder / local.WORK).exists()
    assert len(set(names)) == 2, "each output has a key of its own"
    assert population.replay("--compare", str(folder.folder), output="third")[1].cards.keys() == {names[1]}
    monkeypatch.setenv("BACKPAIN_CDS_AUDIT_KEY", "k" * 40)
    keyed = [[*population.replay(output=output)[1].cards] for output in ("fourth", "fifth")]
    assert keyed[0] == keyed[1] != [names[0]]
    ran, _ = population.replay("--compare", str(folder.folder), output="sixth")
    assert ran.code == 2
    assert "another key" in ran.err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--missing", "Claim"], "known are Condition"),
        (["--fhir-server", "ftp://x"], "--fhir-server"),
        (["--compare", "nothing.toml"], "nothing.toml"),
        (["--at", "yesterday"], "--at"),
        (["--processes", "0"], "workers are"),
    ],
)
def test_unusable_options_end_with_2(population: Population, options: list[str], said: str) -> None:
    population.write("all.ndjson", *of("a"))
    ran, output = population.replay(*options)
    assert ran.code == 2
    assert said in ran.err
    assert not (output.folder / "charts").exists()


def test_unusable_folders_end_with_2(population: Population, tmp_path: Path) -> None:
    ran, _ = population.replay()
    assert (ran.code, one_line(ran.err)) == (2, True)
    assert "holds no *.ndjson[.gz]" in ran.err
    population.write("cut.ndjson.gz", *of("a"))
    file = population.source / "cut.ndjson.gz"
    file.write_bytes(file.read_bytes()[:-12])
    ran, _ = population.replay(output="cut")
    assert (ran.code, one_line(ran.err)) == (2, True)
    assert "cut.ndjson.gz: it is no whole gzip file" in ran.err
    ran, _ = population.replay(output="export/out")
    assert (ran.code, "the output should be elsewhere" in ran.err) == (2, True)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").touch()
    ran, _ = population.replay(output="full")
    assert (ran.code, "is not empty" in ran.err) == (2, True)


@pytest.mark.parametrize(
    ("problem", "told"),
    [
        ('line 3 is no GZIP: "Mrs. Secret"', "the input: it is no whole gzip file"),
        ('could not cast "Mrs. Secret"', "the input cannot be read (InvalidInputException)"),
    ],
)
def test_a_line_that_cannot_be_read_is_not_quoted(
    population: Population, monkeypatch: pytest.MonkeyPatch, problem: str, told: str
) -> None:
    def refuse(*_: Any) -> None:
        raise duckdb.InvalidInputException(problem)

    monkeypatch.setattr(grouping, "copy", refuse)
    population.write("all.ndjson", *of("a"))
    ran, _ = population.replay()
    assert (ran.code, one_line(ran.err), told in ran.err, "Secret" in ran.err) == (2, True, True, False)


def test_an_interrupted_run_goes_on_to_the_same_bytes(population: Population, monkeypatch: pytest.MonkeyPatch) -> None:
    write_population(population.source, 30)
    whole = population.replay("--plain-ids", output="whole")[1]
    evaluate, done = local.evaluate_part, []

    def interrupted(part: int) -> None:
        if len(done) == 3:
            raise KeyboardInterrupt
        done.append(part)
        evaluate(part)

    monkeypatch.setattr(local, "evaluate_part", interrupted)
    ran, output = population.replay("--plain-ids")
    assert ran.code == 130
    assert 0 < len(output.files) < len(whole.files)
    assert population.replay("--plain-ids")[0].code == 2, "without --resume nothing is touched"
    assert population.replay("--plain-ids", "--hook", "encounter-start", "--resume")[0].code == 2
    before = {file: file.stat().st_mtime_ns for file in output.folder.glob("c*/*.parquet")}
    monkeypatch.setattr(local, "evaluate_part", evaluate)
    assert population.replay("--plain-ids", "--resume")[0].code == 0
    assert output.files == whole.files
    assert output.manifest == whole.manifest
    assert {file: file.stat().st_mtime_ns for file in before} == before
    assert population.replay("--plain-ids", "--resume")[0].out == population.replay("--plain-ids", "--resume")[0].out


def test_changed_input_is_not_gone_on_with(population: Population) -> None:
    population.write("all.ndjson", *of("a"))
    population.replay()
    population.write("more.ndjson", *of("b"))
    ran, _ = population.replay("--resume")
    assert (ran.code, "of other files" in ran.err) == (2, True)


# --- memory that does not grow with the population ------------------------------------------------------------


@pytest.mark.parametrize(
    ("mebibytes", "cores", "parts"),
    [(1, 1, 4), (1, 2, 8), (1440, 2, 10), (10**6, 2, 64), (1, 12, 48), (1, 64, 64), (10**6, 64, 64)],
)
def test_no_machine_and_no_population_has_more_than_64_parts(tmp_path: Path, mebibytes: int, cores: int, parts: int):
    with (tmp_path / "all.ndjson").open("wb") as file:
        file.truncate(mebibytes * 2**20)  # takes no room on the disk
    assert grouping.number_of_parts(find_source(tmp_path), cores) == parts


def test_many_cores_take_no_more_memory(population: Population, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each thread of DuckDB has buffers of its own, which the limit of its memory counts."""
    threads: list[int] = []

    def watched(done: Callable[..., Any], connection: duckdb.DuckDBPyConnection, *given: Any) -> Any:
        threads.extend(connection.execute("SELECT current_setting('threads')").fetchone())
        return done(connection, *given)

    monkeypatch.setattr(grouping, "_write_parts_of", partial(watched, grouping._write_parts_of))
    monkeypatch.setattr(replayed, "count", partial(watched, replayed.count))
    population.write("all.ndjson", *of("a"))
    assert population.replay()[0].code == 0
    assert threads == [1, 2]


def test_where_memory_is_too_small_more_is_taken(population: Population, monkeypatch: pytest.MonkeyPatch) -> None:
    """As for many Bundles, one a line."""
    rooms, write, tried = grouping.ROOMS, grouping._write_parts_of, []

    def watched(*given: Any) -> None:
        tried.append("begun")
        write(*given)
        tried.append("done")

    monkeypatch.setattr(grouping, "ROOMS", (rooms[0]._replace(memory="16MB"), *rooms[1:]))
    monkeypatch.setattr(grouping, "_write_parts_of", watched)
    population.write("charts.ndjson", *(bundle(*of(f"p{number}", EMERGENCY)) for number in range(50)))
    ran, output = population.replay("--plain-ids")
    assert (ran.code, tried, len(output.cards)) == (0, ["begun", "begun", "done"], 50)
    assert output.manifest["badLines"] == {}


def test_what_is_sorted_at_a_time_is_small_in_a_large_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grouping, "_SLICE", 100_000)
    rows, octets = one_part(tmp_path, 40)
    charts = [lines[0] for lines in by_chart(rows)]
    assert len(charts) == 40, "the lines of one stand together"
    whole = sum(len(line) for _, _, line in rows)
    assert whole > 10 * 100_000
    assert max(octets.values()) < whole / 3


def test_a_large_part_is_not_looked_through_too_often(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grouping, "_SLICE", 10)
    rows, octets = one_part(tmp_path, 5)
    assert len(list(by_chart(rows))) == 5
    assert len(octets) == 32


def one_part(folder: Path, patients: int) -> tuple[list[tuple[str, str, str]], dict[str, int]]:
    """The rows of a population that is one part, and the octets of the lines that each query brought."""
    write_population(folder / "export", patients)
    grouping.group(find_source(folder / "export"), folder, 1, "")
    with tables.connect(folder / "spill") as connection:
        watched = Watched(connection)
        return list(grouping.rows_of(watched, folder, 0)), watched.octets


class Watched:
    """A connection. octets: of the lines that each query brought."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self.octets: dict[str, int] = {}
        self._connection = connection
        self._query = ""

    def execute(self, query: str) -> "Watched":
        self._query = query
        self._connection.execute(query)
        return self

    def fetchone(self) -> tuple:
        return self._connection.fetchone()

    def fetchmany(self, size: int) -> list[tuple]:
        rows = self._connection.fetchmany(size)
        self.octets[self._query] = self.octets.get(self._query, 0) + sum(len(line) for _, _, line in rows)
        return rows


def test_the_lines_of_a_chart_come_in_one_order() -> None:
    rows = [("a", "Patient", "{2}"), ("a", "Patient", "{1}"), ("a", "Condition", "{3}"), ("b", "Patient", "{0}")]
    first = [Line("Condition", b"{3}"), Line("Patient", b"{1}"), Line("Patient", b"{2}")]
    assert list(by_chart(rows)) == [first, [Line("Patient", b"{0}")]]


def test_rows_wait_in_files_that_are_read_one_by_one(population: Population, monkeypatch: pytest.MonkeyPatch) -> None:
    write_population(population.source, 12)
    whole = population.replay("--plain-ids", output="whole")[1]
    sizes, write = [], local.write_tables

    def watched(connection: duckdb.DuckDBPyConnection, rows: Path, *given: Any) -> None:
        sizes.extend(file.stat().st_size for file in rows.iterdir())
        write(connection, rows, *given)

    monkeypatch.setattr(local, "write_tables", watched)
    monkeypatch.setattr(tables, "_PIECE", 10_000)
    monkeypatch.setattr("hooks.population.replay.number_of_parts", lambda *_: 1)
    output = population.replay("--plain-ids")[1]
    assert len(sizes) > 3
    assert max(sizes) < 30_000
    assert output.everything == whole.everything


def test_worker_processes_come_to_the_same_bytes(population: Population) -> None:
    write_population(population.source, 20)
    here = population.replay("--plain-ids")[1]
    out = here.folder.parent / "processes"
    ran = program(
        "replay", str(population.source), "--at", NOW, "--output", str(out), "--plain-ids", "--processes", "2"
    )  # fmt: skip
    assert (ran.code, Output(out).files) == (0, here.files)


def test_the_figures_are_those_of_the_charts(population: Population) -> None:
    population.write("all.ndjson", *of("a", back_pain(), EMERGENCY), *of("b", back_pain(days_ago=900)), *of("c"))
    ran, output = population.replay("--plain-ids")
    told = [line.split() for line in ran.out.splitlines()]
    assert ran.out.startswith("3 charts as of 2026-11-20 12:00 UTC: 2 with a back problem (1 current), 1 with cards")
    assert ["emergency", "critical", "1"] in told
    assert ["cauda-equina", "on", "1", "0", "2", "1"] in told
    page = (output.folder / "report.html").read_text()
    assert "3 charts of a population" in page
    assert "<script" not in page
    assert '"a"' not in page


def test_a_patient_counts_once_however_many_charts_there_are(population: Population) -> None:
    twice = [bundle(*of("a", back_pain(days_ago=days), EMERGENCY)) for days in (1, 9)]
    population.write("charts.ndjson", *twice, bundle(*of("b", EMERGENCY)), bundle(*of("a")), bundle(*of("c")))
    _, output = population.replay()
    page = Shown((output.folder / "report.html").read_text())
    assert page.row("Emergency", "Possible cauda equina", "on")[:3] == ["5", "3 (60.0%)", "2"]
    assert page.key["Charts"] == "5 of 3 patients"


def test_figures_need_no_memory_for_each_patient_and_criterion(tmp_path: Path) -> None:
    with tables.connect(tmp_path / "spill", "32MB", threads=1) as connection:
        connection.execute("SET max_temp_directory_size = '0KiB'")
        cards = f"[] :: {tables._CHART['cards']} AS cards"
        for name, columns in (
            ("charts", f"0 AS unreadable, 0 AS foreign_resources, {cards}"),
            ("criteria", "unnest(range(40)) :: VARCHAR AS criterion, 'on' AS state, 'met' AS status"),
        ):
            (tmp_path / name).mkdir()
            query = f"SELECT sha256(range::VARCHAR) AS patient, {columns} FROM range(10000)"
            tables.copy(connection, query, tmp_path / name / "part.parquet", "FORMAT parquet, ROW_GROUP_SIZE 20480")
        found = count(connection, tmp_path, View("patient-view", AT), AT.date())
    assert found.patients == 10_000


OTHER = """
disabled = ["fracture-risk"]
[thresholds]
persistent_pain_days = 60
[states]
cauda-equina = "silent"
"""


def test_compare_tells_whose_cards_differ_and_why(population: Population, cli: Cli) -> None:
    treated = resource(
        "MedicationRequest",
        status="active",
        intent="order",
        authoredOn="2026-10-10",
        medicationCodeableConcept=coded("nsaid"),
    )
    population.write(
        "all.ndjson",
        *of("longer", back_pain(days_ago=45), treated),
        *of("urgent", back_pain(), EMERGENCY),
        *of("same", back_pain()),
        *of("quiet"),
    )
    _, before = population.replay("--plain-ids", output="before")
    config = cli.file(OTHER, "other.toml")
    with_folder, one = population.replay(
        "--plain-ids", "--config", config, "--compare", str(before.folder), output="one"
    )
    turned = "(each.criterion, each.before_status, each.after_status, each.after_state)"
    changes = one.rows(f"SELECT patient, list_transform(criteria, lambda each: {turned}) FROM changes ORDER BY 1")
    assert ("longer", [("pain-over-4-weeks", "met", "not-met", "on")]) in [
        (name, [each for each in turned if each[0] != "cauda-equina"]) for name, turned in changes
    ]
    assert ("cauda-equina", "met", "met", "silent") in dict(changes)["urgent"]
    assert "quiet" not in dict(changes)
    lines = [json.loads(line) for line in (one.folder / "changes.ndjson").read_text().splitlines()]
    assert [each["patient"] for each in lines] == [name for name, _ in changes]
    assert f"{len(changes)} of 4 charts would get other cards than before" in with_folder.out
    told = [line.split() for line in with_folder.out.splitlines()]
    assert ["thresholds.persistent_pain_days", "28", "60"] in told
    assert ["states.cauda-equina", "-", "silent"] in told
    assert ["pain-over-4-weeks", "met", "not-met", "1", "1", "persistent_pain_days"] in told

    plain = cli.file("", "plain.toml")
    with_file, two = population.replay("--plain-ids", "--config", config, "--compare", plain, output="two")
    shown = with_file.out.partition("would get")[2]
    assert shown == with_folder.out.partition("would get")[2]
    assert two.rows("FROM changes ORDER BY ALL") == one.rows("FROM changes ORDER BY ALL")


def test_an_unfinished_run_is_nothing_to_compare_with(population: Population, tmp_path: Path) -> None:
    population.write("all.ndjson", *of("a"))
    _, before = population.replay(output="before")
    manifest = before.folder / "replay.json"
    manifest.write_text(json.dumps(before.manifest | {"finished": False}))
    ran, _ = population.replay("--compare", str(before.folder))
    assert (ran.code, "is not finished" in ran.err) == (2, True)
    ran, _ = population.replay("--compare", str(tmp_path), output="other")
    assert (ran.code, "no usable replay.json" in ran.err) == (2, True)


def test_an_earlier_run_gives_its_instant(population: Population) -> None:
    population.write("all.ndjson", *of("a", EMERGENCY))
    population.replay("--plain-ids", "--at", "2026-11-19", output="before")
    folder = population.source.parent
    ran = population._cli(
        "replay", str(population.source), "--output", str(folder / "after"), "--processes", "1", "--plain-ids",
        "--compare", str(folder / "before"),
    )  # fmt: skip
    assert "0 of 1 charts would get other cards" in ran.out
    assert "Nothing that the results rest on differs." in ran.out
    assert Output(folder / "after").manifest["basis"]["at"] == "2026-11-19T23:59:59Z" != AT.isoformat()
