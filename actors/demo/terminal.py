"""Text from elsewhere, made harmless for a terminal."""

from __future__ import annotations


def plain(text: str) -> str:
    """*text* in one line, in which control codes, and marks that turn the direction of writing, are only shown.

    Give it to rich as `Text`, not as markup.
    """
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
