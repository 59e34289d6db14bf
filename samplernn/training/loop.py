"""The training loop: where it stands, an epoch, the validation, and whether the numbers are sound."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from samplernn.audio.wav import Recording
from samplernn.checkpoints.settings import values_by_epoch
from samplernn.corpus.loader import Loader
from samplernn.corpus.split import Split
from samplernn.models.model import Model
from samplernn.models.optimizer import scaling
from samplernn.system.distribution import hand_out, rows_here
from samplernn.system.errors import RunError
from samplernn.training.steps import initial_state, train_step, validation_step

OF_KERAS = "learning_rate"  # in an epoch's logs, which its scheduler adds
EXPLODED = 10  # times the loss of a model that knows nothing

Logs = dict[str, float]  # loss, accuracy, val_loss, val_accuracy of an epoch, and what else the model measures
Sums = dict[str, np.ndarray]  # over the targets so far, by the names of the model's Outcome


class Diverged(RunError):
    """The numbers have gone wrong: the weights are of no more use."""


def of_parts(logs: Logs) -> tuple[dict[str, float], dict[str, float]]:
    """What an epoch's logs measure of training, and of validation, by the names that it has in training."""
    training = {name: value for name, value in logs.items() if not name.startswith("val_") and name != OF_KERAS}
    validation = {name.removeprefix("val_"): value for name, value in logs.items() if name.startswith("val_")}
    return training, validation


@dataclass
class Progress:
    """Where a training stands between two steps; `fit` begins there and keeps it up to date."""

    epoch: int = 0  # epochs done
    step: int = 0  # steps done of the next one
    state: Any = None  # of each replica's rows; None before an epoch's first step
    sums: Sums = field(default_factory=dict)  # of the epoch so far
    history: list[Logs] = field(default_factory=list)  # of the epochs done

    def end_step(self, sums: Sums, state: Any) -> None:
        """Stand after one more step, with its sums and the state that it returned."""
        self.step, self.sums, self.state = self.step + 1, added(self.sums, sums), state

    def values(self, monitor: str) -> dict[int, float]:
        """A monitored value after each number of epochs for which it is known."""
        return values_by_epoch(self.epoch, self.history, monitor)

    def end_epoch(self, logs: Logs) -> None:
        """Stand before the next epoch's first step."""
        self.history.append(logs)
        self.epoch, self.step, self.state, self.sums = self.epoch + 1, 0, None, {}


def fit(
    model: Model,
    split: Split,
    batch_size: int,
    random_seed: int,
    num_epochs: int,
    callbacks: Sequence[keras.callbacks.Callback],
    progress: Progress | None = None,
) -> None:
    """The training loop. State runs on from window to window inside a recording, row by row.

    Args:
        model: compiled with an optimizer of `make_optimizer`; its `jit_compile` says whether XLA compiles the steps,
            and the strategy in whose scope it was made on which devices they run.
        split: the recordings.
        batch_size: rows, those of all devices together.
        random_seed: of the order of recordings, together with the epoch.
        num_epochs: the epoch to end with.
        callbacks: get what the model measures over the epoch so far, and the gradient_norm before clipping, at each
            step, and that of the validation too, after val_, at each epoch's end; they stop the loop by
            `model.stop_training`. At each step of the validation they get `on_test_batch_end`.
        progress: where to begin; it is kept up to date for whoever looks at it between two steps.

    Raises:
        Diverged: a loss or a gradient is not a number, or a loss has exploded.
    """
    strategy = model.distribute_strategy
    loader = Loader(model.config, batch_size, rows_here(strategy, batch_size))
    progress = progress or Progress()
    callbacks = keras.callbacks.CallbackList(list(callbacks), model=model)
    step_of_training, step_of_validation = train_step(model), validation_step(model)
    model.stop_training = False
    callbacks.on_train_begin()
    try:
        while progress.epoch < num_epochs and not model.stop_training:
            epoch = progress.epoch
            steps, windows = loader.training_epoch(split.training, random_seed, epoch, progress.step)
            callbacks.set_params({"epochs": num_epochs, "steps": steps.stop})
            callbacks.on_epoch_begin(epoch)
            if progress.state is None:
                progress.state = initial_state(model, batch_size)
            for step, window in zip(steps, windows):
                callbacks.on_train_batch_begin(step)
                window, of_batch = hand_out(strategy, window), {}
                for _ in range(model.config.passes_per_batch):
                    sums, norm, state = step_of_training(*window, progress.state)
                    of_batch = added(of_batch, as_arrays(sums))
                sums = of_batch
                progress.end_step(sums, state)
                _check_numbers(model, sums, float(norm), progress)
                callbacks.on_train_batch_end(step, model.measures(progress.sums) | {"gradient_norm": float(norm)})

            logs = model.measures(progress.sums)
            with model.averaged():
                held_out = evaluate(model, step_of_validation, loader, split.validation, callbacks.on_test_batch_end)
            logs |= {f"val_{name}": value for name, value in held_out.items()}
            progress.end_epoch(logs)
            callbacks.on_epoch_end(epoch, logs)
    finally:
        callbacks.on_train_end()


def as_arrays(sums: dict[str, tf.Tensor]) -> Sums:
    """The sums of a step as the host adds them up, in double precision."""
    return {name: value.numpy().astype(np.float64) for name, value in sums.items()}


def added(sums: Sums, more: Sums) -> Sums:
    """The sums of both; before the first step there are none."""
    return {name: sums.get(name, 0.0) + value for name, value in more.items()}


def _check_numbers(model: Model, sums: Sums, norm: float, progress: Progress) -> None:
    loss = model.measures(sums)["loss"]
    # Where the loss is scaled, steps whose gradients overflow are left out: that is part of the method.
    sound = math.isfinite(norm) or bool(scaling(model.optimizer))
    if not (sound and _is_sound(loss, model)):
        rate = float(model.optimizer.learning_rate.numpy())
        raise Diverged(
            f"The loss is {loss:.4g} (epoch {progress.epoch + 1}, step {progress.step}; gradient norm {norm:.4g},"
            f" learning rate {rate:.4g}): training diverges; try a lower --learning_rate"
        )


def _is_sound(loss: float, model: Model) -> bool:
    return loss < EXPLODED * model.config.uniform_loss  # nan is not less


def evaluate(
    model: Model,
    step: Callable,
    loader: Loader,
    recordings: list[Recording],
    after_step: Callable[[int], None] = lambda _: None,
) -> Logs:
    """What the model measures over recordings that are held out; the arguments are those of `sums_over`.

    Raises:
        Diverged: the loss is NaN, infinite, or has exploded.
    """
    logs = model.measures(sums_over(model, step, loader, recordings, after_step))
    if not _is_sound(logs["loss"], model):
        raise Diverged(f"The validation loss is {logs['loss']:.4g}: training diverges; try a lower --learning_rate")
    return logs


def sums_over(
    model: Model,
    step: Callable,
    loader: Loader,
    recordings: list[Recording],
    after_step: Callable[[int], None] = lambda _: None,
) -> Sums:
    """The model's sums over all windows of recordings, each from the initial state.

    Args:
        model: the model.
        step: its `validation_step`.
        loader: of the model's windows.
        recordings: any number.
        after_step: called after each step with its number, from 0.
    """
    strategy = model.distribute_strategy
    state, sums = initial_state(model, loader.batch_size), {}
    for number, window in zip(*loader.validation_epoch(recordings)):
        of_window, state = step(*hand_out(strategy, window), state)
        sums = added(sums, as_arrays(of_window))
        after_step(number)
    return sums
