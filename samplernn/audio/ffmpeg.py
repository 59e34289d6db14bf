"""Audio that libsndfile cannot read, decoded by FFmpeg's libraries, which PyAV brings along."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from samplernn.audio.wav import READ_FRAMES, Opened, Recording, Unusable, as_examined, require_finite
from samplernn.options.values import SAMPLE_RATE

if TYPE_CHECKING:
    from av import AudioFrame
    from av.container import InputContainer

SUFFIXES = (  # of what people keep music in
    ".aac", ".ac3", ".amr", ".ape", ".avi", ".dts", ".m4a", ".m4b", ".mka", ".mkv", ".mov", ".mp2", ".mp4", ".mpc",
    ".tta", ".webm", ".wma", ".wv",
)  # fmt: skip
# None of them is a list of other files, which could be anywhere.
FORMATS = "aac,ac3,amr,ape,asf,avi,dts,eac3,flv,matroska,mov,mp3,mpc,mpc8,mpegts,tta,wav,wv"
TAGGED = "aiff,caf,flac,ogg"  # which we decode otherwise
STRICT = {"err_detect": "crccheck+explode"}  # what is damaged is not to be patched up
MISSING_SECONDS = 0.25  # at the end of a Matroska file: more than rounding and what encoders pad


class _Failed(Exception):
    """The file was not decoded to its end."""


def examine(path: Path) -> Recording:
    """Make sure that a file can be decoded to its end and holds audio, as `wav.examine` does.

    Raises:
        Unusable: it can't, or doesn't.
    """
    name, frames = str(path), 0
    try:
        with _decoding(path) as (rate, channels, blocks):
            for block in blocks:
                require_finite(block)
                frames += len(block)
    except _Failed:
        raise Unusable(name, "unreadable") from None
    except FloatingPointError:
        raise Unusable(name, "NaN or infinite") from None
    if frames == 0:
        raise Unusable(name, "empty")
    if not SAMPLE_RATE.holds(rate):
        raise Unusable(name, "of an impossible sample rate")
    return Recording(path, name, rate, frames, channels)


def read_blocks(recording: Recording) -> Iterator[np.ndarray]:
    """Read a file that was examined before, as `wav.read_blocks` does. To stop early, close the iterator.

    Raises:
        RunError: the file has changed since.
    """
    return as_examined(recording, _decoding(recording.path), (_Failed,))


def read_tags(path: Path) -> dict[str, str]:
    """What a file says of itself, by lower-case names such as `title` and `artist`; nothing where it can't be read."""
    import av

    try:
        with av.open(
            f"file:{path}", options={"format_whitelist": f"{FORMATS},{TAGGED}"}, metadata_errors="replace"
        ) as file:
            of_audio = [stream.metadata for stream in file.streams.audio[:1]]
            return {name.lower(): text for tags in (file.metadata, *of_audio) for name, text in tags.items()}
    except (av.FFmpegError, ValueError):
        return {}


@contextmanager
def _decoding(path: Path) -> Iterator[Opened]:
    """Give the sample rate, the channels and the samples, float32 [frames, channels], of a file's first audio stream.

    Raises:
        _Failed: there is none, or it is damaged; while the samples are read, too.
    """
    import av  # here, for training asks for no more than the suffixes

    try:
        with av.open(f"file:{path}", options=STRICT | {"format_whitelist": FORMATS}, metadata_errors="replace") as file:
            codec = file.streams.audio[0].codec_context if file.streams.audio else None
            if codec is None or not codec.channels:  # of a stream that has no decoder, or about which nothing is known
                raise _Failed
            codec.options = STRICT
            yield codec.sample_rate, codec.channels, _blocks(file)
    except (av.FFmpegError, ValueError):  # the latter where the format changes on the way
        raise _Failed from None


def _blocks(container: InputContainer) -> Iterator[np.ndarray]:
    from av import AudioResampler

    codec = container.streams.audio[0].codec_context
    converter, channels = AudioResampler(format="flt"), codec.channels
    for gathered in _gathered(_decoded(container, codec.sample_rate, channels), max(1, READ_FRAMES // channels)):
        for block in converter.resample(gathered):
            yield block.to_ndarray().reshape(-1, channels)


def _decoded(container: InputContainer, rate: int, channels: int) -> Iterator[AudioFrame]:
    """The stream, about a thousand samples at a time.

    Raises:
        _Failed: it changes, has holes, or ends before the file says.
    """
    stream, end = container.streams.audio[0], None
    for piece in container.decode(stream):
        # PyAV's fifo, given fewer channels than before, would crash the process.
        if (piece.sample_rate, piece.layout.nb_channels) != (rate, channels):
            raise _Failed
        end = ((piece.time or 0.0) if end is None else end) + piece.samples / rate
        yield piece
    if end is not None and end < _declared_end(container) - MISSING_SECONDS:
        raise _Failed


def _gathered(decoded: Iterable[AudioFrame], samples: int) -> Iterator[AudioFrame]:
    """Pieces of so many samples, but for the last one."""
    from av import AudioFifo

    fifo = AudioFifo()
    for piece in decoded:
        piece.pts = None  # the times of pieces may have gaps, which we don't fill
        fifo.write(piece)
        while whole := fifo.read(samples):
            yield whole
    if rest := fifo.read():
        yield rest


def _declared_end(container: InputContainer) -> float:
    """When the audio of a Matroska file, such as a WebM, ends as the file says, in seconds; 0 where it doesn't.

    FFmpeg lets pass that it ends before. What other formats say FFmpeg holds them to, or it is an estimate.
    """
    from av import time_base

    if "matroska" not in container.format.name:
        return 0.0
    if tag := container.streams.audio[0].metadata.get("DURATION"):
        hours, minutes, seconds = map(float, tag.split(":"))
        return 3600 * hours + 60 * minutes + seconds
    return (container.duration or 0) / time_base if len(container.streams) == 1 else 0.0
