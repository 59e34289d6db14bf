"""Averaged weights: what a training is validated with and generates with (Polyak and Juditsky 1992)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING

import keras
import tensorflow as tf

if TYPE_CHECKING:
    from samplernn.models.model import Model

PREFIX = "averages/"  # of their keys in checkpoints, before those of the weights
STEPS = f"{PREFIX}steps"


class Averages:
    """An exponential average of each trainable weight of a model.

    After step t, from 0, it is d · average + (1 - d) · weight, where d = min(decay, (1 + t) / (10 + t)): with a decay
    alone it would for a long time be little but the initial weights.
    """

    def __init__(self, model: Model, decay: float):
        """To be made in the scope of the model's strategy."""
        self._decay = decay
        self._model = model
        self._swapped = False
        self._steps = _variable(0, "int32")
        self._slots = [_variable(variable.numpy(), variable.dtype) for variable in model.trainable_variables]

    def begin(self) -> None:
        """Begin anew, with the weights as they are."""
        self._steps.assign(0)
        for variable, slot in zip(self._model.trainable_variables, self._slots):
            slot.assign(variable.numpy())

    def update(self) -> None:
        """Take in the weights after one more step; each replica calls it."""
        step = tf.cast(self._steps.value, tf.float32)
        decay = tf.minimum(self._decay, (1 + step) / (10 + step))
        for variable, slot in zip(self._model.trainable_variables, self._slots):
            slot.assign(decay * slot.value + (1 - decay) * variable.value)
        self._steps.assign_add(1)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Have the model compute with the averages meanwhile."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    def _swap(self) -> None:
        for variable, slot in zip(self._model.trainable_variables, self._slots):
            weight = variable.numpy()
            variable.assign(slot.numpy())
            slot.assign(weight)
        self._swapped = not self._swapped

    def by_key(self) -> dict[str, keras.Variable]:
        """What checkpoints hold of them, by their keys; and, of the weights, those whose place they take just now."""
        keys = [self._model.checkpoint_key(variable) for variable in self._model.trainable_variables]
        averaged, others = self._slots, []
        if self._swapped:
            averaged, others = self._model.trainable_variables, self._slots
        return (
            {STEPS: self._steps} | {PREFIX + key: slot for key, slot in zip(keys, averaged)} | dict(zip(keys, others))
        )


def _variable(value, dtype: str) -> keras.Variable:
    return keras.Variable(value, dtype=dtype, trainable=False, aggregation="only_first_replica")


def averaged(model: Model):
    """A context in which a model computes with its averages, if it has any."""
    return model.averages.in_place() if model.averages else nullcontext()
