"""How numbers, names and lists are put into words."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import Any

NAMES_SHOWN = 10


def printable(text: str) -> str:
    """Text whose characters a terminal shows, whatever a file system lets into names: others would move its cursor."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def shortened(text: str) -> str:
    """Text that a message can quote, whatever its length."""
    return text if len(text) <= 80 else f"{text[:77]}..."


def within_bytes(text: str, most: int) -> str:
    """The beginning of a text that is no longer than so many bytes in UTF-8."""
    return text.encode("utf-8", "ignore")[:most].decode("utf-8", "ignore")


def counted(number: int, noun: str) -> str:
    """For instance `1 file` or `2 files`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def commonest_first(item: tuple[Any, int]) -> tuple[int, Any]:
    """The key by which values and their counts are sorted; of equally many, the least comes first."""
    value, count = item
    return -count, value


def listed(names: Sequence[str], separator: str = ", ", most: int = NAMES_SHOWN) -> str:
    """As many names as one can take in, and how many more there are."""
    rest = len(names) - most
    return separator.join(names[:most]) + (f" and {rest} more" if rest > 0 else "")


def format_duration(seconds: float) -> str:
    """For instance `1 min 11.235 sec`."""
    minutes, seconds = divmod(round(seconds, 3), 60)
    hours, minutes = divmod(int(minutes), 60)
    parts = [f"{hours} hr"] * bool(hours) + [f"{minutes} min"] * bool(hours or minutes) + [f"{seconds:.3f} sec"]
    return " ".join(parts)


def roughly(seconds: float) -> str:
    """To the second or, from an hour on, to the minute: for instance `11 min 44 sec`."""
    minutes, whole = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} hr {minutes} min"
    if minutes:
        return f"{minutes} min {whole} sec"
    return f"{whole} sec" if whole else "less than a second"


def did_you_mean(name: str, known: Iterable[str], shown: str) -> str | None:
    """Ask for the known names that an unknown one may stand for, by their initials or their spelling; None if none may.

    Args:
        name: the unknown one.
        known: with underscores between words.
        shown: how a name is shown, `{}` in its place.
    """
    known = sorted(known)
    by_initials = [other for other in known if "".join(word[:1] for word in other.split("_")) == name.lower()]
    near = by_initials or difflib.get_close_matches(name.lower().replace("-", "_"), known, n=1)
    return f"did you mean {' or '.join(map(shown.format, near))}?" if near else None


def is_address(value: Any) -> bool:
    """Whether it is text such as host:6379."""
    host, _, port = value.rpartition(":") if isinstance(value, str) else ("", "", "")
    return host != "" and "/" not in host and port.isdecimal()


def nearest_multiples(value: int, divisor: int) -> str:
    """The multiples of a divisor on both sides of a value, as a remedy names them; 0 is none."""
    lower = value // divisor * divisor
    return f"{lower} or {lower + divisor}" if lower else f"{divisor}"
