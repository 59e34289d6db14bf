"""What has been cut into a folder of chunks, and how: `chunks.json` beside them. It keeps two cuts from being mixed."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import MISSING, asdict, dataclass, fields
from pathlib import Path, PurePath
from typing import Any, TypeVar

from samplernn.options.values import SAMPLE_RATE, whole
from samplernn.system.errors import InputError
from samplernn.system.files import cannot_be_written, read_json, write_json
from samplernn.system.words import commonest_first, counted, listed

NOTES = "chunks.json"
VERSION = 1
SETTINGS = (
    "chunk_length", "overlap", "sample_rate", "channels", "remove_dc", "normalize", "silence_thresh", "keep_tail",
)  # fmt: skip

AnyPath = TypeVar("AnyPath", bound=PurePath)


@dataclass(frozen=True)
class Note:
    """How a recording is cut, and what has become of it; what has a default is new, or not known until it is cut."""

    recording: str  # the file's name
    sha256: str  # of the file
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
    remove_dc: bool = False
    normalize: str | None = None
    dc_offset: tuple[float, ...] | None = None  # that was taken away, of each channel
    gain: float = 0.0  # dB
    chunks: dict[str, tuple[float, float]] | None = None  # where in the recording each that was saved is, seconds

    @classmethod
    def from_json(cls, values: Any) -> Note | None:
        """The note that `asdict` made JSON of; None for any other JSON."""
        needed = {field.name for field in fields(cls) if field.default is MISSING}
        if not isinstance(values, dict) or not needed <= values.keys() <= {field.name for field in fields(cls)}:
            return None
        texts = isinstance(values["recording"], str) and isinstance(values["sha256"], str)
        length, overlap = values["chunk_length"], values["overlap"]
        lengths = whole(1).holds(length) and whole(0).holds(overlap) and overlap < length
        return cls(**values) if texts and lengths and SAMPLE_RATE.holds(values["sample_rate"]) else None

    def differences(self, other: Note) -> list[str]:
        """In what two cuts differ: `overlap 0, now 1000` where the other one is of now."""
        before, now = asdict(self), asdict(other)
        changed = [f"{name} {before[name]}, now {now[name]}" for name in SETTINGS if before[name] != now[name]]
        return (["another recording"] if self.sha256 != other.sha256 else []) + changed


Notes = dict[Path, Note]  # by the `prefix_of` each recording


def prefix_of(folder: Path, recording: Path) -> Path:
    """What the paths of a recording's chunks begin with, before `_<number>.wav`."""
    return folder / f"{recording.stem}_chunk"


def chunk_of(path: AnyPath) -> tuple[AnyPath, int] | None:
    """The `prefix_of` its recording and the number that the path of a chunk has; None for any other path."""
    named = re.fullmatch(r"(?s)(.*_chunk)_([0-9]+)\.[Ww][Aa][Vv]", path.name)
    return (path.with_name(named[1]), int(named[2])) if named else None


def other_cuts(notes: Notes, output_dir: Path) -> dict[Path, str]:
    """The chunks that recordings have already below a folder, where they were cut otherwise.

    Args:
        notes: how the recordings are about to be cut.
        output_dir: the folder, all of which a training would hear.

    Returns:
        In what they differ, by what the paths of the chunks begin with.

    Raises:
        InputError: notes in it are damaged.
    """
    earlier: Notes = {}
    for folder in dict.fromkeys([*_folders(notes), *(path.parent for path in output_dir.rglob(NOTES))]):
        earlier |= read(folder)
    by_recording = {(note.recording, note.sha256): note for note in notes.values()}
    differing = {}
    for prefix in _chunks_there({*notes, *earlier}):
        before = earlier.get(prefix)
        now = notes.get(prefix) or by_recording.get((before.recording, before.sha256))
        if now:  # else it is another recording's, which stays
            how = before.differences(now) if before else ["how is not noted"]
            differing |= {prefix: "; ".join(how)} if how else {}
    return differing


def refuse_mixture(cuts: dict[Path, str]) -> None:
    """Refuse to add chunks to those of other cuts.

    Raises:
        InputError: there are such; the message says how they were cut and what to do.
    """
    there = _chunks_there(cuts)
    if there:
        found = [f"{counted(len(there[path]), 'chunk')} {path}_… ({how})" for path, how in cuts.items()]
        raise InputError(
            f"--output_dir: there are {listed(found)}; train.py would train on both cuts. Take the old chunks of these"
            " recordings away by --replace, or choose another folder"
        )


def remove_chunks(prefixes: Iterable[Path]) -> int:
    """Delete the chunks whose paths begin in certain ways, and what is noted of them; returns how many there were.

    Raises:
        RunError: the disk refuses.
    """
    there = _chunks_there(prefixes)
    chunks = [chunk for chunks in there.values() for chunk in chunks]
    try:
        for chunk in chunks:
            chunk.unlink(missing_ok=True)
        for folder in _folders(there):
            _write(folder, {path: note for path, note in read(folder).items() if path not in there})
    except OSError as error:
        raise cannot_be_written(error, "is it in use, or read-only?") from None
    return len(chunks)


def number_of_chunks(prefixes: Iterable[Path]) -> int:
    """How many chunks there are whose paths begin in certain ways."""
    return sum(map(len, _chunks_there(prefixes).values()))


def write(notes: Notes) -> None:
    """Note how recordings are cut, each in the folder of its chunks, beside what is noted of others there.

    Raises:
        RunError: the disk refuses.
    """
    for folder in _folders(notes):
        own = {prefix: note for prefix, note in notes.items() if prefix.parent == folder}
        try:
            _write(folder, read(folder) | own)
        except OSError as error:
            raise cannot_be_written(error) from None


def _write(folder: Path, notes: Notes) -> None:
    content = {"version": VERSION, "chunks": {path.name: asdict(note) for path, note in sorted(notes.items())}}
    write_json(folder / NOTES, content)


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
        notes = _notes_in(content)
        if notes is None:
            raise InputError("not what chunk_audio.py notes")
    except InputError as error:
        raise InputError(f"{path}: {error}; move it away, or choose another --output_dir") from None
    return {folder / name: note for name, note in notes.items()}


def _notes_in(content: Any) -> dict[str, Note] | None:
    """The notes by what the names of chunks begin with; None where the JSON is not of that form."""
    chunks = content.get("chunks") if isinstance(content, dict) and content.get("version") == VERSION else None
    if not isinstance(chunks, dict) or not all(Path(name).name == name != ".." for name in chunks) or "" in chunks:
        return None
    notes = {name: Note.from_json(values) for name, values in chunks.items()}
    return None if None in notes.values() else notes


def sample_rates(output_dir: Path) -> list[tuple[int, int]]:
    """The sample rates of the chunks below a folder, in Hz, and how many chunks have each, the commonest first."""
    rates: Counter[int] = Counter()
    for path in output_dir.rglob(NOTES):
        notes = read(path.parent)
        for prefix, chunks in _chunks_there(notes).items():
            rates[notes[prefix].sample_rate] += len(chunks)
    return sorted(rates.items(), key=commonest_first)


def _chunks_there(prefixes: Iterable[Path]) -> dict[Path, list[Path]]:
    """The chunks that are there, by what their paths begin with."""
    wanted, there = set(prefixes), defaultdict(list)
    for folder in _folders(wanted):
        for path in folder.glob("*_chunk_*.wav"):
            prefix, _ = chunk_of(path) or (None, 0)
            if prefix in wanted and path.is_file():
                there[prefix].append(path)
    return there


def _folders(prefixes: Iterable[Path]) -> list[Path]:
    return list(dict.fromkeys(path.parent for path in prefixes))
