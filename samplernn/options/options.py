"""What a user may set: the options of the commands, by the names and with the defaults of their flags."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any

from samplernn.system.errors import InputError

OPTIMIZERS = ("adam", "sgd", "rmsprop")
MONITORS = ("loss", "accuracy", "val_loss", "val_accuracy")
PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")
MAX_SAMPLE_RATE = 10**6  # Hz
SCRIPTS = Path(__file__).resolve().parents[2]  # the folder of train.py, generate.py and the others
DEFAULT_CONFIG_FILE = "./default.config.json"
DEFAULT_SAMPLE_RATE = 16000  # Hz
DEFAULT_TEMPERATURE = 0.95
SILENCE_DB = -64  # of full scale; what is at it or below is silent


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


def is_sample_rate(value: Any) -> bool:
    """Whether it is a rate in Hz that audio may have."""
    return type(value) is int and 1 <= value <= MAX_SAMPLE_RATE


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
