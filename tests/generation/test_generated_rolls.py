"""Notes that are drawn, and the files that they become: MIDI, a WAV, pictures and a JSON that makes them again."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import tensorflow as tf
from networks import randomized, saved

from samplernn.checkpoints import store as checkpoints
from samplernn.corpus.data import data_of
from samplernn.corpus.seed import find_stretch, read_seed
from samplernn.generation.generate import generate_from_checkpoints
from samplernn.generation.generator import Generator
from samplernn.generation.notes import Notes
from samplernn.generation.output import output_of
from samplernn.midi.items import likelihoods_of, values_of
from samplernn.midi.rolls import HELD, SILENT, STRUCK, write_roll
from samplernn.midi.tunes import read_tune
from samplernn.models import registry
from samplernn.models.pianoroll.config import PianoRollConfig
from samplernn.models.predictor.config import PredictorConfig
from samplernn.options.generate import GenerationOptions
from samplernn.system.errors import InputError

CONFIG = PianoRollConfig(seq_len=8, layer_sizes=(6,), note_range=(60, 72), dt=0.125, onsets=True)
SUFFIXES = (".mid", ".wav", ".roll.png", ".probabilities.png", ".json")


@pytest.fixture
def checkpoint(tmp_path):
    return str(saved(randomized(registry.build(CONFIG), 7, 0.7), tmp_path / "model.ckpt-1", arguments={}))


@pytest.fixture
def generate(tmp_path, checkpoint):
    """A function that generates with some flags: the paths of the MIDI files."""

    def go(name="out.mid", **flags):
        flags = {"dur": 2.0, "random_seed": 3, "jit_compile": False, "checkpoint_path": (checkpoint,)} | flags
        return generate_from_checkpoints(GenerationOptions(output_path=str(tmp_path / "out" / name), **flags))

    return go


def roll_of(path, config=CONFIG):
    return data_of(config).grid.roll(read_tune(path))


def write(path, notes, steps, config=CONFIG):
    """A MIDI file of notes (row, first step, step behind the last)."""
    roll = np.zeros([steps, config.num_notes], np.int8)
    for row, first, behind in notes:
        roll[first:behind, row] = HELD
        roll[first, row] = STRUCK if config.onsets else HELD
    write_roll(path, roll, data_of(config).grid)
    return roll


def said_of(path):
    return json.loads(path.with_suffix(".json").read_text())


# --- A draw ---


def plain_draw(probabilities, uniform, given, threshold, most):
    """Of the values of notes, [notes, values], what each does."""
    likely = 1 - probabilities[:, SILENT]
    drawn = []
    for note, of_values in enumerate(probabilities):
        struck = of_values[STRUCK] if len(of_values) > STRUCK else 0.0
        value = STRUCK if uniform[note] < struck else HELD if uniform[note] < likely[note] else SILENT
        drawn.append(int(given[note]) if given[note] > 0 else value if likely[note] > threshold else SILENT)
    if most:
        held = [note for note in range(len(drawn)) if given[note] > 0]
        others = [note for note, value in enumerate(drawn) if value and note not in held]
        kept = held + sorted(others, key=lambda note: (-likely[note], note))[: max(0, most - len(held))]
        drawn = [value if note in kept else SILENT for note, value in enumerate(drawn)]
    return drawn


@pytest.mark.parametrize("compiled", [False, pytest.param(True, marks=pytest.mark.xla)])
@pytest.mark.parametrize("onsets", [False, True])
@pytest.mark.parametrize(("threshold", "most"), [(0.0, None), (0.4, None), (0.1, 3)])
def test_a_draw_is_the_plain_one(onsets, threshold, most, compiled):
    config, random = replace(CONFIG, onsets=onsets), np.random.default_rng(0)
    logits = random.normal(size=[50, config.num_notes, config.values]).astype(np.float32)
    uniform = random.random([50, config.num_notes], np.float32)
    given = np.where(random.random(uniform.shape) < 0.1, random.integers(1, config.values, uniform.shape), -1)
    temperature = np.linspace(0.5, 2, 50).astype(np.float32)
    output = Notes(config, threshold, most)
    draw = tf.function(output.draw, jit_compile=compiled)
    items = draw(logits, temperature, np.stack([uniform, given], axis=1).astype(np.float32)).numpy()
    exponentials = np.exp(logits / temperature[:, None, None])
    probabilities = exponentials / exponentials.sum(axis=-1, keepdims=True)
    expected = [plain_draw(*row, threshold, most) for row in zip(probabilities, uniform, given)]
    np.testing.assert_array_equal(values_of(items), expected)
    np.testing.assert_allclose(likelihoods_of(items), 1 - probabilities[..., 0], atol=1 / 255)


def test_a_note_as_likely_as_the_threshold_is_silent():
    logits, never = np.zeros([1, 12, 3], np.float32), np.stack([np.zeros([1, 12]), np.full([1, 12], -1)], axis=1)
    for threshold, value in ((2 / 3 + 1e-6, SILENT), (2 / 3 - 1e-6, STRUCK)):
        item = Notes(CONFIG, threshold).draw(logits, np.ones(1, np.float32), never.astype(np.float32))
        assert values_of(item.numpy()).tolist() == [[value] * 12]


def test_what_is_no_number_is_no_item():
    logits = np.full([1, 12, 3], np.nan, np.float32)
    assert (Notes(CONFIG).draw(logits, np.ones(1, np.float32), np.zeros([1, 2, 12], np.float32)) < 0).numpy().all()


def test_they_are_drawn_as_often_as_they_are_likely():
    """Each value of a note of 20000, within five standard deviations."""
    logits = np.log(np.tile(np.float32([0.5, 0.3, 0.2]), [20000, 12, 1]))
    numbers = Notes(CONFIG).random(np.random.default_rng(0), 0, 20000)
    drawn = values_of(Notes(CONFIG).draw(logits, np.ones(20000, np.float32), numbers).numpy())
    for value, probability in ((SILENT, 0.5), (HELD, 0.3), (STRUCK, 0.2)):
        deviation = np.sqrt(probability * (1 - probability) / 20000)
        assert (np.abs((drawn == value).mean(axis=0) - probability) < 5 * deviation).all()


# --- Files ---


def test_all_is_written_and_can_be_made_again(generate, capsys):
    (path,) = generate()
    out = capsys.readouterr().out
    assert path.name == "out_e=1_t=0.95.mid"
    assert [line for line in out.splitlines() if line.startswith("Wrote")] == [
        f"Wrote {path.with_suffix(suffix)}" for suffix in SUFFIXES[:-1]
    ]
    said = said_of(path)
    assert (said["steps"], said["complete"], said["sample_rate"]) == (16, True, 16000)
    assert soundfile.info(path.with_suffix(".wav")).frames == 2 * 16000
    for suffix in SUFFIXES[2:4]:
        assert path.with_suffix(suffix).read_bytes().startswith(b"\x89PNG")
    roll = roll_of(path)
    assert roll.shape == (16, 12) and 0 < (roll > 0).mean() < 1
    other = generate("other.mid", random_seed=4)[0]
    assert other.read_bytes() != path.read_bytes()
    again = generate("again.mid", random_seed=said["random_seed"])[0]
    for suffix in (".mid", ".wav"):
        assert again.with_suffix(suffix).read_bytes() == path.with_suffix(suffix).read_bytes()


def test_a_sequence_is_the_same_whatever_is_beside_it(generate):
    alone, several = generate(), generate("several.mid", num_seqs=3, temperature=(0.95, 0.5, 2.0))
    assert several[0].read_bytes() == alone[0].read_bytes()
    assert len({path.read_bytes() for path in several}) == 3


def test_nothing_is_overwritten(generate, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "out_e=1_t=0.95.roll.png").write_text("mine")
    (path,) = generate()
    assert path.name == "out_e=1_t=0.95_1.mid"
    assert (tmp_path / "out" / "out_e=1_t=0.95.roll.png").read_text() == "mine"


@pytest.mark.long
def test_a_duration_is_rounded_up_to_whole_steps(generate):
    assert [said_of(generate(dur=dur)[0])["steps"] for dur in (0.01, 0.125, 0.13, 1.0)] == [1, 1, 2, 8]


def test_what_is_written_is_kept_where_it_ends_early(generate, tmp_path, monkeypatch, capsys):
    def interrupted(self, context, num_items, *_):
        yield np.ones([len(context), 5, 12], np.int32)
        raise KeyboardInterrupt

    monkeypatch.setattr(Generator, "__call__", interrupted)
    with pytest.raises(KeyboardInterrupt):
        generate()
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["out_e=1_t=0.95.json", "out_e=1_t=0.95.mid"]
    path = tmp_path / "out" / "out_e=1_t=0.95.mid"
    assert roll_of(path).shape == (5, 12) and (said_of(path)["steps"], said_of(path)["complete"]) == (5, False)
    assert f"Wrote {path}\n" in capsys.readouterr().out


def test_where_nothing_is_generated_nothing_stays(generate, tmp_path, monkeypatch):
    def fails(self, *_):
        raise KeyboardInterrupt
        yield

    monkeypatch.setattr(Generator, "__call__", fails)
    with pytest.raises(KeyboardInterrupt):
        generate()
    assert list((tmp_path / "out").iterdir()) == []


# --- What is given ---


def test_notes_that_are_held_are_kept_and_count_among_the_most(generate, tmp_path):
    held = write(tmp_path / "hold.mid", [(0, 1, 4), (11, 3, 6), (5, 4, 5)], 7)
    (path,) = generate(hold=str(tmp_path / "hold.mid"), max_notes=3)
    roll = roll_of(path)
    np.testing.assert_array_equal(roll[:7][held > 0] > 0, True)
    np.testing.assert_array_equal(roll[:7][held == STRUCK], STRUCK)
    assert (roll > 0).sum(axis=1).max() <= 3
    free = roll_of(generate(max_notes=3)[0])
    assert (free[:7][held > 0] == 0).any()  # or nothing was shown


def test_more_notes_than_may_sound_are_kept_where_they_are_held(generate, tmp_path):
    held = write(tmp_path / "hold.mid", [(row, 0, 4) for row in (0, 2, 4, 6, 8)], 4)
    roll = roll_of(generate(hold=str(tmp_path / "hold.mid"), max_notes=3)[0])
    np.testing.assert_array_equal(roll[:4] > 0, held > 0)
    assert (roll[4:] > 0).sum(axis=1).max() <= 3


def test_the_seconds_of_a_primer_are_its_own(tmp_path):
    """It is half as fast as what is written."""
    config = replace(CONFIG, dt=None, steps_per_beat=4, tempo=120.0)
    slow = tmp_path / "slow.mid"
    write(slow, [(2, 0, 3), (7, 1, 6), (4, 6, 8)], 8, replace(config, tempo=60.0))  # two seconds
    assert find_stretch([config], None, str(slow), dur=1.0).number == 4
    (context,) = read_seed([config], lambda items: [items], None, str(slow), dur=1.0)
    assert (context.seed["steps"], context.seed["dur"]) == (4, 1.0)
    with pytest.raises(InputError, match=r"--seed_dur 3.0: .*slow.mid has only 2.0 seconds"):
        find_stretch([config], None, str(slow), dur=3.0)


@pytest.mark.parametrize("flag", ["seed", "hold"])
def test_notes_that_a_roll_does_not_have_are_told(generate, tmp_path, caplog, flag):
    write_roll(tmp_path / "wide.mid", np.eye(20, dtype=np.int8), replace(data_of(CONFIG).grid, high=80))
    generate(**{flag: str(tmp_path / "wide.mid")})
    (said,) = [message for message in caplog.messages if "left out" in message]
    assert said.startswith(f"--{flag} {tmp_path / 'wide.mid'}: 8 of 20 notes are left out")


def test_a_primer_is_neither_in_the_output_nor_in_its_length_unless_it_is_to_be(generate, tmp_path):
    primer = write(tmp_path / "primer.mid", [(2, 0, 3), (7, 1, 6), (4, 6, 8)], 8)
    seed = {"seed": str(tmp_path / "primer.mid"), "dur": 1.0}
    alone, included = generate(**seed)[0], generate("with.mid", **seed, include_seed=True)[0]
    assert (len(roll_of(alone)), len(roll_of(included))) == (8, 16)
    np.testing.assert_array_equal(roll_of(included)[:8], primer)
    np.testing.assert_array_equal(roll_of(included)[8:] > 0, roll_of(alone) > 0)
    assert alone.read_bytes() != generate("free.mid", dur=1.0)[0].read_bytes()
    assert said_of(alone)["seed"] | {"path": "", "sha256": ""} == {
        "path": "", "sha256": "", "offset": 0, "steps": 8, "dur": 1.0, "included": False,
    }  # fmt: skip


def test_a_part_of_a_primer_is_read_as_a_tune_of_that(generate, tmp_path):
    write(tmp_path / "whole.mid", [(2, 0, 3), (7, 2, 6), (4, 6, 8)], 8)
    write(tmp_path / "part.mid", [(2, 0, 1), (7, 0, 3)], 3)  # steps 2 to 4, in which nothing is struck at first
    part = {"seed": str(tmp_path / "whole.mid"), "seed_offset": 2, "seed_dur": 0.375}
    roll = roll_of(generate(**part, include_seed=True)[0])
    np.testing.assert_array_equal(roll[:3] > 0, roll_of(tmp_path / "part.mid") > 0)
    assert len(roll) == 3 + 16


def test_the_likeliest_notes_are_those_that_a_window_expects(checkpoint):
    """At a temperature near 0, by teacher forcing over what was generated."""
    model = registry.build(CONFIG)
    checkpoints.restore(Path(checkpoint), model)
    silence = np.zeros([1, 1, 12], np.int8)
    pieces = Generator(model, False, note_threshold=0.0)(silence, 30, [1e-6], [[0]])
    drawn = values_of(np.concatenate([*pieces], axis=1))
    logits, _ = model.call(tf.constant(np.concatenate([silence, drawn], axis=1)), model.initial_state(1))
    np.testing.assert_array_equal(drawn[0], np.argmax(logits[0], axis=-1))
    assert len(np.unique(drawn, axis=1)[0]) > 2


# --- What is refused ---


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"top_k": 3}, "--top_k: .*model.ckpt-1 makes MIDI; leave the flag out"),
        ({"hold": "nothing.mid"}, "--hold: nothing.mid is missing"),
        ({"soundfont": "nothing.sf2"}, "--soundfont nothing.sf2: "),
        ({"seed": "nothing.mid"}, "--seed: nothing.mid is missing: .*; name a .mid"),
        ({"dur": 1e6 * 4}, "--dur 4000000.0: 131072 is the longest that will do"),
        ({"codes": "x.npz"}, "--codes: .* is no autoencoder"),
        ({"decoder_path": ("x",)}, "--decoder_path: .* is of rolls"),
    ],
)
def test_flags_that_make_no_sense_are_refused_in_a_line(generate, tmp_path, flags, said):
    with pytest.raises(InputError, match=said):
        generate(**flags)
    assert not (tmp_path / "out").exists()


def test_flags_about_notes_are_refused_for_audio(tmp_path):
    options = GenerationOptions(output_path="x.wav", checkpoint_path=("here",), max_notes=3)
    from samplernn.generation.output import options_of_output

    for config in (registry.default_config(), PredictorConfig(q_type="codes", input_format="embedding")):
        with pytest.raises(InputError, match="--max_notes: here makes audio; leave the flag out"):
            options_of_output(Path("here"), config, options)
    assert output_of(registry.default_config()).options == ("top_k", "top_p")
