"""A corpus of MIDI files: each of them is read once, as a roll, and it is said what is wrong or doubtful."""

from __future__ import annotations

import functools
import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

import numpy as np

from samplernn.audio.wav import Folder, Recording
from samplernn.corpus.corpus import (
    Corpus,
    Examination,
    Finding,
    called_in_messages,
    commonest,
    duplicates,
    with_progress,
)
from samplernn.corpus.folders import MIDI, files_in
from samplernn.midi.clock import MICROSECONDS
from samplernn.midi.rolls import SILENT, Grid
from samplernn.midi.tunes import PROBLEMS, Unusable, read_tune
from samplernn.system.errors import InputError, RunError
from samplernn.system.words import counted, printable

MAX_STEPS = 2**20  # of a roll, hours of music; some bytes of MIDI can claim a hundred times as many
OUT_OF_RANGE = "out of range"  # the problem of a file all of whose notes are
OF_TOO_MANY_STEPS = "of too many steps"
ALL_PROBLEMS = PROBLEMS | {
    OUT_OF_RANGE: "has no note in note_range that sounds at a step",
    OF_TOO_MANY_STEPS: f"has more than {MAX_STEPS} steps, or claims to; cut it, or choose longer ones in the config",
}

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TuneFile(Recording):
    """A MIDI file that can be used; its items are the steps of its roll.

    Attributes:
        microseconds: how long a step is.
        sounding: how many notes sound, over all steps.
        lowest, highest: the rows of its roll in which notes are.
        shift: rows by which it is transposed.
    """

    microseconds: int = MICROSECONDS
    sounding: int = 0
    lowest: int = 0
    highest: int = 0
    shift: int = 0

    @property
    def seconds(self) -> float:
        """How long it is."""
        return self.frames * self.microseconds / MICROSECONDS


@dataclass(frozen=True)
class Facts:
    """What reading a file tells about it.

    Attributes:
        problem: one of ALL_PROBLEMS; then nothing below counts.
        roll: its notes by steps, [steps, notes].
        sounding: how many notes sound, over all steps.
        tempo: beats a minute, that which holds longest.
        microseconds: how long a step is on average.
        num_notes: those that were read.
        outside: how many of them are out of range.
        vanishing: how many sound at no step.
        digest: of its notes.
    """

    problem: str = ""
    roll: np.ndarray | None = None
    sounding: int = 0
    tempo: float = 0.0
    microseconds: int = 0
    num_notes: int = 0
    outside: int = 0
    vanishing: int = 0
    digest: str = ""


@dataclass(frozen=True)
class TuneCorpus(Corpus):
    """One of tunes."""

    tempo: float  # beats a minute, the commonest

    @property
    def sample_rate(self) -> None:
        """There is none."""
        return None


@dataclass(frozen=True)
class TuneExamination(Examination):
    """What reading all files of a corpus of MIDI tells."""

    facts: Mapping[str, Facts]
    grid: Grid

    @cached_property
    def usable(self) -> dict[str, Facts]:
        return {name: file for name, file in self.facts.items() if not file.problem}

    def problems(self) -> str:
        return "; ".join(f"{name} {ALL_PROBLEMS[file.problem]}" for name, file in self.facts.items() if file.problem)

    def doubts(self) -> list[Finding]:
        usable, tempo = self.usable, self._tempo
        others = {name: file.tempo for name, file in usable.items() if file.tempo != tempo}
        smaller = "a smaller dt would show them" if self.grid.step else "more steps_per_beat would show them"
        findings = [
            _losing("Notes out of range", {name: (file.outside, file) for name, file in usable.items()}, "Left out."),
            _losing(
                "Notes that end before the next step",
                {name: (file.vanishing, file) for name, file in usable.items()},
                f"Left out; {smaller}.",
            ),
            Finding(
                f"Of another tempo than the commonest, {tempo or 0:.4g} beats a minute",
                [f"{name} ({own:.4g})" for name, own in others.items()],
                "Used all the same.",
            ),
            duplicates({name: file.digest for name, file in usable.items()}, "notes"),
        ]
        return [finding for finding in findings if finding.names]

    @property
    def _tempo(self) -> float | None:
        return commonest(file.tempo for file in self.usable.values())

    def corpus(self) -> TuneCorpus:
        kinds = {kind: [name for name, file in self.facts.items() if file.problem == kind] for kind in ALL_PROBLEMS}
        left_out = [Finding(f"Unusable, {kind}", names, "Left out.") for kind, names in kinds.items() if names]
        recordings = [_tune_file(*self.places[called], file) for called, file in self.usable.items()]
        return TuneCorpus(recordings, left_out + self.doubts(), len(self.facts), self._tempo)


def _losing(kind: str, lost: Mapping[str, tuple[int, Facts]], done: str) -> Finding:
    """The files of which so many notes are lost."""
    names = [f"{name} ({number} of {counted(of.num_notes, 'note')})" for name, (number, of) in lost.items() if number]
    return Finding(kind, names, done)


def _tune_file(folder: Folder, name: str, file: Facts) -> TuneFile:
    rows = np.flatnonzero((file.roll != SILENT).any(axis=0))
    return TuneFile(
        folder.path / name,
        str(PurePosixPath(folder.name, name)),
        sample_rate=0,
        frames=len(file.roll),
        channels=0,
        folder=folder,
        unit="step",
        microseconds=file.microseconds,
        sounding=file.sounding,
        lowest=int(rows[0]),
        highest=int(rows[-1]),
    )


def examine_tunes(data_dir: Sequence[str], grid: Grid) -> TuneExamination:
    """Read all MIDI files below one or more folders, and refuse none.

    Raises:
        InputError: there is no such folder or no MIDI file in it, or two find the same file.
    """
    places = called_in_messages(files_in(data_dir, MIDI))
    pool = ThreadPoolExecutor(1, thread_name_prefix="examine")  # Python reads MIDI one file after the other
    try:
        futures = {called: pool.submit(examine, folder.path / name, grid) for called, (folder, name) in places.items()}
        for done in with_progress([*futures.values()]):
            done.result()
    finally:
        pool.shutdown(cancel_futures=True)
    return TuneExamination(data_dir, places, {called: future.result() for called, future in futures.items()}, grid)


def examine(path: Path, grid: Grid) -> Facts:
    """What reading a file tells, and its roll, which is kept as long as the file is not changed."""
    try:
        status = path.stat()
        return _examine(path, grid, status.st_size, status.st_mtime_ns)
    except OSError:
        return Facts("missing")


@functools.cache
def _examine(path: Path, grid: Grid, size: int, changed: int) -> Facts:
    try:
        tune = read_tune(path)
    except Unusable as error:
        return Facts(error.problem)
    if grid.steps(tune) > MAX_STEPS:
        return Facts(OF_TOO_MANY_STEPS)
    roll = grid.roll(tune)
    sounding = int((roll != SILENT).sum())
    if not sounding:
        return Facts(OUT_OF_RANGE)
    return Facts(
        roll=roll,
        sounding=sounding,
        tempo=round(tune.tempo, 3),
        microseconds=grid.microseconds_per_step(tune),
        num_notes=len(tune.notes),
        outside=grid.outside(tune),
        vanishing=grid.vanishing(tune),
        digest=tune.digest,
    )


def open_tune(path: str, grid: Grid, flag: str) -> TuneFile:
    """Make sure that the file that a flag names is MIDI with notes, and say how many its roll does not have.

    Raises:
        InputError: it isn't; the message names the flag.
    """
    facts = examine(Path(path), grid)
    if facts.problem:
        raise InputError(f"--{flag}: {path} {ALL_PROBLEMS[facts.problem]}; name a .mid with notes in note_range")
    if lost := facts.outside + facts.vanishing:
        of_all = f"{lost} of {counted(facts.num_notes, 'note')}"
        log.warning("--%s %s: %s are left out, outside of note_range or between two steps.", flag, path, of_all)
    return _tune_file(Folder(Path(path).parent), Path(path).name, facts)


def read_roll(recording: TuneFile, grid: Grid, start: int, length: int) -> np.ndarray:
    """Steps of a tune, int8 [length, notes], transposed by its shift; behind its end it begins again.

    Raises:
        RunError: the file has changed since it was examined.
    """
    file = examine(recording.path, grid)
    if file.sounding != recording.sounding:
        raise RunError(f"{printable(str(recording.path))} was removed or changed while it was in use; put it back")
    steps = file.roll.take(range(start, start + length), axis=0, mode="wrap")
    return np.roll(steps, recording.shift, axis=1)  # by no more than there is room for
