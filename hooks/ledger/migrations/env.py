"""Run by Alembic: the migrations, on the connection and in the transaction of hooks/ledger/migrate.py."""

from alembic import context

from hooks.ledger.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,  # of SQLite too
)
context.run_migrations()
