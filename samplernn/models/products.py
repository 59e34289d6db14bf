"""A product of a layer with its weights, in the precision of these."""

from __future__ import annotations

import tensorflow as tf


def product(x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """[..., in] by [in, out]: float32 [..., out], by one product of matrices."""
    rows = tf.reshape(tf.cast(x, kernel.dtype), [-1, x.shape[-1]])
    return tf.cast(tf.reshape(tf.matmul(rows, kernel), [*x.shape[:-1], kernel.shape[-1]]), tf.float32)
