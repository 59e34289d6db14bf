"""Several checkpoints in one command: each generates what it does alone, and what they share is made once."""

import json
from dataclasses import replace

import pytest
from conftest import GOLDEN
from trainings import runs

from samplernn.generation import stack
from samplernn.generation.generate import generate_from_checkpoints
from samplernn.options.generate import GenerationOptions
from samplernn.system.errors import InputError
from samplernn.training.train import train


@pytest.fixture
def run(options):
    """The folder of a run with three checkpoints."""
    train(replace(options, num_epochs=3, max_checkpoints=None, learning_rate=0.5))
    return runs(options)[0]


@pytest.fixture
def generate(tmp_path):
    """A function that generates, and returns the files by their names."""

    def generate(*checkpoints, folder="out", **flags):
        flags = {"dur": 0.02, "num_seqs": 2, "random_seed": 5, "jit_compile": False} | flags
        paths = map(str, checkpoints)
        options = GenerationOptions(output_path=str(tmp_path / folder / "x.wav"), checkpoint_path=tuple(paths), **flags)
        return {path.name: path for path in generate_from_checkpoints(options)}

    return generate


@pytest.fixture
def built(monkeypatch):
    """The networks for which something is compiled."""
    made = []

    class Noted(stack.Generator):
        def __init__(self, model, *args, **kwargs):
            made.append(model)
            super().__init__(model, *args, **kwargs)

    monkeypatch.setattr(stack, "Generator", Noted)
    return made


def test_each_generates_what_it_does_alone_by_a_network_that_is_built_once(run, generate, built, capsys):
    together = generate(*(run / f"model.ckpt-{epoch}" for epoch in (1, 3, 2, 3)))
    assert len(built) == 1
    assert list(together) == [f"x_e={epoch}({i})_t=0.95.wav" for epoch in (1, 3, 2) for i in (0, 1)]
    assert f"Checkpoint 2 of 3: {run / 'model.ckpt-3'}" in capsys.readouterr().out
    for epoch in (1, 2, 3):
        for name, path in generate(run / f"model.ckpt-{epoch}", folder="alone").items():
            assert path.read_bytes() == together[name].read_bytes()
            told, of_one = (json.loads(file.with_suffix(".json").read_text()) for file in (together[name], path))
            assert told["checkpoint"] == of_one["checkpoint"] and told["checkpoint"]["path"].endswith(f"-{epoch}")
            assert [text.replace("/out/", "/alone/") for text in told["command"]] == of_one["command"]
    assert len({path.read_bytes() for path in together.values()}) == 6


def test_all_of_a_run_are_generated_with(run, generate, capsys):
    names = [f"x_e={epoch}_t=0.95.wav" for epoch in (1, 2, 3)]
    assert list(generate(run, all_checkpoints=True, num_seqs=1)) == names
    assert list(generate(run.parent, all_checkpoints=True, num_seqs=1, folder="other")) == names
    assert list(generate(run, num_seqs=1, folder="latest")) == names[2:]
    told = json.loads((run.parents[2] / "out" / "x_e=2_t=0.95.json").read_text())["command"]
    assert told[told.index("--all_checkpoints") + 1] == "False"
    assert capsys.readouterr().out.count("the latest there") == 1
    with pytest.raises(InputError, match=r"--all_checkpoints: .*model.ckpt-2 is one; name its folder, "):
        generate(run / "model.ckpt-2", all_checkpoints=True)


def test_networks_of_several_kinds_are_each_built(generate, built):
    checkpoints = [GOLDEN / name / "model.ckpt-1" for name in ("lstm-skip", "gru", "gru-linear")]
    assert list(generate(*checkpoints, num_seqs=1)) == ["x_e=1_t=0.95.wav", "x_e=1_t=0.95_1.wav", "x_e=1_t=0.95_2.wav"]
    assert len(built) == 3


@pytest.mark.parametrize("missing", ["model.ckpt-9", "nowhere/model.ckpt-1"])
def test_nothing_is_generated_where_one_is_not_there(run, generate, tmp_path, missing):
    with pytest.raises(InputError, match=f"{missing}: there is no such checkpoint"):
        generate(run / "model.ckpt-1", run / missing)
    assert not (tmp_path / "out").exists()
