"""What ends a script with one line instead of a traceback."""

from __future__ import annotations


class InputError(Exception):
    """What the user gave cannot be used: the message is one line that names it and the remedy."""

    exit_status = 2


class RunError(Exception):
    """What was asked for is sound, but the machine or the numbers refuse: one line, as InputError."""

    exit_status = 1


def in_words(error: Exception) -> str:
    """What an error says to a user: of the system's errors, what they are about, too."""
    return f"{error.filename or 'the system'}: {error.strerror or error}" if isinstance(error, OSError) else str(error)


def printable(text: str) -> str:
    """Text whose characters a terminal shows, whatever a file system lets into names: others would move its cursor."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
