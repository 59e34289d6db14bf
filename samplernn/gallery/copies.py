"""Near copies: where a clip is like a passage of the training music, spectrum by spectrum.

Clip and music are compared in patches of the mel spectrogram. A patch is divided by its mean power, so that it does not
matter how loud either is, and its logarithm taken, with a floor, below which noise does not matter; what is like the
mean spectrum of the music is taken away. How alike two patches are is the cosine between them. What does not change
within a patch, as silence and drones do not, tells nothing and is not compared; and what is left of two patches without
what does not change has to be alike, too, lest all noises were. Most of what is to be compared is compared by a
projection on the principal components of the music's patches; what comes nearest, exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from sklearn.decomposition import PCA

from samplernn.gallery.features import BANDS, FFT, HOP, RATE

PATCH = 44  # frames: 2.9 seconds, a little less than clips are where nothing is said
PATCH_SECONDS = ((PATCH - 1) * HOP + FFT) / RATE
STEP = 4  # frames from a patch of a clip to the next, a quarter of a second
FLOOR = 0.1  # of a patch's mean power
LEAST_CHANGE = 0.1  # RMS of a patch about its means over time: steady tones 0, white noise 0.3, a piano from 0.5 on
ALIKE_IN_CHANGE = 0.5  # the cosine between what changes: two noises 0.1, a copy with noise at -20 dB 0.7
COMPONENTS = 64
SAMPLE = 4096  # patches of the music, of which the components are found
AT_ONCE = 4096  # patches of the music that are projected together
EXACTLY = 5  # patches of a clip of which the nearest is looked at exactly
ALIKE = 0.95  # from which it is called a near copy; docs/ambient.md says what was measured


@dataclass(frozen=True)
class Alike:
    """What of an excerpt is most like the music.

    Attributes:
        alike: the cosine between the patches that are most alike; 1 for the same.
        passage: the number of the passage that has one of them.
        start, end: from where to where in the excerpt all patches are like the music that runs beside them, seconds.
        start_there: where that begins in the passage.
    """

    alike: float
    passage: int
    start: float
    end: float
    start_there: float


class Copies:
    """Finds what clips have from some music.

    Args:
        mels: of the passages, each float32 [frames, BANDS].
    """

    def __init__(self, mels: Sequence[np.ndarray]):
        self._mels = list(mels)
        starts = [(passage, start) for passage, mel in enumerate(mels) for start in range(len(mel) - PATCH + 1)]
        self._starts = np.array(starts, np.int64).reshape(-1, 2)
        told = [_change(self._of_music(block)) >= LEAST_CHANGE for block in self._blocks()]
        self._starts = self._starts[np.concatenate(told)] if told else self._starts
        if not len(self._starts):
            return
        draw = np.random.default_rng(0).permutation(len(self._starts))[:SAMPLE]
        sample = self._of_music(draw)
        self._mean = np.tile(sample.reshape(-1, PATCH, BANDS).mean(axis=(0, 1)), PATCH)
        sample = self._unit(sample)
        components = PCA(min(COMPONENTS, *sample.shape), svd_solver="randomized", random_state=0)
        with np.errstate(invalid="ignore"):  # of the share of a variance that is none
            self._components = components.fit(sample)
        projected = [self._project(self._unit(self._of_music(block))) for block in self._blocks()]
        self._projected = np.concatenate(projected)

    def _blocks(self) -> list[np.ndarray]:
        """The numbers of all patches of the music, some at a time."""
        number = len(self._starts)
        return np.array_split(np.arange(number), -(-number // AT_ONCE)) if number else []

    def nearest(self, mel: np.ndarray) -> Alike | None:
        """The patch of an excerpt, float32 [frames, BANDS], that is most like the music, and how far that goes on.

        It is None where nothing can be compared: either is too short, or steady.
        """
        if len(mel) < PATCH or not len(self._starts):
            return None
        heard = _patches(mel, np.arange(0, len(mel) - PATCH + 1, STEP))
        changing = _change(heard) >= LEAST_CHANGE
        if not changing.any():
            return None
        patches = self._unit(heard)
        likeness = self._project(patches) @ self._projected.T
        likeness[~changing] = -1
        there = likeness.argmax(axis=1)
        promising = np.argsort(-likeness.max(axis=1))[:EXACTLY]
        exact = self._likeness(heard[promising], self._of_music(there[promising]))
        best = promising[exact.argmax()]
        passage, start = map(int, self._starts[there[best]])
        first, last = self._extent(heard, best, self._mels[passage], start)
        seconds = (HOP / RATE) * np.array([first * STEP, last * STEP, start + (first - best) * STEP])
        begin, end, begin_there = seconds.tolist()
        return Alike(float(exact.max()), passage, begin, end + PATCH_SECONDS, begin_there)

    def _extent(self, heard: np.ndarray, best: int, mel: np.ndarray, start: int) -> tuple[int, int]:
        """The first and the last patch around one that are like the music beside them, where that one is at `start`."""
        beside = start + (np.arange(len(heard)) - best) * STEP
        there = (beside >= 0) & (beside <= len(mel) - PATCH)
        alike = np.zeros(len(heard), bool)
        alike[there] = self._likeness(heard[there], _patches(mel, beside[there])) >= ALIKE
        others = np.flatnonzero(~alike)
        before, behind = others[others < best], others[others > best]
        return (before[-1] + 1 if len(before) else 0), (behind[0] - 1 if len(behind) else len(heard) - 1)

    def _likeness(self, patches: np.ndarray, others: np.ndarray) -> np.ndarray:
        """The cosines between patches, [n, PATCH · BANDS], and others, [n]; 0 where the two do not change alike."""
        in_change = (_normalized(_changes(patches)) * _normalized(_changes(others))).sum(axis=1)
        return np.where(in_change >= ALIKE_IN_CHANGE, (self._unit(patches) * self._unit(others)).sum(axis=1), 0.0)

    def _of_music(self, numbers: np.ndarray) -> np.ndarray:
        """Patches of the music, by their numbers."""
        return np.concatenate([_patches(self._mels[passage], start) for passage, start in self._starts[numbers]])

    def _unit(self, patches: np.ndarray) -> np.ndarray:
        """Patches less the mean spectrum and their own mean level, of length 1."""
        patches = patches - self._mean
        patches -= patches.mean(axis=1, keepdims=True)
        return _normalized(patches)

    def _project(self, patches: np.ndarray) -> np.ndarray:
        return _normalized(self._components.transform(patches).astype(np.float32))


def _patches(mel: np.ndarray, starts) -> np.ndarray:
    """Logarithms of power, float32 [n, PATCH · BANDS], of a spectrogram [frames, BANDS] from some frames on."""
    windows = sliding_window_view(mel, PATCH, axis=0)[np.atleast_1d(starts)].swapaxes(1, 2)
    mean = windows.mean(axis=(1, 2), keepdims=True)
    return np.log(windows / np.maximum(mean, np.finfo(np.float32).tiny) + np.float32(FLOOR)).reshape(len(windows), -1)


def _changes(patches: np.ndarray) -> np.ndarray:
    """Patches [n, PATCH · BANDS] less the mean of each band over time."""
    by_time = patches.reshape(len(patches), PATCH, BANDS)
    return (by_time - by_time.mean(axis=1, keepdims=True)).reshape(len(patches), -1)


def _change(patches: np.ndarray) -> np.ndarray:
    """How much each patch changes, [n]: the RMS of its changes."""
    return np.sqrt(np.square(_changes(patches)).mean(axis=1))


def _normalized(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
