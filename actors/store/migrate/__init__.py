"""From one version of the tables to the next, by Alembic.

A start that finds the tables up to date does not come here: importing Alembic takes a quarter of a second.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from io import StringIO
from pathlib import Path
from typing import Any, Final

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text

from ...core.errors import SchemaMismatch, StorageUnavailable
from .. import schema
from ..engine import having_alone, taking_turns
from ..faults import of_a_lock, passing

FOLDER: Final = Path(__file__).parent
LOCATIONS: Sequence[Path] = (FOLDER / "versions",)
"""Where the migrations lie."""
TABLES: Final = tuple(table.name for table in (schema.node, schema.task, schema.attempt, schema.pause, schema.counter))
"""In the order in which a node's transactions come to them, so that none of them waits for us while we wait for it."""
LOCK_SECONDS = 10.0
"""How long a migration on PostgreSQL waits for a table that others use; they wait behind it."""

_alone = threading.Lock()  # Alembic's context belongs to the process; taken after the database's lock, never before


def newest() -> int:
    """The version to which the migrations lead."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    return int(head or 0)


def upgrade(connection: Connection) -> None:
    """Bring the tables to this code's version, in the caller's transaction: rolled back, nothing has happened.

    Only one at a time may come here for one database; `schema.create` sees to that.

    Raises:
        SchemaMismatch: a migration cannot be done on what is stored.
        StorageUnavailable: another transaction has held a table for too long. Other faults that may pass are raised as
            they are.
    """
    try:
        _stop_all(connection)
        with _alone:
            command.upgrade(_config(connection=connection), schema.revision(schema.VERSION))
    except Exception as error:
        if of_a_lock(error):
            raise StorageUnavailable(
                f"the tables were not brought to version {schema.VERSION}, and are as they were: another transaction"
                f" has held one of them for {LOCK_SECONDS:g} s, as a pg_dump or a long report does (pg_stat_activity"
                " shows it); run this again when it has ended"
            ) from error
        if passing(error):
            raise
        raise SchemaMismatch(
            f"the tables in this database cannot be brought to version {schema.VERSION}, and are left as they were: "
            + str(error).partition("\n")[0]
        ) from error


def _stop_all(connection: Connection) -> None:
    """Have all nodes wait, those that look after the others too: a node that waits for a table has no heartbeat."""
    there = set(inspect(connection).get_table_names())
    tables = TABLES if there.issuperset(TABLES) else ()
    for statement in having_alone(connection.dialect.name, tables, LOCK_SECONDS):
        connection.execute(text(statement))


def sql(dialect: str, since: int = 0) -> str:
    """The statements that lead from version *since* (0: an empty database) to this code's, as one transaction.

    It has the tables for itself, as `upgrade` has them, or is rolled back.

    Args:
        dialect: "sqlite" or "postgresql".
    """
    printed = StringIO()
    tables = TABLES if since else ()
    first = [*taking_turns(dialect, schema.TURN), *having_alone(dialect, tables, LOCK_SECONDS)]
    with _alone:
        span = f"{schema.revision(since) if since else 'base'}:{schema.revision(schema.VERSION)}"
        command.upgrade(_config(printed, dialect=dialect, first=first), span, sql=True)
    return printed.getvalue()


def _config(output: StringIO | None = None, **attributes: Any) -> Config:
    """What Alembic would read from a file; *attributes* are for `env.py`."""
    config = Config(output_buffer=output, attributes=attributes)
    locations = "\n".join(map(str, LOCATIONS))
    for name, value in [
        ("script_location", str(FOLDER)),
        ("version_locations", locations),
        ("path_separator", "newline"),
    ]:
        config.set_main_option(name, value.replace("%", "%%"))
    return config
