"""The tiers wired together."""

from __future__ import annotations

import re
from functools import partial

import tensorflow as tf

from samplernn.models.likelihood import categorical, mean_nll
from samplernn.models.model import CLIP_NORM, AutoregressiveModel, Outcome, clip_elements
from samplernn.models.samplernn.config import SampleRNNConfig
from samplernn.models.samplernn.layers import FrameTier, SampleMLP, sum_of_squares
from samplernn.models.samplernn.networks import NETWORKS
from samplernn.system.distribution import sum_over_replicas


class SampleRNN(AutoregressiveModel):
    """SampleRNN with one or more frame tiers above the sample tier (Mehri et al., ICLR 2017, section 2)."""

    has_cudnn_kernels = True
    adam_epsilon = 1e-4  # PRiSM's

    def __init__(self, config: SampleRNNConfig, precision: str = "float32"):
        super().__init__(config, precision, name="sample_rnn")
        self.network = NETWORKS[config.network]
        for name, size, ratio in reversed([*zip(config.tier_names, config.frame_sizes, config.ratios)]):
            tier = FrameTier(size, ratio, config, self.dropout_seed, dtype=precision, name=name)
            setattr(self, name, tier)
        self.sample_mlp = SampleMLP(config.frame_sizes[0], config, precision, name="sample_mlp")
        self.build()

    @property
    def tiers(self) -> list[FrameTier]:
        """The frame tiers, from the uppermost down, as they are computed."""
        return [getattr(self, name) for name in reversed(self.config.tier_names)]

    def build(self, input_shape=None):
        for tier in (*self.tiers, self.sample_mlp):
            tier.build()
        self.built = True

    def initial_state(self, rows):
        return tuple(tier.initial_state(rows) for tier in self.tiers)

    def forward(self, x, y, state, training):
        conditioning, state = self._condition(x, state, training)
        logits = self._predict(x, conditioning)
        sums = categorical(logits, y, training)
        return Outcome(mean_nll(sums) / self.network.unit_of_loss, sums, state, watched=conditioning)

    def call(self, tokens, state, training=False):
        """Predict every sample from the true ones before it (teacher forcing).

        Args:
            tokens: int [B, left + S]; S is a multiple of left, the largest frame size.
            state: from `initial_state` or from the call for the window before.

        Returns:
            Logits [B, S, Q] for `tokens[:, left:]`, and the state for the next window.
        """
        conditioning, state = self._condition(tokens, state, training)
        return self._predict(tokens, conditioning), state

    def read(self, items, state, conditioning=None):
        _, state = self._condition(items, state, training=False)
        return state

    def _condition(self, tokens, state, training):
        left, conditioning, next_state = self.config.window.left, None, []
        for tier, of_tier in zip(self.tiers, state):
            size = tier.frame_size
            frames = tokens[:, left - size : -size]
            conditioning, of_tier = tier(frames, of_tier, conditioning, training=training)
            next_state.append(of_tier)
        return tf.cast(conditioning, tf.float32), tuple(next_state)

    def _predict(self, tokens, conditioning):
        return self.sample_mlp(self._inputs(tokens), conditioning)

    def _inputs(self, tokens):
        """What the sample tier sees of a window."""
        return tokens[:, self.config.window.left - self.sample_mlp.frame_size : -1]

    def clip(self, gradients, at_watched, scale):
        """Clip as the network's original does."""
        if self.network.clips_elements:
            return clip_elements(gradients, scale)
        return self._clip_to_norm(gradients, at_watched, scale)

    def _clip_to_norm(self, gradients, at_watched, scale):
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
        """The embeddings, where their gradients are sparse."""
        if not self.network.has_sparse_gradients:
            return []
        inputs = tf.reshape(self._inputs(x), [-1])
        seen = tf.math.unsorted_segment_sum(tf.ones_like(inputs), inputs, self.config.q_levels) > 0
        return [(self.sample_mlp.embedding.embeddings, seen)]

    def checkpoint_key(self, variable):
        """PRiSM's keys are the variables' paths but for the name of an RNN's cell."""
        return re.sub(r"/(gru|lstm)_cell/", "/cell/", super().checkpoint_key(variable))

    def step_weights(self):
        *upper, lowest = self.tiers
        sample_mlp, upsample_kernel = self.sample_mlp.step_weights(lowest.effective_upsample_kernel())
        of_upper = [tier.step_weights(tier.effective_upsample_kernel()) for tier in upper]
        return [*of_upper, lowest.step_weights(upsample_kernel)], sample_mlp

    # --- Generation, item by item ---

    def begin_steps(self, state):
        """Beside the state what each tier makes of a frame, which is done anew where one begins: [ratio, D, B]."""
        rows = tf.nest.flatten(state)[0].shape[-1]
        return state, tuple(tf.zeros([tier.ratio, tier.dim, rows], tier.compute_dtype) for tier in self.tiers)

    def step(self, before, handed_on, position, weights=None, conditioning=None):
        of_tiers, of_sample_tier = weights or self.step_weights()
        before, from_above, next_state, next_upsampled = tf.transpose(before), None, [], []
        for tier, state, upsampled, own in zip(self.tiers, *handed_on, of_tiers):
            size = tier.frame_size
            upsampled, state = tf.cond(
                position % size == 0,
                partial(tier.step, before[-size:], state, from_above, own),
                partial(tuple, (upsampled, state)),
            )
            from_above = upsampled[position % size // (size // tier.ratio)]
            next_state.append(state)
            next_upsampled.append(upsampled)
        window = tf.maximum(before[-self.sample_mlp.frame_size :], 0)
        logits = self.sample_mlp.step(window, from_above, of_sample_tier)
        return tf.transpose(logits), (tuple(next_state), tuple(next_upsampled))

    def end_steps(self, handed_on):
        return handed_on[0]

    # --- Generation, block by block ---

    def generate_block(self, context, state, draw, weights=None, conditioning=None):
        """Generate the samples of one frame of the uppermost tier, which are the next block's context."""
        context = tf.transpose(context)  # to columns, as in every step
        tokens, state = self._generate_frame(self.tiers, context, state, None, draw, weights or self.step_weights())
        return tf.transpose(tokens), state

    def _generate_frame(self, tiers, before, state, conditioning, draw, weights, first=0):
        """Generate the next frame of the uppermost of some tiers.

        Args:
            tiers: that and those below it, down to the lowest.
            before: the tokens of the frame before, [frame_size, B].
            state, weights: of these tiers; weights of the sample tier too.
            conditioning: from the tier above, [D, B].
            draw: as for `generate_block`.
            first: the position in the block of the frame's first token.

        Returns:
            Its tokens [frame_size, B] and the next state of these tiers.
        """
        (tier, *lower), (of_tiers, of_sample_tier), (own_state, *lower_state) = tiers, weights, state
        conditioning, own_state = tier.step(before, own_state, conditioning, of_tiers[0])  # [ratio, D, B]
        if not lower:
            return self._generate_samples(before, conditioning, draw, of_sample_tier, first), (own_state,)
        size, lower_weights = lower[0].frame_size, (of_tiers[1:], of_sample_tier)

        def generate_frame(i, frame, state, frames):
            frame, state = self._generate_frame(
                lower, frame, state, conditioning[i], draw, lower_weights, first + i * size
            )
            return i + 1, frame, state, frames.write(i, frame)

        frames = tf.TensorArray(tf.int32, tier.ratio, element_shape=[size, before.shape[1]])
        _, _, lower_state, frames = tf.while_loop(
            lambda i, *_: i < tier.ratio, generate_frame, (0, before[-size:], tuple(lower_state), frames)
        )
        tokens = tf.reshape(frames.stack(), before.shape)  # [ratio, size, B] → [frame_size, B]
        return tokens, (own_state, *lower_state)

    def _generate_samples(self, window, conditioning, draw, weights, first):
        """Generate the samples of a frame of the lowest tier, one after the other: tokens [frame_size, B]."""

        def generate_sample(j, window):
            logits = self.sample_mlp.step(tf.maximum(window, 0), conditioning[j], weights)
            token = draw(tf.transpose(logits), first + j)
            return j + 1, tf.concat([window[1:], token[None]], axis=0)

        # After as many samples as it is long the sliding window holds just them: the next frame.
        _, window = tf.while_loop(lambda j, _: j < window.shape[0], generate_sample, (0, window))
        return window
