"""What an autoencoder is given to decode: a file of encode.py's, or a recording, of which it makes the codes itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from samplernn.audio.resample import length_at
from samplernn.corpus.codes import CodeSequence, read_codes
from samplernn.corpus.seed import source_of
from samplernn.generation.chain import hash_of
from samplernn.generation.encoding import examine_to_encode
from samplernn.generation.level import GivenCodes
from samplernn.generation.stack import Stack
from samplernn.models.config import Config
from samplernn.options.generate import GenerationOptions
from samplernn.system.errors import InputError, naming

CodesAndFacts = tuple[GivenCodes, dict[str, Any]]  # the facts are what the JSON of a sequence says of the codes


@dataclass(frozen=True)
class ToDecode:
    """What is given to decode.

    Attributes:
        number: of its codes.
        codes: what gives them, with the stack that is to decode them.
    """

    number: int
    codes: Callable[[Stack], CodesAndFacts]


def find_to_decode(
    options: GenerationOptions, checkpoint: Path, config: Config, hop: int, sample_rate: int
) -> ToDecode | None:
    """What the options give an autoencoder to decode; None for what is no autoencoder.

    Args:
        options: the options.
        checkpoint, config: of the model.
        hop: how many samples one of its codes stands for.
        sample_rate: of the audio that it has learnt, Hz.

    Raises:
        InputError: it can't be read, is not this autoencoder's, or is missing or too much.
    """
    given = [name for name in ("reconstruct", "codes") if getattr(options, name)]
    if given and not config.codes:
        raise InputError(f"--{given[0]}: {checkpoint} is no autoencoder, which alone decodes; leave the flag out")
    if config.codes and not given:
        raise InputError(
            f"--checkpoint_path: {checkpoint} is an autoencoder, which only decodes: give it --reconstruct in.wav, or"
            " --codes with a file of encode.py's, or train a model over its codes by train.py --codes_from"
        )
    if options.reconstruct:
        recording = examine_to_encode(options.reconstruct, hop, sample_rate, "reconstruct")
        return ToDecode(length_at(recording, sample_rate) // hop, lambda stack: stack.codes_of_recording(recording))
    if options.codes:
        sequence = _read_codes_of(options.codes, config, checkpoint, sample_rate)
        facts = {"codes": source_of(options.codes)}
        return ToDecode(len(sequence.codes), lambda _: (GivenCodes(sequence.codes), facts))
    return None


def _read_codes_of(path: str, config: Config, checkpoint: Path, sample_rate: int) -> CodeSequence:
    with naming(f"--codes {path}"):
        sequence = read_codes(path)
        remedy = "decode it with the checkpoint that has encoded it"
        for name, ours in {"hop": config.codes.hop, "levels": config.codes.levels, "rate": sample_rate}.items():
            if getattr(sequence, name) != ours:
                raise InputError(f"its {name} is {getattr(sequence, name)}, that of {checkpoint} is {ours}; {remedy}")
        if sequence.encoder != hash_of(checkpoint):
            raise InputError(f"its codes are of another encoder than {checkpoint}; {remedy}")
        return sequence
