"""Plots as SVG inside a page; colors are those of the style sheet.

Only shapes: words and numbers stand beside them as text, readable at any width and to a screen reader.
"""

from collections.abc import Iterable, Mapping, Sequence
from math import floor, log10

from markupsafe import Markup, escape

_GAP = 0.15  # of a column's room
_DIGITS = 3


def bar(parts: Iterable[tuple[str, int]], label: str) -> Markup:
    """One line, divided as the numbers are. parts: class -> number; label: the same in words."""
    given = [(name, number) for name, number in parts if number]
    whole = sum(number for _, number in given)
    shapes, at = [], 0.0
    for name, number in given:
        width = number / whole * 100
        shapes.append(_rectangle(name, at, 0, width, 10))
        at += width
    return _svg("bar", 100, 10, label, shapes)


def columns(stacks: Mapping[str, Sequence[float]], top: float, label: str) -> Markup:
    """A column for each piece of time, stacked from below. stacks: class -> values; top: value at the upper edge."""
    pieces = max(map(len, stacks.values()))
    line = Markup('<line class="grid" x1="0" x2="{}" y1="{}" y2="{}"/>')
    shapes = [line.format(pieces, y, y) for y in (0, 50, 100)]
    for piece, values in enumerate(zip(*stacks.values(), strict=True)):
        below = 0.0
        for name, value in zip(stacks, values, strict=True):
            height = value / top * 100
            below += height
            if height:
                shapes.append(_rectangle(name, piece + _GAP, 100 - below, 1 - 2 * _GAP, height))
    return _svg("columns", pieces, 100, label, shapes)


def spark(values: Sequence[int], name: str, label: str) -> Markup:
    """A small line of columns, each as high as its share of the highest."""
    highest = max(values, default=0)
    shapes = [
        _rectangle(name, piece + _GAP, 10 - value / highest * 10, 1 - 2 * _GAP, value / highest * 10)
        for piece, value in enumerate(values)
        if value
    ]
    return _svg("spark", len(values), 10, label, shapes)


def ceiling(highest: float) -> float:
    """The upper edge of a scale: a round number, at least as high as the highest value."""
    if highest <= 0:
        return 1.0
    power = 10.0 ** floor(log10(highest))
    return next(step * power for step in (1, 1.5, 2, 3, 4, 5, 6, 8, 10) if step * power >= highest)


def _rectangle(name: str, x: float, y: float, width: float, height: float) -> Markup:
    x, y, width, height = (round(number, _DIGITS) for number in (x, y, width, height))
    return Markup('<rect class="{}" x="{:g}" y="{:g}" width="{:g}" height="{:g}"/>').format(name, x, y, width, height)


def _svg(kind: str, width: int, height: int, label: str, shapes: Iterable[Markup]) -> Markup:
    head = Markup('<svg class="{}" viewBox="0 0 {} {}" preserveAspectRatio="none" role="img" aria-label="{}">')
    return head.format(kind, width, height, escape(label)) + Markup("").join(shapes) + Markup("</svg>")
