"""The parameters of SampleRNN, as its JSON config spells them, with all their rules."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from samplernn.system.errors import InputError
from samplernn.system.files import read_json
from samplernn.system.words import did_you_mean, listed, nearest_multiples, shortened

RNN_TYPES = ("gru", "lstm")
Q_TYPES = ("mu-law", "linear")
MAX_SIZE = 2**20  # of a window or a layer: beyond every use, but not beyond what can be counted
MAX_LAYERS = 128
MAX_NUMBERS = 2**31  # that a network holds: 8 GB


@dataclass(frozen=True)
class ModelConfig:
    """The parameters of a model, as the JSON config spells them. Every one has the documented default.

    Raises:
        InputError: a value has a wrong type or breaks a rule.
    """

    seq_len: int = 1024  # samples predicted in one training window
    frame_sizes: tuple[int, int] = (16, 64)  # samples in a frame of the lower and the upper tier
    dim: int = 1024
    rnn_type: str = "gru"
    num_rnn_layers: int = 4
    q_type: str = "mu-law"
    q_levels: int = 256
    emb_size: int = 256
    skip_conn: bool = False
    rnn_dropout: float = 0.0

    def __post_init__(self):
        complaints = [*self._complaints(), *self._complaints_about_windows()]
        if not complaints:
            object.__setattr__(self, "frame_sizes", tuple(self.frame_sizes))
            if self.q_type == "mu-law":
                object.__setattr__(self, "q_levels", 256)
            complaints = [*self._complaints_about_size()]
        if complaints:
            raise InputError("; ".join(complaints))

    def _complaints(self) -> Iterator[str]:
        """Each parameter that breaks a rule by itself, all but those of windows."""
        for name, most in (("dim", MAX_SIZE), ("num_rnn_layers", MAX_LAYERS), ("emb_size", MAX_SIZE)):
            if not _is_size(getattr(self, name), most):
                yield self._complaint(name, f"a whole number from 1 to {most}")
        if not (_is_int(self.q_levels) and 2 <= self.q_levels <= 65536):
            yield self._complaint("q_levels", "a whole number, 2 to 65536")
        for name, choices in (("rnn_type", RNN_TYPES), ("q_type", Q_TYPES)):
            if getattr(self, name) not in choices:
                yield self._complaint(name, " or ".join(choices))
        if not isinstance(self.skip_conn, bool):
            yield self._complaint("skip_conn", "true or false")
        if not (_is_number(self.rnn_dropout) and 0 <= self.rnn_dropout < 1):
            yield self._complaint("rnn_dropout", "from 0 to below 1")

    def _complaints_about_windows(self) -> Iterator[str]:
        """What is wrong with seq_len and frame_sizes, each by itself or beside the other."""
        sizes, window_is_size = self.frame_sizes, _is_size(self.seq_len)
        if not window_is_size:
            yield self._complaint("seq_len", f"a whole number from 1 to {MAX_SIZE}")
        if not (isinstance(sizes, (list, tuple)) and len(sizes) == 2 and all(map(_is_size, sizes))):
            yield self._complaint("frame_sizes", "two whole numbers from 1 up, such as [16, 64]")
            return
        small, big = sizes
        if small >= big:
            yield self._complaint("frame_sizes", "in ascending order, such as [16, 64]")
        elif big % small:
            yield self._complaint("frame_sizes", f"such that the second is a multiple of the first, {small}")
        elif window_is_size and self.seq_len % big:
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


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_size(value: Any, most: int = MAX_SIZE) -> bool:
    return _is_int(value) and 1 <= value <= most


def _is_number(value: Any) -> bool:
    return _is_int(value) or isinstance(value, float)
