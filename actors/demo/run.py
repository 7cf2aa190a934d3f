"""The demo as a whole: a small trio service with a task system in it."""

from __future__ import annotations

import logging
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import attrs
import trio
from rich.console import Console
from rich.text import Text

from actors import Settings, TaskEvent, TaskSystem
from actors.core.printable import plain
from actors.demo.board import Board, Row
from actors.demo.drive import Driver
from actors.demo.mock import MockServer
from actors.demo.plan import Plan, Run, Wish, find_documents, new_run, resume_run, sources
from actors.demo.screen import Changed, showing, summarise
from actors.demo.serve import serve
from actors.demo.steps import declare, read_contract

FINE, FAILED, WRONG_USAGE, STOPPED = 0, 1, 2, 130

_GRACE = 2.0  # seconds that steps get to end after Ctrl-C
_MOCK_PATIENCE = 4.0  # seconds for the cases of one operation; the mock answers in well under one, or stalls
_TARGET_PATIENCE = 60.0


@attrs.frozen
class Options:
    """What the user asks for; what is None or empty is left to the run that is resumed, or has its default.

    `strict`: a failed case makes the exit code 1, not only a document that can't be used.
    """

    documents: Sequence[Path]
    target: str | None
    work: Path
    resume: bool
    seed: int | None
    strict: bool

    @property
    def wish(self) -> Wish:
        return Wish(find_documents(self.documents) if self.documents else None, self.target, self.seed)


async def demo(options: Options, console: Console) -> int:
    """Do all of it; the exit code: 0 fine, 1 a document failed, 130 stopped by Ctrl-C.

    Raises:
        OtherPlan: the run to be resumed was begun with other choices.
    """
    run = resume_run(options.work, options.wish) if options.resume else None
    run = run or new_run(options.work, options.wish)
    try:
        board = await _driven(run, console)
    except* KeyboardInterrupt:  # before anybody listened for it, or the second one
        board = None
    if board is None:
        again = f"actors demo --resume --work {options.work}"
        console.print(Text(f"stopped; to go on from here: {plain(again)}"), soft_wrap=True)
        return STOPPED
    summarise(board, console)
    return FAILED if board.failed or (options.strict and any(row.failed for row in board.rows)) else FINE


async def _driven(run: Run, console: Console) -> Board | None:
    """Drive all documents, and show it: how they stand at the end; None if that did not come."""
    console.print(Text(f"{'going on' if run.resumed else 'working'} in {plain(str(run.folder))}"), soft_wrap=True)
    board = Board([Row(source.path.name) for source in sources(run)])
    with _log_to(run.folder / "demo.log"), showing(board, console) as changed:
        return board if await _work(run, board, changed) else None


async def _work(run: Run, board: Board, changed: Changed) -> bool:
    """Serve the mock, run the task system, and drive all documents through it: whether that came to its end."""
    began = datetime.now(UTC)
    folders = {source.name: str(source.folder) for source in sources(run)}
    mock = MockServer(lambda name: read_contract(folders[name]), run.plan.seed)
    async with trio.open_nursery() as nursery:
        url = run.plan.target or await nursery.start(serve, mock.app)
        app = TaskSystem(run.database_url, settings=Settings(grace_seconds=_GRACE))
        patience = _TARGET_PATIENCE if run.plan.target else _MOCK_PATIENCE
        declare(app, partial(_url, run.plan, url), timeout=patience)
        app.on_event(partial(_note, board, changed))
        async with app.running():
            finished = await _drive(Driver(app, board, run.plan, began, changed), run, board)
        nursery.cancel_scope.cancel()  # last, so that no step sees its server go
    return finished


async def _drive(driver: Driver, run: Run, board: Board) -> bool:
    """Drive all documents side by side to their end (True), or until Ctrl-C or SIGTERM comes (False).

    A second Ctrl-C is Python's own again, and ends the grace time of the steps that still run.
    """
    async with trio.open_nursery() as stoppable:
        await stoppable.start(_cancel_on_signal, stoppable.cancel_scope)
        async with trio.open_nursery() as documents:
            for source, row in zip(sources(run), board.rows, strict=True):
                documents.start_soon(driver.drive, source, row)
        stoppable.cancel_scope.cancel()
    return all(row.over for row in board.rows)


async def _cancel_on_signal(scope: trio.CancelScope, *, task_status: trio.TaskStatus[None]) -> None:
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        task_status.started()
        async for _ in signals:
            break
    scope.cancel()


def _url(plan: Plan, url: str, name: str) -> str:
    return url if plan.target else f"{url}/{name}"


def _note(board: Board, changed: Changed, event: TaskEvent) -> None:
    row = board.note(event)
    if row is not None:
        changed(row)


@contextmanager
def _log_to(path: Path) -> Iterator[None]:
    """Send what the task system logs to a file: the terminal belongs to the progress."""
    logger = logging.getLogger("actors")
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logger.addHandler(handler)
    logger.propagate, propagated = False, logger.propagate
    try:
        yield
    finally:
        logger.propagate = propagated
        logger.removeHandler(handler)
        handler.close()
