"""Notes made audible without another program: soft strokes on strings, each a sum of partials that fade."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

import numpy as np

CONCERT_A, CONCERT_HZ = 69, 440.0
PARTIALS = 14
HIGHEST = 0.45  # of the sample rate: no partial is above
STEEPNESS, DULL_HZ = 1.2, 2500  # of the k-th partial, at f Hz, there is k ** -STEEPNESS * exp(-f / DULL_HZ)
STIFFNESS, STIFFNESS_OCTAVES = 2e-4, 1.0  # by how much partials are sharp, at C4; double in so many octaves
FADING_SECONDS, FADING_OCTAVES = 9.0, 1.5  # in which C4's first partial fades by 60 dB; half in so many octaves
FADING_OF_PARTIALS = 0.4  # the k-th fades 1 + (k - 1) times that faster
GONE_DB = 80  # a partial that has faded by so much is gone
ATTACK_SECONDS, RELEASE_SECONDS, LAST_SECONDS = 0.006, 0.06, 0.005
LEVEL, LEVEL_SECONDS = 0.06, 0.25  # the RMS of a note, over its first so many seconds
KNEE = 0.7  # what is louder is bent, so that it stays below 1
BLOCK = 2**18  # samples that are bent at a time


class Sounding(NamedTuple):
    """A note: its pitch, 60 for C4, and when it begins and ends, in seconds from 0 on."""

    pitch: int
    start: Fraction | float
    end: Fraction | float


def frequency(pitch: int) -> float:
    """Of a pitch, in Hz, in equal temperament."""
    return CONCERT_HZ * 2 ** ((pitch - CONCERT_A) / 12)


def synthesize(notes: Sequence[Sounding], num_samples: int, sample_rate: int) -> np.ndarray:
    """Make notes audible: float32 [num_samples] in [-1, 1].

    A note's first sample is the one nearest to its start, of two the later; from the one nearest to its end on, it is
    damped. What still sounds at the end of the audio is faded out there. A note that is too high for the sample rate
    is not heard.
    """
    audio = np.zeros(num_samples, np.float32)
    release = _falling(RELEASE_SECONDS, sample_rate)
    for pitch, held in _held_by_pitch(notes, num_samples, sample_rate).items():
        string = _string(pitch, sample_rate, max(end - start for start, end in held) + len(release))
        for start, end in held:
            note = string[: min(end + len(release), num_samples) - start].copy()
            damped = note[end - start :]
            damped *= release[: len(damped)]
            audio[start : start + len(note)] += note
    last = _falling(LAST_SECONDS, sample_rate)[:num_samples]
    audio[num_samples - len(last) :] *= last
    return limited(audio)


def limited(audio: np.ndarray) -> np.ndarray:
    """Bend samples [n] that are above KNEE so that they stay in [-1, 1], each by itself, in place."""
    for start in range(0, len(audio), BLOCK):
        block = audio[start : start + BLOCK]
        loud = np.abs(block) > KNEE
        above = (np.abs(block[loud]) - KNEE) / (1 - KNEE)
        block[loud] = np.copysign(KNEE + (1 - KNEE) * np.tanh(above), block[loud])
    return audio


def _held_by_pitch(notes: Sequence[Sounding], num_samples: int, sample_rate: int) -> dict[int, list[tuple[int, int]]]:
    """The first sample of each note, and that at which it ends, of those that begin within the audio."""
    held = defaultdict(list)
    for pitch, *times in notes:
        start, end = (math.floor(Fraction(seconds) * sample_rate + Fraction(1, 2)) for seconds in times)
        if start < min(end, num_samples):
            held[pitch].append((start, end))
    return held


def _string(pitch: int, sample_rate: int, num_samples: int) -> np.ndarray:
    """A string that is struck and never damped: float32, so many samples or fewer, until it has faded."""
    number = np.arange(1, PARTIALS + 1)
    octaves = (pitch - 60) / 12  # above C4
    stiffness = STIFFNESS * 2 ** (octaves / STIFFNESS_OCTAVES)
    hertz = frequency(pitch) * number * np.sqrt((1 + stiffness * number**2) / (1 + stiffness))
    fading = math.log(1000) / FADING_SECONDS * 2 ** (octaves / FADING_OCTAVES) * (1 + FADING_OF_PARTIALS * (number - 1))
    amplitude = number**-STEEPNESS * np.exp(-hertz / DULL_HZ) * (hertz < HIGHEST * sample_rate)
    faded = -np.expm1(-2 * fading * LEVEL_SECONDS) / (2 * fading * LEVEL_SECONDS)  # the mean of the squared envelope
    power = (amplitude**2 / 2 * faded).sum()
    if not power:
        return np.zeros(0, np.float32)
    amplitude *= LEVEL / math.sqrt(power)
    lengths = np.minimum(num_samples, np.ceil(GONE_DB / 20 * math.log(10) / fading * sample_rate)).astype(int)
    string = np.zeros(lengths[0])
    seconds = np.arange(lengths[0]) / sample_rate
    phase = np.pi / PARTIALS * number**2  # so that their peaks do not fall together
    for k in np.flatnonzero(amplitude):
        time = seconds[: lengths[k]]
        string[: lengths[k]] += (
            amplitude[k] * np.exp(-fading[k] * time) * np.sin(2 * np.pi * hertz[k] * time + phase[k])
        )
    attack = _falling(ATTACK_SECONDS, sample_rate)[::-1][: len(string)]
    string[: len(attack)] *= attack
    return string.astype(np.float32)


def _falling(seconds: float, sample_rate: int) -> np.ndarray:
    """Half a cosine that falls from below 1 to above 0: float32."""
    steps = math.ceil(seconds * sample_rate)
    return np.square(np.cos(np.pi / 2 * np.arange(1, steps + 1) / (steps + 1))).astype(np.float32)
