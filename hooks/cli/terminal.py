"""Where the command line reads and writes. Nothing of a chart or a server's answer may steer the terminal."""

import os
import re
import sys
from collections.abc import Callable
from datetime import datetime
from typing import Any, NamedTuple, TextIO

import msgspec
from rich import box
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.markdown import Markdown
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

PLAIN_WIDTH = 100

# Control characters (line feed apart), half surrogates, and what changes the direction of text or hides in it.
_UNSAFE = "\x00-\x09\x0b-\x1f\x7f-\x9f\xad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff\ufff9-\ufffb"
_UNPRINTABLE = re.compile(f"[{_UNSAFE}\U000e0000-\U000e007f]")
_TO_ESCAPE = re.compile("[\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]")


class Unusable(Exception):
    """What the command was given cannot be used: said in one line on stderr, exit code 2."""


class Inert:
    """A renderable whose text has lost every character that is not for printing, wherever in it that came from."""

    def __init__(self, content: RenderableType) -> None:
        self._content = content

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for segment in console.render(self._content, options):
            if not segment.control:
                yield Segment(printable(segment.text), segment.style)


class _Console(Console):
    """A console that shows markup of others as text and leaves a closed pipe to `main`."""

    def __init__(self, stream: TextIO) -> None:
        wide = None if stream.isatty() or os.environ.get("COLUMNS") else PLAIN_WIDTH
        super().__init__(file=stream, width=wide, markup=False, emoji=False, highlight=False)

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


class Terminal(NamedTuple):
    """Standard streams and the clock of one run."""

    out: Console
    err: Console
    clock: Callable[[], datetime]

    def show(self, *parts: RenderableType) -> None:
        """Show renderables on stdout; a plain string is text, never markup."""
        self.out.print(Inert(Group(*parts)))

    def complain(self, problem: str) -> None:
        """One line on stderr, however long: it may be read by a program."""
        line = Text.assemble(("backpain-cds: ", "bold red"), " ".join(problem.split()))
        self.err.print(Inert(line), soft_wrap=True)

    def remark(self, text: str, style: str = "") -> None:
        """Something to know beside the result, on stderr."""
        self.err.print(Inert(Text(text, style)), soft_wrap=True)

    def write_json(self, value: Any, pretty: bool = True) -> None:
        """JSON on stdout, in which nothing can steer a terminal either (`pretty`: indented, else one line).

        Whoever reads a pipe has it before the next chart is looked at.
        """
        encoded = msgspec.json.encode(value)
        text = (msgspec.json.format(encoded) if pretty else encoded).decode()
        sys.stdout.write(_TO_ESCAPE.sub(lambda found: f"\\u{ord(found[0]):04x}", text) + "\n")
        sys.stdout.flush()


def open_terminal(clock: Callable[[], datetime]) -> Terminal:
    """The terminal of this process; a character that the stream cannot encode is shown as an escape."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")
    return Terminal(_Console(sys.stdout), _Console(sys.stderr), clock)


def printable(text: str) -> str:
    """Text without characters that steer a terminal or turn or hide other text; a tab becomes a space."""
    return _UNPRINTABLE.sub("", text.replace("\t", " "))


def markdown(text: str) -> Markdown:
    """GitHub Markdown as an EHR would show it; the address of a link is always in sight."""
    return Markdown(text, hyperlinks=False)


def table(*columns: str, caption: str = "") -> Table:
    """A table with one rule, below its head; the first column is never broken."""
    made = Table(box=box.SIMPLE_HEAD, pad_edge=False, caption=caption or None, caption_justify="left")
    for index, column in enumerate(columns):
        made.add_column(column, no_wrap=index == 0, overflow="fold")
    return made
