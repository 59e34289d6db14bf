"""What audio sounds like, in numbers, by librosa and SciPy."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import librosa
import numpy as np
from scipy.signal import find_peaks

RATE = 16000  # Hz, at which all is heard, so that clips of any rates can be compared
FFT, HOP = 2048, 1024  # samples of a frame, and from one to the next
BANDS = 64
ONSET_DB = 1.0  # by which all bands grow on average where something is struck
SILENCE = 1e-8  # the power in a band that is as good as none


@dataclass(frozen=True)
class Heard:
    """What was heard of an excerpt.

    Attributes:
        mel: the power in bands equally wide in mel, float32 [frames, BANDS].
        description: what it sounds like as a whole, float64 [sum(GROUPS)].
    """

    mel: np.ndarray
    description: np.ndarray


GROUPS = (BANDS, BANDS, 12, 2, 1)  # numbers that a description has of loudness, its changes, chroma, centroid, onsets


def power_spectrum(audio: np.ndarray) -> np.ndarray:
    """float32 [1 + FFT / 2, frames] of audio at RATE, float32 [n], which is filled up to a frame."""
    audio = np.pad(audio, (0, max(0, FFT - len(audio))))
    return np.square(np.abs(librosa.stft(audio, n_fft=FFT, hop_length=HOP, center=False)))


def mel_of(power: np.ndarray) -> np.ndarray:
    """As `Heard.mel`."""
    return power.T @ _mel_filters()


@functools.cache
def _mel_filters() -> np.ndarray:
    """float32 [1 + FFT / 2, BANDS]."""
    return np.ascontiguousarray(librosa.filters.mel(sr=RATE, n_fft=FFT, n_mels=BANDS, dtype=np.float32).T)


def hear(audio: np.ndarray) -> Heard:
    """Describe audio at RATE, float32 [n].

    The description is the mean and the deviation of each band's level, how much there is of each pitch class, mean and
    deviation of the spectral centroid, in octaves, and onsets a second.
    """
    power = power_spectrum(audio)
    mel = mel_of(power)
    level = 10 * np.log10(mel.T + SILENCE)
    chroma = librosa.feature.chroma_stft(S=power, sr=RATE, n_fft=FFT, tuning=0.0)  # to look for it takes long
    centroid = np.log2(1 + librosa.feature.spectral_centroid(S=np.sqrt(power) + SILENCE, sr=RATE, n_fft=FFT))
    strength = librosa.onset.onset_strength(S=level, sr=RATE, hop_length=HOP)
    # librosa would have Numba find them, which crashes once two processes have filled its cache at the same time.
    onsets, _ = find_peaks(strength, prominence=ONSET_DB)
    parts = (
        level.mean(axis=1), level.std(axis=1), chroma.mean(axis=1), [centroid.mean(), centroid.std()],
        [len(onsets) * RATE / len(audio)],
    )  # fmt: skip
    return Heard(mel, np.concatenate(parts).astype(np.float64))
