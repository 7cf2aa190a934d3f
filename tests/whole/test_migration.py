"""Two processes meet older tables, or none, at the same time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import text

from actors.store import schema
from actors.store.engine import make_engine
from tests.migrations import CURRENT, NEXT, anatomy
from tests.store.world import World
from tests.whole.process import Program, poll

Start = Callable[..., Program]


def fill(url: str) -> None:
    """Tables of this release with two tasks."""
    engine = make_engine(url)
    with engine.begin() as connection:
        schema.create(connection)
        World(connection).submitted("mail", "report")
    engine.dispose()


def waits_for_its_turn(url: str) -> bool:
    """Whether PostgreSQL has someone wait for an advisory lock."""
    engine = make_engine(url)
    with engine.begin() as connection:
        waiting = connection.execute(text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"))
        count = waiting.scalar_one()
    engine.dispose()
    return bool(count == 1)


def meet(start: Start, url: str) -> list[str]:
    """Two processes open the tables; the second begins while the first is inside. What each found."""
    first = start("upgrading", url)
    first.line("trying")
    (found_first,) = first.line("inside")
    second = start("upgrading", url)
    second.line("trying")
    if url.startswith("postgresql"):
        poll(lambda: waits_for_its_turn(url))
    first.tell("commit")
    first.line("done")
    (found_second,) = second.line("inside")
    second.tell("commit")
    second.line("done")
    return [found_first, found_second]


def test_two_processes_upgrade_at_once_and_one_does_it(any_url: str, start: Start, tmp_path: Path) -> None:
    fill(any_url)
    assert meet(start, any_url) == [str(CURRENT), str(NEXT)]
    engine = make_engine(any_url)
    with engine.begin() as connection:
        assert "colour" in anatomy(connection)["actors_task"]["columns"]
        assert World(connection).counts() == World(connection).gauges() == {"pending": 2}
    engine.dispose()
    assert len(list(tmp_path.glob("*.backup"))) == (1 if any_url.startswith("sqlite") else 0)


def test_two_processes_make_the_tables_at_once_and_one_does_it(any_url: str, start: Start) -> None:
    assert meet(start, any_url) == ["None", str(NEXT)]


def test_a_process_that_dies_within_an_upgrade_leaves_the_database_as_it_was(any_url: str, start: Start) -> None:
    fill(any_url)
    program = start("upgrading", any_url)
    assert program.line("inside") == [str(CURRENT)]
    program.kill()
    engine = make_engine(any_url)
    with engine.begin() as connection:
        assert schema.create(connection) == CURRENT
        assert "colour" not in anatomy(connection)["actors_task"]["columns"]
        assert World(connection).counts() == {"pending": 2}
    engine.dispose()


def test_nobody_writes_between_the_copy_and_the_commit(start: Start, file_url: str) -> None:
    fill(file_url)
    program = start("upgrading", file_url)
    program.line("inside")
    engine = make_engine(file_url, busy_seconds=0.0)
    with engine.connect() as connection:
        with pytest.raises(Exception, match="locked"):
            connection.begin()
        program.tell("commit")
        program.line("done")
    engine.dispose()
