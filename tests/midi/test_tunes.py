"""MIDI files: which notes are read, and when, beside two other readers; and how each that is unusable is refused."""

import os
import random
import tracemalloc
import warnings
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory

import mido
import numpy as np
import pretty_midi
import pytest
import symusic
from damage import byte_damaged
from hypothesis import given, settings
from hypothesis import strategies as some
from midi_bytes import CHORALES, END, midi, number, off, on, tempo, with_running_status

from samplernn.midi import tunes
from samplernn.midi.tunes import MAX_BEATS, MAX_BYTES, MAX_RUN, MAX_SECONDS, PROBLEMS, Note, Tune, Unusable, read_tune
from samplernn.system.errors import InputError

ONE_NOTE = [(0, on(60)), (480, off(60)), (0, END)]


@pytest.fixture
def read(tmp_path):
    """A function that reads the bytes of a file."""

    def read(content):
        path = tmp_path / "tune.mid"
        path.write_bytes(content)
        return read_tune(path)

    return read


@pytest.fixture
def problem(read):
    """A function that tells why the bytes of a file are refused."""

    def problem(content):
        with pytest.raises(Unusable, match=r"tune\.mid ") as caught:
            read(content)
        assert str(caught.value).endswith(PROBLEMS[caught.value.problem])
        return caught.value.problem

    return problem


# --- Beside other readers ---


def notes_of_symusic(path):
    score = symusic.Score(str(path))
    notes = [note for track in score.tracks if not track.is_drum for note in track.notes]
    return sorted((note.start, note.pitch, note.end) for note in notes if note.start < note.end)


def notes_of_pretty_midi(path):
    """(start, pitch, end), by seconds."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of tempos in other tracks than the first
        file = pretty_midi.PrettyMIDI(str(path))
    notes = [note for instrument in file.instruments if not instrument.is_drum for note in instrument.notes]
    return sorted((note.start, note.pitch, note.end) for note in notes)


def by_start(tune):
    return [(note.start, note.pitch, note.end) for note in tune.notes]


def in_seconds(tune):
    def seconds(tick):
        return float(tune.microseconds(tick) / 10**6)

    return sorted((seconds(note.start), note.pitch, seconds(note.end)) for note in tune.notes)


@pytest.mark.parametrize("path", CHORALES, ids=lambda path: path.stem)
def test_a_chorale_is_read_as_others_read_it(path):
    tune = read_tune(path)
    assert by_start(tune) == notes_of_symusic(path)
    np.testing.assert_allclose(in_seconds(tune), notes_of_pretty_midi(path), rtol=0, atol=1e-9)
    assert tune.seconds == pytest.approx(mido.MidiFile(path).length)
    assert len(tune.notes) > 50


pitches = some.integers(58, 62)
channels = some.sampled_from([0, 1, 9])
events = some.one_of(
    some.builds(on, pitches, channels, some.integers(0, 1)), some.builds(off, pitches, channels), some.just(b"\xc1\0")
)
tracks = some.lists(some.tuples(some.sampled_from([0, 0, 1, 100, 1000]), events), max_size=30)
tempos = some.lists(some.tuples(some.integers(0, 2000), some.builds(tempo, some.integers(1, 2**20))), max_size=4)


def ended(track):
    """The events of a track, and then a note-off for each note."""
    return [*track, *[(1, off(event[1], event[0] & 15)) for _, event in track if event[0] >> 4 == 9], (0, END)]


@settings(max_examples=100, deadline=None, derandomize=True, database=None)
@given(some.lists(tracks, min_size=1, max_size=3), tempos, some.booleans(), some.integers(24, 2**15 - 1))
def test_notes_and_times_are_those_of_others(tracks, tempos, shortened, division):
    """Overlaps, drums, velocities of zero, running status, and, by seconds, changes of tempo."""
    tracks = [ended(track) for track in tracks]
    if shortened:
        tracks = [with_running_status(track) for track in tracks]
    with TemporaryDirectory() as folder:
        path = Path(folder, "x.mid")
        path.write_bytes(midi([*tempos, (0, END)], *tracks, division=division))
        try:
            tune = read_tune(path)
        except Unusable as error:
            assert error.problem == "too long" or not notes_of_symusic(path)
            return
        assert by_start(tune) == notes_of_symusic(path)
        starts = [[seconds for seconds, _, _ in notes] for notes in (in_seconds(tune), notes_of_pretty_midi(path))]
        np.testing.assert_allclose(*starts, rtol=1e-9)


# --- Which notes ---


def test_notes_that_overlap_end_in_the_order_in_which_they_begin(read):
    """Where pretty_midi ends all at the first note-off."""
    tune = read(midi([(0, on(60)), (10, on(60)), (10, off(60)), (10, off(60)), (0, END)]))
    assert tune.notes == (Note(60, 0, 20), Note(60, 10, 30))


def test_a_note_that_begins_at_the_tick_at_which_one_ends_may_stand_before_that_end(read):
    tune = read(midi([(0, on(60)), (10, on(60)), (0, off(60)), (10, off(60)), (0, END)]))
    assert tune.notes == (Note(60, 0, 10), Note(60, 10, 20))


def test_each_channel_and_each_track_ends_its_own_notes(read):
    first = [(0, on(60, channel=0)), (0, on(60, channel=1)), (10, off(60, channel=1)), (10, off(60)), (0, END)]
    second = [(5, on(60)), (50, off(60)), (0, END)]
    assert read(midi(first, second)).notes == (Note(60, 0, 10), Note(60, 0, 20), Note(60, 5, 55))


def test_a_note_without_an_end_ends_with_its_track(read):
    tune = read(midi([(0, on(60)), (10, on(60)), (20, off(60)), (70, END)], [(500, END)]))
    assert tune.notes == (Note(60, 0, 30), Note(60, 10, 100))
    assert tune.length == 500


def test_an_end_without_a_note_and_a_note_of_no_length_are_passed_over(read):
    tune = read(midi([(5, off(60)), (0, on(61)), (0, off(61)), *ONE_NOTE]))
    assert tune.notes == (Note(60, 5, 485),)


def test_a_velocity_of_zero_ends_a_note_and_the_status_may_run_on(read):
    tune = read(midi([(0, on(60)), (10, bytes([64, 1])), (10, bytes([60, 0])), (10, bytes([64, 0])), (0, END)]))
    assert tune.notes == (Note(60, 0, 20), Note(64, 10, 30))


def test_drums_are_left_out(read, problem):
    assert read(midi([(0, on(40, channel=9)), *ONE_NOTE])).notes == (Note(60, 0, 480),)
    assert problem(midi([(0, on(40, channel=9)), (10, off(40, channel=9)), (0, END)])) == "without notes"


def test_a_track_ends_at_its_end_and_the_tune_with_the_last_track(read):
    tune = read(midi([(0, on(60)), (10, off(60)), (90, END), (100, on(62)), (100, off(62))], [(7, END)]))
    assert (tune.notes, tune.length) == ((Note(60, 0, 10),), 100)


def test_the_tracks_of_type_2_come_one_after_another_each_with_its_own_tempos(read):
    first = [(0, tempo(1000000)), (0, on(60)), (480, off(60)), (20, END)]
    second = [(0, on(62)), (240, tempo(250000)), (240, off(62)), (0, END)]
    tune = read(midi(first, second, type_=2))
    assert tune.notes == (Note(60, 0, 480), Note(62, 500, 980))
    assert tune.tempos == ((0, 1000000), (500, 500000), (740, 250000))


# --- When ---


def test_the_tempos_of_all_tracks_hold_for_all_to_the_fraction_of_a_microsecond(read):
    of_tempos = [(0, tempo(600000)), (0, tempo(500000)), (700, tempo(333333)), (0, END)]
    tune = read(midi([(10, on(60)), (1000, off(60)), (0, END)], of_tempos, [(350, tempo(700001)), (0, END)]))
    assert tune.tempos == ((0, 500000), (350, 700001), (700, 333333))  # of two at a tick the last
    expected = [Fraction(10 * 500000, 480), Fraction(350 * 500000 + 350 * 700001 + 310 * 333333, 480)]
    assert [tune.microseconds(tick) for tick in (10, 1010)] == expected
    np.testing.assert_array_equal(tune.scaled_microseconds(np.array([10, 1010])), [480 * time for time in expected])
    assert tune.seconds == float(expected[1] / 10**6)
    assert tune.tempo == 60e6 / 500000  # which holds for 350 ticks, as does the second, and comes first


def test_the_tempo_is_the_one_that_holds_for_the_most_ticks():
    tune = Tune((Note(60, 0, 100),), 10, ((0, 400000), (10, 600000), (40, 400000), (50, 600000), (55, 1000000)), 100)
    assert tune.tempo == 60


def test_a_tempo_at_which_time_would_stand_still_is_passed_over(read):
    assert read(midi([(0, tempo(0)), (10, tempo(0)), *ONE_NOTE])).tempos == ((0, 500000),)


@pytest.mark.parametrize(
    "frames, ticks, per_second", [(24, 4, 96), (25, 40, 1000), (29, 100, Fraction(3000000, 1001)), (30, 80, 2400)]
)
def test_in_smpte_time_ticks_are_parts_of_frames_whatever_the_tempos(read, frames, ticks, per_second):
    tune = read(midi([(0, tempo(123456)), *ONE_NOTE], division=-(frames << 8) + ticks))
    assert tune.microseconds(480) == 480 * 10**6 / Fraction(per_second)


@pytest.mark.parametrize("kind", [0x08, 0x0A, 0x60, 0x7E])
def test_a_meta_event_that_mido_does_not_know_keeps_its_time(read, kind):
    assert read(midi([(100, bytes([0xFF, kind, 1, 65])), *ONE_NOTE])).notes == (Note(60, 100, 580),)


@pytest.mark.parametrize(
    "event",
    [
        pytest.param(b"\xff\x59\x02\x7f\x05", id="a key of 127 sharps"),
        pytest.param(b"\xff\x59\0", id="no key"),
        pytest.param(b"\xff\x58\x01\x04", id="half a time signature"),
        pytest.param(b"\xff\x54\x05\xff\xff\xff\xff\xff", id="an impossible offset"),
        pytest.param(b"\xff\x20\0", id="a prefix of no channel"),
        pytest.param(b"\xff\x01\x02\xff\xfe", id="text in no encoding"),
        pytest.param(b"\xf0\x03\x01\xff\xf7", id="a system message that cannot be"),
    ],
)
def test_damage_to_what_is_of_no_use_does_not_cost_the_file(read, event):
    assert read(midi([(100, event), *ONE_NOTE])).notes == (Note(60, 100, 580),)


# --- Duplicates ---


def test_the_digest_is_that_of_the_music_and_not_of_its_file(read):
    def digest(*tracks, division=96, beat=500000, end=0):
        return read(
            midi([(0, tempo(beat)), (0, END)], *[[*track, (end, END)] for track in tracks], division=division)
        ).digest

    def note(pitch, length=96):
        return [(0, on(pitch)), (length, off(pitch))]

    music = digest(note(60), note(64))
    same = [
        digest(note(64), note(60)),
        digest([(0, on(64)), (0, on(60)), (96, off(60)), (0, off(64))]),
        digest(note(60), note(64), end=1000),
        digest(note(60, 672), note(64, 672), division=672),
        digest(note(60, 48), note(64, 48), beat=1000000),
    ]
    assert {music} == set(same)
    others = [
        digest(note(60)),
        digest(note(60), note(65)),
        digest(note(60), note(64), note(64)),
        digest(note(60), note(64, 97)),
        digest(note(60), [(1, on(64)), (95, off(64))]),
        digest(note(60), note(64), beat=500001),
    ]
    assert len({music, *others}) == 7


# --- What is refused ---


def test_a_file_of_another_kind_is_refused(problem):
    assert problem(b"") == "empty"
    for content in (b"I am a text", b"RIFF" + bytes(100), bytes(1000), midi()[:-1]):
        assert problem(content) == "unreadable"


@pytest.mark.parametrize("type_", [-1, 3, 255])
def test_types_that_there_are_not_are_refused(problem, type_):
    assert problem(midi(ONE_NOTE, type_=type_)) == "unreadable"


@pytest.mark.parametrize("division", [0, -(24 << 8), -(26 << 8) + 4, -1, -(2**15)])
def test_divisions_that_cannot_be_are_refused(problem, division):
    assert problem(midi(ONE_NOTE, division=division)) == "of an impossible division"


@pytest.mark.parametrize("tracks", [[], [[]], [[(0, END)]], [[(0, on(60)), (0, off(60)), (9, END)], [(9, END)]]])
def test_a_file_without_notes_is_refused(problem, tracks):
    assert problem(midi(*tracks)) == "without notes"


def test_a_tune_may_be_a_day_long_and_no_longer(read, problem):
    def lasting(ticks, beat):
        return midi([(0, tempo(beat)), (0, on(60)), (ticks, off(60)), (0, END)], division=1)

    assert read(lasting(MAX_SECONDS, 1000000)).seconds == MAX_SECONDS
    assert problem(lasting(MAX_SECONDS + 1, 1000000)) == "too long"
    assert read(lasting(MAX_BEATS, 1)).length == MAX_BEATS
    assert problem(lasting(MAX_BEATS + 1, 1)) == "too long"


def test_absurd_times_are_refused(problem):
    assert problem(midi([*[(2**28 - 1, on(60)), (2**28 - 1, off(60))] * 100, (0, END)])) == "too long"
    assert problem(midi([(2**20000, on(60)), (1, off(60)), (0, END)])) == "too long"


def test_a_number_that_goes_on_for_ever_is_not_given_to_mido(problem, monkeypatch):
    monkeypatch.delattr(mido, "MidiFile")
    assert problem(midi(ONE_NOTE) + bytes([0xFF]) * (MAX_RUN + 1)) == "unreadable"


def test_a_file_larger_than_any_tune_is_not_read(problem, monkeypatch):
    monkeypatch.delattr(mido, "MidiFile")
    assert problem(bytes(MAX_BYTES + 1)) == "too large"


@pytest.mark.parametrize(
    "event", [b"\xff\x01" + number(2**28 - 1), b"\xf0" + number(10**6), b"\xff\x7f" + number(2**60)]
)
def test_a_claim_takes_no_memory(problem, event):
    content = midi([(0, event)]).replace(b"MTrk\0\0\0", b"MTrk\xff\xff\xff")
    tracemalloc.start()
    try:
        assert problem(content) == problem(b"MThd\xff\xff\xff\xff" + content[8:]) == "unreadable"
        assert tracemalloc.get_traced_memory()[1] < 10**6
    finally:
        tracemalloc.stop()


def test_what_is_no_file_is_named(tmp_path, problem):
    (tmp_path / "tune.mid").mkdir()
    for name, said in {"none.mid": "missing", "tune.mid": "not a file"}.items():
        with pytest.raises(Unusable, match=name) as caught:
            read_tune(tmp_path / name)
        assert caught.value.problem == said


@pytest.mark.skipif(os.name == "nt", reason="pipes are POSIX's")
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.mid")
    with pytest.raises(Unusable, match="not a file"):
        read_tune(tmp_path / "pipe.mid")


@pytest.mark.skipif(os.name == "nt", reason="names are bytes on POSIX")
def test_a_name_that_is_not_text_is_told(tmp_path):
    path = tmp_path / os.fsdecode(b"\xff.mid")
    path.write_bytes(midi(ONE_NOTE))
    with pytest.raises(Unusable, match="not text in UTF-8"):
        read_tune(path)


def test_a_file_that_the_system_refuses_is_told_and_may_be_called_otherwise(tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError

    path = tmp_path / "tune.mid"
    path.touch()
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(InputError, match=r"^folder/other\.mid cannot be opened"):
        read_tune(path, "folder/other.mid")


GOOD = [path.read_bytes() for path in CHORALES] + [
    midi([(0, tempo(400000)), *ONE_NOTE], with_running_status([*ONE_NOTE[:2], *ONE_NOTE])),
    midi([(0, b"\xff\x58\x04\x04\x02\x18\x08"), (0, b"\xff\x59\x02\0\0"), *ONE_NOTE], type_=0),
    midi(ONE_NOTE, ONE_NOTE, type_=2, division=-(25 << 8) + 40),
    midi([(0, b"\xf0\x03\x01\x02\xf7"), (0, b"\xff\x54\x05\x60\0\0\0\0"), (0, b"\xe0\0\x40"), *ONE_NOTE]),
]


@pytest.mark.parametrize("cases", [600, pytest.param(5000, marks=pytest.mark.long)])
def test_a_damaged_file_is_read_or_named(tmp_path, cases):
    path, met = tmp_path / "x.mid", set()
    for case in range(cases):
        draw = random.Random(case)
        path.write_bytes(byte_damaged(draw.choice(GOOD), draw))
        try:
            tune = read_tune(path)
            assert len(tune.digest) == 64 and tune.tempo > 0 and 0 < tune.seconds <= MAX_SECONDS
        except Unusable as error:
            met.add(error.problem)
    often = {"unreadable", "of an impossible division", "without notes", "too long"}
    assert often <= met <= often | {"empty"}, "a cut before the first byte is rare"


def test_each_error_of_mido_that_is_caught_does_occur(read, monkeypatch):
    """And is what mido raises, not what we do with it."""
    contents = {
        EOFError: midi(ONE_NOTE)[:-1],
        OSError: midi(ONE_NOTE).replace(b"MTrk", b"MTrx"),
        ValueError: midi([(0, b"\xc1\0"), (0, b"\xf8"), (0, b"\x01"), *ONE_NOTE]),
        IndexError: midi([(0, b"\xff\x51\x02\x01\x01"), *ONE_NOTE]),
    }
    assert tuple(contents) == tunes.OF_MIDO
    monkeypatch.setattr(tunes, "OF_MIDO", ())
    for error, content in contents.items():
        with pytest.raises(error):
            read(content)
