"""A next version of the tests' own that adds all that one may add, to each of the tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from actors.store import schema

revision = schema.revision(schema.VERSION)
down_revision = schema.revision(schema.VERSION - 1)


def upgrade() -> None:
    """Columns that may be empty or have a default, indexes, and a table."""
    for table in ("actors_pause", "actors_counter", "actors_attempt", "actors_task", "actors_node"):
        op.add_column(table, sa.Column("remark", sa.Text))
        op.add_column(table, sa.Column("weight", sa.BigInteger, nullable=False, server_default=sa.text("1")))
        op.create_index(f"{table}_remark", table, ["remark"])
    op.create_table("actors_remark", sa.Column("id", sa.BigInteger, primary_key=True), sa.Column("text", sa.Text))
