"""What generated sequences begin from: silence, or a stretch of a recording."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from samplernn.audio.resample import length_at, own_samples, read_at
from samplernn.audio.wav import Recording, examine
from samplernn.corpus.data import data_of
from samplernn.models.config import NO_ITEM, Config
from samplernn.system.errors import InputError
from samplernn.system.files import sha256


@dataclass(frozen=True)
class Context:
    """What the network reads before it generates, the same for all sequences."""

    tokens: np.ndarray  # int32 [left + n], as many as the model needs or more
    seed: dict[str, Any] | None = None  # the audio that they are from, as the JSON says it; None: silence
    padding: int = 0  # how many of the tokens, the first, are before the audio
    codes: np.ndarray | None = None  # of an autoencoder, those of the n and of its reach before them

    @property
    def heard(self) -> np.ndarray:
        """The tokens of the audio."""
        return self.tokens[self.padding :]


def seed_context(
    config: Config, sample_rate: int, seed: str | None, offset: int = 0, dur: float | None = None
) -> Context:
    """A stretch of the seed audio, or silence.

    Args:
        config: of the model.
        sample_rate: Hz, that of the audio that the model has learnt.
        seed: path of the audio, of any sample rate; None for silence.
        offset: where the stretch begins, in samples of that audio.
        dur: its length in seconds; None for the config's seed_length, or as much as there is. Behind the left context,
            of which the config's seed_padding is none of the audio's, a multiple of the config's seed_multiple is read,
            as much as fits in.

    Raises:
        InputError: the seed is not audio, or ends before the stretch does.
        RunError: it has changed while it was read.
    """
    data, left = data_of(config), config.window.left
    if seed is None:
        return silence(config)
    own_left = left - config.seed_padding
    recording = examine_seed(seed)
    there = length_at(recording, sample_rate, offset)
    wished = round(dur * sample_rate) if dur else min(config.seed_length, there)
    multiples = (wished - own_left) // config.seed_multiple
    length = own_left + max(multiples, 0 if own_left else 1) * config.seed_multiple
    check_length(recording, sample_rate, length, offset, dur)
    tokens = data.encode(read_at(recording, sample_rate, offset, length))
    padding = np.full(config.seed_padding, data.padding)
    source = source_of(recording, sample_rate, offset, length)
    return Context(np.concatenate([padding, tokens]), source, config.seed_padding)


def silence(config: Config) -> Context:
    """What is before a recording's first item."""
    codes = np.full(config.codes.reach, NO_ITEM) if config.codes else None
    return Context(np.full(config.window.left, data_of(config).padding), codes=codes)


def examine_seed(seed: str) -> Recording:
    """Make sure that the seed is audio.

    Raises:
        InputError: it isn't.
    """
    return examine_named(seed, "seed")


def examine_named(path: str, flag: str) -> Recording:
    """Make sure that the file that a flag names is audio.

    Raises:
        InputError: it isn't; the message names the flag.
    """
    try:
        return examine(Path(path))
    except InputError as error:
        raise InputError(f"--{flag}: {error}; name a WAV, FLAC, OGG or MP3") from None


def source_of(recording: Recording, sample_rate: int, offset: int, length: int) -> dict[str, Any]:
    """What the JSON says of a stretch of so many samples at a rate in Hz."""
    source = {"path": str(recording.path.absolute()), "sha256": sha256(recording.path), "offset": offset}
    own_rate = {"sample_rate": recording.sample_rate} if recording.sample_rate != sample_rate else {}
    return source | own_rate | {"dur": length / sample_rate}


def check_length(recording: Recording, sample_rate: int, length: int, offset: int, dur: float | None) -> None:
    """Refuse a stretch of `length` samples at `sample_rate` that is not all there."""
    seed, needed = recording.path, own_samples(recording, sample_rate, length)
    largest = recording.frames - needed
    if largest < 0 and dur:
        seconds = int(1000 * recording.frames / recording.sample_rate) / 1000
        raise InputError(f"--seed_dur {dur}: {seed} has only {seconds} seconds; choose less, or use longer audio")
    if largest < 0:
        raise InputError(f"--seed {seed}: {recording.frames} samples, {needed} are needed; use longer audio")
    if offset > largest:
        shorter = f" with --seed_dur {dur}" if dur else ""
        raise InputError(
            f"--seed_offset {offset} is too far into {seed}; {largest} is the largest that will do{shorter}"
        )
