"""Audio that is generated in training, so that one hears what the network has learnt by then."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np
import soundfile

from samplernn.audio.wav import Recording, examine, read_mono, to_pcm16, wav_writer
from samplernn.checkpoints.trained_on import items_of
from samplernn.generation.generate import facts_of_chain, generate_files, level_of
from samplernn.generation.level import GivenCodes
from samplernn.generation.output import output_of
from samplernn.generation.plan import seconds_of_codes
from samplernn.generation.stack import Stack
from samplernn.models.model import Model
from samplernn.options.generate import GenerationOptions
from samplernn.options.train import TrainingOptions
from samplernn.system.errors import InputError
from samplernn.system.files import make_writable_folder, numbered, written_aside
from samplernn.training.beginning import Beginning, check_seed, clip_rate


class Clips:
    """Generates the clips of a training; an autoencoder's are reconstructions of recordings that are held out."""

    def __init__(self, options: TrainingOptions, beginning: Beginning, model: Model):
        corpus_rate = beginning.corpus.sample_rate
        self._options = options
        self._beginning = beginning
        self._output_rate = clip_rate(options, beginning.configs[-1], corpus_rate)
        check_seed(options, model.config, beginning.chain, corpus_rate)
        self._stack = Stack(model, beginning.chain, corpus_rate, options.precision, options.jit_compile)
        self._contexts = self._stack.contexts(options)
        make_writable_folder("--output_dir", Path(options.output_dir, options.id))

    def generate(self, checkpoint: Path, epoch: int) -> list[Path]:
        """Generate with the model as it is now: the paths of the WAVs, an original behind its reconstruction."""
        seed = (self._options.random_seed + epoch) % 2**31  # the flag takes no larger one
        clip = replace(
            _clip(self._options, checkpoint, self._options.id), sample_rate=self._output_rate, random_seed=seed
        )
        if not self._beginning.config.codes:
            return self._generate(checkpoint, clip)
        recordings = self._beginning.audio.validation[: self._options.max_generate_per_epoch]
        return [wav for recording in recordings for wav in self._reconstruct(recording, checkpoint, clip)]

    def _generate(
        self, checkpoint: Path, clip: GenerationOptions, codes: GivenCodes | None = None, facts: dict | None = None
    ) -> list[Path]:
        level, beginning = level_of(self._stack, clip, self._contexts, codes), self._beginning
        facts = (facts or {}) | facts_of_chain(beginning.config, beginning.chain, clip)
        trained_on = partial(items_of, beginning.split.training, beginning.config)
        return generate_files(level, [checkpoint], clip, facts, trained_on)

    def _reconstruct(self, recording: Recording, checkpoint: Path, clip: GenerationOptions) -> list[Path]:
        name = f"{self._options.id}_{'_'.join(PurePosixPath(recording.name).with_suffix('').parts)}"
        clip = replace(clip, output_path=str(Path(clip.output_path).with_name(name)))
        clip = reconstructing(recording, self._stack.hop, clip)
        codes, facts = self._stack.codes_of_recording(recording)
        original = self._original(recording, round(clip.dur * self._output_rate), name)
        return [*self._generate(checkpoint, clip, codes, facts), original]

    def _original(self, recording: Recording, samples: int, name: str) -> Path:
        """The beginning of a recording, written once, under a name that no other file has."""
        audio, folder = read_mono(recording.path, 0, samples), Path(self._options.output_dir, self._options.id)
        paths = numbered(folder / f"{name}_original.wav")
        path = next(path for path in paths if not path.exists() or _holds(path, audio))
        if not path.exists():
            with written_aside(path) as aside, wav_writer(aside, recording.sample_rate) as write:
                write(audio)
        return path


def _holds(path: Path, audio: np.ndarray) -> bool:
    """Whether a file is a WAV of just this audio."""
    try:
        frames = examine(path).frames
    except InputError:
        return False
    return frames == len(audio) and np.array_equal(soundfile.read(path, dtype="int16")[0], to_pcm16(audio))


def audio_like(options: TrainingOptions, beginning: Beginning, checkpoint: Path, name: str) -> GenerationOptions:
    """How generate.py is to be called for what is like that of a run, in a file of the given name."""
    clip = _clip(options, checkpoint, name + output_of(beginning.configs[-1]).suffixes[0])
    if not beginning.config.codes:
        return clip
    hop = beginning.hop * beginning.config.codes.hop
    return reconstructing(beginning.audio.validation[0], hop, clip)


def _clip(options: TrainingOptions, checkpoint: Path, name: str) -> GenerationOptions:
    """The same, but for what an autoencoder is to reconstruct."""
    return GenerationOptions(
        output_path=str(Path(options.output_dir, options.id, name)),
        checkpoint_path=(str(checkpoint),),
        dur=options.output_file_dur,
        num_seqs=options.max_generate_per_epoch,
        sample_rate=options.sample_rate,
        temperature=options.temperature,
        seed=options.seed,
        seed_offset=options.seed_offset,
        precision=options.precision,
        jit_compile=options.jit_compile,
    )


def reconstructing(recording: Recording, hop: int, clip: GenerationOptions) -> GenerationOptions:
    """A clip that reconstructs the beginning of a recording, of which a code stands for so many samples."""
    rate = clip.sample_rate or recording.sample_rate
    longest = seconds_of_codes(recording.frames // hop, hop, rate)
    return replace(clip, reconstruct=str(recording.path), dur=min(clip.dur, longest), num_seqs=1)
