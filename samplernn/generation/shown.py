"""What there is to hear and see of a file that was generated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

SECONDS = 30  # of it that are heard


@dataclass(frozen=True)
class Shown:
    """What there is to hear and see.

    Attributes:
        audio: float32 [n].
        sample_rate: of it, Hz.
        pictures: PNGs by their names.
    """

    audio: np.ndarray
    sample_rate: int
    pictures: Mapping[str, bytes]


def heard_of(wav: Path) -> tuple[np.ndarray, int]:
    """The beginning of a WAV, float32 [n], and its sample rate, Hz."""
    with soundfile.SoundFile(wav) as file:
        return file.read(SECONDS * file.samplerate, dtype="float32"), file.samplerate
