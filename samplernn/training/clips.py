"""Audio that is generated in training, so that one hears what the network has learnt by then."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from samplernn.audio.wav import Recording, read_mono, wav_writer
from samplernn.generation.generate import facts_of_chain, generate_files, level_of
from samplernn.generation.level import GivenCodes
from samplernn.generation.stack import Stack
from samplernn.models.model import Model
from samplernn.options.options import GenerationOptions, TrainingOptions
from samplernn.system.files import make_writable_folder, written_aside
from samplernn.training.beginning import Beginning, check_seed, clip_rate


class Clips:
    """Generates the clips of a training; an autoencoder's are reconstructions of recordings that are held out."""

    def __init__(self, options: TrainingOptions, beginning: Beginning, model: Model):
        corpus_rate = beginning.corpus.sample_rate
        self._options = options
        self._beginning = beginning
        self._output_rate = clip_rate(options, corpus_rate)
        check_seed(options, model.config, corpus_rate)
        self._stack = Stack(model, beginning.chain, corpus_rate, options.precision, options.jit_compile)
        self._contexts = self._stack.contexts(options)
        make_writable_folder("--output_dir", Path(options.output_dir, options.id))

    def generate(self, checkpoint: Path, epoch: int) -> list[Path]:
        """Generate with the model as it is now: the paths of the WAVs, an original behind its reconstruction."""
        seed = (self._options.random_seed + epoch) % 2**31  # the flag takes no larger one
        clip = replace(
            audio_like(self._options, self._beginning, checkpoint, self._options.id),
            sample_rate=self._output_rate,
            random_seed=seed,
        )
        if not self._beginning.config.codes:
            return self._generate(checkpoint, clip)
        recordings = held_out_audio(self._beginning)[: self._options.max_generate_per_epoch]
        return [wav for recording in recordings for wav in self._reconstruct(recording, checkpoint, clip)]

    def _generate(
        self, checkpoint: Path, clip: GenerationOptions, codes: GivenCodes | None = None, facts: dict | None = None
    ) -> list[Path]:
        level = level_of(self._stack, clip, self._contexts, codes)
        return generate_files(
            level, checkpoint, clip, (facts or {}) | facts_of_chain(self._beginning.config, self._beginning.chain, clip)
        )

    def _reconstruct(self, recording: Recording, checkpoint: Path, clip: GenerationOptions) -> list[Path]:
        name = f"{self._options.id}_{recording.path.stem}"
        clip = reconstructing(recording, replace(clip, output_path=str(Path(clip.output_path).with_name(name))))
        codes, facts = self._stack.codes_of_recording(clip.reconstruct)
        original = self._original(recording, round(clip.dur * recording.sample_rate), name)
        return [*self._generate(checkpoint, clip, codes, facts), original]

    def _original(self, recording: Recording, samples: int, name: str) -> Path:
        """The beginning of a recording, written once."""
        path = Path(self._options.output_dir, self._options.id, f"{name}_original.wav")
        if not path.exists():
            with written_aside(path) as aside, wav_writer(aside, recording.sample_rate) as write:
                write(read_mono(recording.path, 0, samples))
        return path


def audio_like(options: TrainingOptions, beginning: Beginning, checkpoint: Path, name: str) -> GenerationOptions:
    """How generate.py is to be called for audio like that of a run, in a file of the given name."""
    clip = GenerationOptions(
        output_path=str(Path(options.output_dir, options.id, name)),
        checkpoint_path=str(checkpoint),
        dur=options.output_file_dur,
        num_seqs=options.max_generate_per_epoch,
        sample_rate=options.sample_rate,
        temperature=options.temperature,
        seed=options.seed,
        seed_offset=options.seed_offset,
        precision=options.precision,
        jit_compile=options.jit_compile,
    )
    return reconstructing(held_out_audio(beginning)[0], clip) if beginning.config.codes else clip


def held_out_audio(beginning: Beginning) -> list[Recording]:
    """The recordings of audio that are held out."""
    by_name = {recording.name: recording for recording in beginning.recordings}
    return [by_name[recording.name] for recording in beginning.split.validation]


def reconstructing(recording: Recording, clip: GenerationOptions) -> GenerationOptions:
    """A clip that reconstructs the beginning of a recording."""
    return replace(clip, reconstruct=str(recording.path), dur=min(clip.dur, recording.seconds), num_seqs=1)
