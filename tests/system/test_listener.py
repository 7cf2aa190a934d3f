"""The thread that listens, on a real PostgreSQL server."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import pytest

from actors.core.news import EVERYTHING, WORK, News
from actors.store.notify import CHANNEL, Ear
from actors.system.listener import SILENT_SECONDS, Listener
from tests.app.crew import connected, cut_off, listeners
from tests.system.world import Hands
from tests.waiting import until


class Heard:
    """A listener, what it heard, and a connection to tell it something."""

    def __init__(self, url: str) -> None:
        self.news: list[News] = []
        self.clock = Hands()
        self.listener = Listener(url, "me", self.news.append, self.clock)
        self._url = url

    def tell(self, *payloads: str) -> None:
        with connected(self._url) as connection:
            connection.execute("SELECT pg_notify(%s, told) FROM unnest(%s::text[]) told", (CHANNEL, [*payloads]))

    def more_than(self, count: int) -> bool:
        return len(self.news) > count

    def tell_itself(self) -> None:
        self.listener.asked()
        self.tell(News("me").text())


@contextmanager
def listening(url: str) -> Iterator[Heard]:
    heard = Heard(url)
    heard.listener.start()
    try:
        yield heard
    finally:
        heard.listener.close()


async def test_one_that_has_just_begun_takes_it_that_anything_may_have_happened(postgres_url: str) -> None:
    with listening(postgres_url) as heard:
        await until(lambda: heard.news == [EVERYTHING])
        assert heard.listener.listens
        assert not heard.listener.works


async def test_it_works_when_it_has_heard_itself(postgres_url: str) -> None:
    with listening(postgres_url) as heard:
        await until(lambda: heard.listener.listens)
        heard.tell(News("you", work={"mail"}).text())
        await until(lambda: heard.news[-1] == News("you", work={"mail"}))
        assert not heard.listener.works
        heard.tell_itself()
        await until(lambda: heard.listener.works)
        assert heard.news == [EVERYTHING, News("you", work={"mail"}), EVERYTHING]


async def test_what_one_tells_itself_is_no_news(postgres_url: str) -> None:
    with listening(postgres_url) as heard:
        await until(lambda: heard.listener.listens)
        heard.tell_itself()
        await until(lambda: heard.listener.works)
        before = len(heard.news)
        heard.tell(News("me", work={"mine"}).text(), News("you", work={"yours"}).text())
        await until(lambda: len(heard.news) > before)
        assert heard.news[before:] == [News("you", work={"yours"})]


async def test_a_storm_of_notifications_is_folded(postgres_url: str) -> None:
    """And it may be hostile: what is no news of ours costs a look, as any other."""
    with listening(postgres_url) as heard:
        await until(lambda: heard.listener.listens)
        before = len(heard.news)
        payloads = [News("you", work={f"lane-{number}"}).text() for number in range(5000)]
        heard.tell(*payloads, "nonsense", News("you", paused=True, wants={WORK}).text())
        await until(lambda: WORK in heard.news[-1].wants)
        told = heard.news[before:]
        assert len(told) < 500
        assert sum(len(news.work) for news in told) > 5000


@pytest.mark.parametrize("times", [1, 3])
async def test_a_listener_whose_connection_is_terminated_goes_on_with_another(
    postgres_url: str, times: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "actors.system")
    with connected(postgres_url) as administrator, listening(postgres_url) as heard:
        for _ in range(times):
            await until(lambda: bool(listeners(administrator)))
            heard.tell_itself()
            await until(lambda: heard.listener.works)
            before = len(heard.news)
            gone = cut_off(administrator)
            await until(partial(heard.more_than, before))  # it listens again
            assert heard.news[before] is EVERYTHING
            assert not heard.listener.works
            assert gone.isdisjoint(listeners(administrator))
        heard.tell_itself()
        await until(lambda: heard.listener.works)
    complaints = [record for record in caplog.records if record.levelname == "WARNING"]
    assert len(complaints) == times
    assert "looked for twice a second" in complaints[0].message
    assert "heard of at once again" in caplog.records[-1].message


async def test_a_server_that_is_away_is_tried_again_and_complained_of_once(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[str] = []

    def away(url: str) -> Ear:
        tries.append(url)
        raise ConnectionRefusedError("nobody is there")

    monkeypatch.setattr("actors.system.listener.Ear", away)
    monkeypatch.setattr("actors.system.listener.FIRST_PAUSE", 0.001)
    with listening("postgresql://nowhere/tasks") as heard:
        await until(lambda: len(tries) > 3)
        assert not heard.listener.listens
    assert [record.message for record in caplog.records] == [
        "what other processes do is not heard of at once, but looked for twice a second: nobody is there"
    ]


async def test_a_listener_behind_a_pooler_in_transaction_mode_knows_that_it_is_deaf(
    postgres_url: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its session is others', so that nothing is ever sent to it; which is what UNLISTEN comes to."""
    with connected(postgres_url) as connection:
        assert not listeners(connection)
        monkeypatch.setattr("actors.store.notify.LISTEN", "UNLISTEN *")
        monkeypatch.setattr("actors.system.listener.SILENT_SECONDS", 0.2)
        with listening(postgres_url) as heard:
            await until(lambda: heard.listener.listens)
            heard.listener.asked()
            heard.clock.now += SILENT_SECONDS + 1
            heard.tell_itself()
            assert not heard.listener.works
            monkeypatch.undo()
            await until(lambda: heard.listener.listens and bool(listeners(connection)), within=30)
            heard.tell_itself()
            await until(lambda: heard.listener.works)
    assert "is there a pooler in between?" in caplog.text


async def test_a_listener_that_worked_and_has_gone_deaf_does_not_count_as_working(postgres_url: str) -> None:
    with listening(postgres_url) as heard:
        await until(lambda: heard.listener.listens)
        heard.tell_itself()
        await until(lambda: heard.listener.works)
        heard.listener.asked()
        heard.clock.now += SILENT_SECONDS / 2
        assert heard.listener.works
        heard.clock.now += SILENT_SECONDS
        assert not heard.listener.works


async def test_closing_ends_the_connection_and_starting_again_begins_none(postgres_url: str) -> None:
    with connected(postgres_url) as connection:
        with listening(postgres_url) as heard:
            await until(lambda: heard.listener.listens)
            heard.listener.start()
            assert len(listeners(connection)) == 1
        heard.listener.start()
        await until(lambda: not listeners(connection))
    Listener(postgres_url, "me", print).close()  # one that never began


async def test_closing_does_not_wait_for_a_server_that_does_not_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    release, asked = threading.Event(), threading.Event()

    def slow(url: str) -> Ear:
        asked.set()
        release.wait()
        raise TimeoutError

    monkeypatch.setattr("actors.system.listener.Ear", slow)
    monkeypatch.setattr("actors.system.listener.CLOSE_WITHIN", 0.05)
    heard = Heard("postgresql://nowhere/tasks")
    heard.listener.start()
    assert asked.wait(5)
    began = time.monotonic()
    heard.listener.close()
    assert time.monotonic() - began < 5
    release.set()
