"""Errors of other processes."""

from __future__ import annotations

import pickle

import pytest

from actors.core.remote import MAIN_OF_A_CHILD, RemoteError, kinds_of, name_of
from actors.core.retry import RetryPolicy


def test_an_error_is_known_by_the_names_of_its_classes() -> None:
    error = RemoteError("gone", kinds_of(ConnectionResetError()))
    assert error.is_a((ConnectionError,))
    assert error.is_a((KeyError, Exception))
    assert not error.is_a((KeyError, TimeoutError))
    assert str(error) == "gone"


@pytest.mark.parametrize(
    ("policy", "taken"),
    [
        (RetryPolicy(), True),
        (RetryPolicy(retry_on=OSError), True),
        (RetryPolicy(retry_on=KeyError), False),
        (RetryPolicy(never_on=(KeyError, OSError)), False),
    ],
)
def test_a_retry_policy_asks_for_names(policy: RetryPolicy, taken: bool) -> None:
    assert policy.takes(RemoteError("gone", kinds_of(ConnectionResetError()))) is taken


def test_a_class_of_the_script_has_one_name_in_all_processes() -> None:
    here = type("Own", (Exception,), {"__module__": "__main__"})
    there = type("Own", (Exception,), {"__module__": MAIN_OF_A_CHILD})
    assert name_of(here) == name_of(there) == "__main__:Own"


def test_it_can_be_handed_on_once_more() -> None:
    error = RemoteError("gone", kinds_of(KeyError()))
    assert kinds_of(error) == sorted(error.kinds)
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.kinds) == (str(error), error.kinds)
