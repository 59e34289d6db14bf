"""Kinds of data that a model can be of: which files hold it, how items are read from them, what is known of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np

from samplernn.audio.quantize import quantizer
from samplernn.audio.wav import Recording, read_mono
from samplernn.corpus import scan, unigram
from samplernn.corpus.codes import read_coded
from samplernn.models.config import NO_ITEM, Config

if TYPE_CHECKING:
    from samplernn.corpus.scan import Corpus, Examination


class Data(Protocol):
    """A kind of data, as the config of a model has it.

    Attributes:
        unit: what an item is called.
        padding: the item that stands before a recording's first and behind its last, of a signed type: among targets
            there is NO_TARGET.
    """

    unit: str
    padding: np.ndarray

    def __init__(self, config: Config): ...

    def examine(self, data_dir: Sequence[str]) -> Examination:
        """Look at every file below the folders, once."""

    def scan(self, data_dir: Sequence[str], skip_unusable: bool = False, strict: bool = False) -> Corpus:
        """Look at every file below the folders; InputError names what cannot be used."""

    def read(self, recording: Recording, start: int, length: int) -> np.ndarray:
        """The items [length, ...] of a recording from its item `start` on."""

    def baseline(self, recordings: Sequence[Recording]) -> float:
        """About the loss, in nats an item, of a model that knows how often items are heard and nothing else."""

    def entropy(self, recordings: Sequence[Recording]) -> float:
        """The same exactly, of all items, where each recording counts once."""


class AudioTokens:
    """Quantized samples of mono audio, int32 tokens; the config has `q_type` and `q_levels`."""

    unit = "sample"
    examine, scan = staticmethod(scan.examine_corpus), staticmethod(scan.scan_corpus)

    def __init__(self, config: Config):
        self.quantizer = quantizer(config.q_type, config.q_levels)
        self.encode = self.quantizer.encode
        self.padding = np.int32(NO_ITEM if config.marks_outside else self.quantizer.zero)

    def read(self, recording: Recording, start: int, length: int) -> np.ndarray:
        return self.quantizer.encode(read_mono(recording.path, start, length))

    def baseline(self, recordings: Sequence[Recording]) -> float:
        return unigram.unigram_entropy(recordings, self.quantizer)

    def entropy(self, recordings: Sequence[Recording]) -> float:
        return unigram.exact_entropy(recordings, self.quantizer)


class CodeTokens:
    """The codes that an autoencoder has made of audio, int32; a recording is a file of them."""

    unit = "code"
    examine, scan = staticmethod(scan.examine_corpus), staticmethod(scan.scan_corpus)  # of the audio

    def __init__(self, config: Config):
        self._levels = config.q_levels
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


KINDS: dict[str, type[Data]] = {"audio": AudioTokens, "codes": CodeTokens}


def data_of(config: Config) -> Data:
    """The data of a model."""
    return KINDS[config.data](config)
