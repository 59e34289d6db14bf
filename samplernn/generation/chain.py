"""The autoencoders below a model over codes: which they are, where they lie, whether they fit each other."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from samplernn.checkpoints import run_folders
from samplernn.checkpoints import store as checkpoints
from samplernn.checkpoints.settings import model_config, read_settings
from samplernn.models import registry
from samplernn.models.config import Config
from samplernn.models.model import Autoencoder
from samplernn.system.errors import InputError
from samplernn.system.files import sha256
from samplernn.system.words import counted

FOLDER = "chain"  # in a run folder, with the copies


@dataclass(frozen=True)
class Decoder:
    """An autoencoder that decodes what the level above generates.

    Attributes:
        checkpoint: the checkpoint.
        config: of its network.
        sha256: by which it is known wherever it lies.
        sample_rate: of the audio at the bottom, Hz, if it is known.
    """

    checkpoint: Path
    config: Config
    sha256: str
    sample_rate: int | None

    def load(self, precision: str = "float32") -> Autoencoder:
        """Its network."""
        model = registry.build(self.config, precision)
        checkpoints.restore(self.checkpoint, model)
        return model


Chain = tuple[Decoder, ...]  # from the top down; the last one's items are samples


def configs_of(chain: Chain) -> list[Config]:
    """Those of the autoencoders, from the top down."""
    return [decoder.config for decoder in chain]


def hash_of(checkpoint: Path) -> str:
    """By which a checkpoint is known wherever it lies."""
    return sha256(*run_folders.weight_files(checkpoint))


def chain_from(path: str) -> Chain:
    """The autoencoder that --codes_from names, and those below it.

    Raises:
        InputError: it is none, or one below is not to be found.
    """
    try:
        checkpoint = run_folders.resolve(path)
        decoder = _decoder(checkpoint, hash_of(checkpoint))
        if not decoder.config.codes:
            raise InputError(f"{checkpoint} is no autoencoder; docs/families.md says which configs are")
        return (decoder, *chain_below(checkpoint, decoder.config))
    except InputError as error:
        raise InputError(f"--codes_from {path}: {error}") from None


def _decoder(checkpoint: Path, sha256_: str) -> Decoder:
    rate = (read_settings(checkpoint) or {}).get("sample_rate")
    return Decoder(checkpoint, model_config(checkpoint, None), sha256_, rate)


def chain_below(
    checkpoint: Path, config: Config, decoder_path: Sequence[str] = (), remedy: str = "put it back there"
) -> Chain:
    """The autoencoders below a checkpoint; there are none below one of audio.

    Args:
        checkpoint, config: of the model above.
        decoder_path: where they lie, from the top down, if not in its run folder or where they were.
        remedy: what a user can do where one is not to be found.

    Raises:
        InputError: one is not to be found, or is another, or they do not fit each other.
    """
    known = (read_settings(checkpoint) or {}).get("chain", [])
    if config.data == "audio":
        if decoder_path:
            raise InputError(f"--decoder_path: {checkpoint} is of audio, and has none; leave the flag out")
        return ()
    if not known:
        raise InputError(f"{checkpoint} does not know whose codes it has learnt; it is of no use without its JSON")
    if decoder_path and len(decoder_path) != len(known):
        raise InputError(
            f"--decoder_path: {checkpoint} has {counted(len(known), 'autoencoder')} below it, and there are"
            f" {counted(len(decoder_path), 'path')}; name one for each, from the top down"
        )
    named = list(map(_resolve_named, decoder_path)) or [None] * len(known)
    copies = [run_folders.latest_in(folder) for folder in _folders_of_copies(checkpoint.parent, len(known))]
    chain = tuple(
        _find(level, fact, [place] if place else [copy, Path(fact["path"])], remedy)
        for level, (fact, place, copy) in enumerate(zip(known, named, copies), 1)
    )
    _check_fit(checkpoint, config, chain)
    return chain


def _resolve_named(path: str) -> Path:
    try:
        return run_folders.resolve(path)
    except InputError as error:
        raise InputError(f"--decoder_path: {error}") from None


def _find(level: int, fact: dict[str, Any], places: Sequence[Path | None], remedy: str) -> Decoder:
    """The autoencoder of a level, where it lies and has not changed."""
    there = [place for place in places if place and run_folders.is_complete(place)]
    for checkpoint in there:
        if hash_of(checkpoint) == fact["sha256"]:
            return _decoder(checkpoint, fact["sha256"])
    where = f"{there[0]} has changed, or is another" if there else f"{fact['path']} is not there any more"
    raise InputError(f"the autoencoder of level {level} below it, whose codes it has learnt: {where}; {remedy}")


def _check_fit(checkpoint: Path, config: Config, chain: Chain) -> None:
    if len({decoder.sha256 for decoder in chain}) < len(chain):
        raise InputError("its chain of autoencoders is a circle: one of them is below itself")
    levels = [(checkpoint, config), *((decoder.checkpoint, decoder.config) for decoder in chain)]
    for (above, of_above), (below, of_below) in itertools.pairwise(levels):
        if of_above.data != "codes" or not of_below.codes or of_above.q_levels != of_below.codes.levels:
            raise InputError(f"{above} is not of the codes of {below}: a level is missing, or one is another's")
    if chain[-1].config.data != "audio":
        raise InputError(f"{chain[-1].checkpoint} is of codes, and what they are codes of is missing")


def as_settings(chain: Chain) -> list[dict[str, Any]]:
    """What a checkpoint's JSON says of those below it."""
    return [
        {
            "path": str(decoder.checkpoint.absolute()),
            "sha256": decoder.sha256,
            "hop": decoder.config.codes.hop,
            "levels": decoder.config.codes.levels,
            "rate": decoder.sample_rate,
        }
        for decoder in chain
    ]


def copy_into(run: Path, chain: Chain) -> None:
    """Keep a copy of each in a run folder, for rotation may delete the originals.

    Raises:
        OSError: the disk refuses.
    """
    for decoder, folder in zip(chain, _folders_of_copies(run, len(chain))):
        folder.mkdir(parents=True)
        for file in run_folders.files_of(decoder.checkpoint):
            shutil.copy(file, folder)


def _folders_of_copies(run: Path, number: int) -> Iterator[Path]:
    return (run / FOLDER / str(level) for level in range(1, number + 1))
