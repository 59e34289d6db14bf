"""What a search tells of its trials: their table, the winner, and the command that trains that in full."""

from __future__ import annotations

import csv
import io
import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from samplernn.checkpoints import run_folders
from samplernn.options.common import SCRIPTS
from samplernn.options.option import as_text, changed_flags
from samplernn.options.train import TrainingOptions, better
from samplernn.system.errors import RunError
from samplernn.system.files import shortest, write_json, write_whole

if TYPE_CHECKING:
    from samplernn.search.search import Search, Trial


def write_table(search: Search) -> None:
    """Write `trials.csv`."""
    objective = search.options.objective
    text = io.StringIO()
    table = csv.writer(text)
    results = ["epochs", f"best {objective}", "best epoch", "seconds", "machine", "ended"]
    table.writerow(["trial", *search.options.space, *results])
    for trial in search.trials():
        values = [as_text(trial.hyperparameters[name]) for name in search.options.space]
        best, seconds = trial.best(objective) or ("", ""), f"{trial.seconds:.1f}"
        results = [len(trial.history), *best, seconds, trial.machine, trial.ended or "not yet"]
        table.writerow([trial.name, *values, *results])
    write_whole(search.folder / "trials.csv", text.getvalue())


def winner_of(search: Search) -> Trial:
    """The best trial, if there are any of those with whose networks nothing is wrong.

    Raises:
        RunError: all have failed.
    """
    write_table(search)
    trials = [trial for trial in search.trials() if not trial.failed]
    if not trials:
        raise RunError(f"No trial has succeeded; {search.folder / 'trials.csv'} says why")
    trials = [trial for trial in trials if not search.remarks(trial.hyperparameters, trial.history[-1])] or trials
    return better(search.options.objective)(trials, key=lambda trial: trial.best(search.options.objective)[0])


def best_checkpoint(search: Search, trial: Trial) -> Path | None:
    """The checkpoint of a trial's best epoch; None where it went on from another trial's after that."""
    from samplernn.checkpoints.settings import of_training  # imports TensorFlow

    runs = run_folders.runs_in(search.trial_folder(trial.name))
    kept = of_training([path for run in runs for path in run_folders.kept_in(run)], trial.history)
    _, epoch = trial.best(search.options.objective)
    return next((path for path in kept if run_folders.epoch_of(path) == epoch), None)


def announce(
    search: Search,
    winner: Trial,
    resume_from: str | None = None,
    num_gpus: int | None = None,
    threads: int | None = None,
) -> None:
    """Write `best.config.json`; print where things are and the command that trains the winner in full.

    Args:
        search: whose winner it is.
        winner: the best trial.
        resume_from: the checkpoint from which that command begins; by default from scratch.
        num_gpus: how many GPUs a trial had, if not all of its machine.
        threads: to how many a trial was kept, if at all.
    """
    path = search.folder / "best.config.json"
    write_json(path, search.config(winner.hyperparameters))
    options = replace(
        search.training_options(winner.hyperparameters),
        id=f"{search.options.id}_trial_{winner.name}",
        config_file=shortest(path),
        resume_from=resume_from,
        num_gpus=num_gpus,
    )
    logdir = shlex.quote(shortest(search.folder))
    print(f"All trials: {shortest(search.folder / 'trials.csv')}, and tensorboard --logdir {logdir}")
    if best := best_checkpoint(search, winner):
        print(f"The best one's best checkpoint: {shortest(best)}")
    print(f"The best one's config: {shortest(path)}. To train it in full:")
    if threads and not resume_from:
        print("(On as many threads as the trial its epochs repeat to the digit; without that, but for rounding.)")
    limit = f"TF_NUM_INTRAOP_THREADS={threads} " if threads else ""
    print(limit + shlex.join(train_command(options)), flush=True)


def train_command(options: TrainingOptions) -> list[str]:
    """The command of a training: the folders of its data, and the flags that are not at their defaults."""
    return ["python", shortest(SCRIPTS / "train.py"), *changed_flags(options)]
