"""Stretches of recordings at another sample rate."""

from __future__ import annotations

import numpy as np
import soxr

from samplernn.audio.wav import Recording, read_mono

MARGIN = 0.1  # seconds around a stretch that its resampling reads too, many times as long as the filter


def length_at(recording: Recording, sample_rate: int, offset: int = 0) -> int:
    """How many samples a recording has at a rate, from an offset in its own on."""
    return (recording.frames - offset) * sample_rate // recording.sample_rate


def own_samples(recording: Recording, sample_rate: int, length: int) -> int:
    """How many of a recording's samples `length` of them are at another rate, rounded up."""
    return -(-length * recording.sample_rate // sample_rate)


def read_at(recording: Recording, sample_rate: int, offset: int, length: int) -> np.ndarray:
    """`length` samples at `sample_rate` from an offset in the recording's own, mixed down: float32 [length].

    Raises:
        RunError: the file has changed since it was examined.
    """
    if recording.sample_rate == sample_rate:
        return read_mono(recording.path, offset, length)
    margin = round(MARGIN * recording.sample_rate)
    start = max(0, offset - margin)
    end = min(recording.frames, offset + own_samples(recording, sample_rate, length) + margin)
    audio = soxr.resample(read_mono(recording.path, start, end - start), recording.sample_rate, sample_rate)
    return audio[(offset - start) * sample_rate // recording.sample_rate :][:length]
