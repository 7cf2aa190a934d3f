"""What other processes have written to the SQLite file."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection


def data_version(connection: Connection) -> int:
    """A number that changes when another connection has committed; reading it costs 4 µs.

    It is asked of the driver itself: SQLAlchemy would begin a transaction for it, and so take the write lock.
    """
    driver: Any = connection.connection.driver_connection
    return int(driver.execute("PRAGMA data_version").fetchone()[0])
