"""What the tests share: golden data of the original, tiny models, corpora cut from real music."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

os.environ["CUDA_VISIBLE_DEVICES"] = "-1"  # the figures are exact on the CPU

ROOT = Path(__file__).parent.parent
GOLDEN = Path(__file__).parent / "golden"
MUSIC = ROOT / "examples" / "demo-chorales.flac"
TINY = {"seq_len": 128, "frame_sizes": [4, 16], "dim": 8, "num_rnn_layers": 1, "emb_size": 8}


@pytest.fixture(scope="session")
def music():
    """Ten seconds of the demo piece: float32 [samples], 16 kHz."""
    audio, _ = soundfile.read(MUSIC, frames=160000, start=16000, dtype="float32")
    return audio


@pytest.fixture
def make_corpus(tmp_path, music):
    """A function that writes pieces of music of the given lengths in samples, and returns their folder."""

    def make(lengths, sample_rate=16000, folder="corpus"):
        path = tmp_path / folder
        path.mkdir(exist_ok=True)
        for i, length in enumerate(lengths):
            soundfile.write(path / f"piece_{i}.wav", music[i * 1000 : i * 1000 + length], sample_rate)
        return path

    return make


@pytest.fixture
def tiny_config_file(tmp_path):
    path = tmp_path / "tiny.config.json"
    path.write_text(json.dumps(TINY))
    return str(path)


def load_golden(name):
    """The recorded numbers of one set."""
    with np.load(GOLDEN / name / "golden.npz") as data:
        return dict(data)
