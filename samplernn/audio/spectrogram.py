"""Pictures of audio: mel spectrograms."""

from __future__ import annotations

import io
import math
import warnings

import librosa.display
import numpy as np
from matplotlib.figure import Figure  # a figure of pyplot's would be kept, and look for a screen

WINDOW_SECONDS = 0.064  # about
BANDS = 80
LOWEST = 40  # Hz: below, a window tells a tone from an offset no more
RANGE = 80  # dB below the loudest that are drawn


def mel_spectrogram(audio: np.ndarray, sample_rate: int) -> np.ndarray:
    """The power of audio, float32 [n], in bands equally wide in mel (as Slaney has it): dB [BANDS, 1 + n // hop]."""
    power = librosa.feature.melspectrogram(
        y=audio, sr=sample_rate, n_fft=4 * _hop(sample_rate), hop_length=_hop(sample_rate), n_mels=BANDS,
        **_limits(sample_rate),
    )  # fmt: skip
    return librosa.power_to_db(power, top_db=RANGE)


def _limits(sample_rate: int) -> dict[str, float]:
    """The lowest and the highest frequency that is looked at, in Hz."""
    return {"fmin": min(LOWEST, sample_rate / 4), "fmax": sample_rate / 2}


def _hop(sample_rate: int) -> int:
    """Samples from a window to the next, a quarter of its length, which is a power of two."""
    return max(4, 2 ** round(math.log2(sample_rate * WINDOW_SECONDS)) // 4)


def draw(audio: np.ndarray, sample_rate: int, title: str) -> bytes:
    """A PNG of the mel spectrogram of audio, float32 [n], over seconds and Hz."""
    figure = Figure(figsize=(8, 3.5), dpi=80, layout="constrained")
    axes = figure.add_subplot()
    png = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of audio shorter than a window, and of characters that the font does not have
        image = librosa.display.specshow(
            mel_spectrogram(audio, sample_rate), sr=sample_rate, hop_length=_hop(sample_rate), x_axis="time",
            y_axis="mel", cmap="viridis", ax=axes, **_limits(sample_rate),
        )  # fmt: skip
        axes.set(xlabel="seconds", ylabel="Hz", xlim=(0, len(audio) / sample_rate))
        axes.set_title(title, parse_math=False)
        figure.colorbar(image, label="dB")
        figure.savefig(png, format="png")
    return png.getvalue()
