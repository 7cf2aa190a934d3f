"""Opens the tables as code that knows one more version, in a transaction that ends when told to. Argument: a URL.

Says `trying` before it begins, `inside FOUND` with the version that it found, and `done` after the commit.
"""

from __future__ import annotations

import sys
import time

import pytest

from actors.store import schema
from actors.store.engine import file_of, make_engine, parse
from actors.store.upgrade import FileUpgrade
from tests.migrations import know_next_version
from tests.whole.programs.telling import listen, say

url = sys.argv[1]


def older() -> schema.Older:
    """What a working node does on a file, and `actors migrate` on a server."""
    from actors.store import migrate

    path = file_of(parse(url))
    return FileUpgrade(path, time.time()) if path else lambda connection, _: migrate.upgrade(connection)


know_next_version(pytest.MonkeyPatch())
engine = make_engine(url, busy_seconds=20.0)
say("trying")
with engine.begin() as connection:
    say("inside", schema.create(connection, older()))
    listen()
engine.dispose()
say("done")
