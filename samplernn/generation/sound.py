"""Tokens as output: samples of audio, drawn one by one, and the WAV that they become."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import tensorflow as tf

from samplernn.audio.listening import Judge
from samplernn.audio.quantize import quantizer
from samplernn.audio.wav import MAX_WAV_FRAMES, wav_frames, wav_writer
from samplernn.generation.sampling import inverse_cdf, likeliest
from samplernn.generation.shown import Shown, heard_of
from samplernn.models.config import Config
from samplernn.options.generate import DEFAULT_DUR
from samplernn.system.errors import InputError


class Tokens:
    """Tokens, drawn one by one; those of codes are what an autoencoder decodes, not what is written."""

    options = ("top_k", "top_p")
    dtype, numbers, makes, facts = tf.int32, (), "audio", {}

    def __init__(self, config: Config, top_k: int | None = None, top_p: float | None = None):
        """`top_k` and `top_p` are those of `sampling.likeliest`."""
        self._top_k, self._top_p = top_k, top_p

    def random(self, stream: np.random.Generator, start: int, length: int) -> np.ndarray:
        """Uniform in [0, 1)."""
        return stream.random([length], np.float32)

    def draw(self, logits, temperature, numbers):
        return inverse_cdf(likeliest(logits, temperature, self._top_k, self._top_p), temperature, numbers)

    def rate(self, sample_rate: float) -> float:
        return sample_rate


class Sound(Tokens):
    """Samples of audio, drawn from the levels of a quantizer; the config has `q_type` and `q_levels`."""

    suffixes, unit, default_dur = (".wav",), "sample", DEFAULT_DUR

    def __init__(self, config: Config, top_k: int | None = None, top_p: float | None = None):
        super().__init__(config, top_k, top_p)
        self._quantizer = quantizer(config.q_type, config.q_levels)
        self.decode = self._quantizer.decode

    def count(self, dur: float, sample_rate: int, flag: str = "--dur", before: int = 0) -> int:
        """Exact to the sample."""
        num_samples = max(1, round(dur * sample_rate))
        if before + num_samples > MAX_WAV_FRAMES:
            longest = max(0, MAX_WAV_FRAMES - before) // sample_rate
            raise InputError(
                f"{flag} {dur}: at {sample_rate} Hz {longest} is the longest that will do; a WAV ends at 4 GB"
            )
        return num_samples

    def judges(self, number: int, sample_rate: int, before: int, trained_on: Callable[[], Iterable]) -> list[Judge]:
        """They go by what is heard alone."""
        levels = self.decode(np.arange(self._quantizer.levels))
        return [Judge(sample_rate, levels, before=before) for _ in range(number)]

    @contextmanager
    def begin(self, path: Path, sample_rate: int) -> Iterator[_GrowingWav]:
        with wav_writer(path, sample_rate) as write:
            yield _GrowingWav(path, write)

    def show(self, path: Path) -> Shown:
        from samplernn.audio import spectrogram  # which takes a second: not for who draws no picture

        audio, rate = heard_of(path)
        return Shown(audio, rate, {"mel": spectrogram.draw(audio, rate, path.name)})


class _GrowingWav:
    """A WAV that is whole after each `append`."""

    def __init__(self, path: Path, write: Callable[[np.ndarray], None]):
        self._path = path
        self.append = write

    @property
    def length(self) -> int:
        """By its header, which tells what was written when the disk was full."""
        return wav_frames(self._path)
