"""A column for the lock that a node holds on a server while it lives."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the column, empty: a node of the version before is known by its lease alone. It touches no task."""
    op.add_column("actors_node", sa.Column("lock_key", sa.BigInteger))
