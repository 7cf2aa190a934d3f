"""An older SQLite file: a copy beside it, then the upgrade, or neither."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError

from actors.core.errors import SchemaMismatch
from actors.store import schema
from actors.store.engine import make_engine
from actors.store.upgrade import FileUpgrade
from tests.migrations import CURRENT, NEXT, anatomy, know_next_version
from tests.store.world import NOW, World

ENDING = f".v{CURRENT}-20231114T221320Z.backup"  # of NOW


@pytest.fixture
def old(path: Path) -> Iterator[Engine]:
    """A file of this release with a task in it."""
    engine = make_engine(f"sqlite:///{path}", busy_seconds=0.0)
    with engine.begin() as connection:
        schema.create(connection)
        World(connection).submitted("mail")
    yield engine
    engine.dispose()


def copies(path: Path) -> list[str]:
    return [file.name for file in path.parent.iterdir() if "backup" in file.name]


def test_the_copy_is_the_file_as_it_was_and_private(old: Engine, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with old.begin() as connection:
        before = anatomy(connection)
    know_next_version(monkeypatch)
    upgrade = FileUpgrade(str(path), NOW)
    with old.begin() as connection:
        assert schema.create(connection, upgrade) == CURRENT
        assert schema.found(connection) == NEXT
    assert upgrade.copy == f"{path}{ENDING}"
    assert copies(path) == [f"tasks.db{ENDING}"]
    assert stat.S_IMODE(Path(upgrade.copy).stat().st_mode) == 0o600
    copied = make_engine(f"sqlite:///{upgrade.copy}")
    with copied.begin() as connection:
        assert (schema.found(connection), anatomy(connection)) == (CURRENT, before)
        assert World(connection).counts() == {"pending": 1}
    copied.dispose()


def test_nothing_is_copied_when_nothing_is_due(old: Engine, path: Path) -> None:
    upgrade = FileUpgrade(str(path), NOW)
    with old.begin() as connection:
        assert schema.create(connection, upgrade) == CURRENT
    assert upgrade.copy is None
    assert copies(path) == []


def test_an_upgrade_that_fails_leaves_no_copy(old: Engine, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    know_next_version(monkeypatch, "broken")
    upgrade = FileUpgrade(str(path), NOW)
    with pytest.raises(SchemaMismatch), old.begin() as connection:
        schema.create(connection, upgrade)
    assert upgrade.copy is None
    assert copies(path) == []
    with old.begin() as connection:
        assert World(connection).counts() == {"pending": 1}


def test_an_upgrade_that_is_tried_again_leaves_one_copy_the_last(
    old: Engine, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    know_next_version(monkeypatch)
    upgrade = FileUpgrade(str(path), NOW)
    with old.connect() as connection:
        with connection.begin() as transaction:
            schema.create(connection, upgrade)
            transaction.rollback()  # as when the disk is full at the commit
        with connection.begin():
            World(connection).submitted("report", task_id="another", nonce=7)
        with connection.begin():
            schema.create(connection, upgrade)
    assert copies(path) == [f"tasks.db{ENDING}"]
    copied = make_engine(f"sqlite:///{upgrade.copy}")
    with copied.begin() as connection:
        assert World(connection).counts() == {"pending": 2}
    copied.dispose()


def test_a_disk_that_is_full_is_a_fault_that_may_pass_and_leaves_all_as_it_was(
    old: Engine, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    know_next_version(monkeypatch)
    with old.connect() as connection:
        with connection.begin():
            World(connection).submit(*(World(connection).new(task_id=f"{n}", nonce=n) for n in range(2000)))
            connection.exec_driver_sql("UPDATE actors_task SET priority = 20")
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
        connection.rollback()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
        connection.rollback()
        with pytest.raises(OperationalError, match="full"), connection.begin():
            schema.create(connection, FileUpgrade(str(path), NOW))
        assert copies(path) == []
        with connection.begin():
            assert schema.found(connection) == CURRENT
            assert "colour" not in anatomy(connection)["actors_task"]["columns"]


def test_what_a_kill_in_the_middle_of_a_copy_leaves_is_no_copy_and_goes_with_the_next(
    old: Engine, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    know_next_version(monkeypatch)
    part = Path(f"{path}.backup-part")
    part.write_bytes(b"half a file")
    with old.begin() as connection:
        schema.create(connection, FileUpgrade(str(path), NOW))
    assert copies(path) == [f"tasks.db{ENDING}"]


def test_a_copy_that_breaks_off_leaves_nothing(old: Engine, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    know_next_version(monkeypatch)
    seen: list[str] = []

    def break_off(*_: object) -> None:
        seen.extend(copies(path))
        raise OSError("no space is left for the backup")

    monkeypatch.setattr("actors.store.upgrade.os.replace", break_off)
    with pytest.raises(OSError, match="no space"), old.begin() as connection:
        schema.create(connection, FileUpgrade(str(path), NOW))
    assert (seen, copies(path)) == (["tasks.db.backup-part"], [])


def test_a_copy_that_cannot_be_made_keeps_the_file_from_being_changed(
    old: Engine, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    know_next_version(monkeypatch)
    Path(f"{path}{ENDING}").mkdir()
    with pytest.raises(OSError, match="backup"), old.begin() as connection:
        schema.create(connection, FileUpgrade(str(path), NOW))
    with old.begin() as connection:
        assert schema.found(connection) == CURRENT
