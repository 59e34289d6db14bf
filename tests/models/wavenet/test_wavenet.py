"""WaveNet over a window, from window to window, and sample by sample, against the network as the paper has it."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from contract import verify_contract
from plain_wavenet import plain_logits

from samplernn.audio.quantize import quantizer
from samplernn.generation import generator as generation
from samplernn.generation.generator import Generator
from samplernn.models.dropout import drop_channels
from samplernn.models.wavenet.config import WaveNetConfig
from samplernn.models.wavenet.layers import Block
from samplernn.models.wavenet.model import WaveNet
from samplernn.system.errors import InputError

SILENCE = 128


def tiny(**changes):
    """Dilations of 1 to 32, twice: longer than the inner turns of generation, and than the windows."""
    of_all = {"seq_len": 24, "num_stages": 6, "residual_size": 4, "inner_size": 3, "skip_size": 6}
    return WaveNetConfig.from_dict(of_all | changes)


def network(config):
    """With weights of which each matters."""
    model = WaveNet(config)
    for number, variable in enumerate(model.trainable_variables):
        variable.assign(tf.random.stateless_normal(variable.shape, [number, 0], stddev=0.4))
    return model


VARIANTS = [
    {},
    pytest.param({"filter_length": 3, "q_type": "linear", "q_levels": 40}, marks=pytest.mark.long),
    {"input_format": "continuous", "num_repeats": 3, "num_stages": 3, "filter_length": 4},
]


@pytest.mark.parametrize("changes", VARIANTS)
@pytest.mark.parametrize("rows", [3, pytest.param(1, marks=pytest.mark.long)])
def test_a_sequence_its_windows_and_its_samples_are_the_plain_network_from_the_first_sample_on(
    short_turns, changes, rows
):
    model = network(tiny(**changes))
    zero, levels = quantizer(model.config.q_type, model.config.q_levels).zero, model.config.q_levels
    length = 80
    tokens = np.random.default_rng(0).integers(0, levels, [rows, length]).astype(np.int32)
    expected = np.stack([plain_logits(model, row) for row in tokens])

    padded = tf.constant(np.pad(tokens, [(0, 0), (1, 0)], constant_values=zero))
    whole, _ = model(padded, model.initial_state(rows))
    np.testing.assert_allclose(whole, expected, atol=1e-4)

    state, windows = model.initial_state(rows), []
    for start, end in [(0, 1), (1, 8), (8, 60), (60, length)]:
        logits, state = model(padded[:, start : end + 1], state)
        windows.append(logits)
    np.testing.assert_allclose(tf.concat(windows, axis=1), expected, atol=1e-4)

    drawn, context, state = [], padded[:, :1], model.initial_state(rows)
    for start in range(0, length, model.config.block_length):

        def draw(logits, position, start=start):
            drawn.append(logits)
            return tf.constant(tokens[:, start + int(position)])

        block, state = model.generate_block(context, state, draw)
        context = block[:, -1:]
    np.testing.assert_allclose(tf.stack(drawn, axis=1), expected, atol=1e-4)


@pytest.mark.parametrize("changes", [{"num_stages": 3}, {"num_stages": 2, "filter_length": 3, "num_repeats": 3}])
def test_logits_depend_on_the_receptive_field_before_them_and_on_nothing_else(changes):
    """By the Jacobian of logits by what stands for each token."""
    model = network(tiny(input_format="continuous", **changes))
    field = model.config.receptive_field
    length = field + 5
    with tf.GradientTape() as tape:
        x = tf.random.stateless_normal([length, 1, model.config.residual_size], [1, 2])
        tape.watch(x)
        total, y = 0.0, x
        for block, history in zip(model.blocks, model.initial_state(1)):
            y, skip, _ = block(y, history)
            total += skip
        logits = tf.reduce_sum(model.output_layer(total) * tf.range(1.0, model.config.q_levels + 1), axis=[1, 2])
    jacobian = np.abs(tape.jacobian(logits, x)).max(axis=(2, 3))  # [predicted, heard], heard one before predicted
    back = np.arange(length)[:, None] - np.arange(length)[None]
    assert (jacobian[(back < 0) | (back >= field)] == 0).all()
    assert (jacobian[(back >= 0) & (back < field)] > 0).all()


@pytest.mark.parametrize(
    ("repeats", "stages", "filter_length", "field"),
    [(3, 10, 3, 6139), (6, 10, 3, 12277), (3, 13, 3, 49147), (4, 8, 2, 1021), (2, 10, 2, 2047)],
)
def test_the_receptive_fields_of_the_papers_networks(repeats, stages, filter_length, field):
    config = WaveNetConfig(num_repeats=repeats, num_stages=stages, filter_length=filter_length)
    assert config.receptive_field == config.seed_length == field


@pytest.mark.long
@pytest.mark.parametrize(
    "changes", [{"input_format": "continuous", "q_type": "linear", "q_levels": 16, "filter_length": 3, "seq_len": 8}]
)
def test_other_networks_keep_the_contract(short_turns, changes):
    verify_contract("wavenet", tiny(**changes))


@pytest.mark.parametrize(
    "turns",
    [(128, 16, 4, 2, 1), *(pytest.param(turns, marks=pytest.mark.long) for turns in ((128, 16, 1), (8, 1)))],
)
def test_however_the_loops_are_nested_the_same_is_generated(monkeypatch, turns):
    model = network(tiny(filter_length=3))
    monkeypatch.setattr(WaveNetConfig, "turns", turns)
    generator = Generator(model, jit_compile=False)
    (tokens,) = generator(np.array([[SILENCE]]), 200, [1e-6], [[0]])
    logits, _ = model(np.concatenate([[[SILENCE]], tokens], axis=1), model.initial_state(1))
    np.testing.assert_array_equal(tokens[0], np.argmax(logits[0], axis=1)[:200])


@pytest.mark.xla
def test_sequences_on_several_cores_are_those_of_one(monkeypatch):
    monkeypatch.setattr(WaveNetConfig, "turns", (8, 1))
    monkeypatch.setattr(generation, "ITEMS_A_CALL", 16)
    model = network(tiny(num_stages=2, num_repeats=1))

    def sequences(cores):
        """Five, and the number of rows in each part of them."""
        monkeypatch.setattr(generation, "number_of_cores", lambda: cores)
        generator, rows = Generator(model, jit_compile=True), []
        blocks = generator._blocks
        generator._blocks = lambda context, *rest: rows.append(context.shape[0]) or blocks(context, *rest)
        state = generator.read(np.array([SILENCE, 3, 7]))
        pieces = generator(np.full([5, 1], 7), 40, [1.0] * 5, [[number] for number in range(5)], state)
        return np.concatenate([*pieces], axis=1), rows

    whole, rows = sequences(1)
    assert rows == [5] and len(np.unique(whole, axis=0)) == 5
    for cores, parts in ((2, [3, 3]), (4, [2, 2, 2])):
        found, rows = sequences(cores)
        assert rows == parts
        np.testing.assert_array_equal(found, whole)


def test_dropout_is_only_in_training():
    config = tiny(dropout=0.5)
    model, x = network(config), tf.random.stateless_uniform([3, 25], [0, 1], maxval=256, dtype=tf.int32)
    plain = network(tiny())(x, model.initial_state(3))[0]
    np.testing.assert_array_equal(model(x, model.initial_state(3))[0], plain)
    first, second = (model(x, model.initial_state(3), training=True)[0] for _ in range(2))
    assert not np.allclose(first, plain) and not np.allclose(first, second)


def test_a_block_drops_whole_channels_of_each_row():
    """Of a block that hands on half the tanh of what it hears last."""
    width, rows = 8, 40
    config = tiny(dropout=0.5, residual_size=width, inner_size=width)
    block = Block(1, config, is_last=False, dropout_seed=keras.random.SeedGenerator(0))
    block.build()
    kernel, output_kernel = np.zeros(block.kernel.shape), np.zeros(block.output_kernel.shape)
    kernel[-1, :, :width] = output_kernel[:, :width] = np.eye(width)
    block.kernel.assign(kernel)
    block.output_kernel.assign(output_kernel)
    x = tf.ones([20, rows, width])
    heard = (block(x, tf.zeros([1, width, rows]), training=True)[0] - x).numpy()
    np.testing.assert_allclose(np.unique(heard), [0, np.tanh(2) / 2], rtol=1e-6)
    np.testing.assert_array_equal(heard, np.broadcast_to(heard[:1], heard.shape))
    assert len(np.unique(heard[0], axis=0)) > rows / 2


@pytest.mark.parametrize(("rows", "shape"), [(1, [50, 400, 30]), (0, [400, 50, 30])])
def test_a_channel_is_dropped_for_a_whole_window_and_the_others_keep_the_mean(rows, shape):
    dropped = drop_channels(tf.ones(shape), 0.25, keras.random.SeedGenerator(0), rows).numpy()
    dropped = np.moveaxis(dropped, rows, 0)  # [rows, steps, channels]
    np.testing.assert_array_equal(dropped, np.broadcast_to(dropped[:, :1], dropped.shape))
    np.testing.assert_allclose(np.unique(dropped), [0, 1 / 0.75], rtol=1e-6)
    assert dropped.mean() == pytest.approx(1, abs=0.02)  # of 12,000 independent channels


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_predicts_nearly_the_same(precision):
    config, x = tiny(), tf.random.stateless_uniform([2, 49], [0, 1], maxval=256, dtype=tf.int32)
    exact, mixed = network(config), WaveNet(config, precision)
    for variable, other in zip(exact.variables, mixed.variables):
        other.assign(variable)
    logits, state = mixed(x, mixed.initial_state(2))
    expected, _ = exact(x, exact.initial_state(2))
    assert {part.dtype for part in (logits, *state)} == {tf.float32}
    difference = np.abs(logits - expected).max() / np.std(expected)
    assert 1e-6 < difference < 0.1


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"filter_length": 1}, "filter_length is 1; it must be a whole number from 2"),
        ({"num_stages": 0}, "num_stages is 0; it must be a whole number from 1"),
        ({"input_format": "raw"}, 'input_format is "raw"; it must be one-hot or continuous'),
        ({"dim": 64}, "unknown parameter 'dim'"),
        ({"residual_size": 2**20, "inner_size": 2**20}, "would hold .* lower one .* inner_size is 1048576"),
        (
            {"num_stages": 20, "residual_size": 4096, "inner_size": 1},
            "remember .* lower one .* num_stages is 20, .* is 4096$",
        ),
    ],
)
def test_what_cannot_be_is_refused_with_the_remedy(values, said):
    with pytest.raises(InputError, match=said):
        WaveNetConfig.from_dict(values)
