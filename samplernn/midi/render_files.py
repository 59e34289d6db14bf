"""From MIDI files to WAVs: what render_midi.py does."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from samplernn.audio.wav import MAX_WAV_FRAMES, wav_writer
from samplernn.midi.clock import MICROSECONDS
from samplernn.midi.rendering import Renderer
from samplernn.midi.tunes import SUFFIXES, read_tune
from samplernn.options.render_midi import RenderingOptions
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
    output, sources, complaints, unusable = Path(options.output_dir), {}, [], []
    for given in map(Path, options.input_file):
        files = [file for file in files_below(given) if file.suffix.lower() in SUFFIXES] if given.is_dir() else [given]
        if not files:
            complaints.append(f"{given} is a folder without MIDI files")
        root = given if given.is_dir() else given.parent
        for file in files:
            wav = (output / file.relative_to(root)).with_suffix(".wav")
            try:
                source = _Source(file, wav, _num_samples(file, options.sample_rate))
            except InputError as error:
                unusable.append(str(error))
            else:
                sources.setdefault(file.resolve(), source)  # it may be named twice
    if not options.skip_unusable or not sources:
        complaints += unusable
    if complaints:
        raise InputError(f"--input_file: {'; '.join(complaints)}; name MIDI files with notes, or folders of them")
    for problem in unusable:
        print(f"{problem}. Left out.")
    return [*sources.values()]


def _num_samples(path: Path, sample_rate: int) -> int:
    """How long the WAV of a file is; InputError if the file can't be used, or is too long for one."""
    tune = read_tune(path)
    number = max(1, round(tune.microseconds(tune.length) * sample_rate / MICROSECONDS))
    if number > MAX_WAV_FRAMES:
        raise InputError(f"{path} is too long for a WAV")
    return number
