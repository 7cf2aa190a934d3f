"""Context variables that travel with tasks, from where they are submitted to where they run."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextvars import Context, ContextVar
from typing import Any, Final, TypeVar

from ..core import options
from ..core.codec import dumps, loads
from ..core.errors import InvalidOption, InvalidPayload

R = TypeVar("R")

UNSET: Final = object()


class Carried:
    """The variables of one system that travel, by name. Nothing is done for a task while there are none."""

    def __init__(self) -> None:
        self._variables: dict[str, ContextVar[Any]] = {}

    def __bool__(self) -> bool:
        return bool(self._variables)

    @property
    def variables(self) -> list[ContextVar[Any]]:
        """All of them."""
        return list(self._variables.values())

    def add(self, variables: Iterable[ContextVar[Any]]) -> None:
        """Let *variables* travel too, all or none.

        Raises:
            InvalidOption: one is no context variable, or another one has its name.
        """
        added = dict(self._variables)
        for variable in variables:
            if not isinstance(variable, ContextVar):
                raise InvalidOption(f"propagate got {variable!r:.80}; it takes context variables: ContextVar('name')")
            name = options.word("the name of a context variable", variable.name)
            if added.setdefault(name, variable) is not variable:
                raise InvalidOption(f"two context variables are named {name!r}; tasks keep their values by name")
        self._variables = added

    def pack(self) -> str | None:
        """The values of the variables that are set here, as JSON text; None if none is.

        Raises:
            InvalidPayload: a value is no strict JSON.
        """
        values = {}
        for name, variable in self._variables.items():
            if (value := variable.get(UNSET)) is not UNSET:
                values[name] = value
        if not values:
            return None
        try:
            return dumps(values)
        except InvalidPayload as error:
            raise InvalidPayload(f"the context variables that travel with a task: {error}") from None

    def unpack(self, text: str) -> None:
        """Set what *text* holds in the context of the caller; a name that does not travel here is passed over."""
        for name, value in loads(text).items():
            if (variable := self._variables.get(name)) is not None:
                variable.set(value)


def apart(function: Callable[..., R], *args: Any) -> R:
    """What *function* returns in a context in which nothing is set: for callers that speak for someone else."""
    return Context().run(function, *args)
