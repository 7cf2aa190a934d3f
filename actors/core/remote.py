"""Errors that were raised in another process: what is known of them here."""

from __future__ import annotations

from collections.abc import Iterable

MAIN = "__main__"
MAIN_OF_A_CHILD = "__mp_main__"
"""The name under which a child imports the script that its parent runs. It is multiprocessing's: libraries know it."""


class RemoteError(Exception):
    """What a handler raised in a process of its own.

    It is not rebuilt, since that would need its class and whatever its constructor takes. The names of its classes are
    enough for a retry policy, which gives classes of this process.

    Attributes:
        kinds: the names of its class and of that one's bases.
    """

    def __init__(self, message: str, kinds: Iterable[str]) -> None:
        super().__init__(message)
        self.kinds = frozenset(kinds)

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.args[0], self.kinds)

    def is_a(self, classes: Iterable[type[BaseException]]) -> bool:
        """`isinstance`, by name."""
        return any(name_of(kind) in self.kinds for kind in classes)


def kinds_of(error: BaseException) -> list[str]:
    """The names of the classes of *error*, which may have come from another process itself."""
    if isinstance(error, RemoteError):
        return sorted(error.kinds)
    return [name_of(kind) for kind in type(error).__mro__]


def name_of(kind: type) -> str:
    """A name that a class has in this process and in its children."""
    module = MAIN if kind.__module__ == MAIN_OF_A_CHILD else kind.__module__
    return f"{module}:{kind.__qualname__}"
