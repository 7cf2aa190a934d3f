"""The first tables. What is written here stays: it says what version 1 was, whatever `schema.py` becomes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

Key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
WAITING = "status IN ('pending', 'retrying')"


def upgrade() -> None:
    """Make all tables."""
    make_task()
    make_task_indexes()
    make_attempt()
    make_counter()
    make_pause()
    make_node()


def make_task() -> None:
    op.create_table(
        "actors_task",
        sa.Column("seq", Key, primary_key=True),
        sa.Column("task_id", sa.String(36), nullable=False),
        sa.Column("task_type", sa.Text, nullable=False),
        sa.Column("lane", sa.Text, nullable=False),
        sa.Column("mode", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("claimed_as", sa.Text),
        sa.Column("priority", sa.Integer, nullable=False),
        sa.Column("key", sa.Text),
        sa.Column("nonce", sa.BigInteger, nullable=False),
        sa.Column("input_data", sa.Text, nullable=False),
        sa.Column("metadata", sa.Text),
        sa.Column("result_data", sa.Text),
        sa.Column("error_info", sa.Text),
        sa.Column("progress", sa.Text),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("due_at", sa.Double, nullable=False),
        sa.Column("started_at", sa.Double),
        sa.Column("completed_at", sa.Double),
        sa.Column("expires_at", sa.Double),
        sa.Column("retry_count", sa.Integer, nullable=False, server_default="0"),
        sa.Column("crash_count", sa.Integer, nullable=False, server_default="0"),
        sa.Column("crashes_seen", sa.Integer, nullable=False, server_default="0"),
        sa.Column("alone", sa.SmallInteger, nullable=False, server_default="0"),
        sa.Column("cancel_requested", sa.SmallInteger, nullable=False, server_default="0"),
        sa.Column("max_retries", sa.Integer, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False, server_default="0"),
        sa.Column("timeout_seconds", sa.Double),
        sa.Column("soft_timeout_seconds", sa.Double),
        sa.Column("node", sa.Text),
        sa.Column("rank", sa.Double),
        sqlite_autoincrement=True,
    )


def make_task_indexes() -> None:
    claim_order = ["lane", "task_type", "rank", "seq"]
    alive = "status IN ('pending', 'retrying', 'running')"
    op.create_index("actors_task_id", "actors_task", ["task_id"], unique=True)
    make_partial("claim", claim_order, "rank IS NOT NULL AND alone = 0")
    make_partial("alone", claim_order, "rank IS NOT NULL AND alone = 1")
    make_partial("due", ["due_at"], f"rank IS NULL AND {WAITING}")
    make_partial("expires", ["expires_at"], f"expires_at IS NOT NULL AND {WAITING}")
    make_partial("running", ["node"], "status = 'running'")
    make_partial("ended", ["status", "completed_at"], "status IN ('cancelled', 'completed', 'failed', 'timeout')")
    make_partial("key", ["task_type", "key"], f'"key" IS NOT NULL AND {alive}', unique=True)


def make_partial(name: str, columns: list[str], where: str, *, unique: bool = False) -> None:
    condition = sa.text(where)
    op.create_index(
        f"actors_task_{name}",
        "actors_task",
        columns,
        unique=unique,
        sqlite_where=condition,
        postgresql_where=condition,
    )


def make_attempt() -> None:
    op.create_table(
        "actors_attempt",
        sa.Column("seq", Key, primary_key=True, autoincrement=False),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("node", sa.Text),
        sa.Column("started_at", sa.Double),
        sa.Column("ended_at", sa.Double, nullable=False),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("error_info", sa.Text),
    )


def make_counter() -> None:
    op.create_table(
        "actors_counter",
        sa.Column("width", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("period", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("task_type", sa.Text, primary_key=True),
        sa.Column("node", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("value", sa.BigInteger, nullable=False),
    )


def make_pause() -> None:
    op.create_table(
        "actors_pause",
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("since", sa.Double, nullable=False),
    )


def make_node() -> None:
    op.create_table(
        "actors_node",
        sa.Column("node", sa.Text, primary_key=True),
        sa.Column("started_at", sa.Double, nullable=False),
        sa.Column("heartbeat_at", sa.Double, nullable=False),
        sa.Column("lease_until", sa.Double, nullable=False),
        sa.Column("working", sa.SmallInteger, nullable=False),
        sa.Column("snapshot", sa.Text),
    )
