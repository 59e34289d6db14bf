"""Chunks: recordings, in files and folders, are cut into WAV files of one length to train on."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import soxr

from samplernn.audio import chunk_notes, ffmpeg
from samplernn.audio.chunk_notes import Note
from samplernn.audio.wav import (
    READ_FRAMES,
    SUFFIXES,
    Recording,
    Unusable,
    examine,
    make_writable_folder,
    mean_square,
    mix_down,
    read_blocks,
    wav_writer,
)
from samplernn.options.options import SILENCE_DB, ChunkOptions
from samplernn.system.device import quiet_stderr
from samplernn.system.errors import InputError
from samplernn.system.files import cannot_be_written, files_below, sha256, written_aside
from samplernn.system.progress import ProgressBar
from samplernn.system.words import counted, listed, printable

MAX_CHUNK = 2**27  # samples, or milliseconds: 3.6 GB of memory at most
MAX_STEM_BYTES = 200  # of a recording's name, so that its chunks' names are not longer than names may be
MAX_RATIO = 1000  # of two sample rates, one resampled to the other: beyond every use, but not beyond soxr


@dataclass(frozen=True)
class Source:
    """A recording to be cut, and what its chunks will be."""

    recording: Recording
    read: Callable[[Recording], Iterator[np.ndarray]]  # gives its samples, float32 [frames, channels], in blocks
    folder: Path  # of its chunks
    sample_rate: int  # Hz, of the chunks, as are
    channels: int
    length: int  # samples in each channel of a chunk

    @property
    def frames(self) -> int:
        """Samples in each channel of the whole, at the sample rate of the chunks."""
        rate = self.recording.sample_rate
        return (2 * self.recording.frames * self.sample_rate + rate) // (2 * rate)  # as soxr rounds

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


@dataclass
class Tally:
    """What has become of chunks."""

    saved: int = 0
    omitted: int = 0
    saved_ms: int = 0
    omitted_ms: int = 0

    def add_chunk(self, chunk: Chunk) -> None:
        duration_ms = chunk.end_ms - chunk.start_ms
        if chunk.silent:
            self.omitted += 1
            self.omitted_ms += duration_ms
        else:
            self.saved += 1
            self.saved_ms += duration_ms

    def add(self, other: Tally) -> None:
        self.saved += other.saved
        self.omitted += other.omitted
        self.saved_ms += other.saved_ms
        self.omitted_ms += other.omitted_ms


@quiet_stderr()  # as for `examine`
def chunk_files(options: ChunkOptions) -> None:
    """What chunk_audio.py does: cut recordings into WAV files, leaving out the silent ones, and report.

    Raises:
        InputError: a recording can't be used, all are shorter than a chunk, chunks of two would have the same names,
            a recording has chunks there that were cut otherwise, or the folder can't be written.
        RunError: the disk refuses, or a recording has changed since it was examined.
    """
    sources = _examine_all(find_recordings(options), options)
    long_enough = _long_enough(sources, options)
    notes = {source.prefix: _note(source, options) for source in sources}
    other_cuts = chunk_notes.other_cuts(notes, Path(options.output_dir))
    if not options.replace:
        chunk_notes.refuse_mixture(other_cuts)
    for folder in dict.fromkeys(source.folder for source in long_enough):
        make_writable_folder("--output_dir", folder)
    if options.replace and (removed := chunk_notes.remove_chunks({*notes, *other_cuts})):
        print(f"{counted(removed, 'old chunk')} removed.")
    notes = {source.prefix: notes[source.prefix] for source in long_enough}
    chunk_notes.write(notes)
    total, several = Tally(), len(sources) > 1
    for number, source in enumerate(sources, 1):
        if several:
            print(f"Recording {number} of {len(sources)}: {printable(source.recording.name)}")
        if _is_short(source, options):
            print(f"It has only {source.duration_ms} ms, less than a chunk, and is left out.")
        else:
            tally = _cut(source, options)
            total.add(tally)
            note = notes[source.prefix]
            notes[source.prefix] = replace(note, saved=tally.saved, omitted=tally.omitted)
    chunk_notes.write(notes)
    if several:
        short = len(sources) - len(long_enough)
        left_out = f", {short} of them shorter than a chunk and left out" if short else ""
        print(f"{len(sources)} recordings{left_out}; {counted(total.saved, 'chunk')} saved to {options.output_dir}.")
    _summarize(total, long_enough)
    _remark_on_rates(options)


def _note(source: Source, options: ChunkOptions) -> Note:
    recording = source.recording
    return Note(
        recording=recording.path.name,
        sha256=sha256(recording.path),
        recording_frames=recording.frames,
        recording_rate=recording.sample_rate,
        chunk_length=options.chunk_length,
        overlap=options.overlap,
        sample_rate=source.sample_rate,
        channels=source.channels,
        silence_thresh=options.silence_thresh,
        keep_tail=options.keep_tail,
    )


def _cut(source: Source, options: ChunkOptions) -> Tally:
    """Write a recording's chunks, and say so."""
    tally = Tally()
    with closing(source.read(source.recording)) as blocks:
        for chunk in chunks(_converted(blocks, source), source.sample_rate, options):
            if chunk.silent:
                print(f"Chunk {chunk.number} is silent, omitting it.")
            else:
                _write_chunk(source.path(chunk.number), chunk.audio, source.sample_rate)
                print(f"Chunk {chunk.number}: {chunk.start_ms} to {chunk.end_ms} ms.")
            tally.add_chunk(chunk)
    processed = counted(tally.saved + tally.omitted, "chunk")
    print(f"{processed} processed, {tally.omitted} omitted for silence; {tally.saved} saved to {source.folder}.")
    return tally


def _remark_on_rates(options: ChunkOptions) -> None:
    """Say so where the output folder mixes sample rates, those of what was cut into it before included."""
    rates = chunk_notes.sample_rates(Path(options.output_dir))
    if len(rates) > 1:
        counts = ", ".join(f"{rate} Hz ({counted(count, 'recording')})" for rate, count in rates)
        remedy = f"train.py wants one, as --sample_rate {rates[0][0]} gives: cut the others again, with --replace"
        print(f"The chunks in {options.output_dir} are of different sample rates, {counts}; {remedy}.")


def _summarize(total: Tally, sources: list[Source]) -> None:
    rates, channels = (
        " and ".join(map(str, sorted({getattr(source, name) for source in sources})))
        for name in ("sample_rate", "channels")
    )
    minutes = f"{total.saved_ms / 60000:.1f} minutes saved, {total.omitted_ms / 60000:.1f} omitted for silence"
    print(f"{minutes}; {rates} Hz, {channels} channel{'' if channels == '1' else 's'}.")


def _write_chunk(path: Path, audio: np.ndarray, sample_rate: int) -> None:
    """Write audio [frames, channels] to a file that appears whole or not at all: half a chunk must never look whole."""
    try:
        with written_aside(path) as aside, wav_writer(aside, sample_rate, audio.shape[1]) as write:
            write(audio)
    except OSError as error:
        raise cannot_be_written(error) from None


# --- Which recordings ---


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
        if not given:
            raise InputError("--input_file (empty): name the recording, or a folder of recordings")
        if path.is_dir():
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
    files = [file for file in files_below(folder) if file.suffix.lower() in ffmpeg.ALL_SUFFIXES]
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


def _examine_all(found: dict[Path, Path], options: ChunkOptions) -> list[Source]:
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
        remedy = "; remove or replace these, or leave them out by --skip_unusable" if sources else ""
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
    try:
        recording, read = examine(path), read_blocks
    except Unusable as error:
        if error.problem != "unreadable" or path.suffix.lower() in SUFFIXES:
            raise
        recording, read = ffmpeg.examine(path), ffmpeg.read_blocks
    rate = options.sample_rate or recording.sample_rate
    channels = 1 if options.mono else recording.channels
    return Source(recording, read, folder, rate, channels, options.chunk_length * rate // 1000)


def _long_enough(sources: list[Source], options: ChunkOptions) -> list[Source]:
    """The recordings that there will be chunks of.

    Raises:
        InputError: there are none, or one of them can't be cut.
    """
    flag = f"--chunk_length {options.chunk_length}"
    for source in sources:
        if source.length == 0:
            raise InputError(f"{flag}: less than a sample of {source.recording.name}; choose a longer one")
    found = [source for source in sources if not _is_short(source, options)]
    if not found:
        longest = max(sources, key=lambda source: source.duration_ms)
        name = longest.recording.name if len(sources) == 1 else f"the longest recording, {longest.recording.name},"
        raise InputError(f"{flag}: {name} has only {longest.duration_ms} ms; choose a shorter one")
    for source in found:
        _require_possible(source, options)
    return found


def _is_short(source: Source, options: ChunkOptions) -> bool:
    return source.frames < (1 if options.keep_tail else source.length)


def _require_possible(source: Source, options: ChunkOptions) -> None:
    recording = source.recording
    if max(options.chunk_length, source.length * source.channels) > MAX_CHUNK:
        most = min(MAX_CHUNK, MAX_CHUNK // source.channels * 1000 // source.sample_rate)
        raise InputError(f"--chunk_length {options.chunk_length}: too long to be held in memory; {most} is the most")
    if len(os.fsencode(recording.path.stem)) > MAX_STEM_BYTES:
        raise InputError(f"--input_file: the name of {recording.name} is too long to be that of chunks; shorten it")
    low, high = sorted([recording.sample_rate, source.sample_rate])
    if high > MAX_RATIO * low:
        raise InputError(
            f"--sample_rate {source.sample_rate}: too far from the {recording.sample_rate} Hz of {recording.name};"
            " choose one that is nearer"
        )


# --- What is done with their samples ---


def _converted(blocks: Iterable[np.ndarray], source: Source) -> Iterator[np.ndarray]:
    """A recording's blocks with the channels and the sample rate of its chunks."""
    if source.channels < source.recording.channels:
        blocks = (mix_down(block)[:, np.newaxis] for block in blocks)
    if source.sample_rate != source.recording.sample_rate:
        blocks = resampled(blocks, source.recording.sample_rate, source.sample_rate, source.channels)
    return iter(blocks)


def resampled(blocks: Iterable[np.ndarray], rate: int, new_rate: int, channels: int) -> Iterator[np.ndarray]:
    """Blocks [frames, channels] at another rate: n samples become n·new_rate/rate, rounded."""
    stream = soxr.ResampleStream(rate, new_rate, channels, dtype="float32", quality="VHQ")
    at_a_time = max(1, READ_FRAMES // channels * rate // new_rate)  # may become much more than they are
    for block in blocks:
        for start in range(0, len(block), at_a_time):
            yield stream.resample_chunk(block[start : start + at_a_time])
    yield stream.resample_chunk(np.empty((0, channels), np.float32), last=True)


@dataclass(frozen=True)
class Chunk:
    """A piece of a recording: `audio` is float32 [frames, channels]."""

    number: int  # from 1, silent chunks included
    start_ms: int
    end_ms: int
    audio: np.ndarray
    silent: bool


def chunks(blocks: Iterable[np.ndarray], sample_rate: int, options: ChunkOptions) -> Iterator[Chunk]:
    """Cut audio, given in blocks [frames, channels], into chunks of one length.

    Chunk k starts at (k-1)·(chunk_length - overlap), floored to a sample. A last piece shorter than a chunk is left
    out, unless tails are kept and it has samples that are not in the chunk before.
    """
    length = options.chunk_length * sample_rate // 1000
    starts_ms = itertools.count(0, options.chunk_length - options.overlap)
    stretches = _stretches(blocks, ((ms * sample_rate // 1000, length) for ms in starts_ms))
    end = 0
    for number, (start, piece) in enumerate(stretches, 1):
        whole = len(piece) == length
        if not whole and not (options.keep_tail and len(piece) > max(0, end - start)):
            return
        start_ms = (number - 1) * (options.chunk_length - options.overlap)
        length_ms = options.chunk_length if whole else max(1, len(piece) * 1000 // sample_rate)
        silent = options.silence_thresh is not None and is_silent(piece, sample_rate, length_ms, options.silence_thresh)
        yield Chunk(number, start_ms, start_ms + length_ms, piece, silent)
        if not whole:
            return
        end = start + length


def _stretches(blocks: Iterable[np.ndarray], places: Iterable[tuple[int, int]]) -> Iterator[tuple[int, np.ndarray]]:
    """Where each stretch starts, in ascending order, and its samples; fewer than its length where the audio ends."""
    blocks = iter(blocks)
    held, first = next(blocks, np.empty((0, 1), np.float32)), 0  # the samples from `first` on
    for start, length in places:
        held, first = held[max(0, start - first) :], min(start, first + len(held))
        parts, there = [held], first + len(held)
        while there < start + length and (block := next(blocks, None)) is not None:
            parts.append(block)
            there += len(block)
        held = np.concatenate(parts) if len(parts) > 1 else held
        yield start, held[start - first : start - first + length]


def is_silent(audio: np.ndarray, sample_rate: int, length_ms: int, threshold: float = SILENCE_DB) -> bool:
    """Whether some stretch of half the length has an RMS, over all channels, at or below a threshold.

    Args:
        audio: [frames, channels], `length_ms` long, give or take less than a millisecond.
        sample_rate: Hz.
        length_ms: stretches start at each of its milliseconds.
        threshold: dB of full scale.
    """
    stretch_ms = max(1, length_ms // 2)
    energy = np.concatenate([[0.0], np.cumsum(np.square(audio).mean(axis=1), dtype=np.float64)])
    starts = np.arange(length_ms - stretch_ms + 1) * sample_rate // 1000
    ends = np.minimum(np.arange(stretch_ms, length_ms + 1) * sample_rate // 1000, len(audio))
    power = (energy[ends] - energy[starts]) / np.maximum(ends - starts, 1)
    return bool((power <= mean_square(threshold)).any())
