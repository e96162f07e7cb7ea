"""Whether a criterion speaks: off, silent or on, for everybody and for single clients (reliability.md, rows 48 and 49).

What is off or silent is answered as ever, because other criteria rest on it, but no card is about it. Silent and off
look alike to the client, byte for byte; the audit alone tells them apart. docs/switches.md explains it to a site.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import NamedTuple

from cds.evaluation import CATALOGUE

OFF, SILENT, ON = "off", "silent", "on"
STATES = (OFF, SILENT, ON)
ALL = "*"
"""In place of a criterion: all of them."""
CRITERION_IDS = tuple(entry.id for entry in CATALOGUE)

States = Mapping[str, str]
"""Criterion id -> its state, where that is another than on."""
ALL_ON: States = MappingProxyType({})


class Switch(NamedTuple):
    """One decision: from `at` on the criterion (or ALL) is in that state, for the client with that issuer ("": all)."""

    at: datetime
    who: str
    why: str
    client: str
    criterion: str
    state: str


def states_in_force(configured: States, switches: Iterable[Switch], issuer: str = "") -> States:
    """The states for one client ("" for calls without one). configured: by the configuration; switches: oldest first.

    Later switches win. `on` lifts only what was switched under the same name: for ALL it gives back what held before,
    for everybody it leaves alone what was switched for one client.
    """
    held: dict[tuple[str, str], Switch] = {}
    for switch in switches:
        if switch.client in ("", issuer):
            held.pop((switch.client, switch.criterion), None)
            held[switch.client, switch.criterion] = switch
    states = dict(configured)
    for switch in held.values():
        if switch.criterion == ALL:
            states.update({} if switch.state == ON else dict.fromkeys(CRITERION_IDS, switch.state))
        elif not _is_kept_by_the_client(switch, held, issuer):
            states[switch.criterion] = switch.state
    return {id_: states[id_] for id_ in CRITERION_IDS if states.get(id_, ON) != ON}


def _is_kept_by_the_client(switch: Switch, held: Mapping[tuple[str, str], Switch], issuer: str) -> bool:
    """Whether an `on` for everybody meets a criterion that is switched off for this client by itself."""
    if switch.client or switch.state != ON or not issuer:
        return False
    own = (held.get((issuer, criterion)) for criterion in (switch.criterion, ALL))
    return any(each is not None and each.state != ON for each in own)
