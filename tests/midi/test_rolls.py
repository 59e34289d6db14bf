"""Piano rolls: what sounds at which step, beside a plain version and other readers; what is written is read."""

import math
import warnings
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory

import mido
import numpy as np
import pretty_midi
import pytest
import symusic
from hypothesis import given, settings
from hypothesis import strategies as some
from midi_bytes import CHORALES, END, midi, off, on, tempo

from samplernn.midi.rolls import HELD, SILENT, STRUCK, Grid, notes_of, write_roll
from samplernn.midi.tunes import Note, Tune, Unusable, read_tune

TRIED = settings(max_examples=200, deadline=None, derandomize=True, database=None)
SECOND = 10**6  # microseconds
BY_TIME = Grid(low=60, high=64, step=SECOND, steps_per_beat=None, tempo=120, onsets=False)
STRUCK_BY_TIME = Grid(60, 64, SECOND, None, 120, True)
BY_BEAT = Grid(60, 64, None, 4, 120, False)


def tune_of(*notes, length=None, ticks_per_beat=2, tempos=((0, 500000),)):
    """A tune in which, unless it is said otherwise, a second is four ticks."""
    return Tune(tuple(Note(*note) for note in notes), ticks_per_beat, tempos, length or max(note[2] for note in notes))


def rows(roll):
    """The pitches of a roll as texts, of a character a step."""
    return ["".join(".-o"[value] for value in row) for row in roll.T]


# --- From tunes to rolls ---


def test_a_note_sounds_from_its_start_on_and_no_longer_at_its_end():
    tune = tune_of((60, 0, 8), (61, 1, 8), (62, 4, 9), (63, 3, 5), length=16)
    assert rows(BY_TIME.roll(tune)) == ["--..", ".-..", ".--.", ".-.."]
    assert rows(STRUCK_BY_TIME.roll(tune)) == ["o-..", ".o..", ".o-.", ".o.."]
    assert BY_TIME.roll(tune).dtype == np.int8


def test_each_note_that_joins_another_is_struck_and_so_is_one_within_another():
    tune = tune_of((60, 0, 8), (60, 8, 16), (61, 0, 16), (61, 4, 8), (62, 0, 4), (62, 0, 8), (63, 3, 4), (63, 4, 5))
    assert rows(STRUCK_BY_TIME.roll(tune)) == ["o-o-", "oo--", "o-..", ".o.."]
    assert rows(BY_TIME.roll(tune)) == ["----", "----", "--..", ".-.."]


@pytest.mark.parametrize("length, steps", [(1, 1), (4, 1), (5, 2), (8, 2), (400, 100)])
def test_there_is_a_step_for_each_that_begins_before_the_end(length, steps):
    tune = tune_of((60, 0, 1), length=length)
    assert BY_TIME.steps(tune) == len(BY_TIME.roll(tune)) == steps


def test_notes_without_a_row_and_notes_between_steps_are_counted():
    tune = tune_of((59, 0, 8), (64, 0, 8), (127, 1, 2), (60, 1, 4), (60, 1, 5), (61, 4, 5), (63, 5, 7))
    assert (BY_TIME.outside(tune), BY_TIME.vanishing(tune)) == (3, 2)
    assert rows(BY_TIME.roll(tune)) == [".-", ".-", "..", ".."]


def test_steps_may_follow_the_beats_whatever_the_tempo():
    tune = tune_of((60, 0, 96), (61, 24, 25), (62, 25, 48), (63, 95, 97), length=100, ticks_per_beat=96)
    slower = tune_of(*tune.notes, length=100, ticks_per_beat=96, tempos=((0, 7), (50, 10**7)))
    assert rows(BY_BEAT.roll(tune)) == rows(BY_BEAT.roll(slower)) == ["----.", ".-...", ".....", "....-"]


def test_steps_of_microseconds_follow_the_tempos():
    tune = tune_of((60, 0, 4), (61, 4, 5), (62, 5, 6), length=8, tempos=((0, 500000), (4, 2000000)))
    assert rows(BY_TIME.roll(tune)) == ["-....", ".-...", "..-..", "....."]


def test_no_float_decides():
    """Floats put some of these a step late: 2.1 / 0.3 is more than 7."""
    beats = tune_of(*[(60 + k % 4, k, k + 1) for k in range(4000)], ticks_per_beat=1, tempos=((0, 300000),))
    roll = Grid(60, 64, 300000, None, 120, False).roll(beats)
    np.testing.assert_array_equal(np.tile(np.eye(4), (1000, 1)), roll)


def test_the_time_of_a_step():
    tune = tune_of((60, 0, 4), length=5, tempos=((0, 500000), (4, 600001)))
    assert BY_TIME.microseconds_per_step(tune) == SECOND
    assert BY_BEAT.microseconds_per_step(tune) == round((4 * 500000 + 600001) / 2 / 10)
    assert BY_BEAT.microseconds_per_step(tune_of((60, 0, 1), tempos=((0, 1),))) == 1
    assert BY_TIME.seconds_per_step == 1
    assert BY_BEAT.seconds_per_step == Fraction(1, 8)
    assert Grid(0, 128, None, 7, 130.0, False).seconds_per_step == Fraction(461538, 7 * SECOND)


def plain_roll(grid, notes, seconds, beats, length):
    """By the rule itself, step by step; `seconds` and `beats` are functions of ticks."""
    passed = beats if grid.step is None else seconds
    step = Fraction(1, grid.steps_per_beat) if grid.step is None else Fraction(grid.step, SECOND)
    count = max(1, math.ceil(passed(length) / step))
    roll = np.zeros((count, grid.high - grid.low), np.int8)
    for pitch, start, end in notes:
        steps = [k for k in range(count) if passed(start) <= k * step < passed(end)]
        if grid.low <= pitch < grid.high and steps:
            column = roll[:, pitch - grid.low]
            column[steps] = np.maximum(column[steps], HELD)
            column[steps[0]] = STRUCK if grid.onsets else HELD
    return roll


pitches = some.integers(0, 127)
ranges = some.tuples(pitches, some.integers(1, 128)).map(lambda ends: (min(ends[0], ends[1] - 1), ends[1]))
by_time = some.builds(
    lambda ends, *rest: Grid(*ends, *rest),
    ranges,
    some.integers(1, 10**7),
    some.none(),
    some.just(120.0),
    some.booleans(),
)
by_beat = some.builds(
    lambda ends, *rest: Grid(*ends, *rest),
    ranges,
    some.none(),
    some.integers(1, 96),
    some.floats(4, 1000),
    some.booleans(),
)
grids = by_time | by_beat


@TRIED
@given(
    grid=some.builds(
        Grid, some.just(60), some.just(63), some.integers(10**4, 10**6), some.none(), some.just(120.0), some.booleans()
    )
    | some.builds(
        Grid, some.just(60), some.just(63), some.none(), some.integers(1, 12), some.just(120.0), some.booleans()
    ),
    notes=some.lists(
        some.tuples(some.integers(59, 63), some.integers(0, 200), some.integers(1, 60)), min_size=1, max_size=12
    ),
    changes=some.dictionaries(some.integers(1, 200), some.integers(1, 10**6), max_size=3),
    ticks_per_beat=some.integers(10, 100),
    silence=some.integers(0, 50),
)
def test_a_roll_is_what_the_rule_says(grid, notes, changes, ticks_per_beat, silence):
    notes = sorted({(pitch, start, start + length) for pitch, start, length in notes}, key=lambda note: note[1::-1])
    tempos = ((0, 500000), *sorted(changes.items()))
    tune = tune_of(
        *notes, length=max(end for _, _, end in notes) + silence, ticks_per_beat=ticks_per_beat, tempos=tempos
    )

    def seconds(tick):
        passed = [min(tick, behind) - start for (start, _), behind in zip(tempos, [*sorted(changes), tick])]
        return sum(Fraction(max(0, ticks) * beat, ticks_per_beat * SECOND) for ticks, (_, beat) in zip(passed, tempos))

    expected = plain_roll(grid, notes, seconds, lambda tick: Fraction(tick, ticks_per_beat), tune.length)
    np.testing.assert_array_equal(grid.roll(tune), expected)
    in_range = [note for note in notes if 60 <= note[0] < 63]
    assert grid.outside(tune) == len(notes) - len(in_range)
    alone = [
        plain_roll(grid, [note], seconds, lambda tick: Fraction(tick, ticks_per_beat), tune.length) for note in in_range
    ]
    assert grid.vanishing(tune) == sum(not roll.any() for roll in alone)


# --- Beside other readers ---

TEMPOS_IN_TRACKS = midi(
    [(0, tempo(600000)), (960, tempo(333333)), (0, END)],
    [
        (100, on(60)),
        (100, bytes([64, 64])),
        (700, bytes([60, 0])),
        (500, bytes([64, 0])),
        (99, on(60)),
        (400, off(60)),
        (0, END),
    ],
    [(50, on(48, channel=3)), (1111, off(48, channel=3)), (0, on(36, channel=9)), (400, off(36, channel=9)), (77, END)],
)


@pytest.fixture(params=[*CHORALES, "tempos in tracks"], ids=lambda of: getattr(of, "stem", of))
def path(request, tmp_path):
    if isinstance(request.param, Path):
        return request.param
    path = tmp_path / "tempos.mid"
    path.write_bytes(TEMPOS_IN_TRACKS)
    return path


@pytest.mark.parametrize("step", [300000, 250000, 50000, 123457])
def test_a_roll_is_that_of_the_notes_that_pretty_midi_reads(path, step):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        instruments = pretty_midi.PrettyMIDI(str(path)).instruments
    roll = Grid(21, 109, step, None, 120, False).roll(read_tune(path))
    expected = np.zeros_like(roll)
    for note in [note for instrument in instruments if not instrument.is_drum for note in instrument.notes]:
        first, behind = (math.ceil(time * SECOND / step - 1e-6) for time in (note.start, note.end))
        expected[first:behind, note.pitch - 21] = HELD
    np.testing.assert_array_equal(roll, expected)
    assert roll.any()


@pytest.mark.parametrize("steps_per_beat", [1, 4, 7])
def test_a_roll_by_beats_is_that_of_the_notes_that_symusic_reads(path, steps_per_beat):
    score = symusic.Score(str(path))
    grid = Grid(48, 84, None, steps_per_beat, 120, True)
    notes = [(n.pitch, n.start, n.end) for track in score.tracks if not track.is_drum for n in track.notes]
    notes.sort(key=lambda note: note[1])
    tune = read_tune(path)
    expected = plain_roll(grid, notes, None, lambda tick: Fraction(tick, score.ticks_per_quarter), tune.length)
    np.testing.assert_array_equal(grid.roll(tune), expected)


# --- From rolls to files ---


@TRIED
@given(
    grid=grids,
    steps=some.integers(1, 40),
    density=some.sampled_from([0.02, 0.5, 0.98]),
    seed=some.integers(0, 2**32 - 1),
    silence=some.integers(0, 20),
)
def test_a_roll_that_is_written_and_read_is_the_same(grid, steps, density, seed, silence):
    draw = np.random.default_rng(seed)
    roll = np.where(draw.random((steps, grid.high - grid.low)) < density, HELD, SILENT)
    roll[draw.integers(steps), draw.integers(grid.high - grid.low)] = HELD  # one note at least
    roll = np.pad(roll, [(draw.integers(silence + 1), silence), (0, 0)])
    if grid.onsets:
        begins = np.diff(roll, axis=0, prepend=SILENT) > 0
        roll = np.where(begins | (roll == HELD) & (draw.random(roll.shape) < 0.3), STRUCK, roll)
    with TemporaryDirectory() as folder:
        path = Path(folder, "x.mid")
        write_roll(path, roll, grid)
        tune = read_tune(path)
    np.testing.assert_array_equal(grid.roll(tune), roll)
    assert tune.microseconds(tune.length) == len(roll) * grid.seconds_per_step * SECOND
    assert (grid.outside(tune), grid.vanishing(tune)) == (0, 0)
    assert grid.microseconds_per_step(tune) == max(1, round(grid.seconds_per_step * SECOND))


@pytest.mark.parametrize(
    "step", [1, 2, 15, 16, 997, 10**3, 23220, 299993, 3 * 10**5, 333333, 333334, 10**6, 9999991, 10**7]
)
def test_steps_of_every_length_are_written(tmp_path, step):
    grid = Grid(21, 109, step, None, 120, False)
    roll = np.zeros((1000, 88), np.int8)
    roll[1::3, 5] = roll[17:900, 87] = HELD
    write_roll(tmp_path / "x.mid", roll, grid)
    tune = read_tune(tmp_path / "x.mid")
    np.testing.assert_array_equal(grid.roll(tune), roll)
    ((_, beat),) = tune.tempos
    assert beat % tune.ticks_per_beat == 0  # so that the times of ticks are whole microseconds to others, too
    assert not 1000 <= step <= 500000 or 80 <= tune.tempo <= 180


def test_what_is_written_is_what_others_read(tmp_path):
    roll = np.array([[0, 2, 2], [0, 1, 2], [1, 0, 1], [1, 0, 1], [0, 0, 0], [0, 0, 0]], np.int8)
    notes = {True: [(61, 0, 2), (62, 0, 1), (62, 1, 4), (60, 2, 4)], False: [(61, 0, 2), (62, 0, 4), (60, 2, 4)]}
    for onsets, expected in notes.items():
        write_roll(tmp_path / "x.mid", roll, Grid(60, 63, 300000, None, 120, onsets))
        theirs = pretty_midi.PrettyMIDI(str(tmp_path / "x.mid"))
        (piano,) = theirs.instruments
        assert (piano.program, piano.is_drum, {note.velocity for note in piano.notes}) == (0, False, {90})
        read = [(note.pitch, note.start / 0.3, note.end / 0.3) for note in piano.notes]
        np.testing.assert_allclose(sorted(read), sorted(expected))
        (track,) = symusic.Score(str(tmp_path / "x.mid")).tracks
        assert len(track.notes) == len(expected)
        assert mido.MidiFile(tmp_path / "x.mid").length == pytest.approx(6 * 0.3)
    assert [file.name for file in tmp_path.iterdir()] == ["x.mid"]


def test_a_roll_in_which_nothing_sounds_is_a_file_without_notes(tmp_path):
    write_roll(tmp_path / "x.mid", np.zeros((5, 4), np.int8), BY_TIME)
    assert mido.MidiFile(tmp_path / "x.mid").length == pytest.approx(5)
    with pytest.raises(Unusable, match="has no notes"):
        read_tune(tmp_path / "x.mid")


def test_where_the_disk_refuses_what_was_there_stays(tmp_path, monkeypatch):
    path = tmp_path / "x.mid"
    path.write_text("precious")

    def refuse(_, aside):
        aside.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(mido.MidiFile, "save", refuse)
    with pytest.raises(OSError, match=r"x\.mid"):
        write_roll(path, np.ones((1, 4), np.int8), BY_TIME)
    assert path.read_text() == "precious"
    assert len(list(tmp_path.iterdir())) == 1


# --- The notes of a roll ---


def test_steps_that_join_are_one_note_unless_one_is_struck():
    roll = np.array([list(map(".-o".index, row)) for row in ("--o-.-", "o-ooo-", "......", "-----o")]).T
    assert notes_of(roll, onsets=False) == [(0, 0, 4), (1, 0, 6), (3, 0, 6), (0, 5, 6)]
    with_onsets = [(0, 0, 2), (1, 0, 2), (3, 0, 5), (0, 2, 4), (1, 2, 3), (1, 3, 4), (1, 4, 6), (0, 5, 6), (3, 5, 6)]
    assert notes_of(roll, onsets=True) == with_onsets


def test_a_roll_of_no_steps_has_no_notes():
    assert notes_of(np.zeros((0, 4), np.int8), onsets=True) == []
