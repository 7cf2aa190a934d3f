"""Handlers for child processes. Nothing here imports trio: one of them tells what a child has loaded."""

from __future__ import annotations

import ctypes
import functools
import logging
import multiprocessing
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextvars import ContextVar
from datetime import datetime
from typing import Any

import actors
from actors import Abort, Retry, Snooze, StopRequested, TaskContext, TaskRequest

STUCK = 60.0
"""Seconds after which a handler that nobody killed ends by itself."""
memory: ContextVar[str] = ContextVar("memory", default="clean")


class OwnError(ConnectionError):
    """Known to this module alone."""

    def __init__(self, code: int, reason: str) -> None:  # no pickle would bring it back
        super().__init__(f"{reason} ({code})")


def double(number: int) -> int:
    return 2 * number


def who() -> int:
    return os.getpid()


def day_after(day: datetime) -> str:
    return f"after {day:%A}"


def modules() -> list[str]:
    return sorted(sys.modules)


def surroundings() -> dict[str, Any]:
    return {
        "stdin": sys.stdin.read(),
        "session": os.getsid(0) == os.getpid(),
        "group": os.getpgrp() == os.getpid(),
        "path": sys.path,
    }


def no_json():  # type: ignore[no-untyped-def]  # a return annotation would refuse it
    return object()


def raise_own() -> None:
    raise OwnError(7, "broken")


def raise_group() -> None:
    raise ExceptionGroup("several", [KeyError("first"), ValueError("second")])


def raise_word(word: str) -> None:
    raise {"retry": Retry(after=3), "snooze": Snooze(4), "abort": Abort("useless")}[word]


def leave(how: str) -> None:
    raise {"exit": SystemExit(3), "interrupt": KeyboardInterrupt(), "eof": EOFError()}[how]


def surrogates() -> None:
    raise ValueError("no \ud800 text")


def speak(ctx: TaskContext) -> str:
    assert actors.current() is ctx
    ctx.progress(0.25, "quarter", pages=[1, 2])
    actors.log.warning("half of %s", ctx.task_type)
    logging.getLogger("elsewhere").error("not mine", exc_info=ValueError("with a traceback"))
    return ctx.task_id


def flood(count: int) -> None:
    for number in range(count):
        actors.progress(number / count)
    actors.progress(1.0, "last")


def bad_progress(ctx: TaskContext) -> None:
    ctx.progress(0.5, data=object())


def submit(ctx: TaskContext, wrong: bool = False) -> str:
    day = datetime(2026, 1, 2, 3, 4, 5)
    metadata = {"a": object()} if wrong else {"a": [1, None]}
    return ctx.submit(
        TaskRequest("child", {"day": day}, run_at=day, timeout_seconds=float("inf"), key="k", metadata=metadata)
    )


def submit_what_is_refused(ctx: TaskContext, kind: str) -> str:
    try:
        ctx.submit(TaskRequest(kind))
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "taken"


def submit_what_cannot_travel(ctx: TaskContext) -> None:
    ctx.submit(TaskRequest("child", priority=object()))  # type: ignore[arg-type]  # that is what is tried


def submit_no_request(ctx: TaskContext) -> None:
    ctx.submit("child")  # type: ignore[arg-type]  # that is what is tried


def submit_late(ctx: TaskContext, path: str) -> None:
    """Leave a thread behind that submits when the attempt has ended, and writes to *path* what comes of it."""

    def later() -> None:
        while not os.path.exists(f"{path}.go"):
            time.sleep(0.002)
        with open(path, "w") as file:
            file.write(submit_what_is_refused(ctx, "child"))
        os.rename(path, f"{path}.done")

    threading.Thread(target=later, daemon=True).start()


def remember(value: str) -> str:
    before = memory.get()
    memory.set(value)
    return before


def note(path: str, number: int, crash_at: int = -1, compute_at: int = -1, wait_at: int = -1) -> list[int]:
    """Write *number* into *path*, and do what is asked for at it: die, compute for ever, or wait for `path`.go."""
    with open(path, "a") as file:
        file.write(f"{number}\n")
    if number == crash_at:
        ctypes.string_at(0)
    if number == compute_at:
        sum(range(10**12))
    while number == wait_at and not os.path.exists(f"{path}.go"):
        time.sleep(0.002)
    return [number, os.getpid()]


def deadline_of(ctx: TaskContext, path: str, wait: bool = False) -> float:
    """When its time is over; after *path* has come, if it has to wait for that."""
    while wait and not os.path.exists(path):
        time.sleep(0.002)
    assert ctx.deadline is not None
    return ctx.deadline.timestamp()


def say_number(ctx: TaskContext, number: int) -> int:
    """Say it in every way there is."""
    ctx.progress(number / 1000)
    ctx.log.warning("number %d", number)
    ctx.submit(TaskRequest("child", {"number": number}))
    return number


def until_stopped(ctx: TaskContext, path: str) -> None:
    """Obey the soft stage."""
    touch(path)
    while True:
        ctx.check()
        time.sleep(0.002)


def finish_when_stopped(ctx: TaskContext, path: str) -> str:
    """Obey, but come to an end."""
    touch(path)
    while ctx.stopping is None:
        time.sleep(0.002)
    return ctx.stopping.value


def swallow_the_stop(ctx: TaskContext, path: str) -> None:
    try:
        until_stopped(ctx, path)
    except StopRequested:
        compute(path)


def compute(path: str) -> None:
    """Keep the interpreter's lock in one call into C, deaf to everything."""
    touch(path)
    sum(range(10**12))


def loop(path: str) -> None:
    """Compute in Python, which lets other threads of the process have their turn."""
    touch(path)
    while True:
        pass


def have_a_family(path: str) -> None:
    """Have processes of one's own, one that was started, and one that was forked; and say who they all are."""
    started = subprocess.Popen(["sleep", "1000"])
    forked = multiprocessing.get_context("fork").Process(target=time.sleep, args=(1000,))
    forked.start()
    touch(path, f"{os.getpid()} {started.pid} {forked.pid}")


def compute_with_a_family(path: str) -> None:
    """Keep the interpreter's lock in one call into C, beside processes of one's own."""
    have_a_family(path)
    sum(range(10**12))


def loop_with_a_family(path: str) -> None:
    """Compute in Python, beside processes of one's own."""
    have_a_family(path)
    while True:
        pass


def segfault() -> None:
    ctypes.string_at(0)


def segfault_with_a_family(path: str) -> None:
    have_a_family(path)
    ctypes.string_at(0)


def end(code: int) -> None:
    os._exit(code)


def close_everything() -> None:
    os.closerange(3, 1000)
    time.sleep(STUCK)


def eat() -> None:
    """Ask for more memory than there is."""
    resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
    bytearray(1 << 32)


def be_killed() -> None:
    """As the kernel kills for want of memory."""
    os.kill(os.getpid(), signal.SIGKILL)


def signal_oneself(path: str) -> str:
    """Get what a process manager sends to every process of a service, and outlive it."""
    for number in (signal.SIGTERM, signal.SIGINT):
        os.kill(os.getpid(), number)
    child = subprocess.Popen(["sleep", "1000"])
    child.terminate()
    forked = multiprocessing.get_context("fork").Process(target=touch_and_sleep, args=(path,))
    forked.start()
    while not os.path.exists(path):
        time.sleep(0.002)
    forked.terminate()
    forked.join()
    return f"{child.wait()} {forked.exitcode}"


def fork_and_speak(path: str) -> None:
    """Have a copy of this process speak for the task."""
    if os.fork() == 0:
        try:
            actors.progress(0.5)
        except actors.errors.NotRunning as error:
            touch(path, str(error))
        os._exit(0)
    os.wait()


def touch(path: str, text: str = "") -> None:
    """Say that one has begun, or what one knows by then; whole, or not at all."""
    with open(f"{path}.new", "w") as file:
        file.write(text)
    os.rename(f"{path}.new", path)


def touch_and_sleep(path: str) -> None:
    touch(path)
    time.sleep(STUCK)


def decorated(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return [function(*args, **kwargs)]

    return wrapper


@decorated
def wrapped(number: int) -> list[int]:
    return number  # type: ignore[return-value]  # the decorator makes a list of it


class Grouped:
    """Functions that live in a class."""

    @staticmethod
    def static(number: int) -> int:
        return number + 1

    @classmethod
    def of_class(cls, number: int) -> str:
        return f"{cls.__name__} {number}"

    def bound(self) -> None: ...


a_lambda = lambda: None  # noqa: E731  # that is what is tried
partial = functools.partial(double, 2)


def nested() -> Callable[[], None]:
    def inner() -> None: ...

    return inner


def replaced() -> None: ...


original, replaced = replaced, double  # type: ignore[assignment]  # the name leads elsewhere
