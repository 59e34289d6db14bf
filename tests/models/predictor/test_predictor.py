"""The predictor against a slow and plain one; how far it looks back; what it learns where it hears nothing."""

import numpy as np
import pytest
import tensorflow as tf
from contract import verify_contract

from samplernn.audio.quantize import quantizer
from samplernn.generation.generator import Generator
from samplernn.models import registry
from samplernn.models.optimizer import make_optimizer
from samplernn.models.predictor.config import PredictorConfig
from samplernn.system.errors import InputError
from samplernn.training.loop import as_arrays
from samplernn.training.steps import train_step

ROWS = 2


def small(receptive_field, input_format="continuous", **changes):
    of_all = {"seq_len": 12, "q_type": "linear", "q_levels": 8, "hidden_size": 16, "emb_size": 3}
    return PredictorConfig(receptive_field=receptive_field, input_format=input_format, **(of_all | changes))


def network(config, precision="float32"):
    """One of which every weight matters."""
    model = registry.build(config, precision)
    for number, variable in enumerate(model.trainable_variables):
        variable.assign(tf.random.stateless_normal(variable.shape, [number, 0], stddev=0.5))
    return model


def tokens(config, rows=ROWS, seed=0):
    """A window with its context."""
    return np.random.default_rng(seed).integers(0, config.q_levels, [rows, config.window.with_context]).astype(np.int32)


def plain_logits(model, past):
    """Of the item behind those, tap by tap: logits [Q]."""
    config = model.config
    weights = {variable.path.partition("/")[2]: variable.numpy() for variable in model.trainable_variables}
    hidden = weights["bias"]
    for back in range(1, config.receptive_field + 1):
        if config.input_format == "continuous":
            item = quantizer(config.q_type, config.q_levels).decode([past[-back]])
        else:
            item = weights["embeddings"][past[-back]]
        hidden = hidden + item @ weights["kernel"][-back]
    hidden = np.maximum(hidden, 0) @ weights["head/hidden_kernel"] + weights["head/hidden_bias"]
    return np.maximum(hidden, 0) @ weights["head/kernel"] + weights["head/bias"]


@pytest.mark.parametrize("input_format", ["continuous", "embedding"])
@pytest.mark.parametrize("receptive_field", [0, 1, 5])
def test_it_computes_what_a_plain_one_does(receptive_field, input_format):
    config = small(receptive_field, input_format)
    model, x = network(config), tokens(config)
    assert config.num_parameters == sum(int(np.prod(variable.shape)) for variable in model.weights)
    expected = [[plain_logits(model, row[: config.window.left + i]) for i in range(config.seq_len)] for row in x]
    np.testing.assert_allclose(model.call(x), expected, atol=1e-5)
    np.testing.assert_allclose(network(config, "mixed_bfloat16").call(x), expected, atol=0.1 * np.std(expected))


@pytest.mark.parametrize("receptive_field", [0, 1, 5])
def test_a_prediction_depends_on_exactly_its_receptive_field(receptive_field):
    config = small(receptive_field)
    model, x = network(config), tokens(config)
    logits, left = model.call(x).numpy(), config.window.left
    for position in range(x.shape[1]):
        other = x.copy()
        other[:, position] = (other[:, position] + 4) % config.q_levels
        changed = (model.call(other).numpy() != logits).any(axis=(0, 2))
        distances = left + np.arange(config.seq_len) - position  # from what was changed to what is predicted
        np.testing.assert_array_equal(changed, (distances >= 1) & (distances <= receptive_field))


@pytest.mark.parametrize("receptive_field", [1, 70])  # of which one is longer than a block
def test_other_receptive_fields_keep_the_contract(receptive_field):
    verify_contract("predictor", small(receptive_field, seq_len=32))


@pytest.mark.xla
@pytest.mark.parametrize("receptive_field", [0, 3, 70])
def test_the_likeliest_items_are_generated_that_a_window_predicts(receptive_field):
    config = small(receptive_field, seq_len=150)
    model, context = network(config), tokens(config)[:, : config.window.left]
    pieces = Generator(model)(context, config.seq_len, [1e-6] * ROWS, [[0], [1]])
    items = np.concatenate(list(pieces), axis=1)
    np.testing.assert_array_equal(tf.argmax(model.call(np.concatenate([context, items], axis=1)), axis=-1), items)


def test_what_hears_nothing_learns_the_unigram_entropy():
    config, counts = small(0, seq_len=100), np.array([40, 25, 15, 8, 6, 4, 2])
    items = np.random.default_rng(0).permutation(np.repeat(np.arange(len(counts)), counts))
    x = tf.constant(np.tile(np.r_[0, items], [ROWS, 1]), tf.int32)
    model = registry.build(config)
    model.compile(optimizer=make_optimizer("adam", 0.01, 0.0, model))
    step = train_step(model)
    for _ in range(300):
        sums, *_ = step(x, x[:, 1:], tf.fill([ROWS], True), ())
    chances = counts / counts.sum()
    entropy = -np.sum(chances * np.log(chances))
    assert entropy < model.measures(as_arrays(sums))["loss"] < entropy + 0.002


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"receptive_field": -1}, "receptive_field is -1; it must be a whole number from 0"),
        ({"input_format": "one-hot"}, "continuous or embedding"),
        ({"hidden_size": 2**16}, "the network would hold .* lower one of these: hidden_size is 65536, "),
        (
            {"receptive_field": 2**20, "input_format": "embedding"},
            "lower .* receptive_field is 1048576, emb_size is 16",
        ),
    ],
)
def test_a_config_that_breaks_a_rule_is_refused_with_the_remedy(values, said):
    with pytest.raises(InputError, match=said):
        PredictorConfig.from_dict(values)
