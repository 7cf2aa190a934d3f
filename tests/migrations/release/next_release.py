"""A next version of the tests' own with what most releases would add; `tests/whole/releases.py` has the code for it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from actors.store import schema

revision = schema.revision(schema.VERSION)
down_revision = schema.revision(schema.VERSION - 1)


def upgrade() -> None:
    """A column that may be empty, with an index, and one with a default."""
    op.add_column("actors_task", sa.Column("remark", sa.Text))
    op.create_index("actors_task_remark", "actors_task", ["remark"])
    op.add_column("actors_node", sa.Column("weight", sa.BigInteger, nullable=False, server_default=sa.text("1")))
