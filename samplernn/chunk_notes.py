"""What has been cut into a folder of chunks, and how: `chunks.json` beside them. It keeps two cuts from being mixed."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from samplernn.config import is_sample_rate
from samplernn.errors import InputError
from samplernn.files import cannot_be_written, read_json, write_whole
from samplernn.words import counted, listed

NOTES = "chunks.json"
VERSION = 1


@dataclass(frozen=True)
class Note:
    """How a recording is cut, and how many of its chunks were saved and omitted; None until all are."""

    recording: str  # the file's name
    recording_frames: int
    recording_rate: int  # Hz
    chunk_length: int  # milliseconds, as is
    overlap: int
    sample_rate: int  # Hz, of the chunks, as are
    channels: int
    silence_thresh: float | None  # dB of full scale
    keep_tail: bool
    saved: int | None = None
    omitted: int | None = None

    @classmethod
    def from_json(cls, values: Any) -> Note | None:
        """The note that `asdict` made JSON of; None for any other JSON."""
        names = {field.name for field in fields(cls)}
        known = isinstance(values, dict) and values.keys() == names and is_sample_rate(values["sample_rate"])
        return cls(**values) if known else None

    def differences(self, other: Note) -> list[str]:
        """In what two notes differ, but for what was saved: `overlap 0, now 1000` where the other one is of now."""
        before, now = (asdict(replace(note, saved=None, omitted=None)) for note in (self, other))
        return [f"{name} {before[name]}, now {now[name]}" for name in before if before[name] != now[name]]


Notes = dict[Path, Note]  # by the path that the numbers of a recording's chunks are added to: folder/stem


def refuse_mixture(notes: Notes) -> None:
    """Refuse to add chunks to those that the same recordings have already, unless they were cut in the same way.

    Raises:
        InputError: there are such chunks; the message says how they were cut and what to do.
    """
    earlier = {folder: read(folder) for folder in _folders(notes)}
    there = _chunks_there(notes)
    mixed = []
    for place, note in notes.items():
        before = earlier[place.parent].get(place)
        how = before.differences(note) if before else ["how is not noted"]
        if place in there and how:
            mixed.append(f"{counted(len(there[place]), 'chunk')} of {note.recording} ({'; '.join(how)})")
    if mixed:
        holders = " and ".join(map(str, sorted({place.parent for place in there})))
        raise InputError(
            f"--output_dir: {holders} holds {listed(mixed)}; train.py would train on both cuts. Take the old chunks of"
            " these recordings away by --replace, or choose another folder"
        )


def remove_chunks(notes: Notes) -> int:
    """Delete the chunks that recordings have already; returns how many there were.

    Raises:
        RunError: the disk refuses.
    """
    chunks = [chunk for chunks in _chunks_there(notes).values() for chunk in chunks]
    try:
        for chunk in chunks:
            chunk.unlink(missing_ok=True)
    except OSError as error:
        raise cannot_be_written(error, "is it in use, or read-only?") from None
    return len(chunks)


def write(notes: Notes) -> None:
    """Note how recordings are cut, each in the folder of its chunks, beside what is noted of others there.

    Raises:
        RunError: the disk refuses.
    """
    for folder in _folders(notes):
        kept = read(folder) | {place: note for place, note in notes.items() if place.parent == folder}
        content = {"version": VERSION, "chunks": {place.name: asdict(note) for place, note in sorted(kept.items())}}
        try:
            write_whole(folder / NOTES, json.dumps(content, indent=2) + "\n")
        except OSError as error:
            raise cannot_be_written(error) from None


def read(folder: Path) -> Notes:
    """What is noted in a folder.

    Raises:
        InputError: the file is damaged, or isn't ours.
    """
    path = folder / NOTES
    if not path.exists():
        return {}
    try:
        content = read_json(path)
        chunks = content.get("chunks") if isinstance(content, dict) and content.get("version") == VERSION else None
        notes = {name: Note.from_json(values) for name, values in chunks.items()} if isinstance(chunks, dict) else {}
        if not isinstance(chunks, dict) or None in notes.values() or any(Path(name).name != name for name in notes):
            raise InputError("not what chunk_audio.py notes")
    except InputError as error:
        raise InputError(f"{path}: {error}; move it away, or choose another --output_dir") from None
    return {folder / name: note for name, note in notes.items()}


def sample_rates(folders: Iterable[Path]) -> list[tuple[int, int]]:
    """The sample rates of the chunks in some folders, in Hz, and how many recordings have each, the commonest first."""
    rates: Counter[int] = Counter()
    for folder in folders:
        with suppress(InputError):  # it was cut elsewhere, and the notes do not tell
            notes = read(folder)
            rates.update(notes[place].sample_rate for place in _chunks_there(notes))
    return sorted(rates.items(), key=lambda item: (-item[1], item[0]))


def _chunks_there(notes: Iterable[Path]) -> dict[Path, list[Path]]:
    """The chunks that are there, of each of some recordings that has any."""
    wanted, there = set(notes), defaultdict(list)
    for folder in _folders(wanted):
        for path in folder.glob("*_chunk_*.wav"):
            place = folder / re.sub(r"(?s)_chunk_[0-9]+\.wav\Z", "", path.name)
            if place in wanted and path.is_file():
                there[place].append(path)
    return there


def _folders(notes: Iterable[Path]) -> list[Path]:
    return list(dict.fromkeys(place.parent for place in notes))
