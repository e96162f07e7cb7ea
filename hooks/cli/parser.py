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
    for add in (_serve, _evaluate, _call, _criteria, _thresholds, _check_config, _token):
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
        "  backpain-cds call http://127.0.0.1:8080 orders.json --hook order-sign\n\n"
        "The chart is a FHIR Bundle of one patient, from which the service's prefetch templates are filled, or a\n"
        "ready CDS Hooks request, which is sent as it is.\n\n"
        "exit codes: 0 answered with cards or none, 1 answered with an error, 2 chart unusable or service not reached",
    )
    command.add_argument("url", metavar="URL", help="base URL of the service, or that of its discovery")
    command.add_argument("file", metavar="FILE", help="a Bundle or a request, plain or gzip; - for stdin")
    command.add_argument("--hook", choices=HOOKS, help="hook to call [the request's own, else patient-view]")
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


def _token(commands) -> None:
    command = _command(
        commands,
        "token",
        "token",
        "make a token, or a key, of a client for trying out authentication",
        "examples:\n"
        "  backpain-cds token --new-key trial\n"
        "  backpain-cds token http://127.0.0.1:8000/cds-services/back-pain-patient-view --key trial.jwk.json > t\n"
        "  backpain-cds call http://127.0.0.1:8000 chart.json --token-file t\n\n"
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
        print("backpain-cds", import_module("hooks.app").release_version())
        parser.exit()


def _port(text: str) -> int:
    return _whole(text, 1, 65535, "a port is a whole number from 1 to 65535")


def _workers(text: str) -> int:
    return _whole(text, 1, 64, "workers are a whole number from 1 to 64")


def _seconds(text: str) -> int:
    return _whole(text, 1, 3600, "seconds are a whole number from 1 to 3600")


def _whole(text: str, lowest: int, highest: int, right: str) -> int:
    if not (text.isascii() and text.isdigit() and lowest <= int(text[:6]) <= highest and len(text) < 6):
        raise argparse.ArgumentTypeError(right)
    return int(text)
