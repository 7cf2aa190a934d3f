"""Handlers called as plain functions, with a context that keeps what they do with it."""

from __future__ import annotations

import logging
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import attrs
import pytest
import trio

import actors
from actors import StopReason, StopRequested, TaskContext, TaskRequest, TaskSystem
from actors.errors import InvalidOption, InvalidPayload, NotRunning
from actors.testing import FakeContext, fake_context


def test_progress_logs_and_children_are_kept_in_order() -> None:
    def handler(ctx: TaskContext, name: str) -> str:
        ctx.progress(0.5, "half", done=1)
        ctx.progress(1)
        ctx.log.debug("read %s", name)
        ctx.log.warning("odd")
        return name.upper()

    ctx = fake_context()
    assert handler(ctx, name="trio") == "TRIO"
    assert [(word.fraction, word.message, word.data) for word in ctx.reported] == [
        (0.5, "half", {"done": 1}),
        (1, "", {}),
    ]
    assert ctx.messages == ["read trio", "odd"]
    assert [record.levelname for record in ctx.records] == ["DEBUG", "WARNING"]
    assert {record.__dict__["task_id"] for record in ctx.records} == {ctx.task_id}


def test_logs_go_on_to_the_loggers_of_the_test(caplog: pytest.LogCaptureFixture) -> None:
    ctx = fake_context("mail")
    with caplog.at_level(logging.INFO, "actors.task"):
        ctx.log.debug("not wanted here")
        ctx.log.info("sent")
    assert [(record.name, record.getMessage(), record.__dict__["task_type"]) for record in caplog.records] == [
        ("actors.task", "sent", "mail")
    ]
    assert ctx.messages == ["not wanted here", "sent"]


def test_it_says_what_a_real_one_would() -> None:
    ctx = fake_context(
        "mail", {"to": "a@b.c"}, attempt=3, retry_count=2, max_retries=5, priority=20, metadata={"by": "me"}, timeout=60
    )
    assert (ctx.task_type, ctx.input_data, ctx.metadata) == ("mail", {"to": "a@b.c"}, {"by": "me"})
    assert (ctx.attempt, ctx.retry_count, ctx.max_retries, ctx.priority) == (3, 2, 5, 20)
    assert ctx.deadline is not None
    assert abs(ctx.deadline - datetime.now(UTC) - timedelta(seconds=60)) < timedelta(seconds=5)
    assert ctx.soft_deadline is None
    assert isinstance(ctx, TaskContext)


def test_two_contexts_are_two_tasks() -> None:
    assert fake_context().task_id != fake_context().task_id
    assert fake_context(task_id="mine").task_id == "mine"


@pytest.mark.parametrize("given", [{"attempt": 0}, {"priority": 101}, {"timeout": -1}, {"max_retries": -1}])
def test_it_can_only_be_what_a_task_can_be(given: dict[str, int]) -> None:
    with pytest.raises(InvalidOption, match=next(iter(given))):
        fake_context(**given)  # type: ignore[arg-type]  # the point of the test


def test_its_data_are_json_as_a_real_ones_are() -> None:
    with pytest.raises(InvalidPayload):
        fake_context(metadata={"when": object()})


def test_a_thread_handler_is_stopped_in_its_check() -> None:
    def handler(ctx: TaskContext) -> None:
        while True:
            ctx.check()

    with pytest.raises(StopRequested):
        handler(fake_context(stopping=StopReason.SHUTDOWN))
    ctx = fake_context()
    timer = threading.Timer(0.02, ctx.stop)
    timer.start()
    with pytest.raises(StopRequested):
        handler(ctx)
    assert ctx.stopping is StopReason.CANCEL


async def test_a_coroutine_is_stopped_in_until_stopping(autojump_clock: trio.testing.MockClock) -> None:
    async def handler(ctx: TaskContext) -> str:
        with ctx.until_stopping() as scope:
            await trio.sleep_forever()
        return f"cleaned up after {ctx.stopping and ctx.stopping.name}" if scope.cancelled_caught else "never"

    ctx = fake_context()
    async with trio.open_nursery() as nursery:

        async def stop_later() -> None:
            await trio.sleep(60)
            ctx.stop(StopReason.SOFT_TIMEOUT)

        nursery.start_soon(stop_later)
        assert await handler(ctx) == "cleaned up after SOFT_TIMEOUT"


def test_within_the_block_it_is_the_current_one() -> None:
    def handler() -> str:
        actors.progress(0.5)
        actors.log.info("hello")
        return actors.current().task_type

    with fake_context("mail") as ctx:
        assert handler() == "mail"
    assert (len(ctx.reported), ctx.messages) == (1, ["hello"])
    assert ctx.records[0].funcName == "handler"
    with pytest.raises(NotRunning):
        actors.current()


@attrs.frozen
class Address:
    """Someone."""

    name: str
    since: datetime


def test_children_are_told_by_type_and_payload(app: TaskSystem) -> None:
    @app.task
    async def mail(to: Address, subject: str = "") -> None: ...

    moment = datetime(2026, 1, 2, tzinfo=UTC)

    def fan_out(ctx: FakeContext, names: list[str]) -> list[str]:
        return [ctx.submit(mail.request(to=Address(name, moment), subject="hi")) for name in names]

    ctx = fake_context()
    ids = fan_out(ctx, names=["ann", "bob"])
    assert len(set(ids)) == 2
    (request,) = ctx.assert_submitted(mail, count=1, to=Address("ann", moment))
    assert request.input_data["subject"] == "hi"
    assert len(ctx.assert_submitted("mail", 2, subject="hi")) == 2
    with pytest.raises(AssertionError, match=r"expected 1 task mail\(subject='bye'\), but 0 of"):
        ctx.assert_submitted(mail, count=1, subject="bye")


def test_a_child_keeps_the_id_that_it_was_given() -> None:
    task_id = "01890000-0000-7000-8000-000000000000"
    assert fake_context().submit(TaskRequest("mail", task_id=task_id)) == task_id
    with pytest.raises(InvalidOption, match="TaskRequest"):
        fake_context().submit("mail")  # type: ignore[arg-type]  # the point of the test


def test_a_context_can_be_entered_again_within_itself() -> None:
    with fake_context() as ctx:
        with fake_context(), ctx:
            assert actors.current() is ctx
        assert actors.current() is ctx


def test_data_that_no_task_could_have_is_refused_by_name() -> None:
    given: list[Any] = [[1], "text", 0]
    for value in given:
        with pytest.raises(InvalidOption, match="input_data is"):
            fake_context(input_data=value)
        with pytest.raises(InvalidOption, match="metadata is"):
            fake_context(metadata=value)


async def test_a_handler_gets_the_resources_of_the_test() -> None:
    async def fetch(ctx: TaskContext) -> str:
        return f"{ctx.resources['http']} of {len(ctx.resources)}"

    assert await fetch(fake_context(resources={"http": "fake"})) == "fake of 1"
    with pytest.raises(KeyError, match="no resource is named 'http'"):
        await fetch(fake_context())
    with pytest.raises(InvalidOption, match="resources is 5; it should be a mapping of resources by name"):
        fake_context(resources=5)  # type: ignore[arg-type]  # the point of the test
