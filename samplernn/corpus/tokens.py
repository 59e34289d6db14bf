"""Tokens as data: quantized samples of audio, and the codes that autoencoders have made of them."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence

import numpy as np

from samplernn.audio.quantize import quantizer
from samplernn.audio.resample import length_at, own_samples, read_at
from samplernn.audio.wav import Recording, examine_named, read_mono
from samplernn.corpus import unigram
from samplernn.corpus.codes import read_coded
from samplernn.corpus.corpus import Corpus
from samplernn.corpus.scan import examine_corpus
from samplernn.models.config import NO_ITEM, Config
from samplernn.system.words import counted, roughly


class _OfAudio:
    """What all kinds of data have in common that are made of audio."""

    reads = "audio"
    examine = staticmethod(examine_corpus)

    def completed(self, config: Config, corpus: Corpus) -> Config:
        return config

    def describe(self, recordings: Sequence[Recording]) -> str:
        seconds = sum(recording.seconds for recording in recordings)
        return f"{counted(len(recordings), 'file')}, {roughly(seconds)}"

    def as_trained(self, recording: Recording, draw: random.Random) -> Recording:
        return recording

    def baselines(
        self, recordings: Sequence[Recording], trained_on: Callable[[], Sequence[Recording]]
    ) -> dict[str, float]:
        """The NLL of a model that knows how often each item occurs in what is predicted."""
        return {"baseline_nats": self.entropy(recordings)}


class AudioTokens(_OfAudio):
    """Quantized samples of mono audio, int32 tokens; the config has `q_type` and `q_levels`."""

    unit = "sample"

    def __init__(self, config: Config):
        self.quantizer = quantizer(config.q_type, config.q_levels)
        self.encode = self.quantizer.encode
        self.kind_of_items = f"samples of {config.q_levels} {config.q_type} levels"
        self.padding = np.int32(NO_ITEM if config.marks_outside else self.quantizer.zero)

    def read(self, recording: Recording, start: int, length: int) -> np.ndarray:
        return self.quantizer.encode(read_mono(recording.path, start, length))

    def open_seed(self, path: str) -> Recording:
        return examine_named(path, "seed")

    def items_of_seed(self, recording: Recording, sample_rate: int, dur: float) -> int:
        return round(dur * sample_rate)

    def length_of_seed(self, recording: Recording, sample_rate: int, offset: int) -> int:
        return length_at(recording, sample_rate, offset)

    def own_length(self, recording: Recording, sample_rate: int, length: int) -> int:
        return own_samples(recording, sample_rate, length)

    def read_seed(self, recording: Recording, sample_rate: int, offset: int, length: int) -> np.ndarray:
        return self.quantizer.encode(read_at(recording, sample_rate, offset, length))

    def facts_of_seed(self, recording: Recording, sample_rate: int, offset: int, length: int) -> dict[str, float | int]:
        own_rate = {"sample_rate": recording.sample_rate} if recording.sample_rate != sample_rate else {}
        return {"offset": offset} | own_rate | {"dur": length / sample_rate}

    def baseline(self, recordings: Sequence[Recording]) -> float:
        return unigram.unigram_entropy(recordings, self.quantizer)

    def entropy(self, recordings: Sequence[Recording]) -> float:
        return unigram.exact_entropy(recordings, self.quantizer)


class CodeTokens(_OfAudio):
    """The codes that an autoencoder has made of audio, int32; a recording is a file of them."""

    unit = "code"

    def __init__(self, config: Config):
        self._levels = config.q_levels
        self.kind_of_items = f"codes of {self._levels} levels"
        self.padding = np.int32(NO_ITEM)

    def read(self, recording: Recording, start: int, length: int) -> np.ndarray:
        return read_coded(recording, self._levels)[start : start + length]

    def baseline(self, recordings: Sequence[Recording]) -> float:
        some = recordings[:: math.ceil(len(recordings) / unigram.MAX_FILES)]
        return unigram.entropy_of(sum(recording.folder.weight * self._counts(recording) for recording in some))

    def entropy(self, recordings: Sequence[Recording]) -> float:
        return unigram.entropy_of(sum(map(self._counts, recordings)))

    def _counts(self, recording: Recording) -> np.ndarray:
        return np.bincount(read_coded(recording, self._levels)[: recording.frames], minlength=self._levels)
