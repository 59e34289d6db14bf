"""What a user may set: the model's JSON config, with all its rules, and the options of the commands."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import MISSING, asdict, dataclass, fields
from pathlib import Path
from typing import Any

from samplernn.errors import InputError
from samplernn.files import read_json
from samplernn.words import did_you_mean, listed, shortened

RNN_TYPES = ("gru", "lstm")
Q_TYPES = ("mu-law", "linear")
OPTIMIZERS = ("adam", "sgd", "rmsprop")
MONITORS = ("loss", "accuracy", "val_loss", "val_accuracy")
KERAS_TUNER_TYPES = ("bayesian", "random_search")
RAY_TUNE_TYPES = ("bayesian", "random_search", "pbt")
PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")
MAX_SIZE = 2**20  # of a window or a layer: beyond every use, but not beyond what can be counted
MAX_LAYERS = 128
MAX_NUMBERS = 2**31  # that a network holds: 8 GB
MAX_SAMPLE_RATE = 10**6  # Hz
SCRIPTS = Path(__file__).resolve().parent.parent  # the folder of train.py, generate.py and the others
DEFAULT_CONFIG_FILE = "./default.config.json"
DEFAULT_SAMPLE_RATE = 16000  # Hz
DEFAULT_TEMPERATURE = 0.95
SILENCE_DB = -64  # of full scale; what is at it or below is silent


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


@dataclass(frozen=True)
class ChunkOptions:
    """The options of chunk_audio.py, by the names and with the defaults of its flags."""

    input_file: tuple[str, ...]  # files and folders
    output_dir: str
    chunk_length: int = 8000  # milliseconds
    overlap: int = 0  # milliseconds
    sample_rate: int | None = None  # Hz; None: the recording's own
    mono: bool = False
    silence_thresh: float | None = SILENCE_DB  # dB of full scale; None: silent chunks are kept
    keep_tail: bool = False
    skip_unusable: bool = False
    replace: bool = False  # take away the old chunks of the recordings first

    def __post_init__(self):
        if self.overlap >= self.chunk_length:
            raise InputError(f"--overlap {self.overlap} is not below --chunk_length {self.chunk_length}; choose less")


@dataclass(frozen=True, kw_only=True)
class ComputationOptions:
    """How a network is computed, which every command that runs one lets the user choose."""

    precision: str = "float32"
    jit_compile: bool | None = None  # None: where it is faster


@dataclass(frozen=True, kw_only=True)
class GenerationOptions(ComputationOptions):
    """The options of generate.py, by the names and with the defaults of its flags."""

    output_path: str
    checkpoint_path: str
    config_file: str | None = None  # None: the config beside the checkpoint
    dur: float = 3.0  # seconds
    num_seqs: int = 1
    sample_rate: int | None = None  # Hz; None: the checkpoint's, else DEFAULT_SAMPLE_RATE
    temperature: tuple[float | str, ...] = (DEFAULT_TEMPERATURE,)  # text is an envelope
    top_k: int | None = None  # None: all levels
    top_p: float | None = None  # None: all levels
    seed: str | None = None
    seed_offset: int = 0  # samples
    seed_dur: float | None = None  # seconds; None: one frame of the upper tier
    include_seed: bool = False
    random_seed: int | None = None  # None: a new one each time
    max_batch: int | None = None  # None: as many as are fast and fit

    def __post_init__(self):
        for name in ("seed_dur", "include_seed"):
            if getattr(self, name) and not self.seed:
                raise InputError(f"--{name} is about the seed, and there is none; name it by --seed")


@dataclass(frozen=True, kw_only=True)
class TrainingOptions(ComputationOptions):
    """The options of a training run, by the names and with the defaults of train.py's flags."""

    data_dir: tuple[str, ...]  # each a folder, or folder:weight
    skip_unusable: bool = False  # go on without the files that cannot be used
    strict: bool = False  # refuse the doubtful ones too
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
    checkpoint_every_minutes: float | None = None
    checkpoint_policy: str = "Always"
    max_checkpoints: int | None = 5
    resume: bool = True
    resume_from: str | None = None
    init_from: str | None = None
    early_stopping_patience: int | None = 3
    generate: bool = True
    max_generate_per_epoch: int = 1
    sample_rate: int | None = None  # Hz; None: the corpus's own
    output_file_dur: float = 3.0  # seconds
    temperature: tuple[float | str, ...] = (DEFAULT_TEMPERATURE,)  # text is an envelope
    seed: str | None = None
    seed_offset: int = 0  # samples
    val_frac: float = 0.1
    random_seed: int = 0
    num_gpus: int | None = None  # None: all

    def __post_init__(self):
        if self.resume_from and self.init_from:
            raise InputError("--resume_from goes on with a run, --init_from begins a new one; leave out one of them")


@dataclass(frozen=True, kw_only=True)
class CheckOptions(TrainingOptions):
    """The options of train.py --check: those of the training that does not begin, of which none is required."""

    data_dir: tuple[str, ...] = ()


MODEL_HYPERPARAMETERS = tuple(field.name for field in fields(ModelConfig))
TRAINING_HYPERPARAMETERS = ("batch_size", "optimizer", "learning_rate", "momentum")
MUTABLE = ("learning_rate", "rnn_dropout")  # the hyperparameters that may change between two epochs
HYPERPARAMETERS = MODEL_HYPERPARAMETERS + TRAINING_HYPERPARAMETERS


@dataclass(frozen=True, kw_only=True)
class SearchOptions(ComputationOptions):
    """The options that keras_tuner.py and ray_tune.py share. A hyperparameter has the values to search among."""

    data_dir: tuple[str, ...]
    logdir: str
    id: str = "default"
    num_epochs: int = 20  # of a trial, at most
    type: str = "bayesian"
    objective: str = "val_loss"
    early_stopping_patience: int | None = 3
    val_frac: float = TrainingOptions.val_frac
    random_seed: int = TrainingOptions.random_seed
    frame_sizes: tuple[tuple[int, int], ...] = (ModelConfig.frame_sizes,)
    seq_len: tuple[int, ...] = (ModelConfig.seq_len,)
    dim: tuple[int, ...] = (ModelConfig.dim,)
    rnn_type: tuple[str, ...] = (ModelConfig.rnn_type,)
    num_rnn_layers: tuple[int, ...] = (ModelConfig.num_rnn_layers,)
    q_type: tuple[str, ...] = (ModelConfig.q_type,)
    q_levels: tuple[int, ...] = (ModelConfig.q_levels,)
    emb_size: tuple[int, ...] = (ModelConfig.emb_size,)
    skip_conn: tuple[bool, ...] = (ModelConfig.skip_conn,)
    rnn_dropout: tuple[float, ...] = (ModelConfig.rnn_dropout,)
    batch_size: tuple[int, ...] = (TrainingOptions.batch_size,)
    optimizer: tuple[str, ...] = (TrainingOptions.optimizer,)
    learning_rate: tuple[float, ...] = (TrainingOptions.learning_rate,)
    momentum: tuple[float, ...] = (TrainingOptions.momentum,)

    def __post_init__(self):
        for name in HYPERPARAMETERS:
            object.__setattr__(self, name, tuple(dict.fromkeys(getattr(self, name))))  # each value once
        self._check_models()

    def _check_models(self) -> None:
        """Refuse a space in which some model is impossible, before any time is spent on the others."""
        alone = [name for name in MODEL_HYPERPARAMETERS if name not in ("frame_sizes", "seq_len")]
        models = [{name: value} for name in alone for value in getattr(self, name)]
        models += [{"frame_sizes": sizes, "seq_len": seq_len} for sizes in self.frame_sizes for seq_len in self.seq_len]
        for values in models:
            try:
                ModelConfig(**values)
            except InputError as error:
                given = " ".join(f"--{name} {as_text(value)}" for name, value in values.items())
                raise InputError(f"{given}: {error}") from None


@dataclass(frozen=True, kw_only=True)
class KerasTunerOptions(SearchOptions):
    """The options of keras_tuner.py, by the names and with the defaults of its flags."""

    logdir: str = "./logdir/keras_tuner"
    max_trials: int = 10


@dataclass(frozen=True, kw_only=True)
class RayTuneOptions(SearchOptions):
    """The options of ray_tune.py, by the names and with the defaults of its flags."""

    logdir: str = "./logdir/ray_tune"
    num_trials: int = 10
    num_cpus: int | None = None  # None: all of this machine or of the cluster
    num_gpus: int | None = None  # likewise
    cpus_per_trial: int = 1
    gpus_per_trial: float | None = None  # None: 1 where there are GPUs
    address: str | None = None  # of a Ray cluster to join; None: this machine alone
    resume: bool = False

    def __post_init__(self):
        super().__post_init__()
        if self.address and (self.num_cpus, self.num_gpus) != (None, None):
            raise InputError("--address: a cluster's CPUs and GPUs are all used; leave out --num_cpus and --num_gpus")
        if self.type == "pbt" and not any(len(getattr(self, name)) > 1 for name in MUTABLE):
            raise InputError(f"--type pbt changes {' and '.join(MUTABLE)} in flight: give several values of one")


def is_sample_rate(value: Any) -> bool:
    """Whether it is a rate in Hz that audio may have."""
    return _is_size(value, MAX_SAMPLE_RATE)


def is_address(value: Any) -> bool:
    """Whether it is text such as host:6379."""
    host, _, port = value.rpartition(":") if isinstance(value, str) else ("", "", "")
    return host != "" and "/" not in host and port.isdecimal()


def better(monitor: str) -> Callable:
    """The function that picks the better of two monitored values: max for accuracy, min for loss."""
    return max if monitor.endswith("accuracy") else min


def as_text(value: Any) -> str:
    """A hyperparameter's value as a flag takes it."""
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def as_flags(values: dict[str, Any]) -> list[str]:
    """What a script is to be called with, so that its flags have these values."""
    flags = []
    for name, value in values.items():
        flags += [f"--{name}", *map(str, value if isinstance(value, tuple) else [value])]
    return flags


def changed_flags(options: Any) -> list[str]:
    """What a script is to be called with for these options: the required ones, then those not at their defaults."""
    changed = [item for item in fields(options) if getattr(options, item.name) != item.default]
    changed.sort(key=lambda item: item.default is not MISSING)
    return as_flags({item.name: getattr(options, item.name) for item in changed})


def nearest_multiples(value: int, divisor: int) -> str:
    """The multiples of a divisor on both sides of a value, as a remedy names them; 0 is none."""
    lower = value // divisor * divisor
    return f"{lower} or {lower + divisor}" if lower else f"{divisor}"


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_size(value: Any, most: int = MAX_SIZE) -> bool:
    return _is_int(value) and 1 <= value <= most


def _is_number(value: Any) -> bool:
    return _is_int(value) or isinstance(value, float)
