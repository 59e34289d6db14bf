"""Hyperparameter search: what may be tried, a trial, and what is kept of all trials.

Which values to try next, and where, is asked of a library: by keras_tuning.py and ray_tuning.py.
"""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from samplernn.checkpoints import run_folders
from samplernn.corpus.folders import absolute_folder
from samplernn.corpus.overlaps import remark_on_overlaps
from samplernn.models.registry import config_to_dict
from samplernn.options.option import as_text, options_of
from samplernn.options.train import TrainingOptions, better
from samplernn.options.values import Range
from samplernn.search import space
from samplernn.search.options import SearchOptions
from samplernn.search.space import Choice
from samplernn.system.device import prepare_device
from samplernn.system.distribution import check_batch_size
from samplernn.system.errors import InputError, RunError, naming
from samplernn.system.files import make_writable_folder, read_json, write_json
from samplernn.system.words import counted

if TYPE_CHECKING:
    from samplernn.training.beginning import Beginning

Logs = dict[str, float]  # the loss, accuracy, val_loss and val_accuracy of an epoch

FAILED = "failed: "
TRIAL_CONFIG = "trial.config.json"
# What may change when a search is gone on with: where it is and what it may use.
FREE = ("id", "logdir", "max_trials", "num_cpus", "num_gpus", "cpus_per_trial", "gpus_per_trial", "address", "resume")


@dataclass
class Trial:
    """What is kept of a trial, as JSON in its folder."""

    name: str
    hyperparameters: Choice
    begun: float  # seconds since 1970
    machine: str  # where it runs
    seconds: float = 0.0
    history: list[Logs] = field(default_factory=list)
    checkpoint: str | None = None  # the last one
    ended: str | None = None  # why; None while it runs

    def best(self, objective: str) -> tuple[float, int] | None:
        """The best value of the objective over the epochs, and its epoch from 1; None before the first has ended."""
        values = [(logs[objective], epoch) for epoch, logs in enumerate(self.history, 1)]
        return better(objective)(values, key=lambda pair: pair[0], default=None)

    @property
    def failed(self) -> bool:
        return not self.history or (self.ended or "").startswith(FAILED)


class Search:
    """A search and its folder, `logdir/id`, which holds

    - `search.json`: the options that make it this search
    - `trial_<name>/`: a trial's record, config, and run folder, as train.py makes one
    - `trials.csv`: a row for each trial
    - `best.config.json`: the winner's config
    - TensorBoard's events, for its HParams view
    """

    def __init__(self, options: SearchOptions):
        self.options = options
        self.folder = Path(options.logdir, options.id).resolve()
        self._file = self.folder / "search.json"
        self._data_dir = tuple(map(absolute_folder, options.data_dir))  # trials may run elsewhere
        self._codes_from = options.codes_from and _checkpoint(options.codes_from)

    def exists(self) -> bool:
        """Whether a search of this id was begun."""
        return self._file.exists()

    def check(self, devices: int = 1) -> None:
        """Find that every trial can be run, and that the folder is not of another search; remark on overlaps.

        Args:
            devices: between how many a trial's batches are split.

        Raises:
            InputError: the corpus does not do for a trial, or the folder is of another search.
            RunError: a recording has changed since it was examined.
        """
        options = self.options
        for batch_size in space.examples(options.space["batch_size"]):
            check_batch_size(batch_size, devices)
        beginning = self._beginning()
        differences = self.exists() and _differences(self._identity(), self._earlier_identity())
        if differences:
            raise InputError(
                f"--id {options.id}: {self.folder} holds another search ({'; '.join(differences)}); choose another"
                " --id, or give the same flags to go on with it"
            )
        remark_on_overlaps(beginning.audio, begun=self.exists())

    def _beginning(self) -> Beginning:
        """What the trial that asks most of the corpus is about: of the longest windows in the largest batches."""
        from samplernn.training.beginning import beginning_with  # imports TensorFlow

        tried = self.options.space
        some_choice = {name: space.examples(values)[0] for name, values in tried.items()}
        most = {name: space.largest(tried[name]) for name in ("seq_len", "batch_size")}
        return beginning_with(
            space.network(self.options.model, some_choice | most), self.training_options(some_choice | most)
        )

    @contextmanager
    def begun(self) -> Iterator[None]:
        """Make the folder, unless it is there, and hold it against other runs of the same search.

        Raises:
            InputError: another run holds it.
        """
        from samplernn.search import hparams  # imports TensorFlow

        make_writable_folder("--logdir", self.folder)
        try:
            with FileLock(self.folder / ".lock", timeout=0):
                if not self.exists():
                    hparams.write_space(self.folder, space.scalars(self.options.space))
                    write_json(self._file, self._identity())
                yield
        except Timeout:
            raise InputError(
                f"--id {self.options.id}: the search in {self.folder} is running; wait, or choose another --id"
            ) from None

    def _identity(self) -> dict[str, Any]:
        """What a search must have in common with an earlier one to go on with it."""
        values = {name: value for name, value in asdict(self.options).items() if name not in FREE}
        del values["space"]
        values |= {
            name: as_text(tried) if isinstance(tried, Range) else tried for name, tried in self.options.space.items()
        }
        values |= {"tuner": type(self.options).__name__, "data_dir": as_text(self._data_dir)}  # its order matters
        values["codes_from"] = self._codes_from
        return json.loads(json.dumps(values))

    def _earlier_identity(self) -> dict[str, Any]:
        """That of the search in the folder, which an earlier version may have begun that knew fewer options."""
        earlier = self._read(self._file)
        if not isinstance(earlier, dict):
            raise InputError(f"{self._file}: not the options of a search; move it away, or choose another --id")
        defaults = {option.name: option.default for option in options_of(type(self.options)) if not option.required}
        defaults |= {option.name: [option.default] for option in space.hyperparameters(self.options.model)}
        return json.loads(json.dumps(defaults)) | earlier

    def _read(self, path: Path) -> Any:
        try:
            return read_json(path)
        except InputError as error:
            raise InputError(f"{path}: {error}; move it away, or choose another --id") from None

    # --- Trials ---

    def run_trial(
        self,
        name: str,
        hyperparameters: Choice,
        report: Callable[[list[Logs], Path], None] = lambda history, checkpoint: None,
        resume_from: str | None = None,
        machine: str = platform.node(),
    ) -> Trial:
        """Train with given hyperparameters just as train.py would; a trial that was interrupted goes on.

        Args:
            name: of the trial.
            hyperparameters: a choice.
            report: called after each epoch with the logs of all until then and the path of its checkpoint.
            resume_from: checkpoint, or its folder, to go on from; by default the last one of this trial.
            machine: what to call the machine that it runs on.

        Returns:
            The trial, whose `ended` says whether it failed.
        """
        os.environ.pop("TF_CONFIG", None)  # a trial is trained by one process
        prepare_device()
        from samplernn.training.train import train

        trial = self._begin_trial(name, hyperparameters, resume_from, machine)
        started = time.monotonic() - trial.seconds

        def after_checkpoint(checkpoint: Path, history: list[Logs]) -> None:
            trial.seconds = time.monotonic() - started
            self._note_epoch(trial, checkpoint, history)
            report(history, checkpoint)

        try:
            train(self._trial_options(trial), after_checkpoint, report=False)
            trial.ended = self._all_epochs if self._is_over(trial) else self._no_improvement
        except (RunError, InputError, OSError) as error:
            trial.ended = f"{FAILED}{error.__cause__ or error}"
        trial.seconds = time.monotonic() - started
        self._save(trial)
        return trial

    def _begin_trial(self, name: str, hyperparameters: Choice, resume_from: str | None, machine: str) -> Trial:
        """The record of a trial that begins or goes on, saved, and beside it the config of its network."""
        from samplernn.checkpoints.settings import read_settings

        folder = self.trial_folder(name)
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / TRIAL_CONFIG, self.config(hyperparameters))
        trial = self.trial(name) or Trial(name, hyperparameters, time.time(), machine)
        trial.hyperparameters, trial.machine, trial.ended = hyperparameters, machine, None
        if found := run_folders.resolve(resume_from, rolling=True) if resume_from else run_folders.latest(folder):
            trial.checkpoint, trial.history = str(found), (read_settings(found) or {}).get("history", [])
        self._save(trial)
        return trial

    def _trial_options(self, trial: Trial) -> TrainingOptions:
        folder = self.trial_folder(trial.name)
        return replace(
            self.training_options(trial.hyperparameters),
            data_dir=self._data_dir,
            codes_from=self._codes_from,
            id=folder.name,
            logdir_root=str(folder.parent),
            config_file=str(folder / TRIAL_CONFIG),
            num_epochs=self.options.num_epochs,
            resume_from=trial.checkpoint,
            verbose=False,
            max_checkpoints=1,
            generate=False,
        )

    def _note_epoch(self, trial: Trial, checkpoint: Path, history: list[Logs]) -> None:
        """Save what a trial has come to; TensorBoard is told its hyperparameters with the first of its run."""
        from samplernn.search import hparams

        if not (trial.checkpoint and checkpoint.parent == Path(trial.checkpoint).parent):
            values = {key: space.scalar(value) for key, value in trial.hyperparameters.items()}
            hparams.write_trial(checkpoint.parent, trial.name, values)
        trial.history, trial.checkpoint = history, str(checkpoint)
        trial.ended = self._all_epochs if self._is_over(trial) else None
        self._save(trial)

    def _is_over(self, trial: Trial) -> bool:
        return len(trial.history) >= self.options.num_epochs

    @property
    def _all_epochs(self) -> str:
        return counted(self.options.num_epochs, "epoch")

    @property
    def _no_improvement(self) -> str:
        return f"no improvement for {counted(self.options.patience, 'epoch')}"

    def end_trial(self, name: str, hyperparameters: Choice, ended: str) -> Trial:
        """Record why a trial ended, where it could not do so itself."""
        trial = self.trial(name) or Trial(name, hyperparameters, time.time(), "")
        if trial.ended is None:
            trial.ended = ended
            self.trial_folder(name).mkdir(parents=True, exist_ok=True)
            self._save(trial)
        return trial

    def trial(self, name: str) -> Trial | None:
        """The record of a trial; None before it has begun."""
        path = self.trial_folder(name) / "trial.json"
        if not path.exists():
            return None
        try:
            content = self._read(path)
            return Trial(
                **content | {"hyperparameters": space.from_json(self.options.model, content["hyperparameters"])}
            )
        except (TypeError, KeyError, AttributeError):
            raise InputError(f"{path}: not the record of a trial; move it away, or choose another --id") from None

    def trials(self) -> list[Trial]:
        """The trials begun so far, in that order."""
        names = [path.parent.name.removeprefix("trial_") for path in self.folder.glob("trial_*/trial.json")]
        return sorted(filter(None, map(self.trial, names)), key=lambda trial: trial.begun)

    def trial_folder(self, name: str) -> Path:
        """With the record of a trial, its config and its run folders."""
        return self.folder / f"trial_{name}"

    def _save(self, trial: Trial) -> None:
        write_json(self.trial_folder(trial.name) / "trial.json", asdict(trial))

    def training_options(self, hyperparameters: Choice) -> TrainingOptions:
        """What a trial and the training of the winner in full have in common."""
        return TrainingOptions(
            data_dir=self.options.data_dir,
            codes_from=self.options.codes_from,
            val_frac=self.options.val_frac,
            hold_out=self.options.hold_out,
            monitor=self.options.objective,
            early_stopping_patience=self.options.patience,
            random_seed=self.options.random_seed,
            precision=self.options.precision,
            jit_compile=self.options.jit_compile,
            **space.of_training(hyperparameters),
        )

    def config(self, hyperparameters: Choice) -> dict[str, Any]:
        """That of a trial's network, as it is written."""
        return config_to_dict(space.network(self.options.model, hyperparameters))

    def remarks(self, hyperparameters: Choice, logs: Logs) -> list[str]:
        """What is wrong with a trial's network, of which an epoch measured so."""
        return list(space.network(self.options.model, hyperparameters).remarks(logs))


def _checkpoint(codes_from: str) -> str:
    """The very checkpoint, for a folder's latest may be another one when the search goes on."""
    with naming("--codes_from"):
        return str(run_folders.resolve(codes_from).resolve())


def _differences(ours: dict[str, Any], theirs: dict[str, Any]) -> list[str]:
    def in_any_order(value):
        return sorted(value, key=str) if isinstance(value, list) else value

    differing = [name for name in ours if in_any_order(ours[name]) != in_any_order(theirs.get(name))]
    return [f"{name} {theirs.get(name)}, now {ours[name]}" for name in differing]
