"""What cannot be described: errors, and other things that handlers raise or end with."""

from __future__ import annotations


class Mute:
    """Something that cannot say what it is."""

    def __repr__(self) -> str:
        raise ValueError

    __str__ = __repr__


class MuteError(Mute, BaseException):
    """An error of the kind that ends programs, and cannot even be shown."""


class BadNotes(Exception):
    """An error whose traceback cannot be made."""

    def __getattribute__(self, name: str) -> object:
        if name == "__notes__":
            raise ValueError
        return super().__getattribute__(name)
