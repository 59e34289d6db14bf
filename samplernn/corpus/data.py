"""Kinds of data that a model can be of: which files hold it, how items are read from them, what is known of it."""

from __future__ import annotations

import random
from collections.abc import Callable, Hashable, Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np

from samplernn.audio.wav import Recording
from samplernn.corpus.rolls import Rolls
from samplernn.corpus.tokens import AudioTokens, CodeTokens
from samplernn.models.config import Config, GenerationConfig

if TYPE_CHECKING:
    from samplernn.corpus.corpus import Corpus, Examination


class Data(Protocol):
    """A kind of data, as the config of a model has it.

    Attributes:
        unit: what an item is called.
        kind_of_items: what they are, in words: those of two models mean the same where these are equal.
        padding: the item that stands before a recording's first and behind its last, of a signed type: among targets
            there is NO_TARGET.
        reads: what decides which recordings are found in folders, and how long they are.
    """

    unit: str
    kind_of_items: str
    padding: np.ndarray
    reads: Hashable

    def __init__(self, config: Config): ...

    def examine(self, data_dir: Sequence[str]) -> Examination:
        """Look at every file below the folders, once."""

    def completed(self, config: Config, corpus: Corpus) -> Config:
        """A config, with what it leaves to the corpus that it is trained on."""

    def describe(self, recordings: Sequence[Recording]) -> str:
        """How many and how long they are."""

    def as_trained(self, recording: Recording, draw: random.Random) -> Recording:
        """A recording as an epoch of training has it, which may be drawn."""

    def read(self, recording: Recording, start: int, length: int) -> np.ndarray:
        """The items [length, ...] of a recording from its item `start` on."""

    def baseline(self, recordings: Sequence[Recording]) -> float:
        """About the loss, in nats an item, of a model that knows how often items are heard and nothing else."""

    def baselines(
        self, recordings: Sequence[Recording], trained_on: Callable[[], Sequence[Recording]]
    ) -> dict[str, float]:
        """What models that know next to nothing measure, by what a table calls that; `_nats` of an item.

        Args:
            recordings: what is predicted, of which each counts once.
            trained_on: finds what they learn from, if they do; where that is nothing, it is what is predicted.
        """


class OfFiles(Data, Protocol):
    """A kind of data that is in the files that users have: a seed is such a file, of any sample rate."""

    def open_seed(self, path: str) -> Recording:
        """Make sure that a seed is such a file.

        Raises:
            InputError: it isn't; the message names the flag.
        """

    def items_of_seed(self, recording: Recording, sample_rate: int | None, dur: float) -> int:
        """How many items there are in so many seconds of it."""

    def length_of_seed(self, recording: Recording, sample_rate: int | None, offset: int) -> int:
        """How many items there are from one of its own on."""

    def own_length(self, recording: Recording, sample_rate: int | None, length: int) -> int:
        """How many of its own make so many items."""

    def read_seed(self, recording: Recording, sample_rate: int | None, offset: int, length: int) -> np.ndarray:
        """So many items [length, ...] from one of its own on."""

    def facts_of_seed(
        self, recording: Recording, sample_rate: int | None, offset: int, length: int
    ) -> dict[str, float | int]:
        """What the JSON of a sequence says of them, beside the file."""


KINDS: dict[str, type[Data]] = {"audio": AudioTokens, "codes": CodeTokens, "rolls": Rolls}


def padded(data: Data, length: int) -> np.ndarray:
    """So many items of what is outside a recording."""
    return np.broadcast_to(data.padding, [length, *data.padding.shape])


def data_of(config: GenerationConfig) -> Data:
    """The data of a model."""
    return KINDS[config.data](config.of_items)
