from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from actors.system.recorder import Recorder, place, take


@pytest.fixture
def path(tmp_path: Path) -> str:
    """A file that does not exist yet."""
    return str(tmp_path / "tasks.db-running")


def begun(path: str, places: int = 64) -> Recorder:
    """A recorder that records."""
    recorder = Recorder(path)
    recorder.begin(places)
    return recorder


def test_after_a_kill_the_file_tells_whose_handlers_ran(path: str) -> None:
    recorder = begun(path)
    places = [recorder.enter(seq, attempt) for seq, attempt in ((1, 1), (2, 3), (3, 1))]
    recorder.leave(places[0])
    # no close: a killed process has no time for it
    assert begun(path).before == {(2, 3), (3, 1)}
    assert Recorder(path).before == frozenset()


def test_it_grows_as_needed_and_forgets_nothing(path: str) -> None:
    recorder = begun(path, places=2)
    for seq in range(1, 10):
        recorder.enter(seq, seq + 1)
    assert Recorder(path).before == {(seq, seq + 1) for seq in range(1, 10)}


def test_places_are_used_again(path: str) -> None:
    recorder = begun(path, places=2)
    for seq in range(1, 100):
        recorder.leave(recorder.enter(seq, 1))
    assert Path(path).stat().st_size == 32


def test_a_file_that_was_cut_off_is_read_as_far_as_it_goes(path: str) -> None:
    recorder = begun(path)
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
    recorder = begun(path)
    recorder.close()
    recorder.close()


def test_what_stood_in_the_file_survives_until_recording_begins(path: str) -> None:
    begun(path).enter(7, 2)
    for _ in range(2):  # an opening that failed, and the next one
        recorder = Recorder(path)
        assert recorder.before == {(7, 2)}
        recorder.close()
    begun(path).close()
    assert Recorder(path).before == frozenset()


class Disk:
    """One on which room is refused while it is full.

    Attributes:
        refused: how often it was.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, full: bool) -> None:
        self.full = full
        self.refused = 0
        self._write = os.pwrite
        monkeypatch.setattr(os, "pwrite", self._room)
        monkeypatch.delattr(os, "posix_fallocate", raising=False)  # as on macOS

    def _room(self, file: int, content: bytes, offset: int) -> int:
        if self.full:
            self.refused += 1
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return self._write(file, content[:512], offset)  # a disk may take less than it is given


def test_on_a_full_disk_nothing_is_recorded_and_it_is_told_once(
    path: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    Disk(monkeypatch, full=True)
    recorder = begun(path)
    for seq in (1, 2):
        place = recorder.enter(seq, 1)
        assert place == -1
        recorder.leave(place)
    recorder.close()
    assert [record.message for record in caplog.records] == [
        "running handlers are not recorded, so that a crash may go uncharged: No space left on device"
    ]
    assert Recorder(path).before == frozenset()


def test_a_disk_that_fills_up_later_costs_only_what_does_not_fit(
    path: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    disk = Disk(monkeypatch, full=False)
    recorder = begun(path, places=2)
    disk.full = True
    places = [recorder.enter(seq, 1) for seq in (1, 2, 3, 4)]
    assert places == [0, 1, -1, -1]
    recorder.leave(places[2])
    recorder.leave(places[0])
    assert recorder.enter(5, 1) == 0
    assert Recorder(path).before == {(2, 1), (5, 1)}
    assert (disk.refused, len(caplog.records)) == (1, 1)


def test_a_map_that_cannot_be_made_is_no_room_either(
    path: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))

    recorder = begun(path, places=1)
    recorder.enter(1, 1)
    monkeypatch.setattr("actors.system.recorder.mmap.mmap", refuse)
    assert recorder.enter(2, 1) == -1
    monkeypatch.undo()
    recorder.leave(0)
    assert recorder.enter(3, 1) == 0
    assert "Cannot allocate memory" in caplog.text


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for temporary files."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


def test_who_takes_a_node_over_on_its_machine_reads_what_it_had_recorded_once(temporary: Path) -> None:
    begun(place("host:17:abc")).enter(4, 2)
    assert take("host:17:abc") == frozenset({(4, 2)})
    assert take("host:17:abc") is None
    assert list(temporary.glob("*/*")) == []


@pytest.mark.usefixtures("temporary")
def test_of_a_node_on_another_machine_nothing_is_known() -> None:
    assert take("elsewhere:17:abc") is None


def test_the_folder_of_the_records_is_the_users_own(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Path(place("host:17:abc")).parent
    assert folder.stat().st_mode & 0o777 == 0o700
    other = os.getuid() + 1
    folder.rename(temporary / f"actors-{other}")
    monkeypatch.setattr(os, "getuid", lambda: other)  # and so it is somebody else's
    with pytest.raises(PermissionError, match="another user"):
        place("host:17:abc")
    assert take("host:17:abc") is None
