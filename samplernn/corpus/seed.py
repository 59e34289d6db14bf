"""What generated sequences begin from: silence, or a stretch of a recording."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from samplernn.audio.wav import Recording
from samplernn.corpus.data import data_of, padded
from samplernn.models.config import NO_ITEM, GenerationConfig, hop_of
from samplernn.system.errors import InputError
from samplernn.system.files import sha256
from samplernn.system.words import counted

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Context:
    """What the network reads before it generates, the same for all sequences."""

    tokens: np.ndarray  # items [left + n, ...], as many as the model needs or more
    seed: dict[str, Any] | None = None  # the file that they are from, as the JSON says it; None: silence
    padding: int = 0  # how many of the tokens, the first, are before the file's
    codes: np.ndarray | None = None  # of an autoencoder, those of the n and of its reach before them

    @property
    def heard(self) -> np.ndarray:
        """Those of the file."""
        return self.tokens[self.padding :]


@dataclass(frozen=True)
class Stretch:
    """What a stack reads of a recording.

    Attributes:
        recording: the recording, of any rate.
        number: the items of the top that are read, and of each level below those of which these are the codes.
        dropped: how many items of the top that there are room for are not read.
    """

    recording: Recording
    number: int
    dropped: int


def find_stretch(
    configs: Sequence[GenerationConfig], sample_rate: int | None, seed: str, offset: int = 0, dur: float | None = None
) -> Stretch:
    """Choose what a stack is to read of the seed.

    Args:
        configs: of its models, from the top down; a model that is over no codes is a stack of one.
        sample_rate: Hz, that of the audio that they have learnt, if they have.
        seed: path of a file of what the lowest has learnt; of audio of any sample rate.
        offset: where the stretch begins, in the file's own samples or steps.
        dur: its length in seconds; None for the longest seed_length of the configs, or as much as there is. Behind the
            top's left context, of which its seed_padding is none of the audio's, a multiple of its seed_multiple is
            read, as much as fits in; of codes none that hear the audio's end, which is not the music's.

    Raises:
        InputError: the seed is not such a file, or ends before the stretch does.
    """
    data, top, hop = data_of(configs[-1]), configs[0], hop_of(configs)
    recording = data.open_seed(seed)
    own_left = top.window.left - top.seed_padding  # of the left context what is to be of the seed
    least = own_left or top.seed_multiple

    def of_whole_multiples(number: int) -> int:
        return own_left + max(number - own_left, least - own_left) // top.seed_multiple * top.seed_multiple

    there = data.length_of_seed(recording, sample_rate, offset)
    wished = data.items_of_seed(recording, sample_rate, dur) // hop if dur else min(_seed_length(configs), there // hop)
    wished = of_whole_multiples(wished)
    needed = _samples_for(configs, least)
    own = data.own_length(recording, sample_rate, max(wished * hop, needed))
    _check_length(recording, own, offset, dur if wished * hop >= needed else None)
    number = of_whole_multiples(min(wished, _codes_that_do_not_hear_the_end(configs, there)))
    return Stretch(recording, number, wished - number)


def read_seed(
    configs: Sequence[GenerationConfig],
    encode: Callable[[np.ndarray], Sequence[np.ndarray]],
    sample_rate: int | None,
    seed: str,
    offset: int = 0,
    dur: float | None = None,
) -> list[Context]:
    """A stretch of the seed and its codes: what each model of a stack begins from, from the top down.

    Args:
        configs, sample_rate, seed, offset, dur: as for `find_stretch`.
        encode: of items of the file the items of each level, from the top down.

    Raises:
        InputError: the seed is not such a file, or ends before the stretch does.
        RunError: it has changed while it was read.
    """
    stretch, hop = find_stretch(configs, sample_rate, seed, offset, dur), hop_of(configs)
    if stretch.dropped:
        milliseconds = 1000 * stretch.dropped * hop / sample_rate
        log.warning("--seed %s: its last %.3g ms are not read: their codes would hear its end.", seed, milliseconds)
    data = data_of(configs[-1])
    read = data.read_seed(stretch.recording, sample_rate, offset, _samples_for(configs, stretch.number))
    source = source_of(stretch.recording.path) | data.facts_of_seed(
        stretch.recording, sample_rate, offset, stretch.number * hop
    )
    number, contexts, above = stretch.number, [], None
    for config, items in zip(configs, encode(read)):
        number *= hop_of([config])
        contexts.append(_context(config, items[:number], above, source))
        above = items[:number]
    return contexts


def _context(config: GenerationConfig, items: np.ndarray, codes: np.ndarray | None, source: dict[str, Any]) -> Context:
    """Items that are read, behind padding, with the codes that an autoencoder follows there."""
    padding = padded(data_of(config), config.seed_padding)
    if config.codes:
        codes = np.concatenate([np.full(config.codes.reach, NO_ITEM), codes])
    return Context(np.concatenate([padding, items]), source, config.seed_padding, codes)


def _seed_length(configs: Sequence[GenerationConfig]) -> int:
    """How many items of the top are read of a seed where nothing is said: as many as some level needs."""
    samples, lengths = 1, []
    for config in reversed(configs):
        lengths.append(config.seed_length * samples)
        samples *= hop_of([config])
    return math.ceil(max(lengths) / samples)


def _codes_that_do_not_hear_the_end(configs: Sequence[GenerationConfig], samples: int) -> int:
    """How many items of the top follow from samples alone, whatever comes behind them."""
    for config in reversed(configs):
        if config.codes:
            samples = max(0, samples - config.codes.context) // config.codes.hop
    return samples


def _samples_for(configs: Sequence[GenerationConfig], number: int) -> int:
    """How many samples so many items of the top follow from."""
    for config in configs:
        if config.codes:
            number = number * config.codes.hop + config.codes.context
    return number


def silence(config: GenerationConfig) -> Context:
    """What is before a recording's first item."""
    codes = np.full(config.codes.reach, NO_ITEM) if config.codes else None
    return Context(padded(data_of(config), config.window.left), codes=codes)


def source_of(path: str | Path) -> dict[str, str]:
    """What the JSON says of a file."""
    return {"path": str(Path(path).absolute()), "sha256": sha256(Path(path))}


def _check_length(recording: Recording, needed: int, offset: int, dur: float | None) -> None:
    """Refuse a stretch of which so many of a recording's own items are needed, if it is not all there."""
    seed, largest = recording.path, recording.frames - needed
    if largest < 0 and dur:
        seconds = int(1000 * recording.seconds) / 1000
        raise InputError(f"--seed_dur {dur}: {seed} has only {seconds} seconds; choose less, or use a longer file")
    if largest < 0:
        there = counted(recording.frames, recording.unit)
        raise InputError(f"--seed {seed}: {there}, {needed} are needed; use a longer file")
    if offset > largest:
        shorter = f" with --seed_dur {dur}" if dur else ""
        raise InputError(
            f"--seed_offset {offset} is too far into {seed}; {largest} is the largest that will do{shorter}"
        )
