"""The tables as the first release has them."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "call",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("issuer", sa.String(length=1024), nullable=False),
        sa.Column("tenant", sa.String(length=300), nullable=False),
        sa.Column("user_key", sa.String(length=200), nullable=False),
        sa.Column("patient_key", sa.String(length=200), nullable=False),
        sa.Column("hook", sa.String(length=40), nullable=False),
        sa.Column("service", sa.String(length=80), nullable=False),
        sa.Column("hook_instance", sa.String(length=100), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("reason", sa.String(length=100), nullable=False),
        sa.Column("release", sa.String(length=40), nullable=False),
        sa.Column("catalogue", sa.String(length=20), nullable=False),
        sa.Column("knowledge", sa.String(length=80), nullable=False),
        sa.Column("thresholds", sa.String(length=80), nullable=False),
        sa.Column("latency_ms", sa.Float(), nullable=False),
        sa.Column("unreadable", sa.Integer(), nullable=False),
        sa.Column("foreign_resources", sa.Integer(), nullable=False),
        sa.Column("missing", sa.JSON(), nullable=False),
        sa.Column("criteria", sa.JSON(), nullable=False),
        sa.Column("suppressed", sa.JSON(), nullable=False),
        sa.Column("day", sa.String(length=10), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("chain", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("call_day", "call", ["day", "position"], unique=True)
    op.create_index("call_patient", "call", ["patient_key", "user_key"], unique=False)
    op.create_index(op.f("ix_call_at"), "call", ["at"], unique=False)
    op.create_table(
        "change",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("who", sa.String(length=200), nullable=False),
        sa.Column("why", sa.String(length=1000), nullable=False),
        sa.Column("issuer", sa.String(length=1024), nullable=False),
        sa.Column("criterion", sa.String(length=80), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("change_digest", "change", ["digest"], unique=True)
    op.create_index(op.f("ix_change_at"), "change", ["at"], unique=False)
    op.create_table(
        "feedback",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("received", sa.DateTime(timezone=True), nullable=False),
        sa.Column("issuer", sa.String(length=1024), nullable=False),
        sa.Column("service", sa.String(length=80), nullable=False),
        sa.Column("card", sa.String(length=100), nullable=False),
        sa.Column("outcome", sa.String(length=20), nullable=False),
        sa.Column("outcome_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("suggestions", sa.JSON(), nullable=False),
        sa.Column("reason_code", sa.String(length=200), nullable=False),
        sa.Column("reason_system", sa.String(length=300), nullable=False),
        sa.Column("reason_display", sa.String(length=300), nullable=False),
        sa.Column("comment", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("digest"),
    )
    op.create_index("feedback_card", "feedback", ["issuer", "card"], unique=False)
    op.create_index(op.f("ix_feedback_received"), "feedback", ["received"], unique=False)
    op.create_table(
        "card",
        sa.Column("uuid", sa.String(length=36), nullable=False),
        sa.Column("call_id", sa.String(length=36), nullable=False),
        sa.Column("group", sa.String(length=40), nullable=False),
        sa.Column("indicator", sa.String(length=20), nullable=False),
        sa.Column("criteria", sa.JSON(), nullable=False),
        sa.Column("evidence", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["call_id"], ["call.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("uuid"),
    )
    op.create_index(op.f("ix_card_call_id"), "card", ["call_id"], unique=False)
    op.create_table(
        "stored_input",
        sa.Column("call_id", sa.String(length=36), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["call_id"], ["call.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("call_id"),
    )
