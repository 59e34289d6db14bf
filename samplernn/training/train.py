"""Training, from a corpus of WAV files to checkpoints: what train.py and the tuners call."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from samplernn.audio.wav import make_writable_folder
from samplernn.checkpoints import run_folders
from samplernn.checkpoints import store as checkpoints
from samplernn.corpus.split import Split, describe_mix
from samplernn.corpus.unigram import unigram_entropy
from samplernn.generation.generator import Generator, generate_files
from samplernn.models.optimizer import make_optimizer
from samplernn.models.samplernn.config import ModelConfig
from samplernn.models.samplernn.model import SampleRNN
from samplernn.options.options import GenerationOptions, TrainingOptions, better
from samplernn.system.device import refusals_explained, use_xla, versions
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
from samplernn.training.beginning import find_beginning, find_recordings, prepare_clips
from samplernn.training.callbacks import (
    EarlyStopping,
    PrintStatistics,
    Remarks,
    SaveBetweenSteps,
    SaveCheckpoints,
    TimeLeft,
)
from samplernn.training.loop import Diverged, Logs, Progress, fit
from samplernn.training.overview import best_checkpoint, how_to_generate, overview, why_ended
from samplernn.training.resuming import HowToGoOn, Initial, Resumed
from samplernn.training.tensorboard import Curves

MEMORY_REMEDY = (
    "lower --batch_size, or seq_len or dim in the config; on a GPU --precision mixed_bfloat16 needs less, too"
)

AfterCheckpoint = Callable[[Path, list[Logs]], None]

log = logging.getLogger(__name__)


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
        _train(options, worker, strategy, after_checkpoint, report)
        wait_for_all(strategy)  # a worker's end would stop the others; the chief may still write


def _train(
    options: TrainingOptions,
    worker: Worker,
    strategy: tf.distribute.Strategy,
    after_checkpoint: AfterCheckpoint | None,
    report: bool,
) -> None:
    _check_and_tell_devices(options, worker, strategy)
    resumed, initial, config = find_beginning(options)
    if resumed and worker.is_chief:
        resuming.announce_choice(resumed)
    origin = resumed or initial
    corpus, split = find_recordings(options, config, resumed)
    if worker.number > 1:
        check_agreement(strategy, _facts(options, config, split, origin))

    model = _build_model(options, config, strategy, origin)
    progress = resuming.restore_progress(resumed, options, model, split)
    if progress.epoch >= options.num_epochs:
        print(f"Nothing to do: epoch {progress.epoch} is done; --num_epochs, the total, is {options.num_epochs}.")
        return
    if resumed and worker.is_chief:
        rate = _learning_rate_schedule(options)(progress.epoch, None)
        resuming.announce(resumed, options, progress, int(model.optimizer.iterations.numpy()), rate)
    if initial and worker.is_chief:
        resuming.announce_initial(initial, corpus.sample_rate)

    stop, run = StopRequest(), None
    if worker.is_chief:
        run = _Run(options, model, corpus.sample_rate, split, progress, stop, after_checkpoint)
        for sentence in resuming.that_others_run(options, run.folder):
            print(sentence)
        latest = partial(run_folders.latest_in, run.folder)
        corpus.write_report(run.folder)
        if report:
            replicas = strategy.num_replicas_in_sync
            print(overview(options, config, corpus, split, progress, run.folder, replicas), flush=True)
            if len(options.data_dir) > 1:
                print(*describe_mix(corpus.folders, split.training), sep="\n")
    else:
        latest = resuming.latest_from_now_on(Path(options.logdir_root, options.id))

    def save_rolling() -> None:
        state = resuming.gather_state(model, progress)
        if run:
            run.save_rolling(state)
        wait_for_all(strategy)

    callbacks = _callbacks(options, worker, model, progress, stop, save_rolling, run, report)
    how_to_go_on = HowToGoOn(latest, resumed, options)
    held = run_folders.held(run.folder) if run else nullcontext()
    with held, stop, _how_to_go_on_said(how_to_go_on), refusals_explained(MEMORY_REMEDY):
        begun = progress.epoch
        try:
            fit(model, split, options.batch_size, options.random_seed, options.num_epochs, callbacks, progress)
            if progress.epoch > begun:
                save_rolling()  # where the last epoch was none to save after
        except Diverged:
            if run:
                run.discard_unsound()
            raise
    if run and report:
        print(why_ended(options, progress, progress.epoch < options.num_epochs, how_to_go_on))
        best, value = best_checkpoint(options.monitor, progress, run.folder, resumed)
        print(how_to_generate(options.monitor, value, run.audio_of(best, "best.wav")), flush=True)


def _check_and_tell_devices(options: TrainingOptions, worker: Worker, strategy: tf.distribute.Strategy) -> None:
    replicas = strategy.num_replicas_in_sync
    check_batch_size(options.batch_size, replicas)
    if replicas > 1 and options.precision == "mixed_float16":
        raise InputError("--precision mixed_float16 trains on one device only; on several use mixed_bfloat16")
    if not worker.is_chief:
        print(f"{worker}: {replicas // worker.number} of {replicas} devices; the first prints and saves.", flush=True)
        logging.getLogger("samplernn").setLevel(logging.ERROR)
    elif replicas > 1:
        print(f"{worker}: {replicas // worker.number} of {replicas} devices.", flush=True)


def _build_model(
    options: TrainingOptions,
    config: ModelConfig,
    strategy: tf.distribute.Strategy,
    origin: Resumed | Initial | None,
) -> SampleRNN:
    keras.utils.set_random_seed(options.random_seed)
    with strategy.scope():
        model = SampleRNN(config, options.precision)
        optimizer = make_optimizer(options.optimizer, options.learning_rate, options.momentum, model)
        # Keras's callbacks find the optimizer in the model; so does our loop, which asks for XLA there too.
        model.compile(optimizer=optimizer, jit_compile=use_xla(options.jit_compile, cudnn=True))
        if origin:
            checkpoints.restore(origin.checkpoint, model, optimizer if isinstance(origin, Resumed) else None)
    return model


def _callbacks(
    options: TrainingOptions,
    worker: Worker,
    model: SampleRNN,
    progress: Progress,
    stop: StopRequest,
    save_rolling: Callable[[], None],
    run: _Run | None,
    report: bool,
) -> list[keras.callbacks.Callback]:
    """What happens between two steps and between two epochs; `run` is the chief's."""
    agree = {"agree": partial(largest, model.distribute_strategy)} if worker.number > 1 else {}
    lines = StepLines(options.verbose)
    callbacks = [
        *([run.curves] if run else []),  # first, so that they have the step after which the training stops
        SaveBetweenSteps(save_rolling, options.checkpoint_every_minutes, stop, **agree),
        keras.callbacks.LearningRateScheduler(_learning_rate_schedule(options)),
    ]
    if run:
        best = options.monitor if options.checkpoint_policy == "Best" else None
        callbacks += [
            PrintStatistics(options.num_epochs, lines),
            *([TimeLeft(options.num_epochs, lines)] if report else []),
            SaveCheckpoints(run.save_and_generate, run.save_rolling, options.checkpoint_every, best, progress),
            Remarks(progress),
        ]
    if options.early_stopping_patience:
        callbacks.append(EarlyStopping(options.monitor, options.early_stopping_patience, progress))
    return callbacks


def _facts(
    options: TrainingOptions, config: ModelConfig, split: Split, origin: Resumed | Initial | None
) -> dict[str, Any]:
    """What has to be the same for all workers; where their folders are, and what only the chief does, may differ."""
    own = ("data_dir", "logdir_root", "output_dir", "config_file", "resume_from", "init_from", "seed", "verbose",
           "jit_compile")  # fmt: skip
    flags = {f"--{name}": value for name, value in asdict(options).items() if name not in own}
    return flags | {
        "the config": config,
        "the files in --data_dir": [(file.name, file.frames) for file in split.training + split.validation],
        "the weights of --data_dir": split.mix,
        "the checkpoint to begin from": origin and (origin.checkpoint.name, origin.settings),
    }


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


class _Run:
    """A run's folder, and what is written at a checkpoint: the checkpoint and audio generated from it."""

    def __init__(
        self,
        options: TrainingOptions,
        model: SampleRNN,
        corpus_rate: int,
        split: Split,
        progress: Progress,
        stop: StopRequest,
        after_checkpoint: AfterCheckpoint | None,
    ):
        self._after_checkpoint = after_checkpoint
        self._progress = progress
        self._stop = stop
        self._options = options
        self._model = model
        self._corpus_rate = corpus_rate
        self._split = split
        if options.generate:
            self._output_rate, self._context = prepare_clips(options, model.config, corpus_rate)
            self._generator = Generator(model, options.jit_compile)
            make_writable_folder("--output_dir", Path(options.output_dir, options.id))
        entropy = unigram_entropy(split.training, model.config)
        parent = Path(options.logdir_root, options.id)
        make_writable_folder("--logdir_root", parent)
        run_folders.remove_abandoned(parent)
        self.folder = run_folders.create(parent)
        settings = {"config": model.config.to_dict(), "arguments": asdict(options)}
        self.curves = Curves(self.folder, progress, entropy, settings)

    def save_and_generate(self) -> None:
        """Save a checkpoint to keep, at an epoch's end, and what follows."""
        epoch = self._progress.epoch
        checkpoint = run_folders.prefix(self.folder, epoch)
        self._save(checkpoint)
        if self._options.max_checkpoints:
            monitor = self._options.monitor
            kept, values = run_folders.kept_in(self.folder), self._progress.values(monitor)
            best = run_folders.best_of(kept, values, better(monitor))
            run_folders.rotate(self.folder, self._options.max_checkpoints, best)
        if self._options.generate:
            with self._stop.at_once():
                print(f"Generating audio for epoch {epoch}...", flush=True)
                clips = self._clips(checkpoint, epoch)
                wavs = generate_files(self._generator, checkpoint, self._context, clips)
                self.curves.add_clips(wavs, epoch)
        if self._after_checkpoint:
            self._after_checkpoint(checkpoint, self._progress.history)

    def save_rolling(self, state: Sequence[np.ndarray] = ()) -> None:
        """Save a checkpoint to resume from, with the network's state, unless there is one of this place."""
        place = self._progress.epoch, self._progress.step
        latest = run_folders.latest_in(self.folder)
        if not latest or run_folders.place_of(latest) != place:
            self._save(run_folders.rolling_prefix(self.folder, *place), state)

    def discard_unsound(self) -> None:
        """Where the step that has diverged began from a rolling checkpoint, the weights in that are what diverged."""
        run_folders.discard_rolling(self.folder, self._progress.epoch, self._progress.step - 1)

    def _save(self, checkpoint: Path, state: Sequence[np.ndarray] = ()) -> None:
        checkpoints.save(checkpoint, self._model, self._model.optimizer, self._settings(), state)

    def _clips(self, checkpoint: Path, epoch: int) -> GenerationOptions:
        """How generate.py is to be called for the same audio."""
        return replace(
            self.audio_of(checkpoint, self._options.id),
            sample_rate=self._output_rate,
            random_seed=(self._options.random_seed + epoch) % 2**31,  # the flag takes no larger one
        )

    def audio_of(self, checkpoint: Path, name: str) -> GenerationOptions:
        """How generate.py is to be called for audio like that of this run, in a file of the given name."""
        options = self._options
        return GenerationOptions(
            output_path=str(Path(options.output_dir, options.id, name)),
            checkpoint_path=str(checkpoint),
            dur=options.output_file_dur,
            num_seqs=options.max_generate_per_epoch,
            sample_rate=options.sample_rate,
            temperature=options.temperature,
            seed=options.seed,
            seed_offset=options.seed_offset,
            precision=options.precision,
            jit_compile=options.jit_compile,
        )

    def _settings(self) -> dict[str, Any]:
        return {
            **resuming.progress_as_settings(self._progress),
            "config": self._model.config.to_dict(),
            "arguments": asdict(self._options),
            "sample_rate": self._corpus_rate,
            "versions": versions(),
            "split": self._split.names(),
            "training_frames": self._split.training_frames,
            "mix": self._split.mix,
        }


def _learning_rate_schedule(options: TrainingOptions):
    """After N epochs the rate falls by a factor of exp(-0.1) with each epoch; a function of the epoch from 0."""

    def rate(epoch, _):
        after = options.reduce_learning_rate_after
        decays = max(0, epoch + 1 - after) if after else 0
        return options.learning_rate * math.exp(-0.1 * decays)

    return rate
