"""The network against RNN4Music's numbers, and against itself as a slow loop in NumPy."""

import numpy as np
import pytest
import tensorflow as tf
from conftest import GOLDEN, load_golden
from plain_piano_roll import plain_cost, plain_gradients, plain_probabilities, plain_weights

from samplernn.checkpoints import store
from samplernn.checkpoints.settings import has_config, model_config
from samplernn.models import recurrence
from samplernn.models.pianoroll.config import PianoRollConfig
from samplernn.models.pianoroll.model import PianoRoll
from samplernn.models.registry import config_from_dict
from samplernn.system.errors import InputError

PARAMETERS = GOLDEN / "pianoroll" / "parameters.npz"
TINY = {"seq_len": 6, "layer_sizes": (3, 2), "note_range": (60, 63)}


def network(**config):
    """A tiny one, of which every weight matters."""
    model = PianoRoll(PianoRollConfig(**(TINY | config)))
    for number, variable in enumerate(model.weights):
        variable.assign(tf.random.stateless_normal(variable.shape, [number, 1], stddev=0.5))
    return model


def rolls_at_random(config, *lengths, seed=0):
    draw = np.random.default_rng(seed)
    return [draw.integers(0, config.values, [length, config.num_notes]).astype(np.int8) for length in lengths]


def window(model, roll):
    """What a roll is as a window, with a silent step before it."""
    x = tf.constant(np.concatenate([np.zeros_like(roll[:1]), roll])[None])
    return x, x[:, 1:]


def test_layers_of_the_same_size_begin_with_weights_of_their_own():
    weights = PianoRoll(PianoRollConfig(**(TINY | {"layer_sizes": (3, 3, 3)}))).weights
    assert len({weight.numpy().tobytes() for weight in weights}) == len(weights)


# --- RNN4Music's ---


@pytest.fixture(scope="module")
def original():
    model = PianoRoll(model_config(PARAMETERS, None))
    store.restore(PARAMETERS, model)
    return model


@pytest.mark.parametrize("tune", range(3))
def test_it_is_rnn4musics(original, tune):
    golden = load_golden("pianoroll")
    roll = golden[f"roll_{tune}"].astype(np.int8)
    heard = tf.constant(np.concatenate([roll, roll[:1]])[None])  # what is last is only predicted
    logits, state = original.call(heard, original.initial_state(1))
    probabilities = tf.nn.softmax(logits)[0, :, :, 1]
    np.testing.assert_allclose(probabilities, golden[f"probabilities_{tune}"], atol=1e-5)
    for layer, of_layer in enumerate(state, 1):
        for part, name in zip(of_layer, "hc"):
            np.testing.assert_allclose(part[:, 0], golden[f"{name}{layer}_{tune}"], atol=1e-5)
    outcome = original.forward(heard[:, :-1], heard[:, 1:-1], original.initial_state(1), training=False)
    measures = original.measures({name: value.numpy() for name, value in outcome.sums.items()})
    np.testing.assert_allclose(measures["loss"], golden[f"nll_{tune}"], atol=1e-5)


def test_its_file_says_what_it_is():
    assert has_config(PARAMETERS)
    config = model_config(PARAMETERS, None)
    assert (config.layer_sizes, config.note_range, config.dt) == ((20, 16, 12), (21, 109), 0.3)
    assert config.peephole == "original" and not config.onsets


@pytest.mark.parametrize(
    "change, said",
    [
        (lambda arrays: arrays.pop("Whf_2"), "Whf_2 is absent in the file"),
        (lambda arrays: arrays.update(by=np.zeros(108)), r"note_range is \[21, 129\]"),
        (lambda arrays: arrays.update(Why_3=np.zeros([88, 11])), r"Why_3 is \(88, 11\) in the file, \(88, 12\)"),
        (lambda arrays: arrays.update(bi_1=np.full(20, np.nan)), "weights that are not numbers"),
        (lambda arrays: arrays.pop("by"), "no config is beside it"),
    ],
)
def test_files_that_are_no_network(tmp_path, change, said):
    arrays = dict(np.load(PARAMETERS))
    change(arrays)
    np.savez(tmp_path / "changed.npz", **arrays)
    with pytest.raises(InputError, match=said):
        model_config(tmp_path / "changed.npz", None)


# --- A slow loop ---


@pytest.mark.parametrize(
    "config", [{}, {"onsets": True}, {"peephole": "original"}, {"layer_sizes": (4,)}, {"cell_clip": 0.3}]
)
def test_it_is_the_plain_network(config):
    model = network(**config)
    (roll,) = rolls_at_random(model.config, 9)
    logits, _ = model.call(window(model, roll)[0], model.initial_state(1))
    expected = plain_probabilities(model.config, plain_weights(model), roll)
    np.testing.assert_allclose(tf.nn.softmax(logits)[0], expected, atol=1e-6)


@pytest.mark.parametrize("peephole, cell_clip", [("corrected", None), ("original", None), ("corrected", 0.3)])
@pytest.mark.parametrize("cost, l1", [("cross-entropy", 0.0), ("squared error", 0.0), ("cross-entropy", 0.01)])
def test_gradients_are_finite_differences(cost, l1, peephole, cell_clip):
    model = network(cost=cost, l1=l1, onsets=cost != "cross-entropy", peephole=peephole, cell_clip=cell_clip)
    (roll,) = rolls_at_random(model.config, 6)
    with tf.GradientTape() as tape:
        outcome = model.forward(*window(model, roll), model.initial_state(1), training=True)
    weights = plain_weights(model)
    np.testing.assert_allclose(outcome.loss, plain_cost(model.config, weights, [roll]), rtol=1e-5)
    gradients = tape.gradient(outcome.loss, model.trainable_variables)
    expected = plain_gradients(model.config, weights, [roll])
    for variable, gradient in zip(model.trainable_variables, gradients):
        np.testing.assert_allclose(gradient, expected[model.checkpoint_key(variable)], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("squared", [False, True])
def test_measures(squared):
    model = network(**({"cost": "squared error"} if squared else {}))
    (roll,) = rolls_at_random(model.config, 7)
    probabilities = plain_probabilities(model.config, plain_weights(model), roll)
    outcome = model.forward(*window(model, roll), model.initial_state(1), training=False)
    measures = model.measures({name: value.numpy() for name, value in outcome.sums.items()})
    sounds, predicted = roll > 0, probabilities[..., 1] > 0.5
    nll = -np.log(np.where(sounds, probabilities[..., 1], probabilities[..., 0])).sum() / 7
    expected = {"loss": nll, "accuracy": (sounds & predicted).sum() / (sounds | predicted).sum()}
    if squared:
        expected |= {"nll": nll, "loss": np.square(probabilities[..., 1] - sounds).sum() / 2 / 7}
    assert measures == pytest.approx(expected, rel=1e-5)


def test_silence_that_is_predicted_has_an_accuracy():
    sums = {"nll": 1.0, "cost": 1.0, "hits": 0.0, "errors": 0.0, "targets": 4.0}
    assert network().measures(sums) == {"loss": 0.25, "accuracy": 0.0}


# --- Cells ---


@pytest.mark.parametrize("cell_clip", [None, 2.0])
def test_cells_grow_with_the_music_unless_clipped(cell_clip):
    model = network(cell_clip=cell_clip)
    for layer in model.lstms:  # gates that are open, and a candidate that is 1 at every step
        layer.gate_biases.assign(tf.fill(layer.gate_biases.shape, 30.0))
        layer.candidate_bias.assign(tf.fill(layer.candidate_bias.shape, 30.0))
        layer.peepholes.assign(tf.zeros(layer.peepholes.shape))
    (roll,) = rolls_at_random(model.config, 9)
    _, state = model.call(window(model, roll)[0], model.initial_state(1))
    for _, c in state:
        np.testing.assert_allclose(c, np.full(c.shape, cell_clip or 9), rtol=1e-5)


# --- Peepholes ---


@pytest.mark.parametrize("cell", [recurrence.peephole_lstm, recurrence.rnn4music_lstm])
def test_the_loops_gradients_are_those_of_a_plain_loop(cell):
    def normal(number, *shape):
        return tf.random.stateless_normal(shape, [number, 0])

    inputs = normal(0, 5, 12, 2), normal(1, 3, 12), normal(2, 12), (normal(3, 3, 2), normal(4, 3, 2)), normal(5, 9, 1)

    def plain(projected, kernel, bias, state, peepholes):
        outputs = []
        for step in tf.unstack(projected):
            state = cell(step, tf.matmul(kernel, state[0], transpose_a=True) + bias[:, None], state, peepholes)
            outputs.append(state[0])
        return tf.stack(outputs), state

    def ours(projected, kernel, bias, state, peepholes):
        return recurrence.run(cell, projected, kernel, bias, state, [peepholes])

    results = []
    for run in (plain, ours):
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            outputs = tf.nest.flatten(run(*inputs))
            loss = tf.add_n([tf.reduce_sum(normal(10 + i, *part.shape) * part) for i, part in enumerate(outputs)])
        results.append([*outputs, *tf.nest.flatten(tape.gradient(loss, inputs))])
    for expected, found in zip(*results):
        np.testing.assert_allclose(found, expected, atol=1e-5)


# --- The config ---


@pytest.mark.parametrize(
    "config, said",
    [
        ({"note_range": [60]}, "two pitches in ascending order"),
        ({"note_range": [60, 60]}, "two pitches in ascending order"),
        ({"note_range": [21, 129]}, "note_range"),
        ({"dt": 0.0000001}, "dt"),
        ({"dt": 0.1234567}, "a whole number of microseconds"),
        ({"dt": 0.3, "steps_per_beat": 4}, "leave one of them out"),
        ({"layer_rates": [1, 1]}, "layer_rates"),
        ({"layer_sizes": []}, "layer_sizes"),
        ({"layer_sizes": [10**6] * 16}, "the network would hold"),
        ({"cost": "mse"}, "cross-entropy or squared error"),
        ({"tempo": 0}, "tempo"),
        ({"tempo": 100}, "tempo"),  # with steps of dt seconds
        ({"frame_sizes": [4, 16]}, "one of samplernn"),
    ],
)
def test_what_a_config_cannot_be(config, said):
    with pytest.raises(InputError, match=said):
        config_from_dict({"model": "pianoroll"} | config)


def test_a_step_is_of_seconds_or_of_beats():
    assert PianoRollConfig().dt == 0.3 and PianoRollConfig(dt=0.125).microseconds == 125000
    assert PianoRollConfig(steps_per_beat=4).dt is None
    null = {"model": "pianoroll", "dt": None, "steps_per_beat": 4}
    assert config_from_dict(null) == PianoRollConfig(steps_per_beat=4)
