"""Codes on the disk: what encode.py writes, users may edit and generate.py decodes, and what trainings learn."""

from __future__ import annotations

import functools
import hashlib
import zipfile
import zlib
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

import numpy as np

from samplernn.audio.wav import Recording
from samplernn.options.values import SAMPLE_RATE
from samplernn.system.errors import InputError, RunError
from samplernn.system.files import written_aside

SUFFIX = ".npz"
MAX_STEM = 100  # characters of a recording's name in that of its codes
MAX_BYTES = 2**31  # of one array: a day of codes takes less than a tenth of it
WHAT = "codes, rate, hop, levels and encoder, as encode.py writes them"


@dataclass(frozen=True)
class CodeSequence:
    """The codes of a recording.

    Attributes:
        codes: int32 [n], each below `levels`.
        rate: of the audio that they are made from, Hz.
        hop: how many items a code stands for.
        levels: how many different codes there are.
        encoder: hash of the checkpoint that has made them.
    """

    codes: np.ndarray
    rate: int
    hop: int
    levels: int
    encoder: str


def write_codes(path: Path, sequence: CodeSequence) -> None:
    """Write them as an npz, whole or not at all.

    Raises:
        OSError: the disk refuses.
    """
    with written_aside(path) as aside, aside.open("wb") as file:
        np.savez_compressed(file, **asdict(sequence))


def read_codes(path: str | Path) -> CodeSequence:
    """Read an npz of codes; nothing in it is executed.

    Raises:
        InputError: it isn't one; the message does not name it.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            arrays = {field.name: _read_array(archive, field.name) for field in fields(CodeSequence)}
    except FileNotFoundError:
        raise InputError("there is no such file") from None
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror or error})") from None
    except (ValueError, EOFError, MemoryError, NotImplementedError, RuntimeError, zipfile.BadZipFile, zlib.error):
        raise InputError(f"not an npz of {WHAT}, or damaged") from None
    return _checked(arrays)


def coded(recording: Recording, folder: Path, hop: int) -> Recording:
    """The recording of the codes of another one, of which each stands for `hop` of its items.

    Its file is in a folder that is for one encoder, under a name of its own, and another one where the audio changes.
    """
    version = hashlib.sha256(repr(_facts(recording)).encode()).hexdigest()[:12]
    path = folder / f"{Path(recording.name).stem[:MAX_STEM]}.{version}{SUFFIX}"
    return replace(recording, path=path, frames=recording.frames // hop, hop=recording.hop * hop, unit="code")


def _facts(recording: Recording) -> tuple:
    """What tells a version of a recording from another; of codes, which may still have to be made, the file's name."""
    if recording.unit == "code":
        return recording.name, recording.frames, recording.path.name
    status = recording.path.stat()
    return recording.name, recording.frames, status.st_size, status.st_mtime_ns


@functools.lru_cache(maxsize=4)  # a long one is read stretch by stretch
def read_coded(recording: Recording, levels: int) -> np.ndarray:
    """The codes of a recording of codes, int32 [frames], of so many different ones.

    Raises:
        RunError: they are no longer what they were.
    """
    try:
        sequence = read_codes(recording.path)
    except InputError as error:
        raise RunError(f"{recording.path}: {error}; remove it, and it is made again") from None
    if len(sequence.codes) < recording.frames or sequence.levels != levels:
        raise RunError(f"{recording.path}: not the codes that it had; remove it, and it is made again")
    return sequence.codes


def _read_array(archive: zipfile.ZipFile, name: str) -> np.ndarray:
    try:
        member = archive.getinfo(f"{name}.npy")
    except KeyError:
        raise InputError(f"it has no {name}; an npz of codes holds {WHAT}") from None
    if member.file_size > MAX_BYTES:
        raise InputError(f"its {name} would take {member.file_size} bytes, too many for codes")
    with archive.open(member) as file:
        return np.lib.format.read_array(file, allow_pickle=False)


def _checked(arrays: dict[str, np.ndarray]) -> CodeSequence:
    numbers = {}
    for name, holds in {"rate": SAMPLE_RATE.holds, "hop": lambda n: n >= 1, "levels": lambda n: n >= 2}.items():
        array = arrays[name]
        if array.shape != () or not np.issubdtype(array.dtype, np.integer) or not holds(int(array)):
            raise InputError(f"its {name} is not a number that one can be")
        numbers[name] = int(array)
    codes, encoder = arrays["codes"], arrays["encoder"]
    if codes.ndim != 1 or not len(codes) or not np.issubdtype(codes.dtype, np.integer):
        raise InputError("its codes are not whole numbers in a row")
    wrong = np.flatnonzero((codes < 0) | (codes >= numbers["levels"]))
    if len(wrong):
        raise InputError(f"its code {wrong[0]} is {codes[wrong[0]]}; they go from 0 to {numbers['levels'] - 1}")
    if encoder.shape != () or encoder.dtype.kind != "U":
        raise InputError("its encoder is not the hash of a checkpoint")
    return CodeSequence(codes.astype(np.int32), encoder=str(encoder), **numbers)
