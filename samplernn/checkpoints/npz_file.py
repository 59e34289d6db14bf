"""Checkpoints that are an npz of arrays, as RNN4Music saves them."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from samplernn.system import npz

MAX_BYTES = 2**32  # of all arrays
MAX_RATIO = 10  # of that to the file's; weights are noise, of which compression makes little less


def recognizes(path: Path) -> bool:
    """Whether a file is an archive of arrays.

    Raises:
        OSError: it cannot be read.
    """
    if not zipfile.is_zipfile(path):
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            return bool(npz.names_of(archive))
    except (zipfile.BadZipFile, ValueError, NotImplementedError):
        return False


def read(path: Path) -> dict[str, np.ndarray]:
    """The arrays of numbers, by their names.

    Raises:
        ValueError: it is damaged, or claims more than any network is.
        OSError: it cannot be read.
    """
    most = min(MAX_BYTES, MAX_RATIO * path.stat().st_size)
    try:
        with zipfile.ZipFile(path) as archive:
            names = npz.names_of(archive)
            if fits := sum(npz.size_of(archive, name) for name in names) <= most:
                arrays = {name: npz.read_array(archive, name) for name in names}
    except OSError:
        raise
    except Exception:  # of what zip, its compressions and NumPy's headers make of damaged bytes
        raise ValueError("its arrays are damaged") from None
    if not fits:
        raise ValueError("it claims more bytes than any network has, or than are in such a file")
    return {name: array for name, array in arrays.items() if array.dtype.kind in "fiu"}
