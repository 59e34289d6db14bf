"""Generation is the network; sampling is the softmax; files are new, whole and of the right length."""

import re

import numpy as np
import pytest
import soundfile
import tensorflow as tf
from conftest import GOLDEN, MUSIC, load_golden

from samplernn import generation
from samplernn.config import GenerationOptions, InputError, ModelConfig
from samplernn.generation import (
    Generator,
    choose_sample_rate,
    generate_files,
    generate_from_checkpoint,
    inverse_cdf,
    match_temperatures,
    seed_context,
)
from samplernn.model import SampleRNN
from samplernn.quantize import MuLaw


def tiny(precision="float32", **config):
    """A model whose weights are large enough to make every part matter, biases too."""
    config = {"seq_len": 48, "frame_sizes": (4, 16), "dim": 8, "num_rnn_layers": 2, **config}
    model = SampleRNN(ModelConfig(**config), precision)
    for i, variable in enumerate(model.trainable_variables):
        variable.assign(tf.random.stateless_normal(variable.shape, [i, 0], stddev=0.3))
    return model


def logits_of_generating(model, tokens):
    """The logits [B, S, Q] of generation that starts from the first block of tokens and draws the others."""
    lookback = model.lookback
    recorded, context, state = [], tf.constant(tokens[:, :lookback]), model.initial_state(len(tokens))
    for start in range(lookback, tokens.shape[1], lookback):

        def sample(logits, position, start=start):
            recorded.append(logits)
            return tf.constant(tokens[:, start + int(position)])

        context, state = model.generate_block(context, state, sample)
        np.testing.assert_array_equal(context, tokens[:, start : start + lookback])
    return tf.stack(recorded, axis=1)


@pytest.mark.parametrize("rnn_type", ["gru", "lstm"])
@pytest.mark.parametrize("skip_conn", [False, True])
@pytest.mark.parametrize("batch_size", [1, 3])
@pytest.mark.parametrize("frame_sizes", [(4, 16), (2, 6), (1, 3)])
def test_generation_is_teacher_forcing_over_the_same_tokens(rnn_type, skip_conn, batch_size, frame_sizes):
    big = frame_sizes[1]
    model = tiny(rnn_type=rnn_type, skip_conn=skip_conn, frame_sizes=frame_sizes, emb_size=12)
    tokens = np.random.default_rng(0).integers(0, 256, [batch_size, 4 * big]).astype(np.int32)
    expected, _ = model(tf.constant(tokens), model.initial_state(batch_size))
    np.testing.assert_allclose(logits_of_generating(model, tokens), expected, atol=1e-4)


@pytest.mark.parametrize("name", ["gru", "lstm-skip", "gru-linear"])
def test_greedy_generation_is_the_originals(name):
    from test_model import load_network

    golden, model = load_golden(name), load_network(name)
    context = golden["tokens"][:, : model.lookback]
    np.testing.assert_array_equal(generated(Generator(model), context, 128, [1e-6, 1e-6]), golden["greedy"])


def generated(generator, context, num_samples, temperature, seed=0):
    """The pieces put together; the seed of each sequence is the batch's and its row."""
    seeds = [(seed, row) for row in range(len(context))]
    return np.concatenate(list(generator(context, num_samples, temperature, seeds)), axis=1)


@pytest.mark.parametrize("config", [{}, {"rnn_type": "lstm", "skip_conn": True, "q_type": "linear", "q_levels": 64}])
def test_a_seed_draws_the_same_tokens_from_the_fast_forms_and_from_the_plain_ones(config):
    """Plain: the network as it is trained, and a search in the cumulative softmax for the numbers of the seed."""
    model, temperature = tiny(**config), [0.9, 1.2]
    context = np.random.default_rng(1).integers(0, model.config.q_levels, [2, 16])
    for jit_compile in (True, False):
        tokens = generated(Generator(model, jit_compile), context, 80, temperature, seed=7)
        logits, _ = model(tf.constant(np.concatenate([context, tokens], axis=1)), model.initial_state(2))
        for row in range(2):
            probabilities = tf.nn.softmax(tf.cast(logits[row], tf.float64) / temperature[row]).numpy()
            cumulative = np.pad(np.cumsum(probabilities, axis=1), [(0, 0), (1, 0)])  # below a token, and with it
            below, with_it = (cumulative[np.arange(80), tokens[row] + i] for i in (0, 1))
            uniforms = np.random.default_rng((7, row)).random(80, np.float32)
            # A number that is nearer than rounding to the border of two tokens may draw either.
            assert (below - 1e-5 <= uniforms).all() and (uniforms < with_it + 1e-5).all()


@pytest.mark.parametrize(("precision", "tolerance"), [("mixed_bfloat16", 0.1), ("mixed_float16", 0.01)])
def test_generation_in_mixed_precision_is_teacher_forcing_too(precision, tolerance):
    model = tiny(precision)
    tokens = np.random.default_rng(0).integers(0, 256, [2, 32]).astype(np.int32)
    expected, _ = model(tf.constant(tokens), model.initial_state(2))
    logits = logits_of_generating(model, tokens)
    assert logits.dtype == expected.dtype == tf.float32
    assert np.std(expected) > 0.5
    np.testing.assert_allclose(logits, expected, atol=tolerance)


def test_sampling_draws_from_the_softmax_at_each_temperature():
    logits = tf.constant([[0.0, 1.0, -1.0, 2.0], [0.0, 1.0, -1.0, 2.0]])
    temperature = tf.constant([0.5, 2.0])
    uniforms = np.random.default_rng(0).random(20000).astype(np.float32)
    draws = np.stack([inverse_cdf(logits, temperature, tf.fill([2], u)) for u in uniforms[:2000]])
    for row in range(2):
        expected = tf.nn.softmax(logits[row] / temperature[row]).numpy()
        assert np.bincount(draws[:, row], minlength=4) / len(draws) == pytest.approx(expected, abs=0.03)


def test_sampling_never_draws_what_is_impossible():
    logits = tf.constant([[-np.inf, 0.0, -np.inf, 0.0, -np.inf]])
    for uniform, token in ((0.0, 1), (0.49, 1), (0.51, 3), (np.nextafter(np.float32(1), np.float32(0)), 3)):
        assert inverse_cdf(logits, tf.constant([1.0]), tf.constant([uniform], tf.float32)).numpy() == [token]


def test_the_same_seed_draws_the_same_and_another_does_not():
    generator, context = Generator(tiny()), np.full([2, 16], 128)
    one, same, other = (generated(generator, context, 40, [1.0, 1.0], seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)
    assert not np.array_equal(one[0], one[1])
    assert one.shape == (2, 40)


def test_generation_goes_on_across_calls_as_one(monkeypatch):
    model, context = tiny(), np.full([2, 16], 128)
    whole = generated(Generator(model), context, 100, [1.0, 1.0])
    monkeypatch.setattr(generation, "SAMPLES_A_CALL", 16)
    pieces = list(Generator(model)(context, 100, [1.0, 1.0], [(0, 0), (0, 1)]))
    assert [piece.shape for piece in pieces] == [(2, 16)] * 6 + [(2, 4)]
    np.testing.assert_array_equal(np.concatenate(pieces, axis=1), whole)


def test_a_generator_follows_its_models_weights():
    model, context = tiny(), np.full([1, 16], 128)
    generator = Generator(model)
    before = generated(generator, context, 64, [1e-6])
    for variable in model.trainable_variables:
        variable.assign(-variable + 0.1)
    after = generated(generator, context, 64, [1e-6])
    np.testing.assert_array_equal(after, generated(Generator(model), context, 64, [1e-6]))
    assert not np.array_equal(after, before)
    assert generator._blocks.experimental_get_tracing_count() == 1


def test_temperatures_are_cut_or_filled_up():
    assert match_temperatures((0.5, 0.7, 0.9), 2) == [0.5, 0.7]
    assert match_temperatures((0.5, 0.7), 4) == [0.5, 0.7, 0.7, 0.7]
    assert match_temperatures((0.95,), 1) == [0.95]


def test_the_seed_is_a_stretch_of_the_audio(tmp_path, music):
    soundfile.write(tmp_path / "seed.wav", np.stack([music[:100], np.zeros(100)], axis=1), 16000)
    context = seed_context(tiny(), 3, str(tmp_path / "seed.wav"), 84)
    whole, _ = soundfile.read(tmp_path / "seed.wav", dtype="float32")
    np.testing.assert_array_equal(context, np.tile(MuLaw().encode(whole.mean(axis=1)[84:]), [3, 1]))
    assert (seed_context(tiny(), 3, None, 0) == 128).all()


@pytest.mark.parametrize(
    ("samples", "offset", "said"),
    [(100, 85, "--seed_offset 85 is too far.* 84 is the largest"), (15, 0, "15 samples, 16 are needed")],
)
def test_a_seed_that_is_too_short_is_refused(tmp_path, music, samples, offset, said):
    soundfile.write(tmp_path / "seed.wav", music[:samples], 16000)
    with pytest.raises(InputError, match=said):
        seed_context(tiny(), 1, str(tmp_path / "seed.wav"), offset)


def test_a_seed_that_is_not_audio_is_refused(tmp_path):
    (tmp_path / "seed.wav").write_text("la la la")
    with pytest.raises(InputError, match="--seed: .*seed.wav is not audio"):
        seed_context(tiny(), 1, str(tmp_path / "seed.wav"), 0)
    with pytest.raises(InputError, match="--seed: .*nowhere.wav is missing"):
        seed_context(tiny(), 1, str(tmp_path / "nowhere.wav"), 0)


def files(tmp_path, temperature, name="out.wav", dur=0.01):
    context = np.full([len(temperature), 16], 128)
    return generate_files(Generator(tiny()), tmp_path / name, 100, context, dur, 16000, temperature, 0)


def test_files_have_the_documented_names(tmp_path, capsys):
    assert [path.name for path in files(tmp_path, [0.95])] == ["out_e=100_t=0.95.wav"]
    assert [path.name for path in files(tmp_path, [1, 0.75], "new/out")] == [
        "out_e=100(0)_t=1.0.wav",
        "out_e=100(1)_t=0.75.wav",
    ]
    assert f"Wrote {tmp_path / 'new' / 'out_e=100(1)_t=0.75.wav'}" in capsys.readouterr().out


def test_an_existing_file_is_never_overwritten(tmp_path):
    (tmp_path / "out_e=100_t=0.95.wav").write_text("mine")
    names = [path.name for _ in range(2) for path in files(tmp_path, [0.95])]
    assert names == ["out_e=100_t=0.95_1.wav", "out_e=100_t=0.95_2.wav"]
    assert (tmp_path / "out_e=100_t=0.95.wav").read_text() == "mine"


def test_the_length_is_exact_and_the_format_16_bit(tmp_path):
    (path,) = files(tmp_path, [1.0], dur=0.01234)
    info = soundfile.info(path)
    assert (info.frames, info.samplerate, info.subtype, info.channels) == (round(0.01234 * 16000), 16000, "PCM_16", 1)


def interrupted_after(pieces, error):
    """A generator's call that ends in an error after some pieces of 16 samples."""

    def generate(self, context, num_samples, temperature, seeds):
        for _ in range(pieces):
            yield np.full([len(context), 16], 200)
        raise error

    return generate


def test_an_interrupted_generation_leaves_no_file(tmp_path, monkeypatch):
    monkeypatch.setattr(Generator, "__call__", interrupted_after(0, KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        files(tmp_path, [1.0, 1.0])
    assert list(tmp_path.iterdir()) == []


def test_what_ctrl_c_cuts_short_is_kept(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(Generator, "__call__", interrupted_after(3, KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        files(tmp_path, [1.0, 1.0], dur=1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out_e=100(0)_t=1.0.wav", "out_e=100(1)_t=1.0.wav"]
    assert {soundfile.info(path).frames for path in tmp_path.iterdir()} == {48}
    assert capsys.readouterr().out.count("Wrote") == 2


def test_a_failure_leaves_no_half_file(tmp_path, monkeypatch):
    monkeypatch.setattr(Generator, "__call__", interrupted_after(3, RuntimeError()))
    with pytest.raises(RuntimeError):
        files(tmp_path, [1.0, 1.0], dur=1)
    assert list(tmp_path.iterdir()) == []


def test_batches_of_sequences_are_as_one(tmp_path, capsys):
    temperature = [0.5, 0.7, 0.9, 1.1, 1.3]
    context, generator = np.full([5, 16], 128), Generator(tiny())
    whole = generate_files(generator, tmp_path / "whole", 1, context, 0.01, 16000, temperature, 3)
    parts = generate_files(generator, tmp_path / "parts", 1, context, 0.01, 16000, temperature, 3, max_batch=2)
    for one, other in zip(whole, parts):
        np.testing.assert_array_equal(soundfile.read(one)[0], soundfile.read(other)[0])
    assert "Sequences 3 to 4 of 5: Generated 0.01 of 0.01 seconds" in capsys.readouterr().out


def test_batches_are_equal_and_no_larger_than_the_limit():
    assert generation._batch_size(100, None) == 50  # at most 64 on the CPU
    assert generation._batch_size(100, 40) == 34
    assert generation._batch_size(3, 8) == 3


def test_a_batch_that_does_not_fit_is_halved(tmp_path, monkeypatch):
    sizes = []

    def generate(self, context, num_samples, temperature, seeds):
        sizes.append(len(context))
        if len(context) > 2:
            raise tf.errors.ResourceExhaustedError(None, None, "out of memory")
        yield np.full([len(context), num_samples], 200)

    monkeypatch.setattr(Generator, "__call__", generate)
    assert {soundfile.info(path).frames for path in files(tmp_path, [1.0] * 6)} == {160}
    assert sizes == [6, 3, 1, 1, 1, 1, 1, 1]
    with pytest.raises(tf.errors.ResourceExhaustedError):
        generate_files(Generator(tiny()), tmp_path / "b", 1, np.zeros([6, 16]), 0.01, 16000, [1.0] * 6, 0, max_batch=4)


def test_a_path_that_cannot_be_written_is_refused_before_the_work(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setattr(Generator, "__call__", None)
    with pytest.raises(InputError, match="can't be written"):
        files(tmp_path, [1.0], "file/out.wav")


@pytest.mark.parametrize("name", ["", "folder/"])
def test_an_output_path_without_a_name_is_refused(name):
    with pytest.raises(InputError, match="--output_path .*: not the name of a file"):
        generate_files(Generator(tiny()), name, 1, np.full([1, 16], 128), 0.01, 16000, [1.0], 0)


def test_the_sample_rate_is_the_flags_the_known_or_the_default(caplog):
    assert choose_sample_rate(None, None, "") == 16000
    assert choose_sample_rate(None, 44100, "") == 44100
    assert choose_sample_rate(8000, None, "") == choose_sample_rate(8000, 8000, "") == 8000
    assert not caplog.text
    assert choose_sample_rate(8000, 44100, "the checkpoint was trained on") == 8000
    assert "--sample_rate 8000, though the checkpoint was trained on 44100 Hz" in caplog.text


def test_a_prism_checkpoint_generates_as_it_is(tmp_path, capsys):
    options = GenerationOptions(
        output_path=str(tmp_path / "out.wav"),
        checkpoint_path=str(GOLDEN / "gru" / "model.ckpt-1.index"),
        num_seqs=2,
        dur=0.05,
        temperature=(0.9,),
        seed=str(MUSIC),
        seed_offset=20000,
    )
    paths = generate_from_checkpoint(options)
    assert [path.name for path in paths] == ["out_e=1(0)_t=0.9.wav", "out_e=1(1)_t=0.9.wav"]
    assert {soundfile.info(path).frames for path in paths} == {800}
    assert re.search(r"Generated 0\.05 of 0\.05 seconds", capsys.readouterr().out)
    one, two = (soundfile.read(path)[0] for path in paths)
    assert not np.array_equal(one, two)
