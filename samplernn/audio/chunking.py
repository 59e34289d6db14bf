"""Chunks: recordings, in files and folders, are cut into WAV files of one length to train on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import astuple, dataclass, replace
from pathlib import Path

import numpy as np

from samplernn.audio import chunk_notes
from samplernn.audio.chunk_notes import Note
from samplernn.audio.chunk_sources import Source, examine_all, find_recordings, is_short, long_enough
from samplernn.audio.chunks import Chunk, chunks, resampled
from samplernn.audio.wav import mix_down, wav_writer
from samplernn.options.options import ChunkOptions
from samplernn.system.device import quiet_stderr
from samplernn.system.files import cannot_be_written, make_writable_folder, sha256, written_aside
from samplernn.system.words import counted, printable


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

    def __add__(self, other: Tally) -> Tally:
        return Tally(*(mine + others for mine, others in zip(astuple(self), astuple(other))))


@quiet_stderr()  # as for `examine`
def chunk_files(options: ChunkOptions) -> None:
    """What chunk_audio.py does: cut recordings into WAV files, leaving out the silent ones, and report.

    Raises:
        InputError: a recording can't be used, all are shorter than a chunk, chunks of two would have the same names,
            a recording has chunks there that were cut otherwise, or the folder can't be written.
        RunError: the disk refuses, or a recording has changed since it was examined.
    """
    sources = examine_all(find_recordings(options), options)
    to_cut = long_enough(sources, options)
    notes = {source.prefix: _note(source, options) for source in sources}
    _make_room(notes, [source.folder for source in to_cut], options)
    notes = {source.prefix: notes[source.prefix] for source in to_cut}
    chunk_notes.write(notes)
    tallies = _cut_all(sources, options)
    chunk_notes.write(
        {prefix: replace(notes[prefix], saved=tally.saved, omitted=tally.omitted) for prefix, tally in tallies.items()}
    )
    _summarize(sum(tallies.values(), Tally()), sources, to_cut, options)
    _remark_on_rates(options)


def _make_room(notes: dict[Path, Note], folders: Iterable[Path], options: ChunkOptions) -> None:
    """Make the folders, and see to it that what will be cut as these notes say is not mixed with what is there."""
    other_cuts = chunk_notes.other_cuts(notes, Path(options.output_dir))
    if not options.replace:
        chunk_notes.refuse_mixture(other_cuts)
    for folder in dict.fromkeys(folders):
        make_writable_folder("--output_dir", folder)
    if options.replace and (removed := chunk_notes.remove_chunks({*notes, *other_cuts})):
        print(f"{counted(removed, 'old chunk')} removed.")


def _cut_all(sources: list[Source], options: ChunkOptions) -> dict[Path, Tally]:
    """Cut those that are not too short; what has become of each one's chunks, by their prefix."""
    tallies = {}
    for number, source in enumerate(sources, 1):
        if len(sources) > 1:
            print(f"Recording {number} of {len(sources)}: {printable(source.recording.name)}")
        if is_short(source, options):
            print(f"It has only {source.duration_ms} ms, less than a chunk, and is left out.")
        else:
            tallies[source.prefix] = _cut(source, options)
    return tallies


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
        counts = ", ".join(f"{rate} Hz ({counted(count, 'chunk')})" for rate, count in rates)
        remedy = f"train.py wants one, as --sample_rate {rates[0][0]} gives: cut the others again, with --replace"
        print(f"The chunks in {options.output_dir} are of different sample rates, {counts}; {remedy}.")


def _summarize(total: Tally, sources: list[Source], cut: list[Source], options: ChunkOptions) -> None:
    if len(sources) > 1:
        short = len(sources) - len(cut)
        left_out = f", {short} of them shorter than a chunk and left out" if short else ""
        print(f"{len(sources)} recordings{left_out}; {counted(total.saved, 'chunk')} saved to {options.output_dir}.")
    rates = " and ".join(map(str, sorted({source.sample_rate for source in cut})))
    channels = " and ".join(map(str, sorted({source.channels for source in cut})))
    minutes = f"{total.saved_ms / 60000:.1f} minutes saved, {total.omitted_ms / 60000:.1f} omitted for silence"
    print(f"{minutes}; {rates} Hz, {channels} channel{'' if channels == '1' else 's'}.")


def _write_chunk(path: Path, audio: np.ndarray, sample_rate: int) -> None:
    """Write audio [frames, channels] to a file that appears whole or not at all: half a chunk must never look whole."""
    try:
        with written_aside(path) as aside, wav_writer(aside, sample_rate, audio.shape[1]) as write:
            write(audio)
    except OSError as error:
        raise cannot_be_written(error) from None


def _converted(blocks: Iterable[np.ndarray], source: Source) -> Iterator[np.ndarray]:
    """A recording's blocks with the channels and the sample rate of its chunks."""
    if source.channels < source.recording.channels:
        blocks = (mix_down(block)[:, np.newaxis] for block in blocks)
    if source.sample_rate != source.recording.sample_rate:
        blocks = resampled(blocks, source.recording.sample_rate, source.sample_rate, source.channels)
    return iter(blocks)
