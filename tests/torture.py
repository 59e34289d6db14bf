"""Kill a training on real audio at random moments, resuming it each time, and see that nothing is lost.

    python tests/torture.py --kills 100

Half of the kills (SIGKILL) hit it while a checkpoint is being written, the others wherever they hit, from the start of
the process on. In every second life checkpoints are also written inside epochs.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import tensorflow as tf

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from samplernn.audio.chunking import chunk_files  # noqa: E402
from samplernn.checkpoints import run_folders  # noqa: E402
from samplernn.checkpoints.settings import read_settings  # noqa: E402
from samplernn.options.chunk_audio import ChunkOptions  # noqa: E402

CONFIGS = {  # much to write, little to compute, as far as a WaveNet can be that
    "samplernn": {"seq_len": 1024, "frame_sizes": [64, 256], "dim": 192, "num_rnn_layers": 1, "emb_size": 64},
    "wavenet": {
        "model": "wavenet",
        "seq_len": 1024,
        "q_type": "linear",
        "q_levels": 1024,
        "num_repeats": 1,
        "num_stages": 2,
        "residual_size": 1024,
        "inner_size": 4,
        "skip_size": 8,
        "dropout": 0.1,
    },
}
CONFIGS["vqvae"] = {
    "model": "vqvae",
    "seq_len": 1024,
    "code_size": 4096,
    "restart_after": 2,
    **{"encoder_repeats": 1, "encoder_stages": 1, "encoder_size": 4},
    **{"modulator_repeats": 1, "modulator_stages": 1, "modulator_size": 4},
    **{"num_repeats": 1, "num_stages": 2, "residual_size": 4, "inner_size": 4, "skip_size": 8},
}
CONFIGS["pianoroll"] = {
    "model": "pianoroll",
    "seq_len": 4,
    "layer_sizes": [400],
    "dropout": 0.1,
    "transpose": 5,
    "tune_length": 10,
    "passes_per_batch": 2,
}
FILES, CHUNK_LENGTH = 4, 250  # half of them to validate with, of MIDI one of three; milliseconds
STEPS = 3  # of an epoch, 4000 // 1024; of MIDI 10 / 4, rounded up
FLAGS = {
    "batch_size": 2,
    "generate": False,
    "early_stopping_patience": None,
    "jit_compile": False,
    "max_checkpoints": 2,
}
ENDLESS = 10**6  # epochs
PATIENCE = 180  # seconds for a process to get where it is killed
SHARE = 0.1  # of the time, at least, in which a checkpoint is being written


@dataclass
class Figures:
    """What was seen."""

    kills: int = 0
    while_writing: int = 0
    share_of_writing: float = 0.0
    epochs: int = 0
    steps_lost: list[int] = field(default_factory=list)
    checkpoints_read: int = 0

    def __str__(self) -> str:
        lost = self.steps_lost
        return (
            f"{self.kills} kills, {self.while_writing} of them while a checkpoint was being written (which took"
            f" {100 * self.share_of_writing:.0f}% of an undisturbed run's time); every resume succeeded.\n"
            f"Lost: at most {max(lost)} steps, on average {statistics.mean(lost):.1f}, of an interval of {STEPS}.\n"
            f"{self.checkpoints_read} checkpoints were left, all readable; no index named a missing file.\n"
            f"After {self.epochs} epochs all weights and losses equal those of a run that was never killed."
        )


class Life:
    """A process of train.py, from its start to its end."""

    def __init__(self, folder: Path, id_: str, num_epochs: int = ENDLESS, **flags):
        self._runs = folder / "logdir" / id_
        self._before = set(self._run_folders())
        command = [sys.executable, str(ROOT / "train.py"), "--data_dir", str(folder / "chunks"), "--id", id_]
        flags = {**FLAGS, "config_file": folder / "torture.config.json", "num_epochs": num_epochs, **flags}
        self._log = folder / "log.txt"
        with self._log.open("w") as log:
            self.process = subprocess.Popen(
                command + [text for name, value in flags.items() for text in (f"--{name}", str(value))],
                cwd=folder,
                env={**os.environ, "CUDA_VISIBLE_DEVICES": "-1"},
                stdout=log,
                stderr=log,
            )

    def _run_folders(self) -> list[Path]:
        return sorted(self._runs.glob("*")) if self._runs.is_dir() else []

    @property
    def log(self) -> str:
        return self._log.read_text()

    def writes(self) -> bool:
        """Whether a checkpoint is being written, or was when the process ended."""
        return any(any(folder.glob(".*.ckpt-*.part")) for folder in self._run_folders() if folder not in self._before)

    def wait_for(self, condition) -> None:
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert self.process.poll() is None and time.monotonic() < deadline, self.log
            time.sleep(0.0005)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def end(self) -> None:
        assert self.process.wait() == 0, self.log

    def last_step(self) -> int | None:
        """The number of the last step that was printed, from the first epoch's first."""
        printed = re.findall(r"^Epoch: (\d+)/\d+, Step: (\d+)/", self.log, re.MULTILINE)
        return _steps(*printed[-1]) if printed else None

    def first_step(self) -> int | None:
        """The number of the step with which it says to go on."""
        said = re.search(r"It goes on with epoch (\d+) of \d+, step (\d+)", self.log)
        return _steps(*said.groups()) if said else None


def _steps(epoch: str, step: str) -> int:
    return (int(epoch) - 1) * STEPS + int(step)


def torture(folder: Path, kills: int, model: str, seed: int = 0, report=lambda text: None) -> Figures:
    """Do it in an empty folder.

    Raises:
        AssertionError: something was lost.
    """
    rng, figures = random.Random(seed), Figures()
    prepare(folder, model)
    figures.share_of_writing = share_of_writing(folder)

    done = None  # the last step that the life before had printed
    while figures.kills < kills or figures.while_writing < kills / 2:
        flags = {"checkpoint_every_minutes": 0.004} if rng.random() < 0.5 else {}
        life = Life(folder, "killed", **flags)
        kill_somewhere(life, rng, writing=figures.while_writing < kills / 2 and rng.random() < 0.6)
        figures.kills += 1
        figures.while_writing += life.writes()
        if done is not None and life.first_step():
            figures.steps_lost.append(done + 1 - life.first_step())
            assert figures.steps_lost[-1] <= STEPS, (done, life.log)
        assert "Error" not in life.log and "Traceback" not in life.log, life.log
        done = max(filter(None, [life.last_step(), done]), default=None)
        check_state_files(folder)
        report(f"{figures.kills} kills, {figures.while_writing} while writing, {done} steps")

    figures.epochs = done // STEPS + 2
    Life(folder, "killed", figures.epochs).end()
    Life(folder, "whole", figures.epochs).end()
    figures.checkpoints_read = read_all(folder)
    assert_equal(*(run_folders.latest(folder / "logdir" / id_) for id_ in ("killed", "whole")))
    return figures


def prepare(folder: Path, model: str) -> None:
    """Write the corpus and the config of a family."""
    if model == "pianoroll":
        shutil.copytree(ROOT / "tests" / "midi", folder / "chunks", ignore=shutil.ignore_patterns("*.py"))
    else:
        piece = ROOT / "examples" / "demo-chorales.flac"
        chunk_files(ChunkOptions((str(piece),), str(folder / "chunks"), CHUNK_LENGTH))
        for path in sorted((folder / "chunks").glob("*.wav"))[FILES:]:
            path.unlink()
    (folder / "torture.config.json").write_text(json.dumps(CONFIGS[model]))


def kill_somewhere(life: Life, rng: random.Random, writing: bool) -> None:
    """Kill a process, if wanted in the midst of writing one of its first checkpoints."""
    if not writing:
        if rng.random() < 0.8:  # else it may be any moment of the start
            life.wait_for(life.last_step)
        time.sleep(rng.uniform(0, 4))
    else:
        for _ in range(rng.randint(1, 4)):
            life.wait_for(lambda: not life.writes())
            life.wait_for(life.writes)
        time.sleep(rng.uniform(0, 0.05))
    life.kill()


def share_of_writing(folder: Path) -> float:
    """The part of the time between the first step and the last of a run in which a checkpoint is being written."""
    life, seen = Life(folder, "share", 20), []
    life.wait_for(life.last_step)
    while life.process.poll() is None and "Epoch: 20/" not in life.log:
        seen.append(life.writes())
        time.sleep(0.002)
    life.end()
    return statistics.mean(seen)


def check_state_files(folder: Path) -> None:
    """The `checkpoint` file of every run names files that are there."""
    for state in folder.glob("logdir/*/*/checkpoint"):
        for name in re.findall(r'"(.+)"', state.read_text()):
            assert list(state.parent.glob(f"{name}.index")) and list(state.parent.glob(f"{name}.data-*")), (state, name)


def read_all(folder: Path) -> int:
    """Read every tensor of every checkpoint that has an index; how many there are."""
    indices = list(folder.glob("logdir/*/*/*.index"))
    for index in indices:
        read(index.with_suffix(""))
        assert read_settings(index.with_suffix(""))
    return len(indices)


def read(checkpoint: Path) -> dict[str, np.ndarray]:
    reader = tf.train.load_checkpoint(str(checkpoint))
    return {key: reader.get_tensor(key) for key in reader.get_variable_to_shape_map()}


def assert_equal(first: Path, second: Path) -> None:
    """Two checkpoints of the same place hold the same tensors, to the bit, and the same losses until then."""
    assert first.name == second.name, (first, second)
    ours, theirs = read(first), read(second)
    assert ours.keys() == theirs.keys()
    for key, value in ours.items():
        np.testing.assert_array_equal(value, theirs[key], err_msg=key)
    ours, theirs = (read_settings(checkpoint)["history"] for checkpoint in (first, second))
    assert ours == theirs


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=100, help="how many, at least")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="torture-") as where:
        found = torture(Path(where), arguments.kills, "samplernn", arguments.seed, lambda text: print(text, flush=True))
    print(found)
    # Not a part of the test, for other work on the machine changes it.
    assert found.share_of_writing >= SHARE, "writing takes too little of the time to be hit by chance"
