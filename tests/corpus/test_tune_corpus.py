"""A corpus of MIDI files: what can be used, what is said about it, and what is read of it."""

import shutil
import tracemalloc
from dataclasses import replace
from random import Random

import mido
import numpy as np
import pytest

from samplernn.corpus.corpus import accepted
from samplernn.corpus.data import data_of
from samplernn.corpus.loader import Loader
from samplernn.corpus.windows import training_steps
from samplernn.midi.rolls import write_roll
from samplernn.models.config import NO_TARGET
from samplernn.models.pianoroll.config import PianoRollConfig
from samplernn.system.errors import InputError, RunError

CONFIG = PianoRollConfig(seq_len=4, note_range=(60, 72), dt=0.25)


def write_notes(path, *notes, tempo=120, ticks_per_beat=4):
    """A MIDI file of notes (pitch, first tick, tick behind the last)."""
    track = mido.MidiTrack([mido.MetaMessage("set_tempo", tempo=mido.bpm2tempo(tempo))])
    events = sorted((tick, kind, pitch) for pitch, start, end in notes for tick, kind in ((start, 1), (end, 0)))
    now = 0
    for tick, kind, pitch in events:
        track.append(mido.Message("note_on" if kind else "note_off", note=pitch, velocity=64 * kind, time=tick - now))
        now = tick
    mido.MidiFile(type=0, ticks_per_beat=ticks_per_beat, tracks=[track]).save(path)


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "tunes"
    path.mkdir()
    write_notes(path / "a.mid", (60, 0, 4), (64, 4, 8))
    write_notes(path / "b.mid", (62, 0, 8))
    return path


def examined(folder, config=CONFIG):
    return data_of(config).examine([str(folder)])


def found(examination):
    return {finding.kind: finding.names for finding in examination.corpus().findings}


def test_files_are_read_as_rolls(folder):
    corpus = examined(folder).corpus()
    assert [(file.name, file.frames, file.seconds, file.sounding) for file in corpus.recordings] == [
        ("a.mid", 4, 1.0, 4),
        ("b.mid", 4, 1.0, 4),
    ]
    roll = data_of(CONFIG).read(corpus.recordings[0], 0, 4)
    expected = np.zeros([4, 12], np.int8)
    expected[:2, 0] = expected[2:, 4] = 1
    np.testing.assert_array_equal(roll, expected)
    assert (corpus.tempo, corpus.sample_rate, corpus.findings) == (120, None, [])
    assert data_of(CONFIG).describe(corpus.recordings) == "2 tunes, 2 sec, 8 steps, 1.00 notes a step"


def test_what_is_doubtful_is_said(folder):
    shutil.copy(folder / "a.mid", folder / "copy.mid")
    write_notes(folder / "fast.mid", (60, 0, 4), (65, 4, 5), (66, 5, 6), tempo=480)
    write_notes(folder / "wide.midi", (59, 0, 4), (60, 4, 8), (72, 0, 8))
    assert found(examined(folder)) == {
        "Notes out of range": ["wide.midi (2 of 3 notes)"],
        "Notes that end before the next step": ["fast.mid (2 of 3 notes)"],
        "Of another tempo than the commonest, 120 beats a minute": ["fast.mid (480)"],
        "Duplicate": ["copy.mid (the same notes as a.mid)"],
    }
    with pytest.raises(InputError, match=r"--strict True refuses .*wide\.midi \(2 of 3 notes\)"):
        accepted(examined(folder), strict=True)


def test_what_cannot_be_used_is_named(folder):
    (folder / "text.mid").write_text("I am a text")
    write_notes(folder / "drums.mid")
    write_notes(folder / "high.mid", (90, 0, 4))
    with pytest.raises(InputError) as caught:
        accepted(examined(folder))
    for name, why in (("text", "is not MIDI"), ("drums", "has no notes"), ("high", "has no note in note_range that")):
        assert f"{name}.mid {why}" in str(caught.value)
    corpus = accepted(examined(folder), skip_unusable=True)
    assert [file.name for file in corpus.recordings] == ["a.mid", "b.mid"]


def test_some_bytes_that_claim_millions_of_steps_take_no_memory(folder):
    write_notes(folder / "long.mid", (60, 0, 4 * 10**6), tempo=1000)
    assert len(accepted(examined(folder)).recordings) == 3
    finer = replace(CONFIG, dt=None, steps_per_beat=96)
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match=r"long\.mid has more than 1048576 steps, or claims to; cut it, or"):
            accepted(examined(folder, finer))
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


def test_a_folder_without_midi_is_refused(tmp_path, make_corpus):
    with pytest.raises(
        InputError, match="no MIDI files, but 2 of other formats in it; name a folder of .mid or .midi files"
    ):
        examined(make_corpus([100, 100]))


def test_a_file_that_changes_meanwhile_ends_it(folder):
    recording = examined(folder).corpus().recordings[0]
    write_notes(folder / "a.mid", (60, 0, 400))
    with pytest.raises(RunError, match=r"a\.mid was removed or changed"):
        data_of(CONFIG).read(recording, 0, 4)


def test_where_steps_follow_the_beats_the_config_gets_the_commonest_tempo(folder):
    write_notes(folder / "fast.mid", (60, 0, 4), tempo=480)
    config = replace(CONFIG, dt=None, steps_per_beat=2)
    corpus = examined(folder, config).corpus()
    assert [file.frames for file in corpus.recordings] == [4, 4, 2]
    assert [file.seconds for file in corpus.recordings] == [1, 1, 0.125]
    assert data_of(config).completed(config, corpus).tempo == 120
    assert data_of(config).completed(replace(config, tempo=90.0), corpus).tempo == 90


# --- What is trained on ---


def epoch_of(folder, config, batch_size, epoch=0):
    """The targets of an epoch, row by row."""
    recordings = examined(folder, config).corpus().recordings
    steps, batches = Loader(config, batch_size).training_epoch(recordings, 0, epoch)
    assert len(steps) == training_steps(recordings, config, batch_size, 0, epoch)
    return [*batches]


@pytest.mark.parametrize("batch_size", [1, 2, 5])
def test_every_step_of_every_tune_is_a_target_once(tmp_path, make_tunes, batch_size):
    lengths = [3, 4, 17, 1, 9]
    folder = make_tunes(lengths, CONFIG)
    x, y, reset = (
        np.concatenate(parts, axis=1 if number < 2 else 0)
        for number, parts in enumerate(zip(*epoch_of(folder, CONFIG, batch_size)))
    )
    assert (y[..., 0] != NO_TARGET).sum() == sum(lengths)
    targets = y[y[..., 0] != NO_TARGET]
    files = examined(folder).corpus().recordings
    expected = np.concatenate([data_of(CONFIG).read(file, 0, file.frames) for file in files])
    assert sorted(map(bytes, targets)) == sorted(map(bytes, expected))


@pytest.mark.parametrize("length", [2, 11])
def test_tunes_are_cut_or_repeated(tmp_path, make_tunes, length):
    config = replace(CONFIG, tune_length=length)
    folder = make_tunes([4, 4], config)
    batches = epoch_of(folder, config, 2)
    rows = np.concatenate([y for _, y, _ in batches], axis=1)
    tunes = {
        bytes(roll): roll
        for roll in (data_of(config).read(file, 0, 4) for file in examined(folder).corpus().recordings)
    }
    for row in rows:
        targets = row[row[:, 0] != NO_TARGET]
        assert len(targets) == length
        (tune,) = [roll for roll in tunes.values() if np.array_equal(roll[:2], targets[:2])]
        np.testing.assert_array_equal(targets, np.resize(tune, targets.shape))


def test_tunes_are_transposed_anew_in_each_epoch_and_lose_no_note(folder):
    config = replace(CONFIG, transpose=5)
    recording = examined(folder, config).corpus().recordings[0]  # whose rows are 0 and 4 of 12
    shifts = {data_of(config).as_trained(recording, Random(seed)).shift for seed in range(100)}
    assert shifts == {0, 1, 2, 3, 4, 5}
    moved = data_of(config).read(replace(recording, shift=3), 0, 4)
    np.testing.assert_array_equal(moved, np.roll(data_of(config).read(recording, 0, 4), 3, axis=1))
    first, again, second = (epoch_of(folder, config, 2, epoch) for epoch in (0, 0, 1))
    np.testing.assert_array_equal(first[0][0], again[0][0])
    assert any((one[0] != other[0]).any() for one, other in zip(first, second))


def test_one_tune_is_too_few(tmp_path, options, make_tunes):
    from samplernn.training.beginning import beginning_with

    options = replace(options, data_dir=(str(make_tunes([20], CONFIG)),))
    with pytest.raises(InputError, match="--data_dir: 1 file; two are the least"):
        beginning_with(CONFIG, options)


def test_a_roll_of_silence_is_no_tune(tmp_path):
    path = tmp_path / "silent"
    path.mkdir()
    write_roll(path / "a.mid", np.zeros([4, 12], np.int8), data_of(CONFIG).grid)
    with pytest.raises(InputError, match="not one file can be used.* has no notes"):
        accepted(examined(path))
