"""What takes minutes: the demo and the notebook as users run them; exact resuming where kernels use several threads."""

import re
import shutil
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import nbformat
import numpy as np
import pytest
import soundfile
from conftest import ROOT
from nbclient import NotebookClient
from torture import assert_equal, torture
from trainings import runs

from samplernn.chunking import chunk_files
from samplernn.config import ChunkOptions, TrainingOptions
from samplernn.training import train

pytestmark = pytest.mark.long


def test_the_demo_learns_and_generates(tmp_path):
    demo = [sys.executable, str(ROOT / "examples" / "demo.py")]
    result = subprocess.run(demo, cwd=tmp_path, capture_output=True, text=True, timeout=1200)
    assert result.returncode == 0, result.stderr
    loss, entropy = map(float, re.search(r"held-out music: ([\d.]+) .*of the data: ([\d.]+)\.", result.stdout).groups())
    assert 0 < loss < entropy - 0.5
    wav = tmp_path / re.search(r"^Listen: (.*)$", result.stdout, re.MULTILINE)[1]
    audio, rate = soundfile.read(wav)
    assert (rate, len(audio)) == (16000, 80000)
    assert 0.001 < np.sqrt(np.mean(audio**2)) < 0.5
    assert (tmp_path / re.search(r"^Look: (.*)$", result.stdout, re.MULTILINE)[1]).read_bytes()[1:4] == b"PNG"


def test_the_notebook_runs_from_top_to_bottom(tmp_path):
    folder = tmp_path / "project"
    for name in ("samplernn", "examples"):
        shutil.copytree(ROOT / name, folder / name)
    for path in [*ROOT.glob("*.py"), *ROOT.glob("requirements*.txt"), ROOT / "pyproject.toml", ROOT / "notebook.ipynb"]:
        shutil.copy(path, folder)
    notebook = nbformat.read(folder / "notebook.ipynb", as_version=4)
    NotebookClient(notebook, kernel_name="python3", resources={"metadata": {"path": folder}}).execute()
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    said = "".join(output.text for output in outputs if output.output_type == "stream")
    assert "Error" not in said and "problem " not in said
    shown = [output.data for output in outputs if output.output_type == "display_data"]
    curves, players, pictures = 2, 1 + 2 + 3 + 3 + 1, 1 + 3 + 1
    assert sum("Audio" in data["text/plain"] for data in shown) == players
    assert sum("image/png" in data for data in shown) == pictures + curves
    generated = {path.name for path in (folder / "notebook-work" / "generated" / "bach").glob("*.wav")}
    assert generated == {f"bach_e={epoch}_t=0.95.wav" for epoch in (1, 2, 3)}
    assert "goes on with epoch 3 of 3" in said and "To train it in full" in said
    assert {"model.ckpt-3.index", "seeded_e=3_t=0.9.wav"} <= {
        Path(name).name for name in zipfile.ZipFile(folder / "notebook-work" / "bach.zip").namelist()
    }


def test_resuming_is_exact_at_the_demos_size(tmp_path):
    piece, chunks = ROOT / "examples" / "demo-chorales.flac", tmp_path / "chunks"
    chunk_files(ChunkOptions((str(piece),), str(chunks), chunk_length=2000))
    options = TrainingOptions(
        data_dir=(str(chunks),),
        logdir_root=str(tmp_path / "logdir"),
        config_file=str(ROOT / "examples" / "demo.config.json"),
        num_epochs=2,
        batch_size=8,
        generate=False,
    )
    train(replace(options, id="whole"))
    train(replace(options, id="parts", num_epochs=1))
    train(replace(options, id="parts"))
    (whole,), (_, last) = (runs(replace(options, id=name)) for name in ("whole", "parts"))
    assert_equal(whole / "model.ckpt-2", last / "model.ckpt-2")


def test_a_training_killed_at_random_moments_loses_nothing(tmp_path):
    figures = torture(tmp_path, kills=8)
    print(figures)
    assert figures.kills >= 8 and figures.while_writing >= 4 and figures.checkpoints_read >= 4


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
