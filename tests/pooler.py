"""What stands between a client and a PostgreSQL server as a pooler does: under another process number."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sqlalchemy.engine import make_url

_KEY = re.compile(rb"K\x00\x00\x00\x0c.{8}", re.DOTALL)
_MADE_UP = b"K\x00\x00\x00\x0c\x7f\xff\xff\xff\x12\x34\x56\x78"


@contextmanager
def pooled(url: str, folder: Path) -> Iterator[str]:
    """The URL of a pooler in front of the server of *url*, which listens on a Unix socket."""
    parsed = make_url(url)
    port = parsed.port or 5432
    behind = f"{parsed.query['host']}/.s.PGSQL.{port}"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{folder}/.s.PGSQL.{port}")
        listener.listen()
        thread = threading.Thread(target=_serve, args=(listener, behind), daemon=True)
        thread.start()
        try:
            yield parsed.set(query={**parsed.query, "host": str(folder)}).render_as_string(hide_password=False)
        finally:
            listener.shutdown(socket.SHUT_RDWR)  # or accept() would wait on
            thread.join()


def _serve(listener: socket.socket, behind: str) -> None:
    pipes, sockets = list[threading.Thread](), list[socket.socket]()
    while True:
        try:
            client, _ = listener.accept()
        except OSError:
            break
        server = socket.socket(socket.AF_UNIX)
        server.connect(behind)
        sockets += [client, server]
        pipes += [
            threading.Thread(target=_pipe, args=ends, daemon=True)
            for ends in ((client, server, False), (server, client, True))
        ]
        for pipe in pipes[-2:]:
            pipe.start()
    for pipe in pipes:
        pipe.join()
    for one in sockets:
        one.close()


def _pipe(source: socket.socket, target: socket.socket, disguise: bool) -> None:
    with suppress(OSError):
        while data := source.recv(1 << 16):
            target.sendall(_KEY.sub(_MADE_UP, data, count=1) if disguise else data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)
