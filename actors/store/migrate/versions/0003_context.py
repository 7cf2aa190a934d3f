"""A column for the context variables that travel with a task."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the column, empty. It touches no row."""
    op.add_column("actors_task", sa.Column("context", sa.Text))
