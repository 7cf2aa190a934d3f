"""Settings from the environment, and how a bad one reads."""

from __future__ import annotations

import pytest

from actors import Settings, TaskSystem
from actors.errors import InvalidOption
from tests.app.world import file_exists, refused


def test_every_variable_is_read() -> None:
    settings = Settings.from_environment(
        {
            "DATABASE_URL": "sqlite:///other.db",
            "TASK_MAX_IO_WORKERS": "3",
            "TASK_MAX_COROUTINES": "50",
            "TASK_DEFAULT_TIMEOUT": "7.5",
            "TASK_MAX_RETRIES": "0",
            "TASK_CLEANUP_DAYS": "1",
            "TASK_FAILED_CLEANUP_DAYS": "2.5",
            "TASK_MAX_PAYLOAD_BYTES": "1000",
            "TASK_GRACE_SECONDS": "5",
            "TASK_LEASE_SECONDS": "6",
            "TASK_AGING_SECONDS": "1.5",
            "UNRELATED": "x",
        }
    )
    assert settings == Settings(
        database_url="sqlite:///other.db", max_io_workers=3, max_coroutines=50, default_timeout=7.5, max_retries=0,
        cleanup_days=1, failed_cleanup_days=2.5, max_payload_bytes=1000, grace_seconds=5, lease_seconds=6,
        aging_seconds=1.5,
    )  # fmt: skip


def test_the_defaults_are_those_that_are_promised() -> None:
    settings = Settings.from_environment({})
    assert settings.database_url == "sqlite:///actors.db"
    assert 1 <= settings.max_io_workers <= 32
    assert (settings.max_coroutines, settings.default_timeout, settings.max_retries) == (1000, 300, 3)
    assert (settings.cleanup_days, settings.failed_cleanup_days) == (7, 30)
    assert (settings.max_payload_bytes, settings.grace_seconds) == (1_048_576, 30)
    assert (settings.lease_seconds, settings.aging_seconds) == (15, 60)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TASK_MAX_IO_WORKERS", "many"),
        ("TASK_MAX_IO_WORKERS", "0"),
        ("TASK_MAX_IO_WORKERS", "2.5"),
        ("TASK_MAX_COROUTINES", "-1"),
        ("TASK_DEFAULT_TIMEOUT", "0"),
        ("TASK_DEFAULT_TIMEOUT", "soon"),
        ("TASK_DEFAULT_TIMEOUT", "nan"),
        ("TASK_MAX_RETRIES", "-1"),
        ("TASK_MAX_RETRIES", "three"),
        ("TASK_CLEANUP_DAYS", "a week"),
        ("TASK_FAILED_CLEANUP_DAYS", "-2"),
        ("TASK_MAX_PAYLOAD_BYTES", "1MB"),
        ("TASK_GRACE_SECONDS", "-1"),
        ("TASK_GRACE_SECONDS", "inf"),
        ("TASK_LEASE_SECONDS", "0"),
        ("TASK_AGING_SECONDS", "x"),
    ],
)
def test_a_value_that_does_not_parse_names_the_variable_the_value_and_what_would_do(name: str, value: str) -> None:
    shown = value if value.lstrip("-").isdigit() else value[:5]
    with refused(InvalidOption, name, shown, "should be"):
        Settings.from_environment({name: value})


def test_an_empty_variable_is_as_good_as_none() -> None:
    assert Settings.from_environment({"TASK_MAX_RETRIES": ""}) == Settings.from_environment({})


def test_a_system_reads_the_environment_unless_settings_are_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TASK_MAX_RETRIES", "9")
    assert TaskSystem("sqlite:///:memory:").settings.max_retries == 9
    assert TaskSystem("sqlite:///:memory:", settings=Settings()).settings.max_retries == 3
    monkeypatch.setenv("TASK_MAX_RETRIES", "nine")
    with refused(InvalidOption, "TASK_MAX_RETRIES", "'nine'", "whole number"):
        TaskSystem("sqlite:///:memory:")


async def test_the_database_url_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch, file_url: str) -> None:
    monkeypatch.setenv("DATABASE_URL", file_url)
    async with TaskSystem().running():
        assert file_exists(file_url)
