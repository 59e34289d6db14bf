"""Chunks: recordings, in files and folders, are cut into WAV files of one length to train on."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np

from samplernn.audio import chunk_notes
from samplernn.audio.chunk_notes import Note
from samplernn.audio.chunk_sources import Source, examine_all, find_recordings, leveled, long_enough
from samplernn.audio.chunks import Chunk, chunks, hop_between_chunks, number_of_chunks
from samplernn.audio.wav import wav_writer
from samplernn.options.chunk_audio import ChunkOptions
from samplernn.system.device import quiet_stderr
from samplernn.system.errors import InputError
from samplernn.system.files import cannot_be_written, make_writable_folder, sha256, written_aside
from samplernn.system.words import counted, printable


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
    options = _with_overlap(options, to_cut)
    to_cut = {source.prefix: source for source in leveled(to_cut, options)}
    notes = {source.prefix: _note(to_cut.get(source.prefix, source), options) for source in sources}
    _make_room(notes, [source.folder for source in to_cut.values()], options)
    notes = {prefix: notes[prefix] for prefix in to_cut}
    chunk_notes.write(notes)
    cut = _cut_all(sources, to_cut, options)
    chunk_notes.write({prefix: _noted(notes[prefix], to_cut[prefix], chunks) for prefix, chunks in cut.items()})
    _summarize([chunk for chunks in cut.values() for chunk in chunks], sources, to_cut.values(), options)
    _remark_on_rates(options)


def _with_overlap(options: ChunkOptions, sources: list[Source]) -> ChunkOptions:
    """The options with the overlap with which there are about as many chunks as are asked for, silent ones included.

    Raises:
        InputError: there are more without an overlap, or fewer with any.
    """
    if options.num_chunks is None:
        return options

    def number(step: int) -> int:
        """Of chunks of which each starts so many milliseconds after the one before."""
        overlap = options.chunk_length - step
        hops = (hop_between_chunks(options.chunk_length, overlap, source.sample_rate) for source in sources)
        return sum(
            number_of_chunks(source.frames, source.length, hop, options.keep_tail) for source, hop in zip(sources, hops)
        )

    least, most = number(options.chunk_length), number(1)
    if not least <= options.num_chunks <= most:
        other = "a longer --chunk_length" if options.num_chunks < least else "add recordings"
        raise InputError(
            f"--num_chunks {options.num_chunks}: of --chunk_length {options.chunk_length} there are {least} without an"
            f" overlap, and {most} with the largest; choose a number between, or {other}"
        )
    steps = range(1, options.chunk_length + 1)
    enough = bisect_left(steps, -options.num_chunks, key=lambda step: -number(step))  # the first with no more
    step = min(steps[max(0, enough - 1) : enough + 1], key=lambda step: abs(number(step) - options.num_chunks))
    overlap = options.chunk_length - step
    print(f"--overlap {overlap} makes {counted(number(step), 'chunk')}; about {options.num_chunks} are asked for.")
    return replace(options, overlap=overlap, num_chunks=None)


def _make_room(notes: dict[Path, Note], folders: Iterable[Path], options: ChunkOptions) -> None:
    """Make the folders, and see to it that what will be cut as these notes say is not mixed with what is there."""
    other_cuts = chunk_notes.other_cuts(notes, Path(options.output_dir))
    if not options.replace:
        chunk_notes.refuse_mixture(other_cuts)
    for folder in dict.fromkeys(folders):
        make_writable_folder("--output_dir", folder)
    if options.replace and (removed := chunk_notes.remove_chunks({*notes, *other_cuts})):
        print(f"{counted(removed, 'old chunk')} removed.")


def _cut_all(sources: list[Source], to_cut: dict[Path, Source], options: ChunkOptions) -> dict[Path, list[Chunk]]:
    """Cut those of the sources that are not too short; the chunks of each, by their prefix."""
    cut = {}
    for number, source in enumerate(sources, 1):
        if len(sources) > 1:
            print(f"Recording {number} of {len(sources)}: {printable(source.recording.name)}")
        if source.prefix in to_cut:
            cut[source.prefix] = _cut(to_cut[source.prefix], options)
        else:
            print(f"It has only {source.duration_ms} ms, less than a chunk, and is left out.")
    return cut


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
        remove_dc=options.remove_dc,
        normalize=options.normalize,
        dc_offset=source.level.offset,
        gain=source.level.gain,
        silence_thresh=options.silence_thresh,
        keep_tail=options.keep_tail,
    )


def _noted(note: Note, source: Source, chunks: list[Chunk]) -> Note:
    """The note of a recording that is cut, with what has become of its chunks."""
    saved = {
        source.path(chunk.number).name: (chunk.start_ms / 1000, chunk.end_ms / 1000)
        for chunk in chunks
        if not chunk.silent
    }
    return replace(note, saved=len(saved), omitted=len(chunks) - len(saved), chunks=saved)


def _cut(source: Source, options: ChunkOptions) -> list[Chunk]:
    """Write a recording's chunks, and say so; they are returned without their audio."""
    if change := str(source.level):
        print(f"The whole: {change}.")
    cut = []
    with closing(source.blocks()) as blocks:
        for chunk in chunks(blocks, source.sample_rate, options):
            if chunk.silent:
                print(f"Chunk {chunk.number} is silent, omitting it.")
            else:
                _write_chunk(source.path(chunk.number), chunk.audio, source.sample_rate)
                print(f"Chunk {chunk.number}: {chunk.start_ms} to {chunk.end_ms} ms.")
            cut.append(replace(chunk, audio=None))
    omitted = sum(chunk.silent for chunk in cut)
    processed, saved = counted(len(cut), "chunk"), len(cut) - omitted
    print(f"{processed} processed, {omitted} omitted for silence; {saved} saved to {source.folder}.")
    return cut


def _remark_on_rates(options: ChunkOptions) -> None:
    """Say so where the output folder mixes sample rates, those of what was cut into it before included."""
    rates = chunk_notes.sample_rates(Path(options.output_dir))
    if len(rates) > 1:
        counts = ", ".join(f"{rate} Hz ({counted(count, 'chunk')})" for rate, count in rates)
        remedy = f"train.py wants one, as --sample_rate {rates[0][0]} gives: cut the others again, with --replace"
        print(f"The chunks in {options.output_dir} are of different sample rates, {counts}; {remedy}.")


def _summarize(chunks: list[Chunk], sources: list[Source], cut: Collection[Source], options: ChunkOptions) -> None:
    saved = sum(not chunk.silent for chunk in chunks)
    saved_minutes, omitted_minutes = (
        sum(chunk.end_ms - chunk.start_ms for chunk in chunks if chunk.silent is silent) / 60000
        for silent in (False, True)
    )
    if len(sources) > 1:
        short = len(sources) - len(cut)
        left_out = f", {short} of them shorter than a chunk and left out" if short else ""
        print(f"{len(sources)} recordings{left_out}; {counted(saved, 'chunk')} saved to {options.output_dir}.")
    rates = " and ".join(map(str, sorted({source.sample_rate for source in cut})))
    channels = " and ".join(map(str, sorted({source.channels for source in cut})))
    minutes = f"{saved_minutes:.1f} minutes saved, {omitted_minutes:.1f} omitted for silence"
    print(f"{minutes}; {rates} Hz, {channels} channel{'' if channels == '1' else 's'}.")


def _write_chunk(path: Path, audio: np.ndarray, sample_rate: int) -> None:
    """Write audio [frames, channels] to a file that appears whole or not at all: half a chunk must never look whole."""
    try:
        with written_aside(path) as aside, wav_writer(aside, sample_rate, audio.shape[1]) as write:
            write(audio)
    except OSError as error:
        raise cannot_be_written(error) from None
