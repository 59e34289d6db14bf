"""The network against the original's numbers, and its fast forms against plain ones."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import GOLDEN, load_golden
from golden_networks import load_network

from samplernn.checkpoints import store as checkpoints
from samplernn.models.likelihood import categorical
from samplernn.models.optimizer import make_optimizer
from samplernn.models.samplernn import model as network
from samplernn.models.samplernn.config import SampleRNNConfig
from samplernn.models.samplernn.layers import FrameTier, SampleMLP, sum_of_squares
from samplernn.models.samplernn.model import SampleRNN
from samplernn.training.steps import train_step

NETWORKS = ["gru", "lstm-skip", "gru-linear"]


def windows(model, tokens, first=0):
    """The windows of a golden recording, from the first-th on."""
    length, lookback = model.config.seq_len, model.config.window.left
    for start in range(first * length, tokens.shape[1] - lookback - length + 1, length):
        yield tf.constant(tokens[:, start : start + lookback + length])


def train_losses(model, optimizer, tokens, steps, first=0, jit_compile=False, begin=False):
    """The loss before each step of training, state carried from window to window.

    `begin` has the first step reset the rows, from where a gradient reaches an initial state that is learned.
    """
    model.compile(optimizer=optimizer, jit_compile=jit_compile)
    step, losses, state = train_step(model), [], model.initial_state(len(tokens))
    for x, _ in zip(windows(model, tokens, first), range(steps)):
        reset = tf.constant([begin and not losses] * 2)
        sums, _, state = step(x, x[:, model.config.window.left :], reset, state)
        losses.append(float(sums["nll"] / sums["targets"]))
    assert step.experimental_get_tracing_count() == 1
    return losses


@pytest.mark.parametrize("name", NETWORKS)
def test_logits_are_the_originals(name):
    golden, model = load_golden(name), load_network(name)
    state = model.initial_state(2)
    for x, logits in zip(windows(model, golden["tokens"]), golden["logits"]):
        ours, state = model(x, state)
        np.testing.assert_allclose(ours, logits, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "jit_compile"),
    [*((name, False) for name in NETWORKS), pytest.param("lstm-skip", True, marks=pytest.mark.long)],
)
def test_training_losses_are_the_originals(name, jit_compile):
    golden, model = load_golden(name), load_network(name)
    optimizer = make_optimizer("adam", 1e-3, 0.9, model)
    losses = train_losses(model, optimizer, golden["tokens"], 4, jit_compile=jit_compile)
    np.testing.assert_allclose(losses, golden["train_losses"], rtol=0, atol=1e-4)


@pytest.mark.parametrize(("name", "learning_rate"), [("adam", 1e-2), ("sgd", 1e-1), ("rmsprop", 1e-2)])
def test_each_optimizer_steps_as_the_originals(name, learning_rate):
    golden, model = load_golden("optimizers"), load_network("optimizers")
    optimizer = make_optimizer(name, learning_rate, 0.9, model)
    losses = train_losses(model, optimizer, golden["tokens"], 4)
    np.testing.assert_allclose(losses, golden[f"losses_{name}"], rtol=0, atol=2e-5)


def test_adams_slots_are_reloaded():
    golden, model = load_golden("optimizers"), load_network("optimizers", 4)
    optimizer = make_optimizer("adam", 1e-2, 0.9, model)
    checkpoints.restore(GOLDEN / "optimizers" / "model.ckpt-4", model, optimizer)
    assert int(optimizer.iterations) == 4
    losses = train_losses(model, optimizer, golden["tokens"], 2, first=4)
    np.testing.assert_allclose(losses, golden["losses_adam_after_reload"], rtol=0, atol=2e-5)


def test_the_table_is_the_embedding_and_the_convolution():
    config = SampleRNNConfig(frame_sizes=(4, 16), seq_len=32, dim=12, emb_size=6)
    mlp = SampleMLP(4, config, "float32")
    mlp.build()
    tokens = tf.constant(np.random.default_rng(0).integers(0, 256, [3, 35]))
    conditioning = tf.random.normal([3, 32, 12], seed=0)
    with tf.GradientTape(persistent=True) as tape:
        plain = mlp.logits(mlp.hidden2(mlp.hidden1(mlp.conv(mlp.embedding(tokens)) + conditioning)))
        fast = mlp(tokens, conditioning)
    np.testing.assert_allclose(fast, plain, atol=1e-5)
    for variable in mlp.trainable_variables:
        expected = tf.convert_to_tensor(tape.gradient(plain, variable.value))
        np.testing.assert_allclose(tape.gradient(fast, variable.value), expected, atol=1e-3, rtol=1e-4)


def test_upsampling_is_a_transposed_convolution():
    tier = FrameTier(4, 3, SampleRNNConfig(dim=5), None)
    tier.build()
    frames = tf.random.normal([2, 7, 5], seed=0)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(frames)
        plain = tf.nn.conv1d_transpose(frames, tier.upsample_kernel, [2, 21, 5], strides=3)
        fast = tier._upsample(frames)
        losses = [tf.reduce_sum(tf.square(upsampled)) for upsampled in (plain, fast)]
    np.testing.assert_allclose(fast, plain, atol=1e-5)
    expected, found = (tape.gradient(loss, [frames, tier.upsample_kernel.value]) for loss in losses)
    for theirs, ours in zip(expected, found):
        np.testing.assert_allclose(ours, theirs, atol=1e-4)


def test_a_long_window_is_two_short_ones_with_state_carried():
    model = SampleRNN(SampleRNNConfig(frame_sizes=(4, 16), seq_len=64, dim=8, rnn_type="lstm"))
    x = tf.constant(np.random.default_rng(0).integers(0, 256, [2, 16 + 64]))
    whole, end = model(x, model.initial_state(2))
    first, state = model(x[:, : 16 + 32], model.initial_state(2))
    second, state = model(x[:, 32:], state)
    np.testing.assert_allclose(tf.concat([first, second], axis=1), whole, atol=1e-5)
    tf.nest.map_structure(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), state, end)


@pytest.mark.parametrize("shape", [[1], [7], [16], [3, 5], [4, 6, 10]])
def test_squares_are_summed_whatever_the_shape(shape):
    x = np.random.default_rng(0).standard_normal(shape, np.float32)
    np.testing.assert_allclose(sum_of_squares(tf.constant(x)), np.sum(x.astype(np.float64) ** 2), rtol=1e-6)


def clipped_gradients(model, x, y, state, scale=1.0):
    """The loss of a window, and its gradients times a scale, clipped, with their norm before."""
    with tf.GradientTape() as tape:
        outcome = model.forward(x, y, state, training=True)
        loss = outcome.loss * scale
    gradients, at_watched = tape.gradient(loss, [model.trainable_variables, outcome.watched])
    return outcome.loss, *model.clip(gradients, at_watched, scale)


@pytest.mark.parametrize("clip_norm", [1e-3, 5.0])
def test_gradients_are_clipped_as_tensorflow_clips_sparse_ones(monkeypatch, clip_norm):
    """The plain form looks the embedding up, so that its gradient is sparse and TensorFlow's own clipping applies."""
    model = SampleRNN(SampleRNNConfig(frame_sizes=(4, 16), seq_len=32, dim=8, emb_size=6))
    mlp, state = model.sample_mlp, model.initial_state(2)
    x = tf.constant(np.random.default_rng(0).integers(100, 110, [2, 16 + 32]))
    y = x[:, 16:]
    embeddings = tf.Variable(mlp.embedding.embeddings.value)
    variables = [v.value if v is not mlp.embedding.embeddings else embeddings for v in model.trainable_variables]
    with tf.GradientTape() as tape:
        conditioning, _ = model._condition(x, state, training=True)
        looked_up = tf.nn.embedding_lookup(embeddings, x[:, 12:-1])
        logits = mlp.logits(mlp.hidden2(mlp.hidden1(mlp.conv(looked_up) + conditioning)))
        sums = categorical(logits, y)
        loss = sums["nll"] / sums["targets"]
    expected, norm = tf.clip_by_global_norm(tape.gradient(loss, variables), clip_norm)
    assert (norm > clip_norm) == (clip_norm < 1)
    monkeypatch.setattr(network, "CLIP_NORM", clip_norm)
    our_loss, gradients, our_norm = clipped_gradients(model, x, y, state)
    assert float(our_loss) == pytest.approx(float(loss), abs=1e-6)
    assert float(our_norm) == pytest.approx(float(norm), rel=1e-5) or (clip_norm > 1 and our_norm < norm)
    for ours, theirs in zip(gradients, expected):
        np.testing.assert_allclose(ours, tf.convert_to_tensor(theirs), rtol=1e-5, atol=1e-9)


@pytest.mark.long
@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_learns_nearly_the_same(precision):
    losses, small = [], {"frame_sizes": [4, 16], "seq_len": 64, "num_rnn_layers": 2}
    for chosen in ("float32", precision):
        keras.utils.set_random_seed(0)
        model = SampleRNN(SampleRNNConfig.from_dict(small | {"dim": 16, "rnn_type": "lstm", "skip_conn": True}), chosen)
        assert {variable.dtype for variable in model.trainable_variables} == {"float32"}
        tokens = np.tile(np.random.default_rng(0).integers(100, 140, [2, 64]), 11)[:, : 16 + 640]
        optimizer = make_optimizer("adam", 1e-2, 0.9, model)
        losses.append(train_losses(model, optimizer, tokens, 10))
    assert losses[0][-1] < losses[0][0] - 0.2
    np.testing.assert_allclose(losses[1], losses[0], rtol=0.02)


@pytest.mark.parametrize("whose", ["prism", "deepsound"])
def test_an_overflow_in_float16_skips_the_step_and_lowers_the_scale(whose):
    tiny = {"frame_sizes": [4, 16], "seq_len": 32, "dim": 8, "num_rnn_layers": 1, "network": whose}
    model = SampleRNN(SampleRNNConfig.from_dict(tiny), "mixed_float16")
    optimizer = make_optimizer("adam", 1e-3, 0.9, model)
    tokens = np.random.default_rng(0).integers(0, 256, [2, 16 + 32])
    optimizer.dynamic_scale.assign(2.0**120)
    before = [variable.numpy() for variable in model.trainable_variables]
    assert math.isfinite(train_losses(model, optimizer, tokens, 1)[0])
    assert float(optimizer.dynamic_scale) == 2.0**119
    for variable, value in zip(model.trainable_variables, before):
        np.testing.assert_array_equal(variable, value)


def test_scaling_the_loss_scales_the_clipped_gradients(monkeypatch):
    monkeypatch.setattr(network, "CLIP_NORM", 1e-3)
    model = SampleRNN(SampleRNNConfig(frame_sizes=(4, 16), seq_len=32, dim=8))
    x = tf.constant(np.random.default_rng(0).integers(0, 256, [2, 16 + 32]))
    plain, scaled = (clipped_gradients(model, x, x[:, 16:], model.initial_state(2), scale) for scale in (1.0, 1024.0))
    assert float(plain[0]) == float(scaled[0])
    assert float(plain[2]) == pytest.approx(float(scaled[2]) / 1024, rel=1e-5)
    for ours, theirs in zip(scaled[1], plain[1]):
        np.testing.assert_allclose(ours / 1024, theirs, rtol=1e-5, atol=1e-9)


def test_dropout_masks_layer_inputs_in_training_only():
    model = SampleRNN(SampleRNNConfig(frame_sizes=(4, 16), seq_len=32, dim=8, rnn_dropout=0.5))
    plain = SampleRNN(SampleRNNConfig(frame_sizes=(4, 16), seq_len=32, dim=8))
    for ours, theirs in zip(plain.trainable_variables, model.trainable_variables):
        ours.assign(theirs)
    x = tf.constant(np.random.default_rng(0).integers(0, 256, [2, 16 + 32]))
    state = model.initial_state(2)
    np.testing.assert_array_equal(model(x, state)[0], plain(x, state)[0])
    one, two = (model(x, state, training=True)[0].numpy() for _ in range(2))
    assert not np.array_equal(one, two)


def test_the_seed_decides_the_initial_weights():
    def weights(seed):
        keras.utils.set_random_seed(seed)
        return SampleRNN(SampleRNNConfig(frame_sizes=(4, 16), seq_len=32, dim=8)).trainable_variables

    first, same, other = (weights(seed) for seed in (1, 1, 2))
    kernels = [i for i, v in enumerate(first) if "bias" not in v.path]
    assert all(np.array_equal(first[i], same[i]) for i in kernels)
    assert not any(np.array_equal(first[i], other[i]) for i in kernels)


def test_initial_weights_follow_the_documented_distributions():
    model = SampleRNN(SampleRNNConfig(dim=64, num_rnn_layers=2, skip_conn=True))
    upsample = model.frame_rnn.upsample_kernel.numpy()  # [r, out, in], r·out in, r·in out
    assert upsample.std() == pytest.approx(np.sqrt(2 / (16 * 64 + 16 * 64)), rel=0.02)
    assert np.abs(upsample).max() < 2.3 * upsample.std()  # truncated
    skip = model.frame_rnn.rnn.skips[1]
    assert skip.bias is None and model.frame_rnn.rnn.skips[0].bias is not None
    assert np.abs(skip.kernel).max() == pytest.approx(np.sqrt(6 / 64), rel=0.02)
    assert model.frame_rnn.rnn.rnns[0].cell.kernel.shape == (128, 192)


@pytest.mark.parametrize("rnn_type", ["gru", "lstm"])
@pytest.mark.parametrize("skip_conn", [False, True])
def test_parameters_are_counted_as_they_are(rnn_type, skip_conn):
    values = {"seq_len": 24, "frame_sizes": [3, 12], "dim": 8, "num_rnn_layers": 3, "emb_size": 5}
    values |= {"q_type": "linear", "q_levels": 20, "rnn_type": rnn_type, "skip_conn": skip_conn}
    model = SampleRNN(SampleRNNConfig.from_dict(values))
    assert model.config.num_parameters == sum(np.prod(variable.shape) for variable in model.trainable_variables)
