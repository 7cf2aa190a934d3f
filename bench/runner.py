"""Runs workloads, each in a process of its own, and gathers what they measured."""

from __future__ import annotations

import contextlib
import difflib
import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping
from typing import Any

import attrs

from bench.goals import Goal

WORKLOADS = ("pipeline", "drain", "latency", "raw", "kernel", "memory", "backlog", "threads", "process", "chunks",
             "cpu", "sleepers", "pg_raw", "pg_pipeline", "pg_drain", "pg_latency", "pg_backlog", "pg_nodes",
             "pg_held_reader")  # fmt: skip
SMOKE_SCALE = 0.02
LIMIT_SECONDS = 900.0


class UnknownWorkload(Exception):
    """A name that is not in `WORKLOADS`."""


class Skipped(Exception):
    """A workload cannot run here; the message says what it lacks."""


class WorkloadFailed(Exception):
    """A workload ended without figures; what it printed has gone to standard error."""


@attrs.frozen
class Result:
    """What one workload measured.

    Attributes:
        seconds: the whole run, with the start of the process.
    """

    name: str
    seconds: float
    figures: Mapping[str, float]
    goals: Mapping[str, Goal]


def chosen(names: Iterable[str]) -> list[str]:
    """The workloads to run, in the order given; all of them when there are no *names*.

    Raises:
        UnknownWorkload: one of the *names* is not in `WORKLOADS`.
    """
    wanted = list(names) or list(WORKLOADS)
    for name in wanted:
        if name not in WORKLOADS:
            raise UnknownWorkload(f"no workload is named {name!r}; {_suggestion(name)}")
    return wanted


def _suggestion(name: str) -> str:
    close = difflib.get_close_matches(name, WORKLOADS, n=1)
    return f"did you mean {close[0]!r}?" if close else f"there are {', '.join(WORKLOADS)}"


def measure(name: str, *, scale: float) -> Result:
    """Run one workload in a new process with an empty temporary folder.

    Raises:
        Skipped: it lacks something that it measures.
        WorkloadFailed: it raised, or took more than `LIMIT_SECONDS`.
    """
    started = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix=f"bench-{name}-") as scratch:
        answer = json.loads(_output(name, scale, scratch))
    if "skipped" in answer:
        raise Skipped(f"workload {name!r} was skipped: {answer['skipped']}")
    goals = {figure: Goal(**bounds) for figure, bounds in answer["goals"].items()}
    return Result(name, time.perf_counter() - started, answer["figures"], goals)


def _output(name: str, scale: float, scratch: str) -> str:
    command = [sys.executable, "-m", "bench", "--inside", name, "--scale", str(scale)]
    try:
        finished = subprocess.run(
            command,
            env={**os.environ, "TMPDIR": scratch},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            timeout=LIMIT_SECONDS,
            check=True,
        )
    except subprocess.CalledProcessError as error:
        raise WorkloadFailed(f"workload {name!r} ended with exit code {error.returncode}") from error
    except subprocess.TimeoutExpired as error:
        raise WorkloadFailed(f"workload {name!r} was ended after {LIMIT_SECONDS:.0f} s") from error
    return finished.stdout


def inside(name: str, *, scale: float) -> dict[str, Any]:
    """Run one workload in this process; what it prints goes to standard error, out of the answer's way."""
    try:
        with contextlib.redirect_stdout(sys.stderr):
            module = importlib.import_module(f"bench.{name}")
            figures: dict[str, float] = module.run(scale)
    except Skipped as reason:
        return {"skipped": str(reason)}
    goals: dict[str, Goal] = getattr(module, "GOALS", {})
    return {"figures": figures, "goals": {figure: attrs.asdict(goal) for figure, goal in goals.items()}}
