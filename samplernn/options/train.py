"""What a user of train.py may set."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from samplernn.options.common import DEFAULT_CONFIG_FILE, ComputationOptions, CorpusOptions, SoundOptions
from samplernn.options.option import option, with_default
from samplernn.options.values import (
    BOOLEAN,
    FOLDER_NAME,
    FRACTION,
    PATH,
    POLICY,
    POSITIVE,
    SAMPLE_RATE,
    SECONDS,
    automatic,
    one_of,
    optional,
    whole,
)
from samplernn.system.errors import InputError

MONITORS = ("loss", "accuracy", "val_loss", "val_accuracy")


@dataclass(frozen=True, kw_only=True)
class TrainingOptions(CorpusOptions, SoundOptions, ComputationOptions):
    """The options of train.py."""

    codes_from: str | None = option(
        None,
        optional(PATH),
        "checkpoint of an autoencoder, or a run folder for its latest, whose codes of the corpus are learnt instead of"
        " its audio",
        "that of the run that goes on",
    )
    skip_unusable: bool = option(
        False, BOOLEAN, "leave out files that cannot be used, and name them; if False, they are an error"
    )
    strict: bool = option(False, BOOLEAN, "make silent, clipped, unequally long and duplicate files an error too")
    id: str = option("default", FOLDER_NAME, "id of the training session, a folder below logdir_root and output_dir")
    verbose: bool = option(
        True,
        BOOLEAN,
        "print each step on a new line; if False, over the one before, or into a pipe one every ten seconds",
    )
    logdir_root: str = option("./logdir", PATH, "folder for checkpoints and logs")
    output_dir: str = option("./generated", PATH, "folder for the audio generated during training")
    config_file: str | None = option(
        None,
        optional(PATH),
        "JSON file with the parameters of the model",
        f"that of the checkpoint to begin from, else {DEFAULT_CONFIG_FILE}",
    )
    num_epochs: int = option(100, whole(1), "number of epochs, those done before a resume included")
    batch_size: int = option(
        64,
        whole(1),
        "size of a mini-batch; files that do not fill a last one are left out, so a divisor of their number is best",
        searchable=True,
    )
    optimizer: str = option("adam", one_of("adam", "sgd", "rmsprop"), "which optimizer learns", searchable=True)
    learning_rate: float = option(0.001, POSITIVE, "learning rate", searchable=True, in_flight=True)
    reduce_learning_rate_after: int | None = option(
        None, optional(whole(1)), "multiply the rate by exp(-0.1) after each epoch from this one on"
    )
    momentum: float = option(0.9, FRACTION, "momentum of sgd and rmsprop", searchable=True)
    polyak_decay: float | None = option(
        None,
        optional(FRACTION),
        "keep an average of the weights with this decay, such as 0.999, to validate and generate with",
    )
    monitor: str = option("val_loss", one_of(*MONITORS), "what early stopping and the policy Best watch")
    checkpoint_every: int = option(1, whole(1), "epochs between two checkpoints")
    checkpoint_every_minutes: float | None = option(
        None,
        optional(POSITIVE),
        "minutes between two checkpoints that are only there to be resumed from, for long epochs",
    )
    checkpoint_policy: str = option(
        "Always", POLICY, "Always (or All), or Best: only where the monitored value is the best so far"
    )
    max_checkpoints: int | None = option(
        5,
        optional(whole(1)),
        "checkpoints to keep, the last ones, beside which the best one by monitor is kept; None keeps all",
    )
    resume: bool = option(True, BOOLEAN, "go on from resume_from, or from the latest checkpoint of this id")
    resume_from: str | None = option(None, optional(PATH), "checkpoint to go on from; ignored when resume is False")
    init_from: str | None = option(
        None, optional(PATH), "checkpoint whose weights a new training begins with, instead of random ones"
    )
    early_stopping_patience: int | None = option(
        3, optional(whole(1)), "stop after this many epochs without improvement; None never stops"
    )
    generate: bool = option(True, BOOLEAN, "generate audio after each checkpoint")
    max_generate_per_epoch: int = option(1, whole(1), "number of audio files to generate each time")
    sample_rate: int | None = option(
        None, optional(SAMPLE_RATE), "sample rate of the generated audio, Hz", "the corpus's own"
    )
    output_file_dur: float = option(3.0, SECONDS, "duration of the generated audio, seconds")
    random_seed: int = option(
        0,
        whole(0),
        "seed of the initial weights, of the order of the files, of dropout and of the generated audio: the same one"
        " repeats a run, bit for bit on the CPU of the same machine",
    )
    num_gpus: int | None = option(None, automatic(whole(1)), "GPUs of this machine to use; auto: all")

    def __post_init__(self):
        if self.resume_from and self.init_from:
            raise InputError("--resume_from goes on with a run, --init_from begins a new one; leave out one of them")


@dataclass(frozen=True, kw_only=True)
class CheckOptions(TrainingOptions):
    """The options of train.py --check: those of the training that does not begin, of which none is required."""

    data_dir: tuple[str, ...] = with_default(CorpusOptions, "data_dir", ())


def better(monitor: str) -> Callable:
    """The function that picks the better of two monitored values: max for accuracy, min for loss."""
    return max if monitor.endswith("accuracy") else min
