"""Whether what an autoencoder reconstructs can be recognised: correlations of mel spectrograms of held-out files.

    python benchmarks/reconstructions.py --checkpoint_path logdir/below

A reconstruction is compared with the original, and with those of the other files, whose correlation says what any music
of the kind has in common.
"""

from __future__ import annotations

import sys
from dataclasses import MISSING, dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import numpy as np

from samplernn.audio.spectrogram import mel_spectrogram
from samplernn.audio.wav import read_mono
from samplernn.checkpoints import store
from samplernn.commands import cli
from samplernn.commands.flags import Parser
from samplernn.evaluation.candidates import find_candidates
from samplernn.generation.stack import Stack
from samplernn.models import registry
from samplernn.options.common import SoundOptions
from samplernn.options.evaluate import EvaluationOptions
from samplernn.options.option import option, options_of, with_default
from samplernn.options.values import PATH, TEMPERATURE, whole
from samplernn.system.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Options:
    """What the flags are."""

    checkpoint_path: str = option(MISSING, PATH, "checkpoint of an autoencoder, or its run folder")
    data_dir: tuple[str, ...] = with_default(EvaluationOptions, "data_dir", ())
    files: int = option(8, whole(2), "how many files, the first of those that are held out")
    temperature: float = option(0.95, TEMPERATURE, "of the reconstructions")
    random_seed: int = option(0, whole(0), "of the reconstructions")


def main() -> None:
    given = Options(**Parser(__doc__.splitlines()[0], options_of(Options)).parse())
    originals, reconstructions = reconstruct(given)
    between = correlations(originals, reconstructions)
    own, others = np.diag(between), between[~np.eye(len(between), dtype=bool)]
    print(f"with the original: mean {own.mean():.3f}, least {own.min():.3f}")
    print(f"with the others: mean {others.mean():.3f}, most {others.max():.3f}")
    print(f"nearest to its original: {np.sum(between.argmax(axis=1) == np.arange(len(between)))} of {len(between)}")


def reconstruct(given: Options) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """The mel spectrograms of files and of their reconstructions."""
    (candidate,) = find_candidates(
        EvaluationOptions(checkpoint_path=(given.checkpoint_path,), data_dir=given.data_dir, held_out=True)
    )
    if not candidate.config.codes:
        raise InputError(f"--checkpoint_path: {candidate.checkpoint} is no autoencoder; name one")
    recordings = candidate.recordings[: given.files]
    model, rate = registry.build(candidate.config), recordings[0].sample_rate
    store.restore(candidate.checkpoint, model)
    stack = Stack(model, candidate.chain, rate)
    contexts = stack.contexts(SoundOptions())
    length = min(recording.frames for recording in recordings) // stack.hop * stack.hop

    def reconstruction(recording) -> np.ndarray:
        codes, _ = stack.codes_of_recording(recording)
        level = stack.level(contexts, [given.temperature], [given.temperature], given.random_seed, codes)
        pieces = map(level.generator.output.decode, level.pieces(range(1), length))
        return np.concatenate([piece[0] for piece in pieces])

    originals = [mel_spectrogram(read_mono(recording.path, 0, length), rate) for recording in recordings]
    return originals, [mel_spectrogram(reconstruction(recording), rate) for recording in recordings]


def correlations(originals: list[np.ndarray], reconstructions: list[np.ndarray]) -> np.ndarray:
    """Of each reconstruction, a row, with each original, a column."""
    spectrograms = [spectrogram.ravel() for spectrogram in (*originals, *reconstructions)]
    return np.corrcoef(spectrograms)[len(originals) :, : len(originals)]


if __name__ == "__main__":
    cli.run(main)
