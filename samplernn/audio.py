"""Audio files: examine, read, write, chunk. Samples are float32 in [-1, 1], one column a channel."""

from __future__ import annotations

import itertools
import os
import re
import tempfile
import wave
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from samplernn.config import ChunkOptions, is_sample_rate
from samplernn.device import quiet_stderr
from samplernn.errors import InputError, RunError
from samplernn.files import NO_SPACE, cannot_be_written, errors_naming, written_aside

SILENCE_POWER = 10 ** (-64 / 10)  # mean square at -64 dB of full scale
READ_FRAMES = 2**18  # read at a time where a file may be long
LOUDEST = 1e9  # of full scale, which is 1: beyond every use, but not beyond what can be squared and added up
MAX_CHUNK = 2**27  # samples, or milliseconds: 3.6 GB of memory at most
MAX_STEM_BYTES = 200  # of a recording's name, so that its chunks' names are not longer than names may be
UNKNOWN_SIZE = 0xFFFFFFFF  # what programs write that stream a WAV and cannot go back to its header
MAX_WAV_FRAMES = (2**32 - 44) // 2  # of 16 bits, one channel: a WAV counts its bytes in 32 bits, 44 are its header
PROBLEMS = {  # what makes a file unusable, and how it is said after the file's name
    "missing": "is missing: there is no such file",
    "not a file": "is not a file, but a folder, a pipe or a device",
    "badly named": "has a name that is not text in UTF-8; rename it",
    "locked": "cannot be opened: the system refuses it; look at its permissions",
    "unreadable": "is not audio that can be read, or is damaged",
    "unseekable": "is compressed so that it can only be read from its start; convert it to PCM",
    "truncated": "is truncated: it ends before its header says",
    "empty": "is empty: it has no samples",
    "NaN or infinite": "has samples that are NaN or infinite, or as loud as if they were",
    "of an impossible sample rate": "has an impossible sample rate",
}

Listener = Callable[[np.ndarray], None]  # is given a file's samples, float32 [frames, channels], a block at a time


class Unusable(InputError):
    """An audio file that cannot be used; `problem`, one of PROBLEMS, says why."""

    def __init__(self, name: str, problem: str):
        super().__init__(f"{name} {PROBLEMS[problem]}")
        self.problem = problem


@dataclass(frozen=True)
class Recording:
    """An audio file that can be used."""

    path: Path
    name: str  # relative to the corpus folder, with forward slashes
    sample_rate: int  # Hz
    frames: int  # samples in each channel
    channels: int


@quiet_stderr()  # to which the decoder of MP3 writes notes
def examine(path: Path, name: str | None = None, listener: Listener | None = None) -> Recording:
    """Make sure that a file is whole and holds audio.

    Args:
        path: of the file.
        name: what to call it; its path by default.
        listener: is given all samples, in order.

    Raises:
        Unusable: for one of the reasons in PROBLEMS.
    """
    name = name or str(path)
    if not path.is_file():
        raise Unusable(name, "not a file" if path.exists() else "missing")
    try:
        path.open("rb").close()  # tells what the system refuses from what libsndfile does
        with soundfile.SoundFile(path) as file:
            if not file.seekable():
                raise Unusable(name, "unseekable")
            # PCM in a WAV is whole if its header is; other kinds may fail to decode or hold what is not a number.
            sure = file.format in ("WAV", "WAVEX") and file.subtype.startswith("PCM")
            truncated = _claims_more_than_there_is(file.extra_info)
            if not truncated and (listener or not sure):
                truncated = _decode(file, listener) < file.frames
            if truncated:
                raise Unusable(name, "truncated")
            if file.frames == 0:
                raise Unusable(name, "empty")
            if not is_sample_rate(file.samplerate):
                raise Unusable(name, "of an impossible sample rate")
            return Recording(path, name, file.samplerate, file.frames, file.channels)
    except OSError:
        raise Unusable(name, "locked") from None
    except UnicodeEncodeError:
        raise Unusable(name, "badly named") from None
    except soundfile.LibsndfileError:
        raise Unusable(name, "unreadable") from None
    except FloatingPointError:
        raise Unusable(name, "NaN or infinite") from None


def _claims_more_than_there_is(libsndfile_log: str) -> bool:
    # What WAV, AIFF, AU and W64 call the chunk with the samples, or the whole.
    claim = re.search(r"^ *(?:data|SSND|Data Size|riff) *: (\d+) \(should be (\d+)\)", libsndfile_log, re.MULTILINE)
    if claim:
        return int(claim[2]) < int(claim[1]) != UNKNOWN_SIZE
    return "does not match value from 'ds64' chunk" in libsndfile_log  # RF64


def _decode(file: soundfile.SoundFile, listener: Listener | None = None) -> int:
    """The number of frames that can be read; FloatingPointError where one is not finite, or as good as."""
    frames, at_a_time = 0, max(1, READ_FRAMES // file.channels)
    # Not by `file.blocks`, which fills up with what is not there.
    while len(block := file.read(at_a_time, dtype="float32", always_2d=True)):
        if not (np.abs(block) <= LOUDEST).all():  # nor is NaN
            raise FloatingPointError
        if listener:
            listener(block)
        frames += len(block)
    return frames


def read_mono(path: Path, start: int, frames: int) -> np.ndarray:
    """Read a stretch of a file that was examined before, its channels mixed down: float32 [frames].

    Raises:
        RunError: the file has changed since.
    """
    try:
        audio, _ = soundfile.read(path, frames=frames, start=start, dtype="float32", always_2d=True)
    except (OSError, soundfile.LibsndfileError):
        audio = np.empty((0, 1))
    if len(audio) < frames:
        raise RunError(f"{path} was removed, cut short or damaged while it was in use; put it back")
    return mix_down(audio)


def mix_down(audio: np.ndarray) -> np.ndarray:
    """The mean of the channels: [frames] from [frames, channels]."""
    return audio[:, 0] if audio.shape[1] == 1 else audio.mean(axis=1)


def to_pcm16(audio: np.ndarray) -> np.ndarray:
    """Round float audio to int16; audio that came from 16 bits comes back exactly."""
    return np.clip(np.rint(audio * np.float32(32768)), -32768, 32767).astype(np.int16)


@contextmanager
def wav_writer(path: Path, sample_rate: int, channels: int = 1) -> Iterator[Callable[[np.ndarray], None]]:
    """Give a function that appends float audio [frames] or [frames, channels] to a 16-bit WAV, which it begins anew.

    After each call the file is a WAV of all that was appended, and stays so where the process is killed or the disk
    is full during the next.

    Raises:
        OSError: the disk refuses; the error names the file.
    """

    def write(audio: np.ndarray) -> None:
        with errors_naming(path):
            wav.writeframes(to_pcm16(audio).tobytes())  # the samples first, then the header that counts them
            file.flush()

    with errors_naming(path), path.open("wb") as file, wave.open(file) as wav:
        wav.setparams((channels, 2, sample_rate, 0, "NONE", ""))
        write(np.empty(0))  # the header
        yield write


def wav_frames(path: Path) -> int:
    """How many frames a WAV holds by its header; 0 where it has none yet."""
    try:
        with wave.open(str(path)) as file:
            return file.getnframes()
    except (EOFError, wave.Error):
        return 0


def make_writable_folder(flag: str, folder: Path) -> None:
    """Create a folder if need be, and make sure that files can be written there.

    Raises:
        InputError: they can't; the message names the flag.
        RunError: the disk is full.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        refused = f"{flag}: {folder} can't be written ({error.strerror})"
        if error.errno in NO_SPACE:
            raise RunError(refused) from None
        raise InputError(f"{refused}; choose another folder") from None


@quiet_stderr()  # as for `examine`
def chunk_file(options: ChunkOptions) -> None:
    """What chunk_audio.py does: cut a recording into WAV files, leaving out the silent ones, and report.

    Raises:
        InputError: the recording can't be used, is shorter than a chunk, or the folder can't be written.
        RunError: the disk refuses.
    """
    source, folder = Path(options.input_file), Path(options.output_dir)
    try:
        recording = examine(source)
    except InputError as error:
        raise InputError(f"--input_file: {error}") from None
    length = options.chunk_length * recording.sample_rate // 1000
    if length == 0:
        raise InputError(f"--chunk_length {options.chunk_length}: less than a sample of {source}; choose a longer one")
    if recording.frames < length:
        duration_ms = recording.frames * 1000 // recording.sample_rate
        raise InputError(
            f"--chunk_length {options.chunk_length}: {source} has only {duration_ms} ms; choose a shorter one"
        )
    if max(options.chunk_length, length * recording.channels) > MAX_CHUNK:
        most = min(MAX_CHUNK, MAX_CHUNK // recording.channels * 1000 // recording.sample_rate)
        raise InputError(f"--chunk_length {options.chunk_length}: too long to be held in memory; {most} is the most")
    if len(os.fsencode(source.stem)) > MAX_STEM_BYTES:
        raise InputError(f"--input_file: the name of {source} is too long to be that of chunks; shorten it")
    make_writable_folder("--output_dir", folder)
    processed = omitted = 0
    for chunk in chunks(recording, options.chunk_length, options.overlap):
        processed += 1
        if chunk.silent:
            omitted += 1
            print(f"Chunk {chunk.number} is silent, omitting it.")
        else:
            path = folder / f"{source.stem}_chunk_{chunk.number}.wav"
            _write_chunk(path, chunk.audio, recording.sample_rate)
            end_ms = chunk.start_ms + options.chunk_length
            print(f"Chunk {chunk.number}: {chunk.start_ms} to {end_ms} ms.")
    print(f"{processed} chunks processed, {omitted} omitted for silence; {processed - omitted} saved to {folder}.")


def _write_chunk(path: Path, audio: np.ndarray, sample_rate: int) -> None:
    """Write audio [frames, channels] to a file that appears whole or not at all: half a chunk must never look whole."""
    try:
        with written_aside(path) as aside, wav_writer(aside, sample_rate, audio.shape[1]) as write:
            write(audio)
    except OSError as error:
        raise cannot_be_written(error) from None


@dataclass(frozen=True)
class Chunk:
    """A piece of a recording: `audio` is float32 [frames, channels]."""

    number: int  # from 1, silent chunks included
    start_ms: int
    audio: np.ndarray
    silent: bool


def chunks(recording: Recording, length_ms: int, overlap_ms: int) -> Iterator[Chunk]:
    """Cut a recording into chunks of one length; a last piece shorter than that is left out.

    Chunk k starts at (k-1)·(length_ms - overlap_ms), floored to a sample.
    """
    rate = recording.sample_rate
    length = length_ms * rate // 1000
    with soundfile.SoundFile(recording.path) as file:
        audio, end = np.zeros((0, recording.channels), np.float32), 0  # the last chunk, and where it ends
        for number in itertools.count(1):
            start_ms = (number - 1) * (length_ms - overlap_ms)
            start = start_ms * rate // 1000
            file.read(max(0, start - end))  # flooring may leave a sample between two chunks
            shared = audio[len(audio) - max(0, end - start) :]
            fresh = file.read(length - len(shared), dtype="float32", always_2d=True)
            audio, end = np.concatenate([shared, fresh]), start + length
            if len(audio) < length:
                return
            yield Chunk(number, start_ms, audio, is_silent(audio, rate, length_ms))


def is_silent(audio: np.ndarray, sample_rate: int, length_ms: int) -> bool:
    """Whether some stretch of half the length has an RMS, over all channels, at or below -64 dB of full scale.

    Args:
        audio: [frames, channels], `length_ms` long.
        sample_rate: Hz.
        length_ms: stretches start at each of its milliseconds.
    """
    stretch_ms = max(1, length_ms // 2)
    energy = np.concatenate([[0.0], np.cumsum(np.square(audio).mean(axis=1), dtype=np.float64)])
    starts = np.arange(length_ms - stretch_ms + 1) * sample_rate // 1000
    ends = np.arange(stretch_ms, length_ms + 1) * sample_rate // 1000
    power = (energy[ends] - energy[starts]) / np.maximum(ends - starts, 1)
    return bool((power <= SILENCE_POWER).any())
