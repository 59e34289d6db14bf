"""Generation is the network; sampling is the softmax; files are new, playable at any time, and can be made again."""

import hashlib
import importlib.metadata
import math
import os
import platform
import re
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import tensorflow as tf
from clips import CHECKPOINT, files, said_of, tiny
from conftest import GOLDEN, MUSIC, ROOT, load_golden
from golden_networks import load_network
from test_sampling import plain_likeliest

import samplernn
from samplernn.audio.quantize import MuLaw
from samplernn.audio.wav import MAX_WAV_FRAMES
from samplernn.commands import cli
from samplernn.corpus.seed import Context
from samplernn.generation import generate, report
from samplernn.generation import generator as generation
from samplernn.generation.generate import generate_from_checkpoints, match_temperatures
from samplernn.generation.generator import Generator
from samplernn.generation.plan import choose_sample_rate
from samplernn.generation.sound import Sound
from samplernn.models import registry
from samplernn.models.registry import config_to_dict, load_config
from samplernn.models.samplernn.config import SampleRNNConfig
from samplernn.options.generate import GenerationOptions
from samplernn.system import progress
from samplernn.system.errors import InputError, RunError


def logits_of_generating(model, tokens):
    """The logits [B, S, Q] of generation that starts from the first block of tokens and draws the others."""
    lookback = model.config.window.left
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
    golden, model = load_golden(name), load_network(name)
    context = golden["tokens"][:, : model.config.window.left]
    np.testing.assert_array_equal(generated(Generator(model), context, 128, [1e-6, 1e-6]), golden["greedy"])
    np.testing.assert_array_equal(generated(Generator(model, top_k=1), context, 128, [1, 1]), golden["greedy"])


def generated(generator, context, num_samples, temperature, seed=0, **kwargs):
    """The pieces put together; the seed of each sequence is the batch's and its row."""
    seeds = [(seed, row) for row in range(len(context))]
    return np.concatenate(list(generator(context, num_samples, temperature, seeds, **kwargs)), axis=1)


@pytest.mark.parametrize(
    ("name", "frames", "jit_compile"),
    [
        *((name, frames, False) for name in ("gru", "lstm-skip") for frames in (2, 7)),
        *(pytest.param(name, 3, False, marks=pytest.mark.long) for name in ("gru", "lstm-skip")),
        pytest.param("lstm-skip", 3, True, marks=pytest.mark.xla),
    ],
)
def test_what_follows_on_a_seed_is_the_networks_likeliest(monkeypatch, name, frames, jit_compile):
    """Of the network as it is trained, over the seed and what follows; the seed is read two frames at a time."""
    model = load_network(name)
    monkeypatch.setattr(generation, "ITEMS_A_CALL", 2 * model.config.window.left)
    seed = np.random.default_rng(2).integers(0, 256, frames * model.config.window.left).astype(np.int32)
    generator, context = Generator(model, jit_compile), seed[None, -model.config.window.left :].repeat(2, axis=0)
    tokens = generated(generator, context, 128, [1e-6, 1e-6], state=generator.read(seed))
    np.testing.assert_array_equal(tokens[0], tokens[1])
    whole = np.concatenate([seed, tokens[0]])
    logits, _ = model(tf.constant(whole[None]), model.initial_state(1))  # of all but the first frame
    np.testing.assert_array_equal(tokens[0], np.argmax(logits[0], axis=1)[len(seed) - model.config.window.left :])
    assert not np.array_equal(tokens, generated(generator, context, 128, [1e-6, 1e-6]))


@pytest.mark.parametrize("precision", ["mixed_bfloat16", pytest.param("mixed_float16", marks=pytest.mark.long)])
def test_a_seed_is_read_in_mixed_precision(precision):
    seed = np.random.default_rng(0).integers(0, 256, 80).astype(np.int32)
    mixed, exact = Generator(tiny(precision)), Generator(tiny())
    state = mixed.read(seed)
    for part, expected in zip(tf.nest.flatten(state), tf.nest.flatten(exact.read(seed))):
        np.testing.assert_allclose(tf.cast(part, tf.float32), expected, atol=0.05)
    generated(mixed, seed[None, -16:], 16, [1.0], state=state)
    assert mixed._blocks.experimental_get_tracing_count() == 1
    generated(mixed, seed[None, -16:], 16, [1.0])
    assert mixed._blocks.experimental_get_tracing_count() == 1


OTHER = {"rnn_type": "lstm", "skip_conn": True, "q_type": "linear", "q_levels": 64}


@pytest.mark.parametrize(
    ("config", "top", "jit_compile"),
    [
        ({}, {}, False),
        (OTHER, {}, False),
        ({}, {"top_k": 30, "top_p": 0.8}, False),
        pytest.param(OTHER, {"top_k": 30, "top_p": 0.8}, True, marks=pytest.mark.xla),
    ],
)
def test_a_seed_draws_the_same_tokens_from_the_fast_forms_and_from_the_plain_ones(
    monkeypatch, config, top, jit_compile
):
    """Plain: the network as it is trained, and a search in the cumulative softmax for the numbers of the seed."""
    monkeypatch.setattr(generation, "ITEMS_A_CALL", 32)
    model = tiny(**config)
    context = np.random.default_rng(1).integers(0, model.config.q_levels, [2, 16])
    seconds = np.arange(80) / 8000
    temperature = np.stack([np.full(80, 0.9), np.clip(0.6 + (seconds - 0.001) / 0.005, 0.6, 1.6)])
    generator = Generator(model, jit_compile, **top)
    tokens = generated(generator, context, 80, [0.9, "0.6@0.001,1.6@0.006"], seed=7, sample_rate=8000)
    logits, _ = model(tf.constant(np.concatenate([context, tokens], axis=1)), model.initial_state(2))
    for row in range(2):
        plain = np.full(logits[row].shape, -np.inf)
        for i, t in enumerate(temperature[row]):
            left = plain_likeliest(logits[row, i].numpy(), t, top.get("top_k"), top.get("top_p"))
            plain[i, left] = logits[row, i].numpy()[left] / t
        probabilities = tf.nn.softmax(plain).numpy()
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


def test_the_same_seed_draws_the_same_and_another_does_not():
    generator, context = Generator(tiny()), np.full([2, 16], 128)
    one, same, other = (generated(generator, context, 40, [1.0, 1.0], seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)
    assert not np.array_equal(one[0], one[1])
    assert one.shape == (2, 40)


def test_generation_goes_on_across_calls_as_one(monkeypatch):
    model, context, temperature = tiny(), np.full([2, 16], 128), [1.0, "0.5@0,2@0.005"]
    whole = generated(Generator(model), context, 100, temperature)
    monkeypatch.setattr(generation, "ITEMS_A_CALL", 16)
    pieces = list(Generator(model)(context, 100, temperature, [(0, 0), (0, 1)]))
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


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def silence(self, context, num_samples, temperature, seeds, state, sample_rate, codes):
    yield np.full([len(context), num_samples], 128)


def test_files_have_the_documented_names(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(Generator, "__call__", silence)
    assert [path.name for path in files(tmp_path, [0.95])] == ["out_e=1_t=0.95.wav"]
    assert [path.name for path in files(tmp_path, [1, 0.75], "new/out")] == [
        "out_e=1(0)_t=1.0.wav",
        "out_e=1(1)_t=0.75.wav",
    ]
    many = ",".join(f"0.5@{i}" for i in range(20))
    assert [path.name for path in files(tmp_path, ["0.75@0,1.1@5,0.8@10", many])] == [
        "out_e=1(0)_t=0.75@0,1.1@5,0.8@10.wav",
        "out_e=1(1)_t=0.5@0,0.5@1,0.5@2,0.5@3,0.5@4,0.5@5,0.5@6,0.5@7,0.5@8,0.5@9_and_10_more.wav",
    ]
    assert said_of(tmp_path / "out_e=1(0)_t=0.75@0,1.1@5,0.8@10.wav")["temperature"] == "0.75@0,1.1@5,0.8@10"
    assert f"Wrote {tmp_path / 'new' / 'out_e=1(1)_t=0.75.wav'}" in capsys.readouterr().out


@pytest.mark.parametrize("ending", ["wav", "json"])
def test_an_existing_file_is_never_overwritten(tmp_path, monkeypatch, ending):
    monkeypatch.setattr(Generator, "__call__", silence)
    (tmp_path / f"out_e=1_t=0.95.{ending}").write_text("mine")
    names = [path.name for _ in range(2) for path in files(tmp_path, [0.95])]
    assert names == ["out_e=1_t=0.95_1.wav", "out_e=1_t=0.95_2.wav"]
    assert (tmp_path / f"out_e=1_t=0.95.{ending}").read_text() == "mine"
    others = ["out_e=1_t=0.95_1.json", "out_e=1_t=0.95_1.wav", "out_e=1_t=0.95_2.json", "out_e=1_t=0.95_2.wav"]
    assert names_in(tmp_path) == sorted([f"out_e=1_t=0.95.{ending}", *others])


def test_the_length_is_exact_and_the_format_16_bit(tmp_path):
    (path,) = files(tmp_path, [1.0], dur=0.01234)
    info = soundfile.info(path)
    assert (info.frames, info.samplerate, info.subtype, info.channels) == (round(0.01234 * 16000), 16000, "PCM_16", 1)


def test_a_length_that_no_wav_can_have_is_refused_before_the_work(monkeypatch):
    options = GenerationOptions(
        output_path="out.wav", checkpoint_path=(str(CHECKPOINT),), dur=134218, sample_rate=16000
    )
    monkeypatch.setattr(registry, "build", None)
    with pytest.raises(InputError, match="--dur 134218: at 16000 Hz 134217 is the longest that will do"):
        generate_from_checkpoints(options)
    assert 44 + 2 * Sound(SampleRNNConfig()).count(134217, 16000) < 2**32 < 44 + 2 * (MAX_WAV_FRAMES + 1)


def spied(pieces, error, look=lambda: None):
    """A generator's call that looks at the files before each of some pieces of 16 samples, and ends in an error."""

    def generate(self, context, num_samples, temperature, seeds, state, sample_rate, codes):
        for i in range(pieces):
            look()
            yield np.full([len(context), 16], 100 + i)
        look()
        raise error

    return generate


def test_files_are_playable_and_described_at_any_time(tmp_path, monkeypatch):
    seen = []

    def look():
        for path in tmp_path.glob("*.wav"):
            seen.append((len(soundfile.read(path)[0]), said_of(path)["samples"], said_of(path)["complete"]))

    monkeypatch.setattr(Generator, "__call__", spied(2, KeyboardInterrupt(), look))
    with pytest.raises(KeyboardInterrupt):
        files(tmp_path, [1.0, 1.0], dur=1)
    assert seen == [(0, None, False)] * 2 + [(16, None, False)] * 2 + [(32, None, False)] * 2
    assert [said_of(path)["samples"] for path in tmp_path.glob("*.wav")] == [32, 32]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), RuntimeError()])
def test_an_end_before_the_first_sample_leaves_no_file(tmp_path, monkeypatch, error):
    monkeypatch.setattr(Generator, "__call__", spied(0, error))
    with pytest.raises(type(error)):
        files(tmp_path, [1.0, 1.0])
    assert names_in(tmp_path) == []


@pytest.mark.parametrize("error", [KeyboardInterrupt(), RuntimeError()])
def test_what_is_cut_short_is_kept(tmp_path, monkeypatch, capsys, error):
    monkeypatch.setattr(Generator, "__call__", spied(3, error))
    with pytest.raises(type(error)):
        files(tmp_path, [1.0, 1.0, 1.0], dur=1, max_batch=2)  # the third is not begun
    stems = ["out_e=1(0)_t=1.0", "out_e=1(1)_t=1.0"]
    assert names_in(tmp_path) == [f"{stem}.{ending}" for stem in stems for ending in ("json", "wav")]
    for path in tmp_path.glob("*.wav"):
        audio, _ = soundfile.read(path, dtype="float32")
        np.testing.assert_allclose(audio, MuLaw().decode(np.repeat([100, 101, 102], 16)), atol=2**-16)
        assert (said_of(path)["samples"], said_of(path)["complete"]) == (48, False)
    assert re.findall("Wrote .*", capsys.readouterr().out) == [f"Wrote {tmp_path / stem}.wav" for stem in stems]


@pytest.mark.skipif(sys.platform != "linux", reason="counts open files as Linux does")
def test_too_many_open_files_is_one_line(tmp_path):
    import resource

    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    model = tiny()
    most = max(int(name) for name in os.listdir("/proc/self/fd")) + 10
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, limits[1]))
    try:
        with pytest.raises(RunError, match=r"out_e=1\(\d+\)_t=1.0.(wav|json): cannot be written .*; lower --max_batch"):
            files(tmp_path, [1.0] * most, model=model, max_batch=most)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert names_in(tmp_path) == []


@pytest.mark.parametrize(
    ("weights", "value", "jit_compile"),
    [
        ("embedding/embeddings", math.nan, False),
        ("outputs/bias", math.nan, False),
        ("outputs/bias", math.inf, False),
        ("big_frame_rnn/upsample", math.nan, False),
        ("outputs/kernel", 3e38, False),
        pytest.param("outputs/bias", math.nan, True, marks=pytest.mark.xla),
    ],
)
def test_what_is_not_a_number_is_not_sampled(weights, value, jit_compile):
    model = tiny(num_rnn_layers=1)
    (spoiled,) = (variable for variable in model.trainable_variables if variable.path.endswith(weights))
    spoiled.assign(tf.fill(spoiled.shape, value))
    with pytest.raises(RunError, match="output is not a number: .* use another checkpoint, or --precision float32"):
        generated(Generator(model, jit_compile), np.full([2, 16], 128), 64, [1.0, 1.0])


@pytest.mark.parametrize("jit_compile", [pytest.param(True, marks=pytest.mark.xla), False])
def test_what_was_good_before_is_kept(tmp_path, monkeypatch, jit_compile):
    """A level's embedding is not a number: all is well until that level is drawn."""
    monkeypatch.setattr(generation, "ITEMS_A_CALL", 16)
    model, context = tiny(), np.full([1, 16], 128)
    tokens = generated(Generator(model), context, 96, [1.0])[0]
    level = next(token for token in tokens[40:] if token not in tokens[:40])
    good = int(np.argmax(tokens == level)) // 16 * 16  # the piece in which it is drawn may be lost, no other
    assert good >= 32
    embeddings = model.sample_mlp.embedding.embeddings
    embeddings.assign(tf.where(tf.range(256)[:, None] == level, math.nan, embeddings))
    with pytest.raises(RunError, match="not a number"):
        files(tmp_path, [1.0], model=model, dur=1, jit_compile=jit_compile)
    (path,) = tmp_path.glob("*.wav")
    audio, _ = soundfile.read(path, dtype="float32")
    assert good <= len(audio) <= good + 16 and said_of(path)["complete"] is False
    np.testing.assert_allclose(audio, MuLaw().decode(tokens[: len(audio)]), atol=2**-16)


def test_batches_of_sequences_are_as_one(tmp_path, capsys):
    """From a seed of four frames, too."""
    temperature, seed = [0.5, 0.7, 0.9, 1.1, 1.3], Context(np.arange(64))
    whole = files(tmp_path, temperature, "whole", context=seed, random_seed=3)
    parts = files(tmp_path, temperature, "parts", context=seed, random_seed=3, max_batch=2)
    for one, other in zip(whole, parts):
        np.testing.assert_array_equal(soundfile.read(one)[0], soundfile.read(other)[0])
    assert "Sequences 3 to 4 of 5: Generated 0.01 of 0.01 seconds" in capsys.readouterr().out


@pytest.mark.parametrize("error", [KeyboardInterrupt, RunError])
def test_a_seed_that_nothing_follows_on_is_not_kept(tmp_path, monkeypatch, capsys, error):
    def generate(*_):
        raise error("before the first piece")
        yield

    monkeypatch.setattr(Generator, "__call__", generate)
    with pytest.raises(error):
        files(tmp_path, [1.0], "x", context=Context(np.arange(48), {}), seed="s", include_seed=True)
    assert list(tmp_path.iterdir()) == [] and capsys.readouterr().out == ""


def test_the_seed_comes_before_what_follows_on_it_if_asked_for(tmp_path):
    seed, asked = Context(np.arange(48), {"offset": 3}), {"seed": "s", "include_seed": True}
    (without,) = files(tmp_path, [1.0], "without", context=seed)
    (path,) = files(tmp_path, [1.0], "with", context=seed, **asked)
    audio, _ = soundfile.read(path, dtype="float32")
    np.testing.assert_allclose(audio[:48], MuLaw().decode(np.arange(48)), atol=2**-16)
    np.testing.assert_array_equal(audio[48:], soundfile.read(without, dtype="float32")[0])
    assert said_of(path)["samples"] == 48 + 160 and said_of(path)["complete"]
    assert said_of(path)["seed"] == {"offset": 3, "included": True} and not said_of(without)["seed"]["included"]
    with pytest.raises(InputError, match="--dur 134217: at 16000 Hz 134216 is the longest that will do"):
        files(tmp_path, [1.0], "with", context=Context(np.zeros(11680, int)), dur=134217, **asked)


@pytest.mark.parametrize("terminal", [False, True])
def test_it_is_said_how_far_and_how_fast_a_batch_is(tmp_path, monkeypatch, capsys, terminal):
    """Four pieces of two sequences, two seconds each, after one second for the first; then one sequence."""
    clock = [0.0]

    def generate(self, context, num_samples, temperature, seeds, state, sample_rate, codes):
        clock[0] += 1
        for _ in range(4):
            clock[0] += 2
            yield np.full([len(context), num_samples // 4], 100)

    monkeypatch.setattr(Generator, "__call__", generate)
    monkeypatch.setattr(report, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    monkeypatch.setattr("tqdm.std.time", lambda: clock[0])
    monkeypatch.setattr("samplernn.audio.listening.remark", lambda *_: "")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal)
    first, second, third = files(tmp_path, [1.0] * 3, dur=1, max_batch=2)
    halfway = [
        "Sequences 1 to 2 of 3: Generated 0.50 of 1.00 seconds (5.0 s taken, 4.0 s to go, real-time factor 4.00)",
        "Sequences 1 to 2 of 3: Generated 0.75 of 1.00 seconds (7.0 s taken, 2.0 s to go, real-time factor 4.00)",
        "Sequences 3 to 3 of 3: Generated 0.50 of 1.00 seconds (5.0 s taken, 4.0 s to go, real-time factor 8.00)",
        "Sequences 3 to 3 of 3: Generated 0.75 of 1.00 seconds (7.0 s taken, 2.0 s to go, real-time factor 8.00)",
    ]
    ends = [
        "Sequences 1 to 2 of 3: Generated 1.00 of 1.00 seconds (9.0 s taken, 0.0 s to go, real-time factor 4.00)",
        f"Wrote {first}",
        f"Wrote {second}",
        "Sequences 3 to 3 of 3: Generated 1.00 of 1.00 seconds (9.0 s taken, 0.0 s to go, real-time factor 8.00)",
        f"Wrote {third}",
    ]
    said = capsys.readouterr()
    assert said.err == ""
    if terminal:
        assert [line.rpartition("\r")[2] for line in said.out.split("\n")] == [*ends, ""]
        assert "\r  0% Sequences 3 to 3 of 3: 0.0 of 1.0 s |" in said.out
        assert "\r 50% Sequences 1 to 2 of 3: 0.5 of 1.0 s, 4 s to go, real-time factor 4.00 |" in said.out
    else:
        assert said.out.splitlines() == halfway[:2] + ends[:3] + halfway[2:] + ends[3:]


def test_batches_are_equal_and_no_larger_than_the_limit():
    assert generate._batch_size(100, None) == 50  # at most 64 on the CPU
    assert generate._batch_size(100, 40) == 34
    assert generate._batch_size(3, 8) == 3


def test_a_batch_that_does_not_fit_is_halved(tmp_path, monkeypatch):
    sizes = []

    def generate(self, context, num_samples, temperature, seeds, state, sample_rate, codes):
        sizes.append(len(context))
        if len(context) > 2:
            raise tf.errors.ResourceExhaustedError(None, None, "out of memory")
        yield np.full([len(context), num_samples], 200)

    monkeypatch.setattr(Generator, "__call__", generate)
    paths = files(tmp_path, [1.0] * 6)
    assert {soundfile.info(path).frames for path in paths} == {160}
    assert all("--max_batch 1" in " ".join(said_of(path)["command"]) for path in paths)
    assert len(names_in(tmp_path)) == 12
    assert sizes == [6, 3, 1, 1, 1, 1, 1, 1]
    with pytest.raises(tf.errors.ResourceExhaustedError):
        files(tmp_path, [1.0] * 6, "b", max_batch=4)


def test_a_path_that_cannot_be_written_is_refused_before_the_work(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setattr(Generator, "__call__", spied(0, AssertionError()))
    with pytest.raises(InputError, match="can't be written"):
        files(tmp_path, [1.0], "file/out.wav")


@pytest.mark.parametrize("name", ["", "folder/"])
def test_an_output_path_without_a_name_is_refused(tmp_path, name):
    with pytest.raises(InputError, match="--output_path .*: not the name of a file"):
        files(tmp_path, [1.0], output_path=name)


def test_the_sample_rate_is_the_flags_the_known_or_the_default(caplog):
    assert choose_sample_rate(None, None, "") == 16000
    assert choose_sample_rate(None, 44100, "") == 44100
    assert choose_sample_rate(8000, None, "") == choose_sample_rate(8000, 8000, "") == 8000
    assert not caplog.text
    assert choose_sample_rate(8000, 44100, "the checkpoint was trained on") == 8000
    assert "--sample_rate 8000, though the checkpoint was trained on 44100 Hz" in caplog.text


@pytest.fixture
def options(tmp_path):
    return GenerationOptions(
        output_path=str(tmp_path / "out.wav"),
        checkpoint_path=(f"{CHECKPOINT}.index",),
        num_seqs=2,
        dur=0.02,
        temperature=(0.9,),
        seed=str(MUSIC),
        seed_offset=20000,
    )


def test_a_prism_checkpoint_generates_as_it_is(options, capsys):
    paths = generate_from_checkpoints(options)
    assert [path.name for path in paths] == ["out_e=1(0)_t=0.9.wav", "out_e=1(1)_t=0.9.wav"]
    assert {soundfile.info(path).frames for path in paths} == {320}
    assert re.search(r"Generated 0\.02 of 0\.02 seconds", capsys.readouterr().out)
    one, two = (soundfile.read(path)[0] for path in paths)
    assert not np.array_equal(one, two)


def test_a_random_seed_repeats_the_audio_bit_for_bit(options):
    one, same, other, new, newer = (
        generate_from_checkpoints(replace(options, random_seed=random_seed, num_seqs=1, jit_compile=False))[0]
        for random_seed in (7, 7, 8, None, None)
    )
    assert one.read_bytes() == same.read_bytes()
    assert len({path.read_bytes() for path in (one, other, new, newer)}) == 4
    assert len({said_of(path)["random_seed"] for path in (one, other, new, newer)}) == 4


@pytest.mark.xla
def test_the_json_says_how_the_wav_was_made(options, tmp_path):
    options = replace(options, random_seed=7, temperature=(0.9, 1.1))
    _, path = generate_from_checkpoints(options)
    parts = [CHECKPOINT.with_name(f"model.ckpt-1.{ending}") for ending in ("data-00000-of-00001", "index")]
    data = b"".join(part.read_bytes() for part in parts)
    said = said_of(path)
    del said["command"]  # it is run below
    assert said == {
        "sequence": 1,
        "num_seqs": 2,
        "temperature": 1.1,
        "top_k": None,
        "top_p": None,
        "random_seed": 7,
        "seed": {"path": str(MUSIC), "sha256": hashlib.sha256(MUSIC.read_bytes()).hexdigest(), "offset": 20000}
        | {"dur": 0.001, "included": False},
        "sample_rate": 16000,
        "checkpoint": {"path": str(CHECKPOINT), "sha256": hashlib.sha256(data).hexdigest()},
        "config": config_to_dict(load_config(GOLDEN / "gru" / "model.config.json")),
        "precision": "float32",
        "jit_compile": True,
        "versions": {name: importlib.metadata.version(name) for name in ("tensorflow", "keras", "numpy")}
        | {"samplernn": samplernn.__version__, "python": platform.python_version()},
        "samples": 320,
        "complete": True,
        "flags": [],
    }


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"seed": None, "temperature": (0.8, 1.1), "sample_rate": 8000, "jit_compile": False, "num_seqs": 3},
        pytest.param(
            {"temperature": ("0.5@0,1.5@0.01",), "top_k": 50, "top_p": 0.9, "seed_dur": 0.005, "include_seed": True},
            marks=pytest.mark.long,
        ),
        {"config_file": "model.config.json", "max_batch": 1, "random_seed": 0, "precision": "mixed_bfloat16"}
        | {"jit_compile": False},
    ],
)
def test_the_command_in_the_json_makes_the_same_files(options, tmp_path, monkeypatch, changes):
    monkeypatch.chdir(GOLDEN / "gru")
    paths = generate_from_checkpoints(replace(options, checkpoint_path=("model.ckpt-1",), **changes))
    monkeypatch.chdir(tmp_path)
    (command,) = {tuple(said_of(path)["command"]) for path in paths}
    assert command[:2] == ("python", str(ROOT / "generate.py"))
    monkeypatch.setattr(sys, "argv", list(command[1:]))
    again = generate_from_checkpoints(cli.generation_options())
    assert [path.read_bytes() for path in again] == [path.read_bytes() for path in paths]
    assert not set(again) & set(paths)
