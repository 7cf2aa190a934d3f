"""How PostgreSQL runs the store's statements."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import attrs
import pytest
from sqlalchemy import Connection, text

from actors.store.schema import PREFIX
from tests.store.statements import statements_told
from tests.store.world import NOW

CROWD = """
    INSERT INTO actors_task (task_id, task_type, lane, mode, status, priority, nonce, input_data, created_at, due_at,
                             completed_at, max_retries, rank)
    SELECT kind || lpad(number::text, 30, '0'), task_type, 'coroutine', 'coroutine', status, 5, number, '{}',
           :now - 1000, due + number, ended + number, 3, place + number
    FROM generate_series(1, 34000) AS number, (VALUES
        ('paused', 'paused', 'pending', :now - 90000, NULL, :now - 90000),
        ('future', 'mail', 'pending', :now + 90000, NULL, NULL),
        ('ended', 'mail', 'completed', :now - 90000, :now - 80000, NULL)
    ) AS kinds (kind, task_type, status, due, ended, place)
"""
MODES = ("force_custom_plan", "force_generic_plan")
"""Of the planner: it knows the values, or it makes one plan for all of them, as it does for a prepared statement."""


def crowd(connection: Connection) -> None:
    """Store 102,000 paused, future and ended tasks, of which the server knows."""
    connection.execute(text(CROWD), {"now": NOW})
    connection.execute(text("ANALYZE"))


@attrs.frozen
class Plan:
    """What `EXPLAIN ANALYZE` tells of a statement: its nodes, the uppermost first, each with those below it."""

    sql: str
    nodes: Sequence[dict[str, Any]]

    def scans(self) -> list[dict[str, Any]]:
        """Those that read rows of our tables."""
        return [node for node in self.nodes if "Scan" in node["Node Type"] and _table(node).startswith(PREFIX)]

    def by_index(self) -> bool:
        """Whether no table of ours is read from end to end."""
        return all(node["Node Type"].startswith(("Index", "Bitmap")) for node in self.scans())

    def rows_read(self) -> float:
        """Rows of our tables that were looked at, whether or not they were wanted."""
        return sum(_rows(node) for node in self.scans())

    def most_sorted(self) -> float:
        """The rows of the largest sort."""
        return max((_rows(node) for node in self.nodes if "Sort" in node["Node Type"]), default=0)

    def pages_read(self) -> int:
        """Pages of tables and indexes that were looked at, also for rows that turned out to be dead."""
        return int(self.nodes[0]["Shared Hit Blocks"] + self.nodes[0]["Shared Read Blocks"])

    def indexes(self) -> set[str]:
        """The indexes in use."""
        return {node["Index Name"] for node in self.nodes if "Index Name" in node}


def _table(node: dict[str, Any]) -> str:
    return str(node.get("Relation Name") or node.get("Index Name") or "")


def _rows(node: dict[str, Any]) -> float:
    names = ("Actual Rows", "Rows Removed by Filter", "Rows Removed by Index Recheck")
    return float(node["Actual Loops"] * sum(node.get(name, 0) for name in names))


@contextmanager
def plans(monkeypatch: pytest.MonkeyPatch, mode: str) -> Iterator[list[Plan]]:
    """The plans of the statements that are run in the block, in *mode*, on the rows that they meet."""
    found: list[Plan] = []
    with statements_told(monkeypatch, lambda driver, sql, given: found.append(_plan(driver, mode, sql, given))):
        yield found


def _plan(driver: Any, mode: str, sql: str, parameters: Sequence[Any]) -> Plan:
    """Run it, as a prepared statement, and undo it."""
    from psycopg.sql import SQL, Literal

    numbers = itertools.count(1)
    numbered = re.sub(r"%s", lambda _: f"${next(numbers)}", sql)
    values = SQL(", ").join(map(Literal, parameters)) if parameters else None
    run = SQL("EXECUTE probe") if values is None else SQL("EXECUTE probe({})").format(values)
    with driver.cursor() as cursor:
        cursor.execute("SAVEPOINT probe")
        cursor.execute(f"SET LOCAL plan_cache_mode = {mode}")
        cursor.execute(f"PREPARE probe AS {numbered}")
        ((answer,),) = cursor.execute(SQL("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) ") + run).fetchall()
        cursor.execute("DEALLOCATE probe")
        cursor.execute("ROLLBACK TO SAVEPOINT probe")
    return Plan(sql, list(_nodes(answer[0]["Plan"])))


def _nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for below in node.get("Plans", ()):
        yield from _nodes(below)
