"""Which library reads a recording: libsndfile, or, what it cannot read rightly, FFmpeg."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import soundfile

from samplernn.audio import ffmpeg, wav
from samplernn.audio.wav import Recording, Unusable

SUFFIXES = wav.SUFFIXES + ffmpeg.SUFFIXES  # of what is looked for in folders
Reader = Callable[[Recording], Iterator[np.ndarray]]  # gives samples, float32 [frames, channels], in blocks
FRAME_COUNTS = (b"Xing", b"Info", b"VBRI")  # what the headers are called that count the frames of MPEG audio
ID3_HEADER = 10  # bytes


def examine(path: Path) -> tuple[Recording, Reader]:
    """Make sure that a file is whole and holds audio, and say what reads it.

    Raises:
        Unusable: for one of the reasons in wav.PROBLEMS.
    """
    if not _is_mpeg_of_unknown_length(path):
        try:
            return wav.examine(path), wav.read_blocks
        except Unusable as error:
            if error.problem != "unreadable" or path.suffix.lower() in wav.SUFFIXES:
                raise
    return ffmpeg.examine(path), ffmpeg.read_blocks


def _is_mpeg_of_unknown_length(path: Path) -> bool:
    """Whether it is an MP3, or the like, whose frames no header counts: libsndfile then guesses how many there are."""
    with suppress(OSError, UnicodeEncodeError, soundfile.LibsndfileError):
        if path.is_file() and soundfile.info(path).format == "MP3":
            with path.open("rb") as file:
                start = file.read(ID3_HEADER)
                if start.startswith(b"ID3"):
                    size = int.from_bytes(start[6:], "big")  # of seven bits a byte
                    file.seek(ID3_HEADER + sum((size >> 8 * place & 0x7F) << 7 * place for place in range(4)))
                else:
                    file.seek(0)
                first_frame = file.read(4096)
            return not any(name in first_frame for name in FRAME_COUNTS)
    return False
