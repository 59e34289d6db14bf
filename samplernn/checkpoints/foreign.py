"""Checkpoints of other programs: a single file of tensors, and no more to go on from."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from samplernn.checkpoints import npz_file, torch_file


def is_foreign(checkpoint: Path) -> bool:
    """Whether it is a file that PyTorch has saved, or an npz."""
    return checkpoint.is_file() and torch_file.recognizes(checkpoint)  # both are archives


def read(checkpoint: Path) -> dict[str, np.ndarray]:
    """Its tensors, by their names there.

    Raises:
        ValueError: it is damaged.
        OSError: it cannot be read.
    """
    return (npz_file if npz_file.recognizes(checkpoint) else torch_file).read(checkpoint)
