"""What a user of chunk_audio.py may set."""

from __future__ import annotations

from dataclasses import MISSING, dataclass

from samplernn.options.option import option
from samplernn.options.values import BOOLEAN, DECIBELS, PATH, SAMPLE_RATE, one_of, optional, several, whole
from samplernn.system.errors import InputError

NORMALIZATIONS = ("peak", "loudness")
SILENCE_DB = -64  # of full scale; what is at it or below is silent


@dataclass(frozen=True)
class ChunkOptions:
    """The options of chunk_audio.py."""

    input_file: tuple[str, ...] = option(
        MISSING,
        several(PATH),
        "the recordings, or folders of them: WAV, FLAC, OGG, MP3 and others",
        repeatable=True,
    )
    output_dir: str = option(MISSING, PATH, "folder for the chunks")
    chunk_length: int = option(8000, whole(1), "length of a chunk, milliseconds")
    overlap: int = option(0, whole(0), "overlap of consecutive chunks, milliseconds; less than their length")
    num_chunks: int | None = option(
        None, optional(whole(1)), "about how many chunks there are to be in all, by which the overlap is chosen"
    )
    sample_rate: int | None = option(
        None, optional(SAMPLE_RATE), "sample rate of the chunks, Hz", "the recording's own"
    )
    mono: bool = option(False, BOOLEAN, "mix the channels down to one")
    remove_dc: bool = option(False, BOOLEAN, "take from each channel of a recording its mean, the DC offset")
    normalize: str | None = option(
        None,
        optional(one_of(*NORMALIZATIONS)),
        "amplify each recording as a whole, to a peak of -1 dB of full scale, or to -16 LUFS where its peak stays below"
        " that",
    )
    silence_thresh: float | None = option(
        SILENCE_DB,
        optional(DECIBELS),
        "what is at it or below is silent, dB of full scale; None keeps silent chunks",
    )
    keep_tail: bool = option(
        False, BOOLEAN, "keep a last piece shorter than a chunk, too, if there is something new in it"
    )
    skip_unusable: bool = option(
        False, BOOLEAN, "leave out recordings that cannot be used, and name them; if False, they are an error"
    )
    replace: bool = option(False, BOOLEAN, "take away the old chunks of these recordings first")

    def __post_init__(self):
        if self.overlap >= self.chunk_length:
            raise InputError(f"--overlap {self.overlap} is not below --chunk_length {self.chunk_length}; choose less")
        if self.overlap and self.num_chunks:
            raise InputError("--num_chunks chooses the overlap, which --overlap says too; leave out one of them")
