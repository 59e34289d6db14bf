"""State dicts that torch.save wrote, read without PyTorch and without executing what is in them.

There are two formats. Since PyTorch 1.6 it is a zip archive of one folder: `data.pkl`, and the numbers of each storage
in `data/KEY`. Before, it was a stream: pickles of a magic number, of a version, of what the machine is, of the object,
and of the keys of its storages; then of each of these how many numbers, an int64, and the numbers. PyTorch writes those
as little-endian on any machine; what a stream says of the machine is of no use.

What is claimed is held against the length of the file before memory is taken for it.
"""

from __future__ import annotations

import struct
import sys
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from samplernn.checkpoints.torch_pickle import TOO_LONG, Pickle, Storage, Tensor
from samplernn.system.words import shortened

MAX_PICKLE_BYTES = 2**24
MAX_NAME_LENGTH = 2**10
ZIP_START = b"PK\x03\x04"
STREAM_START = bytes.fromhex("80028a0a6cfc9c46f9206aa850192e")  # the pickle of the magic number
MAGIC_NUMBER, VERSION = 0x1950A86A20F9469CFC6C, 1001
DAMAGED_ARCHIVE = "its archive is damaged or cut short"
MORE_THAN_THERE_IS = "it claims more than there is"
OTHER_SIZE = "it has a storage of another size than its pickle says"
OF_ZIPFILE = (  # what it raises at a damaged archive; an encrypted one is a RuntimeError
    zipfile.BadZipFile, struct.error, RuntimeError, ValueError, OverflowError, KeyError, IndexError, EOFError,
)  # fmt: skip


def recognizes(path: Path) -> bool:
    """Whether a file begins as those of torch.save do.

    Raises:
        OSError: it cannot be read.
    """
    if not path.is_file():  # a pipe would never answer
        return False
    with path.open("rb") as file:
        start = file.read(len(STREAM_START))
    return start == STREAM_START or start.startswith(ZIP_START)


def read(path: Path) -> dict[str, np.ndarray]:
    """The tensors of a state dict, by their names: read-only, and views of what is in the file.

    A tensor that PyTorch expanded from a few numbers may be of a shape that no memory holds. A copy would be.

    Raises:
        ValueError: it is no state dict, or something in it cannot be.
        OSError: it cannot be read.
    """
    size = path.stat().st_size
    if not recognizes(path):
        raise ValueError("it does not begin as a file of PyTorch's")
    with path.open("rb") as file:
        is_archive = file.read(len(ZIP_START)) == ZIP_START
        file.seek(0)
        return _from_archive(file, size) if is_archive else _from_stream(file, size)


def _from_archive(file: BinaryIO, size: int) -> dict[str, np.ndarray]:
    archive = _archive(file, size)
    folder = _folder(archive.namelist())
    if archive.getinfo(f"{folder}data.pkl").file_size > MAX_PICKLE_BYTES:
        raise ValueError(TOO_LONG)
    pickle = Pickle()
    state = pickle.value(BytesIO(_entry(archive, f"{folder}data.pkl")))
    order = _byte_order(archive, folder)
    data = {
        key: _native(_entry(archive, f"{folder}data/{key}"), storage, order) for key, storage in pickle.storages.items()
    }
    return _views(state, data)


def _archive(file: BinaryIO, size: int) -> zipfile.ZipFile:
    """An archive whose entries, all together, are no more than there is."""
    try:
        archive = zipfile.ZipFile(file)
    except OF_ZIPFILE:
        raise ValueError(DAMAGED_ARCHIVE) from None
    entries = archive.infolist()
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
        raise ValueError("its archive is compressed, which PyTorch's are not")
    if any(entry.compress_size != entry.file_size or not 0 <= entry.header_offset < size for entry in entries):
        raise ValueError(DAMAGED_ARCHIVE)
    if sum(entry.file_size for entry in entries) > size:
        raise ValueError(MORE_THAN_THERE_IS)
    return archive


def _folder(names: list[str]) -> str:
    pickles = [name for name in names if name.endswith("/data.pkl")]
    if len(pickles) != 1:
        raise ValueError("its archive is none of PyTorch's")
    return pickles[0].removesuffix("data.pkl")


def _byte_order(archive: zipfile.ZipFile, folder: str) -> str:
    """That of an archive that does not say, as older ones do not, is little-endian."""
    name = f"{folder}byteorder"
    order = _entry(archive, name) if name in archive.namelist() else b"little"
    if order not in (b"little", b"big"):
        raise ValueError("its archive is of an unknown byte order")
    return order.decode()


def _entry(archive: zipfile.ZipFile, name: str) -> bytes:
    try:
        return archive.read(name)
    except OF_ZIPFILE:
        raise ValueError(DAMAGED_ARCHIVE) from None


def _from_stream(file: BinaryIO, size: int) -> dict[str, np.ndarray]:
    head = BytesIO(file.read(min(size, MAX_PICKLE_BYTES)))  # as much as is asked for is reserved
    magic_number, version, _machine = (Pickle().value(head) for _ in range(3))
    if magic_number != MAGIC_NUMBER or version != VERSION:
        raise ValueError("it is of an unknown version")
    pickle = Pickle()
    state = pickle.value(head)
    keys = Pickle().value(head)
    if type(keys) is not list or any(type(key) is not str for key in keys) or sorted(keys) != sorted(pickle.storages):
        raise ValueError("its storages are not those that its pickle names")
    file.seek(head.tell())
    return _views(state, {key: _streamed(file, size, pickle.storages[key]) for key in keys})


def _streamed(file: BinaryIO, size: int, storage: Storage) -> bytes:
    if int.from_bytes(file.read(8), "little") != storage.numel:
        raise ValueError(OTHER_SIZE)
    if storage.nbytes > size - file.tell():
        raise ValueError(MORE_THAN_THERE_IS)
    return _native(file.read(storage.nbytes), storage, "little")


def _native(raw: bytes, storage: Storage, order: str) -> bytes:
    """The numbers of a storage in this machine's byte order."""
    if len(raw) != storage.nbytes:
        raise ValueError(OTHER_SIZE)
    if storage.dtype == np.bool_:  # NumPy relies on them being 0 or 1
        return (np.frombuffer(raw, np.uint8) != 0).tobytes()
    return raw if order == sys.byteorder else np.frombuffer(raw, storage.dtype).byteswap().tobytes()


def _views(state: Any, data: dict[str, bytes]) -> dict[str, np.ndarray]:
    if not isinstance(state, dict):
        raise ValueError("it holds no state dict")
    for name, tensor in state.items():
        if len(name) > MAX_NAME_LENGTH or not name.isprintable():
            raise ValueError("it has a tensor whose name cannot be shown")
        if type(tensor) is not Tensor:
            raise ValueError(f"its {shortened(name)} is no tensor")
    return {name: tensor.view(data[tensor.storage.key]) for name, tensor in state.items()}
