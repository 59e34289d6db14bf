"""From MIDI files to WAVs: what render_midi.py does."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from samplernn.audio.wav import MAX_WAV_FRAMES, wav_writer
from samplernn.midi.rendering import Renderer
from samplernn.midi.tunes import SUFFIXES, Unusable, read_tune
from samplernn.options.options import RenderingOptions
from samplernn.system.errors import InputError
from samplernn.system.files import cannot_be_written, files_below, make_writable_folder, numbered, written_aside


@dataclass(frozen=True)
class _Source:
    """A MIDI file to be made audible, the WAV that it becomes, if that is not there, and how long that is."""

    path: Path
    wav: Path
    num_samples: int


def render_files(options: RenderingOptions) -> list[Path]:
    """Write a WAV of each MIDI file, mono, as long as the file is.

    A note begins at the sample that is nearest to its start; by a soundfont, in up to 64 samples more.

    Returns:
        The WAVs' paths.

    Raises:
        InputError: a flag or a file can't be used; nothing is written.
        RunError: the disk refuses, or the program fails.
    """
    render = Renderer(options.soundfont, of_system=False)
    sources = _find(options)
    make_writable_folder("--output_dir", Path(options.output_dir))
    written = []
    for source in sources:
        audio = render(source.path, source.num_samples, options.sample_rate)
        path = next(name for name in numbered(source.wav) if not name.exists())
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with written_aside(path) as aside, wav_writer(aside, options.sample_rate) as write:
                write(audio)
        except OSError as error:
            raise cannot_be_written(error) from None
        print(f"Wrote {path}: {source.num_samples / options.sample_rate:.2f} seconds.", flush=True)
        written.append(path)
    return written


def _find(options: RenderingOptions) -> list[_Source]:
    """The files among those named and in folders, each examined; InputError names all that can't be used."""
    output, sources, complaints = Path(options.output_dir), [], []
    for given in map(Path, options.input_file):
        files = [file for file in files_below(given) if file.suffix.lower() in SUFFIXES] if given.is_dir() else [given]
        if not files:
            complaints.append(f"{given} is a folder without MIDI files")
        root = given if given.is_dir() else given.parent
        for file in files:
            try:
                seconds = _seconds(file)
            except Unusable as error:
                complaints.append(str(error))
                continue
            wav = (output / file.relative_to(root)).with_suffix(".wav")
            sources.append(_Source(file, wav, max(1, round(seconds * options.sample_rate))))
    complaints += [f"{source.path} is too long for a WAV" for source in sources if source.num_samples > MAX_WAV_FRAMES]
    if complaints:
        raise InputError(f"--input_file: {'; '.join(complaints)}; name MIDI files with notes, or folders of them")
    return [*dict.fromkeys(sources)]  # a file may be named twice, as itself and by its folder


def _seconds(path: Path) -> Fraction:
    """How long a file is, exactly."""
    tune = read_tune(path)
    return tune.microseconds(tune.length) / 10**6
