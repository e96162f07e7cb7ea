"""What was switched, in the ledger: each decision once, however many workers notice it (reliability.md, row 49)."""

from collections.abc import Iterable

from hooks.ledger.database import Ledger, insert_new
from hooks.ledger.schema import change
from hooks.states import Switch
from hooks.switches import digest


def file_switches(ledger: Ledger, switches: Iterable[Switch]) -> None:
    """Add those that are not there yet. Raises LedgerUnavailable."""
    with ledger.begin() as connection:
        insert_new(connection, change, [_row(each) for each in switches])


def _row(switch: Switch) -> dict[str, object]:
    return {
        "at": switch.at,
        "who": switch.who,
        "why": switch.why,
        "issuer": switch.client,
        "criterion": switch.criterion,
        "state": switch.state,
        "digest": digest(switch),
    }
