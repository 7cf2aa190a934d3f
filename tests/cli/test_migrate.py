"""`actors migrate`: what it says, and how it ends."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from actors.cli import main
from tests.app.crew import connected
from tests.migrations import CURRENT, NEXT, know_next_version


class Terminal:
    """Runs `actors migrate`."""

    def __init__(self, url: str, capture: pytest.CaptureFixture[str]) -> None:
        self.url = url
        self._capture = capture

    def run(self, *arguments: str) -> tuple[object, str, str]:
        """The exit code, and what came out and as errors."""
        with pytest.raises(SystemExit) as caught:
            main(["migrate", "--database", self.url, *arguments])
        out, err = self._capture.readouterr()
        return caught.value.code, out, err


@pytest.fixture
def terminal(path: Path, capsys: pytest.CaptureFixture[str]) -> Terminal:
    return Terminal(f"sqlite:///{path}", capsys)


def test_a_new_database_gets_its_tables_once(terminal: Terminal) -> None:
    assert terminal.run() == (0, f"{terminal.url}: made the tables, version {CURRENT}\n", "")
    assert terminal.run() == (0, f"{terminal.url}: version {CURRENT} already, nothing to do\n", "")


def test_an_upgrade_says_where_the_copy_lies(terminal: Terminal, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal.run()
    know_next_version(monkeypatch)
    code, out, err = terminal.run()
    (copy,) = path.parent.glob("*.backup")
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        f"{terminal.url}: brought from version {CURRENT} to {NEXT}",
        f"The file as it was lies at {copy}; delete it when all is well.",
    ]


def test_a_check_changes_nothing_and_fails_when_a_migration_is_due(
    terminal: Terminal, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    due = f"this release needs version {CURRENT}: run actors migrate"
    assert terminal.run("--check") == (1, f"{terminal.url}: no tables; {due}\n", "")
    assert not path.exists()
    terminal.run()
    assert terminal.run("--check") == (0, f"{terminal.url}: version {CURRENT}, which is what this release needs\n", "")
    know_next_version(monkeypatch)
    for _ in range(2):
        code, out, _ = terminal.run("--check")
        assert (code, out) == (
            1,
            f"{terminal.url}: version {CURRENT}; this release needs version {NEXT}: run actors migrate\n",
        )


def test_sql_can_be_run_by_others_and_needs_no_database(terminal: Terminal, path: Path) -> None:
    code, script, err = terminal.run("--sql")
    assert (code, err) == (0, "")
    assert script.startswith(f"-- actors, sqlite: from nothing to version {CURRENT}\n")
    assert not path.exists()
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(script)
    assert terminal.run() == (0, f"{terminal.url}: version {CURRENT} already, nothing to do\n", "")


def test_sql_may_begin_at_a_version(terminal: Terminal) -> None:
    assert terminal.run("--sql", "--from", str(CURRENT))[:2] == (
        0, f"-- actors, sqlite: from version {CURRENT} to version {CURRENT}\n-- nothing to do\n"
    )  # fmt: skip


@pytest.mark.parametrize("arguments", [["--check", "--sql"], ["--from", "1"], ["--sql", "--from", "one"], ["up"]])
def test_options_that_do_not_go_together_are_wrong_usage(terminal: Terminal, arguments: list[str], path: Path) -> None:
    code, out, err = terminal.run(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith("actors: ")
    assert not path.exists()


def test_what_cannot_be_done_is_one_line(terminal: Terminal, path: Path) -> None:
    path.write_bytes(b"once upon a time " * 100)
    for option in ([], ["--check"]):
        code, out, err = terminal.run(*option)
        assert (code, out) == (1, "")
        assert err.count("\n") == 1
        assert "file is not a database" in err


def test_a_long_transaction_of_somebody_else_is_not_waited_for_for_ever(
    postgres_url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = Terminal(postgres_url, capsys)
    terminal.run()
    know_next_version(monkeypatch)
    monkeypatch.setattr("actors.store.migrate.LOCK_SECONDS", 0.2)
    with connected(postgres_url) as reporter, reporter.transaction():
        reporter.execute("SELECT count(*) FROM actors_task")
        code, out, err = terminal.run()
        assert (code, out, err.count("\n")) == (1, "", 1)
        assert f"were not brought to version {NEXT}, and are as they were" in err
        assert "as a pg_dump or a long report does" in err
        assert "run this again when it has ended" in err
    assert terminal.run()[0] == 0
