"""Dropout of whole channels, the same for all steps of a window."""

from __future__ import annotations

import keras
import tensorflow as tf

from samplernn.system.distribution import own_rows


def drop_channels(x: tf.Tensor, fraction: float, seed: keras.random.SeedGenerator, rows: int) -> tf.Tensor:
    """Zero a part of each row's channels and scale the others up.

    What is dropped is drawn for the whole batch by each replica, which takes its own rows of it.

    Args:
        x: [B, T, channels], or [T, B, channels].
        fraction: of the channels that is dropped, in expectation.
        seed: from which it is drawn.
        rows: which axis is that of the rows, 0 or 1.
    """

    def draw(number):
        return keras.random.dropout(tf.ones([number, 1, x.shape[2]], x.dtype), fraction, seed=seed)

    kept = own_rows(draw, x.shape[rows]) > 0
    if rows == 1:
        kept = tf.transpose(kept, [1, 0, 2])
    return tf.where(kept, x * (1 / (1 - fraction)), tf.zeros([], x.dtype))
