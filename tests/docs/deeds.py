"""What handlers do after their soft stage, as plain functions. A process imports this."""

from __future__ import annotations

import time

from actors import TaskContext

LONG = 1.5
"""Seconds for which a thread that cannot be stopped goes on."""


def until_told(ctx: TaskContext) -> None:
    """Say that one runs, and go on until the soft stage."""
    ctx.progress(0.5)
    while ctx.stopping is None:
        time.sleep(0.005)


def returns(ctx: TaskContext) -> None:
    until_told(ctx)


def checks(ctx: TaskContext) -> None:
    until_told(ctx)
    ctx.check()


def raises(ctx: TaskContext) -> None:
    until_told(ctx)
    raise ValueError


def stays(ctx: TaskContext) -> None:
    until_told(ctx)
    time.sleep(LONG)
