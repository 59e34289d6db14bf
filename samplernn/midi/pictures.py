"""Pictures of rolls: which notes sound when, and how probable a network holds them."""

from __future__ import annotations

import io
import math
import warnings
from fractions import Fraction

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure  # a figure of pyplot's would be kept, and look for a screen

from samplernn.midi.rolls import STRUCK, runs

NAMES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
MIDDLE_C = 60
MARGIN, LEAST_RANGE = 1, 24  # semitones around the notes that occur, and in all
ALL_NAMED_RANGE = 28  # semitones in which there is room to name every natural
PROBABLE = 0.1  # what is never as probable does not occur
NOTE_COLOUR, STRUCK_COLOUR, BLACK_KEY_COLOUR, OCTAVE_COLOUR = "#21918c", "#440154", "#f0f0f0", "#b0b0b0"
STRUCK_PIXELS, STRUCK_STEPS = 2, 0.4  # how wide a stroke is, at most
COLUMNS = 500  # of pixels, about


def note_name(pitch: int) -> str:
    """Of a MIDI number: 60 is C4, 61 is C#4."""
    return f"{NAMES[pitch % 12]}{pitch // 12 - 1}"


def draw_roll(roll: np.ndarray, low: int, seconds_per_step: Fraction | float, title: str) -> bytes:
    """A PNG of a roll, [steps, notes] from the pitch `low` on: a bar for each note, a stroke where one is struck."""
    step = float(seconds_per_step)
    shown = _range(roll > 0, low)
    figure, axes = _axes(title, len(roll) * step, *shown)
    _draw_keys(axes, *shown)
    pixel = len(roll) * step / COLUMNS  # nothing is narrower, or it would not be seen
    stroke = max(pixel, min(STRUCK_PIXELS * pixel, STRUCK_STEPS * step))
    bars, strokes = [], []
    for row in np.flatnonzero(roll.any(axis=0)):
        sounding, struck = runs(roll[:, row] > 0), np.flatnonzero(roll[:, row] == STRUCK)
        bars += [_box(start, max(end, start + pixel), low + row) for start, end in sounding * step]
        strokes += [_box(start, start + stroke, low + row) for start in struck * step]
    for boxes, colour in ((bars, NOTE_COLOUR), (strokes, STRUCK_COLOUR)):
        axes.add_collection(PolyCollection(boxes, facecolor=colour, linewidth=0, zorder=2), autolim=False)
    return _png(figure)


def draw_probabilities(probabilities: np.ndarray, low: int, seconds_per_step: Fraction | float, title: str) -> bytes:
    """A PNG of the probabilities of notes, float [steps, notes] from the pitch `low` on.

    Where steps are narrower than pixels, the highest of several is shown.
    """
    steps, notes = probabilities.shape
    step, together = float(seconds_per_step), max(1, math.ceil(steps / COLUMNS))
    figure, axes = _axes(title, steps * step, *_range(probabilities >= PROBABLE, low))
    columns = np.zeros((math.ceil(steps / together), together, notes))
    columns.reshape(-1, notes)[:steps] = probabilities
    image = axes.imshow(
        columns.max(axis=1).T, origin="lower", aspect="auto", cmap="viridis", vmin=0, vmax=1,
        extent=(0, len(columns) * together * step, low - 0.5, low + notes - 0.5),
    )  # fmt: skip
    figure.colorbar(image, label="probability")
    return _png(figure)


def _range(occurs: np.ndarray, low: int) -> tuple[int, int]:
    """The lowest and the highest pitch that are shown, of what occurs in [steps, notes]: at least two octaves."""
    pitches = low + np.flatnonzero(occurs.any(axis=0)) if occurs.any() else np.array([MIDDLE_C])
    lowest, highest = int(pitches.min()) - MARGIN, int(pitches.max()) + MARGIN
    missing = max(0, LEAST_RANGE - (highest - lowest))
    return lowest - missing // 2, highest + missing - missing // 2


def _box(start: float, end: float, pitch: int) -> list[tuple[float, float]]:
    """The corners of a pitch's row from a second to another."""
    return [(start, pitch - 0.5), (end, pitch - 0.5), (end, pitch + 0.5), (start, pitch + 0.5)]


def _axes(title: str, seconds: float, lowest: int, highest: int) -> tuple[Figure, Axes]:
    """A figure with axes of seconds and pitches."""
    figure = Figure(figsize=(8, 3.5), dpi=80, layout="constrained")
    axes = figure.add_subplot()
    axes.set(xlabel="seconds", xlim=(0, seconds or 1), ylim=(lowest - 0.5, highest + 0.5), autoscale_on=False)
    axes.set_title(title, parse_math=False)
    all_named = highest - lowest <= ALL_NAMED_RANGE
    named = [p for p in range(lowest, highest + 1) if p % 12 == 0 or (all_named and _is_natural(p))]
    # E and F, B and C have neighbouring rows, lower than a letter: two of them are written beside the others.
    labels = [note_name(p) + "    " * (NAMES[p % 12] in "FB") for p in named]
    axes.set_yticks(named, labels, fontsize="small")
    return figure, axes


def _draw_keys(axes: Axes, lowest: int, highest: int) -> None:
    """Shade the rows of black keys, and draw a line below each C, as on a keyboard."""
    for pitch in range(lowest, highest + 1):
        if not _is_natural(pitch):
            axes.axhspan(pitch - 0.5, pitch + 0.5, facecolor=BLACK_KEY_COLOUR, zorder=0)
        if pitch % 12 == 0:
            axes.axhline(pitch - 0.5, color=OCTAVE_COLOUR, linewidth=0.8, zorder=1)


def _is_natural(pitch: int) -> bool:
    return len(NAMES[pitch % 12]) == 1


def _png(figure: Figure) -> bytes:
    png = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of characters that the font does not have
        figure.savefig(png, format="png")
    return png.getvalue()
