"""What holds for every input, tried on inputs that Hypothesis makes up, the same ones each time."""

import json
import math
import os
import re
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from samplernn.audio.chunk_notes import Note
from samplernn.audio.chunk_notes import write as write_notes
from samplernn.audio.chunks import chunks
from samplernn.audio.quantize import Linear, MuLaw
from samplernn.audio.wav import Recording, examine, read_blocks
from samplernn.checkpoints.run_folders import latest, resolve
from samplernn.corpus.overlaps import find_overlaps
from samplernn.corpus.split import Split, split_corpus
from samplernn.corpus.windows import plan_rows
from samplernn.models.registry import config_from_dict, config_to_dict
from samplernn.options.chunk_audio import ChunkOptions
from samplernn.options.values import FRACTION, GPUS, POSITIVE, SAMPLE_RATE, SECONDS, TEMPERATURE, whole
from samplernn.system.errors import InputError
from samplernn.system.files import read_json

# A number for `make test`, and another for the tests marked long.
FEW, MANY = 40, 2000
COMMON = {
    "derandomize": True,
    "deadline": None,
    "database": None,
    "suppress_health_check": [HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
}


def tried(*strategies, **named):
    """Run a test on few examples, and, marked long, on many."""

    def decorate(test):
        def run(examples, **fixtures):
            settings(max_examples=examples, **COMMON)(given(*strategies, **named)(test))(**fixtures)

        run.__name__, run.__doc__ = test.__name__, test.__doc__
        return pytest.mark.parametrize("examples", [FEW, pytest.param(MANY, marks=pytest.mark.long)])(run)

    return decorate


numbers = some.integers() | some.floats()
json_values = some.recursive(
    some.none() | some.booleans() | numbers | some.text(),
    lambda inner: some.lists(inner, max_size=4) | some.dictionaries(some.text(), inner, max_size=4),
    max_leaves=20,
)
sizes = some.sampled_from([1, 2, 4, 8, 16, 64, 100, 256, 1024, 2**20])
near_configs = some.fixed_dictionaries(
    {},
    optional={
        "model": some.just("samplernn") | json_values,
        "seq_len": sizes | json_values,
        "frame_sizes": some.lists(sizes, min_size=1, max_size=3) | json_values,
        "dim": sizes | json_values,
        "rnn_type": some.sampled_from(["gru", "lstm"]) | json_values,
        "num_rnn_layers": some.integers(1, 8) | json_values,
        "q_type": some.sampled_from(["mu-law", "linear"]) | json_values,
        "q_levels": sizes | json_values,
        "emb_size": sizes | json_values,
        "skip_conn": some.booleans() | json_values,
        "rnn_dropout": some.floats(0, 1) | json_values,
    },
)


def in_one_line(error):
    return 0 < len(str(error)) < 1000


@tried(json_values | near_configs | some.dictionaries(some.sampled_from(["dim", "Dim", "seq_len"]), json_values))
def test_parsed_json_is_a_config_that_comes_back_or_is_refused(values):
    try:
        config = config_from_dict(values)
    except InputError as error:
        assert in_one_line(error)
        return
    assert config_from_dict(json.loads(json.dumps(config_to_dict(config)))) == config
    for name, value in values.items():
        if value is not None and not (name == "q_levels" and config.q_type == "mu-law"):
            assert config_to_dict(config)[name] == value
    sizes = (*config.frame_sizes, config.seq_len)
    assert all(upper % lower == 0 for lower, upper in pairwise(sizes))


@tried(some.binary() | json_values.map(lambda value: json.dumps(value).encode("utf-8", "replace")))
def test_bytes_are_json_or_are_refused(content):
    path = Path(os.environ["PYTEST_FOLDER"], "x.json")
    path.write_bytes(content)
    try:
        expected = json.loads(content.decode("utf-8-sig"))
    except ValueError:
        with pytest.raises(InputError, match="not valid JSON"):
            read_json(path)
    else:
        assert repr(read_json(path)) == repr(expected)  # for NaN is not itself


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTEST_FOLDER", str(tmp_path))


NUMBERS = {
    whole(1): lambda value: isinstance(value, int) and 1 <= value < 2**31,
    whole(0): lambda value: isinstance(value, int) and 0 <= value < 2**31,
    SAMPLE_RATE: lambda value: isinstance(value, int) and 1 <= value <= 10**6,
    SECONDS: lambda value: 0 < value <= 10**6,
    POSITIVE: lambda value: 0 < value < math.inf,
    TEMPERATURE: lambda value: 1e-6 <= value <= 1e6,
    FRACTION: lambda value: 0 <= value < 1,
    GPUS: lambda value: 0 <= value < 1 or value == int(value),
}


@tried(some.sampled_from(list(NUMBERS)), some.text() | numbers.map(str) | some.text("0123456789eE+-._ xinfa٣"))
def test_a_number_on_the_command_line_is_one_of_its_range_or_is_refused(values, text):
    try:
        value = values.parse(text)
    except ValueError:
        return
    assert NUMBERS[values](value) and (values is TEMPERATURE or values.holds(value))
    assert value == float(text)


def is_name(text):
    try:
        return text not in (".", "..") and 0 < len(text.encode()) < 200
    except UnicodeEncodeError:
        return False


names = some.text(some.characters(exclude_characters="\0/"), max_size=40).filter(is_name)
near_names = some.builds("{}-{}{}".format, names, some.integers(0, 10**20), some.sampled_from([".index", ".json", ""]))


@tried(names | near_names.filter(is_name), some.integers(0, 3))
def test_a_path_is_a_checkpoint_or_is_refused(name, parts):
    with TemporaryDirectory(dir=os.environ["PYTEST_FOLDER"]) as folder:
        root = Path(folder)
        there = ["index", "data-00000-of-00001", "json"][:parts]
        for part in there:
            (root / f"{name}.{part}").touch()
        for given_ in [root / name, *(root / f"{name}.{part}" for part in there)]:
            try:
                found = resolve(str(given_))
            except InputError as error:
                assert in_one_line(error)
                assert parts < 2 or re.search(r"\.(index|json|data-.*)$", name)
            else:
                assert found == root / name
        assert latest(root) is None


@tried(some.integers(2, 65536))
def test_a_linear_token_comes_back_or_is_the_one_below(levels):
    """As with the original: what is decoded is the edge between two tokens."""
    tokens = np.arange(levels)
    lost = tokens - Linear(levels).encode(Linear(levels).decode(tokens))
    assert set(lost.tolist()) <= {0, 1}


@tried(some.integers(2, 65536), some.lists(some.floats(width=32, allow_nan=False), min_size=1))
def test_every_sample_has_a_token_near_it(levels, samples):
    audio = np.float32(samples)
    for quantize in (MuLaw(), Linear(levels)):
        tokens = quantize.encode(audio)
        assert tokens.min() >= 0 and tokens.max() < quantize.levels
        clipped = np.clip(audio, -1, 1)
        step = 0.05 if isinstance(quantize, MuLaw) else 2 / levels
        assert np.abs(quantize.decode(tokens) - clipped).max() <= step * 1.01 + 1e-6


def corpus_of(lengths):
    return [Recording(Path(f"{i}.wav"), f"{i}.wav", 16000, length, 1) for i, length in enumerate(lengths)]


lengths = some.lists(some.integers(1, 2000), min_size=1, max_size=60)


@tried(lengths, some.integers(1, 12), some.sampled_from([64, 128, 512]), some.floats(0, 1, exclude_max=True))
def test_a_split_loses_no_file_but_those_it_says(lengths, batch_size, seq_len, val_frac):
    corpus = corpus_of(lengths)
    usable = [recording for recording in corpus if recording.frames >= seq_len]
    try:
        split = split_corpus(corpus, seq_len, batch_size, val_frac)
    except InputError:
        assert len(usable) < max(2, 2 * batch_size)
        return
    training, validation = ({recording.name for recording in part} for part in (split.training, split.validation))
    assert len(training) == len(split.training) and len(validation) == len(split.validation)
    assert not training & validation
    assert training | validation <= {recording.name for recording in usable}
    assert len(training) % batch_size == len(validation) % batch_size == 0 < min(len(training), len(validation))
    assert len(usable) - len(training | validation) < batch_size
    again = split_corpus(corpus_of(lengths + [seq_len] * batch_size), seq_len, batch_size, val_frac, split.names())
    assert {recording.name for recording in again.validation} == validation


@tried(
    some.lists(some.integers(1, 15), min_size=1, max_size=15),
    some.integers(0, 15),
    some.integers(1, 12),
    some.floats(0, 1, exclude_max=True),
)
def test_no_recording_that_is_held_out_is_trained_on(numbers, single_files, batch_size, val_frac):
    names = [f"{i}_chunk_{k}.wav" for i, number in enumerate(numbers) for k in range(number)]
    names += [f"{i}.wav" for i in range(single_files)]
    corpus = [Recording(Path(name), name, 16000, 64, 1) for name in names]
    try:
        split = split_corpus(corpus, 64, batch_size, val_frac, hold_out="recordings")
    except InputError:
        assert len(corpus) < max(2, 2 * batch_size) or len(numbers) + single_files == 1
        return
    training, validation = split.names().values()
    recordings = [{name.split("_chunk_")[0] for name in part} for part in (training, validation)]
    assert not recordings[0] & recordings[1]
    assert set(validation) == {name for name in names if name.split("_chunk_")[0] in recordings[1]} != set()
    assert len(set(training)) == len(training) and len(set(validation)) == len(validation)
    assert len(training) % batch_size == 0 < len(training) and len(corpus) - len(training + validation) < batch_size
    again = split_corpus(corpus, 64, batch_size, val_frac, split.names(), "recordings")
    assert again.names()["validation"] == validation and set(again.names()["training"]) == set(training)


@tried(
    some.integers(1, 60),
    some.floats(0, 1, exclude_max=True),
    some.sampled_from([1000, 16000, 22050]),
    some.dictionaries(some.integers(1, 30), some.booleans(), min_size=1, max_size=20),
    some.integers(1, 1000),
)
def test_held_out_chunks_overlap_where_a_sample_is_on_both_sides(length_ms, overlap, rate, held_out, tail):
    """The last chunk may be a tail."""
    folder = Path(os.environ["PYTEST_FOLDER"])
    note = Note("x.wav", "", 1, rate, length_ms, int(overlap * length_ms), rate, 1, None, True)
    write_notes({folder / "x_chunk": note})
    length, chunks, samples = length_ms * rate // 1000, {}, {}
    for number in held_out:
        frames = min(length, tail) if number == max(held_out) else length
        start = (number - 1) * (note.chunk_length - note.overlap) * rate // 1000
        path = folder / f"x_chunk_{number}.wav"
        chunks[number], samples[number] = Recording(path, path.name, rate, frames, 1), range(start, start + frames)
    trained_on = {sample for number in held_out if not held_out[number] for sample in samples[number]}
    expected = [chunks[number].name for number in held_out if held_out[number] and trained_on & {*samples[number]}]
    split = Split(*([chunk for number, chunk in chunks.items() if held_out[number] is side] for side in (False, True)))
    assert sorted(chunk.name for chunk in find_overlaps(split).held_out) == sorted(expected)


@tried(lengths, some.integers(1, 12), some.sampled_from([1, 64, 128]))
def test_every_recording_is_in_one_row_and_no_row_waits(lengths, batch_size, seq_len):
    recordings = corpus_of(lengths)
    rows = plan_rows(recordings, batch_size, seq_len)
    assert sorted(recording.name for row in rows for recording in row) == sorted(r.name for r in recordings)
    assert len(rows) == batch_size
    # A row never takes a recording while another row would be free earlier.
    ends = [0] * batch_size
    for recording in recordings:
        row = next(i for i, row in enumerate(rows) if recording in row)
        assert ends[row] == min(ends)
        ends[row] += recording.frames // seq_len


@tried(
    some.integers(1, 3000),
    some.integers(100, 48000),
    some.integers(1, 400),
    some.floats(0, 1, exclude_max=True),
    some.integers(1, 2),
)
def test_chunks_are_where_the_formula_says(samples, rate, length_ms, overlap, channels):
    overlap_ms = int(overlap * length_ms)
    path = Path(os.environ["PYTEST_FOLDER"], "ramp.wav")
    ramp = np.arange(samples * channels).astype(np.int16).reshape(samples, channels)
    soundfile.write(path, ramp, rate)
    length = length_ms * rate // 1000
    if length == 0:
        return
    starts = [k * (length_ms - overlap_ms) * rate // 1000 for k in range(1 + samples * 1000 // rate)]
    expected = [start for start in starts if start + length <= samples]
    options = ChunkOptions((str(path),), "out", length_ms, overlap_ms)
    found = list(chunks(read_blocks(examine(path)), rate, options))
    assert len(found) == len(expected)
    for k, (chunk, start) in enumerate(zip(found, expected)):
        assert (chunk.number, chunk.start_ms) == (k + 1, k * (length_ms - overlap_ms))
        np.testing.assert_array_equal(chunk.audio * 32768, ramp[start : start + length])
