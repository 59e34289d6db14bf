"""samplernn-pytorch's network and its checkpoints, against what it computes."""

from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf
from conftest import GOLDEN, load_golden
from deepsound import BIT, FILES, NAMES, config_of, load_network
from test_model import train_losses, windows

from samplernn.checkpoints import torch_file
from samplernn.models.optimizer import make_optimizer
from samplernn.models.samplernn.config import SampleRNNConfig
from samplernn.models.samplernn.model import SampleRNN
from samplernn.system.errors import InputError
from samplernn.training.steps import train_step


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("file", FILES)
def test_log_probabilities_are_the_originals(name, file):
    golden, model = load_golden(name), load_network(name, file)
    state = model.initial_state(2)
    for x, expected in zip(windows(model, golden["tokens"].astype(np.int32)), golden["log_probabilities"]):
        logits, state = model(x, state)
        np.testing.assert_allclose(tf.nn.log_softmax(logits), expected, atol=2e-5)


@pytest.mark.parametrize(
    ("name", "jit_compile"),
    [*((name, False) for name in NAMES), pytest.param(NAMES[1], True, marks=[pytest.mark.xla, pytest.mark.long])],
)
def test_sgd_steps_as_the_originals(name, jit_compile):
    golden, model = load_golden(name), load_network(name)
    optimizer = make_optimizer("sgd", 0.1, 0.0, model)
    losses = train_losses(model, optimizer, golden["tokens"].astype(np.int32), 4, jit_compile=jit_compile, begin=True)
    np.testing.assert_allclose(losses, golden["losses_bits_sgd"] * BIT, rtol=0, atol=1e-5)


def test_adam_steps_as_the_originals_but_for_the_state_that_it_leaves_alone():
    """PyTorch's adam rests where there is no gradient, ours goes on with its momentum, which is no more than 1e-4."""
    golden, model = load_golden(NAMES[1]), load_network(NAMES[1])
    optimizer = make_optimizer("adam", 1e-3, 0.0, model)
    optimizer.epsilon = 1e-8
    losses = train_losses(model, optimizer, golden["tokens"].astype(np.int32), 4, begin=True)
    np.testing.assert_allclose(losses, golden["losses_bits_adam"] * BIT, rtol=0, atol=1e-4)


def test_gradients_are_clipped_element_by_element():
    model = SampleRNN(tiny())
    gradients = [tf.constant([0.5, -3.0, 2.0]), tf.constant([[7.0]])]
    clipped, norm = model.clip(gradients, None, 2.0)
    assert [gradient.numpy().tolist() for gradient in clipped] == [[0.5, -2.0, 2.0], [[2.0]]]
    assert float(norm) == pytest.approx(np.sqrt(0.25 + 9 + 4 + 49))


def tiny(**changes):
    of_all = {"network": "deepsound", "frame_sizes": [4, 16], "seq_len": 32, "dim": 32, "num_rnn_layers": 2}
    return SampleRNNConfig.from_dict(of_all | {"q_levels": 16} | changes)


def test_initial_weights_are_drawn_as_the_original_draws_them():
    model = SampleRNN(tiny(dim=64))
    mlp = model.sample_mlp
    he = [(mlp.hidden2.kernel, 64), (mlp.conv.kernel, 4 * 16), (model.frame_rnn.input_dense.kernel, 4)]
    upsampling = [(tier.upsample_kernel, 64) for tier in model.tiers]
    cell = model.frame_rnn.rnn.rnns[0].cell
    lecun = [(cell.kernel, 128), (cell.recurrent_kernel[:, :128], 128), (mlp.logits.kernel, 128)]  # √(3/64)
    for kernel, inputs in he + upsampling + lecun:
        limit = np.sqrt(6 / inputs)
        assert 0.9 * limit < np.max(np.abs(kernel)) <= limit * (1 + 1e-6)
        assert np.std(kernel) == pytest.approx(limit / np.sqrt(3), rel=0.1)
    candidate = cell.recurrent_kernel.numpy()[:, 128:]
    np.testing.assert_allclose(candidate.T @ candidate, np.eye(64), atol=1e-5)
    assert np.std(mlp.embedding.embeddings) == pytest.approx(1, rel=0.2)
    zeros = [mlp.hidden2.bias, mlp.logits.bias, cell.bias, *(tier.upsample_bias for tier in model.tiers)]
    assert not any(np.any(variable) for variable in zeros)


def test_each_weight_comes_from_one_tensor_and_no_tensor_is_left_over():
    """Of tensors that are all different, by their numbers."""
    name = NAMES[1]
    tensors = torch_file.read(GOLDEN / name / "ep1-it1")
    offset, numbered = 0, {}
    for key, tensor in tensors.items():
        numbered[key] = np.arange(offset, offset + tensor.size, dtype=np.float32).reshape(tensor.shape)
        offset += tensor.size
    config = SampleRNNConfig.from_dict(config_of(name))
    weights = config.weights_from(numbered)
    values = np.concatenate([weight.ravel() for weight in weights.values()])
    np.testing.assert_array_equal(np.sort(values), np.arange(offset))
    model = SampleRNN(config)
    shapes = {model.checkpoint_key(variable): tuple(variable.shape) for variable in model.trainable_variables}
    assert shapes == {key: weight.shape for key, weight in weights.items()}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"dim": 12}, r"frame_level_rnns.0.h0 is \(2, 16\) in the checkpoint, \(2, 12\) by the config"),
        ({"num_rnn_layers": 3}, r"h0 is \(2, 16\) in the checkpoint, \(3, 16\) by the config"),
        ({"frame_sizes": [4]}, "frame_level_rnns.1.h0 is .* in the checkpoint, absent by the config"),
        ({"frame_sizes": [4, 8, 64]}, "is .* in the checkpoint, .* by the config"),
        ({"q_levels": 256}, r"embedding.weight is \(64, 64\) in the checkpoint, \(256, 256\) by the config"),
        ({"weight_norm": False}, r"input_expand.weight is absent in the checkpoint, \(16, 4, 1\) by the config"),
        ({"learned_initial_state": False}, "h0 is .* in the checkpoint, absent by the config"),
        ({"network": "prism"}, 'give a config whose network is "deepsound"'),
    ],
)
def test_tensors_of_another_network_than_the_config_are_refused(changes, said):
    config = SampleRNNConfig.from_dict(config_of(NAMES[1]) | changes)
    with pytest.raises(InputError, match=said):
        config.weights_from(torch_file.read(GOLDEN / NAMES[1] / "ep1-it1"))


def test_states_that_are_not_learned_are_zeros_or_absent():
    tensors = torch_file.read(GOLDEN / NAMES[1] / "ep1-it1")
    config = replace(SampleRNNConfig.from_dict(config_of(NAMES[1])), learned_initial_state=False)
    zeros = {name: np.zeros_like(value) if name.endswith("h0") else value for name, value in tensors.items()}
    absent = {name: value for name, value in tensors.items() if not name.endswith("h0")}
    assert config.weights_from(zeros).keys() == config.weights_from(absent).keys()


def test_a_family_that_knows_no_other_programs_checkpoints_says_so():
    from toy import ToyConfig

    with pytest.raises(InputError, match="none is known"):
        ToyConfig.tiny().weights_from({})


@pytest.mark.parametrize(
    ("network", "moves"), [("deepsound", True), pytest.param("prism", False, marks=pytest.mark.long)]
)
def test_momentum_moves_embeddings_that_a_window_lacks_where_gradients_are_dense(network, moves):
    model = SampleRNN(tiny(network=network))
    embeddings = model.sample_mlp.embedding.embeddings
    model.compile(optimizer=make_optimizer("sgd", 0.1, 0.9, model))
    step, values = train_step(model), []
    for level in (3, 5):
        x = tf.fill([1, 48], level)
        step(x, x[:, 16:], tf.constant([True]), model.initial_state(1))
        values.append(embeddings.numpy()[3])
    assert (values[0] != values[1]).all() == moves
