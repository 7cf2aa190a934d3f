"""Log lines that are harmless on a terminal: what tasks bring along may be in any of them."""

from __future__ import annotations

import logging
from typing import Any

from ..core.printable import plain, plain_lines


class PlainFormatter(logging.Formatter):
    """A record in one line, what it holds escaped; a traceback follows in lines that cannot be taken for records."""

    def __init__(self) -> None:
        super().__init__("{asctime} {levelname:<7} {name}: {message}", style="{")

    def formatMessage(self, record: logging.LogRecord) -> str:
        """The first line."""
        return plain(super().formatMessage(record))

    def formatException(self, ei: Any) -> str:
        """The traceback."""
        return "\n".join(f"  | {line}" for line in plain_lines(super().formatException(ei)))


def log_to_stderr() -> None:
    """Show what is logged from INFO on, unless the service has set up its logging while it was imported."""
    handler = logging.StreamHandler()
    handler.setFormatter(PlainFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    logging.getLogger("alembic").setLevel(logging.WARNING)  # an upgrade is told by us, in one line
