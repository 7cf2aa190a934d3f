"""Ctrl-C, sent as a real signal to a process of its own."""

from __future__ import annotations

import subprocess
import sys
import textwrap

HEAD = """
import os, signal, sys
import trio
from actors.kernel import Actor, Child, supervise

def ctrl_c():
    os.kill(os.getpid(), signal.SIGINT)

class Noisy(Actor):
    async def started(self):
        print("started")

    async def receive(self, batch):
        for message in batch:
            await message()

    async def stopped(self):
        print("stopping")
        await self.linger()
        print("stopped")

    async def linger(self):
        pass

"""

TAIL = """
try:
    trio.run(main)
except KeyboardInterrupt:
    print("KeyboardInterrupt")
"""


def run(program: str) -> list[str]:
    """The lines that *program* prints."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", HEAD + textwrap.dedent(program) + TAIL],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.stderr == ""
    return done.stdout.splitlines()


def test_ctrl_c_in_the_block_stops_the_children_and_leaves_unwrapped() -> None:
    assert run("""
    async def main():
        async with supervise([Child("noisy", Noisy)]):
            try:
                ctrl_c()
                await trio.sleep_forever()
            except KeyboardInterrupt:
                print("in the block")
                raise
    """) == ["started", "in the block", "stopping", "stopped", "KeyboardInterrupt"]


def test_ctrl_c_while_an_actor_works_lands_in_the_block() -> None:
    lines = run("""
    async def interrupt():
        ctrl_c()
        print("the actor goes on")
        await trio.lowlevel.checkpoint()
        print("the actor goes on")

    async def main():
        child = Child("noisy", Noisy)
        async with supervise([child]):
            await child.handle.tell(interrupt)
            try:
                await trio.sleep_forever()
            finally:
                print("the block ends")
    """)
    assert lines.count("the actor goes on") == 2
    lines = [line for line in lines if line != "the actor goes on"]
    assert lines == ["started", "the block ends", "stopping", "stopped", "KeyboardInterrupt"]


def test_ctrl_c_during_the_stop_is_reported_and_the_stop_goes_on() -> None:
    assert run("""
    interrupts = 0
    twice = trio.Event()

    def interrupted():
        global interrupts
        interrupts += 1
        print("interrupted", interrupts)
        if interrupts == 1:
            ctrl_c()
        else:
            twice.set()

    class Lingering(Noisy):
        async def linger(self):
            ctrl_c()
            await twice.wait()

    async def main():
        async with supervise([Child("noisy", Noisy), Child("lingering", Lingering)], interrupted=interrupted):
            pass
        print("wrong")
    """) == [
        "started",
        "started",
        "stopping",
        "interrupted 1",
        "interrupted 2",
        "stopped",
        "stopping",
        "stopped",
        "KeyboardInterrupt",
    ]


def test_ctrl_c_during_the_stop_needs_nobody_to_report_to() -> None:
    assert run("""
    class Lingering(Noisy):
        async def linger(self):
            ctrl_c()
            await trio.lowlevel.checkpoint()

    async def main():
        async with supervise([Child("first", Noisy), Child("lingering", Lingering)]):
            raise ValueError("of the block")
    """) == ["started", "started", "stopping", "stopped", "stopping", "stopped", "KeyboardInterrupt"]


def test_ctrl_c_in_the_start_stops_those_that_have_started() -> None:
    assert run("""
    class Slow(Noisy):
        async def started(self):
            ctrl_c()
            await trio.sleep_forever()

    async def main():
        async with supervise([Child("first", Noisy), Child("slow", Slow)]):
            print("wrong")
    """) == ["started", "stopping", "stopped", "KeyboardInterrupt"]


def test_ctrl_c_as_an_ask_begins_to_wait_leaves_nobody_to_be_woken() -> None:
    assert run("""
    from actors.kernel import Ask

    wait = trio.lowlevel.wait_task_rescheduled

    async def interrupted(abort):
        ctrl_c()
        return await wait(abort)

    async def main():
        ask = Ask()
        trio.lowlevel.wait_task_rescheduled = interrupted
        try:
            await ask.reply.wait()
        except KeyboardInterrupt:
            print("interrupted")
        ask.answer(None)
        await trio.sleep(0)
        print("the block goes on")
    """) == ["interrupted", "the block goes on"]


def test_ctrl_c_in_an_answer_leaves_nobody_asleep() -> None:
    lines = run("""
    import trio.testing
    from actors.kernel import Ask

    reschedule = trio.lowlevel.reschedule

    def interrupted(task):
        ctrl_c()
        reschedule(task)

    async def main():
        async def wait():
            print(await ask.reply.wait())

        ask = Ask()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait)
            nursery.start_soon(wait)
            await trio.testing.wait_all_tasks_blocked()
            trio.lowlevel.reschedule = interrupted
            try:
                ask.answer("there")
                await trio.sleep_forever()
            except KeyboardInterrupt:
                print("interrupted")
    """)
    assert sorted(lines) == ["interrupted", "there", "there"]
