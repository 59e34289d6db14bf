"""The training loop: where it stands, an epoch, a step, and what the numbers say."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from samplernn.audio.wav import Recording
from samplernn.corpus.split import Split
from samplernn.corpus.windows import NO_TARGET, training_epoch, validation_epoch
from samplernn.models.optimizer import apply_gradients, loss_scale, scaling
from samplernn.models.samplernn.model import SampleRNN
from samplernn.system.distribution import hand_out, rows_here, sum_over_replicas
from samplernn.system.errors import RunError

CLIP_NORM = 5.0
EXPLODED = 10  # times the loss of a model that knows nothing

Logs = dict[str, float]  # loss, accuracy, val_loss and val_accuracy of an epoch


class Diverged(RunError):
    """The numbers have gone wrong: the weights are of no more use."""


@dataclass
class Progress:
    """Where a training stands between two steps; `fit` begins there and keeps it up to date."""

    epoch: int = 0  # epochs done
    step: int = 0  # steps done of the next one
    state: Any = None  # of each replica's rows; None before an epoch's first step
    sums: np.ndarray = field(default_factory=lambda: np.zeros(3))  # of the epoch so far, as `score` has them
    history: list[Logs] = field(default_factory=list)  # of the epochs done

    def end_step(self, scores: np.ndarray, state: Any) -> None:
        """Stand after one more step, with its scores and the state that it returned."""
        self.step, self.sums, self.state = self.step + 1, self.sums + scores, state

    def values(self, monitor: str) -> dict[int, float]:
        """A monitored value after each number of epochs for which it is known."""
        first = self.epoch - len(self.history) + 1
        return {epoch: logs[monitor] for epoch, logs in enumerate(self.history, first)}

    def end_epoch(self, logs: Logs) -> None:
        """Stand before the next epoch's first step."""
        self.history.append(logs)
        self.epoch, self.step, self.state, self.sums = self.epoch + 1, 0, None, np.zeros(3)


def fit(
    model: SampleRNN,
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
        callbacks: get loss and accuracy, means over the epoch so far, and the gradient_norm before clipping at each
            step, val_loss and val_accuracy with the first two at each epoch's end, and stop the loop by
            `model.stop_training`. At each step of the validation they get `on_test_batch_end`.
        progress: where to begin; it is kept up to date for whoever looks at it between two steps.

    Raises:
        Diverged: a loss or a gradient is not a number, or a loss has exploded.
    """
    strategy, here = model.distribute_strategy, rows_here(model.distribute_strategy, batch_size)
    progress = progress or Progress()
    callbacks = keras.callbacks.CallbackList(list(callbacks), model=model)
    step_of_training, step_of_validation = train_step(model), validation_step(model)
    model.stop_training = False
    callbacks.on_train_begin()
    try:
        while progress.epoch < num_epochs and not model.stop_training:
            epoch = progress.epoch
            windows, steps = training_epoch(
                split.training, model.config, batch_size, random_seed, epoch, here, progress.step
            )
            callbacks.set_params({"epochs": num_epochs, "steps": steps})
            callbacks.on_epoch_begin(epoch)
            if progress.state is None:
                progress.state = initial_state(model, batch_size)
            for step, window in enumerate(windows, progress.step):
                callbacks.on_train_batch_begin(step)
                scores, norm, state = step_of_training(*hand_out(strategy, window), progress.state)
                scores = scores.numpy()
                progress.end_step(scores, state)
                _check_numbers(model, scores, float(norm), progress)
                callbacks.on_train_batch_end(step, means(progress.sums) | {"gradient_norm": float(norm)})

            logs = means(progress.sums)
            scores = evaluate(model, step_of_validation, split.validation, batch_size, callbacks.on_test_batch_end)
            logs |= {f"val_{name}": value for name, value in scores.items()}
            progress.end_epoch(logs)
            callbacks.on_epoch_end(epoch, logs)
    finally:
        callbacks.on_train_end()


def _check_numbers(model: SampleRNN, scores: np.ndarray, norm: float, progress: Progress) -> None:
    loss = scores[0] / scores[-1]
    # Where the loss is scaled, steps whose gradients overflow are left out: that is part of the method.
    sound = math.isfinite(norm) or bool(scaling(model.optimizer))
    if not (sound and _is_sound(loss, model)):
        rate = float(model.optimizer.learning_rate.numpy())
        raise Diverged(
            f"The loss is {loss:.4g} (epoch {progress.epoch + 1}, step {progress.step}; gradient norm {norm:.4g},"
            f" learning rate {rate:.4g}): training diverges; try a lower --learning_rate"
        )


def _is_sound(loss: float, model: SampleRNN) -> bool:
    return loss < EXPLODED * math.log(model.config.q_levels)  # nan is not less


def evaluate(
    model: SampleRNN,
    step: Callable,
    recordings: list[Recording],
    batch_size: int,
    after_step: Callable[[int], None] = lambda _: None,
) -> Logs:
    """The mean loss and accuracy over recordings, each from a state of zero.

    Args:
        model: the model.
        step: its `validation_step`.
        recordings: any number.
        batch_size: rows.
        after_step: called after each step with its number, from 0.

    Raises:
        Diverged: the loss is NaN, infinite, or has exploded.
    """
    strategy = model.distribute_strategy
    state, sums = initial_state(model, batch_size), np.zeros(3)
    windows = validation_epoch(recordings, model.config, batch_size, rows_here(strategy, batch_size))
    for number, window in enumerate(windows):
        scores, state = step(*hand_out(strategy, window), state)
        sums += scores.numpy()
        after_step(number)
    logs = means(sums)
    if not _is_sound(logs["loss"], model):
        raise Diverged(f"The validation loss is {logs['loss']:.4g}: training diverges; try a lower --learning_rate")
    return logs


def means(sums: np.ndarray) -> Logs:
    """Loss and accuracy of the targets whose `score` was summed."""
    nll, correct, number = sums.tolist()
    return {"loss": nll / number, "accuracy": correct / number}


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
    returns the `score` of the whole batch, the gradients' norm before clipping, and the next state.
    """

    def step(x, y, reset, state, compiled):
        state = _reset_rows(state, reset)
        gradients, scores, norm, state = model.clipped_gradients(
            x, state, lambda logits: score(logits, y), CLIP_NORM, loss_scale(model.optimizer), compiled
        )
        apply_gradients(model.optimizer, gradients, model.trainable_variables, *model.looked_up(x))
        return scores, norm, state

    return _on_replicas(model, step)


def validation_step(model: SampleRNN):
    """As `train_step`, but nothing is learnt, dropout is off, and there is no norm."""

    def step(x, y, reset, state, compiled):
        @compiled
        def predict(state):
            logits, state = model(x, state, training=False)
            return score(logits, y), state

        scores, state = predict(_reset_rows(state, reset))
        return sum_over_replicas(scores), state

    return _on_replicas(model, step)


def _on_replicas(model: SampleRNN, step):
    """The compiled function that runs a step on each replica; all it returns but the state is the same on all.

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
        *results, state = strategy.run(step, (x, y, reset, state, compiled))
        return *(strategy.experimental_local_results(result)[0] for result in results), state

    return on_replicas


def _reset_rows(state, reset):
    """Zero the state of the rows, bool [B], that start a recording; state is [D, B]."""
    return tf.nest.map_structure(lambda part: part * tf.cast(~reset, part.dtype), state)
