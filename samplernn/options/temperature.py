"""Temperatures: a number, or an envelope over time, such as 0.75@0,1.1@5,0.8@10, which is kept as its text.

An envelope is a temperature at each of some seconds of the generated audio: between them it is linear, before the
first and after the last it stays.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np  # otherwise where it is used: the command line needs nothing that is to be installed

LOWEST, HIGHEST = 1e-6, 1e6
LIMITS = f"from {LOWEST:f} to {HIGHEST:.0f}"


def is_temperature(value: float) -> bool:
    """Whether a network can be sampled at it."""
    return LOWEST <= value <= HIGHEST


def envelope(text: str) -> str:
    """An envelope as it is kept: each number in its shortest form.

    Raises:
        ValueError: it is none; the message says why.
    """
    points = [_point(point) for point in text.split(",")]
    for (before, _), (second, _) in zip(points, points[1:]):
        if second <= before:
            raise ValueError(f"its seconds do not ascend: after {before:.12g} comes {second:.12g}")
    return ",".join(f"{value:.12g}@{second:.12g}" for second, value in points)


def at(temperature: float | str, seconds: np.ndarray) -> np.ndarray:
    """The temperature at moments, float64 [n].

    Args:
        temperature: a number or an envelope.
        seconds: [n], from the first generated sample.
    """
    import numpy as np

    points = map(_point, temperature.split(",")) if isinstance(temperature, str) else [(0, temperature)]
    return np.interp(seconds, *zip(*points))


def _point(text: str) -> tuple[float, float]:
    """Second and temperature of a point such as 0.75@0."""
    try:
        value, second = map(float, text.split("@"))
    except ValueError:
        raise ValueError(f"{text!r} is not a temperature at a second, such as 1.1@5") from None
    if not is_temperature(value):
        raise ValueError(f"the temperature of {text!r} is not {LIMITS}")
    if not 0 <= second < math.inf:
        raise ValueError(f"{text!r} is not at a second from 0 up")
    return second, value
