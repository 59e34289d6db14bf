"""Rolls as data: the steps of MIDI files."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from samplernn.corpus import notes
from samplernn.corpus.tunes import TuneCorpus, TuneExamination, TuneFile, examine_tunes, open_tune, read_roll
from samplernn.midi.clock import MICROSECONDS
from samplernn.midi.rolls import Grid
from samplernn.models.config import Config
from samplernn.system.words import counted, roughly


class Rolls:
    """Steps of piano rolls, int8 [notes]; the config says what a step and which notes there are."""

    unit = "step"

    def __init__(self, config: Config):
        self._config = config
        self.grid = self.reads = grid_of(config)
        self.padding = np.zeros(config.num_notes, np.int8)
        self.kind_of_items = self.grid.in_words

    def examine(self, data_dir: Sequence[str]) -> TuneExamination:
        return examine_tunes(data_dir, self.grid)

    def completed(self, config: Config, corpus: TuneCorpus) -> Config:
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

    def open_seed(self, path: str) -> TuneFile:
        return open_tune(path, self.grid, "seed")

    def items_of_seed(self, recording: TuneFile, sample_rate: int | None, dur: float) -> int:
        return round(dur * MICROSECONDS / recording.microseconds)

    def length_of_seed(self, recording: TuneFile, sample_rate: int | None, offset: int) -> int:
        return recording.frames - offset

    def own_length(self, recording: TuneFile, sample_rate: int | None, length: int) -> int:
        return length

    def read_seed(self, recording: TuneFile, sample_rate: int | None, offset: int, length: int) -> np.ndarray:
        return self.read(recording, offset, length)

    def facts_of_seed(
        self, recording: TuneFile, sample_rate: int | None, offset: int, length: int
    ) -> dict[str, float | int]:
        return {"offset": offset, "steps": length, "dur": length * recording.microseconds / MICROSECONDS}

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
