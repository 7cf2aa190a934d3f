"""Text from elsewhere, made harmless for a terminal."""

from __future__ import annotations


def plain(text: str) -> str:
    """*text* in one line, in which control codes, and marks that turn the direction of writing, are only shown.

    They look as in Python's `repr`. Give it to rich as `Text`, not as markup.
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def plain_lines(text: str) -> list[str]:
    """The lines of *text*, such as a traceback's, each as `plain` makes it; only "\\n" ends a line."""
    return [plain(line) for line in text.rstrip("\n").split("\n")]
