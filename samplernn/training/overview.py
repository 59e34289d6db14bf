"""What a training says of itself before its first step and after its last."""

from __future__ import annotations

import shlex
from pathlib import Path

from samplernn.checkpoints import run_folders
from samplernn.checkpoints.settings import of_training
from samplernn.corpus.corpus import Corpus
from samplernn.corpus.data import data_of
from samplernn.corpus.windows import training_steps
from samplernn.models.config import Config
from samplernn.models.memory import expected_memory
from samplernn.options.common import DEFAULT_SAMPLE_RATE, SCRIPTS
from samplernn.options.generate import GenerationOptions
from samplernn.options.option import changed_flags
from samplernn.options.train import TrainingOptions, better
from samplernn.system.files import shortest
from samplernn.system.words import counted, printable
from samplernn.training.beginning import Beginning
from samplernn.training.loop import Progress
from samplernn.training.resuming import HowToGoOn, Resumed


def overview(options: TrainingOptions, beginning: Beginning, progress: Progress, folder: Path, replicas: int) -> str:
    """A table of what is about to be trained on what, on how many devices, and where it is written."""
    config, corpus, split = beginning.config, beginning.corpus, beginning.split
    rate, batch_size, length = corpus.sample_rate, options.batch_size, config.window.length

    data = data_of(config)
    at_rate = f" at {rate} Hz" if rate else ""
    steps = training_steps(split.training, config, batch_size, options.random_seed, progress.epoch)
    parts = ", ".join(f"{number:,} in the {part}" for part, number in config.parameters.items())
    of_window = counted(length, data.unit)
    memory = expected_memory(
        config, batch_size // replicas, options.optimizer, averaged=options.polyak_decay is not None
    )
    lines = {
        "Corpus": f"{data.describe(corpus.recordings)}{at_rate}",
        "To train on": data.describe(split.training),
        "To validate": data.describe(split.validation),
        "Parameters": f"{config.num_parameters:,}: {parts}",
        "Receptive field": receptive_field(config, corpus, beginning.hop),
        "Memory": f"about {memory / 1e9:.1f} GB" + (" on each device" if replicas > 1 else ""),
        "An epoch": f"{counted(steps, 'step')} of {counted(batch_size, 'window')} of {of_window}",
        "Run folder": printable(str(folder)),
    }
    lines = {name: text for name, text in lines.items() if text}
    width = max(map(len, lines)) + 2
    return "\n".join(f"{name:{width}}{text}" for name, text in lines.items())


def receptive_field(config: Config, corpus: Corpus | None, hop: int = 1) -> str:
    """How far back the network looks, if that has a bound: in items and, at the corpus's rate if known, in ms.

    An item stands for `hop` samples.
    """
    if config.receptive_field is None:
        return ""
    rate = corpus.sample_rate if corpus else DEFAULT_SAMPLE_RATE
    samples = hop * config.receptive_field
    said = f"{counted(config.receptive_field, data_of(config).unit)}, {1000 * samples / rate:.1f} ms"
    if not corpus:
        return f"{said} at {rate} Hz"
    longest = max(recording.frames for recording in corpus.recordings)
    return f"{said}, which is more than any file has" if samples > longest else said


def why_ended(options: TrainingOptions, progress: Progress, early: bool, how_to_go_on: HowToGoOn) -> str:
    """A line that says why training ended, after its last epoch or `early`, and then how to go on."""
    if not early:
        return f"Epoch {progress.epoch} of {options.num_epochs} is done. {how_to_go_on} and a larger --num_epochs"
    values = [logs[options.monitor] for logs in progress.history]
    best = better(options.monitor)(values)
    waited = len(values) - 1 - values.index(best)
    # Resumed, early stopping counts from the best epoch on: with less patience than that it would stop again at once.
    patience = waited + options.early_stopping_patience
    return (
        f"Stopped early: {options.monitor} has not improved since epoch {progress.epoch - waited}, when it was"
        f" {_shown(options.monitor, best)}. {how_to_go_on} --early_stopping_patience {patience}"
    )


def how_to_generate(monitor: str, value: float | None, options: GenerationOptions) -> str:
    """The best checkpoint that is there, with its monitored value if that is known, and the command for its audio."""
    known = "" if value is None else f", {monitor} {_shown(monitor, value)}"
    command = shlex.join(["python", shortest(SCRIPTS / "generate.py"), *changed_flags(options)])
    name = Path(*options.checkpoint_path).name
    return printable(f"The best checkpoint kept is {name}{known}. To generate from it:") + f"\n{printable(command)}"


def best_checkpoint(
    monitor: str, progress: Progress, folder: Path, resumed: Resumed | None
) -> tuple[Path, float | None]:
    """The checkpoint with the best monitored value, and the value, where it is known.

    It is one of those that a run has kept, or those before of the runs that it goes on from; else any that is there.
    """
    values = progress.values(monitor)
    kept = run_folders.kept_in(folder)
    if resumed:
        runs = [*run_folders.runs_in(resumed.checkpoint.parent.parent), resumed.checkpoint.parent]
        earlier = [
            checkpoint for run in dict.fromkeys(runs) if run != folder for checkpoint in run_folders.kept_in(run)
        ]
        kept += of_training(earlier, progress.history)
    if best := run_folders.best_of(kept, values, better(monitor)):
        return best, values[run_folders.epoch_of(best)]
    latest = run_folders.latest_in(folder) or resumed.checkpoint  # where a training ends, there is one
    epoch, step = run_folders.place_of(latest)
    return latest, None if step else values.get(epoch)


def _shown(monitor: str, value: float) -> str:
    """A monitored value as the lines of an epoch show it."""
    return f"{100 * value:.3f}%" if monitor.endswith("accuracy") else f"{value:.3f}"
