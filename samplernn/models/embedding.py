"""What stands for a token."""

from __future__ import annotations

import tensorflow as tf

from samplernn.models.config import NO_ITEM


def look_up(table: tf.Tensor, tokens: tf.Tensor) -> tf.Tensor:
    """What stands for tokens of any shape, rows of a table [Q, width]; for NO_ITEM it is zeros."""
    return tf.where((tokens == NO_ITEM)[..., None], 0.0, tf.gather(table, tf.maximum(tokens, 0)))
