"""What an autoencoder is given to decode: the codes of a recording, or those of a file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from samplernn.corpus.codes import CodeSequence, read_codes
from samplernn.generation.encoding import Encoder, examine_to_encode, hash_of, read_tokens
from samplernn.models.config import NO_ITEM, Config
from samplernn.options.options import GenerationOptions
from samplernn.system.errors import InputError
from samplernn.system.files import sha256


@dataclass(frozen=True)
class CodesToDecode:
    """The codes that all sequences follow.

    Attributes:
        codes: int32 [n].
        source: the file that they are from, as the JSON says it.
    """

    codes: np.ndarray
    source: dict[str, Any]

    def pieces(self, rows: int, reach: int) -> Iterator[np.ndarray]:
        """They, for so many sequences, int32 [B, n] in pieces; before them so many that are none."""
        yield np.full([rows, reach], NO_ITEM, np.int32)
        yield np.repeat(self.codes[None], rows, axis=0)


def codes_of_recording(path: str, encode: Encoder, sample_rate: int) -> CodesToDecode:
    """What an autoencoder makes of a recording, of any rate; its own is given in Hz.

    Raises:
        InputError: the recording cannot be used.
    """
    config = encode.model.config
    recording = examine_to_encode(path, config, sample_rate, "reconstruct")
    codes = encode(read_tokens(recording, config, sample_rate))
    return CodesToDecode(codes, {"reconstructs": _facts(path)})


def codes_of_file(path: str, config: Config, checkpoint: Path, sample_rate: int | None) -> CodesToDecode:
    """What encode.py has written.

    Args:
        path: of the npz.
        config, checkpoint, sample_rate: of the autoencoder that is to decode them.

    Raises:
        InputError: it can't be read, or is not of this autoencoder.
    """
    try:
        sequence = read_codes(path)
        _check_maker(sequence, config, checkpoint, sample_rate)
    except InputError as error:
        raise InputError(f"--codes {path}: {error}") from None
    return CodesToDecode(sequence.codes, {"codes": _facts(path)})


def _check_maker(sequence: CodeSequence, config: Config, checkpoint: Path, sample_rate: int | None) -> None:
    ours = {"hop": config.codes.hop, "levels": config.codes.levels, "rate": sample_rate or sequence.rate}
    for name, value in ours.items():
        if getattr(sequence, name) != value:
            raise InputError(
                f"its {name} is {getattr(sequence, name)}, that of {checkpoint} is {value}; decode it with the"
                " checkpoint that has encoded it"
            )
    if sequence.encoder != hash_of(checkpoint):
        raise InputError(
            f"its codes are of another encoder than {checkpoint}; decode it with the checkpoint that has encoded it"
        )


def check_what_is_decoded(options: GenerationOptions, config: Config, checkpoint: Path) -> None:
    """An autoencoder needs something to decode, and nothing else takes it.

    Raises:
        InputError: something is missing or too much.
    """
    given = [name for name in ("reconstruct", "codes") if getattr(options, name)]
    if given and not config.codes:
        raise InputError(f"--{given[0]}: {checkpoint} is no autoencoder, which alone decodes; leave the flag out")
    if config.codes and not given:
        raise InputError(
            f"--checkpoint_path: {checkpoint} is an autoencoder, which only decodes; give it --reconstruct in.wav, or"
            " --codes with a file of encode.py's"
        )


def _facts(path: str) -> dict[str, str]:
    return {"path": str(Path(path).absolute()), "sha256": sha256(Path(path))}
