"""A corpus as the codes of an autoencoder: made once, and kept beside the runs that learn them."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from contextlib import closing, suppress
from pathlib import Path

from filelock import FileLock

from samplernn.audio.wav import Recording
from samplernn.corpus.codes import FOLDER_CHARACTERS, CodeSequence, are_there, coded, write_codes
from samplernn.corpus.data import data_of
from samplernn.generation.chain import Chain, Decoder
from samplernn.generation.encoding import Encoder
from samplernn.system.files import cannot_be_written, make_writable_folder
from samplernn.system.progress import ProgressBar
from samplernn.system.words import counted

FOLDER = ".codes"  # in the folder of all runs; a run cannot have a name that begins with a dot


def as_codes(recordings: Iterable[Recording], chain: Chain, parent: Path) -> list[Recording]:
    """The recordings of the codes of some, which need not have been made yet.

    Args:
        recordings: of audio.
        chain: the autoencoders whose codes they are, from the top down.
        parent: the folder of all runs.

    Raises:
        OSError: the audio can't be read.
    """
    return by_level(recordings, chain, parent)[-1]


def make_codes(recordings: Iterable[Recording], chain: Chain, parent: Path, jit_compile: bool | None) -> None:
    """Make those codes of recordings of audio that are not there yet, or are damaged.

    Raises:
        InputError: the folder of all runs can't be written; the message names the flag.
        RunError: the disk refuses, or a recording has changed meanwhile.
    """
    for decoder, (heard, codes) in zip(reversed(chain), itertools.pairwise(by_level(recordings, chain, parent))):
        levels = decoder.config.codes.levels
        missing = [(one, its_codes) for one, its_codes in zip(heard, codes) if not are_there(its_codes, levels)]
        if missing:
            _make(missing, decoder, jit_compile)


def by_level(recordings: Iterable[Recording], chain: Chain, parent: Path) -> list[list[Recording]]:
    """Recordings of audio, those of the codes of it, those of the codes of these, and so on up the chain."""
    levels = [list(recordings)]
    for decoder in reversed(chain):
        folder = parent / FOLDER / decoder.sha256[:FOLDER_CHARACTERS]
        levels.append([coded(recording, folder, decoder.config.codes.hop) for recording in levels[-1]])
    return levels


def _make(missing: list[tuple[Recording, Recording]], decoder: Decoder, jit_compile: bool | None) -> None:
    folder = missing[0][1].path.parent
    make_writable_folder("--logdir_root", folder)
    encode, data, of_model = Encoder(decoder.load(), jit_compile), data_of(decoder.config), decoder.config.codes
    print(f"Encoding {counted(len(missing), 'file')} by {decoder.checkpoint}.", flush=True)
    progress = ProgressBar(len(missing), f"{{}} of {len(missing)} files".format, patience=1, every=10)
    lock = FileLock(folder / ".lock")  # another training may be making them
    try:
        with suppress(NotImplementedError):  # a disk that knows no locks
            lock.acquire()
        with closing(progress):
            for done, (recording, its_codes) in enumerate(missing, 1):
                if not are_there(its_codes, of_model.levels):
                    codes, rate = encode(data.read(recording, 0, recording.length)), recording.sample_rate
                    sequence = CodeSequence(codes, rate, of_model.hop, of_model.levels, decoder.sha256)
                    write_codes(its_codes.path, sequence)
                progress(done)
    except OSError as error:
        raise cannot_be_written(error) from None
    finally:
        lock.release()
