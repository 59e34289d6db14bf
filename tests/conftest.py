"""What the tests share: golden data of the original, tiny models, corpora cut from real music."""

import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from samplernn.options.train import TrainingOptions

os.environ["CUDA_VISIBLE_DEVICES"] = "-1"  # the figures are exact on the CPU
for pool in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS"):
    os.environ.setdefault(pool, "1")  # tests run side by side, a process a core
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where the tests are a shell's background job

ROOT = Path(__file__).parent.parent
GOLDEN = Path(__file__).parent / "golden"
MUSIC = ROOT / "examples" / "demo-chorales.flac"
TINY = {"seq_len": 128, "frame_sizes": [4, 16], "dim": 8, "num_rnn_layers": 1, "emb_size": 8}


def pytest_collection_modifyitems(items):
    """Begin with the longest, lest at the end one process works at them while the others have nothing left to do."""
    items.sort(key=lambda item: item.path.name != "test_long.py")


def can_mount():
    mount = ["unshare", "-Urm", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]  # of a namespace of its own, seen by no other
    return shutil.which("unshare") and subprocess.run(mount, capture_output=True).returncode == 0


needs_small_disks = pytest.mark.skipif(not can_mount(), reason="unshare can't mount a file system here")


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
def make_tunes(tmp_path):
    """A function that writes MIDI files of notes at random, of the given lengths in steps, and returns their folder."""

    return lambda lengths, config, folder="tunes": write_tunes(tmp_path / folder, lengths, config)


def write_tunes(folder, lengths, config):
    """Write MIDI files of notes at random, of the given lengths in steps, into a folder, and return it."""
    from samplernn.corpus.rolls import grid_of
    from samplernn.midi.rolls import write_roll

    random = np.random.default_rng(0)
    folder.mkdir(exist_ok=True)
    for i, length in enumerate(lengths):
        sounds = random.random([length, config.num_notes]) < 0.3
        values = random.integers(1, config.values, sounds.shape)
        write_roll(folder / f"tune_{i}.mid", np.where(sounds, values, 0).astype(np.int8), grid_of(config))
    return folder


@pytest.fixture
def overlapping_chunks(tmp_path, music):
    """A folder with six chunks of each of two recordings, each of which begins with what the one before ends with."""
    folder = tmp_path / "chunks"
    folder.mkdir()
    for number in range(1, 7):
        for name, piece in (("x", music), ("y", music[80000:])):
            soundfile.write(folder / f"{name}_chunk_{number}.wav", piece[number * 1024 :][:2100], 16000)
    return folder


@pytest.fixture
def tiny_config_file(tmp_path):
    path = tmp_path / "tiny.config.json"
    path.write_text(json.dumps(TINY))
    return str(path)


@pytest.fixture(autouse=True)
def xla(request):
    """Have nothing compiled by XLA, which takes longer than what is compiled, but in tests that are marked so."""
    if request.node.get_closest_marker("xla"):
        yield
        return
    from samplernn.system import device

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(device, "_xla_works", lambda: False)
        yield


@pytest.fixture
def toy(request):
    """Have a toy for the network of trainings, but for those of tests that are marked as being about the network."""
    if request.node.get_closest_marker("network"):
        yield
        return
    from samplernn.models import registry

    with pytest.MonkeyPatch.context() as patch:
        of_toy = replace(registry.FAMILIES["samplernn"], model="toy:Toy")
        patch.setitem(registry.FAMILIES, "samplernn", of_toy)
        yield


@pytest.fixture
def short_turns(monkeypatch):
    """Have WaveNets generate in loops that take an instant without being compiled."""
    from samplernn.models.wavenet.config import WaveNetConfig

    monkeypatch.setattr(WaveNetConfig, "turns", (16, 4, 1))


@pytest.fixture
def options(tmp_path, make_corpus, tiny_config_file, toy):
    """Of a training that takes an instant."""
    return TrainingOptions(
        data_dir=(str(make_corpus([640] * 6)),),
        id="test",
        logdir_root=str(tmp_path / "logdir"),
        output_dir=str(tmp_path / "generated"),
        config_file=tiny_config_file,
        num_epochs=2,
        batch_size=2,
        generate=False,
        jit_compile=False,  # compiling takes longer than these trainings
    )


@pytest.fixture
def run_script(tmp_path, monkeypatch, capfd):
    """A function that runs a script's `main` in tmp_path and returns its status, and what is on stdout and stderr."""
    from samplernn.commands import cli

    def run(main, *flags):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", ["script.py", *map(str, flags)])
        status = 0
        try:
            cli.run(main)
        except SystemExit as end:
            status = end.code
        return status, *capfd.readouterr()

    return run


def load_golden(name):
    """The recorded numbers of one set."""
    with np.load(GOLDEN / name / "golden.npz") as data:
        return dict(data)


def half_of(data):
    return data[: len(data) // 2]


def damage(path, kind, music):
    """Make `path` a file with a certain damage."""
    if kind.startswith("truncated"):
        format_ = kind.split()[1]
        soundfile.write(path, music, 16000, format=format_, subtype="MPEG_LAYER_III" if format_ == "MP3" else "PCM_16")
        path.write_bytes(half_of(path.read_bytes()))
    elif kind == "header only":
        soundfile.write(path, music, 16000)
        path.write_bytes(path.read_bytes()[:44])
    elif kind in ("NaN", "Inf"):
        soundfile.write(path, np.r_[music, np.float32(kind)], 16000, subtype="FLOAT")
    elif kind == "empty":
        soundfile.write(path, np.zeros(0), 16000)
    elif kind == "unseekable":
        soundfile.write(path, music, 16000, subtype="GSM610")
    elif kind == "zero bytes":
        path.touch()
    else:
        path.write_text("I am a text")
