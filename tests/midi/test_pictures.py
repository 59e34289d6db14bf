"""Pictures of rolls: what is drawn where, for rolls of any length."""

import io
from fractions import Fraction

import matplotlib.image
import numpy as np
import pytest
from matplotlib.figure import Figure

from samplernn.midi.pictures import NOTE_COLOUR, STRUCK_COLOUR, draw_probabilities, draw_roll, note_name

STEP = Fraction(3, 10)


@pytest.fixture
def drawn(monkeypatch):
    """The axes of the figures that were drawn."""
    axes, savefig = [], Figure.savefig

    def save(figure, *args, **kwargs):
        axes.append(figure.axes[0])
        return savefig(figure, *args, **kwargs)

    monkeypatch.setattr(Figure, "savefig", save)
    return axes


def pixels(png):
    assert png.startswith(b"\x89PNG")
    return matplotlib.image.imread(io.BytesIO(png))[..., :3]


def has(png, colour):
    """How many pixels have a colour."""
    rgb = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    return (np.abs(pixels(png) - rgb) < 0.02).all(axis=-1).sum()


def boxes(axes, colour):
    """The boxes of a colour, [n, 2, 2]: their lower left and upper right corners, in seconds and pitches."""
    (found,) = [c for c in axes.collections if matplotlib.colors.to_hex(c.get_facecolor()[0]) == colour]
    corners = np.array([path.vertices[:4] for path in found.get_paths()])
    return np.stack([corners.min(axis=1), corners.max(axis=1)], axis=1)


def rolls(steps):
    rng = np.random.default_rng(steps)
    return (rng.random((steps, 88)) < 0.02).astype(np.int8) * rng.integers(1, 3, (steps, 88), dtype=np.int8)


@pytest.mark.parametrize(("pitch", "name"), [(0, "C-1"), (21, "A0"), (60, "C4"), (61, "C#4"), (69, "A4"), (127, "G9")])
def test_the_names_of_notes(pitch, name):
    assert note_name(pitch) == name


def test_each_note_is_a_bar_and_each_attack_a_stroke(drawn):
    roll = np.zeros((10, 88), np.int8)
    roll[2:6, 39] = [2, 1, 2, 1]  # C4, twice
    roll[4:, 43] = 1  # E4, held from elsewhere
    draw_roll(roll, 21, STEP, "two notes")
    (axes,) = drawn
    bars = boxes(axes, NOTE_COLOUR)
    np.testing.assert_allclose(bars, [[[0.6, 59.5], [1.8, 60.5]], [[1.2, 63.5], [3.0, 64.5]]])
    strokes = boxes(axes, STRUCK_COLOUR)
    np.testing.assert_allclose(strokes[:, 0], [[0.6, 59.5], [1.2, 59.5]])
    assert (strokes[:, 1, 0] - strokes[:, 0, 0] < 0.3).all()  # less than a step
    assert axes.get_xlim() == (0, 3)


def test_few_pitches_are_shown_as_two_octaves_that_are_named(drawn):
    roll = np.zeros((10, 88), np.int8)
    roll[:, 39] = 1
    draw_roll(roll, 21, STEP, "C4")
    (axes,) = drawn
    assert axes.get_ylim() == (47.5, 72.5)
    names = [label.get_text().strip() for label in axes.get_yticklabels()]
    assert names[0] == "C3" and names[7] == "C4" and names[-1] == "C5" and len(names) == 15


def test_many_pitches_are_shown_with_a_margin_and_each_c_is_named(drawn):
    roll = np.zeros((10, 128), np.int8)
    roll[0, 36] = roll[5, 84] = 1
    draw_roll(roll, 0, STEP, "C2 to C6")
    (axes,) = drawn
    assert axes.get_ylim() == (34.5, 85.5)
    assert [label.get_text() for label in axes.get_yticklabels()] == ["C2", "C3", "C4", "C5", "C6"]


@pytest.mark.parametrize("steps", [1, 100, 3000])
def test_rolls_of_any_length_have_the_size_of_a_spectrogram_and_are_seen(steps):
    roll = rolls(steps)
    roll[0, 40] = 2
    png = draw_roll(roll, 21, STEP, "a roll")
    assert pixels(png).shape == (280, 640, 3)
    assert has(png, STRUCK_COLOUR) > 4
    sounding = draw_roll((roll > 0).astype(np.int8), 21, STEP, "a roll")
    assert has(sounding, NOTE_COLOUR) > 20
    assert has(sounding, STRUCK_COLOUR) == 0


def test_a_short_note_is_seen_in_a_long_roll():
    roll = np.zeros((20000, 88), np.int8)
    roll[9000, 40] = 1
    assert has(draw_roll(roll, 21, STEP, "one note"), NOTE_COLOUR) >= 4


@pytest.mark.parametrize("steps", [50, 777, 3001])
def test_probabilities_are_drawn_where_they_are(drawn, steps):
    probabilities = np.full((steps, 88), 0.01)
    probabilities[steps // 2, 39] = 0.9
    png = draw_probabilities(probabilities, 21, STEP, "one note")
    assert pixels(png).shape == (280, 640, 3)
    (axes,) = drawn
    assert axes.get_ylim() == (47.5, 72.5)
    assert axes.get_xlim() == (0, pytest.approx(steps * 0.3))
    (image,) = axes.images
    shown, (left, right, bottom, top) = image.get_array(), image.get_extent()
    note, column = np.argwhere(shown == 0.9)[0]
    assert (shown == 0.9).sum() == 1
    assert bottom + (note + 0.5) * (top - bottom) / shown.shape[0] == pytest.approx(60)
    width = (right - left) / shown.shape[1]
    assert column * width <= (steps // 2) * 0.3 + 1e-9 < (column + 1) * width
    assert image.get_clim() == (0, 1)


@pytest.mark.parametrize("shape", [(0, 88), (1, 88), (5, 1)])
@pytest.mark.parametrize("draw", [draw_roll, draw_probabilities])
def test_nothing_is_drawn_too(draw, shape):
    assert pixels(draw(np.zeros(shape, np.int8), 21, STEP, "$nothing_{\x01 中")).shape == (280, 640, 3)
