"""Pictures of audio: mel spectrograms. TensorFlow is imported when one is made."""

from __future__ import annotations

import io
import math
import warnings

import numpy as np
from matplotlib.figure import Figure  # pyplot would keep the figure, and look for a screen

WINDOW_SECONDS = 0.064  # about
BANDS = 80
LOWEST = 40  # Hz: below, a window tells a tone from an offset no more
RANGE = 80  # dB below the loudest that are drawn
TICKS = (125, 250, 500, 1000, 2000, 4000, 8000, 16000)  # Hz


def log_mel(audio: np.ndarray, sample_rate: int) -> np.ndarray:
    """The power of audio [n] in BANDS bands, equally wide in mel, within `limits`: dB [frames, BANDS].

    A frame is a quarter of a window later than the one before.
    """
    import tensorflow as tf

    window = _window(sample_rate)
    with tf.device("CPU"):
        spectrum = tf.signal.stft(audio, window, window // 4, pad_end=True)
        bands = tf.signal.linear_to_mel_weight_matrix(BANDS, window // 2 + 1, sample_rate, *limits(sample_rate))
        power = tf.matmul(tf.square(tf.abs(spectrum)), bands)
        return 10 * np.log10(np.maximum(power.numpy(), 1e-12))


def limits(sample_rate: int) -> tuple[float, float]:
    """The lowest and the highest frequency that is looked at, in Hz."""
    return min(LOWEST, sample_rate / 4), sample_rate / 2


def _window(sample_rate: int) -> int:
    """Samples, a power of two."""
    return max(16, 2 ** round(math.log2(sample_rate * WINDOW_SECONDS)))


def mel(hertz: float) -> float:
    """Where a frequency is on the mel scale that `log_mel` has."""
    return 1127 * math.log1p(hertz / 700)


def draw(audio: np.ndarray, sample_rate: int, title: str) -> bytes:
    """A PNG of the mel spectrogram of audio, float32 [n], over seconds and Hz."""
    decibels = log_mel(audio, sample_rate)
    loudest, (bottom, top) = decibels.max(), map(mel, limits(sample_rate))
    seconds = len(decibels) * (_window(sample_rate) // 4) / sample_rate
    figure = Figure(figsize=(8, 3.5), dpi=80, layout="constrained")
    axes = figure.add_subplot()
    image = axes.imshow(
        decibels.T, origin="lower", aspect="auto", extent=(0, seconds, bottom, top), vmin=loudest - RANGE, vmax=loudest
    )
    ticks = [hertz for hertz in TICKS if bottom <= mel(hertz) <= top]
    axes.set_yticks([mel(hertz) for hertz in ticks], list(map(str, ticks)))
    axes.set(xlabel="seconds", ylabel="Hz", xlim=(0, len(audio) / sample_rate))
    axes.set_title(title, parse_math=False)
    figure.colorbar(image, label="dB")
    png = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of characters in a file's name that the font does not have
        figure.savefig(png, format="png")
    return png.getvalue()
