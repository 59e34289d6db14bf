"""A run's folder, and what is written at a checkpoint: the checkpoint, and audio generated from it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from samplernn.checkpoints import run_folders
from samplernn.checkpoints import store as checkpoints
from samplernn.generation.chain import as_settings, copy_into
from samplernn.generation.output import output_of
from samplernn.models.model import Model
from samplernn.models.registry import config_to_dict
from samplernn.options.train import TrainingOptions, better
from samplernn.system.device import versions
from samplernn.system.files import make_writable_folder
from samplernn.system.stopping import StopRequest
from samplernn.training import resuming
from samplernn.training.beginning import Beginning
from samplernn.training.clips import Clips
from samplernn.training.loop import Logs, Progress
from samplernn.training.tensorboard import Curves

AfterCheckpoint = Callable[[Path, list[Logs]], None]


class Run:
    """What the chief of a training writes.

    Attributes:
        folder: of the run; it is made here.
        curves: what TensorBoard shows of it, a callback.
    """

    def __init__(
        self,
        options: TrainingOptions,
        beginning: Beginning,
        model: Model,
        progress: Progress,
        stop: StopRequest,
        after_checkpoint: AfterCheckpoint | None,
    ):
        self._options = options
        self._beginning = beginning
        self._model = model
        self._progress = progress
        self._stop = stop
        self._after_checkpoint = after_checkpoint
        if options.generate:
            self._clips = Clips(options, beginning, model)
        parent = Path(options.logdir_root, options.id)
        make_writable_folder("--logdir_root", parent)
        beginning.make_codes(options)
        baseline = beginning.baseline
        run_folders.remove_abandoned(parent)
        self.folder = run_folders.create(parent)
        copy_into(self.folder, beginning.chain)
        settings = {"config": config_to_dict(model.config), "arguments": asdict(options)}
        self._output = output_of(beginning.configs[-1])
        self.curves = Curves(self.folder, progress, baseline, settings, self._output.show)

    def save_and_generate(self) -> None:
        """Save a checkpoint to keep, at an epoch's end, and what follows."""
        epoch = self._progress.epoch
        checkpoint = run_folders.prefix(self.folder, epoch)
        self._save(checkpoint)
        self._rotate()
        if self._options.generate:
            with self._stop.at_once(), self._model.averaged():
                print(f"Generating {self._output.makes} for epoch {epoch}...", flush=True)
                self.curves.add_clips(self._clips.generate(checkpoint, epoch), epoch)
        if self._after_checkpoint:
            self._after_checkpoint(checkpoint, self._progress.history)

    def _rotate(self) -> None:
        if self._options.max_checkpoints:
            monitor = self._options.monitor
            kept, values = run_folders.kept_in(self.folder), self._progress.values(monitor)
            best = run_folders.best_of(kept, values, better(monitor))
            run_folders.rotate(self.folder, self._options.max_checkpoints, best)

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
        settings = settings_of(self._options, self._beginning, self._progress)
        checkpoints.save(checkpoint, self._model, self._model.optimizer, settings, state)


def settings_of(options: TrainingOptions, beginning: Beginning, progress: Progress) -> dict[str, Any]:
    """What is to be known beside a checkpoint."""
    split = beginning.split
    return {
        **resuming.progress_as_settings(progress),
        "config": config_to_dict(beginning.config),
        "arguments": asdict(options),
        "sample_rate": beginning.corpus.sample_rate,
        **({"chain": as_settings(beginning.chain)} if beginning.chain else {}),
        "versions": versions(),
        "split": split.names(),
        "training_frames": split.training_frames,
        "mix": split.mix,
    }
