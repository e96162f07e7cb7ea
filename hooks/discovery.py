"""The discovery document: what this server offers and what it asks for (R11 to R40)."""

from typing import Any

import msgspec

from fhir_profiles.terminology import Knowledge
from hooks.services import SERVICES, Service, prefetch_templates

SPECIFICATION_VERSION = "2.0.1"
"""The CDS Hooks version implemented. The member comes from 3.0 (R21), which wants a semantic version there."""

_USAGE = (
    "The patient is indispensable: without it, or with nothing but it, the answer is 412. Every other prefetch key may "
    "be left out: it is then read from fhirServer where that is one of the servers agreed upon, with the access token "
    "if one is given, and reported as not assessed where that fails."
)
_ORDER_USAGE = (
    " Draft orders are read from the context; of order-select those named in selections, or all when there are none "
    "named."
)


def discovery_document(knowledge: Knowledge) -> bytes:
    """The same bytes for the same knowledge (R28)."""
    return msgspec.json.encode({"services": [_entry(service, knowledge) for service in SERVICES.values()]})


def _entry(service: Service, knowledge: Knowledge) -> dict[str, Any]:
    return {
        "hook": service.hook,
        "title": service.title,
        "description": service.description,
        "id": service.id,
        "version": SPECIFICATION_VERSION,
        "hookVersion": service.hook_version,
        "prefetch": prefetch_templates(service, knowledge),
        "usageRequirements": _USAGE + (_ORDER_USAGE if service.is_order_hook else ""),
    }
