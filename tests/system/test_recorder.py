from __future__ import annotations

from pathlib import Path

import pytest

from actors.system.recorder import Recorder


@pytest.fixture
def path(tmp_path: Path) -> str:
    """A file that does not exist yet."""
    return str(tmp_path / "tasks.db-running")


def test_after_a_kill_the_file_tells_whose_handlers_ran(path: str) -> None:
    recorder = Recorder(path)
    places = [recorder.enter(seq, attempt) for seq, attempt in ((1, 1), (2, 3), (3, 1))]
    recorder.leave(places[0])
    # no close: a killed process has no time for it
    after = Recorder(path)
    assert after.before == {(2, 3), (3, 1)}
    assert Recorder(path).before == frozenset()


def test_it_grows_as_needed_and_forgets_nothing(path: str) -> None:
    recorder = Recorder(path, places=2)
    for seq in range(1, 10):
        recorder.enter(seq, seq + 1)
    assert Recorder(path).before == {(seq, seq + 1) for seq in range(1, 10)}


def test_places_are_used_again(path: str) -> None:
    recorder = Recorder(path, places=2)
    for seq in range(1, 100):
        recorder.leave(recorder.enter(seq, 1))
    assert Path(path).stat().st_size == 32


def test_a_file_that_was_cut_off_is_read_as_far_as_it_goes(path: str) -> None:
    recorder = Recorder(path)
    recorder.enter(1, 1)
    recorder.enter(2, 1)
    recorder.close()
    content = Path(path).read_bytes()
    Path(path).write_bytes(content[:24])
    assert Recorder(path).before == {(1, 1)}


def test_a_database_in_memory_records_nothing() -> None:
    recorder = Recorder(None)
    recorder.leave(recorder.enter(1, 1))
    recorder.close()
    assert recorder.before == frozenset()


def test_closing_twice_is_fine(path: str) -> None:
    recorder = Recorder(path)
    recorder.close()
    recorder.close()
