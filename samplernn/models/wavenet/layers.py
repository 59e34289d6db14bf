"""The layers (WaveNet paper, sections 2.1 to 2.4). B batch, S samples, Q levels.

Time comes first, [S, B, channels], so that what a filter sees at one of its taps lies in one piece. Products are in the
layers' precision, all sums in float32.
"""

from __future__ import annotations

from typing import NamedTuple

import keras
import tensorflow as tf

from samplernn.audio.quantize import quantizer
from samplernn.models.dropout import drop_channels
from samplernn.models.embedding import look_up
from samplernn.models.products import LayerOfProducts, add_bias, gated, product
from samplernn.models.tokens import TokensConfig
from samplernn.models.wavenet.config import WaveNetConfig


class Input(keras.layers.Layer):
    """What stands for each level: an embedding, or its audio projected, which are both a row of a table."""

    def __init__(self, config: TokensConfig, width: int, **kwargs):
        """`config` has an `input_format`; `width` is the number of numbers that stand for a level."""
        super().__init__(dtype="float32", **kwargs)
        self.config = config
        self.width = width

    def build(self, input_shape=None):
        width = self.width
        if self.config.input_format == "one-hot":
            self.embeddings = self.add_weight(name="embeddings", shape=[self.config.q_levels, width])
        else:
            self.kernel = self.add_weight(name="kernel", shape=[1, width])
            self.bias = self.add_weight(name="bias", shape=[width], initializer="zeros")

    def table(self) -> tf.Tensor:
        """[Q, width]."""
        if self.config.input_format == "one-hot":
            return tf.convert_to_tensor(self.embeddings)
        levels = quantizer(self.config.q_type, self.config.q_levels).decode(range(self.config.q_levels))
        return tf.matmul(levels[:, None], self.kernel) + self.bias

    def call(self, tokens):
        """Tokens of any shape to [..., width]."""
        return look_up(self.table(), tokens)


class BlockWeights(NamedTuple):
    """What a block computes with: kernels in its precision, biases in float32.

    Attributes:
        taps: a kernel for each, the oldest first, [residual, 2 · inner].
        kernel: all of them as one, [filter_length · residual, 2 · inner].
        bias: of the convolution, [2 · inner].
        output_kernel, output_bias: of what leaves it.
    """

    taps: list[tf.Tensor]
    kernel: tf.Tensor
    bias: tf.Tensor
    output_kernel: tf.Tensor
    output_bias: tf.Tensor


class Block(LayerOfProducts):
    """A dilated causal convolution, its gate, and what leaves it to the next block and to the sum of the skips.

    The last block of a network has no next one.
    """

    def __init__(self, dilation, config: WaveNetConfig, is_last: bool, dropout_seed, **kwargs):
        super().__init__(**kwargs)
        self.dilation = dilation
        self.config = config
        self.is_last = is_last
        self.dropout_seed = dropout_seed

    def build(self, input_shape=None):
        taps, width, inner = self.config.filter_length, self.config.residual_size, self.config.inner_size
        leaving = self.config.skip_size + (0 if self.is_last else width)
        self.kernel = self.add_weight(name="kernel", shape=[taps, width, 2 * inner])  # the oldest tap first
        self.bias = self.add_weight(name="bias", shape=[2 * inner], initializer="zeros")
        self.output_kernel = self.add_weight(name="output_kernel", shape=[inner, leaving])
        self.output_bias = self.add_weight(name="output_bias", shape=[leaving], initializer="zeros")

    def step_weights(self) -> BlockWeights:
        kernel = tf.cast(self.kernel, self.compute_dtype)
        return BlockWeights(
            tf.unstack(kernel),
            tf.reshape(kernel, [-1, kernel.shape[-1]]),
            tf.convert_to_tensor(self.bias),
            tf.cast(self.output_kernel, self.compute_dtype),
            tf.convert_to_tensor(self.output_bias),
        )

    def call(self, x, history, condition=None, training=False):
        """Run over a window.

        Args:
            x: [S, B, residual].
            history: its last inputs before the window, [(filter_length - 1) · dilation, residual, B].
            condition: what is added before the gate, [N, B, 2 · inner], each for S / N samples.

        Returns:
            The next block's input, the skip [S, B, skip], and the last inputs after the window.
        """
        length, weights = x.shape[0], self.step_weights()
        heard = tf.concat([tf.transpose(history, [0, 2, 1]), x], axis=0)
        next_history = tf.transpose(heard[length:], [0, 2, 1])
        if training and self.config.dropout:
            heard = drop_channels(heard, self.config.dropout, self.dropout_seed, rows=1)
        gates = self.convolve_newest(heard[-length:], self.convolve_past(heard, length, weights), weights)
        if condition is not None:
            of_each = tf.reshape(gates, [condition.shape[0], -1, *gates.shape[1:]])
            gates = tf.reshape(of_each + condition[:, None], gates.shape)
        return *self.leave(x, gates, weights), next_history

    def convolve_past(self, heard, length, weights):
        """What the convolution makes of all its taps but the newest, for so many samples.

        Args:
            heard: from the first sample's oldest tap on, [length or more, B, residual].

        Returns:
            [length, B, 2 · inner], with the bias.
        """
        past = enumerate(weights.taps[:-1])
        convolved = sum(product(heard[tap * self.dilation :][:length], kernel) for tap, kernel in past)
        return add_bias(convolved, weights.bias)

    def convolve_newest(self, x, past, weights):
        """The convolution, where that of all taps but the newest is known: [..., residual] to [..., 2 · inner]."""
        return past + product(x, weights.taps[-1])

    def convolve(self, taps, weights):
        """The convolution at one sample, in one product: what each tap sees [B, residual] to [B, 2 · inner]."""
        return add_bias(product(tf.concat(taps, axis=-1), weights.kernel), weights.bias)

    def leave(self, x, gates, weights):
        """What leaves the block.

        Args:
            x: its input, [..., residual].
            gates: its convolution, [..., 2 · inner].

        Returns:
            The next block's input, [..., residual], and the skip, [..., skip].
        """
        leaving = product(gated(gates), weights.output_kernel)
        leaving = add_bias(leaving, weights.output_bias)
        if self.is_last:
            return x, leaving
        residual = self.config.residual_size
        return x + leaving[..., :residual], leaving[..., residual:]
