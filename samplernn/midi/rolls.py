"""Tunes as piano rolls, which say of each pitch at each step whether it sounds, and back.

All that decides is whole numbers, so that a roll that is written as MIDI and read again is the same roll.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import mido
import numpy as np

from samplernn.midi.clock import MICROSECONDS, TEMPO
from samplernn.midi.tunes import Tune
from samplernn.system.files import written_aside

SILENT, HELD, STRUCK = 0, 1, 2  # what a pitch is at a step; in a roll without onsets, one that sounds is HELD
PIANO = 0
VELOCITY = 90
MAX_TICKS_PER_BEAT = 2**15 - 1  # what a MIDI file can say
FINE = 480  # ticks a beat that are fine enough for other programs


@dataclass(frozen=True)
class Grid:
    """Where the steps of a roll are, and which pitches its rows stand for.

    Attributes:
        low: the lowest pitch.
        high: the pitch behind the highest one.
        step: microseconds a step, or None where steps follow the beats.
        steps_per_beat: how many, or None where a step is of some microseconds.
        tempo: beats a minute of a roll that is written, where steps follow the beats.
        onsets: whether a roll tells where a note begins from where it goes on.
    """

    low: int
    high: int
    step: int | None
    steps_per_beat: int | None
    tempo: float
    onsets: bool

    @property
    def seconds_per_step(self) -> Fraction:
        """How long a step of a roll that is written is."""
        _, steps_per_beat, tempo = self._clock
        return Fraction(tempo, steps_per_beat * MICROSECONDS)

    @property
    def in_words(self) -> str:
        """What its steps are, whatever the tempo at which they are written."""
        each = f"{self.step / MICROSECONDS:.8g} s" if self.step else f"1/{self.steps_per_beat} beat"
        onsets = " with onsets" if self.onsets else ""
        return f"steps of {each} of the pitches from {self.low} to {self.high - 1}{onsets}"

    def steps(self, tune: Tune) -> int:
        """How many its roll has, which are those that begin before its end."""
        return int(self._steps_before(tune, np.array(tune.length)))

    def roll(self, tune: Tune) -> np.ndarray:
        """What sounds at each step: int8 [steps, high - low] of SILENT, HELD and, with onsets, STRUCK.

        A note sounds at the steps from its start on, and no longer at one at its end. Its first step is STRUCK, even
        where another note of its pitch sounds already.
        """
        steps = self.steps(tune)
        roll = np.zeros((steps, self.high - self.low), np.int8)
        pitches, first, behind = self._sounding(tune)
        for pitch in np.unique(pitches):
            begun, ended = (np.bincount(at[pitches == pitch], minlength=steps + 1) for at in (first, behind))
            roll[:, pitch - self.low] = np.where(np.cumsum(begun - ended)[:steps] > 0, HELD, SILENT)
        if self.onsets:
            roll[first, pitches - self.low] = STRUCK
        return roll

    def outside(self, tune: Tune) -> int:
        """How many notes of a tune its roll has no row for."""
        return int(np.sum(~self._in_range(tune)))

    def vanishing(self, tune: Tune) -> int:
        """How many notes of its rows sound at no step, for they lie between two."""
        return int(np.sum(self._in_range(tune))) - len(self._sounding(tune)[0])

    def microseconds_per_step(self, tune: Tune) -> int:
        """How long a step of a tune is on average: rounded, and 1 at least."""
        if self.step is not None:
            return self.step
        steps = Fraction(tune.length * self.steps_per_beat, tune.ticks_per_beat)
        return max(1, round(tune.microseconds(tune.length) / steps))

    def _steps_before(self, tune: Tune, ticks: np.ndarray) -> np.ndarray:
        """How many steps begin before each tick, which is the first step that doesn't: int64."""
        if self.step is None:
            return -(-ticks * self.steps_per_beat // tune.ticks_per_beat)
        return -(-tune.scaled_microseconds(ticks) // (self.step * tune.ticks_per_beat))

    def _in_range(self, tune: Tune) -> np.ndarray:
        pitches, _, _ = tune.arrays
        return (self.low <= pitches) & (pitches < self.high)

    def _sounding(self, tune: Tune) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Of the notes that sound at a step of its rows the pitches, first steps, and steps behind the last."""
        pitches, starts, ends = (array[self._in_range(tune)] for array in tune.arrays)
        first, behind = self._steps_before(tune, starts), self._steps_before(tune, ends)
        sounds = first < behind
        return pitches[sounds], first[sounds], behind[sounds]

    @property
    def _clock(self) -> tuple[int, int, int]:
        """The ticks a step, the steps a beat and the microseconds a beat of a MIDI file that is written.

        Where a step is of some microseconds, a beat is of as many steps as make it about half a second, and a tick is
        of whole microseconds.
        """
        if self.step is None:
            return max(1, FINE // self.steps_per_beat), self.steps_per_beat, round(60e6 / self.tempo)
        steps = min(max(1, round(TEMPO / self.step)), MAX_TICKS_PER_BEAT)
        most = max(1, FINE // steps)
        return max(ticks for ticks in range(1, most + 1) if self.step % ticks == 0), steps, steps * self.step


def runs(sounds: np.ndarray) -> np.ndarray:
    """The stretches of True, [steps]: where each begins, and what is behind it, [stretches, 2]."""
    return np.flatnonzero(np.diff(sounds, prepend=False, append=False)).reshape(-1, 2)


def notes_of(roll: np.ndarray, onsets: bool) -> list[tuple[int, int, int]]:
    """The notes of a roll [steps, rows], by their first step, then their row.

    Args:
        roll: of SILENT, HELD and STRUCK.
        onsets: whether STRUCK begins a note where one of its row goes on; without, steps that join are one note.

    Returns:
        For each note its row, its first step and the step behind its last.
    """
    sounds = np.pad(roll != SILENT, [(1, 1), (0, 0)])
    begins = sounds[1:] & ~sounds[:-1]
    ends = sounds[:-1] & ~sounds[1:]
    if onsets:
        struck = np.pad(roll == STRUCK, [(0, 1), (0, 0)])
        begins, ends = begins | struck, ends | (struck & sounds[:-1])
    rows, first = np.nonzero(begins.T)
    _, behind = np.nonzero(ends.T)  # row by row, notes end in the order in which they begin
    order = np.lexsort([rows, first])
    return list(zip(rows[order].tolist(), first[order].tolist(), behind[order].tolist()))


def write_roll(path: Path, roll: np.ndarray, grid: Grid) -> None:
    """Write a roll [steps, high - low] as MIDI, whole or not at all: a piano, and silence up to the last step's end.

    Raises:
        OSError: the disk refuses.
    """
    ticks_per_step, steps_per_beat, tempo = grid._clock
    events = []
    for row, first, behind in notes_of(roll, grid.onsets):
        events.append((first, "note_on", grid.low + row, VELOCITY))
        events.append((behind, "note_off", grid.low + row, 0))
    track = mido.MidiTrack([mido.MetaMessage("set_tempo", tempo=tempo), mido.Message("program_change", program=PIANO)])
    now = 0
    for step, kind, pitch, velocity in sorted(events):  # at a step, notes end before others begin
        time, now = (step - now) * ticks_per_step, step
        track.append(mido.Message(kind, note=pitch, velocity=velocity, time=time))
    track.append(mido.MetaMessage("end_of_track", time=(len(roll) - now) * ticks_per_step))
    file = mido.MidiFile(type=0, ticks_per_beat=steps_per_beat * ticks_per_step, tracks=[track])
    with written_aside(path) as aside:
        file.save(aside)
