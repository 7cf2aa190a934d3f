"""What an operator sets, and what is said about what cannot work."""

from __future__ import annotations

import math

import pytest

from actors import Settings
from actors.core.errors import InvalidOption
from actors.machine import cpus

VARIABLES = {
    "DATABASE_URL": ("sqlite:///x.db", "database_url", "sqlite:///x.db"),
    "TASK_MAX_CPU_WORKERS": ("3", "max_cpu_workers", 3),
    "TASK_MAX_IO_WORKERS": ("6", "max_io_workers", 6),
    "TASK_MAX_TASKS_PER_CHILD": ("9", "max_tasks_per_child", 9),
    "TASK_MAX_COROUTINES": ("7", "max_coroutines", 7),
    "TASK_LANES": (" reports=2, mail = 10 ", "lanes", {"reports": 2, "mail": 10}),
    "TASK_DEFAULT_TIMEOUT": ("12.5", "default_timeout", 12.5),
    "TASK_MAX_RETRIES": ("0", "max_retries", 0),
    "TASK_CLEANUP_DAYS": ("0.5", "cleanup_days", 0.5),
    "TASK_FAILED_CLEANUP_DAYS": ("60", "failed_cleanup_days", 60.0),
    "TASK_LARGE_RESULT_DAYS": ("0.25", "large_result_days", 0.25),
    "TASK_MAX_PAYLOAD_BYTES": ("1024", "max_payload_bytes", 1024),
    "TASK_MEMORY_LIMIT_MB": ("2500", "memory_limit_mb", 2500.0),
    "TASK_GRACE_SECONDS": ("0", "grace_seconds", 0.0),
    "TASK_LEASE_SECONDS": ("9", "lease_seconds", 9.0),
    "TASK_NOTIFICATIONS": (" Off", "notifications", False),
    "TASK_AGING_SECONDS": ("0", "aging_seconds", 0.0),
}
REFUSED = [
    ("TASK_MAX_CPU_WORKERS", "0", "TASK_MAX_CPU_WORKERS is 0; it should be a whole number from 1 on"),
    ("TASK_MAX_TASKS_PER_CHILD", "0", "TASK_MAX_TASKS_PER_CHILD is 0; it should be a whole number from 1 on"),
    ("TASK_MAX_IO_WORKERS", "0", "TASK_MAX_IO_WORKERS is 0; it should be a whole number from 1 on"),
    ("TASK_MAX_IO_WORKERS", "many", "TASK_MAX_IO_WORKERS is 'many'; it should be a whole number, such as 8"),
    ("TASK_MAX_COROUTINES", "1.5", "TASK_MAX_COROUTINES is '1.5'; it should be a whole number, such as 1000"),
    ("TASK_LANES", "reports", "TASK_LANES has 'reports'; it should be name=slots, such as reports=2"),
    ("TASK_LANES", "reports=", "TASK_LANES has 'reports='; it should be name=slots, such as reports=2"),
    ("TASK_LANES", "reports=two", "TASK_LANES has 'reports=two'; it should be name=slots, such as reports=2"),
    ("TASK_LANES", "reports=²", "TASK_LANES has 'reports=²'; it should be name=slots, such as reports=2"),
    ("TASK_LANES", "reports=0", "TASK_LANES, lane 'reports', is 0; it should be a whole number from 1 on"),
    ("TASK_LANES", "=2", "a name in TASK_LANES is ''; it should be text of 1 to 200 printable characters"),
    ("TASK_DEFAULT_TIMEOUT", "soon", "TASK_DEFAULT_TIMEOUT is 'soon'; it should be a number, such as 300.0"),
    ("TASK_DEFAULT_TIMEOUT", "-1", "TASK_DEFAULT_TIMEOUT is -1.0; it should be a number of seconds, more than 0"),
    ("TASK_MAX_RETRIES", "-1", "TASK_MAX_RETRIES is -1; it should be a whole number from 0 on"),
    ("TASK_CLEANUP_DAYS", "nan", "TASK_CLEANUP_DAYS is nan; it should be a number of days, 0 or more"),
    ("TASK_FAILED_CLEANUP_DAYS", "-1", "TASK_FAILED_CLEANUP_DAYS is -1.0; it should be a number of days, 0 or more"),
    ("TASK_MAX_PAYLOAD_BYTES", "0", "TASK_MAX_PAYLOAD_BYTES is 0; it should be a whole number from 1 on"),
    ("TASK_MEMORY_LIMIT_MB", "2G", "TASK_MEMORY_LIMIT_MB is '2G'; it should be a number, such as 2000"),
    ("TASK_MEMORY_LIMIT_MB", "0", "TASK_MEMORY_LIMIT_MB is 0.0; it should be millions of bytes, more than 0, or None"),
    (
        "TASK_MEMORY_LIMIT_MB",
        "inf",
        "TASK_MEMORY_LIMIT_MB is inf; it should be millions of bytes, more than 0, or None",
    ),
    ("TASK_GRACE_SECONDS", "-1", "TASK_GRACE_SECONDS is -1.0; it should be a number of seconds, 0 or more"),
    ("TASK_LEASE_SECONDS", "0", "TASK_LEASE_SECONDS is 0.0; it should be a number of seconds, more than 0"),
    ("TASK_NOTIFICATIONS", "maybe", "TASK_NOTIFICATIONS is 'maybe'; it should be on or off, in code True or False"),
    ("TASK_AGING_SECONDS", "inf", "TASK_AGING_SECONDS is inf; it should be a number of seconds, 0 or more"),
]


@pytest.mark.parametrize("variable", VARIABLES)
def test_each_setting_comes_from_its_variable(variable: str) -> None:
    text, field, value = VARIABLES[variable]
    assert getattr(Settings.from_environment({variable: text}), field) == value


@pytest.mark.parametrize(("variable", "text", "line"), REFUSED)
def test_what_cannot_work_is_refused_in_one_line(variable: str, text: str, line: str) -> None:
    with pytest.raises(InvalidOption) as caught:
        Settings.from_environment({variable: text})
    assert str(caught.value) == line


def test_what_is_given_goes_before_the_environment() -> None:
    assert Settings.from_environment({"TASK_MAX_RETRIES": "1"}, max_retries=2).max_retries == 2


def test_a_variable_that_is_empty_counts_as_unset() -> None:
    assert Settings.from_environment(dict.fromkeys(VARIABLES, "")) == Settings()


def test_the_process_environment_is_read_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TASK_MAX_RETRIES", "9")
    assert Settings.from_environment().max_retries == 9


@pytest.mark.parametrize("text", ["none", "None", "inf"])
def test_no_time_limit_is_none_or_infinite(text: str) -> None:
    assert Settings.from_environment({"TASK_DEFAULT_TIMEOUT": text}).default_timeout in (None, math.inf)


def test_the_thread_lane_has_four_slots_a_cpu_and_the_process_lane_one_and_at_most_32() -> None:
    assert Settings().max_io_workers == min(32, 4 * cpus())
    assert Settings().max_cpu_workers == min(32, cpus())
