"""What a user may set: the model's JSON config, with all its rules, and the options of the commands."""

from __future__ import annotations

import difflib
import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

RNN_TYPES = ("gru", "lstm")
Q_TYPES = ("mu-law", "linear")
OPTIMIZERS = ("adam", "sgd", "rmsprop")
MONITORS = ("loss", "accuracy", "val_loss", "val_accuracy")
PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")
MAX_SIZE = 2**20  # of a window or a layer: beyond every use, but not beyond what can be counted
DEFAULT_CONFIG_FILE = "./default.config.json"
DEFAULT_SAMPLE_RATE = 16000  # Hz
DEFAULT_TEMPERATURE = 0.95


class InputError(Exception):
    """What the user gave cannot be used: the message is one line that names it and the remedy."""

    exit_status = 2


class RunError(Exception):
    """What was asked for is sound, but the machine or the numbers refuse: one line, as InputError."""

    exit_status = 1


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
        for name in ("seq_len", "dim", "num_rnn_layers", "emb_size"):
            _require(_is_size(getattr(self, name)), name, self, f"a whole number from 1 to {MAX_SIZE}")
        _require(_is_int(self.q_levels) and 2 <= self.q_levels <= 65536, "q_levels", self, "a whole number, 2 to 65536")
        _require(self.rnn_type in RNN_TYPES, "rnn_type", self, " or ".join(RNN_TYPES))
        _require(self.q_type in Q_TYPES, "q_type", self, " or ".join(Q_TYPES))
        _require(isinstance(self.skip_conn, bool), "skip_conn", self, "true or false")
        _require(_is_number(self.rnn_dropout) and 0 <= self.rnn_dropout < 1, "rnn_dropout", self, "from 0 to below 1")
        self._check_frame_sizes()
        if self.q_type == "mu-law":
            object.__setattr__(self, "q_levels", 256)

    def _check_frame_sizes(self) -> None:
        sizes = self.frame_sizes
        _require(
            isinstance(sizes, (list, tuple)) and len(sizes) == 2 and all(map(_is_size, sizes)),
            "frame_sizes", self, "two whole numbers from 1 up, such as [16, 64]",
        )  # fmt: skip
        small, big = sizes
        _require(small < big, "frame_sizes", self, "in ascending order, such as [16, 64]")
        _require(big % small == 0, "frame_sizes", self, f"such that the second is a multiple of the first, {small}")
        lower = self.seq_len // big * big
        nearest = f"{lower} or {lower + big}" if lower else f"{big}"
        _require(self.seq_len % big == 0, "seq_len", self, f"a multiple of the upper frame size {big}: {nearest}")
        object.__setattr__(self, "frame_sizes", (small, big))

    @classmethod
    def from_dict(cls, values: Any) -> ModelConfig:
        """Build a config from parsed JSON; what it does not name keeps its default."""
        if not isinstance(values, dict):
            raise InputError('the config must be a JSON object of parameters, such as {"dim": 1024}')
        known = [field.name for field in fields(cls)]
        for name in values:
            if name not in known:
                near = difflib.get_close_matches(name, known, n=1)
                hint = f"did you mean {near[0]!r}?" if near else f"the parameters are {', '.join(known)}"
                raise InputError(f"unknown parameter {name!r}; {hint}")
        # The original's configs may say null where they mean the default.
        return cls(**{name: value for name, value in values.items() if value is not None})

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

    def to_dict(self) -> dict[str, Any]:
        """The config as JSON can hold it."""
        return {**asdict(self), "frame_sizes": list(self.frame_sizes)}

    def network_differences(self, other: ModelConfig) -> list[tuple[str, Any, Any]]:
        """The parameters that shape the network and differ: (name, own value, the other's value)."""
        free = {"seq_len", "rnn_dropout"}  # any value runs with any weights
        mine, theirs = self.to_dict(), other.to_dict()
        return [(name, mine[name], theirs[name]) for name in mine if name not in free and mine[name] != theirs[name]]


@dataclass(frozen=True)
class ChunkOptions:
    """The options of chunk_audio.py, by the names and with the defaults of its flags."""

    input_file: str
    output_dir: str
    chunk_length: int = 8000  # milliseconds
    overlap: int = 0  # milliseconds

    def __post_init__(self):
        if self.overlap >= self.chunk_length:
            raise InputError(f"--overlap {self.overlap} is not below --chunk_length {self.chunk_length}; choose less")


@dataclass(frozen=True)
class GenerationOptions:
    """The options of generate.py, by the names and with the defaults of its flags."""

    output_path: str
    checkpoint_path: str
    config_file: str | None = None  # None: the config beside the checkpoint
    dur: float = 3.0  # seconds
    num_seqs: int = 1
    sample_rate: int | None = None  # Hz; None: the checkpoint's, else DEFAULT_SAMPLE_RATE
    temperature: tuple[float, ...] = (DEFAULT_TEMPERATURE,)
    seed: str | None = None
    seed_offset: int = 0  # samples
    max_batch: int | None = None  # None: as many as are fast and fit
    precision: str = "float32"
    jit_compile: bool | None = None  # None: where it is faster


@dataclass(frozen=True)
class TrainingOptions:
    """The options of a training run, by the names and with the defaults of train.py's flags."""

    data_dir: str
    id: str = "default"
    verbose: bool = True
    logdir_root: str = "./logdir"
    output_dir: str = "./generated"
    config_file: str | None = None  # None: the resumed checkpoint's config, else DEFAULT_CONFIG_FILE
    num_epochs: int = 100
    batch_size: int = 64
    optimizer: str = "adam"
    learning_rate: float = 0.001
    reduce_learning_rate_after: int | None = None
    momentum: float = 0.9
    monitor: str = "val_loss"
    checkpoint_every: int = 1
    checkpoint_policy: str = "Always"
    max_checkpoints: int | None = 5
    resume: bool = True
    resume_from: str | None = None
    early_stopping_patience: int | None = 3
    generate: bool = True
    max_generate_per_epoch: int = 1
    sample_rate: int | None = None  # Hz; None: the corpus's own
    output_file_dur: float = 3.0  # seconds
    temperature: tuple[float, ...] = (DEFAULT_TEMPERATURE,)
    seed: str | None = None
    seed_offset: int = 0  # samples
    val_frac: float = 0.1
    random_seed: int = 0
    num_gpus: int | None = None  # None: all
    precision: str = "float32"
    jit_compile: bool | None = None  # None: where it is faster


def read_json(path: str | Path) -> Any:
    """Parse a JSON file.

    Raises:
        InputError: it cannot be read or is not JSON.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise InputError("there is no such file") from None
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})") from None
    except RecursionError:
        raise InputError("nested too deeply for a config; write one flat JSON object") from None
    except ValueError as error:
        raise InputError(f"not valid JSON ({error})") from None


def _require(holds: bool, name: str, config: ModelConfig, expected: str) -> None:
    if not holds:
        value = getattr(config, name)
        raise InputError(f"{name} is {json.dumps(value, default=str)[:80]}; it must be {expected}")


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_size(value: Any) -> bool:
    return _is_int(value) and 1 <= value <= MAX_SIZE


def _is_number(value: Any) -> bool:
    return _is_int(value) or isinstance(value, float)
