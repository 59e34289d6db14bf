"""The layers wired together (WaveNet paper, sections 2.1 to 2.4). B batch, S samples, Q levels."""

from __future__ import annotations

import tensorflow as tf

from samplernn.models.head import Head
from samplernn.models.likelihood import categorical, mean_nll
from samplernn.models.model import AutoregressiveModel, Outcome
from samplernn.models.wavenet.config import WaveNetConfig
from samplernn.models.wavenet.generation import BlockOfSamples
from samplernn.models.wavenet.layers import Block, Input


class WaveNet(AutoregressiveModel):
    """WaveNet (van den Oord et al., 2016), whose blocks remember what they have heard last.

    The state is for each block its last inputs, [(filter_length - 1) · dilation, residual_size, B]. So windows that
    follow one another are one long window, and a sample is a window of one.
    """

    def __init__(self, config: WaveNetConfig, precision: str = "float32"):
        super().__init__(config, precision, name="wavenet", autocast=False)  # the state stays float32
        self.input_layer = Input(config, config.residual_size, name="input")
        self.output_layer = Head(config.skip_size, config.q_levels, dtype=precision, name="output")
        last = len(config.dilations) - 1
        for number, dilation in enumerate(config.dilations):
            block = Block(dilation, config, number == last, self.dropout_seed, dtype=precision, name=f"block_{number}")
            setattr(self, block.name, block)
        self.build()

    @property
    def blocks(self) -> list[Block]:
        """In the order in which they are computed."""
        return [getattr(self, f"block_{number}") for number in range(len(self.config.dilations))]

    def build(self, input_shape=None):
        for layer in (self.input_layer, *self.blocks, self.output_layer):
            layer.build()
        self.built = True

    def initial_state(self, rows):
        return tuple(tf.zeros([length, self.config.residual_size, rows]) for length in self.config.histories)

    def forward(self, x, y, state, training, conditions=None):
        """As every family; `conditions` are as for `call`."""
        logits, state = self(x, state, conditions, training=training)
        sums = categorical(logits, y, training)
        return Outcome(mean_nll(sums), sums, state)

    def call(self, tokens, state, conditions=None, training=False):
        """Predict every sample from the true ones before it (teacher forcing).

        Args:
            tokens: int [B, 1 + S].
            state: from `initial_state` or from the call for the window before.
            conditions: for each block what is added before its gate, [N, B, 2 · inner], each for S / N samples.

        Returns:
            Logits [B, S, Q] for `tokens[:, 1:]`, and the state for the next window.
        """
        skips, state = self._through_blocks(tokens, state, conditions, training)
        return tf.transpose(self.output_layer(skips), [1, 0, 2]), state

    def read(self, items, state, conditioning=None):
        _, state = self._through_blocks(items, state, _by_block(conditioning), training=False)
        return state

    def _through_blocks(self, tokens, state, conditions, training):
        """The sum of the skips of all blocks, [S, B, skip], and the next state."""
        x = self.input_layer(tf.transpose(tokens[:, :-1]))  # [S, B, residual]
        total, next_state = 0.0, []
        for block, history, condition in zip(self.blocks, state, conditions or [None] * len(state)):
            x, skip, history = block(x, history, condition, training=training)
            total += skip
            next_state.append(history)
        return total, tuple(next_state)

    # --- Generation ---

    def step_weights(self):
        return (
            self.input_layer.table(),
            [block.step_weights() for block in self.blocks],
            self.output_layer.step_weights(),
        )

    def begin_steps(self, state):
        """The histories as they are computed with, [(filter_length - 1) · dilation, B, residual_size]."""
        return tuple(tf.transpose(history, [0, 2, 1]) for history in state)

    def step(self, before, handed_on, position, weights=None, conditioning=None):
        weights = weights or self.step_weights()
        samples = BlockOfSamples((1,), self.blocks, self.output_layer, weights, conditions=_by_block(conditioning))
        logits, inputs = samples.predict(0, before[:, -1], dict(enumerate(handed_on)), {})
        joined = (tf.concat([history[1:], x[None]], axis=0) for history, x in zip(handed_on, inputs))
        return logits, tuple(joined)

    def end_steps(self, handed_on):
        return tuple(tf.transpose(history, [0, 2, 1]) for history in handed_on)

    def generate_block(self, context, state, draw, weights=None, conditioning=None):
        """As every family; the conditioning, [B, N, blocks, 2 · inner], is for block_length / N samples each."""
        conditions, weights = _by_block(conditioning), weights or self.step_weights()
        generate = BlockOfSamples(self.config.turns, self.blocks, self.output_layer, weights, draw, conditions)
        tokens, histories = generate(context[:, 0], dict(enumerate(self.begin_steps(state))))
        return tf.transpose(tokens), self.end_steps(histories[number] for number in range(len(state)))


def _by_block(conditioning):
    """[B, N, blocks, 2 · inner] to [N, B, 2 · inner] for each block."""
    return None if conditioning is None else tf.unstack(tf.transpose(conditioning, [2, 1, 0, 3]))
