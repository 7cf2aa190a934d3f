"""The command `actors`: which commands there are, and where they begin."""

from __future__ import annotations

import sys
from typing import NoReturn

COMMANDS = {
    "cancel": "actors.cli.steer:cancel",
    "check": "actors.cli.check:check",
    "cleanup": "actors.cli.steer:cleanup",
    "delete": "actors.cli.steer:delete",
    "demo": "actors.demo.command:demo",
    "list": "actors.cli.listing:list_tasks",
    "migrate": "actors.cli.migrate:migrate",
    "nodes": "actors.cli.nodes:nodes",
    "pause": "actors.cli.pause:pause",
    "resume": "actors.cli.pause:resume",
    "retry": "actors.cli.retry:retry",
    "show": "actors.cli.show:show",
    "stats": "actors.cli.stats:stats",
    "submit": "actors.cli.submit:submit",
    "tree": "actors.cli.nodes:tree",
    "work": "actors.cli.work:work",
}
"""Where each command is; nothing of it is imported before it is asked for."""

INTERRUPTED = 130
"""The exit code after Ctrl-C."""


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line. Exit codes: 0 fine, 1 the work failed, 2 wrong usage, 130 Ctrl-C; errors are one line."""
    given = sys.argv[1:] if arguments is None else arguments
    try:
        from .entry import run  # in here, so that a Ctrl-C while it loads ends like any other

        code = run(given)
    except KeyboardInterrupt:
        code = INTERRUPTED
    sys.exit(code)
