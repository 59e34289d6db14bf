"""Kinds of output that a model can have: what a draw is, and what it is to those who listen."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import tensorflow as tf

from samplernn.audio.listening import Judge
from samplernn.audio.quantize import quantizer
from samplernn.generation.sampling import inverse_cdf, likeliest
from samplernn.models.config import Config


class Output(Protocol):
    """A kind of output, as the config of a model has it.

    Attributes:
        dtype: of items.
        numbers: the shape of the random numbers by which one item is drawn.
    """

    dtype: tf.DType
    numbers: tuple[int, ...]

    def __init__(self, config: Config, top_k: int | None = None, top_p: float | None = None): ...

    def draw(self, logits: tf.Tensor, temperature: tf.Tensor, uniform: tf.Tensor) -> tf.Tensor:
        """Draw items [B, ...], negative ones where the logits are not numbers.

        Args:
            logits: [B, ...].
            temperature: [B].
            uniform: [B, *numbers], in [0, 1).
        """

    def decode(self, items: np.ndarray) -> np.ndarray:
        """What is written of items."""

    def judge(self, sample_rate: int, before: int) -> Judge:
        """What hears a sequence at a rate in Hz, which begins with so many items that were not generated."""


class Tokens:
    """Tokens, drawn one by one; those of codes are what an autoencoder decodes, not what is written."""

    dtype, numbers = tf.int32, ()

    def __init__(self, config: Config, top_k: int | None = None, top_p: float | None = None):
        """`top_k` and `top_p` are those of `sampling.likeliest`."""
        self._top_k, self._top_p = top_k, top_p

    def draw(self, logits, temperature, uniform):
        return inverse_cdf(likeliest(logits, temperature, self._top_k, self._top_p), temperature, uniform)


class Sound(Tokens):
    """Samples of audio, drawn from the levels of a quantizer; the config has `q_type` and `q_levels`."""

    def __init__(self, config: Config, top_k: int | None = None, top_p: float | None = None):
        super().__init__(config, top_k, top_p)
        self._quantizer = quantizer(config.q_type, config.q_levels)
        self.decode = self._quantizer.decode

    def judge(self, sample_rate: int, before: int) -> Judge:
        levels = self.decode(np.arange(self._quantizer.levels))
        return Judge(sample_rate, levels, before=before)


KINDS: dict[str, type[Tokens]] = {"audio": Sound, "codes": Tokens}


def output_of(config: Config, top_k: int | None = None, top_p: float | None = None) -> Output:
    """The output of a model."""
    return KINDS[config.data](config, top_k, top_p)
