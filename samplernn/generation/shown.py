"""What there is to hear and see of a file that was generated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

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
