"""Keras callbacks of a training run: the printed statistics; checkpoints and what follows them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import keras
import tensorflow as tf

from samplernn.config import better


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
    """Keras's, of which some versions drop an epoch's point unless its last step is one whose point is written.

    At an epoch's end the curves are on the disk, whatever ends the run after it.
    """

    def on_epoch_end(self, epoch, logs=None):
        with tf.summary.record_if(True):
            super().on_epoch_end(epoch, logs)
        for writer in self._writers.values():
            writer.flush()


class EarlyStopping(keras.callbacks.EarlyStopping):
    """Keras's, which in a resumed run remembers the epochs before.

    Args:
        monitor: the value watched.
        patience: epochs without improvement after which to stop.
        history: the logs of the epochs that are done.
    """

    def __init__(self, monitor: str, patience: int, history: Sequence[dict]):
        super().__init__(monitor, patience=patience, mode=better(monitor).__name__)
        self._history = list(history)

    def on_train_begin(self, logs=None):
        super().on_train_begin(logs)
        for epoch, epoch_logs in enumerate(self._history):
            self.on_epoch_end(epoch, epoch_logs)


class SaveCheckpoints(keras.callbacks.Callback):
    """Saves at the end of every so many epochs, always or where the monitored value is the best so far.

    Args:
        save: called with the number of epochs done and the logs of all of them.
        every: epochs between two checkpoints.
        monitor: the value watched; None saves always.
        history: the logs of the epochs that are done.
    """

    def __init__(
        self, save: Callable[[int, list[dict]], None], every: int, monitor: str | None, history: Sequence[dict] = ()
    ):
        super().__init__()
        self._save = save
        self._every = every
        self._monitor = monitor
        self._history = list(history)
        self._best = monitor and better(monitor)((logs[monitor] for logs in history), default=None)

    def on_epoch_end(self, epoch, logs=None):
        self._history.append(dict(logs))
        if (epoch + 1) % self._every == 0 and (self._monitor is None or self._improves(logs[self._monitor])):
            self._best = self._monitor and logs[self._monitor]
            self._save(epoch + 1, self._history)

    def _improves(self, value):
        return self._best is None or (value != self._best and better(self._monitor)(value, self._best) == value)
