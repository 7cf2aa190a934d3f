"""Calls on their way to a child process: each is a datagram, and the node's own until the child has read it.

The node keeps a copy of the child's end, and takes back by reading. The kernel gives each datagram to one of the two,
so there is no doubt whether a call has begun, and no need of the child's help: it may be computing, stopped or dead.
"""

from __future__ import annotations

import errno
import socket
import struct
from contextlib import suppress
from typing import Final

MOST_INLINE: Final = 16384
"""Bytes of a call that travel in its datagram; larger ones come over the stream, to a child that does nothing else."""
_NUMBER: Final = struct.Struct("!Q")
_LARGEST: Final = MOST_INLINE + _NUMBER.size
_ROOM: Final = 1 << 18
"""Bytes that the kernel is asked to keep of what a child has yet to read."""
_FULL: Final = (errno.EAGAIN, errno.ENOBUFS, errno.EMSGSIZE)


class CallLine:
    """The node's end of the line that brings calls to a child, and its copy of the child's end."""

    def __init__(self) -> None:
        self._ours, self.theirs = socket.socketpair(type=socket.SOCK_DGRAM)
        self._ours.setblocking(False)
        self._ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _ROOM)

    def put(self, number: int, body: bytes) -> bool:
        """Send call *number*; False if there is no room for it. Without a *body*, that comes over the stream."""
        try:
            self._ours.send(_NUMBER.pack(number) + body)
        except OSError as error:
            if error.errno in _FULL:
                return False
            raise
        return True

    def take_back(self) -> set[int]:
        """The numbers of the calls that the child has not read, and never will now."""
        numbers = set()
        with suppress(BlockingIOError):
            while data := self.theirs.recv(_LARGEST, socket.MSG_DONTWAIT):
                numbers.add(_NUMBER.unpack_from(data)[0])
        return numbers

    def end(self) -> None:
        """Say that there will be no more calls."""
        self._ours.send(b"")

    def close(self) -> None:
        """Let go of both ends."""
        self._ours.close()
        self.theirs.close()


def next_call(line: socket.socket) -> tuple[int, bytes] | None:
    """In the child: wait for a call; its number, and its body if that is not on the stream. None: there are no more."""
    data = line.recv(_LARGEST)
    return (_NUMBER.unpack_from(data)[0], data[_NUMBER.size :]) if data else None
