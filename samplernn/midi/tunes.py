"""MIDI files as tunes: which notes there are, and when."""

from __future__ import annotations

import hashlib
import io
from bisect import bisect_right
from collections import Counter, defaultdict, deque
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import mido
import numpy as np
from mido.midifiles import meta

from samplernn.midi.clock import MICROSECONDS, TEMPO
from samplernn.system import files
from samplernn.system.errors import InputError

DRUMS = 9  # the tenth channel, as mido counts them
TYPES = 0, 1, 2
FRAMES_PER_SECOND = 24, 25, 29, 30  # of SMPTE
DROP_FRAME = 29  # whose frames are 30 in 1.001 seconds
MAX_BYTES = 2**23  # hours of an orchestra; of each, mido makes up to 200
MAX_SECONDS = 24 * 3600
MAX_BEATS = MAX_SECONDS // 60 * 1000  # at 1000 a minute
MAX_RUN = 2**12  # bytes of which each says that a number goes on: mido takes time by their square
SUFFIXES = (".mid", ".midi")
OF_MIDO = (EOFError, OSError, ValueError, IndexError)  # what it raises at damaged bytes
KNOWN_TO_MIDO = {*range(8), 9, 0x20, 0x21, 0x2F, 0x51, 0x54, 0x58, 0x59, 0x7F}  # kinds of meta events
OF_NO_USE = (  # some of those, which mido refuses where their content cannot be
    meta.MetaSpec_sequence_number, meta.MetaSpec_channel_prefix, meta.MetaSpec_midi_port,
    meta.MetaSpec_smpte_offset, meta.MetaSpec_time_signature, meta.MetaSpec_key_signature,
)  # fmt: skip
PROBLEMS = files.PROBLEMS | {  # what makes a file unusable, and how it is said after the file's name
    "empty": "is empty: it has no bytes",
    "too large": f"is larger than {MAX_BYTES // 2**20} MiB, which no tune is",
    "unreadable": "is not MIDI that can be read, or is damaged",
    "of an impossible division": "has an impossible division: no ticks a beat, or frames that SMPTE does not have",
    "too long": f"is longer than {MAX_SECONDS // 3600} hours or {MAX_BEATS} beats, or claims to be",
    "without notes": "has no notes, or none but drums",
}


class Unusable(InputError):
    """A MIDI file that cannot be used; `problem`, one of PROBLEMS, says why."""

    def __init__(self, name: str, problem: str):
        super().__init__(f"{name} {PROBLEMS[problem]}")
        self.problem = problem


class Note(NamedTuple):
    """A note: its number in MIDI, of which 60 is the middle C, and from which tick on and up to which it sounds."""

    pitch: int
    start: int
    end: int


@dataclass(frozen=True)
class Tune:
    """What a MIDI file plays, all its tracks and channels together, but for drums.

    Attributes:
        notes: by their start, then their pitch, each of a tick at least.
        ticks_per_beat: how fine its time is.
        tempos: (tick, microseconds a beat from there on), the first at tick 0.
        length: in ticks.
    """

    notes: tuple[Note, ...]
    ticks_per_beat: int
    tempos: tuple[tuple[int, int], ...]
    length: int

    def microseconds(self, tick: int) -> Fraction:
        """When a tick is."""
        change = bisect_right(self.tempos, tick, key=lambda item: item[0]) - 1
        since, tempo = self.tempos[change]
        return Fraction(self._changes[change] + (tick - since) * tempo, self.ticks_per_beat)

    def scaled_microseconds(self, ticks: np.ndarray) -> np.ndarray:
        """When ticks are, in microseconds times ticks_per_beat, which are whole numbers: int64."""
        since, tempos = np.array(self.tempos, np.int64).T
        change = np.searchsorted(since, ticks, side="right") - 1
        return np.array(self._changes, np.int64)[change] + (ticks - since[change]) * tempos[change]

    @cached_property
    def _changes(self) -> list[int]:
        """When each tempo begins, in microseconds times ticks_per_beat."""
        changes = [0]
        for (tick, tempo), (behind, _) in pairwise(self.tempos):
            changes.append(changes[-1] + (behind - tick) * tempo)
        return changes

    @property
    def seconds(self) -> float:
        """How long it is."""
        return float(self.microseconds(self.length) / MICROSECONDS)

    @property
    def tempo(self) -> float:
        """The beats a minute that hold for the most ticks."""
        ticks = Counter()
        for (tick, tempo), (behind, _) in pairwise([*self.tempos, (self.length, TEMPO)]):
            ticks[tempo] += behind - tick
        return 60e6 / max(ticks, key=ticks.__getitem__)

    @property
    def arrays(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The pitches, starts and ends of its notes: each int64 [notes]."""
        return tuple(np.array(self.notes, np.int64).reshape(-1, 3).T)

    @property
    def digest(self) -> str:
        """The hash of its notes, to the microsecond: the same for the same music, however fine, in whichever tracks."""
        pitches, *ticks = self.arrays
        start, end = (self.scaled_microseconds(array) // self.ticks_per_beat for array in ticks)
        return hashlib.sha256(np.stack([start, pitches, end]).astype("<i8").tobytes()).hexdigest()


def read_tune(path: Path, name: str | None = None) -> Tune:
    """Read a MIDI file.

    Velocities, pedals and instruments are passed over, and so are the drums of channel 10. A note ends where the first
    note-off of its pitch, channel and track is that no earlier note has taken, or with its track. The tempos of all
    tracks hold for all of them. The tracks of type 2, which are pieces of their own, come one after another, each with
    its own tempos. In SMPTE time a beat is a second, or 1.001 at 29.97 frames a second, whatever the tempos.

    Args:
        path: of the file.
        name: what to call it; its path by default.

    Raises:
        Unusable: for one of the reasons in PROBLEMS.
    """
    name = name or str(path)
    try:
        str(path).encode()
        if not path.is_file():
            raise Unusable(name, "not a file" if path.exists() else "missing")
        if path.stat().st_size > MAX_BYTES:
            raise Unusable(name, "too large")
        with path.open("rb") as file:
            content = file.read()
    except OSError:
        raise Unusable(name, "locked") from None
    except UnicodeEncodeError:
        raise Unusable(name, "badly named") from None
    if not content:
        raise Unusable(name, "empty")
    return _tune(_parsed(content, name), name)


def _parsed(content: bytes, name: str) -> mido.MidiFile:
    ends = np.flatnonzero(np.frombuffer(content, np.uint8) < 0x80)
    if np.diff(ends, prepend=-1, append=len(content)).max() > MAX_RUN:
        raise Unusable(name, "unreadable")
    try:
        file = mido.MidiFile(file=io.BytesIO(content), clip=True)
    except OF_MIDO:
        raise Unusable(name, "unreadable") from None
    if file.type not in TYPES:
        raise Unusable(name, "unreadable")
    return file


def _tune(file: mido.MidiFile, name: str) -> Tune:
    ticks_per_beat, tempo = _division(file.ticks_per_beat, name)
    notes, changes, length = [], [], 0
    for track in file.tracks:
        start = length if file.type == 2 else 0
        if file.type == 2:
            changes.append((start, tempo))
        length = max(length, _read_track(track, start, notes, changes))
    notes = [note for note in notes if note.start < note.end]
    if not notes:
        raise Unusable(name, "without notes")
    changes = [] if file.ticks_per_beat < 0 else sorted(changes, key=lambda change: change[0])
    tempos = {0: tempo} | dict(changes)  # of several at a tick, the last holds
    tune = Tune(tuple(sorted(notes, key=_by_start)), ticks_per_beat, tuple(tempos.items()), length)
    if length > MAX_BEATS * ticks_per_beat or tune.microseconds(length) > MAX_SECONDS * MICROSECONDS:
        raise Unusable(name, "too long")
    return tune


def _division(division: int, name: str) -> tuple[int, int]:
    """From the division in a file's header the ticks a beat, and the microseconds a beat where there are no tempos."""
    ticks, tempo = division, TEMPO
    if division < 0:
        frames, ticks = -(division >> 8), division & 0xFF
        if frames not in FRAMES_PER_SECOND:
            raise Unusable(name, "of an impossible division")
        ticks, tempo = (ticks * 30, 1001000) if frames == DROP_FRAME else (ticks * frames, 1000000)
    if not ticks:
        raise Unusable(name, "of an impossible division")
    return ticks, tempo


def _read_track(track: mido.MidiTrack, tick: int, notes: list[Note], tempos: list[tuple[int, int]]) -> int:
    """Append the notes and tempos of a track that begins at a tick, and return the tick at its end."""
    sounding = defaultdict(deque)  # when the notes of a channel and a pitch began that have not ended
    for message in track:
        tick += message.time
        kind = message.type
        if kind in ("note_on", "note_off") and message.channel != DRUMS:
            starts = sounding[message.channel, message.note]
            if kind == "note_on" and message.velocity:
                starts.append(tick)
            elif starts:
                notes.append(Note(message.note, starts.popleft(), tick))
        elif kind == "set_tempo" and message.tempo:  # at none, time would stand still
            tempos.append((tick, message.tempo))
        elif kind == "end_of_track":
            break
    notes += [Note(pitch, start, tick) for (_, pitch), starts in sounding.items() for start in starts]
    return tick


def _by_start(note: Note) -> tuple[int, int, int]:
    return note.start, note.pitch, note.end


class _UnreadEvent(meta.MetaSpec):
    """A kind of meta event that is passed over."""

    attributes, defaults = [], []

    def decode(self, message, data):
        pass

    def encode(self, message):
        return []


def _have_mido_read_every_meta_event() -> None:
    """Have mido keep the time of meta events that it doesn't know, and files whose events of no use here are damaged.

    It does so from when this module is imported on, for all of the process.
    It loses the former, with which all that follows would come too early, and refuses the latter.
    """
    for number in set(range(0x100)) - KNOWN_TO_MIDO:
        meta.add_meta_spec(type(f"Unread{number}", (_UnreadEvent,), {"type_byte": number}))
    for spec in OF_NO_USE:
        meta.add_meta_spec(type(spec.__name__, (spec,), {"decode": _lenient(spec.decode)}))


def _lenient(decode):
    def decode_what_can_be(self, message, data):
        with suppress(LookupError, ValueError, meta.KeySignatureError):
            decode(self, message, data)

    return decode_what_can_be


_have_mido_read_every_meta_event()
