"""examples/predictability.py on audio of which it is known how far back lies what predicts it."""

import csv
import importlib
import json
import math
import re
from dataclasses import replace

import matplotlib.image
import numpy as np
import pytest
import soundfile

from samplernn.corpus.codes import read_codes
from samplernn.models.autoencoder.config import VQVAEConfig
from samplernn.models.registry import config_to_dict
from samplernn.options.train import TrainingOptions
from samplernn.training.train import train

PERIOD, FAITH = 4, 0.9  # a sample is that of four before with this probability, else any of the levels
LEVELS = np.array([-0.6, -0.2, 0.2, 0.6])
FILES, WINDOWS = 24, 4  # of which eight are held out
PERIODS = 512 * WINDOWS // PERIOD
predictability = importlib.import_module("examples.predictability")


@pytest.fixture
def run(monkeypatch, run_script):
    """A function that runs the script for some receptive fields, as `run_script` does."""

    def run(*flags, fields=(0,)):
        monkeypatch.setattr(predictability, "RECEPTIVE_FIELDS", fields)
        return run_script(predictability.main, *flags)

    return run


@pytest.fixture
def levels(tmp_path):
    """Which level each sample of each file is of, [files, samples]; the files are in the folder `chunks`."""
    rng = np.random.default_rng(0)
    drawn = rng.integers(0, len(LEVELS), [FILES, PERIODS, PERIOD])
    for now in range(1, PERIODS):
        kept = rng.random([FILES, PERIOD]) < FAITH
        drawn[:, now] = np.where(kept, drawn[:, now - 1], drawn[:, now])
    levels = drawn.reshape(FILES, -1)
    (tmp_path / "chunks").mkdir()
    for number, of_file in enumerate(levels):
        soundfile.write(tmp_path / "chunks" / f"{number}.wav", LEVELS[of_file], 16000)
    return levels


def entropy(counts):
    """Of the last axis of a table, in nats, given the others."""
    share = counts / counts.sum()
    given = counts / counts.sum(axis=-1, keepdims=True)
    return -np.sum(share * np.log(given))


@pytest.mark.long
def test_the_loss_falls_from_the_unigram_entropy_where_what_predicts_comes_into_sight(run, levels, tmp_path):
    status, out, error = run("--data_dir", "chunks", "--steps", "60", fields=(0, PERIOD - 1, PERIOD))
    assert (status, error) == (0, "")
    with (tmp_path / "predictability" / "profile.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["receptive_field"], row["steps"]) for row in rows] == [("0", "60"), ("3", "60"), ("4", "60")]
    unheard, too_short, heard = (float(row["nll_nats"]) for row in rows)
    pairs = np.zeros([len(LEVELS)] * 2)
    np.add.at(pairs, (levels[:, :-PERIOD], levels[:, PERIOD:]), 1)
    unigram, conditional = entropy(np.bincount(levels.ravel())), entropy(pairs)
    assert conditional < unigram - 1
    assert unheard == pytest.approx(unigram, abs=0.05)
    assert too_short == pytest.approx(unigram, abs=0.1)
    assert heard == pytest.approx(conditional, abs=0.1)
    for row, line in zip(rows, [line for line in out.splitlines() if line.startswith("receptive field")]):
        assert float(row["nll_bits"]) == pytest.approx(float(row["nll_nats"]) / math.log(2), abs=1e-3)
        assert f"{float(row['nll_nats']):.3f} nats" in line
    picture = matplotlib.image.imread(tmp_path / "predictability" / "profile.png")
    assert picture.shape[:2] == (400, 700) and len(np.unique(picture)) > 5


@pytest.mark.long
def test_codes_have_a_profile_of_their_own_as_far_back_in_time(run, levels, tmp_path):
    config = tmp_path / "tiny.config.json"
    config.write_text(json.dumps(config_to_dict(replace(VQVAEConfig.tiny(), seq_len=128))))
    below = TrainingOptions(
        data_dir=(str(tmp_path / "chunks"),), id="below", logdir_root=str(tmp_path / "logdir"),
        config_file=str(config), num_epochs=2, batch_size=8, generate=False, jit_compile=False, learning_rate=0.01,
    )  # fmt: skip
    train(below)
    flags = ["--data_dir", "chunks", "--steps", "60", "--codes_from", "logdir/below"]
    status, out, error = run(*flags, fields=(0, 1, 2, 4, 8))
    assert (status, error) == (0, "")
    with (tmp_path / "predictability" / "profile.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["of"], row["receptive_field"]) for row in rows] == [
        *(("sample", field) for field in "01248"),
        *(("code", field) for field in "048"),
    ]
    assert "receptive field    2: " in out and out.count(" bits a code") == 3
    coded = [read_codes(path) for path in (tmp_path / "predictability" / ".codes").glob("*/*.npz")]
    assert len(coded) == FILES
    unheard = float(rows[5]["nll_nats"])
    assert unheard == pytest.approx(
        entropy(np.bincount(np.concatenate([each.codes for each in coded])) + 1e-9), abs=0.1
    )
    assert float(rows[7]["nll_nats"]) < unheard - 0.1
    picture = matplotlib.image.imread(tmp_path / "predictability" / "profile.png")
    assert picture.shape[:2] == (400, 700)


def test_where_there_are_too_few_files_the_remedy_helps(run, levels, tmp_path):
    for number in range(10, FILES):
        (tmp_path / "chunks" / f"{number}.wav").unlink()
    status, _, error = run("--data_dir", "chunks")
    assert status == 2 and error.count("\n") == 1
    remedy = re.search(r"(--batch_size 5) would do", error)[1]
    status, _, error = run("--data_dir", "chunks", "--steps", "1", *remedy.split())
    assert (status, error) == (0, "")


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ("--data_dir nowhere", "--data_dir nowhere: there is no such folder"),
        ("--data_dir chunks --steps 0", "--steps"),
        ("--data_dir chunks --output_dir chunks/0.wav", "--output_dir: chunks/0.wav"),
        ("", "--data_dir"),
    ],
)
def test_misuse_is_one_line_and_leaves_nothing(run, levels, tmp_path, flags, said):
    status, out, error = run(*flags.split())
    assert (status, out) == (2, "") and error.startswith("Error: ") and error.count("\n") == 1
    assert said in error
    assert [path.name for path in tmp_path.iterdir()] == ["chunks"]
