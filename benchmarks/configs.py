"""What the networks in configs/ cost, and what they learn in the same time: the table of docs/families.md.

    python benchmarks/configs.py --only fast deep                  # the cost
    python benchmarks/configs.py --data_dir chunks --minutes 10    # then what those for the chunks' sample rate learn

A network learns for as many steps as would take these minutes at the time of a step that was measured before, whatever
else the machine does by then; the loss on what is held out follows. Each measurement has a process of its own.
"""

from __future__ import annotations

import argparse
import itertools
import resource
import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import numpy as np

from samplernn.audio.wav import Recording
from samplernn.corpus.scan import scan_corpus
from samplernn.models.config import Config  # noqa: E402
from samplernn.models.registry import load_config
from samplernn.system.process import in_own_process

FOLDER = Path(__file__).parent.parent / "configs"
BATCH_SIZE = 16
REPEATS = 7
SEED = 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data_dir", nargs="+", help="folders with WAV files to learn from")
    parser.add_argument("--only", nargs="+", help="names of the configs, all by default")
    parser.add_argument("--minutes", type=float, default=10, help="how long to learn")
    arguments = parser.parse_args()
    paths = {path.name.removesuffix(".config.json"): path for path in sorted(FOLDER.glob("*.config.json"))}
    configs = {name: load_config(path) for name, path in paths.items() if name in (arguments.only or paths)}
    a_step = {}
    print(f"{'config':14} {'parameters':>11} {'GB':>5} {'s/step':>7} {'s per s of audio':>17}")
    for name, config in configs.items():
        a_step[name], gigabytes = in_own_process(training, config)
        a_second = in_own_process(generating, config, sample_rate(name))
        print(
            f"{name:14} {config.num_parameters:11,} {gigabytes:5.2f} {a_step[name]:7.3f} {a_second:17.2f}", flush=True
        )
    if not arguments.data_dir:
        return
    corpus = scan_corpus(arguments.data_dir)
    print(f"\n{'config':14} {'steps':>6} {'val_loss':>9}")
    for name, config in configs.items():
        if sample_rate(name) == corpus.sample_rate:
            steps = round(arguments.minutes * 60 / a_step[name])
            print(f"{name:14} {steps:6} {in_own_process(learning, config, corpus.recordings, steps):9.3f}", flush=True)


def sample_rate(name: str) -> int:
    """That a config is meant for, in Hz."""
    return 44100 if name == "44k" else 16000


def training(config: Config) -> tuple[float, float]:
    """The median seconds of a step, and the most memory that the process had, in gigabytes."""
    from bench import training_steps
    from machine import seconds

    work = training_steps(config, BATCH_SIZE, "float32", None)
    a_step = np.median([seconds(work) for _ in range(REPEATS)])
    return float(a_step), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def generating(config: Config, sample_rate: int) -> float:
    """The median seconds that a second of audio takes, one sequence alone."""
    from bench import ITEMS_A_CALL, generation
    from machine import seconds

    work = generation(config, 1, "float32", None)
    calls = round(sample_rate / ITEMS_A_CALL)
    return float(np.median([sum(seconds(work) for _ in range(calls)) for _ in range(REPEATS)]))


def learning(config: Config, recordings: list[Recording], steps: int) -> float:
    """The loss on what is held out after so many steps of training, in nats a sample."""
    import keras

    from samplernn.corpus.loader import Loader
    from samplernn.corpus.split import split_corpus
    from samplernn.options.options import TrainingOptions
    from samplernn.training.loop import evaluate
    from samplernn.training.steps import initial_state, model_to_train, train_step, validation_step

    split = split_corpus(recordings, config.window.length, BATCH_SIZE, val_frac=0.1)
    keras.utils.set_random_seed(SEED)
    model = model_to_train(config, TrainingOptions(data_dir=()))
    step, state = train_step(model), initial_state(model, BATCH_SIZE)
    for window in itertools.islice(windows(split.training, config), steps):
        *_, state = step(*window, state)
    return evaluate(model, validation_step(model), Loader(config, BATCH_SIZE), split.validation)["loss"]


def windows(recordings: list[Recording], config: Config) -> Iterator[tuple[np.ndarray, ...]]:
    """Those of one epoch after another."""
    from samplernn.corpus.loader import Loader

    loader = Loader(config, BATCH_SIZE)
    for epoch in itertools.count():
        yield from loader.training_epoch(recordings, SEED, epoch)[1]


if __name__ == "__main__":
    main()
