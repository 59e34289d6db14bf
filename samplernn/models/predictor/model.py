"""The network, over a window and item by item. B batch, S items, Q levels, r receptive field.

Dieleman, van den Oord and Simonyan: The challenge of realistic music generation, 2018, section 4.2: the NLL of such
networks over r, a predictability profile, tells how far back what predicts a sequence lies.
"""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from samplernn.audio.quantize import quantizer
from samplernn.models.embedding import look_up
from samplernn.models.head import Head, HeadWeights
from samplernn.models.likelihood import categorical, mean_nll
from samplernn.models.model import AutoregressiveModel, Outcome
from samplernn.models.predictor.config import PredictorConfig
from samplernn.models.products import product


class Weights(NamedTuple):
    """What the network computes with: kernels in its precision, all else float32.

    Attributes:
        table: what stands for each level, [Q, item].
        kernel: of the convolution, the oldest tap first, [r, item, hidden].
        bias: of the convolution, [hidden].
        head: of the two dense layers.
    """

    table: tf.Tensor
    kernel: tf.Tensor
    bias: tf.Tensor
    head: HeadWeights


class Predictor(AutoregressiveModel):
    """A causal convolution over the last r items and two dense layers, a relu before each.

    A window's left context holds all that is heard before it, so there is no state: it is the empty tuple. Where r is
    0, nothing is heard, and what is learnt is how often each level is.
    """

    def __init__(self, config: PredictorConfig, precision: str = "float32"):
        super().__init__(config, precision, name="predictor")
        self.head = Head(config.hidden_size, config.q_levels, dtype=precision, name="head")
        self.build()

    def build(self, input_shape=None):
        config = self.config
        taps, item, hidden, levels = config.receptive_field, config.item_size, config.hidden_size, config.q_levels
        if config.has_embedding:
            self.embeddings = self.add_weight(name="embeddings", shape=[levels, item])
        if taps:
            self.kernel = self.add_weight(name="kernel", shape=[taps, item, hidden])
        # Where nothing is heard, no gradient would come through the relus of zeros.
        self.bias = self.add_weight(name="bias", shape=[hidden], initializer="random_uniform")
        self.head.build()
        self.built = True

    def initial_state(self, rows):
        return ()

    def forward(self, x, y, state, training):
        logits = self.call(x)  # by self(x) Keras would hand out the biases in the network's precision
        sums = categorical(logits, y, training)
        return Outcome(mean_nll(sums), sums, state)

    def call(self, tokens):
        """Predict every item from the true ones before it (teacher forcing).

        Args:
            tokens: int [B, left + S].

        Returns:
            Logits [B, S, Q] for the last S of `tokens`.
        """
        weights = self.step_weights()
        return self.head(self._convolve(look_up(weights.table, tokens[:, :-1]), weights), weights.head)

    def _convolve(self, heard, weights):
        """The convolution of items [B, left + n - 1, item]: float32 [B, n, hidden]."""
        rows, length, _ = heard.shape
        if not self.config.receptive_field:
            return tf.broadcast_to(weights.bias, [rows, length, self.config.hidden_size])
        kernel = weights.kernel
        return tf.cast(tf.nn.conv1d(tf.cast(heard, kernel.dtype), kernel, 1, "VALID"), tf.float32) + weights.bias

    # --- Generation ---

    def read(self, items, state, conditioning=None):
        return state

    def step_weights(self):
        config = self.config
        if config.has_embedding:
            table = tf.convert_to_tensor(self.embeddings)
        else:
            table = tf.constant(quantizer(config.q_type, config.q_levels).decode(range(config.q_levels))[:, None])
        if config.receptive_field:
            kernel = tf.cast(self.kernel, self.compute_dtype)
        else:
            kernel = tf.zeros([0, config.item_size, config.hidden_size], self.compute_dtype)
        return Weights(table, kernel, tf.convert_to_tensor(self.bias), self.head.step_weights())

    def step(self, before, handed_on, position, weights=None, conditioning=None):
        weights = weights or self.step_weights()
        return self.head(self._convolve(look_up(weights.table, before), weights)[:, 0], weights.head), handed_on

    def generate_block(self, context, state, draw, weights=None, conditioning=None):
        """As every family; what the context adds to the convolutions of a block is computed at once."""
        weights = weights or self.step_weights()
        length, rows, size = self.config.block_length, context.shape[0], self.config.item_size
        silent = tf.zeros([rows, length - 1, size])  # in place of what is drawn
        past = self._convolve(tf.concat([look_up(weights.table, context), silent], axis=1), weights)
        kernel = tf.reshape(weights.kernel[-length:], [-1, self.config.hidden_size])  # of the taps that see the block

        def step(position, heard, items):
            item = draw(self.head(past[:, position] + product(heard, kernel), weights.head), position)
            heard = tf.concat([heard, look_up(weights.table, item)], axis=1)[:, size:]
            return position + 1, heard, items.write(position, item)

        heard = tf.zeros([rows, kernel.shape[0]])  # of the block, the newest last
        items = tf.TensorArray(tf.int32, length, element_shape=[rows])
        *_, items = tf.while_loop(lambda position, *_: position < length, step, (0, heard, items))
        return tf.transpose(items.stack()), state
