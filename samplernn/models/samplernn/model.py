"""The three tiers wired together."""

from __future__ import annotations

import keras
import tensorflow as tf

from samplernn.models.samplernn.config import ModelConfig
from samplernn.models.samplernn.layers import FrameTier, SampleMLP, sum_of_squares
from samplernn.system.distribution import sum_over_replicas


class SampleRNN(keras.Model):
    """SampleRNN with two frame tiers above the sample tier (Mehri et al., ICLR 2017, section 2).

    It keeps no state: `initial_state` makes one, `call` and `generate_block` take one and return the next.

    Its weights are float32 and so are its logits, in every precision.

    Its initial weights and its dropout follow Keras's global seed (`keras.utils.set_random_seed`).
    """

    def __init__(self, config: ModelConfig, precision: str = "float32"):
        """`precision` is a Keras dtype policy: float32, mixed_bfloat16 or mixed_float16."""
        super().__init__(name="sample_rnn", dtype=precision)
        self.config = config
        self.small, self.big = config.frame_sizes
        self.dropout_seed = keras.random.SeedGenerator()
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

    @property
    def lookback(self) -> int:
        """Samples of context that the model must be given before those it predicts; also a block's length."""
        return self.config.lookback

    def initial_state(self, batch_size):
        """The state before a recording's first sample."""
        return self.big_frame_rnn.initial_state(batch_size), self.frame_rnn.initial_state(batch_size)

    def call(self, tokens, state, training=False):
        """Predict every sample from the true ones before it (teacher forcing).

        Args:
            tokens: int [B, lookback + S]; S is a multiple of lookback.
            state: from `initial_state` or from the call for the window before.

        Returns:
            Logits [B, S, Q] for `tokens[:, lookback:]`, and the state for the next window.
        """
        conditioning, state = self._condition(tokens, state, training)
        return self._predict(tokens, conditioning), state

    def read(self, tokens, state):
        """The state for the next window, as `call` returns it, without predicting the samples of this one."""
        _, state = self._condition(tokens, state, training=False)
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

    def clipped_gradients(self, tokens, state, score, clip_norm, loss_scale=1.0, compiled=lambda part: part):
        """Gradients of the scaled loss of a training window, summed over all replicas, clipped to a global norm.

        The loss is the mean over the targets of all replicas, which have equally many.

        The norm counts an embedding's gradient once for each time that it is looked up, as TensorFlow's sparse
        gradients do and the original did. That sum is computed only where it decides whether gradients are clipped.

        Args:
            tokens, state: as for `call`.
            score: function of logits that returns sums over the targets: of their losses, first, and last their number.
            clip_norm: the largest global norm, before scaling.
            loss_scale: factor of the loss, and of its gradients.
            compiled: what is to compile all that a replica does before the replicas meet.

        Returns:
            The gradient of each of `trainable_variables`, the sums of `score` over all replicas, the norm before
            clipping and scaling (without the embedding's part where that is not computed), and the next state.
        """
        replicas = tf.distribute.get_strategy().num_replicas_in_sync

        @compiled
        def differentiate(state):
            with tf.GradientTape() as tape:
                conditioning, state = self._condition(tokens, state, training=True)
                tape.watch(conditioning)
                scores = score(self._predict(tokens, conditioning))
                loss = scores[0] / (scores[-1] * replicas) * loss_scale
            gradients, at_conditioning = tape.gradient(loss, [self.trainable_variables, conditioning])
            return gradients, at_conditioning, scores, state

        gradients, at_conditioning, scores, state = differentiate(state)
        gradients, bound, scores = sum_over_replicas(
            (gradients, self.sample_mlp.lookup_norm_squared_bound(at_conditioning), scores)
        )
        clip_norm *= loss_scale
        embeddings = self.sample_mlp.embedding.embeddings
        dense = [
            sum_of_squares(gradient)
            for gradient, variable in zip(gradients, self.trainable_variables)
            if variable is not embeddings
        ]
        dense = tf.add_n(dense)
        lookups = tf.cond(
            dense + bound > clip_norm**2,
            lambda: self.sample_mlp.lookup_norm_squared(at_conditioning),
            lambda: 0.0,
        )
        lookups = sum_over_replicas(lookups)
        norm = tf.sqrt(dense + lookups)
        scale = clip_norm / tf.maximum(norm, clip_norm)
        return [gradient * scale for gradient in gradients], scores, norm / loss_scale, state

    def looked_up(self, tokens):
        """The embeddings, and which of their rows a window of tokens looks up, bool [Q]."""
        inputs = tf.reshape(self._inputs(tokens), [-1])
        seen = tf.math.unsorted_segment_sum(tf.ones_like(inputs), inputs, self.config.q_levels) > 0
        return self.sample_mlp.embedding.embeddings, seen

    def step_weights(self):
        """What `generate_block` derives from the weights, to be computed once for many blocks."""
        sample_mlp, upsample_kernel = self.sample_mlp.step_weights(self.frame_rnn.upsample_kernel)
        big_frame_rnn = self.big_frame_rnn.step_weights(self.big_frame_rnn.upsample_kernel)
        return big_frame_rnn, self.frame_rnn.step_weights(upsample_kernel), sample_mlp

    def generate_block(self, context, state, sample, weights=None):
        """Generate the next `lookback` samples, one after the other.

        Args:
            context: int32 [B, lookback], the samples before.
            state: from `initial_state` or from the block before.
            sample: function of logits [B, Q] and the position in the block, int scalar, that returns int32 tokens [B],
                negative ones where it can draw none.
            weights: from `step_weights`.

        Returns:
            Tokens int32 [B, lookback], which are the next block's context, and the next state.
        """
        big_weights, small_weights, sample_weights = weights or self.step_weights()
        big_state, small_state = state
        context = tf.transpose(context)  # to columns, as in every step
        big_conditioning, big_state = self.big_frame_rnn.step(context, big_state, None, big_weights)

        def generate_frame(i, frame, small_state, frames):
            conditioning, small_state = self.frame_rnn.step(frame, small_state, big_conditioning[i], small_weights)

            def generate_sample(j, window):
                logits = self.sample_mlp.step(tf.maximum(window, 0), conditioning[j], sample_weights)
                token = sample(tf.transpose(logits), i * self.small + j)
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
