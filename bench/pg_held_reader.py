"""What a transaction costs all others that has read something, and then stays open for a minute.

As long as it is there, no version of a row that it could see is taken away, however often the row has been updated
since: neither by a vacuum, nor by those who come across it. A report is enough, or a forgotten console.

`flow` is the pipeline: 1,000 callers who submit one task after the other. `backlog` has more waiting than can be
started: then every task is claimed, and a claim steps over the entries of its index that those before it have left.
Each of them runs for a minute beside such a reader, and for a minute without one, in turns, on databases of their own.
"""

from __future__ import annotations

import itertools
import re
import statistics
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import trio

from actors import DeclaredTask, TaskSystem
from actors.store.schema import task
from bench.drain import fill
from bench.goals import Goal
from bench.pipeline import SUBMITTERS
from bench.postgres import connect, server
from bench.service import settled, system

SECONDS = 60.0
ROUNDS = 2
WAITING, BATCH = 5000, 1000
"""Tasks that a backlog has at least, and how many are stored at once when it has fewer."""
LOOK_EVERY = 0.05
GOALS = {f"{kind}_held_per_second": Goal(of=f"{kind}_free_per_second") for kind in ("flow", "backlog")}

Nothing = DeclaredTask[[int], None]
Load = Callable[[TaskSystem, Nothing], Awaitable[None]]


def run(scale: float = 1.0) -> dict[str, float]:
    """Tasks a second of each kind, the means; and how many dead rows the server had to keep for the reader."""
    figures: defaultdict[str, list[float]] = defaultdict(list)
    with server() as postgres:
        for turn in range(max(1, round(ROUNDS * scale))):
            for kind, load in (("flow", flow), ("backlog", backlog)):
                free = free_rate(postgres.database(f"{kind}{turn}_free"), load, SECONDS * scale)
                held, dead = held_rate(postgres.database(f"{kind}{turn}_held"), load, SECONDS * scale)
                figures[f"{kind}_free_per_second"].append(free)
                figures[f"{kind}_held_per_second"].append(held)
                figures[f"{kind}_dead_rows"].append(dead)
    return {name: statistics.mean(found) for name, found in figures.items()}


def free_rate(url: str, load: Load, seconds: float) -> float:
    """Tasks a second, on a database that is empty."""
    trio.run(fill, url, 0)  # makes the tables, so that both kinds find them
    return trio.run(rate, url, load, seconds)


def held_rate(url: str, load: Load, seconds: float) -> tuple[float, int]:
    """The same beside a reader, and how many dead rows it kept in place."""
    trio.run(fill, url, 0)
    with reader(url):
        return trio.run(rate, url, load, seconds), dead_rows(url)


@contextmanager
def reader(url: str) -> Iterator[None]:
    """A transaction that has read the tasks, and is idle from then on."""
    with connect(url) as connection:
        connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        connection.execute(f"SELECT count(*) FROM {task.name}".encode())
        yield
        connection.execute("ROLLBACK")


def dead_rows(url: str) -> int:
    """How many versions of tasks a vacuum leaves in place, though nobody but a reader can see them."""
    told: list[str] = []
    with connect(url) as connection:
        connection.add_notice_handler(lambda notice: told.append(notice.message_primary or ""))
        connection.execute(f"VACUUM (VERBOSE) {task.name}".encode())
    return sum(map(int, re.findall(r"(\d+) are dead but not yet removable", " ".join(told))))


async def rate(url: str, load: Load, seconds: float) -> float:
    """Tasks a second whose outcome is stored, while *load* goes on for so long."""
    app, nothing = system(url)
    async with app.running():
        start = time.perf_counter()
        with trio.move_on_after(seconds):
            await load(app, nothing)
        return (await app.statistics()).success_count / (time.perf_counter() - start)


async def flow(app: TaskSystem, nothing: Nothing) -> None:
    """One task after the other from each of many callers."""

    async def caller() -> None:
        for number in itertools.count():
            await nothing.submit(number)

    async with trio.open_nursery() as nursery:
        for _ in range(SUBMITTERS):
            nursery.start_soon(caller)


async def backlog(app: TaskSystem, nothing: Nothing) -> None:
    """Some more, whenever few are left."""
    for stored in itertools.count(BATCH, BATCH):
        await app.submit_many(nothing.request(number) for number in range(BATCH))
        await settled(app, stored - WAITING, every=LOOK_EVERY)
