"""What this process may use of the machine that it runs on."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Final

ROOT: Final = Path("/")


def cpus(root: Path = ROOT) -> int:
    """How many CPUs this process may use, at least 1: by its affinity, and by the quota of its control groups.

    A quota of one and a half CPUs counts as 2.

    Args:
        root: where `proc` and `sys` are.
    """
    here = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min([here, *(math.ceil(quota) for quota in _quotas(root))]))


def _quotas(root: Path) -> Iterator[float]:
    """The quotas, in CPUs, of each group that this process is in, of version 1 and 2; unlimited ones give none."""
    for line in _words(root / "proc/self/cgroup", "\n"):
        _, _, rest = line.partition(":")
        controllers, _, group = rest.partition(":")
        if not controllers:
            for folder in _folders(root / "sys/fs/cgroup", group):
                yield from _quota(_words(folder / "cpu.max"))
        elif "cpu" in controllers.split(","):
            for mount in {controllers, "cpu"}:
                for folder in _folders(root / "sys/fs/cgroup" / mount, group):
                    quota, period = _words(folder / "cpu.cfs_quota_us"), _words(folder / "cpu.cfs_period_us")
                    yield from _quota([*quota, *period])


def _folders(mount: Path, group: str) -> Iterator[Path]:
    """Those of *group* and of all that it is in. In a container the group is often the mount itself, not its path."""
    path = PurePosixPath(group.lstrip("/"))
    yield from (mount / part for part in [path, *path.parents] if ".." not in part.parts)


def _quota(words: list[str]) -> Iterator[float]:
    match words:
        case [quota, period] if quota.isdecimal() and period.isdecimal() and int(period) > 0:
            yield int(quota) / int(period)


def _words(path: Path, separator: str | None = None) -> list[str]:
    """The words of a file; none if it cannot be read, as on systems without control groups."""
    try:
        return path.read_text(encoding="utf-8").split(separator)
    except (OSError, ValueError):
        return []
