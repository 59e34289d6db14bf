"""Pickles of PyTorch's state dicts, looked through without doing what they say.

A pickle is a program: Python's Unpickler imports and calls whatever it names. Here the few operations that a state dict
is made of are done on names. Nothing is imported, nothing is called but what is in this file, and nothing recurses. An
operation takes time and memory by the number of its operands, and there is a limit to how many operations there are.
"""

from __future__ import annotations

import math
import pickletools
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np

from samplernn.system.words import printable, shortened

MAX_OPERATIONS = 2**18  # a tensor takes forty
MAX_DIMENSIONS = 8
MAX_KEY_LENGTH = 2**6
DTYPES = {
    "Float": np.float32, "Double": np.float64, "Half": np.float16,
    "Long": np.int64, "Int": np.int32, "Short": np.int16, "Char": np.int8, "Byte": np.uint8, "Bool": np.bool_,
}  # fmt: skip
STORAGES = {f"{of} {kind}Storage": np.dtype(DTYPES[kind]) for of in ("torch", "torch.cuda") for kind in DTYPES}
CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
LITERALS = {
    "INT", "BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT",
    "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "BINSTRING", "SHORT_BINSTRING",
}  # fmt: skip
DAMAGED = "its pickle is damaged or cut short"
TOO_LONG = "its pickle is too long"
NO_STORAGE = "its pickle has a storage that cannot be"
NO_TENSOR = "its pickle has a tensor of an impossible shape"


@dataclass(frozen=True)
class Storage:
    """So many numbers in a row, under a key."""

    dtype: np.dtype
    key: str
    numel: int

    @property
    def nbytes(self) -> int:
        return self.numel * self.dtype.itemsize


@dataclass(frozen=True)
class Tensor:
    """Numbers of a storage. Offset and strides count numbers; those that a tensor has are within the storage."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def view(self, data: bytes) -> np.ndarray:
        """The tensor, read-only, of what its storage holds."""
        dtype = self.storage.dtype
        if 0 in self.shape:
            return np.zeros(self.shape, dtype)
        strides = [stride * dtype.itemsize if size > 1 else 0 for size, stride in zip(self.shape, self.strides)]
        return np.ndarray(self.shape, dtype, data, self.offset * dtype.itemsize, strides)


class Pickle:
    """What the operations of one pickle have made so far, and the storages that they have named, by their keys."""

    def __init__(self) -> None:
        self.storages: dict[str, Storage] = {}
        self._stack: list[Any] = []
        self._below_marks: list[list[Any]] = []
        self._memo: dict[int, Any] = {}  # no list, for whose numbers memory would be taken as they are claimed

    def value(self, stream: BytesIO) -> Any:
        """What the pickle is of; the stream is then where it ends.

        It is of bytes in memory: from a file, as many would be reserved as a text is said to be long.

        Raises:
            ValueError: something in it cannot be, or is not needed by a state dict.
        """
        try:
            for name, argument in _operations(stream):
                self._do(name, argument)
        except (IndexError, KeyError):  # nothing on the stack, nothing of that number
            raise ValueError(DAMAGED) from None
        if len(self._stack) != 1 or self._below_marks:
            raise ValueError(DAMAGED)
        return self._stack[0]

    def _do(self, name: str, argument: Any) -> None:
        stack = self._stack
        match name:
            case "PROTO" | "FRAME" | "STOP":
                pass
            case _ if name in LITERALS:
                stack.append(argument)
            case _ if name in CONSTANTS:
                stack.append(CONSTANTS[name])
            case "EMPTY_DICT":
                stack.append({})
            case "EMPTY_LIST":
                stack.append([])
            case "BINPUT" | "LONG_BINPUT":
                self._memo[argument] = stack[-1]
            case "MEMOIZE":
                self._memo[len(self._memo)] = stack[-1]
            case "BINGET" | "LONG_BINGET":
                stack.append(self._memo[argument])
            case "MARK":
                self._below_marks.append(stack)
                self._stack = []
            case "TUPLE":
                items = self._since_mark()
                self._stack.append(tuple(items))
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                stack.append(tuple(self._popped(int(name[-1]))))
            case "SETITEM":
                self._set_items(self._popped(2))
            case "SETITEMS":
                self._set_items(self._since_mark())
            case "APPEND":
                self._append(self._popped(1))
            case "APPENDS":
                self._append(self._since_mark())
            case "GLOBAL":
                stack.append(_named(argument))
            case "STACK_GLOBAL":
                stack.append(_named_in(*self._popped(2)))
            case "BINPERSID":
                stack.append(self._noted(_storage(stack.pop())))
            case "REDUCE":
                stack.append(_called(*self._popped(2)))
            case "BUILD":
                stack.append(_without_state(*self._popped(2)))
            case _:
                raise ValueError(_not_needed(f"holds {name}"))

    def _popped(self, count: int) -> list[Any]:
        if len(self._stack) < count:
            raise ValueError(DAMAGED)
        items = self._stack[-count:]
        del self._stack[-count:]
        return items

    def _since_mark(self) -> list[Any]:
        items, self._stack = self._stack, self._below_marks.pop()
        return items

    def _set_items(self, items: list[Any]) -> None:
        target, names = self._stack[-1], items[::2]
        if not isinstance(target, dict) or len(items) % 2 or any(type(name) is not str for name in names):
            raise ValueError(_not_needed("has a dict with keys that are no names"))
        target.update(zip(names, items[1::2]))

    def _append(self, items: list[Any]) -> None:
        if type(self._stack[-1]) is not list:
            raise ValueError(DAMAGED)
        self._stack[-1].extend(items)

    def _noted(self, part: _Part) -> _Part:
        if self.storages.setdefault(part.storage.key, part.storage) != part.storage:
            raise ValueError(NO_STORAGE)
        return part


def _operations(stream: BytesIO) -> Iterator[tuple[str, Any]]:
    operations = pickletools.genops(stream)
    for _ in range(MAX_OPERATIONS):
        try:
            operation, argument, _ = next(operations)
        except StopIteration:
            return
        except ValueError:
            raise ValueError(DAMAGED) from None
        yield operation.name, argument
    raise ValueError(TOO_LONG)


# --- Storages ---


@dataclass(frozen=True)
class _Part:
    """Of a storage that several share, the numbers that one has: most have all of it."""

    storage: Storage
    start: int
    numel: int


def _storage(identity: Any) -> _Part:
    """What a persistent id names: ("storage", kind, key, device, numbers), and in some a sixth, which part of it."""
    if type(identity) is not tuple or len(identity) not in (5, 6) or identity[0] != "storage":
        raise ValueError(NO_STORAGE)
    _, kind, key, _device, numel, *part = identity
    dtype = STORAGES.get(kind.name) if type(kind) is _Global else None
    if dtype is None or not _is_key(key) or not _is_count(numel):
        raise ValueError(NO_STORAGE)
    storage = Storage(dtype, key, numel)
    return _part(storage, part[0]) if part and part[0] is not None else _Part(storage, 0, numel)


def _part(storage: Storage, part: Any) -> _Part:
    """Of (a key of its own, start, numbers)."""
    if type(part) is not tuple or len(part) != 3 or not _are_counts(part[1:]) or sum(part[1:]) > storage.numel:
        raise ValueError(NO_STORAGE)
    return _Part(storage, *part[1:])


def _is_key(value: Any) -> bool:
    return type(value) is str and len(value) <= MAX_KEY_LENGTH and value.isascii() and value.isdigit()


def _is_count(value: Any) -> bool:
    return type(value) is int and value >= 0


def _are_counts(values: Any) -> bool:
    return type(values) is tuple and len(values) <= MAX_DIMENSIONS and all(map(_is_count, values))


# --- What is called ---


@dataclass(frozen=True)
class _Global:
    """The name of a class or a function, and no more than the name."""

    name: str


def _named(name: str) -> _Global:
    if name not in STORAGES and name not in CALLS:
        raise ValueError(_not_needed(f"asks for {name.replace(' ', '.')}"))
    return _Global(name)


def _named_in(module: Any, name: Any) -> _Global:
    if type(module) is not str or type(name) is not str:
        raise ValueError(DAMAGED)
    return _named(f"{module} {name}")


def _called(function: Any, arguments: Any) -> Any:
    call, count = CALLS.get(function.name, (None, 0)) if type(function) is _Global else (None, 0)
    if call is None or type(arguments) is not tuple or len(arguments) != count:
        raise ValueError(_not_needed("has a call"))
    return call(*arguments)


def _tensor(part: Any, offset: Any, shape: Any, strides: Any, *_requires_grad_and_hooks: Any) -> Tensor:
    fits = _is_count(offset) and _are_counts(shape) and _are_counts(strides) and len(shape) == len(strides)
    if type(part) is not _Part or not fits or math.prod(max(1, size) for size in shape) >= 2**59:
        raise ValueError(NO_TENSOR)
    last = offset + sum((size - 1) * stride for size, stride in zip(shape, strides))
    if 0 not in shape and last >= part.numel:
        raise ValueError("its pickle has a tensor that reaches beyond its storage")
    return Tensor(part.storage, part.start + offset, shape, strides)


def _wrapped(tensor: Any, *_requires_grad_and_hooks: Any) -> Tensor:
    if type(tensor) is not Tensor:
        raise ValueError(NO_TENSOR)
    return tensor


# What a pickle may call, what is done instead, and with how many arguments.
CALLS = {
    "collections OrderedDict": (OrderedDict, 0),
    "torch._utils _rebuild_tensor": (_tensor, 4),
    "torch._utils _rebuild_tensor_v2": (_tensor, 6),
    "torch._utils _rebuild_parameter": (_wrapped, 3),
    "torch.autograd.variable Variable": (_wrapped, 1),  # a buffer could be one until PyTorch 0.3
}


def _without_state(target: Any, _state: Any) -> Any:
    """A state dict's is the versions of its modules, a Variable's whether it is learnt."""
    if type(target) not in (OrderedDict, Tensor):
        raise ValueError(_not_needed("sets a state"))
    return target


def _not_needed(what: str) -> str:
    return f"its pickle {shortened(printable(what))}, which no checkpoint needs"
