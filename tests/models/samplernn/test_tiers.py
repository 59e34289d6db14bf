"""Networks of any number of tiers, with learned initial states and normalized weights."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from contract import verify_contract

from samplernn.models.optimizer import make_optimizer
from samplernn.models.samplernn.config import SampleRNNConfig
from samplernn.models.samplernn.model import SampleRNN
from samplernn.training.steps import train_step

EVERYTHING = {"weight_norm": True, "learned_initial_state": True}


def tiny(**changes):
    of_all = {"frame_sizes": [4, 16], "seq_len": 32, "dim": 8, "num_rnn_layers": 2, "emb_size": 6}
    return SampleRNNConfig.from_dict(of_all | changes)


@pytest.mark.long
@pytest.mark.parametrize(
    "changes",
    [
        {"frame_sizes": [16]},
        {"frame_sizes": [1], "seq_len": 4},
        {
            "frame_sizes": [2, 4, 8],
            "seq_len": 8,
            "num_rnn_layers": 1,
            "rnn_type": "lstm",
            "skip_conn": True,
            **EVERYTHING,
        },
        {"network": "deepsound", "seq_len": 16, "q_levels": 32, **EVERYTHING},
    ],
)
def test_networks_of_other_tiers_keep_the_contract(changes):
    verify_contract("samplernn", tiny(**changes))


def items(config, rows=2, windows=1, seed=0):
    length = config.window.left + windows * config.seq_len
    return tf.constant(np.random.default_rng(seed).integers(0, config.q_levels, [rows, length]), tf.int32)


def plain_logits(model, tokens):
    """One sequence, from the initial state, sample by sample: the tiers as the paper has them, with Keras's layers."""
    config, left = model.config, model.config.window.left
    embedded = model.sample_mlp.conv(model.sample_mlp.embedding(tokens[None])).numpy()[0]  # after each frame of tokens
    states = {tier: [part[0][:, 0] for part in tier.initial_state(1)] for tier in model.tiers}
    conditioning, logits = {}, []
    for at in range(left, len(tokens)):
        above = None
        for tier in model.tiers:
            if at % tier.frame_size == 0:
                frame = (tokens[at - tier.frame_size : at] / (config.q_levels / 2) - 1) * 2
                x = tier.input_dense(tf.constant(frame[None], tf.float32))
                x = x if above is None else x + above
                for i, rnn in enumerate(tier.rnn.rnns):
                    x, _ = rnn.cell(x, states[tier][i][None])
                    states[tier][i] = x[0]
                conditioning[tier] = [x @ tf.transpose(kernel) for kernel in tf.unstack(tier.upsample_kernel.value)]
            below = tier.frame_size // tier.ratio
            above = conditioning[tier][at % tier.frame_size // below]
        size = model.tiers[-1].frame_size
        mlp = model.sample_mlp
        logits.append(mlp.logits(mlp.hidden2(mlp.hidden1(above + embedded[at - size]))))
    return tf.concat(logits, axis=0)


@pytest.mark.parametrize("frame_sizes", [[4], [2, 4, 8, 32]])
def test_logits_are_those_of_the_plain_tiers(frame_sizes):
    model = SampleRNN(tiny(frame_sizes=frame_sizes))
    x = items(model.config, rows=1)
    logits, _ = model(x, model.initial_state(1))
    np.testing.assert_allclose(logits[0], plain_logits(model, x.numpy()[0]), atol=1e-5)


NORMALIZED = [{}, {"frame_sizes": [8]}, {"network": "deepsound", "frame_sizes": [2, 4, 16]}]


@pytest.mark.parametrize("changes", NORMALIZED)
def test_weights_are_not_changed_by_their_first_gains(changes):
    model = SampleRNN(tiny(weight_norm=True, **changes))
    first = [variable.numpy() for variable in model.trainable_variables]
    set_gains(model, lambda norms: norms)
    for variable, value in zip(model.trainable_variables, first):
        np.testing.assert_allclose(variable, value, rtol=1e-5)


@pytest.mark.parametrize("changes", NORMALIZED)
def test_a_weight_is_as_long_as_its_gain(changes):
    plain, normed = (SampleRNN(tiny(weight_norm=norm, **changes)) for norm in (False, True))
    weights = {plain.checkpoint_key(variable): variable for variable in plain.trainable_variables}
    gains = []
    for variable in normed.trainable_variables:
        key = normed.checkpoint_key(variable)
        if key in weights:
            variable.assign(weights[key])
        else:
            gains.append((key, variable))
    x, state = items(plain.config), plain.initial_state(2)
    expected, _ = plain(x, state)
    tiers, hidden = len(plain.tiers), 2 if plain.sample_mlp.hidden1 else 1
    assert len(gains) == 2 * tiers + hidden + 2
    set_gains(normed, lambda norms: norms)
    np.testing.assert_allclose(normed(x, state)[0], expected, atol=1e-5)
    set_gains(normed, lambda norms: 2 * norms)  # twice as large a gain is twice as large a weight
    for variable in plain.trainable_variables:
        if is_normalized(plain.checkpoint_key(variable)):
            variable.assign(2 * variable)
    np.testing.assert_allclose(normed(x, state)[0], plain(x, state)[0], rtol=1e-4, atol=1e-4)


def is_normalized(key):
    """By hand: the input projections, the upsampling, and all products of the sample tier."""
    parts = key.split("/")
    return parts[-1] == "upsample" or (parts[-1] == "kernel" and "rnn" not in parts)


def set_gains(model, of_norms):
    """Give each kernel gains by its norms: one for each output, and for deepsound's upsampling for each input."""
    axis = 2 if model.config.network == "deepsound" else 1

    def norms(kernel, axis):
        kernel = np.moveaxis(kernel.numpy(), axis, 0)
        return np.linalg.norm(kernel.reshape(len(kernel), -1), axis=1)

    for tier in model.tiers:
        tier.input_dense.gains.assign(of_norms(norms(tier.input_dense.kernel, 1)))
        tier.upsample_gains.assign(of_norms(norms(tier.upsample_kernel, axis)))
    mlp = model.sample_mlp
    mlp.conv_gains.assign(of_norms(norms(mlp.conv.kernel, 2)))
    for dense in filter(None, (mlp.hidden1, mlp.hidden2, mlp.logits)):
        dense.gains.assign(of_norms(norms(dense.kernel, 1)))


def test_the_length_of_a_normalized_weight_says_nothing():
    model = SampleRNN(tiny(weight_norm=True))
    x, state = items(model.config), model.initial_state(2)
    before, _ = model(x, state)
    for variable in model.trainable_variables:
        if is_normalized(model.checkpoint_key(variable)):
            variable.assign(3 * variable)
    np.testing.assert_allclose(model(x, state)[0], before, atol=1e-5)


@pytest.mark.long
def test_mixed_precision_follows_float32():
    changes, precision = {"network": "deepsound", "q_levels": 16, **EVERYTHING}, "mixed_bfloat16"
    losses = {}
    for of in ("float32", precision):
        keras.utils.set_random_seed(1)
        model = SampleRNN(tiny(**changes), of)
        model.compile(optimizer=make_optimizer("sgd", 0.1, 0.0, model))
        step, state, x = train_step(model), model.initial_state(2), items(model.config)
        results = [step(x, x[:, 16:], tf.constant([True, True]), state)[0] for _ in range(8)]
        losses[of] = [float(sums["nll"] / sums["targets"]) for sums in results]
    np.testing.assert_allclose(losses[precision], losses["float32"], rtol=0.02)
    assert losses["float32"][-1] < 0.9 * losses["float32"][0]


def test_an_embedding_is_drawn_anew_for_each_network():
    keras.utils.set_random_seed(1)
    one, other = (SampleRNN(tiny(network="deepsound")).sample_mlp.embedding.embeddings.numpy() for _ in range(2))
    keras.utils.set_random_seed(1)
    same = SampleRNN(tiny(network="deepsound")).sample_mlp.embedding.embeddings
    assert not np.any(one == other)
    np.testing.assert_array_equal(same, one)


@pytest.mark.parametrize(("rnn_type", "parts"), [("gru", 1), ("lstm", 2)])
def test_a_learned_initial_state_is_learned_where_rows_begin(rnn_type, parts):
    model = SampleRNN(tiny(learned_initial_state=True, rnn_type=rnn_type))
    learned = [variable for tier in model.tiers for variable in tier.rnn.learned]
    assert [tuple(variable.shape) for variable in learned] == [(2, 8)] * 2 * parts
    assert not any(np.any(variable) for variable in learned)
    model.compile(optimizer=make_optimizer("sgd", 1.0, 0.0, model))
    step, x = train_step(model), items(model.config)
    state = model.initial_state(2)
    step(x, x[:, 16:], tf.constant([False, False]), state)
    assert not any(np.any(variable) for variable in learned)
    step(x, x[:, 16:], tf.constant([False, True]), state)
    assert all(np.all(np.any(variable, axis=1)) for variable in learned)  # of each layer
    found = tf.nest.flatten(model.initial_state(3))
    of_layers = [layer for tier in model.tiers for layer in zip(*(part.numpy() for part in tier.rnn.learned))]
    for part, value in zip(found, [part for layer in of_layers for part in layer], strict=True):
        np.testing.assert_array_equal(part, np.repeat(value[:, None], 3, axis=1))
