"""What ray_tune.py does: trials side by side, on the CPUs and GPUs of a machine or of a Ray cluster."""

from __future__ import annotations

import contextlib
import itertools
import json
import logging
import os
import platform
import shutil
import signal
import tempfile
import threading
import time
import warnings
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

# Ray reads these where it is imported.
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
os.environ["RAY_AIR_NEW_OUTPUT"] = "0"  # what is printed is ours
os.environ.pop("RAY_ADDRESS", None)  # --address says where to run
os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] = "1"  # a trial's curves are in its run folder
os.environ["TUNE_DISABLE_SIGINT_HANDLER"] = "1"  # _interrupted_in_order does that
os.environ["TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S"] = "0"

import optuna
import ray
from ray import tune
from ray.tune.schedulers import ASHAScheduler
from ray.tune.search import BasicVariantGenerator
from ray.tune.search.optuna import OptunaSearch

import samplernn
from samplernn.options.train import better
from samplernn.search.options import RayTuneOptions
from samplernn.search.population import BEST, REMARK, WORST, has_failed, population
from samplernn.search.ray_space import distinct_points, domain
from samplernn.search.results import announce, winner_of, write_table
from samplernn.search.search import FAILED, Search, Trial
from samplernn.search.space import meant, scalars
from samplernn.system.device import quiet_stderr
from samplernn.system.errors import InputError, RunError
from samplernn.system.words import counted

CHECKPOINTS_KEPT = 3  # of each member of a population since it was compared, and before, for others to go on from
SECONDS_TO_WAIT = 1  # until it is asked again whether there is a member to go on from
SECONDS_TO_END = 20  # after a signal
MACHINE_FAILURES = 2  # how often a trial whose process or machine died is begun again


def search(options: RayTuneOptions) -> None:
    """Search, or go on with an interrupted search; then tell of the best trial.

    Raises:
        InputError: an option or the corpus can't be used, or the folder is of another search.
        RunError: no trial has succeeded.
        KeyboardInterrupt: after saying how to go on.
    """
    search = Search(options)
    if search.exists() and not options.resume:
        raise InputError(
            f"--id {options.id}: {search.folder} holds a search; --resume goes on with it, or choose another --id"
        )
    if options.resume and not search.exists():
        raise InputError(f"--resume: there is no search in {search.folder}; leave the flag out to begin one")
    search.check(devices=max(1, int(options.gpus_per_trial or 1)))
    _start_ray(options)
    try:
        resources = _resources(options)
        with search.begun():
            tuner = _tuner(search, resources)
            with _interrupted_in_order():
                tuner.fit()
    finally:
        ray.shutdown()
    winner = winner_of(search)
    print_summary(winner, options.objective)
    announce(
        search,
        winner,
        # A winner of pbt has become what it is under several settings: only from its checkpoint can it go on, and from
        # its last one, to which its settings of now belong.
        resume_from=winner.checkpoint if options.type == "pbt" else None,
        num_gpus=max(1, int(resources["GPU"])) if resources["GPU"] else None,
        threads=None if resources["GPU"] else options.cpus_per_trial,
    )


def _start_ray(options: RayTuneOptions) -> None:
    """Start Ray on this machine, or join a cluster."""
    warnings.filterwarnings("ignore", category=UserWarning, module="ray.tune")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    settings = {
        "runtime_env": {"py_modules": [samplernn]},  # the machines of a cluster need not have it
        "logging_level": logging.CRITICAL,
        "log_to_driver": False,
    }
    if not options.address:
        settings |= {"num_cpus": options.num_cpus, "num_gpus": options.num_gpus, "include_dashboard": False}
    terminated = signal.getsignal(signal.SIGTERM)
    try:
        with quiet_stderr(), _sigterm_kept_from_children():
            ray.init(options.address or "local", **settings)
    except (ConnectionError, ValueError, RuntimeError) as error:
        if not options.address:
            raise RunError(f"Ray does not start: {error}") from None
        remedy = "start one as docs/machines.md says, and let this machine have its token"
        raise InputError(f"--address {options.address}: no Ray cluster lets us in ({error}); {remedy}") from None
    signal.signal(signal.SIGTERM, terminated)  # which Ray took over


@contextlib.contextmanager
def _sigterm_kept_from_children() -> Iterator[None]:
    """Let the processes started meanwhile not heed SIGTERM, as Ray does with SIGINT.

    Where all processes of a job get the signal, Ray's would end first, and this one with them at once.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows has none
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _resources(options: RayTuneOptions) -> dict[str, float]:
    """What each trial is given."""
    gpus = options.gpus_per_trial
    if gpus is None:
        gpus = 1 if ray.cluster_resources().get("GPU") else 0
    resources = {"CPU": options.cpus_per_trial, "GPU": gpus}
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    if not any(all(node.get(name, 0) >= amount for name, amount in resources.items()) for node in nodes):
        numbers = [(int(node.get("CPU", 0)), int(node.get("GPU", 0))) for node in nodes]
        there = ", ".join(f"{counted(cpus, 'CPU')} and {counted(gpus, 'GPU')}" for cpus, gpus in numbers)
        wanted = f"--cpus_per_trial {options.cpus_per_trial}, --gpus_per_trial {gpus:g}"
        raise InputError(f"{wanted}: no machine has so many; there are {there}")
    return resources


@contextlib.contextmanager
def _interrupted_in_order() -> Iterator[None]:
    """Let Ctrl-C and SIGTERM end Ray's search in its own way, which keeps its state, and this script after it.

    Where Ray cannot, for its own processes are gone, this process ends all the same.
    """
    ray_ends_by = getattr(signal, "SIGUSR1", None)  # Windows has none
    handlers, received = {}, []

    def end_search(number, frame):
        received.append(number)
        print("\nThe same command with --resume goes on with this search.", flush=True)
        signal.signal(number, handlers[number])  # a second one ends all at once
        given_up = threading.Timer(SECONDS_TO_END, os._exit, [128 + number])
        given_up.daemon = True
        given_up.start()
        signal.raise_signal(ray_ends_by)

    if ray_ends_by:
        signal.signal(ray_ends_by, signal.SIG_IGN)  # until Ray takes it over
        handlers.update({number: signal.signal(number, end_search) for number in (signal.SIGINT, signal.SIGTERM)})
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    if received:
        signal.raise_signal(received[0])


def _tuner(search: Search, resources: dict[str, float]) -> tune.Tuner:
    options = search.options
    direction = better(options.objective).__name__
    trainable = tune.with_resources(tune.with_parameters(_run_trial, search=search), resources)
    storage, name = search.folder, "ray"
    if options.resume and tune.Tuner.can_restore(storage / name):
        try:
            return tune.Tuner.restore(str(storage / name), trainable, resume_unfinished=True)
        except ImportError:  # Ray has pickled the names of modules, which were others then
            raise InputError(
                f"--resume: the search in {search.folder} was begun by an earlier version, which alone can go on with"
                " it; its trials can be gone on with by train.py --resume_from, and another --id begins a new search"
            ) from None
    space, is_population = scalars(options.space), options.type == "pbt"
    points = distinct_points(space, options.num_trials, options.random_seed)
    return tune.Tuner(
        trainable,
        param_space={name: domain(values) for name, values in space.items()},
        tune_config=tune.TuneConfig(
            metric=options.objective if is_population else BEST,
            mode=direction,
            num_samples=options.num_trials if is_population else len(points),  # no trial is run twice
            search_alg=_search_algorithm(options, points),
            scheduler=_scheduler(options),
            trial_dirname_creator=lambda trial: f"trial_{trial.trial_id}",
        ),
        run_config=tune.RunConfig(
            name=name,
            storage_path=str(storage),
            callbacks=[_Progress(search)],
            verbose=0,
            failure_config=tune.FailureConfig(max_failures=MACHINE_FAILURES),
            checkpoint_config=tune.CheckpointConfig(
                num_to_keep=options.perturb_every + CHECKPOINTS_KEPT if is_population else 1
            ),
        ),
    )


def _search_algorithm(options: RayTuneOptions, points: list[dict[str, Any]]):
    if options.type == "bayesian":
        return _Bayesian(points, options.random_seed)
    return BasicVariantGenerator(points, random_state=options.random_seed)  # after the points, any of the space


def _scheduler(options: RayTuneOptions):
    if options.type != "pbt":
        return ASHAScheduler("epoch", max_t=options.num_epochs + 1)  # a trial's last epoch ends it anyway
    return population(options)


class _Bayesian(OptunaSearch):
    """Optuna's search, but where it proposes what has been tried, of which a repeated training tells nothing new."""

    def __init__(self, points: list[dict[str, Any]], seed: int):
        """`points` are as many as the trials, or all there are."""
        super().__init__(seed=seed)
        self._points = points
        self._tried = []

    def suggest(self, trial_id: str):
        chosen = super().suggest(trial_id)
        if chosen in self._tried:
            untried = next((point for point in self._points if point not in self._tried), None)
            if untried is None:
                return self.FINISHED
            self._ot_study.tell(self._ot_trials.pop(trial_id), state=optuna.trial.TrialState.FAIL)
            self._ot_study.enqueue_trial(untried)
            chosen = super().suggest(trial_id)
        self._tried.append(chosen)
        return chosen

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        with warnings.catch_warnings():
            # A trial that was interrupted between its report and its checkpoint tells of an epoch again.
            warnings.filterwarnings("ignore", "The reported value is ignored", UserWarning)
            super().on_trial_result(trial_id, result)


def _run_trial(chosen: dict[str, Any], search: Search) -> None:
    """A trial, in a process of Ray's."""
    resources, name = tune.get_context().get_trial_resources().required_resources, tune.get_context().get_trial_id()
    _use_only(resources.get("CPU", 0), resources.get("GPU", 0))
    options, hyperparameters = search.options, meant(search.options.space, chosen)
    best = better(options.objective)

    def report(history: list[dict[str, float]], checkpoint: Path) -> None:
        values = [logs[options.objective] for logs in history]
        metrics = {options.objective: values[-1], BEST: best(values), "epoch": len(values)}
        if options.type == "pbt" and (remarks := search.remarks(hyperparameters, history[-1])):
            metrics |= {options.objective: _worst(options), REMARK: remarks[0]}
        with tempfile.TemporaryDirectory() as folder:
            for file in checkpoint.parent.glob(f"{checkpoint.name}.*"):
                shutil.copy(file, folder)
            tune.report(metrics, checkpoint=tune.Checkpoint.from_directory(folder))

    earlier = tune.get_checkpoint()
    machine = f"{platform.node()}/{ray.get_runtime_context().get_node_id()[:8]}"
    trial = search.run_trial(name, hyperparameters, report, earlier and earlier.path, machine)
    if trial.failed:
        _report_failure(trial, options)


def _worst(options: RayTuneOptions) -> float:
    return WORST if better(options.objective) is min else -WORST


def _report_failure(trial: Trial, options: RayTuneOptions) -> None:
    """Report what is worse than all others, lest Optuna learn from what was good before a trial failed.

    A member of a population waits to go on from another, and says so by epochs that it does not have.
    """
    failed_at, metrics = len(trial.history) + 1, dict.fromkeys((options.objective, BEST), _worst(options))
    if options.type != "pbt":
        tune.report(metrics | {"epoch": failed_at})
        return
    for epoch in itertools.count(max(failed_at, options.burn_in, options.perturb_every)):
        tune.report(metrics | {"epoch": epoch, REMARK: trial.ended.removeprefix(FAILED)})
        time.sleep(SECONDS_TO_WAIT)


def _use_only(cpus: float, gpus: float) -> None:
    """Keep TensorFlow, before it is imported, to what a trial was given: Ray itself hides no GPU from one without."""
    os.environ["TF_NUM_INTRAOP_THREADS"] = str(int(cpus))
    if not gpus:
        os.environ["CUDA_VISIBLE_DEVICES"] = "-1"


class _Progress(tune.Callback):
    """Prints how the trials go on, and keeps the table of them up to date."""

    def __init__(self, search: Search):
        self._search = search

    def on_trial_result(self, iteration, trials, trial, result, **info):
        options = self._search.options
        if has_failed(result) or REMARK in result:
            return  # it has failed or collapsed, as its end will say, or what it goes on from
        print(
            f"Trial {trial.trial_id}: epoch {result['epoch']}/{options.num_epochs},"
            f" {options.objective} {result[options.objective]:.3f}, best {result[BEST]:.3f}",
            flush=True,
        )

    def on_trial_complete(self, iteration, trials, trial, **info):
        self._end(trial, "stopped by ASHA, behind other trials")

    def on_trial_error(self, iteration, trials, trial, **info):
        error = trial.get_error()
        reason = str(getattr(error, "cause", None) or error or "").strip().splitlines()
        self._end(trial, FAILED + (reason[-1] if reason else "its process ended"))

    def _end(self, trial, ended: str) -> None:
        hyperparameters = meant(self._search.options.space, trial.config)
        record = self._search.end_trial(trial.trial_id, hyperparameters, ended)
        write_table(self._search)
        print(f"Trial {trial.trial_id} has ended: {record.ended}.", flush=True)


def print_summary(trial: Trial, objective: str) -> None:
    """Print the best hyperparameters as JSON, and what else is known of their trial."""
    value, epoch = trial.best(objective)
    print(json.dumps(trial.hyperparameters, indent=2, sort_keys=True))
    print(f"Best trial: {trial.name}")
    print(f"Best {objective}: {value}, after epoch {epoch}")
    print(f"Training iterations: {counted(len(trial.history), 'epoch')}")
    print(f"Total duration: {timedelta(seconds=round(trial.seconds))}")
    print(f"Ended: {trial.ended}")
    print(f"Checkpoint: {trial.checkpoint}")
