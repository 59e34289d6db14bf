"""Values over time: a number, or an envelope such as 0.75@0,1.1@5,0.8@10, which is kept as its text.

An envelope is a value at each of some seconds of what is generated: between them it is linear, before the first and
after the last it stays.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np  # otherwise where it is used: the command line needs nothing that is to be installed


def as_kept(text: str, parse: Callable[[str], float]) -> str:
    """An envelope as it is kept: each number in its shortest form.

    Args:
        parse: makes a value of its text; a ValueError says why that cannot be.

    Raises:
        ValueError: it is none; the message says why.
    """
    points = [_point(point, parse) for point in text.split(",")]
    kept = [(f"{second:.12g}", f"{value:.12g}") for second, value in points]
    for (before, _), (second, _) in zip(kept, kept[1:]):
        if float(second) <= float(before):
            raise ValueError(f"its seconds do not ascend: after {before} comes {second}")
    return ",".join(f"{value}@{second}" for second, value in kept)


def at(value: float | str, seconds: np.ndarray) -> np.ndarray:
    """The value at moments, float64 [n].

    Args:
        value: a number or an envelope.
        seconds: [n], from the first generated sample.
    """
    import numpy as np

    points = map(_point, value.split(",")) if isinstance(value, str) else [(0, value)]
    return np.interp(seconds, *zip(*points))


def _point(text: str, parse: Callable[[str], float] = float) -> tuple[float, float]:
    """Second and value of a point such as 0.75@0."""
    value, _, moment = text.partition("@")
    try:
        second = float(moment)
    except ValueError:
        raise ValueError(f"{text!r} is not a value at a second, such as 0.8@5") from None
    if not 0 <= second < math.inf:
        raise ValueError(f"{text!r} is not at a second from 0 up")
    return second, parse(value)
