"""A next version that cannot be reached: it fails when it has changed tables and rows."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from actors.store import schema

revision = schema.revision(schema.VERSION)
down_revision = schema.revision(schema.VERSION - 1)


def upgrade() -> None:
    """Add a column and a table, change rows, then ask for a table that is not there."""
    op.add_column("actors_task", sa.Column("colour", sa.Text))
    op.create_table("actors_colour", sa.Column("name", sa.Text, primary_key=True))
    op.execute("UPDATE actors_task SET status = 'lost'")
    op.execute("DELETE FROM actors_no_such_table")
