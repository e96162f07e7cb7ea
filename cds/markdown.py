"""GitHub Markdown of our own around text of the chart (reliability row 29).

Chart text is data: nothing in it may become a link, a tag, a heading or an instruction to the reader's screen. It is
shown as it reads, on one line, in at most LONGEST characters.
"""

import re
from collections.abc import Iterable

LONGEST = 200
"""Characters of one value of the chart."""

# A backslash before it takes the meaning of any ASCII punctuation. Angle brackets and ampersands become entities, so
# that they stay harmless where somebody shows the Markdown as HTML. An at sign has a harmless double: renderers
# find e-mail addresses after the backslashes are gone.
_ESCAPES = str.maketrans(
    {char: f"\\{char}" for char in "\\`*_{}[]()#+-.!|~:/=^$"} | {"<": "&lt;", ">": "&gt;", "&": "&amp;", "@": "\uff20"}
)
# Some renderers look for links once the backslashes are gone; a space inside breaks what they look for.
_LINK_STARTS = re.compile(r"(?<=/)(?=/)|(?<=www)(?=\.)", re.IGNORECASE)


def escaped(text: str) -> str:
    """Chart text that reads the same in GitHub Markdown and in HTML, and is nothing but text there."""
    return one_line(text).translate(_ESCAPES)


def one_line(text: str) -> str:
    """Without line breaks and invisible characters, links broken, cut at LONGEST."""
    if not (text.isascii() and text.isprintable()):
        text = "".join(filter(None, map(_visible, text)))
    if "//" in text or "www" in text.lower():
        text = _LINK_STARTS.sub(" ", text)
    text = " ".join(text.split())
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def recorded_date(text: str) -> str:
    """A date as recorded: it needs no backslashes; what is no date is chart text like any other."""
    return text if text.isascii() and not text.translate(_PARTS_OF_A_DATE) else escaped(text)


_PARTS_OF_A_DATE = str.maketrans("", "", "0123456789-/")


def _visible(char: str) -> str:
    """Control, direction and zero-width characters and lone surrogates are not printable; line breaks are space."""
    return char if char.isprintable() else " " if char.isspace() else ""


def bullets(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def paragraphs(*texts: str) -> str:
    """The texts that are there, each a paragraph."""
    return "\n\n".join(filter(None, texts))


def headed(heading: str, text: str) -> str:
    """A bold heading with its lines below; nothing without any."""
    return f"**{heading}**\n\n{text}" if text else ""
