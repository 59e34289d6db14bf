"""Kinds of output that a model can have: what a draw is, and the file that sequences of them become."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import tensorflow as tf

from samplernn.audio.listening import Finding
from samplernn.generation.notes import Notes
from samplernn.generation.shown import Shown
from samplernn.generation.sound import Sound, Tokens
from samplernn.models.config import Config, GenerationConfig
from samplernn.options.generate import GenerationOptions
from samplernn.options.option import options_of
from samplernn.system.errors import InputError

TrainedOn = Callable[[], Iterable[tuple[str, np.ndarray]]]  # gives the names and items of recordings


class Judge(Protocol):
    """Hears a sequence as it is made.

    Attributes:
        findings: what is doubtful in all that was taken.
        remark: a line that says it; empty where nothing is.
        facts: what else the JSON says of it.
    """

    findings: list[Finding]
    remark: str
    facts: dict[str, Any]

    def add(self, decoded: np.ndarray) -> None:
        """Take what is next, [n, ...]."""


class GrowingFile(Protocol):
    """A file that is whole after each `append`.

    Attributes:
        length: how many items it has, as who reads it finds.
    """

    length: int

    def append(self, decoded: np.ndarray) -> None:
        """Add what `decode` returns of one sequence, [n, ...]; OSError, which names the file, if the disk refuses."""


class Output(Protocol):
    """A kind of output, as the config of a model has it.

    Attributes:
        options: those of generate.py that are about it alone, which `__init__` takes.
        dtype: of items.
        numbers: the shape of the numbers by which one item is drawn.
        suffixes: of the file, and of what is written beside it once it is complete.
        unit: what an item of the file is called.
        makes: what it is, in words.
        default_dur: how long one is where nothing is said, seconds.
        facts: what the JSON says of how it is made, besides the options.
    """

    options: tuple[str, ...]
    dtype: tf.DType
    numbers: tuple[int, ...]
    suffixes: tuple[str, ...]
    unit: str
    makes: str
    default_dur: float
    facts: dict[str, Any]

    def __init__(self, config: Config, **options: Any): ...

    def random(self, stream: np.random.Generator, start: int, length: int) -> np.ndarray:
        """The numbers by which so many items from one on are drawn: float32 [length, *numbers]."""

    def draw(self, logits: tf.Tensor, temperature: tf.Tensor, numbers: tf.Tensor) -> tf.Tensor:
        """Draw items [B, ...], negative ones where the logits are not numbers.

        Args:
            logits: [B, ...].
            temperature: [B].
            numbers: [B, *numbers].
        """

    def rate(self, sample_rate: float) -> float:
        """Items a second, where the sample rate of audio is so many Hz."""

    def count(self, dur: float, sample_rate: int, flag: str = "--dur", before: int = 0) -> int:
        """The length of a sequence of so many seconds that follows on items `before` it in its file.

        Raises:
            InputError: a file can't be that long; the message names the flag.
        """

    def decode(self, items: np.ndarray) -> np.ndarray:
        """What is written of items."""

    def judges(self, number: int, sample_rate: int, before: int, trained_on: TrainedOn) -> list[Judge]:
        """What hears so many sequences, each its own.

        Args:
            number: of sequences.
            sample_rate: Hz.
            before: how many of their items, the first, were not generated.
            trained_on: gives the names and items of what its model has learnt.
        """

    def begin(self, path: Path, sample_rate: int) -> AbstractContextManager[GrowingFile]:
        """Begin a file anew; where nothing goes wrong, what is beside it is made at the end."""

    def show(self, path: Path) -> Shown:
        """What there is to hear and see of a file."""


KINDS: dict[str, type[Output]] = {"audio": Sound, "codes": Tokens, "rolls": Notes}


def output_of(config: GenerationConfig, **options: Any) -> Output:
    """The output of a model; options are those that its kind has."""
    return KINDS[config.data](config.of_items, **options)


def options_of_output(checkpoint: Path, config: Config, options: GenerationOptions) -> dict[str, Any]:
    """What the output of a checkpoint's model is to be told of options.

    Raises:
        InputError: there are some that are about another kind of output.
    """
    own = KINDS[config.data].options
    foreign = {name for kind in KINDS.values() for name in kind.options} - {*own}
    for option in options_of(GenerationOptions):
        if option.name in foreign and getattr(options, option.name) != option.default:
            makes = KINDS[config.data].makes
            raise InputError(f"--{option.name}: {checkpoint} makes {makes}; leave the flag out")
    return {name: getattr(options, name) for name in own}
