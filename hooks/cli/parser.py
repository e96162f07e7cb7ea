"""What can be asked for on the command line. Nothing heavy is imported here, so that help comes at once."""

import argparse
from importlib import import_module

DEVELOPMENT_ISSUER = "urn:backpain-cds:development"
HOOKS = ("patient-view", "encounter-start", "order-select", "order-sign")


def build_parser() -> argparse.ArgumentParser:
    """All commands with their options; the module that runs a command is `args.module`."""
    parser = argparse.ArgumentParser(
        prog="backpain-cds",
        description="Red flags and reasons for a spine-surgery referral in back pain, as a CDS Hooks service.",
        epilog="backpain-cds COMMAND --help explains a command, with examples.",
    )
    parser.add_argument("--version", action=_Version, help="show the release and exit")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for add in (_serve, _evaluate, _call, _criteria, _thresholds, _check_config, _package, _expand, _switch, _token):
        add(commands)
    for add in (_replay, _feedback, _audit, _report, _retention, _migrate, _backup):
        add(commands)
    return parser


def _command(commands, name: str, module: str, summary: str, more: str) -> argparse.ArgumentParser:
    command = commands.add_parser(
        name,
        help=summary,
        description=f"{summary[0].upper()}{summary[1:]}.",
        epilog=more,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.set_defaults(module=f"hooks.cli.{module}")
    return command


def _config(command: argparse.ArgumentParser) -> None:
    command.add_argument("--config", metavar="FILE", help="site configuration (TOML) [$BACKPAIN_CDS_CONFIG]")


def _json(command: argparse.ArgumentParser, what: str) -> None:
    command.add_argument("--json", action="store_true", help=f"print {what} as JSON")


def _serve(commands) -> None:
    command = _command(
        commands,
        "serve",
        "serve",
        "start the CDS Hooks service",
        "examples:\n"
        "  backpain-cds serve\n"
        "  backpain-cds serve --port 8080 --workers 2 --config site.toml\n\n"
        "On a loopback address it runs for development: any web page may call it, nobody is asked who they are.",
    )
    command.add_argument("--host", default="127.0.0.1", help="address to listen on [%(default)s]")
    command.add_argument("--port", type=_port, default=8080, help="port to listen on [%(default)s]")
    command.add_argument("--workers", type=_workers, default=1, help="worker processes [%(default)s]")
    command.add_argument(
        "--operations-port", type=_port, metavar="PORT", help="port for metrics and probes [that of the configuration]"
    )
    _config(command)


def _evaluate(commands) -> None:
    command = _command(
        commands,
        "evaluate",
        "evaluate",
        "evaluate one chart, or a stream of charts, without a server",
        "examples:\n"
        "  backpain-cds evaluate chart.json\n"
        "  backpain-cds evaluate request.json --at 2026-11-20T12:00:00Z --json\n"
        "  backpain-cds evaluate charts.ndjson.gz --ndjson > results.ndjson\n\n"
        "exit codes: 0 all evaluated, 1 some line was bad, 2 input or options unusable",
    )
    command.add_argument(
        "file", metavar="FILE", help="a CDS Hooks request or a FHIR Bundle of one patient, plain or gzip; - for stdin"
    )
    command.add_argument(
        "--at", metavar="INSTANT", help="what now means: a day (its end) or a date with time; no zone: the site's [now]"
    )
    command.add_argument("--hook", choices=HOOKS, help="answer as this hook [the request's own, else patient-view]")
    _order(command)
    _json(command, "the whole evaluation")
    command.add_argument(
        "--ndjson", action="store_true", help="one request or Bundle a line in, one JSON result a line out"
    )
    _config(command)


def _call(commands) -> None:
    command = _command(
        commands,
        "call",
        "call",
        "call a running CDS Hooks service with a chart, and show its cards",
        "examples:\n"
        "  backpain-cds call http://127.0.0.1:8080 chart.json\n"
        "  backpain-cds call http://127.0.0.1:8080 chart.json --order mri-lumbar\n"
        "  backpain-cds call http://127.0.0.1:8080 orders.json --hook order-sign\n\n"
        "The chart is a FHIR Bundle of one patient, from which the service's prefetch templates are filled, or a\n"
        "ready CDS Hooks request, which is sent as it is.\n\n"
        "exit codes: 0 answered with cards or none, 1 answered with an error, 2 chart unusable or service not reached",
    )
    command.add_argument("url", metavar="URL", help="base URL of the service, or that of its discovery")
    command.add_argument("file", metavar="FILE", help="a Bundle or a request, plain or gzip; - for stdin")
    command.add_argument("--hook", choices=HOOKS, help="hook to call [the request's own, else patient-view]")
    _order(command)
    command.add_argument(
        "--today",
        action=argparse.BooleanOptionalAction,
        help="move the dates of a Bundle so that its timestamp is now [when it has one]",
    )
    given = command.add_mutually_exclusive_group()
    given.add_argument(
        "--token-file", metavar="FILE", help="file with the token (JWT) to send with the call; - for stdin"
    )
    given.add_argument("--token", metavar="JWT", help="the token itself: others on this machine may see it")
    _json(command, "the answer")


def _order(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--order",
        action="append",
        default=[],
        metavar="ORDER",
        help="put a draft order into the Bundle: a file with a ServiceRequest, or a sample order such as mri-lumbar; "
        "repeatable [hook: order-sign]",
    )


def _criteria(commands) -> None:
    command = _command(
        commands,
        "criteria",
        "criteria",
        "show the catalogue of criteria, or one criterion in full",
        "examples:\n  backpain-cds criteria\n  backpain-cds criteria cauda-equina",
    )
    command.add_argument("id", metavar="ID", nargs="?", help="criterion to show in full")
    _json(command, "the same")
    _config(command)


def _thresholds(commands) -> None:
    command = _command(
        commands,
        "thresholds",
        "thresholds",
        "show the thresholds in force",
        "examples:\n  backpain-cds thresholds\n  backpain-cds thresholds --config site.toml --json",
    )
    _json(command, "the same")
    _config(command)


def _check_config(commands) -> None:
    command = _command(
        commands,
        "check-config",
        "check_config",
        "check a site's configuration and say what it means",
        "examples:\n  backpain-cds check-config site.toml\n\nexit codes: 0 usable, 2 not",
    )
    command.add_argument("file", metavar="FILE", nargs="?", help="site configuration (TOML) [$BACKPAIN_CDS_CONFIG]")


def _switch(commands) -> None:
    command = _command(
        commands,
        "switch",
        "switch",
        "turn a criterion off, silent or on in running servers, or show what holds",
        "examples:\n"
        "  backpain-cds switch night-pain off --why 'false alarms since the template of 3 May' --who 'Dr. Doe'\n"
        "  backpain-cds switch '*' off --why 'wrong record imported' --config site.toml\n"
        "  backpain-cds switch --list\n\n"
        "Every worker of a running server follows within a minute, without a restart, and after one.\n\n"
        "exit codes: 0 done, 2 not",
    )
    command.add_argument("criterion", metavar="CRITERION", nargs="?", help="criterion id, or * for all of them")
    command.add_argument("state", nargs="?", choices=("off", "silent", "on"), help="what it is from now on")
    command.add_argument("--why", metavar="TEXT", help="the reason, for those who look later")
    command.add_argument("--who", metavar="NAME", help="who decides [the login name]")
    command.add_argument("--client", metavar="ISSUER", help="for this registered client only [all]")
    command.add_argument("--list", action="store_true", help="show what holds now, and all decisions")
    _json(command, "the same")
    _config(command)


def _replay(commands) -> None:
    command = _command(
        commands,
        "replay",
        "replay",
        "evaluate a population's charts: what would have fired, for whom, how often",
        "examples:\n"
        "  backpain-cds replay export/ --at 2026-11-20 --output november/\n"
        "  backpain-cds replay export/ --config new.toml --compare site.toml --output trial/\n"
        "  backpain-cds replay export/ --compare november/ --output december/\n\n"
        "FOLDER holds FHIR Bulk Data (*.ndjson[.gz], a resource a line) or Bundles of one patient each (*.json[.gz],\n"
        "or a line each). DIR gets Parquet tables and report.html. It holds patient data: protect it.\n\n"
        "exit codes: 0 all evaluated, 1 some lines or charts were bad, 2 folder or options unusable",
    )
    command.add_argument("folder", metavar="FOLDER", help="the population")
    command.add_argument("--output", metavar="DIR", default="replay", help="where to [%(default)s]")
    command.add_argument(
        "--at", metavar="INSTANT", help="what now means: a day (its end) or a date with time; no zone: the site's [now]"
    )
    command.add_argument("--hook", choices=HOOKS, default=HOOKS[0], help="answer as this hook [%(default)s]")
    command.add_argument(
        "--compare", metavar="OTHER", help="what held before: a configuration (TOML), or the DIR of an earlier run"
    )
    command.add_argument("--resume", action="store_true", help="go on with an interrupted run in DIR")
    command.add_argument("--plain-ids", action="store_true", help="name patients by their ids [by keyed hashes]")
    command.add_argument(
        "--missing", metavar="TYPES", help="types that were not exported, such as Procedure,ServiceRequest"
    )
    command.add_argument("--fhir-server", metavar="URL", help="base URL of absolute references in the export")
    command.add_argument("--engine", choices=("local", "spark"), default="local", help="[%(default)s]")
    command.add_argument("--processes", type=_workers, metavar="N", help="worker processes [one a core]")
    _config(command)


def _feedback(commands) -> None:
    command = _command(
        commands,
        "feedback",
        "feedback",
        "show what clinicians did with the cards, criterion by criterion, or write out every report",
        "examples:\n"
        "  backpain-cds feedback --since 2026-11-01\n"
        "  backpain-cds feedback --since 2026-11-01 --until 2026-11-30 --csv > november.csv\n\n"
        "A card counts by the last report on it. Written-out reports may hold comments about patients: protect them.",
    )
    _period(command, "cards shown (of reports received, when they are written out)")
    form = command.add_mutually_exclusive_group()
    form.add_argument("--csv", action="store_true", help="write every report as a line of CSV")
    form.add_argument("--ndjson", action="store_true", help="write every report as a line of JSON")
    form.add_argument("--json", action="store_true", help="print the figures as JSON")
    _config(command)


def _audit(commands) -> None:
    command = _command(
        commands,
        "audit",
        "audit",
        "show which calls were answered and refused, with what and why; check and replay them",
        "examples:\n"
        "  backpain-cds audit --since 2026-11-20 --criterion cauda-equina --status met\n"
        "  backpain-cds audit show 5f1f2f4c\n"
        "  backpain-cds audit verify\n"
        "  backpain-cds audit replay\n\n"
        "exit codes: 0 well, 1 a row was changed (verify) or comes to another result (replay), 2 options or ledger\n"
        "unusable",
    )
    command.add_argument(
        "what", nargs="?", choices=("list", "show", "verify", "replay"), default="list", help="what to do [%(default)s]"
    )
    command.add_argument("call", metavar="CALL", nargs="?", help="id of a call (X-Request-Id), or how it begins")
    _period(command, "calls")
    command.add_argument("--issuer", metavar="ISSUER", help="only calls of this client")
    command.add_argument("--criterion", metavar="ID", help="only calls in which it is met, or as --status says")
    command.add_argument(
        "--status", metavar="STATUS", help="met, not-met or unknown of the criterion, or the HTTP status of the answer"
    )
    command.add_argument("--card", metavar="UUID", help="only the call that sent this card")
    command.add_argument("--limit", type=_calls, metavar="N", help="show that many calls, the newest [50 in a table]")
    form = command.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print the same as JSON")
    form.add_argument("--ndjson", action="store_true", help="print a line of JSON a call or a day")
    _config(command)


def _report(commands) -> None:
    command = _command(
        commands,
        "report",
        "committee",
        "write one page with figures and plots for a clinical committee",
        "examples:\n"
        "  backpain-cds report --since 2026-10-01 --until 2026-12-31 --config site.toml\n"
        "  backpain-cds report --output - > report.html\n\n"
        "HTML in one file, made from the audit and the feedback of that time. It holds counts and no patient.",
    )
    _period(command, "calls")
    command.add_argument(
        "--output", default="backpain-cds-report.html", metavar="FILE", help="where to [%(default)s]; - for stdout"
    )
    _config(command)


def _retention(commands) -> None:
    _of_the_ledger(
        commands,
        "retention",
        "delete what is older than the configuration wants to keep",
        "example:\n  backpain-cds retention --config site.toml\n\n"
        "A running server does this by itself; [retention] in the configuration says for how many days is kept.",
    )


def _migrate(commands) -> None:
    _of_the_ledger(
        commands,
        "migrate",
        "make the tables of the ledger, or bring them up to this release",
        "example:\n  backpain-cds migrate --config site.toml\n\nA server does this by itself when it starts.",
    )


def _backup(commands) -> None:
    command = _of_the_ledger(
        commands,
        "backup",
        "copy a ledger in SQLite to a new file, while the service runs",
        "example:\n  backpain-cds backup ledger-2026-11-20.sqlite3 --config site.toml",
    )
    command.add_argument("file", metavar="FILE", help="the copy; it may not be there yet")


def _of_the_ledger(commands, name: str, summary: str, more: str) -> argparse.ArgumentParser:
    command = _command(commands, name, "ledger", summary, more)
    command.set_defaults(command=name)
    _config(command)
    return command


def _period(command: argparse.ArgumentParser, what: str) -> None:
    form = "a day, or a date with time; no zone: the site's"
    command.add_argument("--since", metavar="INSTANT", help=f"only {what} from then on ({form})")
    command.add_argument("--until", metavar="INSTANT", help="and no later; a day counts whole")


def _package(commands) -> None:
    command = _command(
        commands,
        "package",
        "package",
        "write the knowledge as a FHIR package",
        "examples:\n  backpain-cds package\n  backpain-cds package --config site.toml --output site.tgz\n\n"
        "With a configuration it holds the codes, thresholds and criteria of that site.",
    )
    command.add_argument("--output", metavar="FILE", help="where to [NAME-VERSION.tgz]; - for stdout")
    _config(command)


def _expand(commands) -> None:
    command = _command(
        commands,
        "expand",
        "expand",
        "fill the code lists from your terminology server, as a proposal to review",
        "examples:\n"
        "  backpain-cds expand --tx https://tx.example.org/fhir --token-env TX_TOKEN --config site.toml\n"
        "  backpain-cds expand --from nsaid.json --config site.toml\n"
        "  backpain-cds expand --accept --config site.toml\n\n"
        "It asks for the codes below those that our lists mark: descendants in SNOMED CT, products of ingredients in\n"
        "RxNorm. Nothing in use is changed before --accept.\n\n"
        "exit codes: 0 done, 1 some concept could not be expanded, 2 server, files or options unusable",
    )
    command.add_argument("--tx", metavar="URL", help="FHIR base URL of the terminology server (https)")
    command.add_argument(
        "--from", dest="from_files", action="append", default=[], metavar="FILE",
        help="an expanded ValueSet that was exported; repeatable",
    )  # fmt: skip
    command.add_argument(
        "--accept", action="store_true", help="put the proposal in place of the folder in use, which is kept"
    )
    command.add_argument("--into", metavar="FOLDER", help="folder of the proposal [concepts_dir with .proposed]")
    command.add_argument("--concept", action="append", default=[], metavar="ID", help="only this one; repeatable")
    command.add_argument(
        "--value-set", action="append", default=[], metavar="CONCEPT=URL",
        help="take for a concept a value set that the server has; repeatable",
    )  # fmt: skip
    command.add_argument("--get", action="store_true", help="ask with GET for SNOMED CT's own value sets, code by code")
    command.add_argument("--token-env", metavar="NAME", help="environment variable that holds the bearer token")
    command.add_argument("--ca-file", metavar="FILE", help="certificate authorities of the server (PEM)")
    command.add_argument("--page", type=_calls, default=1000, metavar="N", help="codes asked for at once [%(default)s]")
    command.add_argument(
        "--drop-missing", action="store_true", help="take known codes out that the source does not have [keep them]"
    )
    command.add_argument("--at", metavar="INSTANT", help="the date to write into the lists [now]")
    command.add_argument("--all", action="store_true", help="show every code")
    _json(command, "the changes")
    _config(command)


def _token(commands) -> None:
    command = _command(
        commands,
        "token",
        "token",
        "make a token, or a key, of a client for trying out authentication",
        "examples:\n"
        "  backpain-cds token --new-key trial\n"
        "  backpain-cds token http://127.0.0.1:8080/cds-services/back-pain-patient-view --key trial.jwk.json > t\n"
        "  backpain-cds call http://127.0.0.1:8080 chart.json --token-file t\n\n"
        "A token is good for one call of one URL.",
    )
    command.add_argument("url", metavar="URL", nargs="?", help="the exact URL that will be called")
    command.add_argument("--key", metavar="FILE", help="private key (JWK) to sign with")
    command.add_argument(
        "--new-key", metavar="NAME", help="write a new key, NAME.jwk.json and NAME.jwks.json, and stop"
    )
    command.add_argument("--issuer", default=DEVELOPMENT_ISSUER, help="issuer of the client [%(default)s]")
    command.add_argument("--tenant", help="tenant to name")
    command.add_argument("--jku", metavar="URL", help="URL of the keys to name")
    command.add_argument("--seconds", type=_seconds, default=300, help="how long it holds [%(default)s]")


class _Version(argparse.Action):
    """Asks for the release only when it is wanted."""

    def __init__(self, option_strings: list[str], dest: str, help: str) -> None:
        super().__init__(option_strings, argparse.SUPPRESS, nargs=0, default=argparse.SUPPRESS, help=help)

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        print("backpain-cds", import_module("hooks.release").release_version())
        parser.exit()


def _port(text: str) -> int:
    return _whole(text, 1, 65535, "a port is a whole number from 1 to 65535")


def _workers(text: str) -> int:
    return _whole(text, 1, 64, "workers are a whole number from 1 to 64")


def _seconds(text: str) -> int:
    return _whole(text, 1, 3600, "seconds are a whole number from 1 to 3600")


def _calls(text: str) -> int:
    return _whole(text, 1, 99999, "calls are a whole number from 1 to 99999")


def _whole(text: str, lowest: int, highest: int, right: str) -> int:
    if not (text.isascii() and text.isdigit() and lowest <= int(text[:6]) <= highest and len(text) < 6):
        raise argparse.ArgumentTypeError(right)
    return int(text)
