"""MIDI made audible: by the program FluidSynth where it and a soundfont are there, else by our own synthesizer."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np

from samplernn.midi import fluidsynth
from samplernn.midi.clock import MICROSECONDS
from samplernn.midi.synthesis import Sounding, synthesize
from samplernn.midi.tunes import Unusable, read_tune
from samplernn.system.errors import RunError

log = logging.getLogger(__name__)


class Renderer:
    """Makes MIDI files audible, all by the same means."""

    def __init__(self, soundfont: str | None = None, of_system: bool = True):
        """
        Args:
            soundfont: what the user names.
            of_system: whether, where that is nothing, one that the system has will do, with the program.

        Raises:
            InputError: it is none, or the program is not installed.
        """
        self._named = soundfont is not None
        self._fluidsynth = fluidsynth.find(soundfont) if soundfont or of_system else None

    @property
    def player(self) -> str:
        """What makes them audible, in words."""
        return f"{fluidsynth.PROGRAM}, {self._fluidsynth.soundfont}" if self._fluidsynth else "our own synthesizer"

    def __call__(self, midi: Path, num_samples: int, sample_rate: int) -> np.ndarray:
        """What a MIDI file sounds like: float32 [num_samples] in [-1, 1].

        Raises:
            Unusable: it is no MIDI file.
            RunError: the program fails, with a soundfont that the user names.
        """
        if self._fluidsynth:
            try:
                return self._fluidsynth.render(midi, num_samples, sample_rate)
            except RunError as error:
                if self._named:
                    raise
                log.warning("%s; using the synthesizer of our own.", error)
                self._fluidsynth = None
        return synthesize(_notes(midi), num_samples, sample_rate)


def _notes(midi: Path) -> list[Sounding]:
    try:
        tune = read_tune(midi)
    except Unusable as error:
        if error.problem == "without notes":
            return []
        raise
    times = {tick: tune.microseconds(tick) / MICROSECONDS for note in tune.notes for tick in (note.start, note.end)}
    return [Sounding(note.pitch, times[note.start], times[note.end]) for note in tune.notes]
