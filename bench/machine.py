"""What the figures were measured on."""

from __future__ import annotations

import os
import platform
import sqlite3
import tempfile
from importlib.metadata import version
from pathlib import Path

import psutil


def facts() -> dict[str, str | int | float]:
    """The machine and the versions that decide the figures; memory in MB, load as the mean of the last minute."""
    return {
        "cpu": cpu_model(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        "memory_mb": psutil.virtual_memory().total // 2**20,
        "load": round(psutil.getloadavg()[0], 2),
        "kernel": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "sqlite": sqlite3.sqlite_version,
        "trio": version("trio"),
        "sqlalchemy": version("SQLAlchemy"),
        "scratch": filesystem(Path(tempfile.gettempdir())),
    }


def cpu_model() -> str:
    """The processor's name as the kernel gives it, else its architecture."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()


def filesystem(folder: Path) -> str:
    """The type of the file system that holds *folder*: a commit costs nothing on tmpfs, and much on a disk."""
    mounts = {Path(mount.mountpoint): mount.fstype for mount in psutil.disk_partitions(all=True)}
    resolved = folder.resolve()
    return next((mounts[parent] for parent in (resolved, *resolved.parents) if parent in mounts), "unknown")
