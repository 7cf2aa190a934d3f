"""Which handlers run, in a small file that survives a kill: it tells after a crash who was there.

The database cannot tell: it knows only what was claimed, and a write for each start would cost as much as the
task. A store into a shared memory map costs less than a microsecond, and the kernel keeps it when the process dies.
"""

from __future__ import annotations

import errno
import logging
import mmap
import os
import struct
import tempfile
from contextlib import suppress
from typing import Final

logger = logging.getLogger("actors.system")

_PAIR: Final = struct.Struct("<qq")


def place(node: str) -> str:
    """The path of the file of a *node* whose database is on a server: on the node's machine, in the user's own folder.

    Raises:
        OSError: there is no such folder, or it is somebody else's.
    """
    folder = f"{tempfile.gettempdir()}/actors-{os.getuid()}"
    os.makedirs(folder, mode=0o700, exist_ok=True)
    if os.lstat(folder).st_uid != os.getuid():
        raise PermissionError(errno.EPERM, "it belongs to another user", folder)
    return f"{folder}/{node}-running"


def take(node: str) -> frozenset[tuple[int, int]] | None:
    """What a dead *node* had recorded, and forget it; None if that is on another machine, and nobody here knows."""
    with suppress(OSError):
        path = place(node)
        with open(path, "rb") as file:
            found = frozenset(_pairs(file.read()))
        os.unlink(path)
        return found
    return None


class Recorder:
    """A table of (seq, attempt) pairs of the handlers that run now. It grows as needed, and never shrinks.

    Args:
        path: the file; None records nothing (a database in memory has no restart).
    """

    def __init__(self, path: str | None) -> None:
        self.before = frozenset[tuple[int, int]]()
        """The pairs that stood in the file: whose handlers ran when the last process died."""
        self._free: list[int] = []
        self._map: mmap.mmap | None = None
        self._file = -1
        self._full = False
        if path is not None:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
            self.before = frozenset(_pairs(os.pread(self._file, os.fstat(self._file).st_size, 0)))

    def begin(self, places: int = 64) -> None:
        """Wipe the file and record from now on; to be called when what stood there has had its consequences."""
        if self._file >= 0:
            os.ftruncate(self._file, 0)
            self._grow(0, places)

    def enter(self, seq: int, attempt: int) -> int:
        """Write a pair down before its handler starts; returns its place, or -1 if there is none to be had."""
        if not self._free and self._map is not None and not self._full:
            places = len(self._map) // _PAIR.size
            self._grow(places, 2 * places)
        if not self._free or self._map is None:
            return -1
        place = self._free.pop()
        _PAIR.pack_into(self._map, place * _PAIR.size, seq, attempt)
        return place

    def leave(self, place: int) -> None:
        """Wipe a pair after its handler ended."""
        if self._map is not None and place >= 0:
            _PAIR.pack_into(self._map, place * _PAIR.size, 0, 0)
            self._free.append(place)

    def close(self) -> None:
        """Let go of the file."""
        if self._map is not None:
            self._map.close()
            self._map = None
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _grow(self, old: int, new: int) -> None:
        """Make room for *new* places. Without disk space for them, crashes go uncharged: no reason to stop the work."""
        try:
            _reserve(self._file, old * _PAIR.size, new * _PAIR.size)
            larger = mmap.mmap(self._file, new * _PAIR.size)
        except OSError as error:
            self._full = True
            logger.warning("running handlers are not recorded, so that a crash may go uncharged: %s", error.strerror)
            return
        if self._map is not None:
            self._map.close()
        self._map = larger
        self._free.extend(range(new - 1, old - 1, -1))


def _reserve(file: int, start: int, end: int) -> None:
    """Fill *file* with zeros: a hole in it would be a SIGBUS on a full disk. (`posix_fallocate` is not everywhere.)"""
    while start < end:
        start += os.pwrite(file, bytes(end - start), start)


def _pairs(content: bytes) -> list[tuple[int, int]]:
    whole = len(content) // _PAIR.size * _PAIR.size
    return [(seq, attempt) for seq, attempt in _PAIR.iter_unpack(content[:whole]) if seq]
