"""The three tiers wired together."""

from __future__ import annotations

import re

import tensorflow as tf

from samplernn.models.likelihood import categorical, mean_nll
from samplernn.models.model import CLIP_NORM, AutoregressiveModel, Outcome
from samplernn.models.samplernn.config import SampleRNNConfig
from samplernn.models.samplernn.layers import FrameTier, SampleMLP, sum_of_squares
from samplernn.system.distribution import sum_over_replicas


class SampleRNN(AutoregressiveModel):
    """SampleRNN with two frame tiers above the sample tier (Mehri et al., ICLR 2017, section 2)."""

    has_cudnn_kernels = True

    def __init__(self, config: SampleRNNConfig, precision: str = "float32"):
        super().__init__(config, precision, name="sample_rnn")
        self.small, self.big = config.frame_sizes
        self.big_frame_rnn = FrameTier(
            self.big, self.big // self.small, config, self.dropout_seed, dtype=precision, name="big_frame_rnn"
        )
        self.frame_rnn = FrameTier(self.small, self.small, config, self.dropout_seed, dtype=precision, name="frame_rnn")
        self.sample_mlp = SampleMLP(self.small, config, precision, name="sample_mlp")
        self.build()

    def build(self, input_shape=None):
        for tier in (self.big_frame_rnn, self.frame_rnn, self.sample_mlp):
            tier.build()
        self.built = True

    def initial_state(self, rows):
        return self.big_frame_rnn.initial_state(rows), self.frame_rnn.initial_state(rows)

    def forward(self, x, y, state, training):
        conditioning, state = self._condition(x, state, training)
        sums = categorical(self._predict(x, conditioning), y)
        return Outcome(mean_nll(sums), sums, state, watched=conditioning)

    def call(self, tokens, state, training=False):
        """Predict every sample from the true ones before it (teacher forcing).

        Args:
            tokens: int [B, big + S]; S is a multiple of big, the frame size of the upper tier.
            state: from `initial_state` or from the call for the window before.

        Returns:
            Logits [B, S, Q] for `tokens[:, big:]`, and the state for the next window.
        """
        conditioning, state = self._condition(tokens, state, training)
        return self._predict(tokens, conditioning), state

    def read(self, items, state):
        _, state = self._condition(items, state, training=False)
        return state

    def _condition(self, tokens, state, training):
        big_state, small_state = state
        big, small = self.big, self.small
        conditioning, big_state = self.big_frame_rnn(tokens[:, :-big], big_state, training=training)
        conditioning, small_state = self.frame_rnn(
            tokens[:, big - small : -small], small_state, conditioning, training=training
        )
        return tf.cast(conditioning, tf.float32), (big_state, small_state)

    def _predict(self, tokens, conditioning):
        return self.sample_mlp(self._inputs(tokens), conditioning)

    def _inputs(self, tokens):
        """What the sample tier sees of a window."""
        return tokens[:, self.big - self.small : -1]

    def clip(self, gradients, at_watched, scale):
        """Clip to a global norm that counts an embedding's gradient once for each time that it is looked up.

        So TensorFlow's sparse gradients do, and the original did. That sum is computed only where it decides whether
        gradients are clipped; the norm that is returned lacks it elsewhere.
        """
        bound = sum_over_replicas(self.sample_mlp.lookup_norm_squared_bound(at_watched))
        clip_norm = CLIP_NORM * scale
        embeddings = self.sample_mlp.embedding.embeddings
        dense = [
            sum_of_squares(gradient)
            for gradient, variable in zip(gradients, self.trainable_variables)
            if variable is not embeddings
        ]
        dense = tf.add_n(dense)
        lookups = tf.cond(
            dense + bound > clip_norm**2,
            lambda: self.sample_mlp.lookup_norm_squared(at_watched),
            lambda: 0.0,
        )
        lookups = sum_over_replicas(lookups)
        norm = tf.sqrt(dense + lookups)
        factor = clip_norm / tf.maximum(norm, clip_norm)
        return [gradient * factor for gradient in gradients], norm

    def looked_up(self, x):
        """The embeddings."""
        inputs = tf.reshape(self._inputs(x), [-1])
        seen = tf.math.unsorted_segment_sum(tf.ones_like(inputs), inputs, self.config.q_levels) > 0
        return [(self.sample_mlp.embedding.embeddings, seen)]

    def checkpoint_key(self, variable):
        """PRiSM's keys are the variables' paths but for the name of an RNN's cell."""
        return re.sub(r"/(gru|lstm)_cell/", "/cell/", super().checkpoint_key(variable))

    def step_weights(self):
        sample_mlp, upsample_kernel = self.sample_mlp.step_weights(self.frame_rnn.upsample_kernel)
        big_frame_rnn = self.big_frame_rnn.step_weights(self.big_frame_rnn.upsample_kernel)
        return big_frame_rnn, self.frame_rnn.step_weights(upsample_kernel), sample_mlp

    def generate_block(self, context, state, draw, weights=None, conditioning=None):
        """Generate the samples of one frame of the upper tier, which are the next block's context."""
        big_weights, small_weights, sample_weights = weights or self.step_weights()
        big_state, small_state = state
        context = tf.transpose(context)  # to columns, as in every step
        big_conditioning, big_state = self.big_frame_rnn.step(context, big_state, None, big_weights)

        def generate_frame(i, frame, small_state, frames):
            conditioning, small_state = self.frame_rnn.step(frame, small_state, big_conditioning[i], small_weights)

            def generate_sample(j, window):
                logits = self.sample_mlp.step(tf.maximum(window, 0), conditioning[j], sample_weights)
                token = draw(tf.transpose(logits), i * self.small + j)
                return j + 1, tf.concat([window[1:], token[None]], axis=0)

            # After `small` samples the sliding window holds just them: the next frame.
            _, frame = tf.while_loop(lambda j, _: j < self.small, generate_sample, (0, frame))
            return i + 1, frame, small_state, frames.write(i, frame)

        ratio = self.big // self.small
        frames = tf.TensorArray(tf.int32, ratio, element_shape=[self.small, context.shape[1]])
        _, _, small_state, frames = tf.while_loop(
            lambda i, *_: i < ratio, generate_frame, (0, context[-self.small :], small_state, frames)
        )
        tokens = tf.reshape(frames.stack(), [self.big, context.shape[1]])  # [ratio, small, B] → [big, B]
        return tf.transpose(tokens), (big_state, small_state)
