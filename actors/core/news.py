"""What a process tells the others on a server: that something may be there for them. All of it are hints."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import attrs
import orjson

ANY: Final = "*"
"""Stands for every name: there were too many, or nobody knows which."""
MOST_BYTES: Final = 7900
"""PostgreSQL takes payloads of less than 8000."""

WORK: Final = "work"
ENDS: Final = "ends"
ROWS: Final = "rows"
SUBJECTS: Final = frozenset({WORK, ENDS, ROWS})
"""What one may want to hear of: tasks that can be claimed, ends of tasks, whatever becomes of tasks."""


def tail(task_id: str) -> str:
    """The end of a task's id, by which it is told of."""
    return task_id[-6:]


def _names(values: Iterable[str]) -> frozenset[str]:
    return frozenset(values)


@attrs.frozen
class News:
    """Hints to other processes, folded: one stands for as many as there were.

    Attributes:
        by: who tells; what one has told oneself is no news. Empty: somebody who hears nothing.
        work: lanes in which something may be claimable.
        due: when the first of the tasks that were put off comes due, epoch seconds.
        cancelled: nodes that run tasks which are to be cancelled.
        paused: what is paused has changed.
        tasks: `tail`s of the ids of tasks whose rows have changed; nearly a thousand fit.
        wants: the subjects that the teller wants to hear of, for some seconds.
    """

    by: str = ""
    work: frozenset[str] = attrs.field(default=(), converter=_names)
    due: float | None = None
    cancelled: frozenset[str] = attrs.field(default=(), converter=_names)
    paused: bool = False
    tasks: frozenset[str] = attrs.field(default=(), converter=_names)
    wants: frozenset[str] = attrs.field(default=(), converter=_names)

    def concerns(self, task_id: str) -> bool:
        """Whether the task's row may have changed."""
        return tail(task_id) in self.tasks or ANY in self.tasks

    def __bool__(self) -> bool:
        return bool(self.work or self.cancelled or self.paused or self.tasks or self.wants or self.due)

    def text(self) -> str:
        """As a payload. What makes it too long gives way to `ANY`: first the tasks, then the rest."""
        shorter = attrs.evolve(self, tasks=_any(self.tasks))
        shortest = attrs.evolve(shorter, work=_any(self.work), cancelled=_any(self.cancelled))
        encoded = map(_encoded, (self, shorter))
        return next((text for text in encoded if len(text) <= MOST_BYTES), _encoded(shortest)).decode()

    @classmethod
    def read(cls, text: str) -> News:
        """The news of a payload; of one that is none of ours, that everything may have changed."""
        try:
            values = orjson.loads(text)
            return cls(
                by=_be(str, values.get("by", "")),
                work=_texts(values.get("work", ())),
                due=None if values.get("due") is None else float(_be(int | float, values["due"])),
                cancelled=_texts(values.get("cancelled", ())),
                paused=_be(bool, values.get("paused", False)),
                tasks=_texts(values.get("tasks", ())),
                wants=_texts(values.get("wants", ())),
            )
        except (ValueError, TypeError, AttributeError):
            return EVERYTHING

    def merged(self, other: News) -> News:
        """Both in one."""
        moments = [due for due in (self.due, other.due) if due is not None]
        return News(
            self.by,
            self.work | other.work,
            min(moments, default=None),
            self.cancelled | other.cancelled,
            self.paused or other.paused,
            self.tasks | other.tasks,
            self.wants | other.wants,
        )


def _any(names: frozenset[str]) -> frozenset[str]:
    return frozenset({ANY}) if names else names


def _encoded(news: News) -> bytes:
    told = ((field.name, getattr(news, field.name)) for field in attrs.fields(News))
    values = {name: sorted(value) if isinstance(value, frozenset) else value for name, value in told if value}
    return orjson.dumps(values)


def _be(kind: Any, value: Any) -> Any:
    if not isinstance(value, kind):
        raise TypeError
    return value


def _texts(values: Any) -> frozenset[str]:
    return frozenset(_be(str, value) for value in _be(list | tuple, values))


EVERYTHING: Final = News(work=_any(SUBJECTS), cancelled=_any(SUBJECTS), paused=True, tasks=_any(SUBJECTS))
"""Anything may have happened meanwhile."""
