"""A next version of the tests' own: a column, and what older rows have in it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from actors.store import schema

revision = schema.revision(schema.VERSION)
down_revision = schema.revision(schema.VERSION - 1)


def upgrade() -> None:
    """Give tasks a colour: blue the urgent ones that were there before."""
    op.add_column("actors_task", sa.Column("colour", sa.Text))
    op.create_index("actors_task_colour", "actors_task", ["colour"])
    op.execute("UPDATE actors_task SET colour = 'blue' WHERE priority >= 10")
