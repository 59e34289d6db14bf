"""Arrays of an npz, read by what is there, not by what headers claim, and with nothing executed."""

from __future__ import annotations

import math
import zipfile

import numpy as np

READ_HEADER = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
SUFFIX = ".npy"  # of an array's entry


def names_of(archive: zipfile.ZipFile) -> list[str]:
    """Of its arrays."""
    return [name.removesuffix(SUFFIX) for name in archive.namelist() if name.endswith(SUFFIX)]


def size_of(archive: zipfile.ZipFile, name: str) -> int:
    """How many bytes an array is said to take; KeyError where there is none."""
    return archive.getinfo(name + SUFFIX).file_size


def read_array(archive: zipfile.ZipFile, name: str) -> np.ndarray:
    """An array; where it is damaged, whatever zip, its compressions and NumPy's headers raise."""
    with archive.open(name + SUFFIX) as file:
        shape, by_columns, dtype = READ_HEADER[np.lib.format.read_magic(file)](file)
        size = max(0, math.prod(shape) * dtype.itemsize)
        numbers = np.frombuffer(file.read(size + 1), dtype)  # NumPy's own reader makes room for what a header says
        return numbers.reshape(shape, order="F" if by_columns else "C")
