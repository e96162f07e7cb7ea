"""Rows that were added are never changed, not even by somebody at the database's own console."""

from alembic import op

revision = "0002"
down_revision = "0001"

_TABLES = ("call", "card", "feedback", "change", "stored_input")
_REFUSAL = "rows of the ledger are never changed"


def upgrade() -> None:
    is_postgresql = op.get_bind().dialect.name == "postgresql"
    if is_postgresql:
        op.execute(
            "CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN RAISE EXCEPTION '{_REFUSAL}'; END $$"
        )
    for table in _TABLES:
        does = "FOR EACH ROW EXECUTE FUNCTION refuse_change()" if is_postgresql else _sqlite_refusal()
        op.execute(f'CREATE TRIGGER "{table}_stays" BEFORE UPDATE ON "{table}" {does}')


def _sqlite_refusal() -> str:
    return f"BEGIN SELECT RAISE(ABORT, '{_REFUSAL}'); END"
