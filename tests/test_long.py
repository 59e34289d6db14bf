"""The demo and the notebook as users run them; exact resuming where kernels use several threads; kills."""

import json
import math
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import nbformat
import numpy as np
import pytest
import soundfile
from conftest import ROOT, TINY
from nbclient import NotebookClient
from torture import assert_equal, torture

from samplernn.audio.chunking import chunk_files
from samplernn.options.chunk_audio import ChunkOptions

pytestmark = pytest.mark.long


@pytest.fixture
def project(tmp_path):
    """The project, the examples in it at about a tenth of their size."""
    return copy_project(tmp_path / "project", seconds=20, dim=64)


def copy_project(folder, seconds=None, dim=None):
    """What a user has of the project, with the demo's piece cut short and its network made narrower if told so."""
    for name in ("samplernn", "examples", "configs"):
        shutil.copytree(ROOT / name, folder / name)
    for path in [*ROOT.glob("*.py"), *ROOT.glob("requirements*.txt"), ROOT / "pyproject.toml", ROOT / "notebook.ipynb"]:
        shutil.copy(path, folder)
    if seconds:
        piece = folder / "examples" / "demo-chorales.flac"
        audio, rate = soundfile.read(piece, dtype="int16")
        soundfile.write(piece, audio[: seconds * rate], rate)
    if dim:
        config = folder / "examples" / "demo.config.json"
        config.write_text(json.dumps(json.loads(config.read_text()) | {"dim": dim}))
    return folder


def run_demo(project):
    """The loss on held-out music and the unigram entropy that the demo ends with, once all that it made is there."""
    demo = [sys.executable, "examples/demo.py"]
    result = subprocess.run(demo, cwd=project, capture_output=True, text=True, timeout=1200)
    assert result.returncode == 0, result.stderr
    wav = project / re.search(r"^Listen: (.*)$", result.stdout, re.MULTILINE)[1]
    audio, rate = soundfile.read(wav)
    assert (rate, len(audio)) == (16000, 80000)
    assert 0.001 < np.sqrt(np.mean(audio**2)) < 0.5
    assert (project / re.search(r"^Look: (.*)$", result.stdout, re.MULTILINE)[1]).read_bytes()[1:4] == b"PNG"
    return tuple(map(float, re.search(r"held-out music: ([\d.]+) .*of the data: ([\d.]+)\.", result.stdout).groups()))


def run_notebook(project):
    """Run the notebook from top to bottom, and look whether all that it shows and makes is there."""
    notebook = nbformat.read(project / "notebook.ipynb", as_version=4)
    NotebookClient(notebook, kernel_name="python3", resources={"metadata": {"path": project}}).execute()
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    said = "".join(output.text for output in outputs if output.output_type == "stream")
    assert "Error" not in said and "problem " not in said
    shown = [output.data for output in outputs if output.output_type == "display_data"]
    curves, players, pictures = 2, 1 + 2 + 3 + 3 + 1, 1 + 3 + 1
    assert sum("Audio" in data["text/plain"] for data in shown) == players
    assert sum("image/png" in data for data in shown) == pictures + curves
    generated = {path.name for path in (project / "notebook-work" / "generated" / "bach").glob("*.wav")}
    assert generated == {f"bach_e={epoch}_t=0.95.wav" for epoch in (1, 2, 3)}
    assert "goes on with epoch 3 of 3" in said and "To train it in full" in said
    assert {"model.ckpt-3.index", "seeded_e=3_t=0.9.wav"} <= {
        Path(name).name for name in zipfile.ZipFile(project / "notebook-work" / "bach.zip").namelist()
    }


def test_the_stack_goes_from_chunks_to_a_picture_of_all_levels(project):
    for name in ("below", "top"):
        config = project / "examples" / f"stack-{name}.config.json"
        config.write_text(json.dumps(json.loads(config.read_text()) | {"num_stages": 3, "skip_size": 8}))
    stack = [sys.executable, "examples/stack.py"]
    result = subprocess.run(stack, cwd=project, capture_output=True, text=True, timeout=1200)
    assert result.returncode == 0, result.stderr
    assert (project / "stack" / "levels.png").read_bytes()[1:4] == b"PNG"
    above, below = json.loads((project / "stack" / "levels.json").read_text())
    np.testing.assert_allclose(above["bound_nats"], below["nll_nats"] + above["nll_nats"] / 8)
    assert above["bound_nats"] < above["baseline_nats"] / 8 + below["baseline_nats"]
    wavs = re.search(r"^Listen: (.*)$", result.stdout, re.MULTILINE)[1].split(", ")
    assert [len(soundfile.read(project / wav)[0]) for wav in wavs] == [32000] * 3


def run_demo_on_midi(project):
    """The losses that it ends with, the network's first, once all that it made is there."""
    demo = [sys.executable, "examples/demo_midi.py"]
    result = subprocess.run(demo, cwd=project, capture_output=True, text=True, timeout=1200)
    assert result.returncode == 0, result.stderr
    *_, opened, heard, seen, losses = result.stdout.splitlines()
    for line, title, start in (
        (opened, "Open: ", b"MThd"), (heard, "Listen: ", b"RIFF"), (seen, "Look: ", b"\x89PNG"),
    ):  # fmt: skip
        assert line.startswith(title) and (project / line.removeprefix(title)).read_bytes().startswith(start)
    return [float(number) for number in re.findall(r"\d+\.\d+(?= nats|;|\.$)", losses)]


def test_the_demo_on_midi_learns_and_composes(project):
    demo = project / "examples" / "demo_midi.py"
    demo.write_text(demo.read_text().replace("num_epochs=60", "num_epochs=15"))
    loss, marginals, _ = run_demo_on_midi(project)
    assert 0 < loss < marginals


@pytest.mark.shown
def test_the_demo_on_midi_learns_at_its_full_size(tmp_path):
    loss, marginals, markov = run_demo_on_midi(copy_project(tmp_path / "project"))
    assert 0 < loss < markov - 1 < marginals - 1


def test_the_demo_learns_and_generates(project):
    loss, _ = run_demo(project)
    assert 0 < loss < math.log(256) - 0.5


def test_the_notebook_runs_from_top_to_bottom(project):
    run_notebook(project)


@pytest.mark.shown
def test_the_demo_learns_at_its_full_size(tmp_path):
    loss, entropy = run_demo(copy_project(tmp_path / "project"))
    assert 0 < loss < entropy - 0.5


@pytest.mark.shown
def test_the_notebook_runs_at_its_full_size(tmp_path):
    run_notebook(copy_project(tmp_path / "project"))


def test_resuming_is_exact_where_kernels_use_several_threads(tmp_path):
    """With the demo's network."""
    piece, chunks = ROOT / "examples" / "demo-chorales.flac", tmp_path / "chunks"
    chunk_files(ChunkOptions((str(piece),), str(chunks), chunk_length=250))
    for path in sorted(chunks.glob("*.wav"))[24:]:
        path.unlink()

    def train(id_, num_epochs):
        flags = ["--data_dir", "chunks", "--config_file", ROOT / "examples" / "demo.config.json", "--batch_size", "8"]
        flags += ["--id", id_, "--num_epochs", num_epochs, "--generate", "False"]
        command = [sys.executable, ROOT / "train.py", *flags]
        environment = {**os.environ, "TF_NUM_INTRAOP_THREADS": "2", "TF_NUM_INTEROP_THREADS": "2"}
        subprocess.run(list(map(str, command)), cwd=tmp_path, env=environment, check=True, timeout=600)
        return max((tmp_path / "logdir" / id_).iterdir(), key=lambda folder: folder.stat().st_mtime)

    whole = train("whole", 2)
    train("parts", 1)
    assert_equal(whole / "model.ckpt-2", train("parts", 2) / "model.ckpt-2")


@pytest.mark.parametrize(
    "model",
    ["samplernn", *(pytest.param(name, marks=pytest.mark.shown) for name in ("wavenet", "vqvae", "pianoroll"))],
)
def test_a_training_killed_at_random_moments_loses_nothing(tmp_path, model):
    figures = torture(tmp_path, kills=4, model=model)
    print(figures)
    assert figures.kills >= 4 and figures.while_writing >= 2 and figures.checkpoints_read >= 2


@pytest.mark.alone
def test_two_runs_of_one_id_in_the_same_second_have_folders_of_their_own(tmp_path, make_corpus, tiny_config_file):
    corpus = make_corpus([640] * 4)
    command = [sys.executable, str(ROOT / "train.py"), "--data_dir", str(corpus), "--config_file", tiny_config_file]
    flags = ["--batch_size", "2", "--num_epochs", "3", "--output_file_dur", "0.05", "--jit_compile", "False"]
    processes = [
        subprocess.Popen([*command, *flags, "--resume", "False"], cwd=tmp_path, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    outputs = [process.communicate(timeout=600)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    folders = [Path(re.search(r"Run folder +(.*)", output)[1]) for output in outputs]
    assert folders[0] != folders[1]
    names = sorted(path.name for path in (tmp_path / folders[0]).iterdir())
    assert names == sorted(path.name for path in (tmp_path / folders[1]).iterdir())
    assert {f"model.ckpt-{epoch}.index" for epoch in (1, 2, 3)} <= set(names)
    written = [line for output in outputs for line in output.splitlines() if line.startswith("Wrote ")]
    assert len(set(written)) == 6 and len(list(tmp_path.glob("generated/default/*.wav"))) == 6
    assert_equal(*(tmp_path / folder / "model.ckpt-3" for folder in folders))


def test_a_night_that_is_killed_goes_on(project):
    (project / "tiny.config.json").write_text(json.dumps(TINY))
    night = [
        *(sys.executable, "examples/overnight.py", "--input_file", "examples/demo-chorales.flac"),
        *("--config_file", "tiny.config.json", "--chunk_length", "1000", "--batch_size", "2", "--num_epochs", "4"),
        *("--every", "2", "--num_seqs", "2", "--dur", "3"),
    ]
    clips, page = project / "night" / "clips", project / "night" / "gallery" / "index.html"
    process = subprocess.Popen(night, cwd=project, stdout=subprocess.PIPE, text=True, start_new_session=True)
    for line in process.stdout:  # killed while the second round is generated
        if "generate.py" in line and "epoch_0004" in line:
            break
    while not (clips / "epoch_0004").exists():
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    first = {path: path.read_bytes() for path in (clips / "epoch_0002").iterdir()}
    assert len(first) == 4 and page.exists()
    result = subprocess.run(night, cwd=project, capture_output=True, text=True, timeout=600)
    assert result.returncode == 0, result.stderr
    assert "train.py" not in result.stdout  # both rounds were trained for before
    assert {path: path.read_bytes() for path in (clips / "epoch_0002").iterdir()} == first
    names = [f"clip_e={epoch}({i})_t=0.95.wav" for epoch in (2, 4) for i in range(2)]
    assert sorted(path.name for path in clips.rglob("*.wav")) == names
    assert all(name in page.read_text() for name in names)
