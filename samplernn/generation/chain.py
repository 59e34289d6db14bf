"""The autoencoders below a model over codes: which they are, where they lie, whether they fit each other."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from samplernn.checkpoints import run_folders
from samplernn.checkpoints import store as checkpoints
from samplernn.checkpoints.settings import model_config, read_settings
from samplernn.models import registry
from samplernn.models.config import Config
from samplernn.models.model import Autoencoder
from samplernn.system.errors import InputError, naming
from samplernn.system.files import sha256
from samplernn.system.words import counted

FOLDER = "chain"  # in a run folder, with the copies
REMEDY_FOR_JSON = "its JSON has been changed: put back what train.py wrote"


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
    with naming("--codes_from"):
        checkpoint = run_folders.resolve(path)
        decoder = _decoder(checkpoint)
        return (decoder, *chain_below(checkpoint, decoder.config))


def _decoder(checkpoint: Path) -> Decoder:
    settings = read_settings(checkpoint)
    if settings is None:
        raise InputError(f"{checkpoint} is no autoencoder's, or its JSON is not beside it; name the run folder of one")
    config = model_config(checkpoint, None)
    if not config.codes:
        raise InputError(f"{checkpoint} is no autoencoder; docs/families.md says which configs are")
    return Decoder(checkpoint, config, hash_of(checkpoint), settings.get("sample_rate"))


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
    if config.data != "codes":
        if decoder_path:
            raise InputError(f"--decoder_path: {checkpoint} is of {config.data}, and has none; leave the flag out")
        return ()
    if not known:
        raise InputError(f"{checkpoint} does not know whose codes it has learnt; put its JSON back beside it")
    if decoder_path and len(decoder_path) != len(known):
        raise InputError(
            f"--decoder_path: {checkpoint} has {counted(len(known), 'autoencoder')} below it, and there are"
            f" {counted(len(decoder_path), 'path')}; name one for each, from the top down"
        )
    if decoder_path:
        chain = tuple(_named(checkpoint, *of_level) for of_level in zip(known, decoder_path))
    else:
        copies = [run_folders.latest_in(folder) for folder in _folders_of_copies(checkpoint.parent, len(known))]
        chain = tuple(_kept(checkpoint, fact, copy, remedy) for fact, copy in zip(known, copies))
    _check_fit(checkpoint, config, chain)
    return chain


def _named(above: Path, fact: dict[str, Any], path: str) -> Decoder:
    """The autoencoder of a level, as a path of --decoder_path has it."""
    with naming("--decoder_path"):
        place = run_folders.resolve(path)
        if decoder := _at(place, fact):
            return decoder
        raise InputError(
            f"{place} is not {fact['path']}, over which {above} was trained, or has changed; name that, and those of"
            " several levels from the top down"
        )


def _kept(above: Path, fact: dict[str, Any], copy: Path | None, remedy: str) -> Decoder:
    """The autoencoder of a level: the copy in the run folder above, or where it was."""
    there = [place for place in (copy, Path(fact["path"])) if place and run_folders.is_complete(place)]
    for place in there:
        if decoder := _at(place, fact):
            return decoder
    lost = f"{there[0]}, or the JSON beside it, has changed" if there else f"{fact['path']} is not there any more"
    raise InputError(f"{above} was trained over an autoencoder that is lost: {lost}; {remedy}")


def _at(place: Path, fact: dict[str, Any]) -> Decoder | None:
    """The autoencoder that lies somewhere, if it is the one that the settings above speak of."""
    with suppress(InputError):  # what has no JSON any more, or a damaged one, is as good as gone
        decoder = _decoder(place)
        if _facts(decoder).items() <= fact.items():
            return decoder
    return None


def _check_fit(checkpoint: Path, config: Config, chain: Chain) -> None:
    if len({hash_of(checkpoint), *(decoder.sha256 for decoder in chain)}) < 1 + len(chain):
        raise InputError(f"{checkpoint}: its chain is a circle, for one is below itself; {REMEDY_FOR_JSON}")
    levels = [(checkpoint, config), *((decoder.checkpoint, decoder.config) for decoder in chain)]
    for (above, of_above), (below, of_below) in itertools.pairwise(levels):
        if of_above.data != "codes" or of_above.q_levels != of_below.codes.levels:
            missing = "a level is missing, or one is another's"
            raise InputError(f"{above} is not of the codes of {below}: {missing}; {REMEDY_FOR_JSON}")
    if chain[-1].config.data != "audio":
        missing = f"{chain[-1].checkpoint} is of codes, and what they are codes of is missing"
        raise InputError(f"{missing}; {REMEDY_FOR_JSON}")


def as_settings(chain: Chain) -> list[dict[str, Any]]:
    """What a checkpoint's JSON says of those below it."""
    return [{"path": str(decoder.checkpoint.absolute()), **_facts(decoder)} for decoder in chain]


def _facts(decoder: Decoder) -> dict[str, Any]:
    """What has to be the same wherever it lies."""
    of_config = decoder.config.codes
    return {"sha256": decoder.sha256, "hop": of_config.hop, "levels": of_config.levels, "rate": decoder.sample_rate}


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
