"""What processes tell each other: as a payload, and folded."""

from __future__ import annotations

import attrs
import pytest

from actors.core.identity import uuid7
from actors.core.news import ANY, ENDS, EVERYTHING, MOST_BYTES, News, tail

ALL = News(
    by="me",
    work={"mail", "coroutine"},
    due=12.5,
    cancelled={"host:1:ab"},
    paused=True,
    tasks={"abc123"},
    wants={ENDS},
)


@pytest.mark.parametrize("news", [ALL, News(), News(by="me"), EVERYTHING, News(work={'"\\\n\x00é'})])
def test_a_payload_says_what_was_told(news: News) -> None:
    assert News.read(news.text()) == news


def test_there_are_news_unless_nothing_but_the_teller_is_told() -> None:
    assert not News(by="me")
    for field in attrs.fields(News)[1:]:
        assert News(**{field.name: getattr(ALL, field.name)})


def test_a_payload_that_would_be_too_long_names_no_tasks_and_then_nothing_else_either() -> None:
    tasks = {f"{number:06x}" for number in range(2000)}
    told = News.read(attrs.evolve(ALL, tasks=tasks).text())
    assert told == attrs.evolve(ALL, tasks={ANY})
    told = News.read(attrs.evolve(ALL, tasks=tasks, work={"é" * 5000}, cancelled={"n" * 9000}).text())
    assert told == attrs.evolve(ALL, tasks={ANY}, work={ANY}, cancelled={ANY})


def test_hundreds_of_tasks_fit_into_a_payload() -> None:
    tasks = {f"{number:06x}" for number in range(850)}
    text = News(by="0" * 16, tasks=tasks).text()
    assert len(text) <= MOST_BYTES
    assert News.read(text).tasks == tasks


def test_tasks_are_known_by_the_end_of_their_ids() -> None:
    ids = [uuid7(1000, bits) for bits in range(100)]
    news = News(tasks=map(tail, ids[:50]))
    assert [news.concerns(task_id) for task_id in ids] == [True] * 50 + [False] * 50
    assert all(map(EVERYTHING.concerns, ids))


def test_news_are_folded_into_one() -> None:
    other = News(by="other", work={"mail", "slow"}, due=11.0, tasks={"def456"})
    folded = ALL.merged(other)
    assert folded.by == "me"
    assert folded.work == {"mail", "coroutine", "slow"}
    assert folded.due == 11.0
    assert folded.tasks == {"abc123", "def456"}
    assert (folded.cancelled, folded.paused, folded.wants) == (ALL.cancelled, True, ALL.wants)
    assert News().merged(other) == attrs.evolve(other, by="")


@pytest.mark.parametrize(
    "payload",
    [
        "", "hello", "null", "[]", "7", '"work"', "{", '{"work": "mail"}', '{"work": [1]}', '{"due": "now"}',
        '{"due": {}}', '{"paused": 1}', '{"tasks": {"a": 1}}', '{"by": null}', '{"wants": 1}', '{"due": NaN}', "\udcff",
    ],
)  # fmt: skip
def test_a_payload_of_somebody_elses_is_taken_as_that_anything_may_have_happened(payload: str) -> None:
    assert News.read(payload) is EVERYTHING


def test_what_later_versions_tell_besides_is_left_alone() -> None:
    assert News.read('{"by": "me", "weather": "fine", "work": ["mail"]}') == News(by="me", work={"mail"})
