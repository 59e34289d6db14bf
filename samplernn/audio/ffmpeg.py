"""Audio that libsndfile cannot read, decoded by the program ffmpeg, if it is installed, through a pipe."""

from __future__ import annotations

import shutil
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np

from samplernn.audio import wav as audio
from samplernn.audio.wav import READ_FRAMES, Opened, Recording, Unusable, as_examined, require_finite
from samplernn.options.values import SAMPLE_RATE
from samplernn.system.errors import InputError

SUFFIXES = (  # of what people keep music in
    ".aac", ".ac3", ".amr", ".ape", ".dts", ".m4a", ".m4b", ".mka", ".mp2", ".mp4", ".mpc", ".tta", ".webm", ".wma",
    ".wv",
)  # fmt: skip
ALL_SUFFIXES = audio.SUFFIXES + SUFFIXES
HEADER = struct.Struct(">6I")  # of AU: magic, where the samples begin, their bytes, encoding, rate, channels
ITEM = np.dtype(">f4")


class _Failed(Exception):
    """ffmpeg did not decode the file to its end."""


def examine(path: Path) -> Recording:
    """Make sure that ffmpeg decodes a file to its end and finds audio, as `audio.examine` does.

    Raises:
        Unusable: it doesn't.
        InputError: ffmpeg is not installed.
    """
    if not shutil.which("ffmpeg"):
        raise InputError(f"{path} is not audio that can be read without ffmpeg; install ffmpeg, or convert it to WAV")
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
    """Give the sample rate, the channels and the samples, float32 [frames, channels]; in the end, ffmpeg is gone."""
    # Of protocols only that of files: some formats are lists of addresses.
    source = ["-protocol_whitelist", "file", "-i", f"file:{path}", "-map", "0:a:0"]
    command = ["ffmpeg", "-nostdin", "-v", "error", "-xerror", *source, "-c:a", "pcm_f32be", "-f", "au", "-"]
    streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, **streams) as process:
        try:
            header = process.stdout.read(HEADER.size)
            if len(header) < HEADER.size:
                raise _Failed
            _, start, _, _, rate, channels = HEADER.unpack(header)
            process.stdout.read(start - HEADER.size)
            yield rate, channels, _blocks(process, channels)
        finally:
            process.kill()


def _blocks(process: subprocess.Popen[BinaryIO], channels: int) -> Iterator[np.ndarray]:
    frame = ITEM.itemsize * channels
    while data := process.stdout.read(max(1, READ_FRAMES // channels) * frame):
        if len(data) % frame:
            raise _Failed
        yield np.frombuffer(data, ITEM).astype(np.float32).reshape(-1, channels)
    if process.wait() != 0:
        raise _Failed
