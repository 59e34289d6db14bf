"""Autoencoders over whole recordings, window by window and piece by piece, against slow plain versions."""

from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf
from contract import verify_contract
from plain_wavenet import plain_logits

from samplernn.audio.quantize import quantizer
from samplernn.corpus.seed import Context
from samplernn.generation import generator as generation
from samplernn.generation.encoding import Encoder
from samplernn.generation.generator import Generator
from samplernn.generation.level import GivenCodes, Level
from samplernn.models import registry
from samplernn.models.autoencoder.config import AMAEConfig, VQVAEConfig
from samplernn.models.config import NO_ITEM, NO_TARGET
from samplernn.system.errors import InputError

SMALL = {
    "seq_len": 16,
    "hop": 4,
    "num_codes": 6,
    **{"encoder_repeats": 1, "encoder_stages": 2, "encoder_size": 5},
    **{"modulator_repeats": 2, "modulator_stages": 1, "modulator_size": 4},
    **{"num_repeats": 1, "num_stages": 2, "residual_size": 4, "inner_size": 3, "skip_size": 5},
}
FAMILIES = {"vqvae": VQVAEConfig, "amae": AMAEConfig}
VARIANTS = [
    ("vqvae", {}),
    ("vqvae", {"input_format": "continuous", "encoder_filter_length": 5, "hop": 2}),
    ("amae", {"q_type": "linear", "q_levels": 20}),
    ("amae", {"simplex": "softmax", "modulator_filter_length": 1}),
]


def network(name, **changes):
    """With weights of which each matters."""
    model = registry.build(FAMILIES[name].from_dict(SMALL | changes))
    for number, variable in enumerate(model.trainable_variables):
        variable.assign(tf.random.stateless_normal(variable.shape, [number, 0], stddev=0.5))
    if name == "vqvae":
        model.bottleneck.codebook.assign(tf.random.stateless_normal([6, model.config.code_size], [0, 1]))
    queries, _ = model._look(tf.constant(recording(model.config, 400 + 2 * model.config.codes.context))[None])
    spread = tf.math.reduce_std(queries, axis=[0, 1])
    model.query.kernel.assign(model.query.kernel / spread)  # so that many codes are in use
    model.query.bias.assign((model.query.bias - tf.reduce_mean(queries, axis=[0, 1])) / spread)
    return model


def recording(config, length=45):
    """Tokens that are no whole number of codes, nor of windows."""
    return np.random.default_rng(0).integers(0, config.q_levels, length).astype(np.int32)


def weights_of(model):
    return {variable.path.split("/", 1)[1]: variable.numpy() for variable in model.weights}


def plain_stack(weights, name, x, dilations):
    """Blocks over [T, width] that hear nothing beyond its ends, by a loop over positions and taps."""
    for number, dilation in enumerate(dilations):
        of_block = {key.rsplit("/", 1)[1]: w for key, w in weights.items() if key.startswith(f"{name}/block_{number}/")}
        taps = of_block["kernel"]
        margin = len(taps) // 2 * dilation
        y = []
        for t in range(margin, len(x) - margin):
            convolved = of_block["bias"] + sum(x[t - margin + k * dilation] @ tap for k, tap in enumerate(taps))
            filtered, gate = np.split(convolved, 2)
            z = np.tanh(filtered) / (1 + np.exp(-gate))
            y.append(x[t] + z @ of_block["output_kernel"] + of_block["output_bias"])
        x = np.array(y)
    return x


def plain_codes(model, tokens):
    """Of a whole recording, outside which there is silence."""
    config, weights, codes = model.config, weights_of(model), model.config.codes
    levels = quantizer(config.q_type, config.q_levels)
    heard = np.pad(tokens, codes.context, constant_values=levels.zero)
    if config.input_format == "one-hot":
        x = weights["encoder_input/embeddings"][heard]
    else:
        x = levels.decode(heard)[:, None] @ weights["encoder_input/kernel"] + weights["encoder_input/bias"]
    seen = plain_stack(weights, "encoder", x, config.encoder_dilations)
    queries = seen @ weights["query/kernel"] + weights["query/bias"]
    queries = [
        queries[start : start + config.hop].mean(0) for start in range(0, len(tokens) - config.hop + 1, config.hop)
    ]
    if isinstance(config, VQVAEConfig):
        book = weights["bottleneck/codebook"]
        return np.array([np.argmin(((book - query) ** 2).sum(1)) for query in queries])
    return np.array([0 if config.simplex == "relu" and max(query) <= 0 else np.argmax(query) for query in queries])


def plain_conditions(model, codes, length):
    """What is added to each block at each of `length` samples, outside whose codes there are zeros: [blocks][n]."""
    config, weights = model.config, weights_of(model)
    vqvae = isinstance(config, VQVAEConfig)
    table = weights["bottleneck/codebook"] if vqvae else np.eye(config.num_codes)
    reach, number = config.codes.reach, -(-length // config.hop)
    vectors = np.zeros([reach + number + reach, table.shape[1]])
    vectors[reach : reach + len(codes)] = table[codes]
    x = vectors @ weights["modulator_input/kernel"] + weights["modulator_input/bias"]
    seen = plain_stack(weights, "modulator", x, config.modulator_dilations)
    blocks = range(len(config.local_model.dilations))
    return [np.repeat(seen @ weights[f"condition_{number}/kernel"], config.hop, axis=0) for number in blocks]


def windows(model, tokens):
    """The windows of a recording and their targets, [1, left + S + right] and [1, S]."""
    window = model.config.window
    number = -(-len(tokens) // window.length)
    behind = number * window.length - len(tokens)
    items = np.pad(tokens, (window.left, behind + window.right), constant_values=NO_ITEM)
    targets = np.pad(tokens, (0, behind), constant_values=NO_TARGET)
    for start in range(0, number * window.length, window.length):
        y = targets[start : start + window.length]
        yield tf.constant(items[None, start : start + window.with_context]), tf.constant(y[None])


@pytest.mark.parametrize("name, changes", VARIANTS)
def test_a_recording_window_by_window_is_as_the_paper_has_it_as_a_whole(name, changes):
    model = network(name, **changes)
    tokens = recording(model.config)
    codes = plain_codes(model, tokens)
    assert len(set(codes)) > 2
    conditions = plain_conditions(model, codes, len(tokens))
    logits = plain_logits(model.local_model, tokens, lambda number, position: conditions[number][position])
    logits -= logits.max(axis=1, keepdims=True)
    chosen = logits[np.arange(len(tokens)), tokens]
    expected = np.log(np.exp(logits).sum(axis=1)) - chosen

    total, counts, state = 0.0, 0, model.initial_state(1)
    for x, y in windows(model, tokens):
        outcome = model.forward(x, y, state, training=False)
        total, counts, state = total + outcome.sums["nll"], counts + outcome.sums["codes"].numpy(), outcome.state
    np.testing.assert_allclose(total, expected.sum(), rtol=1e-4)
    np.testing.assert_array_equal(counts, np.bincount(codes, minlength=6))  # each whole code once


@pytest.mark.parametrize("name, changes", VARIANTS)
def test_the_codes_of_a_window_are_those_of_the_recording(monkeypatch, name, changes):
    monkeypatch.setattr("samplernn.generation.encoding.ITEMS_A_CALL", 8)
    model = network(name, **changes)
    tokens, context, hop = recording(model.config), model.config.codes.context, model.config.hop
    codes = Encoder(model)(tokens)
    np.testing.assert_array_equal(codes, plain_codes(model, tokens))
    padded = np.pad(tokens, context, constant_values=NO_ITEM)
    for first in range(len(codes) - 2):
        stretch = padded[first * hop :][: 2 * hop + 2 * context]
        np.testing.assert_array_equal(model.encode(tf.constant(stretch[None]))[0], codes[first : first + 2])
    stretch = padded[(len(codes) - 1) * hop :]
    stretch = np.pad(stretch, (0, 2 * hop), constant_values=NO_ITEM)[: 2 * hop + 2 * context]
    np.testing.assert_array_equal(model.encode(tf.constant(stretch[None]))[0], [codes[-1], NO_ITEM])  # no whole one


@pytest.mark.parametrize("filter_length, reach", [(1, 0), (3, 2)])
def test_a_code_is_for_the_samples_of_its_hop_and_of_its_reach_to_the_sample(short_turns, filter_length, reach):
    """By what changes first where one code does; behind it the local model hears what was predicted otherwise."""
    model = network("vqvae", hop=2, modulator_filter_length=filter_length)
    assert model.config.codes.reach == reach
    hop = model.config.hop

    def logits_of(codes):
        seen, tokens = [], np.random.default_rng(1).integers(0, 256, [1, 16])

        def draw(logits, position):
            seen.append(logits.numpy()[0])
            return tf.constant(tokens[:, position], tf.int32)

        padded = np.pad(codes, reach, constant_values=NO_ITEM)[None]
        conditioning = model.condition(tf.constant(padded, tf.int32))
        context = tf.fill([1, model.config.window.left], NO_ITEM)
        model.generate_block(context, model.initial_state(1), draw, None, conditioning)
        return np.array(seen)

    codes = np.random.default_rng(2).integers(0, 6, 16 // hop)
    before = logits_of(codes)
    first = {}
    for changed in (3, 4, 5, 6):
        other = codes.copy()
        other[changed] = (other[changed] + 1) % 6
        first[changed] = np.flatnonzero((logits_of(other) != before).any(axis=1))[0]
    ahead = [sample - changed * hop for changed, sample in first.items()]
    assert min(ahead) == -reach * hop  # what comes first may be too little to be seen


@pytest.mark.parametrize("name, changes", VARIANTS)
def test_what_is_decoded_in_pieces_is_as_all_at_once(short_turns, monkeypatch, name, changes):
    model = network(name, **changes)
    codes = np.random.default_rng(0).integers(0, 6, [2, 30])

    def decoded(items_a_call, pieces):
        monkeypatch.setattr(generation, "ITEMS_A_CALL", items_a_call)
        given = iter([np.full([2, model.config.codes.reach], NO_ITEM), *np.split(codes, pieces, axis=1)])
        context = np.full([2, model.config.window.left], NO_ITEM)
        made = Generator(model)(context, 50, [1.0, 0.8], [[0], [1]], codes=given)
        return np.concatenate(list(made), axis=1)

    whole = decoded(64, [])
    np.testing.assert_array_equal(decoded(16, [1, 2, 9]), whole)
    assert len(np.unique(whole)) > 5


@pytest.mark.parametrize("name, changes", VARIANTS)
def test_a_recording_that_is_gone_on_with_is_as_if_it_had_never_stopped(name, changes):
    """The state behind a stretch that is read with its codes and those behind it is that of the windows."""
    model = network(name, **changes)
    config, tokens = model.config, recording(model.config, 48)
    codes, reach, hop = Encoder(model)(tokens), config.codes.reach, config.hop
    state = model.initial_state(1)
    for x, y in [*windows(model, tokens)][:2]:
        state = model.forward(x, y, state, training=False).state
    context = Context(
        np.concatenate([np.full(config.window.left, NO_ITEM), tokens[:32]]),
        codes=np.concatenate([np.full(reach, NO_ITEM), codes[: 32 // hop]]),
    )
    level = Level(Generator(model), context, [1.0] * 2, 0, 16000, GivenCodes(codes[32 // hop :]))
    read, rest = level._follow(level.above, range(2), 16)
    for part, expected in zip(tf.nest.flatten(read), tf.nest.flatten(state)):
        np.testing.assert_allclose(part, tf.repeat(expected, 2, axis=-1), atol=1e-5)
    following = np.concatenate([*rest], axis=1)
    np.testing.assert_array_equal(following[0, : reach + 2], codes[32 // hop - reach :][: reach + 2])


@pytest.mark.long
@pytest.mark.parametrize(
    "name, changes",
    [
        ("vqvae", {"input_format": "continuous", "hop": 1}),
        ("vqvae", {"q_type": "codes", "q_levels": 9, "seq_len": 64}),
        ("vqvae", {"encoder_filter_length": 1, "modulator_filter_length": 1}),
        ("amae", {"simplex": "softmax", "hop": 16}),
        ("amae", {"q_type": "codes", "q_levels": 9, "hop": 2}),
    ],
)
def test_the_contract_is_kept_by_others(short_turns, name, changes):
    tiny = FAMILIES[name].tiny()
    verify_contract(name, replace(tiny, **changes))


@pytest.mark.parametrize(
    "wrong, said",
    [
        ({"hop": 12}, "hop is 12; it must be a power of 2, 128 at most"),
        ({"hop": 256}, "hop is 256; it must be a whole number from 1 to 128"),
        ({"seq_len": 510}, "seq_len is 510; it must be a multiple of hop, 8"),
        ({"encoder_filter_length": 2}, "encoder_filter_length is 2; it must be an odd number"),
        ({"q_type": "codes", "input_format": "continuous"}, 'input_format is "continuous"; it must be "one-hot" where'),
        ({"codebook_rate": 0}, "codebook_rate is 0; it must be a number above 0, up to 1"),
        ({"commitment": -1}, "commitment is -1; it must be a number from 0 up"),
        ({"encoder_size": 2**20}, "the network would hold .* lower one of these: encoder_size"),
        ({"encoder_stages": 20, "encoder_repeats": 128, "encoder_filter_length": 63}, "a step would keep"),
        ({"restart_after": 0}, "restart_after is 0; it must be a whole number from 1 up, or None"),
    ],
)
def test_what_cannot_be_is_told(wrong, said):
    with pytest.raises(InputError, match=said):
        VQVAEConfig.from_dict(wrong)
