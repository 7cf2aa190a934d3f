"""What was submitted, and the message when it is not what was expected."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest
from trio.testing import MockClock

from actors import TaskStatus, TaskSystem
from actors.testing import assert_submitted


async def test_what_is_there_is_found_by_type_and_part_of_the_payload(app: TaskSystem) -> None:
    @app.task
    async def mail(to: str, subject: str = "") -> None: ...

    @app.task
    async def bill(order: UUID, due: timedelta) -> None: ...

    order = UUID(int=7)
    async with app.running(work=False):
        await mail.submit(to="ann", subject="hi")
        await mail.submit(to="bob")
        await bill.submit(order=order, due=timedelta(days=30))
        assert [task.input_data["to"] for task in await assert_submitted(app, mail)] == ["ann", "bob"]
        (task,) = await assert_submitted(app, "mail", to="ann")
        assert task.status is TaskStatus.PENDING
        await assert_submitted(app, bill, 1, order=order, due=timedelta(days=30))
        await assert_submitted(app, "mail", 0, to="eve")


async def test_the_message_lists_what_was_submitted(app: TaskSystem) -> None:
    @app.task
    async def mail(to: str, subject: str = "") -> None: ...

    async with app.running(work=False):
        with pytest.raises(AssertionError) as nothing:
            await assert_submitted(app, mail)
        await app.submit_many([mail.request(to="ann"), mail.request(to="bob", subject="hi")])
        with pytest.raises(AssertionError) as caught:
            await assert_submitted(app, mail, count=2, to="ann")
        await app.submit_many([mail.request(to=str(number)) for number in range(30)])
        with pytest.raises(AssertionError) as many:
            await assert_submitted(app, "letter")
    assert str(nothing.value).splitlines() == [
        "expected at least one task mail(), but 0 of those that were submitted are such:",
        "  nothing was submitted",
    ]
    assert str(caught.value).splitlines() == [
        "expected 2 tasks mail(to='ann'), but 1 of those that were submitted are such:",
        "  mail(to='ann')",
        "  mail(to='bob', subject='hi')",
    ]
    assert str(many.value).splitlines()[-1] == "  … and 12 more"


async def test_tickets_stand_for_their_tasks(app: TaskSystem) -> None:
    @app.task
    async def mail(to: str) -> None: ...

    async with app.running(work=False):
        first, _ = [await mail.submit(to=name) for name in ("ann", "bob")]
        assert len(await assert_submitted([first], mail, count=1)) == 1
        with pytest.raises(AssertionError, match=r"mail\(to='ann'\)$"):
            await assert_submitted([first], mail, to="bob")


async def test_all_pages_are_read(app: TaskSystem, autojump_clock: MockClock) -> None:
    @app.task
    async def mail(to: str) -> None: ...

    async with app.running(work=False):
        await app.submit_many([mail.request(to=str(number)) for number in range(2001)])
        found = await assert_submitted(app, mail, count=2001)
        assert found[-1].input_data == {"to": "2000"}
