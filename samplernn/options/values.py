"""The values that an option takes: how a flag's text becomes one, what JSON may hold, what they are called."""

from __future__ import annotations

import errno
import math
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from samplernn.options import envelope
from samplernn.system.words import is_address, shortened

MAX_SAMPLE_RATE = 10**6  # Hz
TO = ".."  # between the ends of a range


@dataclass(frozen=True)
class Values:
    """A kind of value.

    Attributes:
        expected: what they are, as a message says it after "must be".
        parse: makes one of a flag's text; a ValueError says why that cannot be.
        holds: whether something read from JSON is one.
        choices: all of them, where they are few names.
        none: the word for None, where that is one too.
        numeric: whether they are numbers, of which a search may be given a range.
        several: whether an option has any number of them, as a tuple.
        optional_on_flag: whether the flag without a value is True.
    """

    expected: str
    parse: Callable[[str], Any]
    holds: Callable[[Any], bool] = lambda value: isinstance(value, str)
    choices: tuple[str, ...] = ()
    none: str | None = None
    numeric: bool = False
    several: bool = False
    optional_on_flag: bool = False


@dataclass(frozen=True)
class Range:
    """All numbers from one to another, of which a search draws such that their logarithms are spread evenly.

    Attributes:
        least: the first; whole numbers where it is one.
        most: the last, of the same type.
    """

    least: float
    most: float

    def __str__(self) -> str:
        return f"{self.least}{TO}{self.most}"

    @property
    def whole(self) -> bool:
        """Whether it is one of whole numbers."""
        return isinstance(self.least, int)

    def nearest(self, number: float) -> float:
        """The number of the range that is nearest to one."""
        return min(max(type(self.least)(number), self.least), self.most)


def parse_range(values: Values, text: str) -> Range:
    """The range of such values that a flag's text says; a ValueError says why that cannot be."""
    least, most = (values.parse(end) if end else None for end in text.split(TO, 1))
    if None in (least, most) or not 0 < least < most:
        expected = f"a range from a number above 0 to a larger one, such as 0.1{TO}10, without spaces"
        raise ValueError(f"{shortened(text)} is not {expected}")
    return Range(least, most)


def _numbers(kind: type, holds: Callable[[Any], bool], expected: str) -> Values:
    def parse(text: str) -> Any:
        try:
            value = kind(text)
            if math.isfinite(value) and holds(value):
                return value
        except (ValueError, OverflowError):
            pass
        raise ValueError(f"{shortened(text)} is not {expected}")

    def is_one(value: Any) -> bool:
        return type(value) in (int, kind) and value not in (math.inf, -math.inf) and holds(value)

    return Values(expected, parse, is_one, numeric=True)


def whole(least: int, most: int | None = None) -> Values:
    """Whole numbers from the least to the most, or of 31 bits."""
    expected = f"a whole number from {least} " + (f"to {most}" if most else "up")
    return _numbers(int, lambda value: least <= value <= (most or 2**31 - 1), expected)


def number(least: float, most: float) -> Values:
    """Numbers from the least to the most."""
    return _numbers(float, lambda value: least <= value <= most, f"a number from {least:g} to {most:g}")


def one_of(*choices: str) -> Values:
    """Some names."""

    def parse(text: str) -> str:
        if text in choices:
            return text
        raise ValueError(f"{shortened(text)} is none of {', '.join(choices)}")

    return Values(" or ".join(choices), parse, lambda value: value in choices, choices)


def optional(values: Values) -> Values:
    """Those, or None."""
    return _or_none(values, "None")


def automatic(values: Values) -> Values:
    """Those, or `auto`, which is None."""
    return _or_none(values, "auto")


def _or_none(values: Values, word: str) -> Values:
    def parse(text: str) -> Any:
        if text.lower() == word.lower():
            return None
        try:
            return values.parse(text)
        except ValueError as error:
            raise ValueError(f"{error}, nor {word}") from None

    return replace(
        values,
        expected=f"{values.expected}, or {word}",
        parse=parse,
        holds=lambda value: value is None or values.holds(value),
        none=word,
        optional_on_flag=False,
    )


def several(values: Values, expected: str | None = None) -> Values:
    """Any number of those, from one up."""

    def all_hold(value: Any) -> bool:
        return isinstance(value, (list, tuple)) and bool(value) and all(map(values.holds, value))

    return replace(values, expected=expected or values.expected, holds=all_hold, numeric=False, several=True)


def over_time(numbers: Values, name: str, example: str) -> Values:
    """Numbers that are called so, or envelopes of them, of which there is an example."""

    def parse(text: str) -> float | str:
        if "@" not in text:
            return numbers.parse(text)
        try:
            return envelope.as_kept(text, numbers.parse)
        except ValueError as error:
            raise ValueError(f"{shortened(text)} is no envelope such as {example}: {error}") from None

    return Values(f"{name}, or an envelope such as {example}", parse)


def _parse_boolean(text: str) -> bool:
    """True or False in any case, or a beginning of either."""
    for name, value in (("true", True), ("false", False)):
        if text and name.startswith(text.lower()):
            return value
    raise ValueError(f"{shortened(text)!r} is neither True nor False")


def _parse_path(text: str) -> str:
    """What can be the path of a file or a folder, be there one or not."""
    if not text:
        raise ValueError("it is empty; name a file or a folder")
    try:
        text.encode()
        os.lstat(text)
    except UnicodeEncodeError:
        raise ValueError(f"{shortened(text)} is not text in UTF-8; rename it") from None
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise ValueError(f"{shortened(text)} is too long for a name; shorten it") from None
    return text


def _parse_folder_name(text: str) -> str:
    if not text or "/" in text or "\\" in text:
        raise ValueError(f"{shortened(text)!r} is not the name of one folder")
    if text.startswith("."):  # as does that of the codes of all runs
        raise ValueError(f"{shortened(text)!r} begins with a dot, as only hidden folders do")
    return text


def _parse_policy(text: str) -> str:
    policies = {"always": "Always", "all": "Always", "best": "Best"}
    if text.lower() in policies:
        return policies[text.lower()]
    raise ValueError(f"{shortened(text)!r} is neither Always (or All) nor Best")


def _parse_address_of_page(text: str) -> str:
    with suppress(ValueError):  # of what is no address at all
        if urlsplit(text).scheme in ("http", "https") and urlsplit(text).hostname:
            return text
    raise ValueError(f"{shortened(text)!r} is not an address that begins with http:// or https://")


def _parse_address(text: str) -> str:
    if is_address(text):
        return text
    raise ValueError(f"{shortened(text)!r} is not the address of a cluster, such as 10.0.0.1:6379")


BOOLEAN = Values("true or false", _parse_boolean, lambda value: isinstance(value, bool), optional_on_flag=True)
PATH = Values("a path", _parse_path)
FOLDER_NAME = Values("the name of one folder", _parse_folder_name)
SAMPLE_RATE = _numbers(int, lambda value: 1 <= value <= MAX_SAMPLE_RATE, "a rate in Hz, such as 16000")
SECONDS = _numbers(float, lambda value: 0 < value <= 10**6, "a number of seconds above 0")
NOT_NEGATIVE = _numbers(float, lambda value: value >= 0, "a number from 0 up")
POSITIVE = _numbers(float, lambda value: value > 0, "a number above 0")
PROBABILITY = _numbers(float, lambda value: 0 < value <= 1, "a number above 0, up to 1")
FRACTION = _numbers(float, lambda value: 0 <= value < 1, "a number from 0 to below 1")
DECIBELS = _numbers(float, lambda value: value < 0, "a number of dB below 0, such as -64")
GPUS = _numbers(
    float,
    lambda value: 0 <= value < 1 or value == int(value) > 0,
    "0, a fraction of one GPU such as 0.5, or a whole number of them",
)
TEMPERATURE = over_time(
    _numbers(float, lambda value: 1e-6 <= value <= 1e6, "a number from 0.000001 to 1000000, such as 0.95"),
    "a temperature",
    "0.75@0,1.1@5",
)
SHARE = over_time(number(0, 1), "a share from 0 to 1", "0@0,1@30")
POLICY = Values("Always or Best", _parse_policy)
ADDRESS_OF_PAGE = Values("an address that begins with http:// or https://", _parse_address_of_page)
ADDRESS = Values("the address of a cluster, such as 10.0.0.1:6379", _parse_address)
