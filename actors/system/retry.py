"""Retry: what becomes of an attempt that did not succeed, and a budget that damps storms."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import attrs
import trio

from ..core.budget import Budget
from ..core.lifecycle import Transition
from ..core.outcome import Change, Outcome, Raised, decide
from ..core.retry import RetryPolicy
from ..execution.attempt import Attempt
from ..kernel import Actor, Handle
from .clock import Chance, Clock
from .messages import Failed, StorageMessage
from .writes import Settle

logger = logging.getLogger("actors.system")


class Retry(Actor[Failed]):
    """Decides by the task type's policy, adds the time of the next attempt, and has it stored."""

    def __init__(
        self, clock: Clock, chance: Chance, budgets: dict[str, Budget], storage: Handle[StorageMessage]
    ) -> None:
        self._clock = clock
        self._chance = chance
        self._budgets = budgets
        self._storage = storage

    async def receive(self, batch: Sequence[Failed]) -> None:
        changes = [self._decide(attempt, outcome) for failed in batch for attempt, outcome in failed.attempts]
        await self._storage.tell(Settle(changes))

    def _decide(self, attempt: Attempt, outcome: Outcome) -> Change:
        now, chance = self._clock.wall(), self._chance.draw()
        policy = attempt.handler.policy
        try:
            change = decide(attempt.task, outcome, policy, now, attempt.seconds, chance)
        except Exception as error:  # the user's `delay_for` or the policy's exception classes are at fault
            task = attempt.task
            words = "the retry policy of %r failed; the task is not tried again"
            logger.exception(words, task.task_type, extra=task.names)
            final = Raised(error, attempt.info(error), final=True)
            return decide(attempt.task, final, RetryPolicy.none(), now, attempt.seconds, chance)
        if change.transition is Transition.RETRY and change.due_at is not None:
            budget = self._budgets.setdefault(attempt.task.task_type, Budget())
            return attrs.evolve(change, due_at=change.due_at + budget.spend(trio.current_time()))
        return change
