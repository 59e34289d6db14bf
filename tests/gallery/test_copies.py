"""Near copies: what was pasted from the music is found, with the place, and what was not is not."""

import numpy as np
import pytest

from samplernn.audio.quantize import MuLaw
from samplernn.gallery.copies import ALIKE, PATCH_SECONDS, Copies
from samplernn.gallery.features import RATE, mel_of, power_spectrum


def mel(audio):
    return mel_of(power_spectrum(audio.astype(np.float32)))


def melody(seed, seconds):
    """Chords of three to five partials at random, struck four times a second, that fade: float64 [n]."""
    random, length = np.random.default_rng(seed), RATE // 4
    time = np.arange(3 * length) / RATE
    audio = np.zeros(seconds * RATE + 3 * length)
    for start in range(0, seconds * RATE, length):
        for pitch in random.uniform(100, 3000, random.integers(3, 6)):
            audio[start : start + len(time)] += (
                random.uniform(0.1, 1) * np.sin(2 * np.pi * pitch * time) * np.exp(-3 * time)
            )
    return audio[: seconds * RATE] / 20


MUSIC = [melody(1, 40), melody(2, 25)]


@pytest.fixture(scope="module")
def copies():
    return Copies([mel(audio) for audio in MUSIC])


@pytest.mark.parametrize("gain", [0.1, 1.0, 4.0])
@pytest.mark.parametrize(
    ("passage", "there", "here", "seconds"), [(0, 12.34, 3.21, 4), (1, 0.0, 0.0, 9), (1, 15.5, 4.0, 3.5)]
)
def test_what_is_pasted_is_found_where_it_is(copies, passage, there, here, seconds, gain):
    clip = melody(99, 10)
    piece = MUSIC[passage][round(there * RATE) :][: round(seconds * RATE)]
    clip[round(here * RATE) :][: len(piece)] = gain * piece
    clip = MuLaw().decode(MuLaw().encode(np.clip(clip, -1, 1).astype(np.float32)))  # as networks play it
    found = copies.nearest(mel(clip))
    assert found.alike > ALIKE and found.passage == passage
    assert found.start == pytest.approx(here, abs=0.4) and found.end == pytest.approx(here + seconds, abs=0.4)
    assert found.start_there - found.start == pytest.approx(there - here, abs=0.1)


def test_what_is_not_from_the_music_is_not_found(copies):
    alike = [copies.nearest(mel(melody(seed, 10))).alike for seed in range(100, 130)]
    assert max(alike) < ALIKE - 0.1


def test_noise_beneath_does_not_hide_a_copy_and_noise_alone_is_none(copies):
    noise = np.random.default_rng(0).normal(size=10 * RATE)
    clip = MUSIC[0][5 * RATE : 15 * RATE]
    heard = clip + noise * np.sqrt(np.square(clip).mean()) * 10 ** (-20 / 20)
    assert copies.nearest(mel(heard)).alike > ALIKE
    assert copies.nearest(mel(0.1 * noise)).alike < 0.7


@pytest.mark.parametrize("clip", [np.zeros(10 * RATE), 0.3 * np.sin(np.arange(10 * RATE) * 0.04)])
def test_what_is_steady_has_nothing_to_compare(copies, clip):
    assert copies.nearest(mel(clip)) is None
    assert Copies([mel(clip)]).nearest(mel(MUSIC[0])) is None


def test_what_is_steady_hides_no_copy_behind_it():
    music = np.concatenate([np.zeros(5 * RATE), MUSIC[0][: 10 * RATE]])
    clip = np.concatenate([np.zeros(4 * RATE), MUSIC[0][2 * RATE : 6 * RATE]])
    found = Copies([mel(music)]).nearest(mel(clip))
    assert found.alike > ALIKE and found.end > 7.5


def test_noises_are_not_copies_of_each_other():
    one, other = (0.1 * np.random.default_rng(seed).normal(size=10 * RATE) for seed in range(2))
    assert Copies([mel(one)]).nearest(mel(other)).alike < ALIKE
    assert Copies([mel(one)]).nearest(mel(one)).alike > ALIKE


def test_what_is_shorter_than_a_patch_has_nothing_to_compare(copies):
    short = round(PATCH_SECONDS * RATE) - RATE // 10
    assert copies.nearest(mel(MUSIC[0][:short])) is None
    assert Copies([mel(MUSIC[0][:short])]).nearest(mel(MUSIC[0])) is None
    assert copies.nearest(mel(MUSIC[0][: round(PATCH_SECONDS * RATE)])).alike == pytest.approx(1, abs=1e-5)


def test_silence_in_the_music_is_no_trouble():
    quiet = np.concatenate([np.zeros(5 * RATE), MUSIC[0][: 5 * RATE]])
    found = Copies([mel(quiet)]).nearest(mel(MUSIC[0][RATE : 5 * RATE]))
    assert found.alike > ALIKE and found.start_there - found.start == pytest.approx(6, abs=0.1)
