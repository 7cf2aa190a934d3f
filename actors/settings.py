"""What an operator sets: values with defaults, also read from the environment."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeGuard

import attrs

from .core import options
from .core.errors import InvalidOption
from .core.retention import DAY, Retention
from .machine import cpus

_SWITCHES: Final = {"on": True, "true": True, "1": True, "off": False, "false": False, "0": False}
DEFAULT_URL: Final = "sqlite:///actors.db"


def _checked(check: Callable[[str, object], object]) -> Any:
    def validate(_: Settings, field: attrs.Attribute[Any], value: object) -> None:
        check(variable(field.name), value)

    return validate


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _check_days(name: str, value: object) -> None:
    if not _is_number(value) or not 0 <= value < math.inf:
        raise InvalidOption(f"{name} is {value!r}; it should be a number of days, 0 or more")


_some = _checked(lambda name, value: options.whole(name, value, 1))
_count = _checked(lambda name, value: options.whole(name, value, 0))
_seconds = _checked(lambda name, value: options.seconds(name, value))
_some_or_no_seconds = _checked(lambda name, value: options.seconds(name, value, least=0))
_days = _checked(_check_days)


@attrs.frozen(kw_only=True)
class Settings:
    """How one task system behaves. Each value can come from the environment variable in brackets.

    Attributes:
        database_url: where tasks are stored [DATABASE_URL].
        max_cpu_workers: slots of the process lane [TASK_MAX_CPU_WORKERS]; one per CPU, at most 32.
        max_io_workers: slots of the thread lane [TASK_MAX_IO_WORKERS]; 4 per CPU, at most 32.
        max_coroutines: slots of the coroutine lane, and of the asyncio lane [TASK_MAX_COROUTINES].
        max_tasks_per_child: after so many tasks a child process is replaced [TASK_MAX_TASKS_PER_CHILD].
        lanes: slots of further lanes, by name [TASK_LANES, such as `reports=2,mail=10`].
        default_timeout: seconds, for tasks that are declared without one; None: no limit [TASK_DEFAULT_TIMEOUT].
        max_retries: for tasks that are declared without [TASK_MAX_RETRIES].
        cleanup_days: how long completed and cancelled tasks are kept [TASK_CLEANUP_DAYS].
        failed_cleanup_days: how long failed and timed out tasks are kept [TASK_FAILED_CLEANUP_DAYS].
        large_result_days: how long results over 64 kB are kept in full [TASK_LARGE_RESULT_DAYS].
        max_payload_bytes: the longest payload, encoded [TASK_MAX_PAYLOAD_BYTES].
        memory_limit_mb: millions of bytes that a node and its children should not exceed: above 80 % of it, nothing new
            is claimed, above it child processes are retired, and each may use a share; None: no limit
            [TASK_MEMORY_LIMIT_MB].
        grace_seconds: from the soft to the hard stage, of a cancel or a shutdown [TASK_GRACE_SECONDS].
        lease_seconds: how long a silent node keeps its tasks [TASK_LEASE_SECONDS].
        notifications: whether processes on one PostgreSQL server tell each other what is new, by LISTEN and NOTIFY; if
            not, they look twice a second. It has to be the same for all of them [TASK_NOTIFICATIONS, "on" or "off"].
        aging_seconds: how much waiting one step of priority is worth [TASK_AGING_SECONDS].
    """

    database_url: str = DEFAULT_URL
    max_cpu_workers: int = attrs.field(factory=lambda: min(32, cpus()), validator=_some)
    max_io_workers: int = attrs.field(factory=lambda: min(32, 4 * cpus()), validator=_some)
    max_coroutines: int = attrs.field(default=1000, validator=_some)
    max_tasks_per_child: int = attrs.field(default=100, validator=_some)
    lanes: Mapping[str, int] = attrs.field(factory=dict)
    default_timeout: float | None = attrs.field(default=300.0)
    max_retries: int = attrs.field(default=3, validator=_count)
    cleanup_days: float = attrs.field(default=7.0, validator=_days)
    failed_cleanup_days: float = attrs.field(default=30.0, validator=_days)
    large_result_days: float = attrs.field(default=1.0, validator=_days)
    max_payload_bytes: int = attrs.field(default=1_048_576, validator=_some)
    memory_limit_mb: float | None = attrs.field(default=None)
    grace_seconds: float = attrs.field(default=30.0, validator=_some_or_no_seconds)
    lease_seconds: float = attrs.field(default=15.0, validator=_seconds)
    notifications: bool = attrs.field(default=True)
    aging_seconds: float = attrs.field(default=60.0, validator=_some_or_no_seconds)

    @lanes.validator
    def _check_lanes(self, _: attrs.Attribute[Any], value: Mapping[str, int]) -> None:
        for name, slots in value.items():
            options.word("a name in TASK_LANES", name)
            options.whole(f"TASK_LANES, lane {name!r},", slots, 1)

    @default_timeout.validator
    def _check_default_timeout(self, _: attrs.Attribute[Any], value: object) -> None:
        options.limit("TASK_DEFAULT_TIMEOUT", value)

    @memory_limit_mb.validator
    def _check_memory_limit(self, _: attrs.Attribute[Any], value: object) -> None:
        if value is not None and not (_is_number(value) and 0 < value < math.inf):
            raise InvalidOption(
                f"TASK_MEMORY_LIMIT_MB is {value!r}; it should be millions of bytes, more than 0, or None"
            )

    @notifications.validator
    def _check_notifications(self, _: attrs.Attribute[Any], value: object) -> None:
        if not isinstance(value, bool):
            raise InvalidOption(f"TASK_NOTIFICATIONS is {value!r}; it should be on or off, in code True or False")

    @property
    def retention(self) -> Retention:
        """How long what has ended is kept, in seconds."""
        return Retention(self.cleanup_days * DAY, self.failed_cleanup_days * DAY, self.large_result_days * DAY)

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None, **given: Any) -> Settings:
        """The settings of the environment, *given* values first.

        Raises:
            InvalidOption: a variable does not parse or is out of range.
        """
        found = os.environ if environ is None else environ
        read = {
            field.name: _parse(variable(field.name), found[variable(field.name)], field.name)
            for field in attrs.fields(cls)
            if found.get(variable(field.name), "") != ""
        }
        return cls(**{**read, **given})


def variable(name: str) -> str:
    """The environment variable of a setting."""
    return "DATABASE_URL" if name == "database_url" else f"TASK_{name.upper()}"


def _parse(name: str, text: str, field: str) -> object:
    if field == "database_url":
        return text
    if field == "notifications":
        return _SWITCHES.get(text.strip().lower(), text)
    if field == "lanes":
        return dict(_parse_lane(part) for part in text.split(","))
    if field == "default_timeout" and text.lower() == "none":
        return None
    kind = int if field.startswith("max_") else float
    try:
        return kind(text)
    except ValueError:
        what = "a whole number" if kind is int else "a number"
        raise InvalidOption(f"{name} is {text!r}; it should be {what}, such as {_example(field)}") from None


def _example(field: str) -> object:
    default = getattr(attrs.fields(Settings), field).default
    return default if isinstance(default, int | float) else 2000 if field == "memory_limit_mb" else 8


def _parse_lane(text: str) -> tuple[str, int]:
    name, equals, slots = text.strip().partition("=")
    if not equals or not slots.strip().isdecimal():
        raise InvalidOption(f"TASK_LANES has {text!r}; it should be name=slots, such as reports=2")
    return name.strip(), int(slots)
