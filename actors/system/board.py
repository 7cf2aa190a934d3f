"""The latest word of each running attempt, until it is stored. Handlers write here from any thread."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import attrs
import trio

from ..core.codec import dumps
from ..core.task import Progress, moment
from ..execution.attempt import Attempt
from .running import ignore


@attrs.frozen
class Word:
    """What an attempt said: *text* is JSON."""

    seq: int
    attempt: int
    task_id: str
    task_type: str
    text: str


class Board:
    """What was said and not stored; the latest word of an attempt replaces its earlier ones.

    Attributes:
        look: asks the Monitor to take what is here; called at the first word after each `take`.
    """

    def __init__(self, wall: Callable[[], float]) -> None:
        self._wall = wall
        self._token = trio.lowlevel.current_trio_token()
        self._words: dict[Attempt, str] = {}
        self._looked_for = False
        self.look: Callable[[], object] = ignore

    def __bool__(self) -> bool:
        """Whether there is a word."""
        return bool(self._words)

    def report(self, attempt: Attempt, progress: Progress) -> None:
        """Note *progress*.

        Raises:
            InvalidPayload: its data is no strict JSON.
        """
        in_loop = _in_trio()
        at = moment(self._wall())
        text = dumps(
            {"fraction": progress.fraction, "message": progress.message, "data": progress.data, "at": at.isoformat()}
        )
        self._words[attempt] = text  # before the flag is read: `take`, in the other thread, does these two in turn
        if self._looked_for:
            return
        self._looked_for = True
        if in_loop:
            self.look()
        else:
            self._token.run_sync_soon(self.look, idempotent=True)

    def take(self, attempts: Iterable[Attempt] | None = None) -> list[Word]:
        """Remove and return the words of *attempts*, or all."""
        self._looked_for = False
        chosen = list(self._words) if attempts is None else attempts
        return [
            Word(attempt.task.seq, attempt.task.attempt, attempt.task.task_id, attempt.task.task_type, text)
            for attempt in chosen
            if (text := self._words.pop(attempt, None)) is not None
        ]


def _in_trio() -> bool:
    try:
        trio.lowlevel.current_trio_token()
    except RuntimeError:
        return False
    return True
