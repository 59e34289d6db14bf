"""Averaged weights: what a training is validated with and generates with (Polyak and Juditsky 1992)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import keras
import tensorflow as tf

PREFIX = "averages/"  # of their keys in checkpoints, before those of the weights
STEPS = f"{PREFIX}steps"


class Averages:
    """An exponential average of each of some weights.

    After step t, from 0, it is d · average + (1 - d) · weight, where d = min(decay, (1 + t) / (10 + t)): with a decay
    alone it would for a long time be little but the initial weights.
    """

    def __init__(self, weights: dict[str, keras.Variable], decay: float):
        """To be made in the scope of the weights' strategy.

        Args:
            weights: by their keys in checkpoints.
            decay: in [0, 1).
        """
        self._weights = weights
        self._decay = decay
        self._swapped = False
        self._steps = _variable(0, "int32")
        self._slots = {key: _variable(weight.numpy(), weight.dtype) for key, weight in weights.items()}

    def begin(self) -> None:
        """Begin anew, with the weights as they are."""
        self._steps.assign(0)
        for key, slot in self._slots.items():
            slot.assign(self._weights[key].numpy())

    def update(self) -> None:
        """Take in the weights after one more step; each replica calls it."""
        step = tf.cast(self._steps.value, tf.float32)
        decay = tf.minimum(self._decay, (1 + step) / (10 + step))
        for key, slot in self._slots.items():
            slot.assign(decay * slot.value + (1 - decay) * self._weights[key].value)
        self._steps.assign_add(1)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Have the averages in the place of the weights meanwhile."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    def _swap(self) -> None:
        for key, slot in self._slots.items():
            weight = self._weights[key].numpy()
            self._weights[key].assign(slot.numpy())
            slot.assign(weight)
        self._swapped = not self._swapped

    def by_key(self) -> dict[str, keras.Variable]:
        """What checkpoints hold of them, by their keys; and, of the weights, those whose place they take just now."""
        averages, weights = (self._weights, self._slots) if self._swapped else (self._slots, {})
        return {STEPS: self._steps} | {PREFIX + key: average for key, average in averages.items()} | weights


def _variable(value, dtype: str) -> keras.Variable:
    return keras.Variable(value, dtype=dtype, trainable=False, aggregation="only_first_replica")
