"""A blend is a mixture of what its networks predict, each by itself; at either end of the share it is one of them."""

import numpy as np
import pytest
import tensorflow as tf
from contract import draw_items
from networks import randomized

from samplernn.corpus.seed import silence
from samplernn.generation.blend import Blend
from samplernn.generation.generator import Generator
from samplernn.models import registry
from samplernn.models.pianoroll.config import PianoRollConfig
from samplernn.models.predictor.config import PredictorConfig
from samplernn.models.samplernn.config import SampleRNNConfig
from samplernn.models.wavenet.config import WaveNetConfig

TOKENS = {"q_type": "linear", "q_levels": 16}
SMALL = {"seq_len": 48, "dim": 8, "num_rnn_layers": 2, **TOKENS}
CONFIGS = {
    "samplernn": SampleRNNConfig(frame_sizes=(4, 16), **SMALL),
    "of other frames": SampleRNNConfig(frame_sizes=(2, 6, 12), rnn_type="lstm", skip_conn=True, **SMALL),
    "wavenet": WaveNetConfig(
        seq_len=48, num_repeats=1, num_stages=3, residual_size=8, inner_size=8, skip_size=8, **TOKENS
    ),
    "predictor": PredictorConfig(seq_len=48, receptive_field=20, hidden_size=8, **TOKENS),
    "rolls": PianoRollConfig(seq_len=8, layer_sizes=(6, 5), note_range=(60, 67), onsets=True),
    "other rolls": PianoRollConfig(seq_len=8, layer_sizes=(9,), note_range=(60, 67), onsets=True),
}
PAIRS = [("samplernn", "wavenet"), ("rolls", "other rolls")]
MORE_PAIRS = [("samplernn", "of other frames"), ("predictor", "samplernn"), ("wavenet", "wavenet")]
ALL_PAIRS = [*PAIRS, *(pytest.param(pair, marks=pytest.mark.long) for pair in MORE_PAIRS)]
ROWS, SECONDS_OF_ENVELOPE = 2, 0.01


def network(name, seed):
    return randomized(registry.build(CONFIGS[name]), seed)


def blend_of(pair, share):
    return Blend(*(network(name, seed) for seed, name in enumerate(pair)), share)


def log_p(model, items, left):
    """What a network makes of items behind so many, by one long window that begins with its initial state."""
    config = model.config
    given = tf.constant(items[:, left - config.window.left :])
    state = [] if config == CONFIGS["predictor"] else [model.initial_state(ROWS)]
    logits = model.call(given, *state)
    return tf.nn.log_softmax(logits if tf.is_tensor(logits) else logits[0])


@pytest.mark.parametrize("pair", ALL_PAIRS, ids=" and ".join)
def test_it_predicts_by_both_with_their_own_states_what_the_envelope_says(pair):
    blend = blend_of(pair, f"0.2@0,0.9@{SECONDS_OF_ENVELOPE}")
    config = blend.config
    left, block, read = config.window.left, config.block_length, 2 * config.seed_multiple
    items = draw_items(config.first, [ROWS, left + read + 2 * block]).astype(np.int32)
    state = blend.read(tf.constant(items[:, : left + read]), blend.initial_state(ROWS))
    shares = blend.conditioning_at(np.arange(2 * block) / 1000 * SECONDS_OF_ENVELOPE)
    drawn = []
    for start in (0, block):
        at = left + read + start

        def draw(logits, position, at=at):
            drawn.append(logits)
            return tf.constant(items[:, at + int(position)])

        given = tf.constant(np.stack([shares[start : start + block]] * ROWS))
        context = tf.constant(items[:, at - left : at])
        made, state = blend.generate_block(context, state, draw, blend.step_weights(), given)
        np.testing.assert_array_equal(made, items[:, at : at + block])

    first, second = (log_p(model, items, left)[:, read:] for model in blend.networks)
    of_second = (0.2 + 0.7 * np.minimum(np.arange(2 * block) / 1000, 1)).reshape([1, -1] + [1] * (first.ndim - 2))
    expected = (1 - of_second) * first + of_second * second
    np.testing.assert_allclose(tf.stack(drawn, axis=1), expected, rtol=1e-4, atol=1e-4)


def generated(model, length=150):
    context = np.stack([silence(model.config).tokens] * ROWS)
    return np.concatenate(list(Generator(model)(context, length, [1.0] * ROWS, [[1], [2]])), axis=1)


@pytest.mark.parametrize("pair", ALL_PAIRS, ids=" and ".join)
def test_at_either_end_of_the_share_it_is_one_of_them(pair):
    alone = [generated(network(name, seed)) for seed, name in enumerate(pair)]
    assert not np.array_equal(*alone)
    for share, expected in zip((0, 1), alone):
        np.testing.assert_array_equal(generated(blend_of(pair, share)), expected)


def test_it_goes_from_the_one_to_the_other_when_the_envelope_says():
    levels = []
    for level in (3, 5):
        model = registry.build(PredictorConfig(seq_len=8, receptive_field=0, hidden_size=4, **TOKENS))
        model.head.kernel.assign(tf.zeros_like(model.head.kernel))
        model.head.bias.assign(np.float32(20) * (np.arange(16) == level))
        levels.append(model)
    context = np.zeros([1, 1], np.int32)
    for rate, share, switch in ((100, "0@0,1@1", 50), (1000, "0@0.05,1@0.15", 100)):
        pieces = Generator(Blend(*levels, share))(context, 200, [1e-6], [[0]], sample_rate=rate)
        items = np.concatenate(list(pieces), axis=1)[0]
        assert set(items[:switch]) == {3} and set(items[switch + 1 :]) == {5}  # between them both are as likely


def test_seeds_are_heard_by_both_from_their_first_item_on():
    blend = blend_of(("samplernn", "wavenet"), 0.5)
    config = blend.config
    assert (config.window.left, config.seed_padding, config.seed_multiple) == (16, 16, 16)
    assert config.seed_length == max(of.seed_length for of in (config.first, config.second))
    items = np.concatenate([silence(config).tokens, draw_items(config.first, [32])])
    state = Generator(blend).read(items)
    for model, own in zip(blend.networks, state):
        expected = model.read(tf.constant(items[None, 16 - model.config.window.left :]), model.initial_state(1))
        tf.nest.map_structure(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), own, expected)
