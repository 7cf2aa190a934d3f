"""What is declared: task types with their options, and the rows that requests for them become."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from .core import options
from .core.codec import dumps, loads
from .core.errors import (
    DuplicateTaskType,
    InvalidOption,
    InvalidPayload,
    PayloadTooLarge,
    UnknownTaskType,
    did_you_mean,
)
from .core.request import NewTask, TaskRequest
from .core.schedule import Defaults, plain_row, requested_row
from .core.task import ExecutionMode
from .declare import Declaration
from .execution.carried import Carried
from .execution.handler import Handler
from .execution.resources import Factory, factory
from .hooks import Hooks
from .settings import Settings

if TYPE_CHECKING:
    from .system.clock import Chance


class Registry:
    """The task types of one system.

    Attributes:
        hooks: what is called before a row is made, and around attempts.
        carried: the context variables that travel with tasks.
        resources: what opens each of the things that handlers share, by name, in the order of opening.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.hooks = Hooks()
        self.carried = Carried()
        self.resources: dict[str, Factory] = {}
        self._declarations: dict[str, Declaration] = {}
        self._defaults: dict[str, Defaults] = {}

    def take(self, declarations: Iterable[Declaration]) -> None:
        """Add *declarations*, all or none.

        Raises:
            DuplicateTaskType: a name is taken.
            InvalidOption: the settings' defaults do not go with a declaration.
        """
        self._declarations, self._defaults = self._with(declarations)

    def may_take(self, declarations: Iterable[Declaration]) -> None:
        """Raise what `take` would."""
        self._with(declarations)

    def _with(self, declarations: Iterable[Declaration]) -> tuple[dict[str, Declaration], dict[str, Defaults]]:
        added, defaults = dict(self._declarations), dict(self._defaults)
        for declaration in declarations:
            name = declaration.task_type
            if name in added:
                raise DuplicateTaskType(f"a task named {name!r} is declared already; give one of them another name")
            added[name], defaults[name] = declaration, declaration.defaults(self._settings)
        return added, defaults

    def configure(self, task_type: str, given: Mapping[str, Any]) -> None:
        """Change options of *task_type*; raises as a declaration with them would."""
        changed = self.find(task_type).changed(given)
        self._defaults[task_type] = changed.defaults(self._settings)
        self._declarations[task_type] = changed

    def share(self, name: str, function: Any) -> None:
        """Let *function* open what handlers share as *name*; raises what is wrong with it."""
        if options.word("the name of a resource", name) in self.resources:
            raise InvalidOption(f"a resource named {name!r} is declared already; give one of them another name")
        self.resources[name] = factory(name, function)

    def find(self, task_type: str) -> Declaration:
        """The declaration of *task_type*.

        Raises:
            InvalidOption: it is no name of a task type.
            UnknownTaskType: there is none.
        """
        options.word("task_type", task_type)
        try:
            return self._declarations[task_type]
        except KeyError:
            raise UnknownTaskType.named(task_type, self._declarations) from None

    def handlers(self) -> dict[str, Handler]:
        """What execution needs of each type."""
        return {name: declaration.handler() for name, declaration in self._declarations.items()}

    def lanes(self) -> dict[str, int]:
        """Slots by lane: one for each mode, those that declarations name, and those of the settings."""
        sizes = {
            ExecutionMode.COROUTINE: self._settings.max_coroutines,
            ExecutionMode.ASYNCIO: self._settings.max_coroutines,
            ExecutionMode.THREAD: self._settings.max_io_workers,
            ExecutionMode.PROCESS: self._settings.max_cpu_workers,
        }
        declared = {declaration.lane: sizes[declaration.mode] for declaration in self._declarations.values()}
        return {**{mode.value: size for mode, size in sizes.items()}, **declared, **self._settings.lanes}

    def lane(self, name: str) -> str:
        """*name*, if it is a lane's.

        Raises:
            InvalidOption: it is not.
        """
        if options.word("lane", name) not in (lanes := self.lanes()):
            raise InvalidOption(f"no lane is named {name!r}{did_you_mean(name, lanes)}")
        return name

    def check_name(self, kind: str, name: str) -> None:
        """Check that *name* is a "lane" or a "task_type", if anything is declared; else that it could be one.

        Raises:
            UnknownTaskType, InvalidOption: it is not.
        """
        options.word(kind, name)
        if not self._declarations:
            return
        if kind == "lane":
            self.lane(name)
        else:
            self.find(name)

    def plain_row(
        self, declaration: Declaration, args: tuple[Any, ...], kwargs: Mapping[str, Any], now: float, chance: Chance
    ) -> NewTask:
        """The row of a task without options of its own, submitted at *now* (epoch seconds)."""
        payload = self._sized(declaration.task_type, declaration.signature.encode(args, kwargs))
        return plain_row(
            self._defaults[declaration.task_type], payload, now, chance.task_id(now), chance.nonce(),
            self._settings.aging_seconds, self._context(declaration.task_type),
        )  # fmt: skip

    def row(self, request: TaskRequest, now: float, chance: Chance) -> NewTask:
        """The row of *request*, submitted at *now* (epoch seconds); raises what is wrong with it. In any thread."""
        _be_request(request)
        if self.hooks.before_submit:
            request = self.hooks.changed(request)
        declaration = self.find(request.task_type)
        payload = self._sized(request.task_type, declaration.signature.check(request.input_data))
        metadata = None if request.metadata is None else _metadata(request.metadata)
        if request.lane is not None:
            self.lane(request.lane)
        return requested_row(
            self._defaults[request.task_type], request, payload, metadata, now, chance.task_id(now), chance.nonce(),
            self._settings.aging_seconds, self._context(request.task_type),
        )  # fmt: skip

    def _context(self, task_type: str) -> str | None:
        """What travels of the context variables that are set here."""
        text = self.carried.pack() if self.carried else None
        return None if text is None else self._sized(task_type, text, "what travels of the context variables")

    def _sized(self, task_type: str, text: str, what: str = "the payload") -> str:
        most = self._settings.max_payload_bytes
        if 4 * len(text) > most and (size := len(text.encode())) > most:
            raise PayloadTooLarge(
                f"task {task_type!r}: {what} is {size} bytes, encoded; TASK_MAX_PAYLOAD_BYTES allows {most};"
                " store large data elsewhere, and submit where it is"
            )
        return text

    def decode_result(self, task_type: str, text: str | None) -> Any:
        """A stored result, of the type that the handler's annotation promises."""
        declaration = self._declarations.get(task_type)
        if declaration is not None:
            return declaration.signature.decode_result(text)
        return None if text is None else loads(text)


def _be_request(given: object) -> None:
    if not isinstance(given, TaskRequest):
        raise InvalidOption(f"a request is {given!r:.80}; it should be a TaskRequest")


def _metadata(given: object) -> str:
    try:
        return dumps(options.mapping("metadata", given))
    except InvalidPayload as error:
        raise InvalidPayload(f"metadata: {error}") from None
