"""A corpus as the codes of an autoencoder: made once, and kept beside the runs that learn them."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from filelock import FileLock

from samplernn.audio.wav import Recording
from samplernn.corpus.codes import FOLDER_CHARACTERS, CodeSequence, coded, write_codes
from samplernn.corpus.data import data_of
from samplernn.generation.chain import Chain, Decoder
from samplernn.generation.encoding import Encoder
from samplernn.system.files import cannot_be_written
from samplernn.system.progress import ProgressBar
from samplernn.system.words import counted

FOLDER = ".codes"  # in the folder of all runs; no run can have that name by chance


def as_codes(recordings: Iterable[Recording], chain: Chain, parent: Path) -> list[Recording]:
    """The recordings of the codes of some, which need not have been made yet.

    Args:
        recordings: of audio.
        chain: the autoencoders whose codes they are, from the top down.
        parent: the folder of all runs.
    """
    recordings = list(recordings)
    for decoder in reversed(chain):
        recordings = [coded(recording, _folder(parent, decoder), decoder.config.codes.hop) for recording in recordings]
    return recordings


def make_codes(recordings: Iterable[Recording], chain: Chain, parent: Path, jit_compile: bool | None) -> None:
    """Make those codes of recordings of audio that are not there yet.

    Raises:
        RunError: the disk refuses, or a recording has changed meanwhile.
    """
    recordings = list(recordings)
    for decoder in reversed(chain):
        codes = as_codes(recordings, (decoder,), parent)
        missing = [(one, other) for one, other in zip(recordings, codes) if not other.path.exists()]
        if missing:
            _make(missing, decoder, jit_compile)
        recordings = codes


def _folder(parent: Path, decoder: Decoder) -> Path:
    """Of one autoencoder with these weights: another one's codes are elsewhere."""
    return parent / FOLDER / decoder.sha256[:FOLDER_CHARACTERS]


def _make(missing: list[tuple[Recording, Recording]], decoder: Decoder, jit_compile: bool | None) -> None:
    encode, data, of_model = Encoder(decoder.load(), jit_compile), data_of(decoder.config), decoder.config.codes
    folder = missing[0][1].path.parent
    print(f"Encoding {counted(len(missing), 'file')} by {decoder.checkpoint}.", flush=True)
    progress = ProgressBar(len(missing), f"{{}} of {len(missing)} files".format, patience=1, every=10)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / ".lock"), closing(progress):  # another training may be making them
            for done, (recording, its_codes) in enumerate(missing, 1):
                if its_codes.path.exists():
                    continue
                codes = encode(data.read(recording, 0, recording.length))
                rate = recording.sample_rate
                write_codes(its_codes.path, CodeSequence(codes, rate, of_model.hop, of_model.levels, decoder.sha256))
                progress(done)
    except OSError as error:
        raise cannot_be_written(error) from None
