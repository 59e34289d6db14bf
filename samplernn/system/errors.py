"""What ends a script with one line instead of a traceback."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class InputError(Exception):
    """What the user gave cannot be used: the message is one line that names it and the remedy."""

    exit_status = 2


class RunError(Exception):
    """What was asked for is sound, but the machine or the numbers refuse: one line, as InputError."""

    exit_status = 1


@contextmanager
def naming(what: str) -> Iterator[None]:
    """Have an InputError begin with the flag or the file that it is about."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{what}: {error}") from None


def in_words(error: Exception) -> str:
    """What an error says to a user: of the system's errors, what they are about, too."""
    return f"{error.filename or 'the system'}: {error.strerror or error}" if isinstance(error, OSError) else str(error)
