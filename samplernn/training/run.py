"""A run's folder, and what is written at a checkpoint: the checkpoint, and audio generated from it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from samplernn.checkpoints import run_folders
from samplernn.checkpoints import store as checkpoints
from samplernn.generation.generate import generate_files
from samplernn.generation.generator import Generator
from samplernn.models.model import Model
from samplernn.models.registry import config_to_dict
from samplernn.options.options import GenerationOptions, TrainingOptions, better
from samplernn.system.device import versions
from samplernn.system.files import make_writable_folder
from samplernn.system.stopping import StopRequest
from samplernn.training import resuming
from samplernn.training.beginning import Beginning, prepare_clips
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
            self._output_rate, self._context = prepare_clips(options, model.config, beginning.corpus.sample_rate)
            self._generator = Generator(model, options.jit_compile)
            make_writable_folder("--output_dir", Path(options.output_dir, options.id))
        baseline = beginning.baseline
        parent = Path(options.logdir_root, options.id)
        make_writable_folder("--logdir_root", parent)
        run_folders.remove_abandoned(parent)
        self.folder = run_folders.create(parent)
        settings = {"config": config_to_dict(model.config), "arguments": asdict(options)}
        self.curves = Curves(self.folder, progress, baseline, settings)

    def save_and_generate(self) -> None:
        """Save a checkpoint to keep, at an epoch's end, and what follows."""
        epoch = self._progress.epoch
        checkpoint = run_folders.prefix(self.folder, epoch)
        self._save(checkpoint)
        self._rotate()
        if self._options.generate:
            with self._stop.at_once(), self._model.averaged():
                print(f"Generating audio for epoch {epoch}...", flush=True)
                clips = self._clips(checkpoint, epoch)
                wavs = generate_files(self._generator, checkpoint, self._context, clips)
                self.curves.add_clips(wavs, epoch)
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


def settings_of(options: TrainingOptions, beginning: Beginning, progress: Progress) -> dict[str, Any]:
    """What is to be known beside a checkpoint."""
    split = beginning.split
    return {
        **resuming.progress_as_settings(progress),
        "config": config_to_dict(beginning.config),
        "arguments": asdict(options),
        "sample_rate": beginning.corpus.sample_rate,
        "versions": versions(),
        "split": split.names(),
        "training_frames": split.training_frames,
        "mix": split.mix,
    }
