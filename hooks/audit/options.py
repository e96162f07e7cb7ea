"""What a site may decide about its audit: the table `[audit]` of its configuration."""

from dataclasses import dataclass


@dataclass(frozen=True)
class AuditOptions:
    """identifiers: "hashed" or "plain", of users and patients. spool_mib: what may wait while the ledger is away.

    strict: answer 503 rather than leave a call out of the audit. store_input: keep what calls brought, for replay.
    """

    identifiers: str = "hashed"
    spool_mib: int = 64
    strict: bool = False
    store_input: bool = False
