"""The level of a recording: loudness against the standard's own figures and a plain version of it; peaks; offsets."""

import numpy as np
import pytest
import soxr
from scipy.signal import lfilter

from samplernn.audio.levels import find_level, loudness

# ITU-R BS.1770-4, tables 1 and 2: the two filters at 48 kHz.
SHELF = [1.53512485958697, -2.69169618940638, 1.19839281085285], [1.0, -1.69065929318241, 0.73248077421585]
HIGH_PASS = [1.0, -2.0, 1.0], [1.0, -1.99004745483398, 0.99007225036621]


def plain_loudness(audio):
    """Section by section of the standard, at 48 kHz: audio [frames, channels]."""
    heard = lfilter(*HIGH_PASS, lfilter(*SHELF, audio, axis=0), axis=0)
    starts = range(0, len(heard) - 19200 + 1, 4800)
    power = np.array([np.square(heard[start : start + 19200]).mean(axis=0).sum() for start in starts])
    loud = -0.691 + 10 * np.log10(np.maximum(power, 1e-20))
    threshold = -0.691 + 10 * np.log10(power[loud > -70].mean()) - 10
    return -0.691 + 10 * np.log10(power[(loud > -70) & (loud > threshold)].mean())


def sine(seconds, rate, hertz=997):
    return np.sin(2 * np.pi * hertz * np.arange(seconds * rate) / rate).astype(np.float32)[:, np.newaxis]


@pytest.mark.parametrize("rate", [48000, 16000])
def test_a_sine_at_full_scale_has_the_loudness_that_the_standard_says(rate):
    assert loudness([sine(3, rate)], rate) == pytest.approx(-3.01, abs=0.05)
    assert loudness([np.repeat(sine(3, rate), 2, axis=1)], rate) == pytest.approx(0.0, abs=0.05)


def test_loudness_is_the_plain_standards(music):
    audio = soxr.resample(music, 16000, 48000)
    audio = np.stack([audio, audio[::-1] * 0.3], axis=1).astype(np.float32)
    audio[48000:144000] *= 0.01  # which the gates leave out
    blocks = np.split(audio, [1, 5, 5, 48000, 300001])
    assert loudness(blocks, 48000) == pytest.approx(plain_loudness(audio), abs=0.01)
    resampled = soxr.resample(audio, 48000, 16000)
    assert loudness([resampled], 16000) == pytest.approx(plain_loudness(audio), abs=0.1)


def level_of(audio, rate=16000, remove_dc=False, normalize="loudness"):
    def blocks():
        return iter(np.array_split(audio, 3))

    level = find_level(blocks, rate, remove_dc, normalize)
    return level, np.concatenate(list(level.apply(blocks())))


def test_a_recording_is_brought_to_a_loudness():
    _, quiet = level_of(0.001 * sine(2, 16000))
    assert loudness([quiet], 16000) == pytest.approx(-16, abs=0.01)
    level, _ = level_of(sine(2, 16000))
    assert level.gain == pytest.approx(-13, abs=0.05)


def test_where_peaks_are_high_a_recording_is_less_loud():
    audio = 0.001 * sine(4, 16000)
    audio[1000] = 0.9
    _, changed = level_of(audio)
    assert np.abs(changed).max() == pytest.approx(10 ** (-1 / 20), rel=1e-5)
    assert loudness([changed], 16000) < -30


@pytest.mark.parametrize("normalize", ["peak", "loudness"])
@pytest.mark.parametrize("audio", [np.zeros([16000, 1], np.float32), np.full([3, 2], 0.25, np.float32)])
def test_silence_stays_as_it_is(audio, normalize):
    level, changed = level_of(audio, remove_dc=True, normalize=normalize)
    assert level.gain == 0
    np.testing.assert_array_equal(changed, np.zeros_like(audio))


def test_an_offset_that_is_taken_away_clips_nothing():
    audio = np.r_[np.full(9000, 0.9), np.full(1000, -0.9)].astype(np.float32)[:, np.newaxis]
    level, changed = level_of(audio, remove_dc=True, normalize=None)
    assert level.offset == pytest.approx([0.72]) and np.abs(changed).max() == pytest.approx(1, abs=1e-6)
    assert abs(changed.mean()) < 1e-6
    assert level_of(audio / 2, remove_dc=True, normalize=None)[0].gain == 0


def test_what_is_written_as_silence_is_silence():
    level, _ = level_of(1e-6 * sine(1, 16000), normalize="peak")
    assert level.gain == 0


def test_what_is_too_short_to_have_a_loudness_is_not_amplified():
    level, _ = level_of(0.1 * sine(1, 16000)[:5000])
    assert level.gain == 0


def test_the_peak_is_that_of_all_channels_without_their_offsets():
    audio = np.array([[0.5, -0.1], [0.3, -0.3], [0.4, -0.2]], np.float32)
    level, changed = level_of(audio, remove_dc=True, normalize="peak")
    np.testing.assert_allclose(level.offset, [0.4, -0.2], atol=1e-7)
    np.testing.assert_allclose(changed, np.array([[1, 1], [-1, -1], [0, 0]]) * 10 ** (-1 / 20), atol=1e-6)
