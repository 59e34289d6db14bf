"""A product of a layer with its weights, in the precision of these, and the bias that is added to it."""

from __future__ import annotations

import tensorflow as tf


def product(x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """[..., in] by [in, out]: float32 [..., out], by one product of matrices."""
    rows = tf.reshape(tf.cast(x, kernel.dtype), [-1, x.shape[-1]])
    return tf.cast(tf.reshape(tf.matmul(rows, kernel), [*x.shape[:-1], kernel.shape[-1]]), tf.float32)


@tf.custom_gradient
def add_bias(x: tf.Tensor, bias: tf.Tensor):
    """float32 [..., out] plus [out]. The bias's gradient, a sum over all rows, is faster as a product with ones."""

    def gradient(upstream):
        rows = tf.reshape(upstream, [-1, upstream.shape[-1]])
        return upstream, tf.matmul(tf.ones([1, rows.shape[0]]), rows)[0]

    return x + bias, gradient
