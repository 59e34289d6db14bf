"""Recordings at another sample rate, and of fewer channels: all of one, or a stretch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import soxr

from samplernn.audio.wav import READ_FRAMES, Recording, mix_down, read_mono

MAX_RATIO = 1000  # of two sample rates, one resampled to the other: beyond every use, but not beyond soxr
MARGIN = 0.1  # seconds around a stretch that its resampling reads too, many times as long as the filter


def can_be_resampled(rate: int, new_rate: int) -> bool:
    """Whether two sample rates are near enough to each other."""
    low, high = sorted([rate, new_rate])
    return high <= MAX_RATIO * low


def converted_length(recording: Recording, sample_rate: int) -> int:
    """How many samples in each channel there are of a whole recording that is `converted`."""
    rate = recording.sample_rate
    return (2 * recording.frames * sample_rate + rate) // (2 * rate)  # as soxr rounds


def converted(
    blocks: Iterable[np.ndarray], recording: Recording, sample_rate: int, channels: int
) -> Iterator[np.ndarray]:
    """The blocks of a recording, float32 [frames, channels], at a rate in Hz, mixed down to one if need be."""
    if channels < recording.channels:
        blocks = (mix_down(block)[:, np.newaxis] for block in blocks)
    if sample_rate != recording.sample_rate:
        blocks = resampled(blocks, recording.sample_rate, sample_rate, channels)
    return iter(blocks)


def resampled(blocks: Iterable[np.ndarray], rate: int, new_rate: int, channels: int) -> Iterator[np.ndarray]:
    """Blocks [frames, channels] at another rate: n samples become n·new_rate/rate, rounded."""
    stream = soxr.ResampleStream(rate, new_rate, channels, dtype="float32", quality="VHQ")
    at_a_time = max(1, READ_FRAMES // channels * rate // new_rate)  # may become much more than they are
    for block in blocks:
        for start in range(0, len(block), at_a_time):
            yield stream.resample_chunk(block[start : start + at_a_time])
    yield stream.resample_chunk(np.empty((0, channels), np.float32), last=True)


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
