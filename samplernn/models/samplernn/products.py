"""Products of the layers with their weights: normalized or not, of rows as Keras has them, and of columns in a step."""

from __future__ import annotations

import keras
import tensorflow as tf


def normalized(kernel, gains, axis):
    """A kernel of these gains, one for each entry of an axis: g · v / ‖v‖ (Salimans and Kingma 2016, equation 2)."""
    kernel = tf.cast(kernel, tf.float32)
    along_axis = [-1 if i == axis else 1 for i in range(kernel.shape.rank)]
    return kernel * tf.reshape(tf.cast(gains, tf.float32) / _norms(kernel, axis), along_axis)


def _norms(kernel, axis):
    """The norm of what belongs to each entry of an axis."""
    others = [i for i in range(len(kernel.shape)) if i != axis]
    return tf.sqrt(tf.reduce_sum(tf.square(kernel), axis=others))


def add_gains(layer, kernel, axis, name):
    """Give a layer gains for one of its kernels, with which that is at first what it was."""
    return layer.add_weight(
        name=name, shape=[kernel.shape[axis]], initializer=lambda *_, **__: _norms(tf.convert_to_tensor(kernel), axis)
    )


class Dense(keras.layers.Dense):
    """Keras's, whose kernel may be normalized, with a gain for each output."""

    def __init__(self, units, weight_norm=False, **kwargs):
        super().__init__(units, **kwargs)
        self.weight_norm = weight_norm

    def build(self, input_shape):
        super().build(input_shape)
        if self.weight_norm:
            self.gains = add_gains(self, self.kernel, 1, "gains")

    def effective_kernel(self):
        """[in, out]."""
        return normalized(self.kernel, self.gains, 1) if self.weight_norm else self.kernel

    def call(self, inputs):
        if not self.weight_norm:
            return super().call(inputs)
        outputs = keras.ops.matmul(inputs, tf.cast(self.effective_kernel(), self.compute_dtype))
        return self.activation(outputs + self.bias)


def transposed(dense):
    """The weights of a Dense layer for `affine`."""
    bias = tf.zeros([dense.units]) if dense.bias is None else dense.bias
    return as_columns(dense.effective_kernel(), bias, dense.compute_dtype)


def as_columns(kernel, bias, dtype):
    """A kernel [in, out] and a bias [out] for `affine`."""
    return tf.cast(tf.transpose(kernel), dtype), tf.cast(bias[:, None], dtype)


def affine(weights, columns):
    """What a Dense layer does, without its activation: [in, B] to [out, B]."""
    kernel, bias = weights  # [out, in], [out, 1]
    return tf.matmul(kernel, tf.cast(columns, kernel.dtype)) + bias
