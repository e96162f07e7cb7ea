"""Cards as an EHR would show them, from the JSON of a CDS Hooks response: ours, or that of any service."""

from collections.abc import Iterator
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.text import Text

from hooks.cli.terminal import markdown

_COLORS = {"critical": "red", "warning": "yellow", "info": "blue"}


def card_panels(answer: Any) -> list[RenderableType]:
    """The cards of a response as panels; a sentence when there are none."""
    return [_panel(card) for card in _objects(answer, "cards")] or [Text("No cards.", "dim")]


def _panel(card: dict[str, Any]) -> Panel:
    indicator = _text(card, "indicator") or "info"
    color = _COLORS.get(indicator, "white")
    return Panel(
        Group(*_content(card)),
        title=_plain(f"{indicator.upper()}{_topic(card)}"),
        title_align="left",
        subtitle=_plain(_source(card)) or None,
        subtitle_align="right",
        border_style=color,
        padding=(0, 1),
    )


def _content(card: dict[str, Any]) -> Iterator[RenderableType]:
    yield Text(_text(card, "summary"), "bold")
    if detail := _text(card, "detail"):
        yield Text()
        yield markdown(detail)
    buttons = [_button(suggestion) for suggestion in _objects(card, "suggestions")]
    links = [_link(link) for link in _objects(card, "links")]
    if buttons or links:
        yield Text()
        yield from (*buttons, *links)
    if reasons := [_text(reason, "display") or _text(reason, "code") for reason in _objects(card, "overrideReasons")]:
        yield Text()
        yield Text("Override: " + " · ".join(reasons), "dim")


def _button(suggestion: dict[str, Any]) -> RenderableType:
    label = Text.assemble((f"[ {_text(suggestion, 'label')} ]", "reverse"))
    if suggestion.get("isRecommended") is True:
        label.append(" recommended", "bold")
    actions = "; ".join(_action(action) for action in _objects(suggestion, "actions"))
    return Group(label, Padding(Text(actions, "dim"), (0, 0, 0, 2))) if actions else label


def _action(action: dict[str, Any]) -> str:
    """What accepting would do: `create ServiceRequest, stat: MRI lumbar spine`."""
    resource = _object(action, "resource")
    target = _text(resource, "resourceType") or _text(action, "resourceId")
    priority = _text(resource, "priority")
    code = _object(resource, "code")
    named = _text(code, "text") or next((_text(each, "display") for each in _objects(code, "coding")), "")
    said = " ".join(filter(None, (_text(action, "type"), target)))
    return said + (f", {priority}" if priority else "") + (f": {named}" if named else "")


def _link(link: dict[str, Any]) -> Text:
    kind = " (SMART app)" if link.get("type") == "smart" else ""
    return Text.assemble("→ ", (_text(link, "label"), "underline"), kind, f" {_text(link, 'url')}")


def _source(card: dict[str, Any]) -> str:
    source = _object(card, "source")
    return " ".join(filter(None, (_text(source, "label"), _text(source, "url"))))


def _topic(card: dict[str, Any]) -> str:
    topic = _object(_object(card, "source"), "topic")
    named = _text(topic, "display") or _text(topic, "code")
    return f" · {named}" if named else ""


def _plain(text: str) -> Text:
    return Text(" ".join(text.split()))


def _text(holder: dict[str, Any], member: str) -> str:
    value = holder.get(member)
    return value if isinstance(value, str) else ""


def _object(holder: dict[str, Any], member: str) -> dict[str, Any]:
    value = holder.get(member)
    return value if isinstance(value, dict) else {}


def _objects(holder: Any, member: str) -> Iterator[dict[str, Any]]:
    """The objects in a list of someone else's JSON; what is not as it should be is passed over."""
    values = holder.get(member) if isinstance(holder, dict) else None
    return (value for value in values if isinstance(value, dict)) if isinstance(values, list) else iter(())
