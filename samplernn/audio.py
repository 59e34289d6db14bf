"""Audio files: find, examine, read, write, chunk. Samples are float32 in [-1, 1], one column a channel."""

from __future__ import annotations

import itertools
import re
import tempfile
import wave
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from samplernn.config import ChunkOptions, InputError, RunError, cannot_be_written, errors_naming, written_aside

SILENCE_POWER = 10 ** (-64 / 10)  # mean square at -64 dB of full scale
OTHER_AUDIO = (".flac", ".ogg", ".mp3", ".aif", ".aiff", ".m4a")
READ_FRAMES = 2**18  # read at a time where a file may be long
UNKNOWN_SIZE = 0xFFFFFFFF  # what programs write that stream a WAV and cannot go back to its header
MAX_WAV_FRAMES = (2**32 - 44) // 2  # of 16 bits, one channel: a WAV counts its bytes in 32 bits, 44 are its header


@dataclass(frozen=True)
class Recording:
    """An audio file that can be used."""

    path: Path
    name: str  # relative to the corpus folder, with forward slashes
    sample_rate: int  # Hz
    frames: int  # samples in each channel
    channels: int


def examine(path: Path, name: str | None = None) -> Recording:
    """Make sure that a file is whole and holds audio.

    Raises:
        InputError: it is missing, not audio, truncated or empty, or has samples that are NaN or infinite.
    """
    name = name or str(path)
    if not path.is_file():
        raise InputError(f"{name} is missing: there is no such file")
    try:
        with soundfile.SoundFile(path) as file:
            recording = Recording(path, name, file.samplerate, file.frames, file.channels)
            truncated = _claims_more_than_there_is(file.extra_info)
            # PCM in a WAV is whole if its header is; other kinds may fail to decode or hold what is not a number.
            if not truncated and not (file.format in ("WAV", "WAVEX") and file.subtype.startswith("PCM")):
                truncated = _decode(file) < file.frames
    except soundfile.LibsndfileError:
        raise InputError(f"{name} is not audio that can be read, or is damaged") from None
    except FloatingPointError:
        raise InputError(f"{name} has samples that are NaN or infinite") from None
    if truncated:
        raise InputError(f"{name} is truncated: it ends before its header says")
    if recording.frames == 0:
        raise InputError(f"{name} is empty: it has no samples")
    return recording


def _claims_more_than_there_is(libsndfile_log: str) -> bool:
    # What WAV, AIFF, AU and W64 call the chunk with the samples, or the whole.
    claim = re.search(r"^ *(?:data|SSND|Data Size|riff) *: (\d+) \(should be (\d+)\)", libsndfile_log, re.MULTILINE)
    if claim:
        return int(claim[2]) < int(claim[1]) != UNKNOWN_SIZE
    return "does not match value from 'ds64' chunk" in libsndfile_log  # RF64


def _decode(file: soundfile.SoundFile) -> int:
    """The number of frames that can be read; FloatingPointError where one is not finite."""
    frames = 0
    for block in file.blocks(READ_FRAMES, dtype="float32"):
        if not np.isfinite(block).all():
            raise FloatingPointError
        frames += len(block)
    return frames


def scan_corpus(data_dir: str) -> list[Recording]:
    """Examine all WAV files below a folder, in the order of their names, numbers in them by value.

    Raises:
        InputError: there is no such folder or no WAV in it, a file cannot be used (all are named), or rates are mixed.
    """
    root = Path(data_dir)
    if not data_dir or not root.is_dir():
        problem = "not a folder, but a file" if data_dir and root.exists() else "there is no such folder"
        raise InputError(f"--data_dir {data_dir or '(empty)'}: {problem}; name the folder with the WAV files")
    files = sorted(
        (path for path in root.rglob("*") if path.is_file() and not path.name.startswith(".")),
        key=_natural_order,
    )
    wavs = [path for path in files if path.suffix.lower() == ".wav"]
    if not wavs:
        others = sum(path.suffix.lower() in OTHER_AUDIO for path in files)
        found = f"no WAV files, but {others} of other formats" if others else "no WAV files"
        raise InputError(f"--data_dir {data_dir}: {found} in it; cut a recording into chunks there with chunk_audio.py")
    corpus, problems = [], []
    for path in wavs:
        try:
            corpus.append(examine(path, path.relative_to(root).as_posix()))
        except InputError as error:
            problems.append(str(error))
    if problems:
        raise InputError(f"--data_dir {data_dir}: remove or replace what cannot be used: {'; '.join(problems)}")
    rates = Counter(recording.sample_rate for recording in corpus)
    if len(rates) > 1:
        counts = ", ".join(f"{rate} Hz ({count} files)" for rate, count in sorted(rates.items()))
        raise InputError(f"--data_dir {data_dir}: mixed sample rates, {counts}; convert the files to one rate")
    return corpus


def _natural_order(path: Path) -> tuple:
    name = path.as_posix()
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", name)], name


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
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise InputError(f"{flag}: {folder} can't be written ({error.strerror}); choose another folder") from None


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
