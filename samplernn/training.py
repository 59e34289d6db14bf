"""Training, from a corpus of WAV files to checkpoints: what train.py and the tuners call."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from samplernn import checkpoint as checkpoints
from samplernn.audio import Recording, make_writable_folder, scan_corpus
from samplernn.callbacks import EarlyStopping, PrintStatistics, SaveCheckpoints, TensorBoard
from samplernn.config import DEFAULT_CONFIG_FILE, GenerationOptions, InputError, ModelConfig, RunError, TrainingOptions
from samplernn.dataset import NO_TARGET, Split, describe, split_corpus, training_epoch, validation_epoch
from samplernn.device import refusals_explained, use_xla, versions
from samplernn.distribution import (
    Worker,
    check_agreement,
    check_batch_size,
    choose_strategy,
    hand_out,
    rows_here,
    sum_over_replicas,
    this_worker,
    wait_for_all,
)
from samplernn.generation import Generator, choose_sample_rate, count_samples, generate_files, seed_context
from samplernn.model import SampleRNN
from samplernn.optimizer import apply_gradients, loss_scale, make_optimizer

CLIP_NORM = 5.0
TENSORBOARD_STEPS = 50  # between two points of the training curves

AfterCheckpoint = Callable[[Path, list[dict[str, float]]], None]

log = logging.getLogger(__name__)


def train(options: TrainingOptions, after_checkpoint: AfterCheckpoint | None = None) -> None:
    """What train.py does: train a model on a corpus, from scratch or from where a run stopped.

    On several devices the batch is split between them; on several machines, named by TF_CONFIG, each calls this, and
    what is printed and written comes from the first, the chief.

    Args:
        options: the flags.
        after_checkpoint: called with the path of each new checkpoint and the logs of all epochs until then.

    Raises:
        InputError: an option or a file can't be used; the message names it and the remedy.
        RunError: the disk refuses, or the loss is no longer a number.
        KeyboardInterrupt: after saying how to resume.
    """
    worker = this_worker()
    with refusals_explained():
        strategy = choose_strategy(worker, options.num_gpus)
        _train(options, worker, strategy, after_checkpoint)
        wait_for_all(strategy)  # a worker's end would stop the others; the chief may still write


def _train(
    options: TrainingOptions,
    worker: Worker,
    strategy: tf.distribute.Strategy,
    after_checkpoint: AfterCheckpoint | None,
) -> None:
    replicas = strategy.num_replicas_in_sync
    check_batch_size(options.batch_size, replicas)
    if replicas > 1 and options.precision == "mixed_float16":
        raise InputError("--precision mixed_float16 trains on one device only; on several use mixed_bfloat16")
    if not worker.is_chief:
        print(f"{worker}: {replicas // worker.number} of {replicas} devices; the first prints and saves.", flush=True)
        logging.getLogger("samplernn").setLevel(logging.ERROR)
    elif replicas > 1:
        print(f"{worker}: {replicas // worker.number} of {replicas} devices.", flush=True)

    resume_from = _checkpoint_to_resume(options)
    config = _choose_config(options, resume_from)
    earlier = (resume_from and checkpoints.read_settings(resume_from)) or {}
    initial_epoch = checkpoints.epoch_of(resume_from) if resume_from else 0

    corpus = scan_corpus(options.data_dir)
    describe(corpus)
    split = split_corpus(corpus, config.seq_len, options.batch_size, options.val_frac, earlier.get("split"))

    if worker.number > 1:
        check_agreement(strategy, _facts(options, config, split, earlier, initial_epoch))

    keras.utils.set_random_seed(options.random_seed)
    with strategy.scope():
        model = SampleRNN(config, options.precision)
        optimizer = make_optimizer(options.optimizer, options.learning_rate, options.momentum, model)
        # Keras's callbacks find the optimizer in the model; so does our loop, which asks for XLA there too.
        model.compile(optimizer=optimizer, jit_compile=use_xla(options.jit_compile, cudnn=True))
        if resume_from:
            checkpoints.restore(resume_from, model, optimizer)
            if worker.is_chief:
                print(f"Resuming from {resume_from}, with epoch {initial_epoch + 1} of {options.num_epochs}.")
    if initial_epoch >= options.num_epochs:
        print(f"Nothing to do: {initial_epoch} epochs are done; --num_epochs, the total, is {options.num_epochs}.")
        return

    history = earlier.get("history", [])
    callbacks = [keras.callbacks.LearningRateScheduler(_learning_rate_schedule(options))]
    resumable = _Resumable(Path(options.logdir_root, options.id), resume_from)
    if worker.is_chief:
        run = _Run(options, model, corpus[0].sample_rate, split, after_checkpoint)
        parts = f"{len(split.training)} files to train on, {len(split.validation)} to validate"
        print(f"Corpus: {parts}. Run: {run.folder}")
        callbacks += [
            PrintStatistics(options.num_epochs, options.verbose),
            TensorBoard(str(run.folder), update_freq=TENSORBOARD_STEPS, write_graph=False),
            SaveCheckpoints(
                run.save_and_generate,
                options.checkpoint_every,
                options.monitor if options.checkpoint_policy == "Best" else None,
                history,
            ),
        ]
    if options.early_stopping_patience:
        callbacks.append(EarlyStopping(options.monitor, options.early_stopping_patience, history))
    with _how_to_resume_said(resumable), refusals_explained():
        fit(model, split, options.batch_size, options.random_seed, range(initial_epoch, options.num_epochs), callbacks)
    if model.stop_training:
        patience = f"{options.monitor} has not improved for {options.early_stopping_patience} epochs"
        print(f"Stopped early: {patience}. To go on all the same, raise --early_stopping_patience.")


def _facts(options: TrainingOptions, config: ModelConfig, split: Split, earlier: dict, epoch: int) -> dict[str, Any]:
    """What has to be the same for all workers; where their folders are, and what only the chief does, may differ."""
    own = ("data_dir", "logdir_root", "output_dir", "config_file", "resume_from", "seed", "verbose", "jit_compile")
    flags = {f"--{name}": value for name, value in asdict(options).items() if name not in own}
    return flags | {
        "the config": config,
        "the files in --data_dir": [(file.name, file.frames) for file in split.training + split.validation],
        "the checkpoint to resume from": (epoch, earlier),
    }


@contextmanager
def _how_to_resume_said(resumable: _Resumable) -> Iterator[None]:
    """Whatever ends training too early, say how to go on."""
    try:
        yield
    except (RunError, InputError, OSError) as error:
        reason = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) else str(error)
        raise RunError(f"{reason}. {resumable}") from error
    except KeyboardInterrupt:
        print(f"\n{resumable}", flush=True)
        raise


def fit(
    model: SampleRNN,
    split: Split,
    batch_size: int,
    random_seed: int,
    epochs: range,
    callbacks: Sequence[keras.callbacks.Callback],
) -> None:
    """The training loop. State runs on from window to window inside a recording, row by row.

    Args:
        model: compiled with an optimizer of `make_optimizer`; its `jit_compile` says whether XLA compiles the steps,
            and the strategy in whose scope it was made on which devices they run.
        split: the recordings.
        batch_size: rows, those of all devices together.
        random_seed: of the order of recordings, together with the epoch.
        epochs: from 0; a run that resumes begins with a later one.
        callbacks: get loss and accuracy, means over the epoch so far, at each step, val_loss and val_accuracy with
            them at each epoch's end, and stop the loop by `model.stop_training`.

    Raises:
        RunError: a loss is NaN or infinite.
    """
    strategy, here = model.distribute_strategy, rows_here(model.distribute_strategy, batch_size)
    callbacks = keras.callbacks.CallbackList(list(callbacks), model=model)
    step_of_training, step_of_validation = train_step(model), validation_step(model)
    model.stop_training = False
    callbacks.on_train_begin()
    try:
        for epoch in epochs:
            if model.stop_training:
                break
            windows, steps = training_epoch(split.training, model.config, batch_size, random_seed, epoch, here)
            callbacks.set_params({"epochs": epochs.stop, "steps": steps})
            callbacks.on_epoch_begin(epoch)
            state, mean = initial_state(model, batch_size), _Mean()
            for step, window in enumerate(windows):
                callbacks.on_train_batch_begin(step)
                scores, state = step_of_training(*hand_out(strategy, window), state)
                callbacks.on_train_batch_end(step, mean.add(scores, f"epoch {epoch + 1}, step {step + 1}"))
            logs = mean.logs()

            scores = evaluate(model, step_of_validation, split.validation, batch_size, f"epoch {epoch + 1}, validation")
            logs |= {f"val_{name}": value for name, value in scores.items()}
            callbacks.on_epoch_end(epoch, logs)
    finally:
        callbacks.on_train_end()


def evaluate(
    model: SampleRNN, step: Callable, recordings: list[Recording], batch_size: int, where: str
) -> dict[str, float]:
    """The mean loss and accuracy over recordings, each from a state of zero.

    Args:
        model: the model.
        step: its `validation_step`.
        recordings: any number.
        batch_size: rows.
        where: what to call this in an error.

    Raises:
        RunError: a loss is NaN or infinite.
    """
    strategy = model.distribute_strategy
    state, mean = initial_state(model, batch_size), _Mean()
    for window in validation_epoch(recordings, model.config, batch_size, rows_here(strategy, batch_size)):
        scores, state = step(*hand_out(strategy, window), state)
        mean.add(scores, where)
    return mean.logs()


def initial_state(model: SampleRNN, batch_size: int):
    """The state of each replica's rows before a recording's first sample."""
    strategy = model.distribute_strategy
    rows = batch_size // strategy.num_replicas_in_sync
    return strategy.experimental_distribute_values_from_function(lambda _: model.initial_state(rows))


def score(logits: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
    """The sum of the samples' NLL in nats, how many are predicted by the likeliest level, and how many there are.

    Args:
        logits: [B, S, Q].
        targets: int [B, S]; those that are NO_TARGET do not count.
    """
    counts = targets != NO_TARGET
    nll = tf.nn.sparse_softmax_cross_entropy_with_logits(tf.maximum(targets, 0), logits)
    correct = tf.argmax(logits, axis=-1, output_type=targets.dtype) == targets
    return tf.stack(
        [
            tf.reduce_sum(tf.where(counts, nll, 0.0)),
            tf.reduce_sum(tf.cast(correct & counts, tf.float32)),
            tf.reduce_sum(tf.cast(counts, tf.float32)),
        ]
    )


def train_step(model: SampleRNN):
    """The compiled function that learns from a batch of windows.

    It takes x [B, lookback + S], y [B, S], reset [B] and the state, of each replica the rows that are its own, and
    returns the `score` of the whole batch and the next state.
    """

    def step(x, y, reset, state, compiled):
        state = _reset_rows(state, reset)
        gradients, scores, state = model.clipped_gradients(
            x, state, lambda logits: score(logits, y), CLIP_NORM, loss_scale(model.optimizer), compiled
        )
        apply_gradients(model.optimizer, gradients, model.trainable_variables, *model.looked_up(x))
        return scores, state

    return _on_replicas(model, step)


def validation_step(model: SampleRNN):
    """As `train_step`, but nothing is learnt and dropout is off."""

    def step(x, y, reset, state, compiled):
        @compiled
        def predict(state):
            logits, state = model(x, state, training=False)
            return score(logits, y), state

        scores, state = predict(_reset_rows(state, reset))
        return sum_over_replicas(scores), state

    return _on_replicas(model, step)


def _on_replicas(model: SampleRNN, step):
    """The compiled function that runs a step on each replica; its scores are the same on all.

    XLA compiles a step whole where there is one replica. It cannot compile what replicas exchange: where there are
    several, the step is given what compiles the part that it hands to it.
    """
    strategy = model.distribute_strategy
    function = partial(tf.function, autograph=False)
    if strategy.num_replicas_in_sync == 1:
        whole, compiled = partial(function, jit_compile=model.jit_compile), lambda part: part
    else:
        whole, compiled = function, partial(function, jit_compile=model.jit_compile)

    @whole
    def on_replicas(x, y, reset, state):
        scores, state = strategy.run(step, (x, y, reset, state, compiled))
        return strategy.experimental_local_results(scores)[0], state

    return on_replicas


def _reset_rows(state, reset):
    """Zero the state of the rows, bool [B], that start a recording; state is [D, B]."""
    return tf.nest.map_structure(lambda part: part * tf.cast(~reset, part.dtype), state)


class _Mean:
    """Running means of loss and accuracy."""

    def __init__(self):
        self._sums = np.zeros(3)  # as `score` has them

    def add(self, scores, where: str) -> dict[str, float]:
        self._sums += scores.numpy()
        if not np.isfinite(self._sums[0]):
            raise RunError(f"The loss is {self._sums[0]} ({where}): try a lower --learning_rate")
        return self.logs()

    def logs(self) -> dict[str, float]:
        nll, correct, number = self._sums.tolist()
        return {"loss": nll / number, "accuracy": correct / number}


class _Run:
    """A run's folder, and what is written at a checkpoint: the checkpoint and audio generated from it."""

    def __init__(
        self,
        options: TrainingOptions,
        model: SampleRNN,
        corpus_rate: int,
        split: Split,
        after_checkpoint: AfterCheckpoint | None,
    ):
        self._after_checkpoint = after_checkpoint
        self._options = options
        self._model = model
        self._corpus_rate = corpus_rate
        self._split = split
        self._output_rate = choose_sample_rate(options.sample_rate, corpus_rate, "the corpus is at")
        self._output_path = Path(options.output_dir, options.id, options.id)
        if options.generate:
            count_samples(options.output_file_dur, self._output_rate, "--output_file_dur")
            self._context = seed_context(model, options.max_generate_per_epoch, options.seed, options.seed_offset)
            self._generator = Generator(model, options.jit_compile)
            make_writable_folder("--output_dir", self._output_path.parent)
        parent = Path(options.logdir_root, options.id)
        make_writable_folder("--logdir_root", parent)
        self.folder = checkpoints.create_run_folder(parent)

    def save_and_generate(self, epoch: int, history: list[dict[str, float]]) -> None:
        options = self._options
        checkpoint = checkpoints.prefix(self.folder, epoch)
        checkpoints.save(checkpoint, self._model, self._model.optimizer, self._settings(epoch, history))
        if options.max_checkpoints:
            checkpoints.rotate(self.folder, options.max_checkpoints)
        if options.generate:
            print(f"Generating audio for epoch {epoch}...", flush=True)
            generate_files(self._generator, checkpoint, self._context, self._clips(checkpoint, epoch))
        if self._after_checkpoint:
            self._after_checkpoint(checkpoint, history)

    def _clips(self, checkpoint: Path, epoch: int) -> GenerationOptions:
        """How generate.py is to be called for the same audio."""
        options = self._options
        return GenerationOptions(
            output_path=str(self._output_path),
            checkpoint_path=str(checkpoint),
            dur=options.output_file_dur,
            num_seqs=options.max_generate_per_epoch,
            sample_rate=self._output_rate,
            temperature=options.temperature,
            seed=options.seed,
            seed_offset=options.seed_offset,
            random_seed=(options.random_seed + epoch) % 2**31,  # the flag takes no larger one
            precision=options.precision,
            jit_compile=options.jit_compile,
        )

    def _settings(self, epoch: int, history: list[dict[str, float]]) -> dict[str, Any]:
        return {
            "epoch": epoch,
            "history": history,
            "config": self._model.config.to_dict(),
            "arguments": asdict(self._options),
            "sample_rate": self._corpus_rate,
            "versions": versions(),
            "split": self._split.names(),
        }


def _checkpoint_to_resume(options: TrainingOptions) -> Path | None:
    if not options.resume:
        return None
    if options.resume_from:
        return checkpoints.resolve(options.resume_from)
    return checkpoints.latest(Path(options.logdir_root, options.id))


def _choose_config(options: TrainingOptions, resume_from: Path | None) -> ModelConfig:
    """The flag's config, else the resumed checkpoint's own, else the default file's, else the defaults."""
    if resume_from and (options.config_file or checkpoints.has_config(resume_from)):
        if not options.config_file:
            log.warning("No --config_file: the config is the one beside %s.", resume_from)
        return checkpoints.model_config(resume_from, options.config_file)
    config_file = options.config_file or DEFAULT_CONFIG_FILE
    if options.config_file is None and not Path(config_file).exists():
        log.warning("No %s here: the model has the documented default parameters.", config_file)
        return ModelConfig()
    return checkpoints.model_config(resume_from, config_file) if resume_from else ModelConfig.load(config_file)


def _learning_rate_schedule(options: TrainingOptions):
    """After N epochs the rate falls by a factor of exp(-0.1) with each epoch; a function of the epoch from 0."""

    def rate(epoch, _):
        after = options.reduce_learning_rate_after
        decays = max(0, epoch + 1 - after) if after else 0
        return options.learning_rate * math.exp(-0.1 * decays)

    return rate


class _Resumable:
    """Says how to go on, from this run's latest checkpoint or from the one that it resumed."""

    def __init__(self, runs: Path, resumed_from: Path | None):
        self._runs, self._resumed_from = runs, resumed_from
        self._earlier = checkpoints.latest(runs)

    def __str__(self) -> str:
        latest = checkpoints.latest(self._runs)
        if checkpoint := latest if latest != self._earlier else self._resumed_from:
            epoch = checkpoints.epoch_of(checkpoint)
            return f"To go on after epoch {epoch}, train again with --resume_from {checkpoint}"
        return "There is no checkpoint yet: training again starts from scratch"
