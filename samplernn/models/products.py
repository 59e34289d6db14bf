"""A product of a layer with its weights, in the precision of these, the bias that is added to it, and such layers."""

from __future__ import annotations

import keras
import tensorflow as tf


class LayerOfProducts(keras.layers.Layer):
    """One whose products alone are in its precision: Keras rounds neither its input nor its weights."""

    def __init__(self, **kwargs):
        super().__init__(autocast=False, **kwargs)

    def add_weight(self, **kwargs):
        return super().add_weight(autocast=False, **kwargs)  # whichever layer calls


def product(x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """[..., in] by [in, out]: float32 [..., out], by one product of matrices."""
    rows = tf.reshape(tf.cast(x, kernel.dtype), [-1, x.shape[-1]])
    return tf.cast(tf.reshape(tf.matmul(rows, kernel), [*x.shape[:-1], kernel.shape[-1]]), tf.float32)


def gated(gates: tf.Tensor) -> tf.Tensor:
    """A gated layer's output, [..., inner], of its two halves, [..., 2 · inner] (WaveNet paper, section 2.3)."""
    filtered, gate = tf.split(gates, 2, axis=-1)
    return tf.tanh(filtered) * tf.sigmoid(gate)


@tf.custom_gradient
def add_bias(x: tf.Tensor, bias: tf.Tensor):
    """float32 [..., out] plus [out]. The bias's gradient, a sum over all rows, is faster as a product with ones."""

    def gradient(upstream):
        rows = tf.reshape(upstream, [-1, upstream.shape[-1]])
        return upstream, tf.matmul(tf.ones([1, rows.shape[0]]), rows)[0]

    return x + bias, gradient
