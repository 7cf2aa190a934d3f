"""Holds the write lock of an SQLite file until it gets a line. Argument: the path."""

from __future__ import annotations

import sqlite3
import sys

from tests.whole.programs.telling import listen, say

connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
say("holding")
listen()
connection.execute("ROLLBACK")
connection.close()
say("released")
