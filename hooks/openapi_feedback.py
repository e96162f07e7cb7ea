"""JSON Schemas of feedback, as it should be sent: members that nobody reads are ignored (R139 to R147)."""

from hooks.feedback import LONGEST, MAX_ITEMS, MAX_SUGGESTIONS, OUTCOMES, TIMESTAMP
from hooks.openapi_schemas import Schema, ref, text


def feedback_schemas() -> dict[str, Schema]:
    """Name -> schema."""
    suggestion = _object({"id": _text("id", "the uuid of a suggestion")}, "id")
    coding = {"code": _text("code"), "system": _text("system"), "display": _text("display")}
    reason = {"reason": _object(coding, "code"), "userComment": _text("userComment", "free text: kept, never logged")}
    item = {
        "card": _text("card", "the uuid of the card"),
        "outcome": {"enum": [*OUTCOMES]},
        "acceptedSuggestions": {"type": "array", "minItems": 1, "maxItems": MAX_SUGGESTIONS, "items": suggestion},
        "overrideReason": _object(reason),
        "outcomeTimestamp": text("in UTC", format="date-time", pattern=f"^{TIMESTAMP}$"),
    }
    accepted = {"properties": {"outcome": {"const": "accepted"}}, "required": ["outcome"]}
    listed = {"type": "array", "minItems": 1, "maxItems": MAX_ITEMS, "items": ref("FeedbackItem")}
    return {
        "Feedback": _object({"feedback": listed}, "feedback"),
        "FeedbackItem": _object(item, "card", "outcome", "outcomeTimestamp")
        | {"if": accepted, "then": {"required": ["acceptedSuggestions"]}},
    }


def _text(member: str, description: str = "") -> Schema:
    return text(description, maxLength=LONGEST[member], pattern=r"^[^\u0000]*$")


def _object(properties: dict[str, Schema], *required: str) -> Schema:
    return {"type": "object", "required": list(required), "properties": properties}
