"""Keras callbacks of a training run: the printed statistics; checkpoints and what follows them."""

from __future__ import annotations

import time
from collections.abc import Callable

import keras
import tensorflow as tf


class PrintStatistics(keras.callbacks.Callback):
    """Prints a line for each step and each epoch, as the original's README shows them.

    Args:
        num_epochs: the number of the last epoch.
        verbose: whether each step takes a new line; if not, it overwrites the one before.
    """

    def __init__(self, num_epochs: int, verbose: bool):
        super().__init__()
        self._num_epochs = num_epochs
        self._verbose = verbose
        self._width = 0  # of the line that stands on the terminal and may be overwritten

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch = f"Epoch: {epoch + 1}/{self._num_epochs}"
        self._epoch_start = time.monotonic()

    def on_train_batch_begin(self, batch, logs=None):
        self._step_start = time.monotonic()

    def on_train_batch_end(self, batch, logs=None):
        seconds = time.monotonic() - self._step_start
        step, steps = batch + 1, self.params["steps"]
        line = (
            f"{self._epoch}, Step: {step}/{steps}, Loss: {logs['loss']:.3f}, "
            f"Accuracy: {logs['accuracy'] * 100:.3f}, ({seconds:.4f} sec/step)"
        )
        if self._verbose:
            print(line, flush=True)
        else:
            print("\r" + line.ljust(self._width), end="\n" if step == steps else "", flush=True)
            self._width = len(line) if step < steps else 0

    def on_epoch_end(self, epoch, logs=None):
        seconds = time.monotonic() - self._epoch_start
        print(
            f"{self._epoch}, Loss: {logs['loss']:.3f}, Accuracy: {logs['accuracy'] * 100:.3f}, "
            f"Val Loss: {logs['val_loss']:.3f}, Val Accuracy: {logs['val_accuracy'] * 100:.3f} "
            f"({self.params['steps']} steps in {format_duration(seconds)})",
            flush=True,
        )


def format_duration(seconds: float) -> str:
    """For instance `1 min 11.235 sec`."""
    minutes, seconds = divmod(round(seconds, 3), 60)
    hours, minutes = divmod(int(minutes), 60)
    parts = [f"{hours} hr"] * bool(hours) + [f"{minutes} min"] * bool(hours or minutes) + [f"{seconds:.3f} sec"]
    return " ".join(parts)


class TensorBoard(keras.callbacks.TensorBoard):
    """Keras's, which with a step interval drops an epoch's point unless its last step is one to be written."""

    def on_epoch_end(self, epoch, logs=None):
        with tf.summary.record_if(True):
            super().on_epoch_end(epoch, logs)


class SaveCheckpoints(keras.callbacks.Callback):
    """Saves at the end of every so many epochs, always or where the monitored value is the best so far.

    Args:
        save: called with the number of epochs done and the epoch's logs.
        every: epochs between two checkpoints.
        monitor: the value watched; None saves always.
        best: its best value so far, if the run goes on from a checkpoint.
    """

    def __init__(self, save: Callable[[int, dict], None], every: int, monitor: str | None, best: float | None = None):
        super().__init__()
        self._save = save
        self._every = every
        self._monitor = monitor
        self._best = best

    def on_epoch_end(self, epoch, logs=None):
        if (epoch + 1) % self._every == 0 and self._is_due(logs):
            self._save(epoch + 1, logs)

    def _is_due(self, logs):
        if self._monitor is None:
            return True
        value = logs[self._monitor]
        improved = self._best is None or (value - self._best) * DIRECTION[monitor_mode(self._monitor)] > 0
        if improved:
            self._best = value
        return improved


DIRECTION = {"min": -1, "max": 1}


def monitor_mode(monitor: str) -> str:
    """Whether less or more of the monitored value is better, as Keras spells it."""
    return "max" if monitor.endswith("accuracy") else "min"
