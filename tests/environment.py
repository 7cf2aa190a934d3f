"""The environment of the programs that tests start."""

from __future__ import annotations

import os


def untraced(**more: str) -> dict[str, str]:
    """This process's environment with *more*, but without the tracer of a coverage run.

    It doubles what a program needs to start. So it is for programs whose times are looked at, that are killed, which
    tells the tracer nothing, or that run nothing which is not run here too.
    """
    return {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_PROCESS")} | more
