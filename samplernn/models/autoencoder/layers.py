"""The layers of encoder and modulator (Dieleman et al., 2018, section 3.3 and appendix A). B batch, T steps in time.

Time comes first, [T, B, channels]. No convolution pads: what leaves it is shorter by its context, which the caller has
to give. So a stretch gets the same codes in whatever window it lies. Products are in the layers' precision, all sums in
float32.
"""

from __future__ import annotations

from collections.abc import Sequence

import keras
import tensorflow as tf

from samplernn.models.products import LayerOfProducts, add_bias, gated, product


class Dense(LayerOfProducts):
    """A product, and a bias where there is one."""

    def __init__(self, inputs: int, outputs: int, bias: float | None = 0.0, **kwargs):
        """`bias` is what it begins at; None: there is none."""
        super().__init__(**kwargs)
        self.shape = [inputs, outputs]
        self.begins_at = bias

    def build(self, input_shape=None):
        self.kernel = self.add_weight(name="kernel", shape=self.shape)
        if self.begins_at is not None:
            begins_at = keras.initializers.Constant(self.begins_at)
            self.bias = self.add_weight(name="bias", shape=self.shape[1:], initializer=begins_at)

    def call(self, x):
        """float32 [..., in] to float32 [..., out]."""
        x = product(x, tf.cast(self.kernel, self.compute_dtype))
        return x if self.begins_at is None else add_bias(x, tf.convert_to_tensor(self.bias))


class Block(LayerOfProducts):
    """A dilated convolution that looks as far ahead as back, its gate, and what is added to what it was given."""

    def __init__(self, width: int, taps: int, dilation: int, **kwargs):
        super().__init__(**kwargs)
        self.width = width
        self.taps = taps
        self.dilation = dilation

    def build(self, input_shape=None):
        width = self.width
        self.kernel = self.add_weight(name="kernel", shape=[self.taps, width, 2 * width])  # the oldest tap first
        self.bias = self.add_weight(name="bias", shape=[2 * width], initializer="zeros")
        self.output_kernel = self.add_weight(name="output_kernel", shape=[width, width])
        self.output_bias = self.add_weight(name="output_bias", shape=[width], initializer="zeros")

    def call(self, x, training=False):
        """[T + (taps - 1) · dilation, B, width] to [T, B, width]."""
        length = x.shape[0] - (self.taps - 1) * self.dilation
        at_tap = [slice(tap * self.dilation, tap * self.dilation + length) for tap in range(self.taps)]
        kernels = tf.unstack(tf.cast(self.kernel, self.compute_dtype))
        if training:
            seen = [product(x[at], kernel) for at, kernel in zip(at_tap, kernels)]
        else:  # one product, shifted afterwards: faster, where there is no gradient
            by_tap = tf.split(product(x, tf.concat(kernels, axis=-1)), self.taps, axis=-1)
            seen = [of_tap[at] for of_tap, at in zip(by_tap, at_tap)]
        gates = add_bias(sum(seen), tf.convert_to_tensor(self.bias))
        leaving = product(gated(gates), tf.cast(self.output_kernel, self.compute_dtype))
        return x[at_tap[self.taps // 2]] + add_bias(leaving, tf.convert_to_tensor(self.output_bias))


class Blocks(keras.layers.Layer):
    """One behind the other."""

    def __init__(self, width: int, taps: int, dilations: Sequence[int], **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.depth = len(dilations)
        for number, dilation in enumerate(dilations):
            block = Block(width, taps, dilation, dtype=self.dtype_policy, name=f"block_{number}")
            setattr(self, block.name, block)

    def build(self, input_shape=None):
        for number in range(self.depth):
            getattr(self, f"block_{number}").build()
        self.built = True

    def call(self, x, training=False):
        """[T + the context on both sides, B, width] to [T, B, width]."""
        for number in range(self.depth):
            x = getattr(self, f"block_{number}")(x, training=training)
        return x
