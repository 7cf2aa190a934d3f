"""What can go wrong with what the user gave, each in one line."""

from __future__ import annotations


class DocumentError(Exception):
    """The document can't be used; the text says why, and reads well after the document's name.

    Trying again does not help.
    """


class ReferenceFault(Exception):
    """A `$ref` leads nowhere, or to where the demo does not follow it."""


class NoSample(Exception):
    """No value that fits a schema was found within the bounds."""


class Unavailable(Exception):
    """The server answered 429, 502, 503 or 504, or not at all; trying again may help."""


class OtherPlan(Exception):
    """A run can't be resumed as asked: it was begun with other choices."""
