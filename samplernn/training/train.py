"""Training, from a corpus of WAV files to checkpoints: what train.py and the tuners call."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import keras
import tensorflow as tf

import samplernn
from samplernn.checkpoints import run_folders
from samplernn.checkpoints import store as checkpoints
from samplernn.corpus.split import describe_mix
from samplernn.models.model import Model
from samplernn.options.train import TrainingOptions
from samplernn.system.device import refusals_explained
from samplernn.system.distribution import (
    Worker,
    check_agreement,
    check_batch_size,
    choose_strategy,
    largest,
    this_worker,
    wait_for_all,
)
from samplernn.system.errors import InputError, RunError, in_words
from samplernn.system.progress import StepLines
from samplernn.system.stopping import StopRequest, print_unless_reader_is_gone
from samplernn.training import resuming
from samplernn.training.beginning import Beginning, find_beginning, remark_on_split
from samplernn.training.callbacks import (
    EarlyStopping,
    PrintStatistics,
    Remarks,
    SaveBetweenSteps,
    SaveCheckpoints,
    TimeLeft,
)
from samplernn.training.clips import audio_like
from samplernn.training.loop import Diverged, Progress, fit
from samplernn.training.overview import best_checkpoint, how_to_generate, overview, why_ended
from samplernn.training.resuming import HowToGoOn, Resumed
from samplernn.training.run import AfterCheckpoint, Run
from samplernn.training.steps import model_to_train

MEMORY_REMEDY = (
    "lower --batch_size, or seq_len or the network's size in the config; on a GPU --precision mixed_bfloat16 needs"
    " less, too"
)


def train(options: TrainingOptions, after_checkpoint: AfterCheckpoint | None = None, report: bool = True) -> None:
    """What train.py does: train a model on a corpus, from scratch or from where a run stopped.

    On several devices the batch is split between them; on several machines, named by TF_CONFIG, each calls this, and
    what is printed and written comes from the first, the chief.

    Args:
        options: the flags.
        after_checkpoint: called with the path of each new checkpoint and the logs of all epochs until then.
        report: whether to print more than the steps and epochs: what is trained, the time left, how it ended.

    Raises:
        InputError: an option or a file can't be used; the message names it and the remedy.
        RunError: the disk refuses, or the loss is no longer a number.
        KeyboardInterrupt: after saying how to resume.
    """
    worker = this_worker()
    with refusals_explained(MEMORY_REMEDY):
        strategy = choose_strategy(worker, options.num_gpus)
        _check_and_tell_devices(options, worker, strategy)
        training = _prepare(options, worker, strategy, report)
        if training.progress.epoch < options.num_epochs:
            training.go(after_checkpoint)
        else:
            done, total = training.progress.epoch, options.num_epochs
            print(f"Nothing to do: epoch {done} is done; --num_epochs, the total, is {total}.")
        wait_for_all(strategy)  # a worker's end would stop the others; the chief may still write


def _check_and_tell_devices(options: TrainingOptions, worker: Worker, strategy: tf.distribute.Strategy) -> None:
    replicas = strategy.num_replicas_in_sync
    check_batch_size(options.batch_size, replicas)
    if replicas > 1 and options.precision == "mixed_float16":
        raise InputError("--precision mixed_float16 trains on one device only; on several use mixed_bfloat16")
    if not worker.is_chief:
        print(f"{worker}: {replicas // worker.number} of {replicas} devices; the first prints and saves.", flush=True)
        logging.getLogger(samplernn.__name__).setLevel(logging.ERROR)
    elif replicas > 1:
        print(f"{worker}: {replicas // worker.number} of {replicas} devices.", flush=True)


def _prepare(options: TrainingOptions, worker: Worker, strategy: tf.distribute.Strategy, report: bool) -> _Training:
    """Find, or refuse, all that the training needs; nothing is written yet."""
    beginning = find_beginning(options, tell=worker.is_chief)
    if worker.number > 1:
        check_agreement(strategy, beginning.facts(options))
    if report and worker.is_chief:
        remark_on_split(beginning.audio, beginning.resumed)
    model = build_model(options, beginning, strategy)
    progress = resuming.restore_progress(beginning.resumed, options, model, beginning.split)
    return _Training(options, worker, beginning, model, progress, report)


def build_model(options: TrainingOptions, beginning: Beginning, strategy: tf.distribute.Strategy) -> Model:
    """The network that a training begins with, on the devices of a strategy, and its optimizer."""
    keras.utils.set_random_seed(options.random_seed)
    with strategy.scope():
        model = model_to_train(beginning.config, options)
        if options.polyak_decay is not None:
            model.average_weights(options.polyak_decay)
        if origin := beginning.origin:
            checkpoints.restore(origin.checkpoint, model, model.optimizer if isinstance(origin, Resumed) else None)
    return model


@dataclass
class _Training:
    """A training that can begin."""

    options: TrainingOptions
    worker: Worker
    beginning: Beginning
    model: Model
    progress: Progress
    report: bool
    stop: StopRequest = field(default_factory=StopRequest)
    run: Run | None = None  # the chief's

    def go(self, after_checkpoint: AfterCheckpoint | None) -> None:
        """Train, as long as the options say or until something ends it, and say how it ended."""
        if self.worker.is_chief:
            self._tell_where_it_goes_on()
            self.run = Run(self.options, self.beginning, self.model, self.progress, self.stop, after_checkpoint)
            self._tell_what_is_trained()
            latest = partial(run_folders.latest_in, self.run.folder)
        else:
            self.beginning.make_codes(self.options)
            latest = resuming.latest_from_now_on(Path(self.options.logdir_root, self.options.id))
        how_to_go_on = HowToGoOn(latest, self.beginning.resumed, self.options)
        held = run_folders.held(self.run.folder) if self.run else nullcontext()
        with held, self.stop, _how_to_go_on_said(how_to_go_on), refusals_explained(MEMORY_REMEDY):
            self._fit()
        if self.run and self.report:
            self._tell_how_it_ended(how_to_go_on)

    def _fit(self) -> None:
        options, begun = self.options, self.progress.epoch
        try:
            fit(
                self.model,
                self.beginning.split,
                options.batch_size,
                options.random_seed,
                options.num_epochs,
                self._callbacks(),
                self.progress,
            )
            if self.progress.epoch > begun:
                self._save_rolling()  # where the last epoch was none to save after
        except Diverged:
            if self.run:
                self.run.discard_unsound()
            raise

    def _save_rolling(self) -> None:
        """Save a checkpoint to resume from; all workers call it."""
        state = resuming.gather_state(self.model, self.progress)
        if self.run:
            self.run.save_rolling(state)
        wait_for_all(self.model.distribute_strategy)

    def _callbacks(self) -> list[keras.callbacks.Callback]:
        """What happens between two steps and between two epochs."""
        options, strategy = self.options, self.model.distribute_strategy
        agree = {"agree": partial(largest, strategy)} if self.worker.number > 1 else {}
        callbacks = [
            SaveBetweenSteps(self._save_rolling, options.checkpoint_every_minutes, self.stop, **agree),
            keras.callbacks.LearningRateScheduler(_learning_rate_schedule(options)),
        ]
        if self.run:
            # The curves come first, so that they have the step after which the training stops.
            callbacks = [self.run.curves, *callbacks, *self._callbacks_of_the_chief(self.run)]
        if options.early_stopping_patience:
            callbacks.append(EarlyStopping(options.monitor, options.early_stopping_patience, self.progress))
        return callbacks

    def _callbacks_of_the_chief(self, run: Run) -> list[keras.callbacks.Callback]:
        """What is printed and written."""
        options, lines = self.options, StepLines(self.options.verbose)
        best = options.monitor if options.checkpoint_policy == "Best" else None
        return [
            PrintStatistics(options.num_epochs, lines),
            *([TimeLeft(options.num_epochs, lines)] if self.report else []),
            SaveCheckpoints(run.save_and_generate, run.save_rolling, options.checkpoint_every, best, self.progress),
            Remarks(self.progress),
        ]

    # --- What is told ---

    def _tell_where_it_goes_on(self) -> None:
        resumed, initial = self.beginning.resumed, self.beginning.initial
        if resumed:
            rate = _learning_rate_schedule(self.options)(self.progress.epoch, None)
            steps = int(self.model.optimizer.iterations.numpy())
            resuming.announce(resumed, self.options, self.progress, steps, rate)
        if initial:
            encoders = [decoder.sha256 for decoder in self.beginning.chain]
            resuming.announce_initial(initial, self.beginning.corpus.sample_rate, encoders)

    def _tell_what_is_trained(self) -> None:
        options, corpus, folder = self.options, self.beginning.corpus, self.run.folder
        for sentence in resuming.that_others_run(options, folder):
            print(sentence)
        corpus.write_report(folder)
        if self.report:
            replicas = self.model.distribute_strategy.num_replicas_in_sync
            print(overview(options, self.beginning, self.progress, folder, replicas), flush=True)
            if len(options.data_dir) > 1:
                print(*describe_mix(corpus.folders, self.beginning.split.training), sep="\n")

    def _tell_how_it_ended(self, how_to_go_on: HowToGoOn) -> None:
        options, progress = self.options, self.progress
        print(why_ended(options, progress, progress.epoch < options.num_epochs, how_to_go_on))
        best, value = best_checkpoint(options.monitor, progress, self.run.folder, self.beginning.resumed)
        print(how_to_generate(options.monitor, value, audio_like(options, self.beginning, best, "best")), flush=True)


@contextmanager
def _how_to_go_on_said(how_to_go_on: HowToGoOn) -> Iterator[None]:
    """Whatever ends training too early, say how to go on."""
    try:
        yield
    except (RunError, InputError, OSError) as error:
        raise RunError(f"{in_words(error)}. {how_to_go_on}") from error
    except KeyboardInterrupt:
        print_unless_reader_is_gone(f"\n{how_to_go_on}")
        raise


def _learning_rate_schedule(options: TrainingOptions):
    """After N epochs the rate falls by a factor of exp(-0.1) with each epoch; a function of the epoch from 0."""

    def rate(epoch, _):
        after = options.reduce_learning_rate_after
        decays = max(0, epoch + 1 - after) if after else 0
        return options.learning_rate * math.exp(-0.1 * decays)

    return rate
