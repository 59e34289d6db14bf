"""The space of a search as Ray knows it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from ray import tune

from samplernn.options.values import Range

DRAWS = 1000  # for each point that is to differ from those before


def domain(values: list | Range) -> tune.search.sample.Domain:
    """The values of a hyperparameter."""
    if not isinstance(values, Range):
        return tune.choice(values)
    return (
        tune.lograndint(values.least, values.most + 1) if values.whole else tune.loguniform(values.least, values.most)
    )


def distinct_points(space: dict[str, list | Range], number: int, seed: int) -> list[dict[str, Any]]:
    """So many points of a space, or all there are, in an order drawn by a seed."""
    domains = {name: domain(values) for name, values in space.items()}
    size, draw = math.prod(map(_size, space.values())), np.random.default_rng(seed)
    wanted, points = min(number, size), {}  # in order
    for _ in range(DRAWS * wanted):  # a range may hold fewer numbers than are wanted
        if len(points) == wanted:
            break
        point = {name: domain.sample(random_state=draw) for name, domain in domains.items()}
        points.setdefault(tuple(point.values()), point)
    return list(points.values())


def _size(values: list | Range) -> float:
    if not isinstance(values, Range):
        return len(values)
    return values.most - values.least + 1 if values.whole else math.inf
