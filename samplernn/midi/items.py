"""Steps of a roll that was generated, whose notes say more than what they do: above that is how likely they were.

So the pictures of a roll can show what it was drawn from, and what it was drawn from is not in the way of what reads a
roll: what a note does is in its lowest bits.
"""

from __future__ import annotations

import numpy as np

VALUE_BITS = 2  # which hold SILENT, HELD and STRUCK
VALUE_MASK = 2**VALUE_BITS - 1
LEVELS = 255  # of likelihood


def values_of(items: np.ndarray) -> np.ndarray:
    """What each note does: int8, of int32 [..., notes]."""
    return (items & VALUE_MASK).astype(np.int8)


def likelihoods_of(items: np.ndarray) -> np.ndarray:
    """How likely each note was to sound, in [0, 1]."""
    return (items >> VALUE_BITS) / LEVELS
