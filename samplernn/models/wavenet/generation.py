"""Sample by sample, for little more than the products cost.

XLA copies a buffer at each turn of a loop that both reads it in one place and writes it in another. So there are loops
within loops, and what a block hears in a turn of one is joined to its history when that turn is over: a block whose
dilation is no shorter than the turn needs none of it before. The convolution of what such a block has heard before is
then one product of each tap for all samples of the turn.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from samplernn.models.embedding import look_up
from samplernn.models.head import Head, HeadWeights
from samplernn.models.wavenet.layers import Block, BlockWeights

# By the blocks' numbers: their last inputs, [(filter_length - 1) · dilation, B, residual]; and a position, with the
# convolved past from there on, [n, B, 2 · inner].
Histories = dict[int, tf.Tensor]
Pasts = dict[int, tuple[Any, tf.Tensor]]


class BlockOfSamples:
    """Generates as many samples as a turn of the outermost loop has."""

    def __init__(
        self,
        turns: Sequence[int],
        blocks: Sequence[Block],
        head: Head,
        weights: tuple[tf.Tensor, list[BlockWeights], HeadWeights],
        draw: Callable | None = None,
        conditions: Sequence[tf.Tensor] | None = None,
    ):
        """
        Args:
            turns: the samples in a turn of each loop, from the outermost in to 1; each is a multiple of the next.
            blocks, head: the network's layers.
            weights: its `step_weights`.
            draw: as for `generate_block`; `predict` needs none.
            conditions: for each block what is added before its gate, [N, B, 2 · inner], each for turns[0] / N samples.
        """
        self._turns = turns
        self._blocks = blocks
        self._head = head
        self._table, self._of_blocks, self._of_head = weights
        self._draw = draw
        self._conditions = conditions

    def __call__(self, token: tf.Tensor, histories: Histories) -> tuple[tf.Tensor, Histories]:
        """Go on after a token [B]: the next tokens [turns[0], B], and the histories after them."""
        tokens = tf.TensorArray(tf.int32, self._turns[0], element_shape=token.shape)
        _, histories, _, tokens = self._turn(self._turns, 0, token, histories, {}, {}, tokens)
        return tokens.stack(), histories

    def _turn(self, turns, first, token, histories: Histories, pasts: Pasts, heard, tokens):
        """Generate the samples of a turn.

        Args:
            turns: the lengths of this one and of those inside it.
            first: the position of its first sample.
            token: the one before, [B].
            histories: of the blocks whose past is still to be convolved.
            pasts: of the others.
            heard: TensorArrays of what the others hear, from the same positions on, by the blocks' numbers.
            tokens: TensorArray of all tokens.

        Returns:
            The last token, the histories after it, heard and tokens.
        """
        length, *inner = turns
        own = [number for number in histories if self._blocks[number].dilation >= length]
        heard = heard | {
            number: tf.TensorArray(tf.float32, length, element_shape=histories[number].shape[1:]) for number in own
        }
        if not inner:
            logits, inputs = self.predict(first, token, histories, pasts)
            token = self._draw(logits, first)
            starts = {number: start for number, (start, _) in pasts.items()}
            heard = {n: record.write(first - starts.get(n, first), inputs[n]) for n, record in heard.items()}
            tokens, rest = tokens.write(first, token), {}
        else:
            convolved = {number: self._convolve_past(number, histories[number], first, length) for number in own}
            pasts = pasts | {number: (first, past) for number, past in convolved.items()}
            rest = {number: history for number, history in histories.items() if number not in own}

            def turn(i, *state):
                token, rest, heard, tokens = state
                return i + 1, *self._turn(inner, first + i * inner[0], token, rest, pasts, heard, tokens)

            _, token, rest, heard, tokens = tf.while_loop(
                lambda i, *_: i < length // inner[0], turn, (0, token, rest, heard, tokens)
            )
        joined = {number: tf.concat([histories[number], heard.pop(number).stack()], axis=0)[length:] for number in own}
        return token, rest | joined, heard, tokens

    def _convolve_past(self, number, history, first, length):
        """Of a block and the samples of a turn from a position on, with their condition."""
        past = self._blocks[number].convolve_past(history, length, self._of_blocks[number])
        return past if self._conditions is None else past + self._condition(number, first + tf.range(length))

    def _condition(self, number, position):
        """Of a block at a position, or at several."""
        condition = self._conditions[number]
        return tf.gather(condition, position // (self._turns[0] // condition.shape[0]))

    def predict(self, position, token, histories: Histories, pasts: Pasts):
        """The logits [B, Q] of what follows on a token [B], and what each block heard for them."""
        x, total, inputs = look_up(self._table, token), 0.0, []
        for number, (block, weights) in enumerate(zip(self._blocks, self._of_blocks)):
            inputs.append(x)
            if number in pasts:
                first, convolved = pasts[number]
                gates = block.convolve_newest(x, convolved[position - first], weights)
            else:
                gates = block.convolve([*tf.unstack(histories[number][:: block.dilation]), x], weights)
                if self._conditions is not None:
                    gates += self._condition(number, position)
            x, skip = block.leave(x, gates, weights)
            total += skip
        return self._head(total, self._of_head), inputs
