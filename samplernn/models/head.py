"""From what the layers before have summed to the logits of the next item (WaveNet paper, section 2.4)."""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from samplernn.models.products import LayerOfProducts, add_bias, product


class HeadWeights(NamedTuple):
    """What a head computes with: kernels in its precision, biases in float32.

    Attributes:
        hidden_kernel, hidden_bias: [width, width] and [width].
        kernel, bias: [width, Q] and [Q].
    """

    hidden_kernel: tf.Tensor
    hidden_bias: tf.Tensor
    kernel: tf.Tensor
    bias: tf.Tensor


class Head(LayerOfProducts):
    """Two dense layers, with a relu before each."""

    def __init__(self, width: int, levels: int, **kwargs):
        super().__init__(**kwargs)
        self.width = width
        self.levels = levels

    def build(self, input_shape=None):
        self.hidden_kernel = self.add_weight(name="hidden_kernel", shape=[self.width, self.width])
        self.hidden_bias = self.add_weight(name="hidden_bias", shape=[self.width], initializer="zeros")
        self.kernel = self.add_weight(name="kernel", shape=[self.width, self.levels])
        self.bias = self.add_weight(name="bias", shape=[self.levels], initializer="zeros")

    def step_weights(self) -> HeadWeights:
        hidden_kernel, kernel = (tf.cast(kernel, self.compute_dtype) for kernel in (self.hidden_kernel, self.kernel))
        hidden_bias, bias = map(tf.convert_to_tensor, (self.hidden_bias, self.bias))
        return HeadWeights(hidden_kernel, hidden_bias, kernel, bias)

    def call(self, x, weights=None):
        """float32 [..., width] to float32 logits [..., Q]."""
        weights = weights or self.step_weights()
        hidden = tf.nn.relu(add_bias(product(tf.nn.relu(x), weights.hidden_kernel), weights.hidden_bias))
        return add_bias(product(hidden, weights.kernel), weights.bias)
