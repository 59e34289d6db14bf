"""The parameters of SampleRNN, as its JSON config spells them, with all their rules."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from samplernn.options.option import option, options_of
from samplernn.options.values import BOOLEAN, FRACTION, one_of, several, whole
from samplernn.system.errors import InputError
from samplernn.system.files import read_json
from samplernn.system.words import did_you_mean, listed, nearest_multiples, shortened

MAX_SIZE = 2**20  # of a window or a layer: beyond every use, but not beyond what can be counted
MAX_LAYERS = 128
MAX_NUMBERS = 2**31  # that a network holds: 8 GB
FRAME_SIZES = several(whole(1, MAX_SIZE), "two whole numbers from 1 up, such as [16, 64]")


@dataclass(frozen=True)
class ModelConfig:
    """The parameters of a model, as the JSON config spells them. Every one has the documented default.

    Raises:
        InputError: a value has a wrong type or breaks a rule.
    """

    seq_len: int = option(1024, whole(1, MAX_SIZE), "samples predicted in one training window", searchable=True)
    frame_sizes: tuple[int, int] = option(
        (16, 64),
        FRAME_SIZES,
        "samples in a frame of the lower and the upper tier; the second is a multiple of the first",
        searchable=True,
    )
    dim: int = option(1024, whole(1, MAX_SIZE), "width of the recurrent and dense layers", searchable=True)
    rnn_type: str = option("gru", one_of("gru", "lstm"), "which recurrent layers there are", searchable=True)
    num_rnn_layers: int = option(
        4, whole(1, MAX_LAYERS), "depth of the recurrent layers in each upper tier", searchable=True
    )
    q_type: str = option("mu-law", one_of("mu-law", "linear"), "how samples are quantized", searchable=True)
    q_levels: int = option(
        256, whole(2, 65536), "number of quantization levels; mu-law always has 256", searchable=True
    )
    emb_size: int = option(256, whole(1, MAX_SIZE), "width of the sample tier's embedding", searchable=True)
    skip_conn: bool = option(False, BOOLEAN, "skip connections around the recurrent layers", searchable=True)
    rnn_dropout: float = option(
        0.0,
        FRACTION,
        "fraction of each recurrent layer's input that is dropped in training",
        searchable=True,
        in_flight=True,
    )

    def __post_init__(self):
        complaints = [*self._complaints()]
        if not complaints:
            object.__setattr__(self, "frame_sizes", tuple(self.frame_sizes))
            if self.q_type == "mu-law":
                object.__setattr__(self, "q_levels", 256)
            complaints = [*self._complaints_about_size()]
        if complaints:
            raise InputError("; ".join(complaints))

    def _complaints(self) -> Iterator[str]:
        """Each parameter that breaks a rule, by itself or beside another."""
        wrong = {of.name: of.values for of in options_of(type(self)) if not of.values.holds(getattr(self, of.name))}
        yield from (self._complaint(name, values.expected) for name, values in wrong.items())
        if "frame_sizes" not in wrong:
            yield from self._complaints_about_windows(with_length="seq_len" not in wrong)

    def _complaints_about_windows(self, with_length: bool) -> Iterator[str]:
        """What is wrong with frame_sizes, and, if that is one by itself, `with_length` of a window, beside them."""
        if len(self.frame_sizes) != 2:
            yield self._complaint("frame_sizes", FRAME_SIZES.expected)
            return
        small, big = self.frame_sizes
        if small >= big:
            yield self._complaint("frame_sizes", "in ascending order, such as [16, 64]")
        elif big % small:
            yield self._complaint("frame_sizes", f"such that the second is a multiple of the first, {small}")
        elif with_length and self.seq_len % big:
            nearest = nearest_multiples(self.seq_len, big)
            yield self._complaint("seq_len", f"a multiple of the upper frame size {big}: {nearest}")

    def _complaints_about_size(self) -> Iterator[str]:
        """What is wrong with the network as a whole, where each parameter may be had."""
        numbers = max(self.num_parameters, self.frame_sizes[0] * self.q_levels * self.dim)  # the sample tier's table
        if numbers > MAX_NUMBERS:
            network = f"the network would hold {numbers} numbers, {MAX_NUMBERS} are the most"
            yield self._complaint("dim", f"less, or another parameter: {network}")

    def _complaint(self, name: str, expected: str) -> str:
        value = shortened(json.dumps(getattr(self, name), default=str))
        return f"{name} is {value}; it must be {expected}"

    @classmethod
    def from_dict(cls, values: Any) -> ModelConfig:
        """Build a config from parsed JSON; what it does not name keeps its default."""
        if not isinstance(values, dict):
            raise InputError('the config must be a JSON object of parameters, such as {"dim": 1024}')
        known = [field.name for field in fields(cls)]
        complaints = []
        for name in values:
            if name not in known:
                hint = did_you_mean(name, known, shown="'{}'") or f"the parameters are {', '.join(known)}"
                complaints.append(f"unknown parameter {shortened(repr(name))}; {hint}")
        try:
            # The original's configs may say null where they mean the default.
            config = cls(**{name: value for name, value in values.items() if name in known and value is not None})
        except InputError as error:
            complaints.append(str(error))
        if complaints:
            raise InputError(listed(complaints, "; "))
        return config

    @classmethod
    def load(cls, path: str | Path) -> ModelConfig:
        """Read a JSON config file.

        Raises:
            InputError: the file is missing, not JSON, or breaks a rule; the message names the file.
        """
        try:
            return cls.from_dict(read_json(path))
        except InputError as error:
            raise InputError(f"--config_file {path}: {error}") from None

    @property
    def lookback(self) -> int:
        """Samples of context before those that a window predicts: a frame of the upper tier."""
        return self.frame_sizes[1]

    @property
    def num_parameters(self) -> int:
        """The number of the network's parameters, counted without making it."""
        return sum(self.parameters_by_tier.values())

    @property
    def parameters_by_tier(self) -> dict[str, int]:
        """The number of each tier's parameters, from the uppermost down."""
        dim, (small, big) = self.dim, self.frame_sizes
        gates, biases = (3, 2) if self.rnn_type == "gru" else (4, 1)
        recurrent = self.num_rnn_layers * gates * dim * (2 * dim + biases)
        if self.skip_conn:  # the first layer's input is twice as wide, and the skip connections have weights
            recurrent += gates * dim**2 + self.num_rnn_layers * dim**2 + dim
        upper, lower = (
            (frame + 1) * dim + recurrent + ratio * dim**2 for frame, ratio in ((big, big // small), (small, small))
        )
        sample = self.emb_size * (self.q_levels + small * dim) + 2 * (dim + 1) * dim + (dim + 1) * self.q_levels
        return {"upper": upper, "lower": lower, "sample": sample}

    def to_dict(self) -> dict[str, Any]:
        """The config as JSON can hold it."""
        return {**asdict(self), "frame_sizes": list(self.frame_sizes)}

    def network_differences(self, other: ModelConfig) -> list[tuple[str, Any, Any]]:
        """The parameters that shape the network and differ: (name, own value, the other's value)."""
        free = {"seq_len", "rnn_dropout"}  # any value runs with any weights
        mine, theirs = self.to_dict(), other.to_dict()
        return [(name, mine[name], theirs[name]) for name in mine if name not in free and mine[name] != theirs[name]]
