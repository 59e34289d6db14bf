"""Codes on the disk: what encode.py writes, users may edit and generate.py decodes, and what trainings learn."""

from __future__ import annotations

import functools
import hashlib
import zipfile
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

import numpy as np

from samplernn.audio.wav import Recording
from samplernn.options.values import SAMPLE_RATE
from samplernn.system import npz
from samplernn.system.errors import InputError, RunError
from samplernn.system.files import refusals_in_words, sha256, written_aside

SUFFIX = ".npz"
MAX_STEM = 100  # characters of a recording's name in that of its codes
VERSION_CHARACTERS = 12  # of the hash of what they are made from, behind it
FOLDER_CHARACTERS = 16  # of the hash of an encoder, after which the folder of its codes is named
MAX_CODES = 2**28  # of the longest WAV, where each stands for 8 samples
MAX_BYTES = 4 * MAX_CODES  # of their array
MAX_BYTES_OF_FACT = 2**12  # of any other
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
        with refusals_in_words(path), zipfile.ZipFile(path) as archive:
            return _checked({field.name: _read_array(archive, field.name) for field in fields(CodeSequence)})
    except InputError:
        raise
    except Exception:  # of what zip, its compressions and NumPy's headers, which are Python, make of damaged bytes
        raise InputError(f"not an npz of {WHAT}, or damaged") from None


def coded(recording: Recording, folder: Path, hop: int) -> Recording:
    """The recording of the codes of another one, of which each stands for `hop` of its items.

    Its file is in a folder that is for one encoder, under a name of its own, and another one where the audio changes.

    Raises:
        OSError: the audio can't be read.
    """
    facts = recording.name, recording.length, _version(recording)
    version = hashlib.sha256(repr(facts).encode()).hexdigest()[:VERSION_CHARACTERS]
    path = folder / f"{Path(recording.name).stem[:MAX_STEM]}.{version}{SUFFIX}"
    frames, length = recording.frames // hop, recording.length // hop
    return replace(recording, path=path, frames=frames, behind=length - frames, hop=recording.hop * hop, unit="code")


def _version(recording: Recording) -> str:
    """What tells the content of a file from another; of codes, which may still have to be made, their file's name."""
    if recording.unit == "code":
        return recording.path.name
    status = recording.path.stat()
    return _sha256(recording.path, status.st_size, status.st_mtime_ns)


@functools.cache
def _sha256(path: Path, size: int, changed: int) -> str:
    """The hash of a file, which is read again where its size or the time of its last change is another."""
    return sha256(path)


def are_there(recording: Recording, levels: int) -> bool:
    """Whether the codes of a recording of codes have been made, and are undamaged."""
    try:
        read_coded(recording, levels)
    except RunError:
        return False
    return True


@functools.lru_cache(maxsize=32)  # a long one is read stretch by stretch, a batch of them side by side
def read_coded(recording: Recording, levels: int) -> np.ndarray:
    """The codes of a recording of codes, int32 [length], of so many different ones.

    Raises:
        RunError: they are no longer what they were.
    """
    try:
        sequence = read_codes(recording.path)
    except InputError as error:
        raise RunError(f"{recording.path}: {error}; remove it, and it is made again") from None
    facts = len(sequence.codes), sequence.levels, sequence.rate, sequence.encoder[:FOLDER_CHARACTERS]
    if facts != (recording.length, levels, recording.sample_rate, recording.path.parent.name):
        raise RunError(f"{recording.path}: not the codes that it had; remove it, and it is made again")
    return sequence.codes


def _read_array(archive: zipfile.ZipFile, name: str) -> np.ndarray:
    try:
        size = npz.size_of(archive, name)
    except KeyError:
        raise InputError(f"it has no {name}; an npz of codes holds {WHAT}") from None
    if size > (MAX_BYTES if name == "codes" else MAX_BYTES_OF_FACT):
        raise InputError(f"its {name} would take {size} bytes, too many for codes")
    return npz.read_array(archive, name)


def _checked(arrays: dict[str, np.ndarray]) -> CodeSequence:
    numbers = {}
    for name, holds in {"rate": SAMPLE_RATE.holds, "hop": lambda n: n >= 1, "levels": lambda n: n >= 2}.items():
        array = arrays[name]
        if array.shape != () or not np.issubdtype(array.dtype, np.integer) or not holds(int(array)):
            raise InputError(f"its {name} is not a number that one can be")
        numbers[name] = int(array)
    codes, encoder = arrays["codes"], arrays["encoder"]
    if codes.ndim != 1:
        raise InputError(f"its codes have {codes.ndim} dimensions; they are to be numbers in a row")
    if not np.issubdtype(codes.dtype, np.integer):
        raise InputError(f"its codes are of type {codes.dtype}; they are to be whole numbers, such as of int32")
    if not 0 < len(codes) <= MAX_CODES:
        raise InputError(f"it has {len(codes)} codes; there are to be from 1 to {MAX_CODES}")
    if codes.min() < 0 or codes.max() >= numbers["levels"]:
        wrong = np.flatnonzero((codes < 0) | (codes >= numbers["levels"]))
        raise InputError(f"its code {wrong[0]} is {codes[wrong[0]]}; they go from 0 to {numbers['levels'] - 1}")
    if encoder.shape != () or encoder.dtype.kind != "U":
        raise InputError("its encoder is not the hash of a checkpoint")
    return CodeSequence(codes.astype(np.int32), encoder=str(encoder), **numbers)
