"""Averages of weights, against the sum written out, and what takes their place when."""

from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import TINY
from torture import assert_equal, read
from toy import Toy
from trainings import StopAt, runs, with_callback

from samplernn.checkpoints import store
from samplernn.corpus.loader import Loader
from samplernn.corpus.scan import scan_corpus
from samplernn.models.optimizer import make_optimizer
from samplernn.models.samplernn.config import SampleRNNConfig
from samplernn.system.errors import InputError
from samplernn.training.loop import evaluate
from samplernn.training.steps import validation_step
from samplernn.training.train import train

KEYS = ("table", "memory")


@pytest.fixture
def model():
    return Toy(SampleRNNConfig.from_dict(TINY))


def test_averages_are_those_written_out_and_take_the_weights_places_for_a_while(model):
    model.average_weights(0.5)
    averages, rng = model.averages, np.random.default_rng(0)
    expected = [variable.numpy() for variable in model.trainable_variables]
    for step in range(12):
        decay = min(0.5, (1 + step) / (10 + step))
        for number, variable in enumerate(model.trainable_variables):
            variable.assign(rng.standard_normal(variable.shape, np.float32))
            expected[number] = decay * expected[number] + (1 - decay) * variable.numpy()
        averages.update()
    weights = [variable.numpy() for variable in model.trainable_variables]
    with averages.in_place():
        for variable, value in zip(model.trainable_variables, expected):
            np.testing.assert_allclose(variable, value, atol=1e-6)
    for variable, value in zip(model.trainable_variables, weights):
        np.testing.assert_array_equal(variable, value)
    model.averages = None
    with model.averaged():
        np.testing.assert_array_equal(model.trainable_variables[0], weights[0])


def content(checkpoint):
    return {key.removesuffix(store.KEY_SUFFIX): value for key, value in read(checkpoint).items()}


def test_training_validates_with_the_averages_and_generates_with_them(options, monkeypatch):
    """The weights of each step are recorded, and averaged anew."""
    record = []
    keep = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda *_, **__: record.append([v.numpy() for v in keep.model.trainable_variables])
    )
    with_callback(monkeypatch, keep)
    options = replace(options, polyak_decay=0.7, learning_rate=0.1, early_stopping_patience=None)
    train(options)
    checkpoint = runs(options)[0] / "model.ckpt-2"
    found = content(checkpoint)
    assert found["averages/steps"] == len(record) == 20

    expected = None
    keras.utils.set_random_seed(options.random_seed)
    for step, weights in enumerate([[v.numpy() for v in Toy(keep.model.config).trainable_variables], *record], -1):
        decay = min(0.7, (1 + step) / (10 + step))
        expected = weights if step < 0 else [decay * a + (1 - decay) * w for a, w in zip(expected, weights)]
    for key, weight, average in zip(KEYS, record[-1], expected):
        np.testing.assert_array_equal(found[key], weight)
        np.testing.assert_allclose(found[f"averages/{key}"], average, atol=1e-6)
        assert not np.allclose(weight, average, atol=1e-3)

    model = Toy(keep.model.config)
    store.restore(checkpoint, model)  # as generate.py and --init_from do
    for key, variable in zip(KEYS, model.trainable_variables):
        np.testing.assert_array_equal(variable, found[f"averages/{key}"])
    np.testing.assert_array_equal(model.counts, found["counts"])
    model.compile()
    corpus = {recording.name: recording for recording in scan_corpus(options.data_dir).recordings}
    held_out = [corpus[name] for name in store_settings(checkpoint)["split"]["validation"]]
    logs = evaluate(model, validation_step(model), Loader(model.config, 2), held_out)
    assert logs["loss"] == pytest.approx(store_settings(checkpoint)["history"][-1]["val_loss"], abs=1e-6)


def store_settings(checkpoint):
    from samplernn.checkpoints.settings import read_settings

    return read_settings(checkpoint)


@pytest.mark.parametrize("place", [(0, 3), (1, -1)], ids=["in an epoch", "in the validation, by the averages"])
def test_stopping_and_resuming_is_as_never_stopping(options, monkeypatch, place):
    options = replace(options, polyak_decay=0.9, learning_rate=0.1)
    train(replace(options, id="whole"))
    with monkeypatch.context() as patch:
        with_callback(patch, StopAt(*place))
        with pytest.raises(KeyboardInterrupt):
            train(options)
    train(options)
    whole, parts = runs(replace(options, id="whole"))[-1], runs(options)[-1]
    assert_equal(whole / "model.ckpt-2", parts / "model.ckpt-2")


def test_averages_begin_with_the_weights_that_a_run_goes_on_with(options, model):
    train(replace(options, num_epochs=1))
    checkpoint = runs(options)[-1] / "model.ckpt-1"
    model.average_weights(0.5)
    for optimizer in (None, make_optimizer("adam", 0.1, 0.0, model)):
        for variable in model.trainable_variables:
            variable.assign(variable + 1)
        model.averages.update()
        store.restore(checkpoint, model, optimizer)
        begun = {key: variable.numpy() for key, variable in model.averages.by_key().items()}
        assert begun["averages/steps"] == 0
        for key in KEYS:
            np.testing.assert_array_equal(begun[f"averages/{key}"], content(checkpoint)[key])


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("averages/table", np.zeros([3, 3], np.float32), r"averages/table is \(3, 3\)"),
        ("averages/steps", np.zeros([4], np.int32), r"averages/steps is \(4,\)"),
        ("averages/steps", None, "averages/steps is absent"),
        ("averages/memory", None, "averages/memory is absent"),
    ],
)
def test_averages_that_are_not_all_there_are_refused(options, tmp_path, model, key, value, said):
    train(replace(options, num_epochs=1, polyak_decay=0.5))
    tensors = read(runs(options)[0] / "model.ckpt-1")
    del tensors[key + store.KEY_SUFFIX]
    if value is not None:
        tensors[key + store.KEY_SUFFIX] = value
    damaged = Path(tmp_path, "model.ckpt-1")
    tf.raw_ops.SaveV2(
        prefix=str(damaged), tensor_names=list(tensors), shape_and_slices=[""] * len(tensors),
        tensors=list(tensors.values()),
    )  # fmt: skip
    for optimizer in (None, make_optimizer("adam", 0.1, 0.0, model)):
        with pytest.raises(InputError, match=f"of another network than the config: {said}"):
            store.restore(damaged, model, optimizer)
