"""What TensorBoard shows of a training: its curves, the audio generated on the way, the settings."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from samplernn.generation.shown import Shown
from samplernn.system.words import printable
from samplernn.training.loop import Logs, Progress, added, of_parts

STEPS = 50  # between two points of the curves within an epoch


class Curves(keras.callbacks.Callback):
    """Writes TensorBoard's events to subfolders of a run folder: `train`, `validation`, `unigram`.

    Over the epochs done: `epochs/loss`, `epochs/accuracy`, `epochs/learning_rate`, and `epochs/bits`, the loss in bits
    a sample. Over the steps that the optimizer has taken: `steps/loss`, `steps/accuracy` and `steps/gradient_norm`
    (before clipping), means over the steps since the last point; `steps/learning_rate`; and `steps/samples_per_second`,
    without what comes between two epochs and without the first step, which is compiled.

    All is on the disk at each epoch's end and when training ends, whatever ends it.

    Args:
        folder: of the run.
        progress: of the training.
        baseline: nats an item, what the loss is to be compared with.
        settings: tables of names and values, by their titles.
        show: what there is to hear and see of a file that was generated.
    """

    def __init__(
        self,
        folder: Path,
        progress: Progress,
        baseline: float,
        settings: dict[str, dict[str, Any]],
        show: Callable[[Path], Shown],
    ):
        super().__init__()
        self._show = show
        self._folder = folder
        self._progress = progress
        self._baseline = baseline
        self._settings = settings
        self._after_step: float | None = None  # when the last one ended; None before the first

    def on_train_begin(self, logs=None):
        parts = ("train", "validation", "unigram")
        self._writers = {part: tf.summary.create_file_writer(str(self._folder / part)) for part in parts}
        with self._writers["train"].as_default(self._progress.epoch):
            for title, values in self._settings.items():
                tf.summary.text(title, _table(values))
        self._begin_point()

    def on_epoch_begin(self, epoch, logs=None):
        self._sums = self._progress.sums
        self._after_step = self._after_step and time.monotonic()

    def on_train_batch_end(self, batch, logs=None):
        before, self._sums = self._sums, self._progress.sums
        of_step = {name: value - before.get(name, 0.0) for name, value in self._sums.items()}
        now = time.monotonic()
        if self._after_step:
            self._seconds += now - self._after_step
            self._timed += of_step["targets"]
        self._after_step = now
        self._of_point = added(self._of_point, of_step)
        self._norms.append(logs["gradient_norm"])
        if len(self._norms) == STEPS:
            self._write_point()

    def _begin_point(self):
        self._of_point, self._norms = {}, []
        self._seconds = self._timed = 0.0  # of the steps timed, and their targets

    def _write_point(self):
        values = self.model.measures(self._of_point) | {"learning_rate": self._learning_rate()}
        # Where the loss is scaled, gradients may overflow: those steps are left out.
        if sound := [norm for norm in self._norms if math.isfinite(norm)]:
            values["gradient_norm"] = sum(sound) / len(sound)
        if self._seconds:
            values["samples_per_second"] = self._timed / self._seconds
        self._write("train", int(self.model.optimizer.iterations.numpy()), values, "steps/")
        self._begin_point()

    def on_epoch_end(self, epoch, logs=None):
        train, validation = of_parts(logs)
        done = epoch + 1
        self._write("train", done, train | {"learning_rate": self._learning_rate()}, "epochs/")
        self._write("validation", done, validation, "epochs/")
        losses = {"train": train["loss"], "validation": validation["loss"], "unigram": self._baseline}
        for part, loss in losses.items():
            self._write(part, done, {"bits": loss / math.log(2)}, "epochs/")
        self._flush()

    def add_clips(self, files: Sequence[Path], epoch: int) -> None:
        """Show what was generated after so many epochs: its sound, and pictures of it."""
        with self._writers["train"].as_default(epoch):
            for number, shown in enumerate(map(self._show, files)):
                tf.summary.audio(f"clip_{number}/audio", shown.audio[None, :, None], shown.sample_rate)
                for name, picture in shown.pictures.items():
                    tf.summary.image(f"clip_{number}/{name}", tf.io.decode_png(picture, channels=3)[None])
        self._flush()

    def on_train_end(self, logs=None):
        if self._norms:
            self._write_point()
        for writer in self._writers.values():
            writer.close()

    def _learning_rate(self) -> float:
        return float(self.model.optimizer.learning_rate.numpy())

    def _write(self, part: str, step: int, values: Logs, group: str) -> None:
        with self._writers[part].as_default(step):
            for name, value in values.items():
                tf.summary.scalar(group + name, value)

    def _flush(self) -> None:
        for writer in self._writers.values():
            writer.flush()


def _table(values: dict[str, Any]) -> str:
    """A table in Markdown."""
    cells = [(name, printable(str(value)).replace("|", "\\|")) for name, value in values.items()]
    return "\n".join(["| name | value |", "|---|---|", *(f"| {name} | `{value}` |" for name, value in cells)])
