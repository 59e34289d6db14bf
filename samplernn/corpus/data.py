"""Kinds of data that a model can be of: which files hold it, how items are read from them, what is known of it."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

import numpy as np

from samplernn.audio.quantize import quantizer
from samplernn.audio.resample import length_at, own_samples, read_at
from samplernn.audio.wav import Recording, examine_named, read_mono
from samplernn.corpus import notes, unigram
from samplernn.corpus.codes import read_coded
from samplernn.corpus.scan import examine_corpus
from samplernn.corpus.tunes import TuneFile, examine_tunes, open_tune, read_roll
from samplernn.midi.rolls import Grid
from samplernn.models.config import NO_ITEM, Config
from samplernn.system.words import counted, roughly

if TYPE_CHECKING:
    from samplernn.corpus.corpus import Corpus, Examination


class Data(Protocol):
    """A kind of data, as the config of a model has it.

    Attributes:
        unit: what an item is called.
        padding: the item that stands before a recording's first and behind its last, of a signed type: among targets
            there is NO_TARGET.
        reads: what decides which recordings are found in folders, and how long they are.
    """

    unit: str
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

    def rate(self, sample_rate: int | None) -> float:
        """Items a second, of audio at a sample rate in Hz."""

    def open_seed(self, path: str) -> Recording:
        """Make sure that a seed is such a file.

        Raises:
            InputError: it isn't; the message names the flag.
        """

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
        self.padding = np.int32(NO_ITEM if config.marks_outside else self.quantizer.zero)

    def read(self, recording: Recording, start: int, length: int) -> np.ndarray:
        return self.quantizer.encode(read_mono(recording.path, start, length))

    def rate(self, sample_rate: int) -> float:
        return sample_rate

    def open_seed(self, path: str) -> Recording:
        return examine_named(path, "seed")

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


class Rolls:
    """Steps of piano rolls, int8 [notes]; the config says what a step and which notes there are."""

    unit = "step"

    def __init__(self, config: Config):
        self._config = config
        self.grid = self.reads = grid_of(config)
        self.padding = np.zeros(config.num_notes, np.int8)

    def examine(self, data_dir: Sequence[str]) -> Examination:
        return examine_tunes(data_dir, self.grid)

    def completed(self, config: Config, corpus: Corpus) -> Config:
        """With the commonest tempo, where steps follow the beats and it names none."""
        return replace(config, tempo=corpus.tempo) if config.steps_per_beat and config.tempo is None else config

    def describe(self, recordings: Sequence[TuneFile]) -> str:
        steps, seconds = (sum(getattr(recording, of) for recording in recordings) for of in ("frames", "seconds"))
        notes_a_step = sum(recording.sounding for recording in recordings) / steps
        tunes = f"{counted(len(recordings), 'tune')}, {roughly(seconds)}"
        return f"{tunes}, {counted(steps, 'step')}, {notes_a_step:.2f} notes a step"

    def as_trained(self, recording: TuneFile, draw: random.Random) -> TuneFile:
        """Transposed by so many rows that all notes stay in range, and as long as the config says."""
        down = min(self._config.transpose, recording.lowest)
        up = min(self._config.transpose, self._config.num_notes - 1 - recording.highest)
        return replace(
            recording,
            shift=draw.randint(-down, up) if self._config.transpose else 0,
            frames=self._config.tune_length or recording.frames,
        )

    def read(self, recording: TuneFile, start: int, length: int) -> np.ndarray:
        return read_roll(recording, self.grid, start, length)

    def rate(self, sample_rate: int | None) -> float:
        return float(1 / self.grid.seconds_per_step)

    def open_seed(self, path: str) -> TuneFile:
        return open_tune(path, self.grid, "seed")

    def length_of_seed(self, recording: TuneFile, sample_rate: int | None, offset: int) -> int:
        return recording.frames - offset

    def own_length(self, recording: TuneFile, sample_rate: int | None, length: int) -> int:
        return length

    def read_seed(self, recording: TuneFile, sample_rate: int | None, offset: int, length: int) -> np.ndarray:
        return self.read(recording, offset, length)

    def facts_of_seed(
        self, recording: TuneFile, sample_rate: int | None, offset: int, length: int
    ) -> dict[str, float | int]:
        return {"offset": offset, "steps": length, "dur": float(length * self.grid.seconds_per_step)}

    def baseline(self, recordings: Sequence[TuneFile]) -> float:
        rolls = self._rolls(recordings)
        return notes.Marginals(rolls, self._config.values, [of.folder.weight for of in recordings]).nll(rolls)

    def baselines(
        self, recordings: Sequence[TuneFile], trained_on: Callable[[], Sequence[TuneFile]]
    ) -> dict[str, float]:
        """The NLL of how often each note has each value, and of that given the step before; the last step repeated."""
        rolls = self._rolls(recordings)
        learnt = self._rolls(trained_on()) or rolls
        return {
            "marginals_nats": notes.Marginals(learnt, self._config.values).nll(rolls),
            "markov_nats": notes.MarkovChains(learnt, self._config.values).nll(rolls),
            "repeated_accuracy": notes.accuracy_of_repeating(rolls),
        }

    def _rolls(self, recordings: Sequence[TuneFile]) -> list[np.ndarray]:
        return [self.read(recording, 0, recording.frames) for recording in recordings]


def grid_of(config: Config) -> Grid:
    """Of what a config calls a step, and of its notes."""
    low, high = config.note_range
    step = None if config.steps_per_beat else config.microseconds
    return Grid(low, high, step, config.steps_per_beat, config.tempo_to_write, config.onsets)


KINDS: dict[str, type[Data]] = {"audio": AudioTokens, "codes": CodeTokens, "rolls": Rolls}


def padded(data: Data, length: int) -> np.ndarray:
    """So many items of what is outside a recording."""
    return np.broadcast_to(data.padding, [length, *data.padding.shape])


def data_of(config: Config) -> Data:
    """The data of a model."""
    return KINDS[config.data](config)
