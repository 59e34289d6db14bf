"""Near copies: where a clip is like a passage of the training music, spectrum by spectrum.

Clip and music are compared in patches of the mel spectrogram. A patch is divided by its mean power, so that it does not
matter how loud either is, and its logarithm taken, with a floor, below which noise does not matter; what is like the
mean spectrum of the music is taken away. How alike two patches are is the cosine between them. Most of what is to be
compared is compared by a projection on the principal components of the music's patches; what comes nearest, exactly.
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
        if not len(self._starts):
            return
        draw = np.random.default_rng(0).permutation(len(self._starts))[:SAMPLE]
        sample = self._of_music(draw)
        self._mean = np.tile(sample.reshape(-1, PATCH, BANDS).mean(axis=(0, 1)), PATCH)
        sample = self._unit(sample)
        components = PCA(min(COMPONENTS, *sample.shape), svd_solver="randomized", random_state=0)
        with np.errstate(invalid="ignore"):  # of the share of a variance that is none
            self._components = components.fit(sample)
        blocks = np.array_split(np.arange(len(self._starts)), -(-len(self._starts) // AT_ONCE))
        self._projected = np.concatenate([self._project(self._unit(self._of_music(block))) for block in blocks])

    def nearest(self, mel: np.ndarray) -> Alike | None:
        """What of an excerpt, float32 [frames, BANDS], is most like the music; None where either is too short."""
        if len(mel) < PATCH or not len(self._starts):
            return None
        patches = self._unit(_patches(mel, np.arange(0, len(mel) - PATCH + 1, STEP)))
        likeness = self._project(patches) @ self._projected.T
        there = likeness.argmax(axis=1)
        promising = np.argsort(-likeness.max(axis=1))[:EXACTLY]
        exact = [float(patches[i] @ self._unit(self._of_music(there[i : i + 1]))[0]) for i in promising]
        best = promising[int(np.argmax(exact))]
        passage, start = map(int, self._starts[there[best]])
        first, last = self._extent(patches, best, self._mels[passage], start)
        seconds = (HOP / RATE) * np.array([first * STEP, last * STEP, start + (first - best) * STEP])
        begin, end, begin_there = seconds.tolist()
        return Alike(max(exact), passage, begin, end + PATCH_SECONDS, begin_there)

    def _extent(self, patches: np.ndarray, best: int, mel: np.ndarray, start: int) -> tuple[int, int]:
        """The first and the last patch around one that are like the music beside them, where that one is at `start`."""

        def is_alike(patch: int) -> bool:
            beside = start + (patch - best) * STEP
            if not (0 <= patch < len(patches) and 0 <= beside <= len(mel) - PATCH):
                return False
            return float(patches[patch] @ self._unit(_patches(mel, beside))[0]) >= ALIKE

        first = last = best
        while is_alike(first - 1):
            first -= 1
        while is_alike(last + 1):
            last += 1
        return first, last

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


def _normalized(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
