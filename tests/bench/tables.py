"""Tables of measurements, to be read in a terminal or put into docs/performance.md."""

from collections.abc import Sequence
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "performance.md"
SIZING = PAGE.with_name("sizing.md")


def written(title: str, head: Sequence[str], rows: Sequence[Sequence[str]], markdown: bool) -> str:
    """Columns in line, numbers to the right; with the bars of a Markdown table when asked."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    lines = [[cell.rjust(width) for cell, width in zip(row, widths, strict=True)] for row in (head, *rows)]
    if not markdown:
        return "\n".join([title, *("  ".join(line) for line in lines)])
    lines.insert(1, ["-" * (width - 1) + ":" for width in widths])
    return "\n".join([f"**{title}**", "", *("| " + " | ".join(line) + " |" for line in lines)])


Promise = tuple[str, str, str, bool | None]
"""What it is about, what was measured, what is promised, whether that is kept; None: nothing is promised."""


def promises(title: str, rows: Sequence[Promise]) -> str:
    told = [
        (what, measured, promised, "" if kept is None else verdict(kept)) for what, measured, promised, kept in rows
    ]
    return written(title, ("what", "measured", "promised", ""), told, markdown=True)


def put(name: str, text: str, page: Path = PAGE) -> None:
    """Replace what stands between the marks of that name, `<!-- name: begin … -->` and `<!-- name: end -->`.

    Raises ValueError where the page has no such marks.
    """
    whole = page.read_text("utf-8")
    begin = whole.index(f"<!-- {name}: begin")
    begin = whole.index("-->", begin) + len("-->\n")
    end = whole.index(f"<!-- {name}: end -->")
    page.write_text(f"{whole[:begin]}{text}\n{whole[end:]}", "utf-8")


def verdict(reached: bool) -> str:
    return "reached" if reached else "missed"
