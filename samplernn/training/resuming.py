"""What a run begins from: the checkpoint, whether the flags allow it, where in the training it stands."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from samplernn.checkpoints import run_folders
from samplernn.checkpoints import store as checkpoints
from samplernn.checkpoints.foreign import is_foreign
from samplernn.checkpoints.settings import arguments_of, has_config, model_config, read_settings, sums_of
from samplernn.corpus.folders import parse_folder
from samplernn.corpus.split import Split
from samplernn.corpus.windows import training_steps
from samplernn.models.config import Config
from samplernn.models.model import Model
from samplernn.models.registry import default_config, load_config
from samplernn.options.common import DEFAULT_CONFIG_FILE
from samplernn.options.option import as_text, options_of
from samplernn.options.train import TrainingOptions
from samplernn.system.distribution import gather_rows, hand_out_rows
from samplernn.system.errors import InputError
from samplernn.training.loop import Progress

OF_THE_COMMAND = ("resume", "resume_from", "init_from", "verbose")  # flags that say nothing about a run

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Resumed:
    """The checkpoint that a training goes on from."""

    checkpoint: Path
    why: str  # it was chosen
    settings: dict[str, Any] = field(default_factory=dict)  # none in PRiSM's
    further: Path | None = None  # another run's checkpoint, where one is further than this

    @property
    def arguments(self) -> dict[str, Any]:
        """The flags of the run."""
        return arguments_of(self.settings)

    @property
    def that_another_is_further(self) -> str:
        """A sentence."""
        return f"An earlier run of this id got further, to {self.further}, with which --resume_from would go on."

    @property
    def split(self) -> dict[str, list[str]] | None:
        return self.settings.get("split")


@dataclass(frozen=True)
class Initial:
    """The checkpoint whose weights a new training begins with."""

    checkpoint: Path
    settings: dict[str, Any]  # none in PRiSM's


def find_checkpoint(options: TrainingOptions) -> Resumed | None:
    """The checkpoint that the flags name, else the latest of their id; None to start from scratch.

    Raises:
        InputError: the named one is not there, or cannot be gone on from under these flags.
    """
    if not options.resume:
        return None
    further = None
    if options.resume_from:
        checkpoint = run_folders.resolve(options.resume_from, rolling=True)
        why = f"chosen by --resume_from {options.resume_from}"
        if is_foreign(checkpoint):
            raise InputError(
                f"--resume_from {options.resume_from}: a checkpoint of another program holds weights and no more to"
                " go on from; --init_from begins a new training with them"
            )
    else:
        runs = Path(options.logdir_root, options.id)
        checkpoint, why = run_folders.latest(runs), f"the latest of the newest run in {runs} that has one"
        further = run_folders.furthest(runs)
    if checkpoint is None:
        return None
    is_further = further and run_folders.place_of(further) > run_folders.place_of(checkpoint)
    settings = read_settings(checkpoint) or {}
    resumed = Resumed(checkpoint, why, settings, further if is_further else None)
    complaints = [*_complaints_about_split(options, resumed), *_complaints_about_first_folder(options, resumed)]
    if complaints:
        raise InputError("; ".join(complaints))
    return resumed


def find_initial(options: TrainingOptions, resumed: Resumed | None) -> Initial | None:
    """The checkpoint that --init_from names; None without the flag, and where a run goes on.

    Raises:
        InputError: it is not there.
    """
    if not options.init_from:
        return None
    if resumed:
        remedy = "another --id, or --resume False, would begin with those weights"
        log.warning("--init_from %s is not used, as this run goes on; %s.", options.init_from, remedy)
        return None
    checkpoint = run_folders.resolve(options.init_from, rolling=True)
    return Initial(checkpoint, read_settings(checkpoint) or {})


def _complaints_about_split(options: TrainingOptions, resumed: Resumed) -> Iterator[str]:
    if not resumed.split:
        return
    before = {"val_frac": options.val_frac, "hold_out": "files"} | resumed.arguments  # where it has noted neither
    for flag, held_out in (("val_frac", "{} of the files"), ("hold_out", "{}")):
        now, then = getattr(options, flag), before[flag]
        if now != then:
            yield (
                f"--{flag} {now}: the run to be resumed, {resumed.checkpoint.parent}, held out {held_out.format(then)},"
                f" and what it has trained on cannot be held out any more; give --{flag} {then}, or --resume False to"
                " start from scratch"
            )


def _complaints_about_first_folder(options: TrainingOptions, resumed: Resumed) -> Iterator[str]:
    """Where another folder is the first: what is relative to that, the names, would be those of other files."""
    theirs = resumed.arguments.get("data_dir")
    if not (
        options.data_dir
        and resumed.split
        and isinstance(theirs, list)
        and theirs
        and all(isinstance(text, str) for text in theirs)
    ):
        return
    theirs, ours = ([parse_folder(text)[0] for text in given] for given in (theirs, options.data_dir))
    before, now = (list(map(os.path.abspath, folders)) for folders in (theirs, ours))
    if before[0] != now[0] and (before[0] in now or now[0] in before):
        yield (
            f"--data_dir {' '.join(options.data_dir)}: the run to be resumed, {resumed.checkpoint.parent}, began with"
            f" {theirs[0]}, from which its files are named; name that folder first, or use --resume False to start from"
            " scratch"
        )


def choose_config(options: TrainingOptions, origin: Resumed | Initial | None) -> Config:
    """The flag's config, else that of the checkpoint to begin from, else the default file's, else the defaults."""
    if origin and (options.config_file or has_config(origin.checkpoint)):
        if not options.config_file:
            log.warning("No --config_file: the config is that of %s.", origin.checkpoint)
        return _config_of(origin, options.config_file)
    config_file = options.config_file or DEFAULT_CONFIG_FILE
    if options.config_file is None and not Path(config_file).exists():
        log.warning("No %s here: the model has the documented default parameters.", config_file)
        return default_config()
    return _config_of(origin, config_file) if origin else load_config(config_file)


def _config_of(origin: Resumed | Initial, config_file: str | None) -> Config:
    try:
        return model_config(origin.checkpoint, config_file)
    except InputError as error:
        remedy = "leave --init_from out" if isinstance(origin, Initial) else "give --resume False"
        raise InputError(f"{error}; {remedy} to start from scratch") from None


def progress_as_settings(progress: Progress) -> dict[str, Any]:
    """What a checkpoint's JSON holds of a progress."""
    return {
        "epoch": progress.epoch,
        "step": progress.step,
        "sums": {name: value.tolist() for name, value in progress.sums.items()},
        "history": progress.history,
    }


def gather_state(model: Model, progress: Progress) -> list[np.ndarray]:
    """The network's state for a checkpoint, parts [..., B], none between two epochs; all workers call it."""
    parts = tf.nest.flatten(progress.state) if progress.step else []
    return [gather_rows(model.distribute_strategy, part) for part in parts]


def restore_progress(resumed: Resumed | None, options: TrainingOptions, model: Model, split: Split) -> Progress:
    """Where a resumed run stood; where the rest of its epoch would not be the same any more, before that epoch.

    Raises:
        InputError: the checkpoint does not hold the network's state, though its settings say so.
    """
    if resumed is None:
        return Progress()
    settings = resumed.settings
    progress = Progress(run_folders.epoch_of(resumed.checkpoint), history=list(settings.get("history", [])))
    if not settings.get("step"):
        return progress
    if changed := _changes_of_the_epoch(resumed, options, model.config, split):
        number = progress.epoch + 1
        log.warning("Epoch %d begins anew, as its order depends on what has changed: %s.", number, ", ".join(changed))
        return progress
    progress.step, progress.sums = settings["step"], sums_of(settings)
    steps = training_steps(split.training, model.config, options.batch_size, options.random_seed, progress.epoch)
    shapes = {name: value.shape for name, value in progress.sums.items()}
    if progress.step > steps or shapes != model.sum_shapes or progress.sums["targets"] <= 0:
        raise InputError(
            f"{resumed.checkpoint}.json: not where this training can have stood; resume from another checkpoint"
        )
    progress.state = _restore_state(resumed.checkpoint, model, options.batch_size)
    return progress


def _changes_of_the_epoch(resumed: Resumed, options: TrainingOptions, config: Config, split: Split) -> list[str]:
    """What decides which windows an epoch has, in which order, and is not as it was."""
    arguments, theirs = resumed.arguments, resumed.settings["config"]
    ours = config.to_dict()
    decisive = {
        "--batch_size": (options.batch_size, arguments.get("batch_size")),
        "--random_seed": (options.random_seed, arguments.get("random_seed")),
        **{name: (ours[name], theirs.get(name)) for name in config.decides_epoch},
        "the files to train on": (split.names()["training"], (resumed.split or {}).get("training")),
        "the weights of --data_dir": (split.mix, resumed.settings.get("mix")),
        "their lengths": (split.training_frames, resumed.settings.get("training_frames")),
    }
    return [name for name, (ours, theirs) in decisive.items() if ours != theirs]


def _restore_state(checkpoint: Path, model: Model, batch_size: int):
    initial = model.initial_state(batch_size)
    parts = checkpoints.read_state(checkpoint, [tuple(part.shape) for part in tf.nest.flatten(initial)])

    def rows(of_replica: slice):
        own = [tf.cast(part[..., of_replica], like.dtype) for part, like in zip(parts, tf.nest.flatten(initial))]
        return tf.nest.pack_sequence_as(initial, own)

    return hand_out_rows(model.distribute_strategy, rows, batch_size)


def announce_choice(resumed: Resumed) -> None:
    """Print which checkpoint a run goes on from, and which other one is further in its training."""
    print(f"Resuming from {resumed.checkpoint}, {resumed.why}.")
    if resumed.further:
        print(resumed.that_another_is_further)


def that_others_run(options: TrainingOptions, own: Path | None = None) -> list[str]:
    """A sentence for each training of the same id that goes on just now in another run folder than the own."""
    others = [run for run in run_folders.running(Path(options.logdir_root, options.id)) if run != own]
    return [
        f"A training with --id {options.id} is running already, in {run}; another --id would keep the two apart."
        for run in others
    ]


def announce(resumed: Resumed, options: TrainingOptions, progress: Progress, steps: int, learning_rate: float) -> None:
    """Print where a resumed training goes on, and which flags differ.

    Args:
        resumed, options: what goes on, and how.
        progress: where.
        steps: how many the optimizer has taken.
        learning_rate: that of the next step.
    """
    place = f"epoch {progress.epoch + 1} of {options.num_epochs}, step {progress.step + 1}"
    print(f"It goes on with {place} (the optimizer has taken {steps} until now), learning rate {learning_rate:.6g}.")
    if differing := _differing_flags(resumed, options):
        print(f"Not as in that run: {'; '.join(differing)}.")


def announce_initial(initial: Initial, corpus_rate: int, encoders: list[str]) -> None:
    """Print what a new training begins with, and what is to be said where it is for another kind of corpus.

    Args:
        initial: the checkpoint.
        corpus_rate: of the corpus now, Hz.
        encoders: the hashes of the autoencoders whose codes are learnt now.
    """
    print(f"Beginning with the weights of {initial.checkpoint}: a new training, from epoch 1 on.")
    if [fact["sha256"] for fact in initial.settings.get("chain", [])] != encoders:
        print(
            "It has learnt the codes of another autoencoder, which mean something else: it begins at their sounds anew."
        )
    rate = initial.settings.get("sample_rate") or corpus_rate
    if rate != corpus_rate:
        print(
            f"It was trained at {rate} Hz, and the corpus is at {corpus_rate} Hz: pitch and tempo as it has learnt them"
            f" are {corpus_rate / rate:.3g} times as high and fast here, until it has learnt anew."
        )


def _differing_flags(resumed: Resumed, options: TrainingOptions) -> list[str]:
    theirs = resumed.arguments
    ours = json.loads(json.dumps(asdict(options)))  # in which a tuple is a list, as in theirs
    names = [option.name for option in options_of(type(options)) if option.name not in OF_THE_COMMAND]
    names = [name for name in names if name in theirs and ours[name] != theirs[name]]
    return [f"--{name} {_as_flag(ours[name])} (was {_as_flag(theirs[name])})" for name in names]


def _as_flag(value: Any) -> str:
    return as_text(tuple(value) if isinstance(value, list) else value)


class HowToGoOn:
    """Says how to go on, from the run's latest checkpoint or from the one that it resumed.

    Args:
        latest: finds the latest checkpoint of this run, if there is one.
        resumed: what this run goes on from, if it does.
        options: of this run, some of which a command that resumes does without.
    """

    def __init__(self, latest: Callable[[], Path | None], resumed: Resumed | None, options: TrainingOptions):
        self._latest = latest
        self._resumed = resumed
        self._options = options

    def __str__(self) -> str:
        checkpoint = self._latest() or (self._resumed and self._resumed.checkpoint)
        if not checkpoint:
            initial = self._options.init_from
            beginning = f"begins with the weights of {initial}" if initial else "starts from scratch"
            return f"There is no checkpoint yet: training again {beginning}"
        epoch, step = run_folders.place_of(checkpoint)
        place = f"in epoch {epoch + 1} after step {step}" if step else f"after epoch {epoch}"
        flags = {"--resume False": not self._options.resume, "--init_from": self._options.init_from}
        in_the_way = " and ".join(flag for flag, given in flags.items() if given)
        without = f"leave out {in_the_way}, and " if in_the_way else ""
        return f"To go on {place}, {without}train again with --resume_from {checkpoint}"


def latest_from_now_on(runs: Path) -> Callable[[], Path | None]:
    """A function that finds the latest checkpoint below a folder of runs, unless it was there before."""
    before = run_folders.latest(runs)

    def find() -> Path | None:
        found = run_folders.latest(runs)
        return found if found != before else None

    return find
