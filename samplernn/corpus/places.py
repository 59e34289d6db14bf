"""Where in their recordings chunks are: by the notes of chunk_audio.py, else by listening for overlaps."""

from __future__ import annotations

import itertools
import math
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from samplernn.audio import chunk_notes
from samplernn.audio.chunk_notes import Notes, chunk_of
from samplernn.audio.chunks import chunk_start, hop_between_chunks
from samplernn.audio.wav import Recording, read_mono
from samplernn.system.errors import InputError

# As much is listened to of a recording about which nothing is noted, lest a training begin late.
PAIRS = 3  # of chunks
SAMPLES = 2**22  # of the end of the one and of the beginning of the other
PLACES = 64  # at which the other may begin in the one
PROBE = 1024  # samples that two chunks have in common, at least; fewer may be alike by chance


@dataclass(frozen=True, order=True)
class Place:
    """The samples of a recording that a chunk is, from `start` to before `end`.

    Attributes:
        recording: by which the recording is known: its hash where that is noted, or what its chunks' paths begin with.
    """

    recording: str
    start: int
    end: int


Places = Mapping[str, Place]  # by the names of files, those that are chunks


def find_places(
    files: Iterable[Recording], listen_to: Collection[str] | None = None, most: int | None = None
) -> tuple[Places, int]:
    """Find where the chunks among some files are.

    Where nothing is noted some chunks are listened to: whether one begins with what the one before ends with. Where
    none does, all are taken to lie side by side.

    Args:
        files: of audio.
        listen_to: which recordings are listened to, by `recording_of` their files' paths; None for all.
        most: how many of them at most.

    Returns:
        The places, which chunks of recordings have that are noted or listened to, and of how many recordings nothing
        is noted, which are to be listened to.

    Raises:
        RunError: a file has changed since it was examined.
    """
    recordings: dict[Path, dict[int, Recording]] = defaultdict(dict)  # the chunks of each by their numbers
    for file in files:
        if chunk := chunk_of(file.path):
            prefix, number = chunk
            recordings[prefix][number] = file
    notes = _notes_beside(recordings)
    to_hear = [
        prefix for prefix in recordings if prefix not in notes and (listen_to is None or str(prefix) in listen_to)
    ]
    places: dict[str, Place] = {}
    for prefix in [*notes.keys() & recordings.keys(), *to_hear[:most]]:
        chunks = recordings[prefix]
        if note := notes.get(prefix):
            rate = next(iter(chunks.values())).sample_rate
            known_by, hop = note.sha256, hop_between_chunks(note.chunk_length, note.overlap, rate)
        else:
            known_by, hop = str(prefix), _hop_heard(chunks) or max(chunk.frames for chunk in chunks.values())
        for number, chunk in chunks.items():
            start = chunk_start(number, hop)
            places[chunk.name] = Place(known_by, start, start + chunk.frames)
    return places, len(to_hear)


def overlapping(files: Iterable[Recording], others: Iterable[Recording], places: Places) -> list[Recording]:
    """Those of some files that have samples in common with any of others, as far as these have places."""
    there: dict[str, list[Place]] = defaultdict(list)
    for place in sorted(places[other.name] for other in others if other.name in places):
        there[place.recording].append(place)
    starts = {recording: [place.start for place in of_it] for recording, of_it in there.items()}
    ends = {  # the last of those that start so far
        recording: list(itertools.accumulate((place.end for place in of_it), max)) for recording, of_it in there.items()
    }

    def overlaps(place: Place) -> bool:
        started = bisect_left(starts.get(place.recording, ()), place.end)
        return started > 0 and ends[place.recording][started - 1] > place.start

    return [file for file in files if file.name in places and overlaps(places[file.name])]


def _notes_beside(prefixes: Iterable[Path]) -> Notes:
    """What is noted in the folders of chunks; of damaged notes nothing, as they are chunk_audio.py's business."""
    notes: Notes = {}
    for folder in {prefix.parent for prefix in prefixes}:
        with suppress(InputError):
            notes |= chunk_notes.read(folder)
    return notes


def _hop_heard(chunks: dict[int, Recording]) -> Fraction | None:
    """How many samples after the one before a chunk starts, from a few pairs; None where none tells.

    They are pairs of neighbours, or of what is nearest to being that, where chunks are missing.
    """
    gaps = [(after - before, before, after) for before, after in itertools.pairwise(sorted(chunks))]
    least = min((gap for gap, _, _ in gaps), default=0)
    pairs = [(chunks[before], chunks[after]) for gap, before, after in gaps if gap == least]
    some = pairs[:: math.ceil(len(pairs) / PAIRS) or 1]  # all over the recording, which may begin with silence
    hop = next(filter(None, (_hop_from(one, other) for one, other in some)), None)
    return hop and Fraction(hop, least)


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
