"""How well a piano-roll LSTM predicts the rolls of Boulanger-Lewandowski et al. (2012), beside what was published.

    python benchmarks/pianoroll.py --rolls jsb-chorales.npz --random_seed 0 1 2

The file has `train`, `valid` and `test`, uint8 [steps, 88] of notes from 21 on, and in `train_lengths` and so on how
many steps each tune has. They are written as MIDI and trained on as any files are, for a given time, in which the rate
falls to nothing. The weights of the epoch that predicts the validation part best predict the test part.
"""

from __future__ import annotations

import math
import sys
import tempfile
import time
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from zipfile import BadZipFile

sys.path.insert(0, str(Path(__file__).parent.parent))

import keras
import numpy as np

from samplernn.audio.wav import Recording
from samplernn.commands import cli
from samplernn.commands.flags import Parser
from samplernn.corpus.corpus import accepted
from samplernn.corpus.data import data_of
from samplernn.corpus.loader import Loader
from samplernn.corpus.split import Split
from samplernn.midi.rolls import write_roll
from samplernn.models.config import Config
from samplernn.models.model import Model
from samplernn.models.pianoroll.config import PianoRollConfig
from samplernn.options.option import option, options_of, with_default
from samplernn.options.train import TrainingOptions
from samplernn.options.values import PATH, POSITIVE, several, whole
from samplernn.system.device import prepare_device
from samplernn.system.errors import InputError
from samplernn.training.loop import fit, sums_over
from samplernn.training.steps import model_to_train, validation_step

PARTS = ("train", "valid", "test")
PUBLISHED = {  # NLL of the test parts, nats a step
    "RNN (Boulanger-Lewandowski 2012)": {"nottingham": 4.46, "jsb": 8.71, "musedata": 8.13, "piano-midi": 8.37},
    "LSTM (Chung 2014)": {"nottingham": 3.20, "jsb": 8.67, "musedata": 6.23, "piano-midi": 9.03},
    "GRU (Chung 2014)": {"nottingham": 3.23, "jsb": 8.54, "musedata": 5.99, "piano-midi": 8.82},
    "LSTM (Bai 2018)": {"nottingham": 3.29, "jsb": 8.45},
    "TCN (Bai 2018)": {"nottingham": 3.07, "jsb": 8.10},
    "RNN-NADE (2012), whose notes depend on each other": {
        "nottingham": 2.31, "jsb": 5.19, "musedata": 5.60, "piano-midi": 7.05,
    },
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Options:
    """What the flags are."""

    rolls: str = option(MISSING, PATH, "npz with the parts of a set, whose name tells which")
    layer_sizes: tuple[int, ...] = with_default(PianoRollConfig, "layer_sizes", (120, 120, 120))
    seq_len: int = with_default(PianoRollConfig, "seq_len", 32)
    cell_clip: float | None = with_default(PianoRollConfig, "cell_clip", 10.0)
    dropout: float = with_default(PianoRollConfig, "dropout", 0.2)
    transpose: int = with_default(PianoRollConfig, "transpose", 5)
    learning_rate: float = with_default(TrainingOptions, "learning_rate", 0.005)
    batch_size: int = with_default(TrainingOptions, "batch_size", 16)
    minutes: float = option(10.0, POSITIVE, "that a training takes")
    random_seed: tuple[int, ...] = option((0,), several(whole(0)), "a training for each")


class AnnealRate(keras.callbacks.Callback):
    """Lets the learning rate fall over a time, as half a cosine, and ends the training behind it."""

    def __init__(self, rate: float, seconds: float):
        super().__init__()
        self._rate, self._begin, self._seconds = rate, time.monotonic(), seconds

    def on_train_batch_begin(self, batch, logs=None):
        self.model.optimizer.learning_rate = self._rate * (1 + math.cos(math.pi * min(1, self._passed))) / 2

    def on_epoch_end(self, epoch, logs=None):
        if self._passed >= 1:
            self.model.stop_training = True

    @property
    def _passed(self) -> float:
        """What part of the time is over."""
        return (time.monotonic() - self._begin) / self._seconds


class KeepBest(keras.callbacks.Callback):
    """Keeps the weights with which the validation part was predicted best.

    Attributes:
        best: the validation loss with them.
        weights: as the model has them.
    """

    def __init__(self):
        super().__init__()
        self.best, self.weights = np.inf, None

    def on_epoch_end(self, epoch, logs=None):
        if logs["val_loss"] < self.best:
            self.best, self.weights = logs["val_loss"], self.model.get_weights()
        print(f"Epoch {epoch + 1}: {logs['loss']:.3f}, validation {logs['val_loss']:.3f}", flush=True)


def main() -> None:
    given = Options(**Parser(__doc__.splitlines()[0], options_of(Options)).parse())
    prepare_device()
    rolls = Path(given.rolls)
    of_network = {field.name for field in fields(PianoRollConfig)}
    config = PianoRollConfig(**{name: value for name, value in vars(given).items() if name in of_network})
    with tempfile.TemporaryDirectory() as folder:
        parts = {part: write_part(rolls, part, Path(folder, part), config) for part in PARTS}
        tested = [train_and_test(config, parts, random_seed, given) for random_seed in given.random_seed]
        baselines = data_of(config).baselines(parts["test"], lambda: parts["train"])
    print(table(rolls.stem, baselines, tested, config))


def write_part(rolls: Path, part: str, folder: Path, config: Config) -> list[Recording]:
    """Write the tunes of a part as MIDI: what a corpus in that folder consists of.

    Raises:
        InputError: the file is no such set.
    """
    try:
        with np.load(rolls, allow_pickle=False) as arrays:
            tunes = np.split(arrays[part].astype(np.int8), np.cumsum(arrays[f"{part}_lengths"])[:-1])
    except (OSError, KeyError, ValueError, BadZipFile) as error:
        raise InputError(f"--rolls {rolls}: {error}; name an npz of rolls in three parts") from None
    folder.mkdir()
    for number, tune in enumerate(tunes):
        write_roll(folder / f"{number}.mid", tune, data_of(config).grid)
    return accepted(data_of(config).examine([str(folder)])).recordings


def train_and_test(
    config: Config, parts: dict[str, list[Recording]], random_seed: int, given: Options
) -> dict[str, float]:
    """What a network measures of the test part, and its loss of the validation part, as `validation`."""
    options = TrainingOptions(data_dir=("",), learning_rate=given.learning_rate)
    keras.utils.set_random_seed(random_seed)
    model, kept = model_to_train(config, options), KeepBest()
    watching = [AnnealRate(given.learning_rate, 60 * given.minutes), kept]
    fit(model, Split(parts["train"], parts["valid"]), given.batch_size, random_seed, 10**6, watching)
    model.set_weights(kept.weights)
    return measured(model, parts["test"], given.batch_size) | {"validation": kept.best}


def measured(model: Model, recordings: list[Recording], batch_size: int) -> dict[str, float]:
    """What the model measures of recordings."""
    return model.measures(sums_over(model, validation_step(model), Loader(model.config, batch_size), recordings))


def table(name: str, baselines: dict[str, float], tested: list[dict[str, float]], config: Config) -> str:
    """In Markdown: the NLL of a set's test part, nats a step, and the accuracy of notes."""
    rows = [f"| {name}, test part | NLL | Accuracy |", "|---|---|---|"]
    rows.append(f"| note marginals | {baselines['marginals_nats']:.2f} | |")
    rows.append(f"| Markov chain of each note | {baselines['markov_nats']:.2f} | |")
    rows.append(f"| the last step repeated | | {baselines['repeated_accuracy']:.1%} |")
    for who, figures in PUBLISHED.items():
        rows += [f"| {who} | {nll:.2f} | |" for of, nll in figures.items() if name.startswith(of)]
    nll, accuracy = ([each[measure] for each in tested] for measure in ("loss", "accuracy"))
    each = f" ({', '.join(f'{loss:.3f}' for loss in nll)})" if len(nll) > 1 else ""
    ours = f"this one, {config.num_parameters / 1e6:.1f} M parameters, mean of {len(nll)}"
    rows.append(f"| {ours} | {np.mean(nll):.3f}{each} | {np.mean(accuracy):.1%} |")
    return "\n".join(rows)


if __name__ == "__main__":
    cli.run(main)
