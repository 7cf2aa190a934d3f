"""Runs tasks, and dies at one exact place on a task's way.

Arguments: the database's path, a file for the handlers' side effects, and the place, or "nowhere": then it submits
nothing, and ends when all tasks have.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

import trio

from actors import Settings, TaskContext, TaskStatus, TaskSystem
from actors.store import settle
from actors.system import messages, storage, worker
from tests.whole.programs.amounts import STAGED
from tests.whole.programs.telling import die, note, say

path, effects, place = sys.argv[1:4]
running: list[int] = []
app = TaskSystem(f"sqlite:///{path}", settings=Settings(max_retries=0))


@app.task
async def work(context: TaskContext, number: int) -> int:
    note(effects, context.task_id, context.attempt)
    if place == "in mid-task":
        running.append(number)
        if len(running) == STAGED:
            say("all-run")
        await trio.sleep_forever()
    await trio.lowlevel.checkpoint()
    return context.attempt


def patched(owner: Any, name: str, make: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
    setattr(owner, name, make(getattr(owner, name)))


def before_the_claim_commits(real: Callable[..., Any]) -> Callable[..., Any]:
    def run(transaction: Any, *args: Any, **kwargs: Any) -> Any:
        answers = real(transaction, *args, **kwargs)
        if transaction.claimed:
            die()
        return answers

    return run


def after_the_claim(real: Callable[..., Any]) -> Callable[..., Any]:
    async def receive(self: worker.Worker, batch: Sequence[Any]) -> None:
        if any(isinstance(message, messages.Run) for message in batch):
            die()
        await real(self, batch)

    return receive


def before_the_settle(real: Callable[..., Any]) -> Callable[..., Any]:
    def settle(*args: Any) -> Any:
        die()

    return settle


def in_mid_settle(real: Callable[..., Any]) -> Callable[..., Any]:
    def settle(connection: Any, changes: Sequence[Any], *rest: Any) -> Any:
        stored = real(connection, changes[: max(1, len(changes) // 2)], *rest)
        if len(changes) > 1:
            say("half-settled", len(stored))
            die()
        return stored

    return settle


def after_the_settle(real: Callable[..., Any]) -> Callable[..., Any]:
    def committed(self: storage.Storage, transaction: Any, *rest: Any) -> None:
        if transaction.settled:
            say("settled", *(change.task_id for change, _ in transaction.settled))
            die()
        real(self, transaction, *rest)

    return committed


PLACES: dict[str, tuple[Any, str, Any]] = {
    "before the claim commits": (storage, "run", before_the_claim_commits),
    "after the claim": (worker.Worker, "receive", after_the_claim),
    "before the settle": (settle, "settle", before_the_settle),
    "in mid-settle": (settle, "settle", in_mid_settle),
    "after the settle": (storage.Storage, "_committed", after_the_settle),
}


async def main() -> None:
    if place in PLACES:
        patched(*PLACES[place])
    async with app.running():
        if place == "nowhere":
            for task in await app.list(limit=1000):
                await app.ticket(task.task_id).wait()
            counts = (await app.statistics()).by_status
            say("completed", counts[TaskStatus.COMPLETED.value])
        else:
            for ticket in await app.submit_many(work.request(number=number) for number in range(STAGED)):
                say("acknowledged", ticket.task_id)
            await trio.sleep_forever()


trio.run(main)
