"""From recordings to codes: what an autoencoder makes of them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from samplernn.audio.resample import length_at
from samplernn.audio.wav import Recording, examine_named
from samplernn.corpus.data import data_of
from samplernn.models.config import NO_ITEM, Config
from samplernn.models.model import Autoencoder
from samplernn.system.device import use_xla
from samplernn.system.errors import InputError

ITEMS_A_CALL = 2**15  # encoded at a time


class Encoder:
    """Encodes with an autoencoder, whose weights may change between calls."""

    def __init__(self, model: Autoencoder, jit_compile: bool | None = None):
        self.model = model
        self._encode = tf.function(model.encode, autograph=False, jit_compile=use_xla(jit_compile))

    def __call__(self, items: np.ndarray) -> np.ndarray:
        """The codes of a whole recording, int32 [length // hop].

        Args:
            items: [length].
        """
        return np.concatenate([np.empty(0, np.int32), *self._pieces(items)])

    def _pieces(self, items: np.ndarray) -> Iterator[np.ndarray]:
        of_model = self.model.config.codes
        number = len(items) // of_model.hop
        at_once = max(1, ITEMS_A_CALL // of_model.hop)
        length = at_once * of_model.hop + 2 * of_model.context
        outside = np.full(of_model.context, NO_ITEM, items.dtype)
        items = np.concatenate([outside, items, outside])
        for start in range(0, number, at_once):
            window = items[start * of_model.hop :][:length]
            window = np.pad(window, (0, length - len(window)), constant_values=NO_ITEM)
            yield self._encode(tf.constant(window[None]))[0].numpy()[: number - start]


def read_tokens(recording: Recording, config: Config, sample_rate: int) -> np.ndarray:
    """A whole recording as an autoencoder hears it, int32 [n], resampled to its rate in Hz if need be."""
    return data_of(config).read_seed(recording, sample_rate, 0, length_at(recording, sample_rate))


def examine_to_encode(path: str, hop: int, sample_rate: int, flag: str) -> Recording:
    """Make sure that a file is audio of one code at least.

    Raises:
        InputError: it isn't; the message names the flag.
    """
    recording = examine_named(path, flag)
    if length_at(recording, sample_rate) < hop:
        raise InputError(f"--{flag} {path}: {recording.frames} samples, which is less than a code; use longer audio")
    return recording
