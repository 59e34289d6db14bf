"""From recordings to codes: what an autoencoder makes of them, and what encode.py does."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tensorflow as tf

from samplernn.audio.quantize import quantizer
from samplernn.audio.resample import length_at, read_at
from samplernn.audio.wav import Recording, examine
from samplernn.checkpoints import run_folders
from samplernn.checkpoints import store as checkpoints
from samplernn.checkpoints.settings import model_config, read_settings
from samplernn.corpus.codes import SUFFIX, CodeSequence, write_codes
from samplernn.models import registry
from samplernn.models.config import NO_ITEM, Config
from samplernn.models.model import Autoencoder
from samplernn.options.options import DEFAULT_SAMPLE_RATE, EncodingOptions
from samplernn.system.device import refusals_explained, use_xla
from samplernn.system.errors import InputError
from samplernn.system.files import cannot_be_written, make_writable_folder, sha256

ITEMS_A_CALL = 2**15  # encoded at a time
MEMORY_REMEDY = "close other programs; on a GPU --precision mixed_bfloat16 needs less, too"


class Encoder:
    """Encodes with an autoencoder, whose weights may change between calls."""

    def __init__(self, model: Autoencoder, jit_compile: bool | None = None):
        self.model = model
        self._encode = tf.function(model.encode, autograph=False, jit_compile=use_xla(jit_compile))

    def __call__(self, items: np.ndarray) -> np.ndarray:
        """The codes of a whole recording, int32 [length // hop].

        Args:
            items: [length].
        """
        return np.concatenate([np.empty(0, np.int32), *self._pieces(items)])

    def _pieces(self, items: np.ndarray) -> Iterator[np.ndarray]:
        of_model = self.model.config.codes
        number = len(items) // of_model.hop
        at_once = max(1, ITEMS_A_CALL // of_model.hop)
        length = at_once * of_model.hop + 2 * of_model.context
        outside = np.full(of_model.context, NO_ITEM, items.dtype)
        items = np.concatenate([outside, items, outside])
        for start in range(0, number, at_once):
            window = items[start * of_model.hop :][:length]
            window = np.pad(window, (0, length - len(window)), constant_values=NO_ITEM)
            yield self._encode(tf.constant(window[None]))[0].numpy()[: number - start]


def read_tokens(recording: Recording, config: Config, sample_rate: int) -> np.ndarray:
    """A whole recording as an autoencoder hears it, int32 [n], resampled to its rate in Hz if need be."""
    audio = read_at(recording, sample_rate, 0, length_at(recording, sample_rate))
    return quantizer(config.q_type, config.q_levels).encode(audio)


def hash_of(checkpoint: Path) -> str:
    """By which a checkpoint is known wherever it lies."""
    return sha256(*run_folders.weight_files(checkpoint))


def examine_to_encode(path: str, config: Config, sample_rate: int, flag: str) -> Recording:
    """Make sure that a file is audio of one code at least.

    Raises:
        InputError: it isn't; the message names the flag.
    """
    try:
        recording = examine(Path(path))
    except InputError as error:
        raise InputError(f"--{flag}: {error}; name a WAV, FLAC, OGG or MP3") from None
    if length_at(recording, sample_rate) < config.codes.hop:
        raise InputError(f"--{flag} {path}: {recording.frames} samples, which is less than a code; use longer audio")
    return recording


def encode_files(options: EncodingOptions) -> list[Path]:
    """What encode.py does: write the codes of recordings, an npz each.

    Raises:
        InputError: an option can't be used; the message names it and the remedy.
        RunError: the disk refuses, or a file has changed meanwhile.
    """
    checkpoint = run_folders.resolve(options.checkpoint_path)
    config = model_config(checkpoint, options.config_file)
    if not config.codes:
        raise InputError(f"--checkpoint_path: {checkpoint} is no autoencoder, which alone makes codes")
    rate = (read_settings(checkpoint) or {}).get("sample_rate") or DEFAULT_SAMPLE_RATE
    recordings = [examine_to_encode(path, config, rate, "input_file") for path in options.input_file]
    make_writable_folder("--output_dir", Path(options.output_dir))
    written = []
    with refusals_explained(MEMORY_REMEDY):
        model = registry.build(config, options.precision)
        checkpoints.restore(checkpoint, model)
        encode, encoder_hash = Encoder(model, options.jit_compile), hash_of(checkpoint)
        for recording in recordings:
            codes = encode(read_tokens(recording, config, rate))
            sequence = CodeSequence(codes, rate, config.codes.hop, config.codes.levels, encoder_hash)
            written.append(_write(Path(options.output_dir), recording, sequence))
    return written


def _write(folder: Path, recording: Recording, sequence: CodeSequence) -> Path:
    """Write an npz of a name that is new."""
    stem = recording.path.stem
    names = (folder / f"{stem}{f'_{number}' if number else ''}{SUFFIX}" for number in itertools.count())
    path = next(name for name in names if not name.exists())
    try:
        write_codes(path, sequence)
    except OSError as error:
        raise cannot_be_written(error) from None
    seconds = len(sequence.codes) * sequence.hop / sequence.rate
    print(f"Wrote {path}: {len(sequence.codes)} codes, {seconds:.2f} seconds.", flush=True)
    return path
