"""samplernn-pytorch's checkpoints under the commands: what takes them does, and what is in them is never executed."""

import json
import os
import pickle
import shutil
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from conftest import GOLDEN, ROOT
from deepsound import FILES, NAMES, config_of, load_network
from trainings import runs

from samplernn.checkpoints import run_folders
from samplernn.checkpoints import store as checkpoints
from samplernn.checkpoints.settings import model_config
from samplernn.evaluation.evaluate import evaluate
from samplernn.generation.generate import generate_from_checkpoints
from samplernn.models.registry import build, config_from_dict
from samplernn.options.evaluate import EvaluationOptions
from samplernn.options.generate import GenerationOptions
from samplernn.system.errors import InputError
from samplernn.training.train import train


@pytest.fixture
def folder(tmp_path):
    """With both files of one network, and its config beside them."""
    for file in FILES:
        shutil.copy(GOLDEN / NAMES[1] / file, tmp_path / file)
    (tmp_path / "its.config.json").write_text(json.dumps(config_of(NAMES[1])))
    return tmp_path


def test_what_lies_beside_one_under_its_name_is_no_hindrance(folder):
    shutil.move(folder / "its.config.json", folder / f"{FILES[0]}.config.json")
    (folder / f"{FILES[0]}.wav").touch()
    assert run_folders.resolve(str(folder / FILES[0])) == folder / FILES[0]
    assert model_config(folder / FILES[0], None).to_dict() == config_from_dict(config_of(NAMES[1])).to_dict()


def test_a_config_with_skip_connections_is_not_its(folder):
    config = config_from_dict(config_of(NAMES[1]) | {"skip_conn": True})
    with pytest.raises(InputError, match=r"is of a network of samplernn-pytorch; give a config .* without skip_conn"):
        checkpoints.restore(folder / FILES[0], build(config))


@pytest.mark.parametrize("file", FILES)
def test_audio_is_generated_from_one(folder, capsys, file):
    options = GenerationOptions(
        output_path=str(folder / "out.wav"), checkpoint_path=(str(folder / file),), dur=0.05, random_seed=1, num_seqs=2
    )
    paths = generate_from_checkpoints(options)
    assert [path.name for path in paths] == ["out_e=1(0)_t=0.95.wav", "out_e=1(1)_t=0.95.wav"]
    assert all(soundfile.info(path).frames == 800 for path in paths)
    made = json.loads(paths[0].with_suffix(".json").read_text())
    assert made["checkpoint"]["path"] == str(folder / file) and made["config"]["network"] == "deepsound"
    assert capsys.readouterr().out.count("samplernn-pytorch stretches each file") == 1


@pytest.mark.long
@pytest.mark.network
def test_a_training_begins_with_the_weights_of_one(options, folder, capsys):
    options = replace(
        options, config_file=str(folder / "its.config.json"), num_epochs=1, init_from=str(folder / FILES[0])
    )
    train(replace(options, learning_rate=1e-12))
    (run,) = runs(options)
    trained = build(config_from_dict(config_of(NAMES[1])))
    checkpoints.restore(run / "model.ckpt-1", trained)
    for ours, theirs in zip(trained.trainable_variables, load_network(NAMES[1]).trainable_variables, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)
    assert f"Beginning with the weights of {folder / FILES[0]}" in capsys.readouterr().out


def test_no_training_is_resumed_from_one(options, folder):
    options = replace(options, config_file=str(folder / "its.config.json"), resume_from=str(folder / FILES[0]))
    with pytest.raises(InputError, match="--resume_from .* --init_from begins a new training"):
        train(options)
    assert not Path(options.logdir_root).exists()


class Touch:
    """A pickle of it makes a file when Python reads it."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


def malicious(folder, kind):
    """A checkpoint that would make a file `harm`."""
    path, payload = folder / f"{kind}-ep1-it1", pickle.dumps({"model.h0": Touch(folder / "harm")}, 2)
    if kind == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("ep1-it1/data.pkl", payload)
    elif kind == "stream":
        path.write_bytes(b"".join(pickle.dumps(part, 2) for part in (0x1950A86A20F9469CFC6C, 1001, {})) + payload)
    else:
        path.write_bytes(payload)
    return path


@pytest.mark.parametrize(("kind", "said"), [("zip", "system"), ("stream", "system"), ("pickle", "not a checkpoint")])
def test_what_is_in_one_is_not_executed(options, folder, kind, said):
    path, config = malicious(folder, kind), str(folder / "its.config.json")
    generation = GenerationOptions(output_path=str(folder / "o.wav"), checkpoint_path=(str(path),), config_file=config)
    evaluation = EvaluationOptions(checkpoint_path=(str(path),), data_dir=options.data_dir, config_file=config)
    training = replace(options, init_from=str(path), config_file=config)
    for command, its in ((generate_from_checkpoints, generation), (evaluate, evaluation), (train, training)):
        with pytest.raises(InputError, match=said) as refused:
            command(its)
        assert str(path) in str(refused.value)
    assert not (folder / "harm").exists()
    if kind != "zip":  # Python's own reading does, so that this test could fail
        with path.open("rb") as file:
            for _ in range(4 if kind == "stream" else 1):
                pickle.load(file)
        assert (folder / "harm").exists()


@pytest.mark.long
def test_the_command_ends_in_one_line_and_with_status_2(folder):
    flags = ["--checkpoint_path", malicious(folder, "stream"), "--output_path", folder / "out.wav"]
    command = [sys.executable, str(ROOT / "generate.py"), *map(str, flags)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert result.returncode == 2
    assert len(result.stderr.splitlines()) == 1 and result.stderr.startswith("Error: ")
    assert not (folder / "harm").exists() and not (folder / "out.wav").exists()
