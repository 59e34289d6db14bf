"""Each flag for what it says and for nothing else, whatever the blocks; the longest match against a plain search."""

import json
import re
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from samplernn.audio.listening import Finding
from samplernn.midi.judging import COPIED_CHANGES, FLAGS, Match, Repertoire, RollJudge

STEP = Fraction(3, 10)
RANDOM = np.random.default_rng(0)


def music(steps, seed=0, held=1.3):
    """Chords of four notes that change at random, [steps, 88]."""
    random = np.random.default_rng(seed)
    chords = np.zeros((steps, 88), np.int8)
    for chord in chords:
        chord[random.choice(np.arange(15, 75), 4, replace=False)] = 1
    return np.repeat(chords, random.geometric(1 / held, steps), axis=0)[:steps]


def notes(*pitches):
    """A roll in which one note sounds at a time, or none where it is None."""
    roll = np.zeros((len(pitches), 88), np.int8)
    for step, pitch in zip(roll, pitches):
        if pitch is not None:
            step[pitch] = 1
    return roll


def judged(roll, cuts=(), step=STEP, **kwargs):
    judge = RollJudge(step, **kwargs)
    for block in np.split(roll, cuts):
        judge.add(block)
    return judge


def found(roll, *args, **kwargs):
    return judged(roll, *args, **kwargs).findings


SILENCE, CHORD = np.zeros((40, 88), np.int8), np.repeat(music(1), 40, axis=0)


@pytest.mark.parametrize("seed", range(3))
def test_music_has_no_flag(seed):
    training = Repertoire(lambda: [("other", music(500, seed + 10))])
    assert found(music(500, seed), training=training) == []
    assert found(music(500, seed) * 2, training=training) == []


@pytest.mark.parametrize(
    ("flag", "roll"),
    [
        ("silent", SILENCE),
        ("silent", SILENCE[:3]),  # it is all there is
        ("one chord", CHORD),
        ("one chord", CHORD * RANDOM.integers(1, 3, (40, 1), dtype=np.int8)),  # struck now and then
        ("looping", np.tile(music(8, 3), (6, 1))),
        ("looping", np.tile(music(2, held=1), (20, 1))),
        ("looping", np.tile(np.concatenate([music(7), np.zeros((1, 88), np.int8)]), (5, 1))),
        ("looping", np.tile(music(200), (5, 1))),
        ("crowded", (RANDOM.random((40, 88)) < 0.5).astype(np.int8)),
        ("crowded", (RANDOM.random((40, 88)) < 0.3).astype(np.int8) * 2),
    ],
)
def test_each_flag_is_for_what_it_says(flag, roll):
    assert found(roll) == [Finding(flag, 0.0, pytest.approx(len(roll) * 0.3))]


@pytest.mark.parametrize(
    "roll",
    [
        np.concatenate([music(30), SILENCE[:26], music(30, 1)]),  # 7.8 seconds
        np.concatenate([music(30), CHORD[:26], music(30, 1)]),
        np.tile(music(50), (4, 1)),
        np.tile(music(5), (5, 1)),  # 7.5 seconds
        np.concatenate([music(30), (RANDOM.random((1, 88)) < 0.5).astype(np.int8), music(30, 1)]),
        np.zeros((0, 88), np.int8),
        music(1),
    ],
)
def test_what_music_does_has_no_flag(roll):
    assert found(roll) == []


def test_where_it_is_found_is_told():
    roll = np.concatenate([music(50), SILENCE, music(50, 1), CHORD[:30], SILENCE, music(3, 2)])
    roll = np.concatenate([roll, np.tile(music(10, 7), (5, 1))])
    assert [finding.to_json() for finding in found(roll)] == [
        {"flag": "silent", "from": 15.0, "to": 27.0},
        {"flag": "one chord", "from": 42.0, "to": 51.0},
        {"flag": "silent", "from": 51.0, "to": 63.0},
        {"flag": "looping", "from": 63.9, "to": 78.9},
    ]


@pytest.mark.parametrize(("step", "long_enough"), [(Fraction(1, 10), 80), (Fraction(1, 2), 16), (0.25, 32), (3, 3)])
def test_seconds_count(step, long_enough):
    for steps, flags in ((long_enough - 1, []), (long_enough, ["one chord"])):
        roll = np.concatenate([music(2, 1), np.repeat(music(1), steps, axis=0), music(2, 2)])
        assert [finding.flag for finding in found(roll, step=step)] == flags


ALL = np.concatenate(
    [music(20), SILENCE, music(30, 1), CHORD, np.tile(music(6, 2), (9, 1)), (RANDOM.random((30, 88)) < 0.5)]
).astype(np.int8)
TRAINING = Repertoire(lambda: [("a", music(100, 8)), ("b", music(30, 1))])
WHOLE = judged(ALL, training=TRAINING)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, len(ALL))), st.integers(0, 70))
def test_blocks_do_not_matter(cuts, before):
    assert {finding.flag for finding in WHOLE.findings} == FLAGS.keys()
    judge = judged(ALL, sorted(cuts), training=TRAINING)
    assert (judge.findings, judge.longest_match) == (WHOLE.findings, WHOLE.longest_match)
    without = judged(ALL[before:], training=TRAINING)
    shifted = [Finding(f.flag, *(round(t + before * 0.3, 6) for t in (f.start, f.end))) for f in without.findings]
    judge = judged(ALL, sorted(cuts), before=before, training=TRAINING)
    assert [Finding(f.flag, round(f.start, 6), round(f.end, 6)) for f in judge.findings] == shifted
    assert judge.longest_match.start == without.longest_match.start + before


def test_what_is_found_so_far_is_told_at_any_time():
    judge, tune = RollJudge(STEP, training=TRAINING), music(30, 1)
    assert judge.findings == [] and judge.longest_match is None
    for steps in (10, 20, 30):
        judge.add(tune[steps - 10 : steps])
        assert judge.longest_match.steps == steps
    judge.add(SILENCE)
    assert judge.longest_match.steps == 30
    assert judge.findings == judge.findings == [Finding("copied", 0.0, 9.0), Finding("silent", 9.0, 21.0)]


def test_a_copy_is_found_in_the_middle():
    tune, other = music(200, 1), music(200, 2)
    roll = np.concatenate([music(50, 3), tune[60:110] * 2, music(50, 4)])
    judge = judged(roll, training=Repertoire(lambda: [("other.mid", other), ("tune.mid", tune)]))
    match = judge.longest_match
    assert (match.tune, match.steps, match.start, match.tune_start) == ("tune.mid", 50, 50, 60)
    assert match.changes == np.any(np.diff(tune[60:110], axis=0), axis=1).sum()
    assert match.seconds == 15
    assert judge.findings == [Finding("copied", 15.0, 30.0)]
    assert json.loads(json.dumps(match.to_json())) == {
        "tune": "tune.mid", "from": 15.0, "to": 30.0, "tune_from": 18.0, "steps": 50, "changes": match.changes,
    }  # fmt: skip


def test_only_what_changes_is_a_copy():
    scale = list(range(30, 30 + COPIED_CHANGES))
    tune = notes(*scale, scale[0] + 40)
    for changes, flags in ((COPIED_CHANGES - 1, []), (COPIED_CHANGES, ["copied"])):
        judge = judged(
            np.concatenate([music(9), tune[: changes + 1], music(9, 1)]), training=Repertoire(lambda: [("x", tune)])
        )
        assert judge.longest_match.changes == changes
        assert [finding.flag for finding in judge.findings] == flags


@pytest.mark.parametrize(
    ("roll", "changes"),
    [
        (SILENCE, None),
        (CHORD, None),
        (notes(*[40, None] * 20), None),  # one chord, again and again
        (notes(None, None, 40, 40, None), None),
        (notes(*[40, 44] * 20), 2),  # there and back
        (notes(40, None, 44, None, None, 44, 47), 2),
    ],
)
def test_what_is_held_or_repeated_is_no_copy(roll, changes):
    match = judged(roll, training=Repertoire(lambda: [("same", roll)])).longest_match
    assert (match and match.changes) == changes


def test_without_training_tunes_nothing_is_copied():
    assert judged(music(50)).longest_match is None
    assert judged(music(50), training=Repertoire(lambda: [("empty", music(0))])).longest_match is None


def plain_longest(roll, tunes):
    """The most different changes of a passage of both, and of those with as many the most steps; by trying them all."""
    best = (0, 0)
    for tune in tunes:
        for i in range(len(roll)):
            for j in range(len(tune)):
                length = 0
                while i + length < len(roll) and j + length < len(tune) and roll[i + length] == tune[j + length]:
                    length += 1
                sounding = [pitch for pitch in roll[i : i + length] if pitch is not None]
                changes = {change for change in zip(sounding, sounding[1:]) if change[0] != change[1]}
                best = max(best, (len(changes), length))
    return best if best[0] else None


SEQUENCES = st.lists(st.sampled_from([None, 40, 41, 42]), max_size=25)


@settings(max_examples=200, deadline=None)
@given(SEQUENCES, st.lists(SEQUENCES, max_size=3))
def test_the_longest_match_is_that_of_a_plain_search(roll, tunes):
    judge = judged(notes(*roll), training=Repertoire(lambda: [(str(i), notes(*tune)) for i, tune in enumerate(tunes)]))
    match = judge.longest_match
    assert (match and (match.changes, match.steps)) == plain_longest(roll, tunes)
    if match:
        tune = tunes[int(match.tune)]
        there = tune[match.tune_start : match.tune_start + match.steps]
        assert roll[match.start : match.start + match.steps] == there
        assert len(there) == match.steps


def plain_loops(roll, least):
    """The steps of stretches in which a passage of 2 steps or more, not all the same, is played 5 times or more."""
    looping = set()
    for start in range(len(roll)):
        for end in range(start + least, len(roll) + 1):
            stretch = roll[start:end]
            for period in range(2, len(stretch) // 5 + 1):
                if stretch[period:] == stretch[:-period] and len(set(stretch)) > 1:
                    looping |= set(range(start, end))
    return looping


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.integers(40, 41), max_size=8), st.lists(st.integers(40, 41), min_size=1, max_size=4),
    st.integers(4, 8), st.lists(st.integers(40, 41), max_size=8),
)  # fmt: skip
def test_loops_are_those_of_a_plain_search(before, period, times, after):
    roll = [*before, *period * times, *after]
    findings = [finding for finding in found(notes(*roll), step=1) if finding.flag == "looping"]
    steps = {step for finding in findings for step in range(round(finding.start), round(finding.end))}
    assert steps == plain_loops(roll, 8)


def test_a_match_is_said_in_seconds():
    match = Match("x.mid", 5, 9, 10, 20, Fraction(1, 3))
    assert match.seconds == 3
    assert match.to_json() == {
        "tune": "x.mid",
        "from": 3.333,
        "to": 6.333,
        "tune_from": 6.667,
        "steps": 9,
        "changes": 5,
    }


def test_the_tunes_are_read_once_and_when_they_are_needed():
    read = []

    def tunes():
        read.append(1)
        yield "tune.mid", music(60, 1)

    training = Repertoire(tunes)
    judges = [judged(music(60, seed), training=training) for seed in range(3)]
    assert read == []
    assert [judge.longest_match is not None and judge.longest_match.steps > 50 for judge in judges] == [0, 1, 0]
    assert judges[1].findings and read == [1]


def test_items_are_judged_as_the_notes_that_they_are():
    """Above the two lowest bits stands how likely a note was."""
    roll = np.concatenate([music(30), SILENCE, music(30, 1)])
    assert found(roll.astype(np.int32) + 4 * RANDOM.integers(0, 256, roll.shape, np.int32)) == found(roll) != []


def test_the_remark_is_one_line_that_names_the_tune():
    assert judged(music(30)).remark == ""
    training = Repertoire(lambda: [("a/tune.mid", music(60, 1))])
    roll = np.concatenate([SILENCE, music(60, 1)[10:], SILENCE])
    assert re.fullmatch(
        r"Doubtful: silent from 0 to 12 s and 1 times more \(nothing to hear: .*\); "
        r"copied from 12 to 27 s \(of a/tune\.mid from 3 s on, a passage of .*\)\. See docs/listening\.md\.",
        judged(roll, training=training).remark,
    )
    match = judged(roll, training=training).longest_match.to_json()
    assert judged(roll, training=training).facts == {"longest_match": match}
    assert judged(SILENCE, training=training).facts == {"longest_match": None}
