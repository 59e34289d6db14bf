"""Which recordings are cut: found among files and in folders, examined, and refused where they can't be."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from samplernn.audio import chunk_notes
from samplernn.audio.chunks import chunk_samples
from samplernn.audio.levels import LOWEST_RATE, MOST_CHANNELS, Level, find_level
from samplernn.audio.recordings import SUFFIXES, Reader, examine
from samplernn.audio.resample import can_be_resampled, converted, converted_length
from samplernn.audio.wav import Recording
from samplernn.options.chunk_audio import ChunkOptions
from samplernn.system.errors import InputError
from samplernn.system.files import files_below
from samplernn.system.progress import ProgressBar
from samplernn.system.words import counted, listed, printable

MAX_CHUNK = 2**27  # samples, or milliseconds: 3.6 GB of memory at most
MAX_STEM_BYTES = 200  # of a recording's name, so that its chunks' names are not longer than names may be


@dataclass(frozen=True)
class Source:
    """A recording to be cut, and what its chunks will be."""

    recording: Recording
    read: Reader
    folder: Path  # of its chunks
    sample_rate: int  # Hz, of the chunks, as are
    channels: int
    length: int  # samples in each channel of a chunk
    level: Level = Level()

    @property
    def frames(self) -> int:
        """Samples in each channel of the whole, at the sample rate of the chunks."""
        return converted_length(self.recording, self.sample_rate)

    @property
    def duration_ms(self) -> int:
        """Of the whole."""
        return self.recording.frames * 1000 // self.recording.sample_rate

    @property
    def prefix(self) -> Path:
        """What the path of each of its chunks begins with."""
        return chunk_notes.prefix_of(self.folder, self.recording.path)

    def path(self, number: int) -> Path:
        """Of a chunk."""
        return self.prefix.with_name(f"{self.prefix.name}_{number}.wav")

    def blocks(self) -> Iterator[np.ndarray]:
        """Read it with the channels, the sample rate and the level of its chunks: float32 [frames, channels].

        Raises:
            RunError: it has changed since it was examined.
        """
        with closing(self.read(self.recording)) as blocks:
            yield from self.level.apply(converted(blocks, self.recording, self.sample_rate, self.channels))


def find_recordings(options: ChunkOptions) -> dict[Path, Path]:
    """Find the recordings among files and in folders.

    Returns:
        The path of each, and the folder of its chunks, which is where in the output folder the recording is in the
        folder that was given.

    Raises:
        InputError: a folder has none, or chunks would have the name of another recording's or of a recording.
    """
    output = Path(options.output_dir)
    found: list[tuple[Path, Path]] = []
    for given in options.input_file:
        path = Path(given)
        if os.path.isdir(path):  # also where the system does not tell
            found += [(file, output / file.relative_to(path).parent) for file in _recordings_in(path, output)]
        else:
            found.append((path, output))
    found = list(dict.fromkeys(found))  # a recording may be named twice, as itself and by its folder
    _require_own_names(found)
    return dict(found)


def _recordings_in(folder: Path, output: Path) -> list[Path]:
    """The audio files below a folder, by their names; what is in the output folder are chunks."""
    root, ours = folder.resolve(), output.resolve()
    if ours == root:
        raise InputError(f"--output_dir: {output} is the folder of the recordings; choose another, which may be in it")
    files = [file for file in files_below(folder) if file.suffix.lower() in SUFFIXES]
    if ours.is_relative_to(root):
        files = [file for file in files if not (root / file.relative_to(folder)).is_relative_to(ours)]
    if not files:
        raise InputError(f"--input_file: {folder} is a folder without audio files; name one with recordings")
    return files


def _require_own_names(found: list[tuple[Path, Path]]) -> None:
    first: dict[str, Path] = {}  # by the names of chunks, which some disks take for the same in either case
    for path, folder in found:
        other = first.setdefault(str(folder / f"{path.stem}_chunk").casefold(), path)
        if other is not path:
            raise InputError(
                f"--input_file: chunks of {other} and of {path} would have the same names; rename one, or leave it out"
            )
    sources = {(folder.resolve(), path.stem): path for path, folder in found}
    for path, _ in found:
        chunk = re.fullmatch(r"(.+)_chunk_[0-9]+\.wav", path.name)
        if chunk and (other := sources.get((path.parent.resolve(), chunk[1]))):
            raise InputError(f"--output_dir: a chunk of {other} would replace {path}; choose another folder")


def examine_all(found: dict[Path, Path], options: ChunkOptions) -> list[Source]:
    """Read each recording once; those that cannot be used are named, and left out if the options say so.

    Raises:
        InputError: some cannot, and are not to be left out, or none can.
    """
    sources, complaints, unusable = [], [], []
    line = f"{{}} of {counted(len(found), 'recording')} examined".format
    with closing(ProgressBar(len(found), line, patience=1, every=10)) as progress:
        for number, (path, folder) in enumerate(found.items(), 1):
            try:
                sources.append(_examine(path, folder, options))
            except InputError as error:
                complaints.append(str(error))
                unusable.append(chunk_notes.prefix_of(folder, path))
            progress(number)
    if complaints and not (options.skip_unusable and sources):
        remedy = (
            "; remove or replace these, or leave them out by --skip_unusable"
            if sources
            else "; name recordings that can be read"
        )
        raise InputError(f"--input_file: {'; '.join(complaints)}{remedy}")
    if complaints:
        old = chunk_notes.number_of_chunks(unusable)
        stay = f" What was cut of them before stays: {counted(old, 'chunk')}." if old else ""
        listed_complaints = printable(listed(complaints, "; "))
        print(
            f"Unusable ({len(complaints)} of {counted(len(found), 'recording')}): {listed_complaints}. Left out.{stay}"
        )
    return sources


def _examine(path: Path, folder: Path, options: ChunkOptions) -> Source:
    recording, read = examine(path)
    rate = options.sample_rate or recording.sample_rate
    channels = 1 if options.mono else recording.channels
    return Source(recording, read, folder, rate, channels, chunk_samples(options, rate))


def long_enough(sources: list[Source], options: ChunkOptions) -> list[Source]:
    """The recordings that there will be chunks of.

    Raises:
        InputError: there are none, or one of them can't be cut.
    """
    flag = f"--chunk_length {options.chunk_length}"
    for source in sources:
        if source.length == 0:
            raise InputError(f"{flag}: less than a sample of {source.recording.name}; choose a longer one")
    found = [source for source in sources if not is_short(source, options)]
    if not found:
        longest = max(sources, key=lambda source: source.duration_ms)
        name = longest.recording.name if len(sources) == 1 else f"the longest recording, {longest.recording.name},"
        raise InputError(f"{flag}: {name} has only {longest.duration_ms} ms; choose a shorter one")
    for source in found:
        _require_possible(source, options)
    return found


def leveled(sources: list[Source], options: ChunkOptions) -> list[Source]:
    """The same at the levels that the options ask for, each measured over the whole recording.

    Raises:
        RunError: one has changed since it was examined.
    """
    if not (options.remove_dc or options.normalize):
        return sources
    found, line = [], f"Levels of {{}} of {counted(len(sources), 'recording')} measured".format
    with closing(ProgressBar(len(sources), line, patience=1, every=10)) as progress:
        for source in sources:
            level = find_level(source.blocks, source.sample_rate, options.remove_dc, options.normalize)
            found.append(replace(source, level=level))
            progress(len(found))
    return found


def is_short(source: Source, options: ChunkOptions) -> bool:
    return source.frames < (1 if options.keep_tail else source.length)


def _require_possible(source: Source, options: ChunkOptions) -> None:
    recording = source.recording
    if max(options.chunk_length, source.length * source.channels) > MAX_CHUNK:
        most = min(MAX_CHUNK, MAX_CHUNK // source.channels * 1000 // source.sample_rate)
        raise InputError(f"--chunk_length {options.chunk_length}: too long to be held in memory; {most} is the most")
    if len(os.fsencode(recording.path.stem)) > MAX_STEM_BYTES:
        raise InputError(f"--input_file: the name of {recording.name} is too long to be that of chunks; shorten it")
    if not can_be_resampled(recording.sample_rate, source.sample_rate):
        raise InputError(
            f"--sample_rate {source.sample_rate}: too far from the {recording.sample_rate} Hz of {recording.name};"
            " choose one that is nearer"
        )
    if options.normalize == "loudness" and source.channels > MOST_CHANNELS:
        raise InputError(
            f"--normalize loudness: {recording.name} has {source.channels} channels, {MOST_CHANNELS} are the most;"
            " choose peak, or --mono"
        )
    if options.normalize == "loudness" and source.sample_rate < LOWEST_RATE:
        raise InputError(
            f"--normalize loudness: what is heard at {source.sample_rate} Hz, as {recording.name} has, is too little to"
            f" tell how loud it is; {LOWEST_RATE} Hz is the least; choose peak"
        )
