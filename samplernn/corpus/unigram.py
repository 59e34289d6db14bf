"""How often each level occurs in a corpus: what there is to know about it without listening to what comes before."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from samplernn.audio.quantize import Linear, MuLaw
from samplernn.audio.wav import READ_FRAMES, Recording, read_mono

MAX_FILES = 256  # that are looked at, lest a large corpus take long
MAX_SAMPLES = 2**24  # of all of them together


def unigram_entropy(recordings: Sequence[Recording], quantizer: MuLaw | Linear) -> float:
    """The loss, in nats a sample, of a model that knows how often each level is heard and nothing else.

    Of recordings it looks at MAX_FILES at most, evenly chosen; of long ones at what is in their middle, as much of
    each, so that all of it is MAX_SAMPLES at most. A recording counts by the weight of its folder.

    Raises:
        RunError: a file has changed since it was examined.
    """
    chosen = recordings[:: math.ceil(len(recordings) / MAX_FILES)]
    most = MAX_SAMPLES // len(chosen)
    return entropy_of(sum(recording.folder.weight * _counts(recording, quantizer, most) for recording in chosen))


def exact_entropy(recordings: Sequence[Recording], quantizer: MuLaw | Linear) -> float:
    """The same of all samples of all recordings, each of which counts once.

    Raises:
        RunError: a file has changed since it was examined.
    """
    return entropy_of(sum(_counts(recording, quantizer, recording.frames) for recording in recordings))


def _counts(recording: Recording, quantizer: MuLaw | Linear, most: int) -> np.ndarray:
    """How often each level [Q] occurs in the middle of a recording, in so many samples at most."""
    audio = _middle(recording, most)
    return sum(np.bincount(quantizer.encode(piece), minlength=quantizer.levels) for piece in audio)


def entropy_of(counts: np.ndarray) -> float:
    """In nats, of a distribution that is known by how often each level [Q] occurs."""
    frequency = counts[counts > 0] / counts.sum()
    return float(-np.sum(frequency * np.log(frequency)))


def _middle(recording: Recording, most: int) -> Iterator[np.ndarray]:
    """Yield the middle of a recording, at most so many samples, mono audio [n] piece by piece."""
    length = min(recording.frames, most)
    first = (recording.frames - length) // 2
    for start in range(first, first + length, READ_FRAMES):
        yield read_mono(recording.path, start, min(READ_FRAMES, first + length - start))
