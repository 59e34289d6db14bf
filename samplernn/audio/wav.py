"""Audio files: examine, read, write. Samples are float32 in [-1, 1], one column a channel."""

from __future__ import annotations

import re
import wave
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import soundfile

from samplernn.options.chunk_audio import SILENCE_DB
from samplernn.options.values import SAMPLE_RATE
from samplernn.system import files
from samplernn.system.device import quiet_stderr
from samplernn.system.errors import InputError, RunError
from samplernn.system.files import errors_naming
from samplernn.system.words import printable

READ_FRAMES = 2**18  # read at a time where a file may be long
LOUDEST = 1e9  # of full scale, which is 1: beyond every use, but not beyond what can be squared and added up
UNKNOWN_SIZE = 0xFFFFFFFF  # what programs write that stream a WAV and cannot go back to its header
MAX_WAV_FRAMES = (2**32 - 44) // 2  # of 16 bits, one channel: a WAV counts its bytes in 32 bits, 44 are its header
SUFFIXES = (  # of the formats that libsndfile reads
    ".aif", ".aifc", ".aiff", ".au", ".caf", ".flac", ".mp3", ".oga", ".ogg", ".opus", ".rf64", ".snd", ".w64", ".wav",
)  # fmt: skip
PROBLEMS = files.PROBLEMS | {  # what makes a file unusable, and how it is said after the file's name
    "unreadable": "is not audio that can be read, or is damaged",
    "unseekable": "is compressed so that it can only be read from its start; convert it to PCM",
    "truncated": "is truncated: it ends before its header says",
    "empty": "is empty: it has no samples",
    "NaN or infinite": "has samples that are NaN or infinite, or as loud as if they were",
    "of an impossible sample rate": "has an impossible sample rate",
}


def mean_square(decibels: float) -> float:
    """The mean square of audio whose RMS is at so many dB of full scale."""
    return 10 ** (decibels / 10)


SILENCE_POWER = mean_square(SILENCE_DB)
Listener = Callable[[np.ndarray], None]  # is given a file's samples, float32 [frames, channels], a block at a time
Opened = tuple[int, int, Iterator[np.ndarray]]  # a file's sample rate, channels, and samples in blocks


class Unusable(InputError):
    """An audio file that cannot be used; `problem`, one of PROBLEMS, says why."""

    def __init__(self, name: str, problem: str):
        super().__init__(f"{name} {PROBLEMS[problem]}")
        self.problem = problem


@dataclass(frozen=True)
class Folder:
    """A folder of recordings."""

    path: Path = Path()
    name: str = "."  # relative to the first folder of the corpus, with forward slashes
    weight: float = 1.0  # how often each of its files is heard in an epoch of training


@dataclass(frozen=True)
class Recording:
    """A file that can be used: of audio, or of the codes that were made of it.

    Attributes:
        path: of the file.
        name: relative to the first folder of the corpus, with forward slashes.
        sample_rate: of the audio, Hz.
        frames: its items: samples in each channel, or codes.
        channels: of the audio.
        folder: that it is from.
        hop: samples that an item stands for.
        unit: what an item is called.
        behind: items behind those, which may be heard but are not predicted.
    """

    path: Path
    name: str
    sample_rate: int
    frames: int
    channels: int
    folder: Folder = Folder()
    hop: int = 1
    unit: str = "sample"
    behind: int = 0

    @property
    def length(self) -> int:
        """All its items."""
        return self.frames + self.behind

    def cut(self, frames: int) -> Recording:
        """The same, of which no more than the first `frames` items are predicted."""
        return replace(self, frames=frames, behind=self.length - frames)

    @property
    def seconds(self) -> float:
        """How long its audio is."""
        return self.frames * self.hop / self.sample_rate


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
    try:
        if not path.is_file():
            raise Unusable(name, "not a file" if path.exists() else "missing")
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
            if not SAMPLE_RATE.holds(file.samplerate):
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


def examine_all(named: Iterable[tuple[Path, str]]) -> tuple[list[Recording], list[str]]:
    """Examine files, given with what to call them: those that can be used, and of each other one why it can't be."""
    recordings, unusable = [], []
    for path, name in named:
        try:
            recordings.append(examine(path, name))
        except Unusable as error:
            unusable.append(printable(str(error)))
    return recordings, unusable


def examine_named(path: str, flag: str) -> Recording:
    """Make sure that the file that a flag names is audio.

    Raises:
        InputError: it isn't; the message names the flag.
    """
    try:
        return examine(Path(path))
    except InputError as error:
        raise InputError(f"--{flag}: {error}; name a WAV, FLAC, OGG or MP3") from None


def _claims_more_than_there_is(libsndfile_log: str) -> bool:
    # What WAV, AIFF, AU and W64 call the chunk with the samples, or the whole.
    claim = re.search(r"^ *(?:data|SSND|Data Size|riff) *: (\d+) \(should be (\d+)\)", libsndfile_log, re.MULTILINE)
    if claim:
        return int(claim[2]) < int(claim[1]) != UNKNOWN_SIZE
    return "does not match value from 'ds64' chunk" in libsndfile_log  # RF64


def _decode(file: soundfile.SoundFile, listener: Listener | None = None) -> int:
    """The number of frames that can be read; FloatingPointError where one is not finite, or as good as."""
    frames = 0
    for block in _blocks(file):
        require_finite(block)
        if listener:
            listener(block)
        frames += len(block)
    return frames


def _blocks(file: soundfile.SoundFile) -> Iterator[np.ndarray]:
    # Not by `file.blocks`, which fills up with what is not there.
    while len(block := file.read(max(1, READ_FRAMES // file.channels), dtype="float32", always_2d=True)):
        yield block


def require_finite(block: np.ndarray) -> None:
    """Raise FloatingPointError for samples that are NaN or infinite, or as loud as if they were."""
    if not (np.abs(block) <= LOUDEST).all():  # nor is NaN
        raise FloatingPointError


def read_blocks(recording: Recording) -> Iterator[np.ndarray]:
    """Read a file that was examined before from its beginning to its end: float32 [frames, channels], many times.

    Raises:
        RunError: the file has changed since.
    """
    return as_examined(recording, _opened(recording.path), (OSError, soundfile.LibsndfileError))


@contextmanager
def _opened(path: Path) -> Iterator[Opened]:
    with soundfile.SoundFile(path) as file:
        yield file.samplerate, file.channels, _blocks(file)


def as_examined(
    recording: Recording, opened: AbstractContextManager[Opened], errors: tuple[type[Exception], ...]
) -> Iterator[np.ndarray]:
    """Yield the blocks of a recording that is opened again; these errors are raised where it is damaged.

    Raises:
        RunError: it is no longer what was examined.
    """
    left = recording.frames
    with suppress(*errors), opened as (rate, channels, blocks):
        if (rate, channels) == (recording.sample_rate, recording.channels):
            for block in blocks:
                yield block
                left -= len(block)
    if left:
        raise _changed(recording.path)


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
        raise _changed(path)
    return mix_down(audio)


def _changed(path: Path) -> RunError:
    """The line for a user about a file that is no longer what it was when it was examined."""
    return RunError(f"{path} was removed, cut short or damaged while it was in use; put it back")


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
