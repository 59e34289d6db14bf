"""Audio that is generated in training, so that one hears what the network has learnt by then."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from samplernn.audio.wav import Recording, read_mono, wav_writer
from samplernn.generation.decoding import codes_of_recording
from samplernn.generation.encoding import Encoder
from samplernn.generation.generate import generate_files
from samplernn.generation.generator import Generator
from samplernn.models.model import Model
from samplernn.options.options import GenerationOptions, TrainingOptions
from samplernn.system.files import make_writable_folder, written_aside
from samplernn.training.beginning import Beginning, prepare_clips


class Clips:
    """Generates the clips of a training; an autoencoder's are reconstructions of recordings that are held out."""

    def __init__(self, options: TrainingOptions, beginning: Beginning, model: Model):
        self._options = options
        self._beginning = beginning
        self._output_rate, self._context = prepare_clips(options, model.config, beginning.corpus.sample_rate)
        self._generator = Generator(model, options.jit_compile)
        self._encode = Encoder(model, options.jit_compile) if model.config.codes else None
        make_writable_folder("--output_dir", Path(options.output_dir, options.id))

    def generate(self, checkpoint: Path, epoch: int) -> list[Path]:
        """Generate with the model as it is now: the paths of the WAVs, an original behind its reconstruction."""
        seed = (self._options.random_seed + epoch) % 2**31  # the flag takes no larger one
        clip = replace(
            audio_like(self._options, self._beginning, checkpoint, self._options.id),
            sample_rate=self._output_rate,
            random_seed=seed,
        )
        if not self._encode:
            return generate_files(self._generator, checkpoint, self._context, clip)
        recordings = self._beginning.split.validation[: self._options.max_generate_per_epoch]
        return [wav for recording in recordings for wav in self._reconstruct(recording, checkpoint, clip)]

    def _reconstruct(self, recording: Recording, checkpoint: Path, clip: GenerationOptions) -> list[Path]:
        name = f"{self._options.id}_{recording.path.stem}"
        clip = reconstructing(recording, replace(clip, output_path=str(Path(clip.output_path).with_name(name))))
        codes = codes_of_recording(clip.reconstruct, self._encode, recording.sample_rate)
        return [
            *generate_files(self._generator, checkpoint, self._context, clip, codes),
            self._original(recording, round(clip.dur * recording.sample_rate), name),
        ]

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
    return reconstructing(beginning.split.validation[0], clip) if beginning.config.codes else clip


def reconstructing(recording: Recording, clip: GenerationOptions) -> GenerationOptions:
    """A clip that reconstructs the beginning of a recording."""
    seconds = recording.frames / recording.sample_rate
    return replace(clip, reconstruct=str(recording.path), dur=min(clip.dur, seconds), num_seqs=1)
