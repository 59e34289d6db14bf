"""The options of the searches: those of the commands, and the values to search among."""

from __future__ import annotations

from dataclasses import dataclass, fields

from samplernn.models.samplernn.config import ModelConfig
from samplernn.options.options import ComputationOptions, TrainingOptions, as_text
from samplernn.system.errors import InputError

KERAS_TUNER_TYPES = ("bayesian", "random_search")
RAY_TUNE_TYPES = ("bayesian", "random_search", "pbt")
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
