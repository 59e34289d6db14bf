"""What every family's networks do in the user's hands: trained, stopped, resumed, generated from, and measured."""

import json
from dataclasses import replace

import networks
import numpy as np
import pytest
import soundfile
import tensorflow as tf
from networks import randomized
from torture import assert_equal
from trainings import StopAt, runs, with_callback

from samplernn.evaluation.evaluate import evaluate
from samplernn.generation.generate import generate_from_checkpoints
from samplernn.generation.generator import Generator
from samplernn.models import registry
from samplernn.options.evaluate import EvaluationOptions
from samplernn.options.generate import GenerationOptions
from samplernn.training.train import train

TINY = {name: family.config.tiny() for name, family in registry.FAMILIES.items()}
ALONE = [name for name, config in TINY.items() if config.data == "audio" and not config.codes]
NEW = [name for name in registry.FAMILIES if name != registry.DEFAULT_FAMILY]


@pytest.fixture
def of_family(options, tmp_path, make_tunes):
    """A function that has a training be of a family's tiny network, and of what that learns."""

    def choose(name, **changes):
        path = tmp_path / "tiny.config.json"
        path.write_text(json.dumps(registry.config_to_dict(replace(TINY[name], **changes))))
        if TINY[name].data == "audio":
            return replace(options, config_file=str(path))
        folder = make_tunes([40, 70, 33, 64, 90, 17], TINY[name])
        return replace(options, config_file=str(path), data_dir=(str(folder),))

    return choose


DRAWN = {"dropout": 0.2, "transpose": 2, "tune_length": 40, "passes_per_batch": 2}  # anew in each epoch


@pytest.mark.long
@pytest.mark.parametrize(("name", "changes"), [*((name, {}) for name in NEW), ("pianoroll", DRAWN)])
def test_stopping_inside_an_epoch_and_resuming_is_as_never_stopping(of_family, monkeypatch, capsys, name, changes):
    options = replace(of_family(name, **changes), polyak_decay=0.9)
    train(replace(options, id="whole"))
    out = capsys.readouterr().out
    field = TINY[name].receptive_field
    assert field is None or f"\nReceptive field  {field} samples, {field / 16:.1f} ms" in out
    with_callback(monkeypatch, StopAt(1, 3))
    with pytest.raises(KeyboardInterrupt):
        train(replace(options, id="parts"))
    monkeypatch.undo()
    train(replace(options, id="parts"))
    (whole,), (_, last) = (runs(replace(options, id=name)) for name in ("whole", "parts"))
    assert_equal(whole / "model.ckpt-2", last / "model.ckpt-2")


def certain(config):
    """A network of weights that make it certain of its predictions."""
    return randomized(registry.build(config), 7, 1.0)


@pytest.fixture
def saved(tmp_path):
    """A function that saves a network that is certain of its predictions, and returns its path."""

    def save(config):
        return str(networks.saved(certain(config), tmp_path / "model.ckpt-1", arguments={}, sample_rate=16000))

    return save


@pytest.mark.parametrize("name", ALONE)
@pytest.mark.parametrize("seeded", [pytest.param(False, marks=pytest.mark.long), True])
def test_what_is_generated_greedily_is_what_evaluation_expects(tmp_path, music, saved, name, seeded):
    """From silence; behind a seed too, where that is read as a file is, from its start."""
    config = TINY[name]
    if seeded and config.seed_padding < config.window.left:
        pytest.skip("a seed of this family is not read as a file is")
    checkpoint, seed = saved(config), {}
    if seeded:
        soundfile.write(tmp_path / "seed.wav", music[:500], 16000)
        seed = {"seed": str(tmp_path / "seed.wav"), "seed_dur": 0.02, "include_seed": True}
    options = GenerationOptions(
        output_path=str(tmp_path / "out" / "a.wav"),
        checkpoint_path=(checkpoint,),
        dur=0.05,
        top_k=1,
        random_seed=0,
        **seed,
    )
    (path,) = generate_from_checkpoints(options)
    assert len(np.unique(soundfile.read(path)[0][-700:])) > 5  # it is not one level for ever
    assert wrong(checkpoint, path) == (wrong(checkpoint, tmp_path / "seed.wav", 320) if seeded else 0)


@pytest.mark.parametrize("name", ALONE)
def test_of_linear_levels_the_tokens_are_what_validation_expects(name):
    """Not all of them survive being written to a WAV file."""
    config = replace(TINY[name], q_type="linear", q_levels=1000)
    model, window = certain(config), config.window
    silence = np.full([1, window.left], 500)
    pieces = Generator(model, False, top_k=1)(silence, 4 * window.length, [1.0], [[0]])
    items = np.concatenate([silence, *pieces], axis=1).astype(np.int32)
    correct, state = [], model.initial_state(1)
    for start in range(0, 4 * window.length, window.length):
        x = items[:, start : start + window.with_context]
        outcome = model.forward(tf.constant(x), tf.constant(x[:, window.targets]), state, training=False)
        correct.append(int(outcome.sums["correct"]))
        state = outcome.state
    assert correct == [window.length] * 4
    assert len(np.unique(items)) > 20  # it is not one level for ever


def wrong(checkpoint, wav, length=None):
    """How many samples of the first windows of a file are not the likeliest."""
    folder = wav.parent / "evaluated" / wav.stem
    folder.mkdir(parents=True)
    audio, rate = soundfile.read(wav, frames=length or -1, dtype="int16")
    soundfile.write(folder / wav.name, audio, rate)
    data = {"data_dir": (str(folder),), "jit_compile": False}
    (row,) = evaluate(EvaluationOptions(checkpoint_path=(checkpoint,), **data))
    assert row["samples"] == len(audio) // 64 * 64
    return round((1 - row["accuracy"]) * row["samples"])
