"""A future for tests of upgrades: code that knows one more version, and how to look at what tables have become."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import Connection, Engine, inspect, text

from actors.store import migrate, schema

HERE = Path(__file__).parent
CURRENT = schema.VERSION
NEXT = CURRENT + 1


def know_next_version(patch: pytest.MonkeyPatch, migration: str = "colour") -> None:
    """Let this process have the code of a release whose tables are of version `NEXT`.

    Args:
        migration: the folder that has it, "colour", "additions", "release" or "broken".
    """
    patch.setattr(schema, "VERSION", NEXT)
    patch.setattr(migrate, "LOCATIONS", (migrate.FOLDER / "versions", HERE / migration))


def run_script(engine: Engine, script: str) -> None:
    """Run statements as a DBA's tool does: by the driver, which begins and ends nothing of its own."""
    if engine.dialect.name == "sqlite":
        driver: Any = engine.raw_connection()
        driver.executescript(script)
        driver.close()
    else:
        url = engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(script.encode())


def anatomy(connection: Connection) -> dict[str, Any]:
    """Every table with its columns, types, defaults, keys and constraints, and every index as the database tells it."""
    tables = inspect(connection)
    return {name: table(connection, name) for name in tables.get_table_names()} | indexes(connection)


def table(connection: Connection, name: str) -> dict[str, Any]:
    """One table; the order of its columns does not count, since all statements name them."""
    inspector = inspect(connection)
    return {
        "columns": {column.pop("name"): str(column) for column in map(dict, inspector.get_columns(name))},
        "key": inspector.get_pk_constraint(name),
        "unique": inspector.get_unique_constraints(name),
        "checks": inspector.get_check_constraints(name),
        "foreign keys": inspector.get_foreign_keys(name),
        "numbers are never reused": connection.dialect.name != "sqlite" or never_reused(connection, name),
    }


def never_reused(connection: Connection, name: str) -> bool:
    """Whether an SQLite table has AUTOINCREMENT, of which the inspector does not tell."""
    told = connection.execute(text("SELECT sql FROM sqlite_master WHERE name = :name"), {"name": name}).scalar_one()
    return "AUTOINCREMENT" in told


def indexes(connection: Connection) -> dict[str, str]:
    """The statements that would make the indexes, with their conditions."""
    if connection.dialect.name == "sqlite":
        query = "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
    else:
        query = "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = current_schema()"
    return {name: " ".join(definition.split()) for name, definition in connection.execute(text(query))}
