"""How many CPUs there are for this process, by affinity and by the control groups of a made-up machine."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from actors.machine import cpus


@pytest.fixture(autouse=True)
def eight_cpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """The affinity allows eight."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)


def machine(root: Path, cgroup: str, **files: str) -> Path:
    """One whose `/proc/self/cgroup` is *cgroup*; *files* are below `/sys/fs/cgroup`, `__` for a slash."""
    texts = {"proc/self/cgroup": cgroup, **{f"sys/fs/cgroup/{name}": text for name, text in files.items()}}
    for name, text in texts.items():
        path = root / name.replace("__", "/").replace("cpu_max", "cpu.max").replace("cpu_cfs", "cpu.cfs")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_without_control_groups_the_affinity_counts(tmp_path: Path) -> None:
    assert cpus(tmp_path) == 8


@pytest.mark.parametrize(("quota", "usable"), [("max", 8), ("200000", 2), ("150000", 2), ("1000", 1), ("1600000", 8)])
def test_a_quota_of_version_2_counts_in_whole_cpus_rounded_up(tmp_path: Path, quota: str, usable: int) -> None:
    assert cpus(machine(tmp_path, "0::/\n", cpu_max=f"{quota} 100000\n")) == usable


def test_the_least_of_the_quotas_of_a_group_and_of_those_around_it_counts(tmp_path: Path) -> None:
    root = machine(
        tmp_path, "0::/user.slice/app.service\n",
        **{"user.slice__cpu_max": "300000 100000", "user.slice__app.service__cpu_max": "400000 100000"},
    )  # fmt: skip
    assert cpus(root) == 3


@pytest.mark.parametrize(("quota", "usable"), [("-1", 8), ("250000", 3), ("50000", 1)])
def test_a_quota_of_version_1_counts_too(tmp_path: Path, quota: str, usable: int) -> None:
    root = machine(
        tmp_path, "3:cpuset:/\n2:cpu,cpuacct:/docker/1f\n0::/\n",
        **{"cpu,cpuacct__docker__1f__cpu_cfs_quota_us": quota, "cpu,cpuacct__docker__1f__cpu_cfs_period_us": "100000"},
    )  # fmt: skip
    assert cpus(root) == usable


def test_in_a_container_the_group_is_the_mount_and_not_its_path_on_the_host(tmp_path: Path) -> None:
    root = machine(
        tmp_path, "2:cpu,cpuacct:/docker/1f\n", cpu__cpu_cfs_quota_us="200000", cpu__cpu_cfs_period_us="100000"
    )
    assert cpus(root) == 2


@pytest.mark.parametrize("text", ["", "max", "many 100000", "100000 0", "1 2 3"])
def test_a_quota_that_cannot_be_read_is_none(tmp_path: Path, text: str) -> None:
    assert cpus(machine(tmp_path, "0::/../..\nnonsense\n0::/\n", cpu_max=text)) == 8


@pytest.mark.parametrize(("counted", "usable"), [(6, 6), (None, 1)])
def test_a_system_that_knows_no_affinity_counts_its_cpus(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, counted: int | None, usable: int
) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: counted)
    assert cpus(tmp_path) == usable
