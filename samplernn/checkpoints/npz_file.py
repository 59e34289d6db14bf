"""Checkpoints that are an npz of arrays, as RNN4Music saves them."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from samplernn.system import npz

MAX_BYTES = 2**32  # of all arrays


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
    try:
        with zipfile.ZipFile(path) as archive:
            names = npz.names_of(archive)
            if sum(npz.size_of(archive, name) for name in names) > MAX_BYTES:
                raise ValueError("it claims more bytes than any network has")
            arrays = {name: npz.read_array(archive, name) for name in names}
    except OSError:
        raise
    except Exception as error:  # of what zip, its compressions and NumPy's headers make of damaged bytes
        raise ValueError(f"its arrays are damaged ({error})") from None
    return {name: array for name, array in arrays.items() if array.dtype.kind in "fiu"}
