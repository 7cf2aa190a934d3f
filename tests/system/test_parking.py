"""What is worth trying to claim, and what need not be claimed at all."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, cast

import attrs

from actors.core.lifecycle import Transition
from actors.core.request import Claimed, NewTask
from actors.store.claim import Room
from actors.system.messages import Claim
from actors.system.parking import NONE, Chances, Parking
from actors.system.transaction import Transaction, Write
from actors.system.writes import Cancel, Pause, Promote, SetProgress, Settle, Submit
from tests.execution.world import claimed
from tests.system.world import AGING, World

ROOMS = (Room("coroutine", 2, {"work": 9, "mail": 1}), Room("thread", 2, {"work": 9, "mail": 1}))


class Yard:
    """A parking with an order for two lanes of two slots; in each, one `mail` may run."""

    def __init__(self, rooms: Sequence[Room] = ROOMS) -> None:
        self.world = World()
        self.rooms = rooms
        self.brought: list[Claimed] = []
        self.parking = Parking()
        self.order = Claim(lambda: self.rooms, self.brought.extend)
        self.parking.park(self.order)

    def row(self, lane: str = "coroutine", task_type: str = "work", *, due: bool = True) -> NewTask:
        """A task that nobody has stored yet."""
        row = self.world.row()._replace(lane=lane, task_type=task_type)
        return row if due else row._replace(rank=None)

    def submit(self, *lanes: str) -> Submit:
        """A submit of one row for each of *lanes*."""
        return Submit([self.row(lane) for lane in lanes])

    def store(self, *writes: Write, brings: Iterable[Claimed] = (), alone_waits: bool = False) -> Chances:
        """Have a transaction of *writes* try its chances; what those were."""
        chances = self.parking.chances(writes)
        transaction = Transaction(cast(Any, None), "node-1", 0.0, AGING)
        transaction.claimed = list(brings)
        transaction.alone_waits = alone_waits
        self.parking.tried(chances, transaction)
        return chances


def quiet(rooms: Sequence[Room] = ROOMS) -> Yard:
    """A yard that has looked into every lane, and found nothing."""
    yard = Yard(rooms)
    assert lanes(yard.store()) == [room.lane for room in rooms]
    return yard


def lanes(chances: Chances) -> list[str]:
    """Where a claim is tried."""
    return [room.lane for room in chances.rooms]


async def test_at_first_there_may_be_something_in_every_lane() -> None:
    assert lanes(Yard().store()) == ["coroutine", "thread"]


async def test_nothing_is_tried_where_nothing_was_found_until_something_stirs() -> None:
    yard = quiet()
    assert yard.store() == NONE
    yard.parking.stir()
    assert lanes(yard.store()) == ["coroutine", "thread"]


async def test_what_is_due_at_once_stirs_its_lane_and_what_is_not_stirs_none() -> None:
    yard = quiet()
    assert yard.submit("coroutine", "thread").stirs() == {"coroutine", "thread"}
    assert Submit([yard.row(due=False)]).stirs() == set()
    assert yard.store(Submit([yard.row(due=False)])) == NONE


async def test_steering_may_stir_any_lane_and_outcomes_do_not_unless_they_give_back() -> None:
    world = World()
    done = world.finished(claimed())
    back = attrs.evolve(done, transition=Transition.GIVE_BACK)
    assert [write.stirs() for write in (Promote(), Pause("lane", "thread", False), Settle([done, back]))] == [None] * 3
    assert not any(write.stirs() for write in (Settle([done]), Cancel(["1"]), SetProgress([])))


async def test_what_stirs_every_lane_is_claimed_and_not_started_unclaimed() -> None:
    yard = quiet()
    chances = yard.store(yard.submit("coroutine"), Promote())
    assert (lanes(chances), set(chances.express)) == (["coroutine", "thread"], set())


async def test_what_comes_into_a_quiet_lane_with_room_starts_unclaimed() -> None:
    yard = quiet()
    for _ in range(2):  # it is as quiet afterwards as before
        chances = yard.store(yard.submit("coroutine"), yard.submit("coroutine"))
        assert (lanes(chances), set(chances.express)) == (list[str](), {"coroutine"})
    assert yard.store() == NONE


async def test_what_does_not_fit_into_the_slots_is_claimed() -> None:
    yard = quiet()
    chances = yard.store(yard.submit("coroutine", "coroutine"), yard.submit("coroutine"), yard.submit("thread"))
    assert (lanes(chances), set(chances.express)) == (["coroutine"], {"thread"})


async def test_what_does_not_fit_the_limit_of_its_type_is_claimed() -> None:
    yard = quiet()
    one, two = ([Submit([yard.row(task_type="mail")]) for _ in range(count)] for count in (1, 2))
    assert yard.store(*one).express == {"coroutine"}
    assert yard.store(*two).express == frozenset()


async def test_the_limit_of_a_type_holds_over_all_lanes_together() -> None:
    yard = quiet()
    chances = yard.store(Submit([yard.row("coroutine", "mail")]), Submit([yard.row("thread", "mail")]))
    assert (lanes(chances), set(chances.express)) == (["coroutine", "thread"], set())


async def test_a_type_that_may_not_run_here_is_not_started() -> None:
    yard = quiet()
    assert yard.store(Submit([yard.row(task_type="unknown")])).express == frozenset()


async def test_a_lane_that_may_hold_something_older_is_claimed_from() -> None:
    yard = Yard()
    chances = yard.store(yard.submit("coroutine"))
    assert (lanes(chances), set(chances.express)) == (["coroutine", "thread"], set())


async def test_a_write_that_is_tried_again_is_claimed_since_its_first_try_may_have_been_stored() -> None:
    yard = quiet()
    write = yard.submit("coroutine")
    first, second = yard.parking.chances([write]), yard.parking.chances([write])
    assert first.express == {"coroutine"}
    assert (lanes(second), set(second.express)) == (["coroutine"], set())


async def test_rows_for_later_keep_their_lane_from_starting_unclaimed() -> None:
    yard = quiet()
    mixed = Submit([yard.row(), yard.row(due=False)])
    assert yard.store(mixed).express == frozenset()
    chances = yard.store(yard.submit("coroutine"), yard.submit("thread"), Submit([yard.row(due=False)]))
    assert (lanes(chances), set(chances.express)) == (["coroutine"], {"thread"})


async def test_a_write_starts_unclaimed_in_all_of_its_lanes_or_in_none() -> None:
    yard = quiet()
    full = yard.submit("coroutine", "coroutine", "coroutine")
    chances = yard.store(full, yard.submit("coroutine", "thread"), yard.submit("thread"))
    assert (lanes(chances), set(chances.express)) == (["coroutine", "thread"], set())


async def test_a_lane_that_is_left_out_takes_along_all_that_share_a_write_with_it() -> None:
    names = ("first", "second", "third", "fourth")
    yard = quiet([Room(name, 3, {"work": 99}) for name in names])
    late = Submit([yard.row("first", due=False)])
    chains = [yard.submit("second", "third"), yard.submit("first", "second"), yard.submit("fourth")]
    chances = yard.store(late, *chains)
    assert (lanes(chances), set(chances.express)) == (["first", "second", "third"], {"fourth"})


async def test_the_writes_of_left_out_lanes_do_not_start_and_the_others_do() -> None:
    yard = quiet()
    express = yard.store(yard.submit("coroutine"), Submit([yard.row("thread", due=False)])).express
    starts = [yard.submit("coroutine"), yard.submit("coroutine", "thread"), Submit([yard.row(due=False)])]
    assert [write.may_start(express) for write in starts] == [True, False, False]
    assert not yard.submit("coroutine").may_start(frozenset())


async def test_nothing_starts_unclaimed_while_a_suspect_waits() -> None:
    yard = Yard()
    yard.store(alone_waits=True)
    assert yard.parking.suspect_waits
    chances = yard.store(yard.submit("coroutine"))
    assert (lanes(chances), set(chances.express)) == (["coroutine", "thread"], set())
    assert not yard.parking.suspect_waits


async def test_one_that_runs_alone_keeps_the_lanes_in_mind() -> None:
    yard = Yard()
    yard.store(brings=[claimed(alone=1)])
    assert yard.parking.suspect_waits
    assert lanes(yard.store()) == ["coroutine", "thread"]


async def test_a_lane_without_room_for_all_is_tried_again() -> None:
    yard = Yard()
    yard.store(brings=[claimed(1), claimed(2)])
    assert lanes(yard.store()) == ["coroutine"]
    assert yard.store() == NONE


async def test_a_lane_whose_type_has_reached_its_limit_is_tried_again() -> None:
    yard = Yard()
    yard.store(brings=[claimed(1, task_type="mail", lane="thread")])
    assert "thread" in lanes(yard.store())


async def test_a_lane_without_a_free_slot_is_remembered_until_there_is_one() -> None:
    yard = quiet()
    yard.rooms = [attrs.evolve(ROOMS[0], slots=0), ROOMS[1]]
    assert not yard.store(yard.submit("coroutine"))
    assert not yard.store()
    yard.rooms = ROOMS
    assert lanes(yard.store()) == ["coroutine"]


async def test_a_lane_that_was_paused_is_tried_again_when_it_goes_on() -> None:
    yard = quiet()
    yard.rooms = ROOMS[1:]
    assert not yard.store(yard.submit("coroutine"))
    yard.store(Pause("lane", "coroutine", False))
    yard.rooms = ROOMS
    yard.parking.stir()
    assert lanes(yard.store()) == ["coroutine", "thread"]


async def test_what_was_brought_is_delivered() -> None:
    yard = Yard()
    yard.store(brings=[claimed(1)])
    yard.store(yard.submit("coroutine"), brings=[claimed(2)])
    assert [task.seq for task in yard.brought] == [1, 2]


async def test_without_an_order_nothing_is_tried_and_what_stirs_is_remembered() -> None:
    yard = quiet()
    yard.parking.withdraw()
    assert yard.order.answered
    assert yard.store(yard.submit("thread")) == NONE
    yard.parking.park(Claim(lambda: ROOMS, yard.brought.extend))
    assert lanes(yard.store()) == ["thread"]


async def test_beside_a_pause_nothing_is_tried_and_what_stirs_is_remembered() -> None:
    yard = quiet()
    assert yard.store(yard.submit("coroutine"), Pause("task_type", "work", True)) == NONE
    assert lanes(yard.store()) == ["coroutine", "thread"]


async def test_what_expires_is_claimed_and_not_started_unclaimed() -> None:
    yard = quiet()
    expiring = Submit([yard.row()._replace(expires_at=1.0)])
    chances = yard.store(expiring, yard.submit("thread"))
    assert (lanes(chances), set(chances.express)) == (["coroutine"], {"thread"})
    assert not expiring.may_start(frozenset({"coroutine"}))
    assert not Submit([yard.row(), *expiring.rows]).may_start(frozenset({"coroutine"}))
