"""A card as an EHR shows it, and what goes back to the service when a clinician acts on it (R138 to R149)."""

from typing import Any, NamedTuple

from markdown_it import MarkdownIt

from hooks.respond import EXTENSION
from hooks.workbench.patient import Resource
from hooks.workbench.wire import pretty_value

Json = dict[str, Any]

_markdown = MarkdownIt("commonmark", {"html": False}).disable(["image", "link", "autolink"])


class Offer(NamedTuple):
    """A suggestion. verdict: what its button posts; does: a line for each action; json: the actions."""

    label: str
    verdict: str
    is_recommended: bool
    does: list[str]
    json: str


class CardView(NamedTuple):
    """detail: HTML made of Markdown without raw HTML, images and links; criteria: ids that the card is about."""

    uuid: str
    indicator: str
    topic: str
    summary: str
    detail: str
    source: Json
    offers: list[Offer]
    links: list[Json]
    reasons: list[Json]
    criteria: list[Json]


class Verdict(NamedTuple):
    """What was done to a card: the feedback for the service, and what the EHR would do itself."""

    label: str
    feedback: Json
    actions: str


def card_view(card: Json) -> CardView:
    source = card["source"]
    return CardView(
        card["uuid"],
        card["indicator"],
        source.get("topic", {}).get("display", ""),
        card["summary"],
        _markdown.render(card.get("detail", "")),
        source,
        [_offer(each, card) for each in card.get("suggestions", ())],
        card.get("links", []),
        card.get("overrideReasons", []),
        card["extension"][EXTENSION].get("criteria", []),
    )


def _offer(suggestion: Json, card: Json) -> Offer:
    return Offer(
        suggestion["label"],
        f"accept {card['uuid']} {suggestion['uuid']}",
        suggestion.get("isRecommended", False),
        [_does(action) for action in suggestion.get("actions", ())],
        pretty_value(suggestion.get("actions", [])),
    )


def _does(action: Json) -> str:
    """What accepting does: "create ServiceRequest, stat: MRI of the lumbar spine"."""
    resource: Resource = action.get("resource", {})
    target = resource.get("resourceType") or action.get("resourceId", "")
    priority = f", {resource['priority']}" if "priority" in resource else ""
    named = resource.get("code", {}).get("text", "")
    return f"{action['type']} {target}{priority}" + (f": {named}" if named else "")


def verdict_on(cards: list[Json], said: str, reasons: dict[str, str], when: str) -> Verdict | None:
    """The verdict that a button posted ("accept CARD SUGGESTION", "override CARD"); None when no card has it.

    when: the instant of it, for outcomeTimestamp.
    """
    outcome, _, ids = said.partition(" ")
    card_id, _, suggestion_id = ids.partition(" ")
    card = next((each for each in cards if each["uuid"] == card_id), None)
    if card is None:
        return None
    common = {"card": card_id, "outcomeTimestamp": when}
    if outcome == "override":
        return _overridden(card, reasons.get(f"reason.{card_id}", ""), common)
    offered = [each for each in card.get("suggestions", ()) if each["uuid"] == suggestion_id]
    if outcome != "accept" or not offered:
        return None
    feedback = common | {"outcome": "accepted", "acceptedSuggestions": [{"id": suggestion_id}]}
    return Verdict(offered[0]["label"], {"feedback": [feedback]}, pretty_value(offered[0].get("actions", [])))


def _overridden(card: Json, chosen: str, common: Json) -> Verdict:
    reason = next((each for each in card.get("overrideReasons", ()) if each["code"] == chosen), None)
    why = {"overrideReason": {"reason": {key: reason[key] for key in ("code", "system")}}} if reason else {}
    return Verdict(card["summary"], {"feedback": [common | {"outcome": "overridden"} | why]}, "")
