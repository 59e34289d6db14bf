"""What networks in configs/ learn in the same time: the table and the figure of docs/families.md, and their audio.

    python benchmarks/learning.py --data_dir chunks --only fast wavenet --minutes 3 10 --random_seed 0 1 2

A minute is as many steps as the machine takes in it while it does nothing else, by the time of a step that is measured
before a config's first training and kept in output_dir; so trainings may well run beside other work. At the end of each
stage the loss on what is held out is noted, a checkpoint saved and a clip generated. What output_dir holds already is
not done again: with further --minutes each training goes on from its last stage. For files of 16 kHz.
"""

from __future__ import annotations

import io
import itertools
import json
import sys
from collections import defaultdict
from contextlib import suppress
from dataclasses import MISSING, dataclass, replace
from math import log
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import keras
import tensorflow as tf

from configs import CONFIGS
from configs import training as cost
from samplernn.checkpoints import run_folders, store
from samplernn.checkpoints.settings import arguments_of, read_settings
from samplernn.commands import cli
from samplernn.commands.flags import Parser
from samplernn.corpus.loader import Loader
from samplernn.generation.generate import generate_from_checkpoints
from samplernn.models.registry import load_config
from samplernn.options.common import CorpusOptions
from samplernn.options.option import option, options_of, with_default
from samplernn.options.train import TrainingOptions
from samplernn.options.values import PATH, POSITIVE, one_of, several, whole
from samplernn.system.errors import InputError
from samplernn.system.files import make_writable_folder
from samplernn.system.process import in_own_process
from samplernn.training.beginning import Beginning, find_beginning
from samplernn.training.clips import audio_like
from samplernn.training.loop import Progress, evaluate, fit
from samplernn.training.resuming import gather_state, restore_progress
from samplernn.training.run import settings_of
from samplernn.training.steps import validation_step
from samplernn.training.train import build_model

SECONDS_A_STEP = "seconds_a_step.json"
CLIP_SECONDS = 6
SEED = 0  # of the clips
NAMES = sorted(file.name.removesuffix(".config.json") for file in CONFIGS.glob("*.config.json"))


@dataclass(frozen=True, kw_only=True)
class Trainings:
    """The flags by which trainings are the same but for their networks and seeds."""

    data_dir: tuple[str, ...] = with_default(CorpusOptions, "data_dir", MISSING)
    random_seed: tuple[int, ...] = option((0,), several(whole(0)), "seeds; for each there is a training")
    batch_size: int = with_default(TrainingOptions, "batch_size", 8)
    learning_rate: float = with_default(TrainingOptions, "learning_rate", 0.003)
    polyak_decay: float | None = with_default(TrainingOptions, "polyak_decay", 0.999)

    def of(self, name: str, random_seed: int, config_file: Path, **others) -> TrainingOptions:
        """The options of the training of a network with a seed, from scratch."""
        return TrainingOptions(
            id=f"{name}-{random_seed}",
            data_dir=self.data_dir,
            resume=False,  # what train.py has of this id is another's
            config_file=str(config_file),
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            polyak_decay=self.polyak_decay,
            random_seed=random_seed,
            **others,
        )


@dataclass(frozen=True, kw_only=True)
class Options(Trainings):
    """What the flags are."""

    output_dir: str = option("./learning", PATH, "folder for all that comes of it")
    only: tuple[str, ...] = option(("fast", "two-tier-fast", "wavenet"), several(one_of(*NAMES)), "configs to train")
    minutes: tuple[float, ...] = option((3.0, 10.0), several(POSITIVE), "the ends of the stages")


def main() -> None:
    given = Options(**Parser(__doc__.splitlines()[0], options_of(Options)).parse())
    output_dir = Path(given.output_dir)
    make_writable_folder("--output_dir", output_dir)
    for name, random_seed in itertools.product(given.only, given.random_seed):
        options = given.of(name, random_seed, CONFIGS / f"{name}.config.json")
        a_step = seconds_a_step(name, options, output_dir / SECONDS_A_STEP)
        stages = {
            round(minutes * 60 / a_step): {"config": name, "random_seed": random_seed, "minutes": minutes}
            for minutes in given.minutes
        }
        in_own_process(learn, options, stages, output_dir / options.id)
    found = results(output_dir)
    print(table(found))
    (output_dir / "learning.png").write_bytes(figure(found))


# --- Training ---


def seconds_a_step(name: str, options: TrainingOptions, file: Path) -> float:
    """The median of some of a config, measured unless the file has it."""
    known = json.loads(file.read_text()) if file.exists() else {}
    key = f"{name}, batch {options.batch_size}"
    if key not in known:
        known[key], _ = in_own_process(cost, load_config(options.config_file), options.batch_size)
        file.write_text(json.dumps(known, indent=2) + "\n")
    return known[key]


def learn(options: TrainingOptions, stages: dict[int, dict], folder: Path) -> None:
    """Train from the last stage that there is to the last that is asked for.

    Args:
        options: those of train.py that give the same steps.
        stages: what is to be noted of each, its minutes at least, by the steps after which it ends.
        folder: of the training.

    Raises:
        InputError: what is there was trained otherwise.
    """
    if done := sorted(folder.glob("*/*.index"), key=lambda index: float(index.parent.name)):
        last = done[-1].with_suffix("")
        check_same(options, last)
        options = replace(options, resume=True, resume_from=str(last))
    beginning = find_beginning(options, tell=False)
    beginning.make_codes(options)
    model = build_model(options, beginning, tf.distribute.get_strategy())
    progress = restore_progress(beginning.resumed, options, model, beginning.split)
    if max(stages) > int(model.optimizer.iterations):
        ends = Stages(options, stages, folder, beginning, progress)
        with suppress(StopIteration):
            fit(model, beginning.split, options.batch_size, options.random_seed, sys.maxsize, [ends], progress)
    for index in folder.glob("*/*.index"):
        make_clip(index.with_suffix(""), options, beginning)


def make_clip(checkpoint: Path, options: TrainingOptions, beginning: Beginning) -> None:
    """Generate a clip beside a checkpoint, unless there is one: as training does, in its length."""
    if not any(checkpoint.parent.glob("clip*.wav")):
        clip = audio_like(replace(options, output_file_dur=CLIP_SECONDS), beginning, checkpoint, "clip")
        clip = replace(clip, output_path=str(checkpoint.with_name("clip")), random_seed=SEED)
        generate_from_checkpoints(clip)


def check_same(options: TrainingOptions, checkpoint: Path) -> None:
    """Refuse to go on from a checkpoint that was trained with other flags, so that a table is of one kind."""
    before = arguments_of(read_settings(checkpoint) or {})
    for name in ("batch_size", "learning_rate", "polyak_decay"):
        if before.get(name) != getattr(options, name):
            raise InputError(
                f"--{name} {getattr(options, name)}: {checkpoint} was trained with {before.get(name)}; give that, or"
                " another --output_dir"
            )


class Stages(keras.callbacks.Callback):
    """Notes at the end of each stage what has been learnt; StopIteration after the last."""

    def __init__(
        self,
        options: TrainingOptions,
        stages: dict[int, dict],
        folder: Path,
        beginning: Beginning,
        progress: Progress,
    ):
        super().__init__()
        self._options = options
        self._stages = stages
        self._folder = folder
        self._beginning = beginning
        self._progress = progress

    def on_train_batch_end(self, batch, logs=None):
        steps = int(self.model.optimizer.iterations)
        if steps in self._stages:
            self._end_stage(self._stages[steps] | {"steps": steps})
        if steps >= max(self._stages):
            raise StopIteration

    def _end_stage(self, stage: dict) -> None:
        model = self.model
        with model.averaged():
            loader = Loader(model.config, self._options.batch_size)
            stage |= evaluate(model, validation_step(model), loader, self._beginning.split.validation)
        folder = self._folder / f"{stage['minutes']:g}"
        folder.mkdir(parents=True, exist_ok=True)
        checkpoint = run_folders.rolling_prefix(folder, self._progress.epoch, self._progress.step)
        settings = settings_of(self._options, self._beginning, self._progress) | {"stage": stage}
        store.save(checkpoint, model, model.optimizer, settings, gather_state(model, self._progress))
        make_clip(checkpoint, self._options, self._beginning)
        print(stage, flush=True)


# --- What has come of it ---


def results(output_dir: Path) -> list[dict]:
    """What was noted of each stage of each training."""
    settings = [json.loads(file.read_text()) for file in sorted(output_dir.glob("*/*/*.ckpt-*.json"))]
    return sorted((each["stage"] for each in settings), key=lambda s: (s["config"], s["minutes"], s["random_seed"]))


def table(found: list[dict]) -> str:
    """In Markdown."""
    rows = ["| Config | Minutes | Steps | NLL, nats | bits |", "|---|---|---|---|---|"]
    stages = defaultdict(list)
    for each in found:
        stages[each["config"], each["minutes"], each["steps"]].append(each["loss"])
    for (config, minutes, steps), losses in stages.items():
        nats, bits = (", ".join(f"{loss / unit:.3f}" for loss in losses) for unit in (1, log(2)))
        rows.append(f"| `{config}` | {minutes:g} | {steps} | {nats} | {bits} |")
    return "\n".join(rows)


def figure(found: list[dict]) -> bytes:
    """A PNG of the NLL over the minutes, a line for each training, a color for each config."""
    from matplotlib.figure import Figure

    picture = Figure(figsize=(7, 4), dpi=100, layout="constrained")
    axes = picture.add_subplot()
    trainings = defaultdict(list)
    for each in found:
        trainings[each["config"], each["random_seed"]].append((each["minutes"], each["loss"]))
    names = sorted({name for name, _ in trainings})
    for (name, seed), line in trainings.items():
        first = seed == min(number for other, number in trainings if other == name)
        axes.plot(*zip(*line), marker="o", color=f"C{names.index(name)}", label=name if first else None)
    axes.set_xscale("log")
    ticks = sorted({each["minutes"] for each in found})
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.set(xlabel="minutes of two cores", ylabel="nats a sample, on held-out files")
    axes.grid(alpha=0.3)
    axes.legend()
    png = io.BytesIO()
    picture.savefig(png, format="png")
    return png.getvalue()


if __name__ == "__main__":
    cli.run(main)
