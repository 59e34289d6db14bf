"""From recordings to files of codes: what encode.py does."""

from __future__ import annotations

from pathlib import Path

from samplernn.audio.wav import Recording
from samplernn.checkpoints import run_folders
from samplernn.checkpoints import store as checkpoints
from samplernn.checkpoints.settings import model_config, read_settings
from samplernn.corpus.codes import SUFFIX, CodeSequence, write_codes
from samplernn.generation.chain import chain_below, configs_of, hash_of
from samplernn.generation.encoding import examine_to_encode, read_tokens
from samplernn.generation.stack import Stack
from samplernn.models import registry
from samplernn.models.config import hop_of
from samplernn.options.common import DEFAULT_SAMPLE_RATE
from samplernn.options.encode import EncodingOptions
from samplernn.system.device import refusals_explained
from samplernn.system.errors import InputError
from samplernn.system.files import cannot_be_written, make_writable_folder, numbered
from samplernn.system.words import counted

MEMORY_REMEDY = "cut the audio into shorter files"


def encode_files(options: EncodingOptions) -> list[Path]:
    """Write the codes of recordings, an npz each.

    Raises:
        InputError: an option can't be used; the message names it and the remedy.
        RunError: the disk refuses, or a file has changed meanwhile.
    """
    checkpoint = run_folders.resolve(options.checkpoint_path)
    config = model_config(checkpoint, options.config_file)
    if not config.codes:
        raise InputError(f"--checkpoint_path: {checkpoint} is no autoencoder, which alone makes codes; name one")
    rate = (read_settings(checkpoint) or {}).get("sample_rate") or DEFAULT_SAMPLE_RATE
    chain = chain_below(checkpoint, config)
    hop = hop_of([config, *configs_of(chain)])
    recordings = [examine_to_encode(path, hop, rate, "input_file") for path in options.input_file]
    make_writable_folder("--output_dir", Path(options.output_dir))
    with refusals_explained(MEMORY_REMEDY):
        model = registry.build(config, options.precision)
        stack = Stack(model, chain, rate, options.precision, options.jit_compile)
        checkpoints.restore(checkpoint, model)
        encoder = hash_of(checkpoint)
        paths = []
        for recording in recordings:
            codes = stack.encode(read_tokens(recording, stack.configs[-1], rate))
            sequence = CodeSequence(codes, rate, config.codes.hop, config.codes.levels, encoder)
            paths.append(_write(Path(options.output_dir), recording, sequence))
            print(
                f"Wrote {paths[-1]}: {counted(len(codes), 'code')}, {len(codes) * hop / rate:.2f} seconds.", flush=True
            )
    return paths


def _write(folder: Path, recording: Recording, sequence: CodeSequence) -> Path:
    """Write an npz of a name that is new."""
    path = next(name for name in numbered(folder / f"{recording.path.stem}{SUFFIX}") if not name.exists())
    try:
        write_codes(path, sequence)
    except OSError as error:
        raise cannot_be_written(error) from None
    return path
