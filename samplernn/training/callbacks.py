"""Keras callbacks of a training run: what is printed; when it is saved; when it stops."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Iterator, Sequence

import keras

from samplernn.options.train import better
from samplernn.system.progress import StepLines
from samplernn.system.stopping import StopRequest
from samplernn.system.words import counted, format_duration, roughly
from samplernn.training.loop import Progress, of_parts

OF_EVERY_FAMILY = ("loss", "accuracy")
FIRST_STEPS, FIRST_SECONDS = 10, 10  # before the time left is said for the first time
REPORT_SECONDS = 60  # until it is said again
RISES = 3  # epochs in a row in which the validation loss rises, to be remarked on
BY_HEART = 0.99  # training accuracy


class PrintStatistics(keras.callbacks.Callback):
    """Prints a line for each step and each epoch, as the original's README shows them.

    Args:
        num_epochs: the number of the last epoch.
        lines: where those of the steps go.
    """

    def __init__(self, num_epochs: int, lines: StepLines):
        super().__init__()
        self._num_epochs = num_epochs
        self._lines = lines

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch = f"Epoch: {epoch + 1}/{self._num_epochs}"
        self._epoch_start = time.monotonic()
        self._steps = 0  # that were taken here; of an epoch that is resumed, the rest

    def on_train_batch_begin(self, batch, logs=None):
        self._step_start = time.monotonic()

    def on_train_batch_end(self, batch, logs=None):
        seconds = time.monotonic() - self._step_start
        self._steps += 1
        step, steps = batch + 1, self.params["steps"]
        line = (
            f"{self._epoch}, Step: {step}/{steps}, Loss: {logs['loss']:.3f}, "
            f"Accuracy: {logs['accuracy'] * 100:.3f}, ({seconds:.4f} sec/step)"
        )
        self._lines.show(line, last=step == steps)

    def on_epoch_end(self, epoch, logs=None):
        seconds = time.monotonic() - self._epoch_start
        print(
            f"{self._epoch}, Loss: {logs['loss']:.3f}, Accuracy: {logs['accuracy'] * 100:.3f}, "
            f"Val Loss: {logs['val_loss']:.3f}, Val Accuracy: {logs['val_accuracy'] * 100:.3f} "
            f"({counted(self._steps, 'step')} in {format_duration(seconds)})",
            flush=True,
        )
        training, validation = of_parts(logs)
        if training.keys() != set(OF_EVERY_FAMILY):
            print(f"{self._epoch}, {', '.join([*_shown(training), *_shown(validation, 'Val ')])}", flush=True)


def _shown(measures: dict[str, float], part: str = "") -> Iterator[str]:
    """Measures with their names, in the line of those that not every family has."""
    titles = {"loss": "NLL"} if "nll" not in measures else {"nll": "NLL"}
    for name in [*OF_EVERY_FAMILY, *sorted(measures.keys() - set(OF_EVERY_FAMILY))]:
        title = titles.get(name, name.replace("_", " ").title())
        value = measures[name] * (100 if name == "accuracy" else 1)
        yield f"{part}{title}: {value:.0f}" if value == int(value) else f"{part}{title}: {value:.3f}"


class TimeLeft(keras.callbacks.Callback):
    """Prints, in a line of its own, about how long the epoch and the training still take.

    It does so once FIRST_STEPS and FIRST_SECONDS have passed, then every REPORT_SECONDS, and before each further epoch.
    What comes between two epochs (validation, saving, audio) counts as soon as it has been seen; the first step, in
    which all is compiled, does not.

    Args:
        num_epochs: the number of the last epoch.
        lines: those of the steps.
    """

    def __init__(self, num_epochs: int, lines: StepLines):
        super().__init__()
        self._num_epochs = num_epochs
        self._lines = lines
        self._last: float | None = None  # when the last step ended
        self._of_step: float | None = None  # seconds that one takes, in this epoch or the one before
        self._between: list[float] = []  # seconds from an epoch's last step to the next one's begin

    def on_train_begin(self, logs=None):
        self._due = time.monotonic() + FIRST_SECONDS

    def on_epoch_begin(self, epoch, logs=None):
        now = time.monotonic()
        self._epoch, self._begun, self._steps = epoch, now, 0
        if self._last is not None:
            self._between.append(now - self._last)
            self._report(now, self.params["steps"])

    def on_train_batch_end(self, batch, logs=None):
        now, left = time.monotonic(), self.params["steps"] - batch - 1
        if self._last is None:
            self._begun = now
        else:
            self._steps += 1
            self._of_step = (now - self._begun) / self._steps
        self._last = now
        first = not self._between and self._steps < FIRST_STEPS
        if now >= self._due and left and not first:
            self._report(now, left)

    def _report(self, now: float, steps_left: int) -> None:
        """Say it, `steps_left` steps before the end of the epoch."""
        self._due = now + REPORT_SECONDS
        if self._of_step is None:
            return
        between = sum(self._between) / max(1, len(self._between))
        in_epoch = steps_left * self._of_step + between
        in_all = in_epoch + (self._num_epochs - self._epoch - 1) * (self.params["steps"] * self._of_step + between)
        about = "about " if round(in_epoch) else ""
        self._lines.print_below(f"Time left: {about}{roughly(in_epoch)} in this epoch, {roughly(in_all)} in all")


class EarlyStopping(keras.callbacks.EarlyStopping):
    """Keras's, which in a resumed run remembers the epochs before.

    Args:
        monitor: the value watched.
        patience: epochs without improvement after which to stop.
        progress: of the training; its history at the beginning are the epochs that are done.
    """

    def __init__(self, monitor: str, patience: int, progress: Progress):
        super().__init__(monitor, patience=patience, mode=better(monitor).__name__)
        self._progress = progress

    def on_train_begin(self, logs=None):
        super().on_train_begin(logs)
        for epoch, epoch_logs in enumerate(self._progress.history):
            self.model.stop_training = False  # it went on all the same, perhaps with more patience
            self.on_epoch_end(epoch, epoch_logs)


class SaveCheckpoints(keras.callbacks.Callback):
    """Saves at the end of every so many epochs.

    Args:
        save: called to save a checkpoint to keep.
        save_rolling: called instead where a monitored value is not the best so far.
        every: epochs between two checkpoints.
        monitor: the value watched; None keeps every checkpoint.
        progress: of the training.
    """

    def __init__(
        self,
        save: Callable[[], None],
        save_rolling: Callable[[], None],
        every: int,
        monitor: str | None,
        progress: Progress,
    ):
        super().__init__()
        self._save = save
        self._save_rolling = save_rolling
        self._every = every
        self._monitor = monitor
        self._progress = progress

    def on_epoch_end(self, epoch, logs=None):
        if (epoch + 1) % self._every == 0:
            (self._save if self._monitor is None or self._improves() else self._save_rolling)()

    def _improves(self):
        """Whether the last epoch's value is better than those of all epochs before at which something was saved."""
        values = [value for epoch, value in self._progress.values(self._monitor).items() if epoch % self._every == 0]
        *before, last = values
        return last not in before and better(self._monitor)(values) == last


class SaveBetweenSteps(keras.callbacks.Callback):
    """Saves where the training stands every so many minutes, and when it is asked to stop, which it then does.

    It comes before what prints: by the Ctrl-C that asks, whoever reads the output may be gone.

    Args:
        save: called to save.
        minutes: between two times; None for never.
        stop: what a signal asks.
        agree: gives the largest of each of the values that all workers call it with.
    """

    def __init__(
        self,
        save: Callable[[], None],
        minutes: float | None,
        stop: StopRequest,
        agree: Callable[[list[int]], list[int]] = lambda values: values,
    ):
        super().__init__()
        self._save = save
        self._seconds = 60 * minutes if minutes else math.inf
        self._stop = stop
        self._agree = agree

    def on_train_begin(self, logs=None):
        self._saved = time.monotonic()

    def on_train_batch_end(self, batch, logs=None):
        self._after_step()

    def on_test_batch_end(self, batch, logs=None):
        self._after_step()

    def on_epoch_begin(self, epoch, logs=None):
        self._after_step()

    def _after_step(self):
        due = time.monotonic() - self._saved >= self._seconds
        signal_number, due = self._agree([self._stop.asked, int(due)])
        if signal_number or due:
            self._save()
            self._saved = time.monotonic()
        if signal_number:
            self._stop.obey(signal_number)


class Remarks(keras.callbacks.Callback):
    """Says in a line, when it is seen, that the network learns its recordings by heart, or what else it says is wrong.

    Args:
        progress: of the training.
    """

    def __init__(self, progress: Progress):
        super().__init__()
        self._progress = progress

    def on_epoch_end(self, epoch, logs=None):
        *before, now = self._progress.history
        if not (before and list(self.model.config.remarks(before[-1]))):
            for remark in self.model.config.remarks(now):
                print(remark, flush=True)
        accuracy, held_out = ([logs[name] for logs in self._progress.history] for name in ("accuracy", "val_loss"))
        if rises(held_out) == RISES:
            print(
                f"The validation loss has only risen since epoch {epoch + 1 - RISES}: the network learns these"
                " recordings by heart. More music, dropout or a smaller network may help.",
                flush=True,
            )
        if accuracy[-1] >= BY_HEART and max(accuracy[:-1], default=0.0) < BY_HEART:
            print(
                f"The training accuracy is {100 * accuracy[-1]:.1f}%: the network knows these recordings by heart, or"
                " they are mostly silence.",
                flush=True,
            )


def rises(values: Sequence[float]) -> int:
    """How many of the last values are each above the one before."""
    pairs = reversed(list(itertools.pairwise(values)))
    return len(list(itertools.takewhile(lambda pair: pair[0] < pair[1], pairs)))
