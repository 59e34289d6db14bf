"""Rolls as output: the notes of a step, drawn together, and the MIDI file, the WAV and the pictures that they become.

An item, int32 [notes], is one of `midi.items`, which also says how likely a note was to sound.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from samplernn.audio.wav import wav_writer
from samplernn.corpus.data import data_of
from samplernn.corpus.tunes import MAX_STEPS, open_tune, read_roll
from samplernn.generation.shown import Shown, heard_of
from samplernn.midi.items import LEVELS, VALUE_BITS, likelihoods_of, values_of
from samplernn.midi.judging import Repertoire, RollJudge
from samplernn.midi.rendering import Renderer
from samplernn.midi.rolls import SILENT, Grid, write_roll
from samplernn.models.config import Config
from samplernn.options.generate import DEFAULT_DUR_OF_NOTES, DEFAULT_NOTE_THRESHOLD
from samplernn.system.errors import InputError

NO_NOTE = -1  # drawn from what is no distribution
FREE = -1  # that a note is not given
WAV, ROLL, PROBABILITIES = ".wav", ".roll.png", ".probabilities.png"


class Notes:
    """The notes of a step, each drawn by itself."""

    options = ("note_threshold", "max_notes", "hold", "soundfont")
    dtype, suffixes = tf.int32, (".mid", WAV, ROLL, PROBABILITIES)
    unit, makes, default_dur = "step", "MIDI", DEFAULT_DUR_OF_NOTES

    def __init__(
        self,
        config: Config,
        note_threshold: float = DEFAULT_NOTE_THRESHOLD,
        max_notes: int | None = None,
        hold: str | None = None,
        soundfont: str | None = None,
    ):
        """Those of generate.py.

        Raises:
            InputError: `hold` is no MIDI file, or `soundfont` can't be used.
        """
        self.grid = data_of(config).grid
        self._threshold, self._max_notes = note_threshold, max_notes
        self._held = _held_notes(hold, self.grid) if hold else np.zeros([0, config.num_notes], np.int8)
        self._render = Renderer(soundfont)
        self.numbers = (2, config.num_notes)

    def random(self, stream: np.random.Generator, start: int, length: int) -> np.ndarray:
        """For each note a number in [0, 1), and what is given of it, else FREE."""
        uniform = stream.random([length, self.numbers[1]], np.float32)
        given = np.full_like(uniform, FREE)
        held = self._held[start : start + length]
        given[: len(held)][held != SILENT] = held[held != SILENT]
        return np.stack([uniform, given], axis=1)

    def draw(self, logits, temperature, numbers):
        """As the protocol has it; `logits` are [B, notes, values], of which that of silence is the first.

        A note that is not likelier than the threshold is silent; where more sound than may, the likeliest do. What is
        given is as it is given.
        """
        uniform, given = numbers[:, 0], tf.cast(numbers[:, 1], tf.int32)
        probabilities = tf.nn.softmax(logits / temperature[:, None, None])
        at_least = tf.cumsum(probabilities[..., :0:-1], axis=-1)  # [B, notes, values - 1], the highest value first
        likely = at_least[..., -1]
        drawn = tf.reduce_sum(tf.cast(uniform[..., None] < at_least, tf.int32), axis=-1)
        drawn = tf.where(likely > self._threshold, drawn, SILENT)
        drawn = tf.where(given > SILENT, given, drawn)
        if self._max_notes:
            drawn = self._likeliest(drawn, likely, given > SILENT)
        item = drawn | tf.bitwise.left_shift(tf.cast(tf.round(LEVELS * likely), tf.int32), VALUE_BITS)
        return tf.where(tf.math.is_nan(likely), NO_NOTE, item)

    def _likeliest(self, drawn, likely, held):
        """The most notes that may sound of those that are drawn, [B, notes]; of equally likely ones the lower.

        Those that are held count among them, and sound however many they are.
        """
        order = tf.where(held, 2.0, tf.where(drawn > SILENT, likely, -1.0))
        _, rows = tf.math.top_k(order, min(self._max_notes, drawn.shape[1]))
        kept = tf.reduce_max(tf.one_hot(rows, drawn.shape[1]), axis=1) > 0
        return tf.where(kept | held, drawn, SILENT)

    def rate(self, sample_rate: float) -> float:
        return float(1 / self.grid.seconds_per_step)

    def count(self, dur: float, sample_rate: int, flag: str = "--dur", before: int = 0) -> int:
        """As many steps as are needed; none is left out."""
        steps = max(1, math.ceil(round(dur / float(self.grid.seconds_per_step), 6)))
        if before + steps > MAX_STEPS:
            longest = max(0, MAX_STEPS - before) * float(self.grid.seconds_per_step)
            raise InputError(f"{flag} {dur}: {longest:.0f} is the longest that will do")
        return steps

    def decode(self, items: np.ndarray) -> np.ndarray:
        """They are written as they are, for the pictures' sake."""
        return items

    @property
    def facts(self) -> dict[str, Any]:
        return {"played_by": self._render.player}

    def judges(
        self, number: int, sample_rate: int, before: int, trained_on: Callable[[], Iterable[tuple[str, np.ndarray]]]
    ) -> list[RollJudge]:
        known = Repertoire(trained_on)
        return [RollJudge(self.grid.seconds_per_step, before, known) for _ in range(number)]

    @contextmanager
    def begin(self, path: Path, sample_rate: int) -> Iterator[_GrowingMidi]:
        from samplernn.midi.pictures import draw_probabilities, draw_roll  # which takes half a second

        file = _GrowingMidi(path, self.grid)
        yield file
        items = file.items
        place = self.grid.low, self.grid.seconds_per_step, path.name
        path.with_suffix(ROLL).write_bytes(draw_roll(values_of(items), *place))
        path.with_suffix(PROBABILITIES).write_bytes(draw_probabilities(likelihoods_of(items), *place))
        audio = self._render(path, round(len(items) * self.grid.seconds_per_step * sample_rate), sample_rate)
        with wav_writer(path.with_suffix(WAV), sample_rate) as write:
            write(audio)

    def show(self, path: Path) -> Shown:
        audio, rate = heard_of(path.with_suffix(WAV))
        pictures = {"roll": ROLL, "probabilities": PROBABILITIES}
        return Shown(audio, rate, {name: path.with_suffix(suffix).read_bytes() for name, suffix in pictures.items()})


class _GrowingMidi:
    """A MIDI file that is whole after each `append`."""

    def __init__(self, path: Path, grid: Grid):
        self._path, self._grid = path, grid
        self.items = np.zeros([0, grid.high - grid.low], np.int32)
        self.length = 0

    def append(self, decoded: np.ndarray) -> None:
        self.items = np.concatenate([self.items, decoded])
        write_roll(self._path, values_of(self.items), self._grid)
        self.length = len(self.items)


def _held_notes(path: str, grid: Grid) -> np.ndarray:
    """The roll of a file of notes that are kept."""
    tune = open_tune(path, grid, "hold")
    return read_roll(tune, grid, 0, tune.frames)
