"""Audio that libsndfile cannot read, decoded by FFmpeg's libraries, which PyAV brings along."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from samplernn.audio import wav as audio
from samplernn.audio.wav import READ_FRAMES, Opened, Recording, Unusable, as_examined, require_finite
from samplernn.options.values import SAMPLE_RATE

if TYPE_CHECKING:
    from av import AudioFrame
    from av.container import InputContainer

SUFFIXES = (  # of what people keep music in
    ".aac", ".ac3", ".amr", ".ape", ".dts", ".m4a", ".m4b", ".mka", ".mp2", ".mp4", ".mpc", ".tta", ".webm", ".wma",
    ".wv",
)  # fmt: skip
ALL_SUFFIXES = audio.SUFFIXES + SUFFIXES
STRICT = {"err_detect": "crccheck+explode"}  # what is damaged is not to be patched up
MISSING_SECONDS = 0.25  # at the end of a Matroska file: more than rounding and what encoders pad


class _Failed(Exception):
    """The file was not decoded to its end."""


def examine(path: Path) -> Recording:
    """Make sure that a file can be decoded to its end and holds audio, as `audio.examine` does.

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
    """Read a file that was examined before, as `audio.read_blocks` does. To stop early, close the iterator.

    Raises:
        RunError: the file has changed since.
    """
    return as_examined(recording, _decoding(recording.path), (_Failed,))


@contextmanager
def _decoding(path: Path) -> Iterator[Opened]:
    """Give the sample rate, the channels and the samples, float32 [frames, channels], of a file's first audio stream.

    Raises:
        _Failed: there is none, or it is damaged; while the samples are read, too.
    """
    import av  # here, for training asks for no more than the suffixes

    try:
        with av.open(f"file:{path}", options=STRICT, metadata_errors="replace") as container:
            codec = container.streams.audio[0].codec_context if container.streams.audio else None
            if codec is None or not codec.channels:  # of a stream that has no decoder, or about which nothing is known
                raise _Failed
            codec.options = STRICT
            yield codec.sample_rate, codec.channels, _blocks(container)
    except (av.FFmpegError, ValueError):  # the latter where the format changes on the way
        raise _Failed from None


def _blocks(container: InputContainer) -> Iterator[np.ndarray]:
    from av import AudioResampler

    stream = container.streams.audio[0]
    rate, channels = stream.codec_context.sample_rate, stream.codec_context.channels
    converter, frames = AudioResampler(format="flt"), 0
    for gathered in _gathered(_alike(container.decode(stream), rate, channels), max(1, READ_FRAMES // channels)):
        for block in converter.resample(gathered):
            yield block.to_ndarray().reshape(-1, channels)
            frames += block.samples
    if frames < (_declared_seconds(container) - MISSING_SECONDS) * rate:
        raise _Failed


def _alike(decoded: Iterable[AudioFrame], rate: int, channels: int) -> Iterator[AudioFrame]:
    """What is decoded, if it is so to its end; PyAV's fifo, given fewer channels than before, crashes the process."""
    for piece in decoded:
        if (piece.sample_rate, piece.layout.nb_channels) != (rate, channels):
            raise _Failed
        yield piece


def _gathered(decoded: Iterable[AudioFrame], samples: int) -> Iterator[AudioFrame]:
    """Pieces of so many samples, but for the last one, of what is decoded a thousand samples at a time."""
    from av import AudioFifo

    fifo = AudioFifo()
    for piece in decoded:
        piece.pts = None  # the times of pieces may have gaps, which we don't fill
        fifo.write(piece)
        while whole := fifo.read(samples):
            yield whole
    if rest := fifo.read():
        yield rest


def _declared_seconds(container: InputContainer) -> float:
    """What a Matroska file, such as a WebM, says of its length: FFmpeg lets pass that it ends before.

    Of other formats FFmpeg sees it, or the length is an estimate, which is not to be relied on: 0.
    """
    from av import time_base

    if "matroska" not in container.format.name or len(container.streams) > 1:
        return 0.0
    return (container.duration or 0) / time_base
