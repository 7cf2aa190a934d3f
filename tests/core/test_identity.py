from __future__ import annotations

from uuid import RFC_4122, UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.core.identity import RANDOM_BITS, is_uuid, stored_id, uuid7

MILLISECONDS = st.integers(0, 2**48 - 1)
BITS = st.integers(0, 2**RANDOM_BITS - 1)
SOME = "6baf25f2-9406-459a-a7f6-d41e9afc3a70"


@given(MILLISECONDS, BITS)
def test_an_id_is_a_uuid_of_version_7_that_holds_its_time(milliseconds: int, bits: int) -> None:
    made = UUID(uuid7(milliseconds, bits))
    assert (made.version, made.variant, made.int >> 80) == (7, RFC_4122, milliseconds)


@given(MILLISECONDS, BITS)
def test_an_id_holds_every_random_bit(milliseconds: int, bits: int) -> None:
    whole = UUID(uuid7(milliseconds, bits)).int
    assert ((whole >> 64 & 0xFFF) << 62 | whole & (2**62 - 1)) == bits


@given(MILLISECONDS, BITS, MILLISECONDS, BITS)
def test_ids_sort_by_time(one: int, one_bits: int, other: int, other_bits: int) -> None:
    if one != other:
        assert (uuid7(one, one_bits) < uuid7(other, other_bits)) == (one < other)


def test_higher_bits_are_cut_off() -> None:
    assert uuid7(2**48 + 5, 2**RANDOM_BITS + 3) == uuid7(5, 3)


def test_the_example_of_the_standard() -> None:
    assert uuid7(0x017F22E279B0, 0xCC3 << 62 | 0x18C4DC0C0C07398F) == "017f22e2-79b0-7cc3-98c4-dc0c0c07398f"


def test_every_uuid_is_taken_and_other_text_is_not() -> None:
    assert is_uuid(str(uuid4()))
    assert is_uuid(uuid7(1, 1).upper())


@pytest.mark.parametrize("text", ["", "no", UUID(SOME).hex, f"{{{SOME}}}", f"{SOME}\n", f"{SOME}0"])
def test_text_in_another_form_is_no_uuid(text: str) -> None:
    assert not is_uuid(text)


@pytest.mark.parametrize("value", [None, 5, ["x"], UUID(SOME)])
def test_what_is_no_text_is_no_uuid(value: object) -> None:
    assert not is_uuid(value)


def test_what_can_be_no_id_can_be_asked_for_all_the_same() -> None:
    assert stored_id("\ud800").isascii()
    assert "\0" not in stored_id("a\0")
    assert stored_id("\ud800") != stored_id("\ud801")


def test_an_id_is_stored_in_lower_case() -> None:
    made = uuid4()
    assert stored_id(str(made).upper()) == str(made)
