"""What a node does about what it hears, whom it tells, and how seldom it looks then."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import pytest
from trio.testing import wait_all_tasks_blocked

from actors.core.news import ANY, ENDS, EVERYTHING, ROWS, SUBJECTS, WORK, News, tail
from actors.kernel import Ask, Probe
from actors.system import heart, notices
from actors.system.heart import Poll
from actors.system.messages import LookAgain, LookForWork, LookOutside, LookUp
from actors.system.notices import PROBE_SECONDS, WANTED_SECONDS, Ears, Notices, Wishes
from actors.system.watches import Watches
from actors.system.writes import Pause, Submit
from tests.system.test_news import Teller
from tests.system.world import Hands, World

NO_CONNECTION = cast(Any, None)


class Hearing:
    """Stands in for the listener.

    Attributes:
        asked_for: how often the node has told itself something.
    """

    def __init__(self, url: str, me: str, hear: Callable[[News], None], monotonic: Callable[[], float]) -> None:
        self.hear = hear
        self.started = self.listens = self.works = False
        self.asked_for = 0

    def start(self) -> None:
        self.started = True

    def asked(self) -> None:
        self.asked_for += 1


class Begun:
    """A transaction's block, for a connection that is none."""

    def begin(self) -> Begun:
        return self

    def __enter__(self) -> Begun:
        return self

    def __exit__(self, *_: object) -> None: ...


class Member:
    """A node among others whose listener and database are played by the test.

    Attributes:
        told: what it has sent.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, work: bool = True, works: bool = True) -> None:
        self.told: list[News] = []
        monkeypatch.setattr(notices, "Listener", Hearing)
        monkeypatch.setattr(notices, "notify", lambda _, text: self.told.append(News.read(text)))
        self.clock = Hands()
        self.world = World()
        self.watches = Watches(self.world.clock.wall)
        self.storage: Probe[Any] = self.world.storage
        self.scheduler: Probe[Any] = self.world.scheduler
        scheduler = self.scheduler.handle if work else None
        self.ears = Ears(self.world.running, self.world.waiters, self.watches, self.storage.handle, scheduler)
        self.notices = Notices("postgresql://nowhere", "node-1", "me", self.ears, self.clock)
        self.listener = cast(Any, self.notices._listener)
        self.listener.listens = self.listener.works = works

    async def hears(self, news: News) -> list[Any]:
        """What Storage and the Scheduler are told about *news*."""
        self.listener.hear(news)
        await wait_all_tasks_blocked()
        return [*self.storage.take_all(), *self.scheduler.take_all()]

    def waits(self, task_id: str) -> None:
        self.world.waiters.add(task_id, Ask(), lambda: None)

    def tick(self, seconds: float = 0.0) -> float:
        self.clock.now += seconds
        return self.notices.tick(cast(Any, Begun()))


# Who wants what


def test_a_wish_is_good_for_some_seconds_and_new_when_nobody_had_it() -> None:
    clock = Hands()
    wishes = Wishes(clock)
    assert wishes.take({ENDS, "weather"}) == {ENDS}
    clock.now += WANTED_SECONDS - 1
    assert [wishes.wanted(subject) for subject in (ENDS, WORK)] == [True, False]
    assert wishes.take({ENDS, WORK}) == {WORK}
    clock.now += WANTED_SECONDS
    assert not any(map(wishes.wanted, SUBJECTS))
    assert wishes.take({ENDS}) == {ENDS}


async def test_a_node_says_again_and_again_what_it_wants_to_hear(monkeypatch: pytest.MonkeyPatch) -> None:
    member = Member(monkeypatch)
    member.tick()
    assert member.told == [News("me", wants={WORK})]
    assert member.listener.started
    member.tick(PROBE_SECONDS / 2)
    assert len(member.told) == 1
    member.waits("a")
    member.tick(PROBE_SECONDS / 2)
    assert member.told[1:] == [News("me", wants={WORK, ENDS})]
    assert member.listener.asked_for == 2


async def test_one_that_does_not_work_listens_when_it_waits_for_something(monkeypatch: pytest.MonkeyPatch) -> None:
    member = Member(monkeypatch, work=False, works=False)
    member.tick()
    assert member.notices.announcement() is None
    assert not member.listener.started
    member.waits("a")
    announced = member.notices.announcement()
    assert announced is not None
    assert announced.news == News("me", wants={ENDS})
    assert member.listener.started
    assert member.notices.announcement() is None
    with member.watches.keeping(cast(Any, None)):
        announced = member.notices.announcement()
        assert announced is not None
        assert announced.news.wants == {ENDS, ROWS}


async def test_nothing_is_told_while_there_is_nothing_to_hear_it_on(monkeypatch: pytest.MonkeyPatch) -> None:
    member = Member(monkeypatch, works=False)
    assert member.tick() < notices.LOOK_SECONDS
    assert member.told == []


async def test_who_asks_for_something_new_is_told_at_once_that_it_may_have_happened(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    member = Member(monkeypatch)
    (answer,) = await member.hears(News("you", wants={ENDS}))
    assert answer.news == News("me", tasks={ANY})
    assert await member.hears(News("you", wants={ENDS})) == []
    (answer,) = await member.hears(News("another", wants={WORK}))
    assert answer.news == News("me", work={ANY})
    member.listener.works = False  # it takes it that all is wanted, and so has told of all
    member.clock.now += WANTED_SECONDS
    assert await member.hears(News("you", wants={ROWS})) == []


async def test_a_node_alone_tells_nothing_in_its_transactions(monkeypatch: pytest.MonkeyPatch) -> None:
    member, teller = Member(monkeypatch), Teller()
    await member.hears(EVERYTHING)
    more = Submit([teller.world.row() for _ in range(9)])
    member.notices.tell(await teller.does(more))
    assert [news.work for news in member.told] == [{"coroutine"}]  # somebody may have asked while it heard nothing
    member.clock.now += WANTED_SECONDS
    member.notices.tell(await teller.does(teller.submit(9)))
    assert len(member.told) == 1
    member.notices.tell(await teller.does(Pause("lane", "x", True)))
    assert member.told[1:] == [News("me", paused=True)]
    member.listener.works = False
    member.notices.tell(await teller.does(teller.submit(9)))
    assert member.told[2:] == [News("me", work={"coroutine"})]


# What is heard


async def test_new_work_is_looked_for_in_its_lanes(monkeypatch: pytest.MonkeyPatch) -> None:
    member = Member(monkeypatch)
    assert await member.hears(News("you", work={"coroutine", "elsewhere"})) == [LookAgain(frozenset({"coroutine"}))]
    assert await member.hears(News("you", work={"elsewhere"})) == []
    assert await member.hears(News("you", work={ANY})) == [LookAgain()]
    assert await member.hears(News("you", due=12.5)) == [LookForWork(12.5)]


async def test_one_that_does_not_work_looks_for_none(monkeypatch: pytest.MonkeyPatch) -> None:
    member = Member(monkeypatch, work=False)
    assert await member.hears(News("you", work={"coroutine"}, due=12.5)) == []


async def test_cancels_are_looked_for_by_the_node_that_they_concern(monkeypatch: pytest.MonkeyPatch) -> None:
    member = Member(monkeypatch)
    assert await member.hears(News("you", cancelled={"node-2"})) == []
    for nodes in ({"node-1", "node-2"}, {ANY}):
        assert await member.hears(News("you", cancelled=nodes)) == [LookOutside()]
    assert await member.hears(News("you", paused=True)) == [LookOutside()]


async def test_tasks_that_are_waited_for_are_looked_up_and_no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    member = Member(monkeypatch)
    database = member.world.database()
    member.waits("the-one-aaaaaa")
    member.world.waiters.look_up(database)
    assert await member.hears(News("you", tasks={"bbbbbb"})) == [LookUp()]
    assert not member.world.waiters._to_look_up
    await member.hears(News("you", tasks={"bbbbbb", "aaaaaa"}))
    assert tail("the-one-aaaaaa") == "aaaaaa"


async def test_after_a_time_without_ears_everything_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    member = Member(monkeypatch)
    assert await member.hears(EVERYTHING) == [LookOutside(), LookAgain()]


# How often it is looked


async def test_where_news_are_heard_it_is_looked_seldom() -> None:
    looks, clock, told = list[float](), Hands(), [False]
    poll = Poll(lambda: looks.append(clock.now), lambda: told[0], clock)
    for _ in range(4):
        clock.now += poll.tick(NO_CONNECTION)
        await wait_all_tasks_blocked()
    assert looks == [0.5, 1.0, 1.5, 2.0]
    told[0] = True
    for _ in range(8):
        clock.now += poll.tick(NO_CONNECTION)
        await wait_all_tasks_blocked()
    assert len(looks) == 4 + 8 * heart.POLL_SECONDS / heart.SELDOM_SECONDS
    told[0] = False
    poll.tick(NO_CONNECTION)  # no later than ever
    await wait_all_tasks_blocked()
    assert len(looks) == 7
