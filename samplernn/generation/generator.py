"""From a model to items: the loop over blocks."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from samplernn.generation.output import output_of
from samplernn.models.config import NO_ITEM
from samplernn.models.model import Autoencoder, Generative
from samplernn.options import envelope
from samplernn.options.common import DEFAULT_SAMPLE_RATE
from samplernn.system.device import has_gpu, number_of_cores, use_xla
from samplernn.system.errors import RunError

ITEMS_A_CALL = 1024  # generated between two chances to report and to stop


class Generator:
    """Generates from a model, whose weights may change between calls; compiles once for each number of sequences.

    Raises:
        InputError: `jit_compile` asks for what cannot be done.
    """

    def __init__(
        self,
        model: Generative,
        jit_compile: bool | None = None,
        **of_output: Any,
    ):
        """`of_output` are options of generate.py's that the model's output has."""
        self.model = model
        self.jit_compile = use_xla(jit_compile)
        self.output = output_of(model.config, **of_output)
        self._weights = tf.function(model.step_weights, autograph=False)
        self._blocks = tf.function(self._generate_blocks, autograph=False, jit_compile=self.jit_compile)
        self._parts = tf.function(self._generate_side_by_side, autograph=False)
        readable = self.jit_compile and not (model.has_cudnn_kernels and has_gpu())
        self._read = tf.function(model.read, autograph=False, jit_compile=readable)
        if isinstance(model, Autoencoder):
            self._condition = tf.function(model.condition, autograph=False, jit_compile=self.jit_compile)
        self._blocks_a_call = max(1, ITEMS_A_CALL // model.config.block_length)
        self._items_a_call = self._blocks_a_call * model.config.block_length

    def read(self, items: np.ndarray, codes: np.ndarray | None = None) -> Any:
        """The state in which a sequence goes on after items, of which the last ones are its context.

        Args:
            items: [left + n, ...], where n is a multiple of the config's seed_multiple.
            codes: for an autoencoder those of the n items, and of its reach on either side, for each of the sequences
                that go on, [B, reach + n / hop + reach].

        Returns:
            Of one sequence, or of B.
        """
        rows = 1 if codes is None else len(codes)
        config, state = self.model.config, self.model.initial_state(rows)
        left, multiple = config.window.left, config.seed_multiple
        at_once = max(1, ITEMS_A_CALL // multiple) * multiple
        given = itertools.repeat(None) if codes is None else self._conditioning(iter([codes]), at_once)
        for start, conditioning in zip(range(0, len(items) - left, at_once), given):
            window = np.stack([items[start : start + at_once + left]] * rows)
            if conditioning is not None:
                conditioning = conditioning[:, : (window.shape[1] - left) // config.codes.hop]
            state = self._read(tf.constant(window, self.output.dtype), state, conditioning)
        return state

    def _conditioning(self, codes: Iterator[np.ndarray], items: int) -> Iterator[tf.Tensor]:
        """What the autoencoder makes of pieces of codes, for so many items at a time."""
        of_model = self.model.config.codes
        number = items // of_model.hop
        for window in overlapping(codes, number + 2 * of_model.reach, number):
            yield self._condition(tf.constant(window))

    def _conditioning_at(self, seconds: np.ndarray, rows: int) -> tf.Tensor | None:
        """What items at moments depend on besides, the same in all rows."""
        conditioning = self.model.conditioning_at(seconds)
        return None if conditioning is None else tf.constant(np.stack([conditioning] * rows))

    def __call__(
        self,
        context: np.ndarray,
        num_items: int,
        temperature: Sequence[float | str],
        seeds: Sequence[Sequence[int]],
        state: Any = None,
        sample_rate: int = DEFAULT_SAMPLE_RATE,
        codes: Iterator[np.ndarray] | None = None,
    ) -> Iterator[np.ndarray]:
        """Generate sequences in one batch, piece by piece.

        Args:
            context: [B, left, ...], the items that come before; they are not part of the result.
            num_items: the length of each sequence.
            temperature: one for each sequence, a number or an envelope.
            seeds: one for each sequence, numbers of which the same ones give the same items, whatever else is in the
                batch.
            state: of `read`, for each sequence, or one from which all begin; None for the one before a recording's
                first item.
            sample_rate: Hz, by which an envelope's seconds are counted.
            codes: what an autoencoder is to decode, pieces int32 [B, n] of any lengths; they begin with `reach` codes
                from before the first item's, and behind the last one there are none. No more are taken than needed.

        Yields:
            Items [B, n, ...], one piece after the other; their n sum to num_items.

        Raises:
            RunError: the logits are not numbers.
        """
        weights, state = self._weights(), self.model.initial_state(1) if state is None else state
        state = tf.nest.map_structure(lambda part: tf.repeat(part, len(context) // part.shape[-1], axis=-1), state)
        context = tf.constant(context, self.output.dtype)
        random = [np.random.default_rng(seed) for seed in seeds]
        length = self._items_a_call
        given = itertools.repeat(None) if codes is None else self._conditioning(codes, length)
        for start, conditioning in zip(range(0, num_items, length), given):
            numbers = [self.output.random(stream, start, length) for stream in random]
            numbers = np.stack(numbers, axis=1)  # [length, B, …]
            seconds = np.arange(start, start + length) / sample_rate
            values = np.stack([envelope.at(value, seconds) for value in temperature], axis=1)  # [length, B]
            if conditioning is None:
                conditioning = self._conditioning_at(seconds, len(context))
            items, context, state = self._parts(
                context, state, weights, values.astype(np.float32), numbers, conditioning
            )
            items = items[:, : num_items - start].numpy()
            if (items < 0).any():
                raise RunError(
                    "The model's output is not a number: its weights are damaged, or too large for --precision;"
                    " use another checkpoint, or --precision float32"
                )
            yield items

    def _generate_side_by_side(self, context, state, weights, temperature, numbers, conditioning):
        """As `_generate_blocks`, which computes parts of the rows at the same time.

        All are of the same size, for which XLA compiles: the last row fills the last one up.
        """
        rows = context.shape[0]
        size = math.ceil(rows / self._most_parts())

        def of_part(first):
            at = [min(row, rows - 1) for row in range(first, first + size)]
            state_of_rows = tf.nest.map_structure(lambda part: tf.gather(part, at, axis=-1), state)
            of_rows = [tf.gather(each, at, axis=1) for each in (temperature, numbers)]
            given = None if conditioning is None else tf.gather(conditioning, at)
            return self._blocks(tf.gather(context, at), state_of_rows, weights, *of_rows, given)

        items, contexts, states = zip(*map(of_part, range(0, rows, size)))
        state = tf.nest.map_structure(lambda *parts: tf.concat(parts, axis=-1)[..., :rows], *states)
        return tf.concat(items, axis=0)[:rows], tf.concat(contexts, axis=0)[:rows], state

    def _most_parts(self) -> int:
        """One for each core, where a product is too small to be shared between cores."""
        return number_of_cores() if self.jit_compile and self.model.config.fits_in_cache and not has_gpu() else 1

    def _generate_blocks(self, context, state, weights, temperature, numbers, conditioning):
        length, left = self.model.config.block_length, self.model.config.window.left

        def generate_block(i, context, state, blocks):
            def draw(logits, position):
                now = i * length + position
                return self.output.draw(logits, temperature[now], numbers[now])

            given = None if conditioning is None else conditioning[:, i]
            block, state = self.model.generate_block(context, state, draw, weights, given)
            context = block if left == length else tf.concat([context, block], axis=1)[:, length:]
            return i + 1, context, state, blocks.write(i, block)

        rows, shape = context.shape[0], context.shape[2:]
        if conditioning is not None:  # [B, blocks · N, …] → [B, blocks, N, …]
            conditioning = tf.reshape(conditioning, [rows, self._blocks_a_call, -1, *conditioning.shape[2:]])
        blocks = tf.TensorArray(context.dtype, self._blocks_a_call, element_shape=[rows, length, *shape])
        _, context, state, blocks = tf.while_loop(
            lambda i, *_: i < self._blocks_a_call, generate_block, (0, context, state, blocks)
        )
        blocks = blocks.stack()  # [blocks, B, L, …]
        items = tf.transpose(blocks, [1, 0, *range(2, blocks.shape.rank)])
        return tf.reshape(items, [rows, -1, *shape]), context, state  # [B, blocks, L, …] → [B, blocks·L, …]


def overlapping(pieces: Iterator[np.ndarray], length: int, step: int) -> Iterator[np.ndarray]:
    """Windows over pieces of codes [B, n], each so much further than the one before; behind the last code are NO_ITEMs.

    Args:
        pieces: of any lengths, one at least; no more are taken than the next window needs.
        length, step: of a window, and from one to the next, codes; the step is the shorter.

    Yields:
        int32 [B, length], without end.
    """
    window = next(pieces)
    while True:
        while window.shape[1] < length:
            piece = next(pieces, None)
            if piece is None:
                piece = np.full([len(window), length - window.shape[1]], NO_ITEM)
            window = np.concatenate([window, piece], axis=1)
        yield window[:, :length].astype(np.int32)
        window = window[:, step:]
