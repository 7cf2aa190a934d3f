"""Submitting without a node, in a transaction of the user's own."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..core.errors import InvalidOption
from ..core.request import NewTask, Receipt, TaskRequest
from ..store import enqueue as store
from .clock import Chance


def enqueue(
    target: object,
    requests: Sequence[TaskRequest],
    prepare: Callable[[TaskRequest, float, Chance], NewTask],
    now: float,
    *,
    tell: bool,
) -> list[Receipt]:
    """Store *requests* in the transaction of *target*, an SQLAlchemy connection or session.

    Args:
        prepare: makes a request's row, or raises what is wrong with it.
        now: epoch seconds.
        tell: tell the nodes on a server of it.
    """
    connection, chance = store.connection_of(target), Chance()
    rows = [prepare(request, now, chance) for request in requests]
    if any(request.reply_to is not None for request in requests):
        raise InvalidOption("an enqueued request has a reply_to, which is for app.submit() and app.requests()")
    return store.enqueue(connection, rows, now, tell=tell) if rows else []
