"""What handlers share: how it is declared, and how they see it. What opens it is `system/shared.py`."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager, contextmanager
from typing import Any, TypeAlias

import attrs

from ..core.errors import InvalidOption, did_you_mean

Manager: TypeAlias = AbstractAsyncContextManager[Any] | AbstractContextManager[Any]
Opening: TypeAlias = Manager | AsyncIterator[Any] | Iterator[Any]
"""What users' factories give: a generator stands for the context manager that it could be."""

WANTED = "a function without arguments that gives a context manager, or a generator function"


@attrs.frozen
class Factory:
    """Gives a context manager at each call.

    Attributes:
        function: as the user gave it.
    """

    function: Callable[[], Any]
    _make: Callable[[], Manager]

    def __call__(self) -> Manager:
        return self._make()

    @property
    def is_async(self) -> bool:
        """Whether it is known to give what can be entered by a coroutine alone; some tell only when they are called."""
        if isinstance(self.function, type):
            return hasattr(self.function, "__aenter__") and not hasattr(self.function, "__enter__")
        return inspect.isasyncgenfunction(inspect.unwrap(self.function))


class Resources(Mapping[str, Any]):
    """Open resources by name: a view, which cannot be changed.

    Args:
        values: filled when they are opened, and not before.
    """

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values

    def __repr__(self) -> str:
        return f"<Resources {', '.join(self._values)}>"

    def __getitem__(self, name: str) -> Any:
        try:
            return self._values[name]
        except KeyError:
            raise KeyError(f"no resource is named {name!r}{did_you_mean(name, self._values)}") from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


NO_RESOURCES = Resources({})


def factory(name: str, function: Any) -> Factory:
    """*function*, as what gives a context manager at each call; generator functions are taken as they stand.

    Raises:
        InvalidOption: it cannot do that.
    """
    if not callable(function):
        raise InvalidOption(f"resource {name!r} is {function!r:.80}; it should be {WANTED}")
    if inspect.iscoroutinefunction(function):
        raise InvalidOption(
            f"resource {name!r}: {function!r:.80} is async and yields nothing; it should be {WANTED}: async def … yield"
        )
    try:
        inspect.signature(function).bind()
    except TypeError as error:
        raise InvalidOption(f"resource {name!r}: {function!r:.80} has a {error}; it should be {WANTED}") from None
    except ValueError:  # a builtin that does not tell its parameters
        pass
    if inspect.isasyncgenfunction(function):
        return Factory(function, asynccontextmanager(function))
    if inspect.isgeneratorfunction(function):
        return Factory(function, contextmanager(function))
    return Factory(function, function)
