"""The index of a TensorFlow checkpoint, looked through before TensorFlow reads what it says.

TensorFlow believes an index whose checksums are right: a tensor of an impossible shape or type aborts the process, and
memory is reserved for whatever size is claimed. Nothing here takes more than the index is long.

The index is a table in LevelDB's format: blocks of sorted keys and values, then a block that says where those are,
then a footer that says where that is. A key may begin with a part of the key before it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow.core.protobuf.tensor_bundle_pb2 import BundleEntryProto, BundleHeaderProto

MAX_INDEX_BYTES = 2**24
MAX_ENTRIES = 2**16
MAX_KEY_BYTES = 2**10
MAX_DIMENSIONS = 8
MAGIC = bytes.fromhex("57fb808b247547db")
FOOTER_BYTES = 48
NUMBERS = (
    tf.float16, tf.bfloat16, tf.float32, tf.float64,
    tf.int8, tf.int16, tf.int32, tf.int64, tf.uint8, tf.uint16, tf.uint32, tf.uint64,
)  # fmt: skip


def shapes(index: Path, shards: list[Path]) -> dict[str, tuple[int, ...]]:
    """The shapes of the tensors of numbers in a checkpoint, by their keys.

    Raises:
        ValueError: something in it cannot be, or is not in the files.
        OSError: the files cannot be read.
    """
    sizes = [shard.stat().st_size for shard in shards]
    (first_key, header), *entries = _table(index)
    if first_key or _parsed(BundleHeaderProto, header).num_shards != len(shards):
        raise ValueError("its index is of other files")
    found, total = {}, 0
    for key, value in entries:
        entry = _parsed(BundleEntryProto, value)
        shape = _shape(entry)
        if _dtype(entry) in NUMBERS:
            _check_place(entry, shape, sizes)
            found[key.decode()] = shape
            total += entry.size
    if total > sum(sizes):
        raise ValueError("its index claims more than there is")
    return found


def _parsed(kind: type, value: bytes):
    try:
        return kind.FromString(value)
    except DecodeError:
        raise ValueError("its index has an entry that cannot be read") from None


def _shape(entry: BundleEntryProto) -> tuple[int, ...]:
    shape = tuple(dimension.size for dimension in entry.shape.dim)
    if entry.shape.unknown_rank or entry.slices or len(shape) > MAX_DIMENSIONS or any(size < 0 for size in shape):
        raise ValueError("its index has a tensor of an impossible shape")
    if math.prod(max(1, size) for size in shape) >= 2**62:
        raise ValueError("its index claims more than there is")
    return shape


def _dtype(entry: BundleEntryProto) -> tf.DType | None:
    try:
        return tf.as_dtype(entry.dtype)
    except TypeError:
        return None


def _check_place(entry: BundleEntryProto, shape: tuple[int, ...], sizes: list[int]) -> None:
    if entry.size != math.prod(shape) * _dtype(entry).size:
        raise ValueError("its index has a tensor whose size is not that of its shape")
    if not 0 <= entry.shard_id < len(sizes) or not 0 <= entry.offset <= sizes[entry.shard_id] - entry.size:
        raise ValueError("its index claims more than there is")


def _table(path: Path) -> list[tuple[bytes, bytes]]:
    """All keys and values of a table."""
    if path.stat().st_size > MAX_INDEX_BYTES:
        raise ValueError("its index is too long")
    data = path.read_bytes()
    footer = data[-FOOTER_BYTES:]
    if len(footer) < FOOTER_BYTES or not footer.endswith(MAGIC):
        raise ValueError("its index has no end")
    entries = []
    try:
        _, at = _handle(footer, 0)
        for _, where in _block(data, footer, at):
            entries += _block(data, where, 0)
            if len(entries) > MAX_ENTRIES:
                raise ValueError("its index is too long")
    except IndexError:
        raise ValueError("its index is cut short") from None
    if not entries:
        raise ValueError("its index is empty")
    return entries


def _block(data: bytes, handle: bytes, at: int) -> Iterator[tuple[bytes, bytes]]:
    """The keys and values of the block that a handle names; those of its restart points, at its end, are left out."""
    (offset, size), _ = _handle(handle, at)
    block = data[offset : offset + size]
    if len(block) < size or size < 4 or data[offset + size] != 0:
        raise ValueError("its index has a block that is not there, or is compressed")
    end = size - 4 - 4 * int.from_bytes(block[-4:], "little")
    at, key = 0, b""
    while at < end:
        shared, at = _varint(block, at)
        fresh, at = _varint(block, at)
        length, at = _varint(block, at)
        if shared > len(key) or shared + fresh > MAX_KEY_BYTES or at + fresh + length > end:
            raise ValueError("its index has an entry that cannot be read")
        key = key[:shared] + block[at : at + fresh]
        yield key, block[at + fresh : at + fresh + length]
        at += fresh + length


def _handle(data: bytes, at: int) -> tuple[tuple[int, int], int]:
    """Offset and size of a block, and where what follows them begins."""
    offset, at = _varint(data, at)
    size, at = _varint(data, at)
    return (offset, size), at


def _varint(data: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        number |= (data[at] & 127) << shift
        if data[at] < 128:
            return number, at + 1
        at, shift = at + 1, shift + 7
        if shift > 63:
            raise ValueError("its index has a number that is too long")
