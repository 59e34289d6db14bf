"""The synthesizer: what is heard, when it begins, and that nothing clicks, clips or depends on what comes later."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from samplernn.midi.synthesis import KNEE, Sounding, frequency, limited, synthesize

RATES = [4000, 8000, 16000, 44100, 48000]
CHORALE = [  # four voices, each chord a second
    Sounding(pitch, second, second + 1)
    for second, chord in enumerate([(48, 64, 67, 72), (53, 60, 69, 72), (55, 62, 67, 71), (48, 60, 64, 72)])
    for pitch in chord
]


def decibels(audio):
    return 10 * np.log10(np.square(audio, dtype=np.float64).mean())


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("pitch", [21, 45, 60, 69, 93])
def test_a_note_has_its_pitch(rate, pitch):
    audio = synthesize([Sounding(pitch, 0, 2)], 2 * rate, rate)
    spectrum = np.abs(np.fft.rfft(audio * np.hanning(len(audio)), 2**20))
    hertz = np.arange(len(spectrum)) * rate / 2**20
    expected = 440 * 2 ** ((pitch - 69) / 12)
    near = (hertz > 0.7 * expected) & (hertz < 1.4 * expected)
    assert hertz[near][spectrum[near].argmax()] == pytest.approx(expected, rel=0.005)
    assert frequency(pitch) == pytest.approx(expected)
    below = hertz < 0.7 * expected
    assert spectrum[below].max(initial=0) < 0.05 * spectrum[near].max()  # no DC, nothing from beyond the spectrum


@pytest.mark.parametrize("rate", RATES)
def test_a_note_begins_and_ends_at_its_samples(rate):
    start, end = Fraction(1, 3), Fraction(2, 3)
    audio = synthesize([Sounding(60, start, end)], rate, rate)
    first = int(start * rate + Fraction(1, 2))
    assert np.flatnonzero(audio)[0] == first
    held = synthesize([Sounding(60, start, 9)], rate, rate)
    last = int(end * rate + Fraction(1, 2))
    np.testing.assert_array_equal(audio[:last], held[:last])
    assert np.abs(audio[last + 1]) != np.abs(held[last + 1])
    assert not audio[last + rate // 10 :].any()


@pytest.mark.parametrize(("start", "first"), [(0, 0), (0.49, 0), (Fraction(1, 2), 1), (0.51, 1), (Fraction(5, 2), 3)])
def test_the_nearest_sample_is_taken(start, first):
    audio = synthesize([Sounding(60, Fraction(start) / 4000, 9)], 4000, 4000)
    assert np.flatnonzero(audio)[0] == first


def test_there_are_no_clicks():
    """A jump is no larger where a note ends, or all of it, than within the note."""
    for pitch in (30, 60, 90):
        jumps = np.abs(np.diff(synthesize([Sounding(pitch, 0, 1)], 32000, 16000), prepend=0))
        assert jumps[15990:].max() <= 1.1 * jumps[14000:15990].max()
        assert jumps[:5].max() < 0.1 * jumps.max()  # a soft stroke
        cut = synthesize([Sounding(pitch, 0, 1)], 15000, 16000)
        jumps = np.abs(np.diff(cut, append=0))
        assert jumps[-80:].max() <= 1.1 * jumps[13000:-80].max()
        assert abs(cut[-1]) < 1e-3


def test_the_level_is_comfortable():
    audio = synthesize(CHORALE, 4 * 16000, 16000)
    assert -23 < decibels(audio) < -17
    assert np.abs(audio).max() < KNEE
    assert abs(audio.mean()) < 1e-3


def test_higher_notes_and_what_has_sounded_for_longer_are_softer():
    low, high = (synthesize([Sounding(pitch, 0, 4)], 4 * 16000, 16000) for pitch in (48, 84))
    loudness = [[decibels(note[second * 16000 :][:8000]) for second in range(4)] for note in (low, high)]
    assert np.all(np.diff(loudness, axis=1) < -1)
    assert loudness[0][0] == pytest.approx(loudness[1][0], abs=4)
    assert loudness[0][3] > loudness[1][3] + 20


def test_everything_at_once_does_not_clip():
    audio = synthesize([Sounding(pitch, 0, 2) for pitch in range(20, 110)], 16000, 8000)
    assert 0.9 < np.abs(audio).max() <= 1
    assert np.isfinite(audio).all()


def test_the_limiter_bends_what_is_loud_sample_by_sample():
    audio = np.linspace(-3, 3, 6001, dtype=np.float32)
    bent = limited(audio.copy())
    quiet = np.abs(audio) <= KNEE
    np.testing.assert_array_equal(bent[quiet], audio[quiet])
    assert (np.diff(bent) >= 0).all()
    np.testing.assert_allclose(bent, -bent[::-1], atol=1e-6)
    assert np.abs(np.diff(bent)).max() <= 1.01e-3  # no corner, and no steeper than before
    np.testing.assert_array_equal(np.concatenate([limited(part) for part in np.split(audio.copy(), [1, 999])]), bent)


@settings(max_examples=20, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 127), st.fractions(0, 3), st.fractions(0, 3)), max_size=6),
    st.integers(0, 8000),
)
def test_the_sound_is_that_of_the_notes_so_far(notes, length):
    """What is cut off is as the whole, but for its last moment."""
    notes = [Sounding(pitch, start, start + held) for pitch, start, held in notes]
    whole = synthesize(notes, 8000, 4000)
    part = synthesize(notes, length, 4000)
    assert (len(part), part.dtype) == (length, np.float32)
    np.testing.assert_array_equal(part[: max(0, length - 20)], whole[: max(0, length - 20)])


@pytest.mark.parametrize("notes", [[], [Sounding(60, 1, 1)], [Sounding(60, 2, 1)], [Sounding(60, 5, 9)]])
def test_what_does_not_last_or_comes_later_is_not_heard(notes):
    assert not synthesize(notes, 4000, 4000).any()


def test_a_note_too_high_for_the_rate_is_not_heard():
    assert not synthesize([Sounding(96, 0, 1)], 4000, 4000).any()
    assert synthesize([Sounding(96, 0, 1)], 8000, 8000).any()


def test_what_is_held_for_ever_fades():
    audio = synthesize([Sounding(60, 0, 10**6)], 40 * 4000, 4000)
    assert decibels(audio[4000:8000]) > decibels(audio[8000:12000]) + 3
    assert not audio[-4000:].any()
