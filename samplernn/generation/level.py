"""The levels of a stack: each generates its items, by the codes that the level above generates or a file has."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from samplernn.corpus.seed import Context
from samplernn.generation.generator import Generator
from samplernn.models.config import NO_ITEM


class Above(Protocol):
    """Where an autoencoder's codes come from."""

    def pieces(self, rows: range, number: int) -> Iterator[np.ndarray]:
        """So many codes of some of the sequences, or fewer where there are no more: int32 [B, n], piece by piece."""


@dataclass(frozen=True)
class GivenCodes:
    """Codes that all sequences follow.

    Attributes:
        codes: int32 [n].
    """

    codes: np.ndarray

    def pieces(self, rows: range, number: int) -> Iterator[np.ndarray]:
        yield np.repeat(self.codes[None, :number], len(rows), axis=0)


@dataclass(frozen=True)
class Level:
    """A model that generates, of whose items each level below makes hop times as many.

    Attributes:
        generator: of the model.
        context: what it begins from; for an autoencoder with its codes.
        temperature: one for each sequence.
        random_seed: from which, with the number of a sequence, its random numbers follow.
        rate: items a second.
        above: of an autoencoder, where its codes come from.
        depth: how many levels generate above it.
    """

    generator: Generator
    context: Context
    temperature: Sequence[float | str]
    random_seed: int
    rate: float
    above: Above | None = None
    depth: int = 0

    def pieces(self, rows: range, number: int) -> Iterator[np.ndarray]:
        """So many items of some of the sequences, [B, n, ...], piece by piece, as far as they are asked for."""
        left, tokens = self.generator.model.config.window.left, self.context.tokens
        state, codes = (self._state, None) if self.above is None else self._follow(self.above, rows, number)
        yield from self.generator(
            np.stack([tokens[len(tokens) - left :]] * len(rows)),
            number,
            self.temperature[rows.start : rows.stop],
            [(self.random_seed, row, *([self.depth] if self.depth else [])) for row in rows],
            state,
            self.rate,
            codes,
        )

    @cached_property
    def _state(self) -> Any:
        """In which all sequences go on after the context."""
        return self.generator.read(self.context.tokens)

    def _follow(self, above: Above, rows: range, number: int) -> tuple[Any, Iterator[np.ndarray]]:
        """The state in which each sequence goes on after the context, and the codes of what it generates.

        What is last in the context depends on the first codes behind it, and what comes first on the last ones before.
        """
        codes = self.generator.model.config.codes
        ahead, rest = _split_off(above.pieces(rows, math.ceil(number / codes.hop) + codes.reach), codes.reach)
        before = np.repeat(self.context.codes[None], len(rows), axis=0)
        state = self.generator.read(self.context.tokens, np.concatenate([before, ahead], axis=1))
        return state, itertools.chain([before[:, before.shape[1] - codes.reach :], ahead], rest)


def _split_off(pieces: Iterator[np.ndarray], number: int) -> tuple[np.ndarray, Iterator[np.ndarray]]:
    """The first so many codes [B, number] of pieces, filled up where there are fewer, and the pieces of the others."""
    first = next(pieces)
    while first.shape[1] < number and (piece := next(pieces, None)) is not None:
        first = np.concatenate([first, piece], axis=1)
    missing = max(0, number - first.shape[1])
    filled = np.pad(first[:, :number], ((0, 0), (0, missing)), constant_values=NO_ITEM)
    return filled, itertools.chain([first[:, number:]], pieces)
