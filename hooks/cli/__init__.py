"""The command line `backpain-cds`: each command is a module beside this one (docs/cli.md)."""

import os
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from importlib import import_module

from hooks.cli.parser import build_parser
from hooks.cli.terminal import Unusable, open_terminal

UNUSABLE = 2
INTERRUPTED = 128 + 2  # as a shell reports SIGINT
PIPE_CLOSED = 128 + 13  # and SIGPIPE


def main(argv: Sequence[str] | None = None, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> int:
    """Run one command and return its exit code; argparse exits itself for `--help` and for unusable options."""
    args = build_parser().parse_args(argv)
    terminal = open_terminal(clock)
    try:
        code = import_module(args.module).run(args, terminal)
        sys.stdout.flush()
    except Unusable as error:
        terminal.complain(str(error))
        return UNUSABLE
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        _forget_output()
        return PIPE_CLOSED
    return code


def _forget_output() -> None:
    """Nobody reads any more: what is still buffered may not fail a second time when Python exits."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
