"""Held-out files that share audio with files that are trained on, as overlapping chunks of one recording do."""

from __future__ import annotations

import itertools
import logging
import math
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from samplernn.audio import chunk_notes
from samplernn.audio.chunk_notes import Notes, chunk_of
from samplernn.audio.chunks import chunk_start, hop_between_chunks
from samplernn.audio.wav import Recording, read_mono
from samplernn.corpus.split import Split, recording_of
from samplernn.system.errors import InputError
from samplernn.system.words import counted

# As much is listened to where it is not noted how recordings were cut, lest a training begin late.
RECORDINGS = 64
PAIRS = 3  # of chunks, in each of them
SAMPLES = 2**22  # of the end of the one and of the beginning of the other
PLACES = 64  # at which the other may begin in the one
PROBE = 1024  # samples that two chunks have in common, at least; fewer may be alike by chance

log = logging.getLogger(__name__)

Chunks = dict[int, Recording]  # of one recording, by their numbers


@dataclass(frozen=True)
class Overlaps:
    """The held-out files that are found to overlap with files that are trained on."""

    held_out: list[Recording]
    complete: bool  # whether all recordings were looked at that are on both sides


def find_overlaps(split: Split) -> Overlaps:
    """Find the held-out chunks that overlap with chunks that are trained on, as chunk_audio.py has noted.

    Of recordings without a note some are listened to: whether a chunk begins with what the one before ends with.

    Raises:
        RunError: a file has changed since it was examined.
    """
    held_out, trained_on = _by_recording(split.validation), _by_recording(split.training)
    on_both_sides = [prefix for prefix in held_out if prefix in trained_on]
    notes = _notes_beside(on_both_sides)
    without_note = [prefix for prefix in on_both_sides if prefix not in notes]
    hops = {prefix: _hop_heard(held_out[prefix] | trained_on[prefix]) for prefix in without_note[:RECORDINGS]}
    for prefix in on_both_sides:
        if note := notes.get(prefix):
            rate = next(iter(held_out[prefix].values())).sample_rate
            hops[prefix] = hop_between_chunks(note.chunk_length, note.overlap, rate)
    overlapping = [
        chunk
        for prefix, hop in hops.items()
        if hop
        for chunk in _overlapping(held_out[prefix], trained_on[prefix], hop)
    ]
    return Overlaps(overlapping, len(without_note) <= RECORDINGS)


def remark_on_overlaps(split: Split, begun: bool) -> None:
    """Log a line where held-out files overlap with files that are trained on.

    Args:
        split: of the files.
        begun: whether the run or the search has begun with it, so that this one can't be split in another way.

    Raises:
        RunError: a file has changed since it was examined.
    """
    overlaps = find_overlaps(split)
    if number := len(overlaps.held_out):
        log.warning(
            "Of %s %s%d overlap%s with files that are trained on: the validation loss flatters; %s%s.",
            counted(len(split.validation), "held-out file"),
            "" if overlaps.complete else "at least ",
            number,
            "s" if number == 1 else "",
            "with another --id, " if begun else "",
            _remedy(split),
        )


def _remedy(split: Split) -> str:
    if len({recording_of(file.name) for file in split.training + split.validation}) == 1:  # it can't be on one side
        return "chunks that are cut with --overlap 0 share nothing"
    return "--hold_out recordings holds whole recordings out"


def _by_recording(files: Iterable[Recording]) -> dict[Path, Chunks]:
    """The chunks among files, by what the paths of a recording's chunks begin with."""
    recordings: dict[Path, Chunks] = defaultdict(dict)
    for file in files:
        if chunk := chunk_of(file.path):
            prefix, number = chunk
            recordings[prefix][number] = file
    return dict(recordings)


def _notes_beside(prefixes: Iterable[Path]) -> Notes:
    """What is noted in the folders of chunks; of damaged notes nothing, as they are chunk_audio.py's business."""
    notes: Notes = {}
    for folder in {prefix.parent for prefix in prefixes}:
        with suppress(InputError):
            notes |= chunk_notes.read(folder)
    return notes


def _overlapping(held_out: Chunks, trained_on: Chunks, hop: Fraction | int) -> Iterator[Recording]:
    """The held-out chunks of a recording that overlap with others; each starts `hop` samples after the one before."""
    stretches = sorted(_stretch(number, chunk, hop) for number, chunk in trained_on.items())
    starts = [start for start, _ in stretches]
    ends = list(itertools.accumulate((end for _, end in stretches), max))  # the last of those that start so far
    for number, chunk in held_out.items():
        start, end = _stretch(number, chunk, hop)
        started = bisect_left(starts, end)
        if started and ends[started - 1] > start:
            yield chunk


def _stretch(number: int, chunk: Recording, hop: Fraction | int) -> tuple[int, int]:
    """The first sample of a chunk in its recording, and the one behind its last."""
    start = chunk_start(number, hop)
    return start, start + chunk.frames


# --- Where nothing is noted ---


def _hop_heard(chunks: Chunks) -> int | None:
    """How many samples after the one before a chunk starts, from a few pairs of neighbours; None where none tells."""
    pairs = [(chunk, chunks[number + 1]) for number, chunk in sorted(chunks.items()) if number + 1 in chunks]
    some = pairs[:: math.ceil(len(pairs) / PAIRS) or 1]  # all over the recording, which may begin with silence
    return next(filter(None, (_hop_from(one, other) for one, other in some)), None)


def _hop_from(one: Recording, other: Recording) -> int | None:
    """How many samples after the one the other starts, if it begins with all that the one goes on with from there.

    It is 0 for a copy.
    """
    skipped = max(0, one.frames - SAMPLES)
    end = read_mono(one.path, skipped, one.frames - skipped)
    beginning = read_mono(other.path, 0, min(other.frames, SAMPLES))
    changes = np.flatnonzero(np.diff(beginning))
    first = int(changes[0]) if len(changes) else len(beginning)  # silence is like any other
    probe = beginning[first : first + PROBE]
    if len(probe) < PROBE:
        return None
    for place in itertools.islice(_places(probe, end), PLACES):
        start = place - first
        if start >= 0 and np.array_equal(end[start:], beginning[: len(end) - start]):
            return start + skipped
    return None


def _places(probe: np.ndarray, audio: np.ndarray) -> Iterator[int]:
    """Where some samples occur among others, of the same type."""
    wanted, content, size = probe.tobytes(), audio.tobytes(), audio.itemsize
    place = content.find(wanted)
    while place >= 0:
        if place % size == 0:
            yield place // size
        place = content.find(wanted, place + 1)
