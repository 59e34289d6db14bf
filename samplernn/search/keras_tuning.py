"""What keras_tuner.py does: one trial after the other, as Keras Tuner proposes them."""

from __future__ import annotations

import contextlib
import io

import keras_tuner
import tensorflow as tf
from keras_tuner.engine.base_tuner import BaseTuner
from keras_tuner.errors import FailedTrialError
from keras_tuner.oracles import BayesianOptimizationOracle, RandomSearchOracle

from samplernn.options.option import as_text
from samplernn.options.train import better
from samplernn.options.values import Range
from samplernn.search.options import KerasTunerOptions
from samplernn.search.results import announce, winner_of, write_table
from samplernn.search.search import FAILED, Search, Trial
from samplernn.search.space import meant, scalars
from samplernn.system.errors import InputError
from samplernn.system.process import in_own_process

PROJECT = "keras_tuner"  # the folder of its state


def search(options: KerasTunerOptions) -> None:
    """Search, or go on with an interrupted search of the same id; then tell of the best trial.

    Raises:
        InputError: an option or the corpus can't be used, or the folder is of another search.
        RunError: no trial has succeeded.
        KeyboardInterrupt: the same command goes on with the search.
    """
    search = Search(options)
    search.check(devices=max(1, len(tf.config.list_physical_devices("GPU"))))
    with search.begun():
        tuner = _begin_or_reload(search)
        try:
            tuner.search()
        except KeyboardInterrupt:
            print("\nThe same command goes on with this search.", flush=True)
            raise
    winner = winner_of(search)
    print_summary(winner, options.objective)
    announce(search, winner)


def _begin_or_reload(search: Search) -> _Tuner:
    try:
        tuner = _Tuner(search)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        damaged = search.folder / PROJECT
        raise InputError(f"{damaged}: the state of the search is damaged ({error!r}); choose another --id") from None
    tuner.save()  # so that a search interrupted in its first trial can be gone on with
    return tuner


class _Tuner(BaseTuner):
    """Keras Tuner's search, each of whose trials is one of ours in its own process."""

    def __init__(self, search: Search):
        self._search = search
        options, space = search.options, keras_tuner.HyperParameters()
        for name, values in scalars(options.space).items():
            if isinstance(values, Range):
                (space.Int if values.whole else space.Float)(name, values.least, values.most, sampling="log")
            else:
                space.Choice(name, values)
        build = {"bayesian": _BayesianOracle, "random_search": RandomSearchOracle}[options.type]
        oracle = build(
            objective=keras_tuner.Objective(options.objective, better(options.objective).__name__),
            max_trials=options.max_trials,
            hyperparameters=space,
            seed=options.random_seed + 1,  # 0 would be taken for none
            max_consecutive_failed_trials=options.max_trials + 1,  # failures do not end the search
        )
        super().__init__(oracle, directory=str(search.folder), project_name=PROJECT)

    def _try_run_and_update_trial(self, trial, *args, **kwargs):
        with contextlib.redirect_stderr(io.StringIO()):  # Keras Tuner prints a traceback where a trial has failed
            super()._try_run_and_update_trial(trial, *args, **kwargs)

    def run_trial(self, trial) -> dict[str, float]:
        name = trial.trial_id
        hyperparameters = meant(self._search.options.space, trial.hyperparameters.values)
        try:
            ended = in_own_process(self._search.run_trial, name, hyperparameters).ended
        except Exception as error:
            ended = f"{FAILED}{error}"
        record = self._search.end_trial(name, hyperparameters, ended)
        write_table(self._search)
        if record.failed:
            print(f"Trial {name} {record.ended}. The search goes on.", flush=True)
            raise FailedTrialError(record.ended)
        value, epoch = record.best(self._search.options.objective)
        return record.history[epoch - 1]


class _BayesianOracle(BayesianOptimizationOracle):
    """Keras Tuner's, which may propose what has been tried; a training that is repeated tells nothing new."""

    def populate_space(self, trial_id):
        response = super().populate_space(trial_id)
        if response["values"] is not None and self._duplicate(response["values"]):
            return self._random_populate_space()
        return response


def print_summary(trial: Trial, objective: str) -> None:
    """Print the best trial, as the original's README shows it."""
    score, epoch = trial.best(objective)
    print("[Trial summary]")
    print(f" |-Trial ID: {trial.name}")
    print(f" |-Score: {score}")
    print(f" |-Best step: {epoch}")
    print(" > Hyperparameters:")
    for name, value in sorted(trial.hyperparameters.items()):
        print(f" |-{name}: {as_text(value)}")
