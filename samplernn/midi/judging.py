"""Is this music, and whose is it? Judges generated rolls while they are made, and flags what is doubtful.

What sounds counts, struck or held. The thresholds were set by measuring; what was found stands beside them. The music
is the 792 tunes that are held out in four corpora, JSB Chorales, Nottingham (folk tunes with chords), MuseData
(orchestras, too) and Piano-midi.de, a step of which was taken as 0.3 seconds.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import groupby
from typing import Any

import numpy as np

from samplernn.audio.listening import Finding, remark
from samplernn.midi.items import values_of
from samplernn.midi.rolls import runs
from samplernn.system.words import printable

FLAGS = {  # what is flagged, and in words: what it is, and what usually helps
    "silent": "nothing to hear: try a higher temperature, another seed or another checkpoint",
    "one chord": "stuck at the same notes: try a higher temperature, or train on",
    "looping": "the same over and over: try a higher temperature, or train on",
    "crowded": "more notes at a time than music has: train on; if it has trained long, lower the temperature",
    "copied": "a passage of the training data: train on more music, for fewer epochs, or with more dropout",
}

# Music: 4 tunes have a silence as long, all of MuseData, and 1 a chord. Of 5 seconds: 10 tunes and 5.
SILENT_SECONDS, CHORD_SECONDS = 8, 8
# How often a passage is played in a row, and for how long in all. Music: 2 tunes, folk dances that are written out
# five times; 4 times in a row 13 tunes, 3 times 32.
LOOPS, LOOP_SECONDS = 5, 8
SHORTEST_LOOP, LONGEST_LOOP = 2, 1000  # steps; longer ones would take long to look for in a roll of hours
# The mean number of notes at a time. Music: up to 13.1 in 2 seconds. A network whose weights are all zero: 44 of 88.
CROWDED_NOTES, CROWDED_SECONDS = 16, 2
# Different changes of chord in a passage that is in a training tune, too. Music: half of the tunes have up to 3 (folk
# tunes: 6), all but 13 up to 18. Those 13 have from 23 on, for they are versions of a training tune, or parts of them.
COPIED_CHANGES = 20

Stretch = tuple[int, int]  # its first step, and the one after its last
Tunes = Iterable[tuple[str, np.ndarray]]  # their names and rolls, [steps, notes]


@dataclass(frozen=True)
class Match:
    """A passage of a generated roll that is in a training tune, too.

    Attributes:
        tune: what the tune is called.
        changes: how many different changes of chord are in the passage.
        steps: how long it is.
        start: its first step in the generated roll, of all its steps.
        tune_start: its first step in the tune.
        seconds_per_step: of both.
    """

    tune: str
    changes: int
    steps: int
    start: int
    tune_start: int
    seconds_per_step: Fraction

    @property
    def seconds(self) -> float:
        """How long it is."""
        return float(self.steps * self.seconds_per_step)

    def to_json(self) -> dict[str, str | float]:
        """As a JSON has it: where it is in the roll and in the tune, in seconds."""
        places = {"from": self.start, "to": self.start + self.steps, "tune_from": self.tune_start}
        seconds = {name: round(float(step * self.seconds_per_step), 3) for name, step in places.items()}
        return {"tune": self.tune, **seconds, "steps": self.steps, "changes": self.changes}


class Repertoire:
    """The tunes that a model was trained on: read once, when they are needed, for the judges of any number of rolls.

    Args:
        tunes: gives them.
    """

    def __init__(self, tunes: Callable[[], Tunes]):
        self._given = tunes

    @cached_property
    def _tunes(self) -> list[tuple[str, list[bytes]]]:
        known: dict[bytes, bytes] = {}  # each chord is kept once
        return [(name, [known.setdefault(chord, chord) for chord in _chords(roll)]) for name, roll in self._given()]

    def longest_match(self, chords: Sequence[bytes]) -> tuple[int, int, str, int, int]:
        """The passage with the most different changes that is in a tune, too, and of those the longest.

        Returns:
            Its changes, its steps, the name of the tune, its first step in the tune and in `chords`. No changes if
            there is none.
        """
        passages, best = _Passages(chords), (0, 0, "", 0, 0)
        for name, tune in self._tunes:
            place, changes = (0, 0), _Changes()
            for step, chord in enumerate(tune):
                place = passages.follow(place, chord)
                _, length = place
                if not length:
                    changes.clear()
                    continue
                start = step - length + 1
                found = changes.move(chord, step, start), length
                if found > best[:2]:
                    best = (*found, name, start, passages.first(place))
        return best


class RollJudge:
    """Sees one roll as it is made. What it finds does not depend on the blocks in which the roll comes.

    Args:
        seconds_per_step: how long a step lasts.
        before: the number of steps at the roll's beginning that are not judged: a seed.
        training: where copies may be from; its rolls have the same notes.
    """

    def __init__(self, seconds_per_step: Fraction, before: int = 0, training: Repertoire | None = None):
        self._step, self._before, self._still_before = seconds_per_step, before, before
        self._training = training or Repertoire(list)
        self._chords: list[bytes] = []
        self._notes: list[int] = []  # that sound, in each step

    def add(self, roll: np.ndarray) -> None:
        """Take the next steps, [n, notes], of a roll or of items."""
        passed = min(self._still_before, len(roll))
        self._still_before -= passed
        values = values_of(roll[passed:])
        self._chords += _chords(values)
        self._notes += np.count_nonzero(values, axis=1).tolist()
        self.__dict__.pop("longest_match", None)

    @cached_property
    def longest_match(self) -> Match | None:
        """The longest passage that is in a training tune, too; None if there is none in which a chord changes.

        The longest is the one with the most different changes of chord, whatever silence is between two chords, for
        what is held or repeated is nobody's. The same music in another key is not looked for.
        """
        changes, steps, name, tune_start, start = self._training.longest_match(self._chords)
        return Match(name, changes, steps, self._before + start, tune_start, self._step) if changes else None

    @property
    def findings(self) -> list[Finding]:
        """What is doubtful in all that was taken, in order."""
        stretches = {
            "silent": self._silences(),
            "one chord": self._held_chords(),
            "looping": self._loops(),
            "crowded": self._crowds(),
            "copied": self._copies(),
        }
        findings = [
            Finding(flag, *(float((self._before + step) * self._step) for step in stretch))
            for flag, found in stretches.items()
            for stretch in _joined(found)
        ]
        return sorted(findings, key=lambda finding: finding.start)

    @property
    def facts(self) -> dict[str, Any]:
        """What the JSON beside a roll says besides what is doubtful."""
        return {"longest_match": self.longest_match and self.longest_match.to_json()}

    @property
    def remark(self) -> str:
        """One line that says what was found, where, and what usually helps; empty if nothing was."""
        flags = dict(FLAGS)
        if match := self.longest_match:
            place = f"{printable(match.tune)} from {float(match.tune_start * self._step):.7g} s on"
            flags["copied"] = f"of {place}, {FLAGS['copied']}"
        return remark(self.findings, flags)

    def _steps(self, seconds: float) -> int:
        """The fewest steps that last so long."""
        return math.ceil(seconds / self._step)

    def _silences(self) -> list[Stretch]:
        least = min(self._steps(SILENT_SECONDS), len(self._chords))  # all of a roll is silence, however short
        return [(start, end) for chord, start, end in _held(self._chords) if not any(chord) and end - start >= least]

    def _held_chords(self) -> list[Stretch]:
        least = self._steps(CHORD_SECONDS)
        return [(start, end) for chord, start, end in _held(self._chords) if any(chord) and end - start >= least]

    def _loops(self) -> list[Stretch]:
        numbers: dict[bytes, int] = {}
        chords = np.array([numbers.setdefault(chord, len(numbers)) for chord in self._chords])
        changed = np.cumsum(np.diff(chords, prepend=chords[:1]) != 0)
        least, stretches = self._steps(LOOP_SECONDS), []
        for period in range(SHORTEST_LOOP, min(LONGEST_LOOP, len(chords) // LOOPS) + 1):
            starts, ends = runs(chords[period:] == chords[:-period]).T + [[0], [period]]
            loops = (ends - starts >= max(least, LOOPS * period)) & (changed[starts] < changed[ends - 1])
            stretches += zip(starts[loops], ends[loops])
        return stretches

    def _crowds(self) -> list[Stretch]:
        together = self._steps(CROWDED_SECONDS)
        sums = np.cumsum([0, *self._notes])
        crowded = sums[together:] - sums[:-together] >= CROWDED_NOTES * together
        return [(start, start + together) for start in np.flatnonzero(crowded)]

    def _copies(self) -> list[Stretch]:
        match = self.longest_match
        if match is None or match.changes < COPIED_CHANGES:
            return []
        start = match.start - self._before
        return [(start, start + match.steps)]


class _Passages:
    """All passages of a sequence, as the smallest automaton that knows them (a suffix automaton; Blumer et al. 1985).

    A state stands for passages that end at the same places; the state 0 is for the empty one. Its links lead to the
    states for what is left of them when their first steps are dropped until they end at more places.
    """

    def __init__(self, sequence: Sequence[bytes]):
        self._next: list[dict[bytes, int]] = [{}]
        self._link, self._length = [-1], [0]  # the latter of the longest passage of the state
        self._end = [-1]  # the last step of the first place
        last = 0
        for step, chord in enumerate(sequence):
            new, state = self._add({}, -1, self._length[last] + 1, step), last
            while state >= 0 and chord not in self._next[state]:
                self._next[state][chord] = new
                state = self._link[state]
            self._link[new] = self._shortened(state, chord) if state >= 0 else 0
            last = new

    def _add(self, following: dict[bytes, int], link: int, length: int, end: int) -> int:
        self._next.append(following)
        self._link.append(link)
        self._length.append(length)
        self._end.append(end)
        return len(self._next) - 1

    def _shortened(self, state: int, chord: bytes) -> int:
        """The state for the passages of a state and one chord more, without the longer ones that end there, too."""
        following, length = self._next[state][chord], self._length[state] + 1
        if self._length[following] == length:
            return following
        new = self._add(dict(self._next[following]), self._link[following], length, self._end[following])
        while state >= 0 and self._next[state].get(chord) == following:
            self._next[state][chord] = new
            state = self._link[state]
        self._link[following] = new
        return new

    def follow(self, place: tuple[int, int], chord: bytes) -> tuple[int, int]:
        """From the longest passage that another sequence ends with to that with which it ends one chord later.

        Both are places: a state, and how long the passage is.
        """
        state, length = place
        while state and chord not in self._next[state]:
            state = self._link[state]
            length = self._length[state]
        following = self._next[state].get(chord)
        return (0, 0) if following is None else (following, length + 1)

    def first(self, place: tuple[int, int]) -> int:
        """The step at which a passage first begins."""
        state, length = place
        return self._end[state] - length + 1


class _Changes:
    """The changes from one chord to another in a passage that moves on, whatever silence is in between."""

    def __init__(self):
        self._changes: deque[tuple[int, tuple[bytes, bytes]]] = deque()  # with the last step of the chord before
        self._counts: Counter[tuple[bytes, bytes]] = Counter()
        self._last, self._last_step = b"", -1  # the chord that sounded last

    def clear(self) -> None:
        """Begin anew."""
        self._changes.clear()
        self._counts.clear()
        self._last_step = -1

    def move(self, chord: bytes, step: int, start: int) -> int:
        """How many different ones there are from a step `start` on, when a step has been added.

        Args:
            chord: of the step.
            step: its number.
            start: no less than it was.
        """
        if any(chord):
            if chord != self._last and self._last_step >= start:
                change = (self._last, chord)
                self._changes.append((self._last_step, change))
                self._counts[change] += 1
            self._last, self._last_step = chord, step
        while self._changes and self._changes[0][0] < start:
            _, change = self._changes.popleft()
            self._counts[change] -= 1
            if not self._counts[change]:
                del self._counts[change]
        return len(self._counts)


def _chords(roll: np.ndarray) -> list[bytes]:
    """What sounds in each step of a roll, [steps, notes]: a bit for each note."""
    packed = np.packbits(roll > 0, axis=1)
    width, chords = packed.shape[1], packed.tobytes()
    return [chords[start : start + width] for start in range(0, len(chords), width)]


def _held(chords: Iterable[bytes]) -> Iterator[tuple[bytes, int, int]]:
    """Each chord with the stretch in which it does not change."""
    end = 0
    for chord, run in groupby(chords):
        start, end = end, end + sum(1 for _ in run)
        yield chord, start, end


def _joined(stretches: Iterable[Stretch]) -> list[Stretch]:
    """Those that overlap, or follow on each other, as one."""
    joined: list[Stretch] = []
    for start, end in sorted(stretches):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return joined
