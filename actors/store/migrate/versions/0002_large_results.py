"""An index over the large results alone, so that the cleanup finds the old ones without a look at the others."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make the index. It reads the task table once."""
    op.create_index(
        "actors_task_large",
        "actors_task",
        ["completed_at"],
        sqlite_where=sa.text("status = 'completed' AND length(CAST(result_data AS BLOB)) > 65536"),
        postgresql_where=sa.text("status = 'completed' AND octet_length(result_data) > 65536"),
    )
