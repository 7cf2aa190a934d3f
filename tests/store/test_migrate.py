"""From version to version, on an SQLite file and on PostgreSQL."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import attrs
import psycopg
import pytest
from sqlalchemy import Connection, Engine, inspect, text

from actors.core.errors import SchemaMismatch, StorageUnavailable
from actors.core.lifecycle import Transition
from actors.core.retention import ResultNote
from actors.core.task import TaskStatus
from actors.store import migrate, nodes, schema
from actors.store.cleanup import remove_results
from actors.store.engine import make_engine
from tests.migrations import CURRENT, HERE, NEXT, anatomy, know_next_version, run_script
from tests.store.test_migrate_beside import wait_until_somebody_waits
from tests.store.world import World

Fresh = Callable[[str], Engine]


@pytest.fixture(params=["sqlite", "postgresql"])
def fresh(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Fresh]:
    """Makes an engine on an empty database, by a name."""
    made: list[Engine] = []

    def make(name: str) -> Engine:
        if request.param == "sqlite":
            url = f"sqlite:///{tmp_path / name}.db"
        else:
            server = request.getfixturevalue("postgres_server")
            database = server.database()
            url = database.__enter__()
            request.addfinalizer(lambda: database.__exit__(None, None, None))
        made.append(make_engine(url))
        return made[-1]

    yield make
    for engine in made:
        engine.dispose()


@pytest.fixture
def future(monkeypatch: pytest.MonkeyPatch) -> None:
    """The code knows one more version."""
    know_next_version(monkeypatch)


def look(engine: Engine) -> dict[str, Any]:
    with engine.begin() as connection:
        return anatomy(connection)


def migrated(engine: Engine) -> Engine:
    with engine.begin() as connection:
        migrate.upgrade(connection)
    return engine


def created(engine: Engine) -> Engine:
    with engine.begin() as connection:
        schema.create(connection)
    return engine


def rows(connection: Connection) -> list[Any]:
    """All tasks, as far as this release knows them."""
    return list(connection.execute(schema.task.select().order_by(schema.task.c.seq)))


def colours(connection: Connection) -> list[str | None]:
    return list(connection.execute(text("SELECT colour FROM actors_task ORDER BY seq")).scalars())


def test_the_migrations_make_exactly_the_tables_of_the_schema(fresh: Fresh) -> None:
    by_migrations, at_once = look(migrated(fresh("migrated"))), look(created(fresh("created")))
    assert by_migrations == at_once
    assert set(schema.metadata.tables) <= set(at_once)
    assert "WHERE" in at_once["actors_task_claim"]


def test_the_printed_sql_makes_the_same_tables(fresh: Fresh) -> None:
    by_hand = fresh("printed")
    run_script(by_hand, migrate.sql(by_hand.dialect.name))
    assert look(by_hand) == look(created(fresh("created")))
    with by_hand.begin() as connection:
        assert schema.create(connection) == schema.VERSION


def test_the_schema_is_of_the_newest_version() -> None:
    assert migrate.newest() == schema.VERSION
    files = sorted(path.name for path in (migrate.FOLDER / "versions").glob("*.py"))
    assert [name.partition("_")[0] for name in files] == list(map(schema.revision, range(1, schema.VERSION + 1)))


@pytest.mark.usefixtures("future")
def test_an_upgrade_adds_what_is_new_and_loses_no_row(fresh: Fresh, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = of_now(fresh("old"), monkeypatch)
    with engine.begin() as connection:
        world = World(connection)
        world.running(2)
        world.submitted("mail", "report", priority=20, key="k", metadata='{"a":1}')
        stored, gauges, before = rows(connection), world.gauges(), anatomy(connection)
    migrated(engine)
    with engine.begin() as connection:
        assert schema.found(connection) == NEXT
        assert rows(connection) == stored
        assert World(connection).gauges() == gauges
        assert colours(connection) == [None, None, "blue", "blue"]
        after = anatomy(connection)
    assert set(after) - set(before) == {"actors_task_colour"}
    assert set(after["actors_task"]["columns"]) - set(before["actors_task"]["columns"]) == {"colour"}
    assert [name for name in before if before[name] != after[name]] == ["actors_task"]


def of_now(engine: Engine, patch: pytest.MonkeyPatch) -> Engine:
    """*engine* with the tables that this release makes."""
    with patch.context() as past:
        past.setattr(schema, "VERSION", CURRENT)
        return created(engine)


@pytest.mark.usefixtures("future")
def test_the_printed_sql_of_one_step_upgrades_too(fresh: Fresh, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = of_now(fresh("old"), monkeypatch)
    run_script(engine, migrate.sql(engine.dialect.name, since=CURRENT))
    assert look(engine) == look(migrated(fresh("new")))


def test_old_code_goes_on_beside_what_is_new(fresh: Fresh, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = created(fresh("old"))
    with engine.connect() as old:  # the connection of a node that runs: it has seen the tables as they were
        with old.begin():
            world = World(old)
            (running,) = world.running()
            (waiting,) = world.submitted("report")
        with monkeypatch.context() as future:
            know_next_version(future)
            migrated(engine)
        with old.begin():
            world.settle(world.change(running, Transition.COMPLETE))
            (new,) = world.submitted("mail")
            claimed = world.claim()
            assert {task.task_id for task in claimed} == {waiting, new}
            world.settle(*(world.change(task, Transition.COMPLETE) for task in claimed))
            assert world.counts() == world.gauges() == {"completed": 3}
            assert world.get(new).status is TaskStatus.COMPLETED


def test_a_migration_that_fails_half_way_leaves_the_database_as_it_was(
    fresh: Fresh, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = created(fresh("old"))
    with engine.begin() as connection:
        World(connection).submitted("mail", "report")
        stored, before = rows(connection), anatomy(connection)
    know_next_version(monkeypatch, "broken")
    with pytest.raises(SchemaMismatch) as caught, engine.begin() as connection:
        migrate.upgrade(connection)
    message = str(caught.value)
    assert f"cannot be brought to version {NEXT}, and are left as they were" in message
    assert "actors_no_such_table" in message
    assert "\n" not in message
    with engine.begin() as connection:
        assert (rows(connection), anatomy(connection), schema.found(connection)) == (stored, before, CURRENT)
    know_next_version(monkeypatch)
    assert "colour" in look(migrated(engine))["actors_task"]["columns"]


def test_a_migration_does_not_stand_in_the_way_of_others_for_long(
    postgres_engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    know_next_version(monkeypatch)
    monkeypatch.setattr(migrate, "LOCK_SECONDS", 0.05)
    with postgres_engine.begin() as other:
        other.execute(text("LOCK TABLE actors_task IN ACCESS SHARE MODE"))  # what a pg_dump does
        with pytest.raises(StorageUnavailable, match="as a pg_dump or") as told, postgres_engine.begin() as connection:
            migrate.upgrade(connection)
        assert "has held one of them for 0.05 s" in str(told.value)
        with pytest.raises(psycopg.errors.LockNotAvailable):
            run_script(postgres_engine, migrate.sql("postgresql", since=CURRENT))
    with postgres_engine.begin() as connection:
        assert schema.found(connection) == CURRENT
        assert "colour" not in anatomy(connection)["actors_task"]["columns"]
        assert connection.execute(text("SHOW lock_timeout")).scalar() == "0"


def test_a_printed_migration_has_its_turn_and_the_tables_before_it_changes_anything() -> None:
    step = [line for line in migrate.sql("postgresql", since=1).splitlines() if line]
    assert step[:4] == [
        "BEGIN;",
        f"SELECT pg_advisory_xact_lock({schema.TURN});",
        "SET LOCAL lock_timeout = '10000ms';",
        f"LOCK TABLE {', '.join(migrate.TABLES)} IN ACCESS EXCLUSIVE MODE;",
    ]
    assert step[-1] == "COMMIT;"
    assert "LOCK TABLE" not in migrate.sql("postgresql")  # there are none yet
    assert "lock" not in migrate.sql("sqlite", since=1).replace("lock_key", "")


def test_a_migration_by_hand_waits_for_one_that_is_under_way_and_then_changes_nothing(
    postgres_engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    know_next_version(monkeypatch)
    script = migrate.sql("postgresql", since=CURRENT)
    with ThreadPoolExecutor(1) as threads:
        with postgres_engine.begin() as connection, postgres_engine.begin() as looking:
            schema.create(connection, lambda connection, _: migrate.upgrade(connection))
            by_hand = threads.submit(run_script, postgres_engine, script)
            wait_until_somebody_waits(looking, "advisory")
        with pytest.raises(psycopg.errors.DuplicateColumn):
            by_hand.result(30)
    assert "colour" in look(postgres_engine)["actors_task"]["columns"]


def test_the_folder_of_the_migrations_may_have_any_name(
    fresh: Fresh, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = tmp_path / "100%(here)s: a, b"
    shutil.copytree(HERE / "colour", odd)
    know_next_version(monkeypatch)
    monkeypatch.setattr(migrate, "LOCATIONS", (migrate.FOLDER / "versions", odd))
    assert migrate.newest() == NEXT
    assert "colour" in look(migrated(fresh("odd")))["actors_task"]["columns"]


def test_tables_of_the_users_own_stay_as_they_are_beside_ours(fresh: Fresh) -> None:
    engine = fresh("shared")
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE task (name TEXT)"))
        connection.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)"))
        connection.execute(text("INSERT INTO alembic_version VALUES ('theirs')"))
        before = anatomy(connection)
        assert schema.create(connection) is None
        assert before.items() <= anatomy(connection).items()
        assert connection.execute(text("SELECT version_num FROM alembic_version")).scalars().all() == ["theirs"]
        World(connection).submitted("mail")


@pytest.mark.usefixtures("future")
def test_an_upgrade_leaves_the_users_own_alembic_alone(fresh: Fresh, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = of_now(fresh("shared"), monkeypatch)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)"))
        connection.execute(text("INSERT INTO alembic_version VALUES ('theirs')"))
        migrate.upgrade(connection)
        assert connection.execute(text("SELECT version_num FROM alembic_version")).scalars().all() == ["theirs"]
        assert schema.found(connection) == NEXT


def test_a_table_that_has_our_name_but_is_not_ours_is_refused(fresh: Fresh) -> None:
    engine = fresh("shared")
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE actors_pause (minutes INTEGER)"))
    with pytest.raises(
        SchemaMismatch, match=r"a table 'actors_pause', but no 'actors_version'.* give another database"
    ):
        created(engine)
    with engine.begin() as connection:
        assert inspect(connection).get_table_names() == ["actors_pause"]


@pytest.mark.parametrize("held", [[], ["0001", "0002"], ["deadbeef"], [""]])
def test_a_version_table_that_names_no_version_is_said_in_one_line(engine: Engine, held: list[str]) -> None:
    with engine.begin() as connection:
        connection.execute(schema.version.delete())
        for number in held:
            connection.execute(schema.version.insert().values(version_num=number))
        with pytest.raises(SchemaMismatch) as caught:
            schema.create(connection)
    assert str(caught.value) == (
        f"the table 'actors_version' holds {held!r}; it should hold one version such as '{schema.revision(CURRENT)}';"
        " put back a copy of the database"
    )


def back_to_version_1(connection: Connection) -> None:
    """Let the tables be those of the first release, with the rows that they hold."""
    connection.execute(text("DROP INDEX actors_task_large"))
    back_to_version_2(connection)
    connection.execute(schema.version.update().values(version_num=schema.revision(1)))


def back_to_version_2(connection: Connection) -> None:
    connection.execute(text("ALTER TABLE actors_task DROP COLUMN context"))
    connection.execute(text("ALTER TABLE actors_node DROP COLUMN lock_key"))
    connection.execute(schema.version.update().values(version_num=schema.revision(2)))


def test_large_results_of_version_1_are_found_after_the_upgrade(fresh: Fresh) -> None:
    engine = created(fresh("first"))
    with engine.begin() as connection:
        world = World(connection)
        large, small = world.running(2)
        changes = [world.change(row, Transition.COMPLETE, at=world.now - 9) for row in (large, small)]
        world.settle(attrs.evolve(changes[0], result='"' + "x" * 70_000 + '"'), changes[1])
        back_to_version_1(connection)
        assert "actors_task_large" not in anatomy(connection)
        migrate.upgrade(connection)
        assert "actors_task_large" in anatomy(connection)
        assert remove_results(connection, world.now, world.now) == 1
        assert isinstance(world.get(large.task_id).result_data, ResultNote)


def test_tasks_of_version_2_bring_no_context_variables_and_new_ones_do(fresh: Fresh) -> None:
    engine = created(fresh("second"))
    with engine.begin() as connection:
        world = World(connection)
        world.submitted("mail")
        back_to_version_2(connection)
    with engine.begin() as connection:
        migrate.upgrade(connection)
        world.connection = connection
        world.submit(world.new(context='{"trace":"a"}'))
        assert [task.context for task in world.claim()] == [None, '{"trace":"a"}']


def test_a_node_of_version_3_is_known_by_its_lease_alone_after_the_upgrade(fresh: Fresh) -> None:
    with created(fresh("third")).begin() as connection:
        connection.execute(text("ALTER TABLE actors_node DROP COLUMN lock_key"))
        connection.execute(schema.version.update().values(version_num=schema.revision(3)))
        values = "('old', 1.0, 2.0, 17.0, 1)"
        connection.execute(
            text(f"INSERT INTO actors_node (node, started_at, heartbeat_at, lease_until, working) VALUES {values}")
        )
        migrate.upgrade(connection)
        assert nodes.peers(connection, "me") == [nodes.Peer("old", 2.0, 17.0, lock_key=None)]
