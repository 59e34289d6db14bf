"""Trainings on MIDI: what they learn, against a slow loop, what they say, and what they leave."""

import json
from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf
from plain_piano_roll import plain_descent, plain_weights
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from trainings import runs

from samplernn.checkpoints import store as checkpoints
from samplernn.corpus.data import data_of
from samplernn.corpus.loader import Loader
from samplernn.corpus.split import Split
from samplernn.evaluation.evaluate import evaluate
from samplernn.models import registry
from samplernn.models.config import NO_TARGET
from samplernn.models.pianoroll.config import PianoRollConfig
from samplernn.options.evaluate import EvaluationOptions
from samplernn.training.loop import fit
from samplernn.training.steps import model_to_train
from samplernn.training.train import train

TINY = {"seq_len": 6, "layer_sizes": (3, 2), "note_range": (60, 63)}


def learn(config, folder, options, epochs=1, batch_size=2):
    """A network after gradient descent on all tunes of a folder, and its weights before."""
    recordings = data_of(config).examine([str(folder)]).corpus().recordings
    keras.utils.set_random_seed(0)
    model = model_to_train(config, options)
    for number, variable in enumerate(model.weights):
        variable.assign(tf.random.stateless_normal(variable.shape, [number, 1], stddev=0.5))
    before = plain_weights(model)
    fit(model, Split(recordings, recordings[:1]), batch_size, 0, epochs, [])
    return model, before, recordings


@pytest.mark.parametrize(
    "config",
    [
        pytest.param({}, marks=pytest.mark.long),
        pytest.param({"gradient_clip": 0.02}, marks=pytest.mark.long),
        pytest.param({"passes_per_batch": 3, "layer_rates": (0.5, 2.0, 0.1)}, marks=pytest.mark.long),
        {"tune_length": 5, "l1": 0.01},
        {"cost": "squared error", "onsets": True},
    ],
    ids=lambda config: " ".join(config) or "plain",
)
def test_it_is_gradient_descent_by_a_plain_loop(options, make_tunes, config):
    """Over batches of two tunes, each of a window, of which the last is not full, or behind which there is nothing."""
    config = PianoRollConfig(**TINY, **config)
    folder = make_tunes([6, 4, 3], config)
    options = replace(options, optimizer="sgd", momentum=0.0, learning_rate=0.5)
    model, before, recordings = learn(config, folder, options)
    _, batches = Loader(config, 2).training_epoch(recordings, 0, 0)
    rolls = [[row[row[:, 0] != NO_TARGET] for row in y] for _, y, _ in batches]
    expected = plain_descent(config, before, [[roll for roll in batch if len(roll)] for batch in rolls], 0.5)
    assert [len(batch) for batch in rolls] == [2, 2]
    for key, weight in plain_weights(model).items():
        np.testing.assert_allclose(weight, expected[key], rtol=1e-3, atol=1e-5, err_msg=key)
        assert np.abs(weight - before[key]).max() > 1e-5


@pytest.mark.parametrize(
    "optimizer", ["adam", *(pytest.param(name, marks=pytest.mark.long) for name in ("sgd", "rmsprop"))]
)
def test_a_layer_of_the_rate_0_stays_as_it_was_to_the_bit(options, make_tunes, optimizer):
    config = PianoRollConfig(**TINY, layer_rates=(1.0, 0.0, 1.0), passes_per_batch=2)
    options = replace(options, optimizer=optimizer, learning_rate=0.01)
    model, before, _ = learn(config, make_tunes([6, 9], config), options, epochs=2)
    for key, weight in plain_weights(model).items():
        assert np.array_equal(weight, before[key]) == key.startswith("layer_2/")


@pytest.fixture
def of_tunes(options, make_tunes, tmp_path):
    """A function that gives the options of a training on tunes, with a config."""

    def choose(**config):
        config = replace(PianoRollConfig.tiny(), **config)
        path = tmp_path / "rolls.config.json"
        path.write_text(json.dumps(registry.config_to_dict(config)))
        folder = make_tunes([40, 70, 33, 64, 90, 17, 20], config)
        return replace(options, config_file=str(path), data_dir=(str(folder),))

    return choose


def test_what_it_says_and_leaves(of_tunes, capsys):
    options = replace(of_tunes(), batch_size=4, generate=True, output_file_dur=6.0, val_frac=0.3)
    train(options)
    out = capsys.readouterr().out
    assert out.startswith("Corpus       7 tunes, 1 min 40 sec, 334 steps, 3.50 notes a step\n") and "Hz" not in out
    assert "\nTo validate  2 tunes, " in out and "\nTo train on  5 tunes, " in out
    assert "windows of 8 steps\n" in out
    assert "Epoch: 1/2, Step: 1/" in out and ", Val Accuracy: " in out
    (run,) = runs(options)
    assert (run / "corpus.txt").read_text() == "7 files were examined, 7 of them can be used.\n"
    names = sorted(path.name for path in (run.parent.parent.parent / "generated" / "test").iterdir())
    endings = ("json", "mid", "probabilities.png", "roll.png", "wav")
    assert names == [f"test_e={epoch}_t=0.95.{ending}" for epoch in (1, 2) for ending in endings]
    events = EventAccumulator(str(run / "train"), {"images": 0, "audio": 0}).Reload()
    assert events.Tags()["images"] == [] and len(events.Tags()["tensors"]) > 5
    assert {"clip_0/audio", "clip_0/roll", "clip_0/probabilities"} <= {*events.Tags()["tensors"]}
    assert "python" in out.splitlines()[-1] and "best.mid" in out.splitlines()[-1]
    settings = json.loads((run / "model.ckpt-2.json").read_text())
    assert settings["sample_rate"] is None


@pytest.mark.long
def test_a_squared_error_is_printed_beside_the_nll(of_tunes, capsys):
    train(of_tunes(cost="squared error"))
    lines = capsys.readouterr().out.splitlines()
    (line,) = [line for line in lines if line.startswith("Epoch: 2/2, Loss") and "NLL" in line]
    assert ", NLL: " in line and ", Val NLL: " in line


@pytest.mark.long
def test_a_training_that_goes_on_by_the_beats_keeps_its_tempo(of_tunes):
    options = of_tunes(dt=None, steps_per_beat=4)
    train(replace(options, num_epochs=1))
    train(options)
    for run in runs(options):
        (settings,) = (json.loads(path.read_text()) for path in run.glob("model.ckpt-*.json"))
        assert settings["config"]["tempo"] == 120


@pytest.mark.long
@pytest.mark.parametrize("squared", [True, False])
def test_evaluation_has_the_baselines_of_what_was_trained_on(of_tunes, squared):
    options = of_tunes(**({"cost": "squared error"} if squared else {}))
    train(options)
    (run,) = runs(options)
    checkpoint = run / "model.ckpt-2"
    (row,) = evaluate(EvaluationOptions(checkpoint_path=(str(checkpoint),), held_out=True, jit_compile=False))
    settings = json.loads(checkpoint.with_name("model.ckpt-2.json").read_text())
    data = data_of(registry.config_from_dict(settings["config"]))
    files = {file.name: file for file in data.examine(options.data_dir).corpus().recordings}
    parts = ([files[name] for name in settings["split"][part]] for part in ("validation", "training"))
    held_out, trained_on = parts
    assert row["steps"] == sum(file.frames for file in held_out) and row["files"] == len(held_out)
    assert row["nll_nats"] == pytest.approx(settings["history"][-1]["val_nll" if squared else "val_loss"], rel=1e-6)
    expected = data.baselines(held_out, lambda: trained_on)
    assert {name: row[name] for name in expected} == expected
    assert expected != data.baselines(held_out, list)


@pytest.mark.long
def test_weights_of_rnn4musics_can_be_gone_on_from(options, make_tunes):
    from conftest import GOLDEN

    parameters = GOLDEN / "pianoroll" / "parameters.npz"
    config = registry.FAMILIES["pianoroll"].config(layer_sizes=(20, 16, 12), peephole="original")
    options = replace(
        options,
        data_dir=(str(make_tunes([40, 50, 60], config)),),
        config_file=None,
        init_from=str(parameters),
        learning_rate=1e-9,
        num_epochs=1,
    )
    train(options)
    (run,) = runs(options)
    model, original = registry.build(config), registry.build(config)
    checkpoints.restore(run / "model.ckpt-1", model)
    checkpoints.restore(parameters, original)
    for ours, theirs in zip(model.weights, original.weights):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)
