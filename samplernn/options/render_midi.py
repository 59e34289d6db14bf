"""What a user of render_midi.py may set."""

from __future__ import annotations

from dataclasses import MISSING, dataclass

from samplernn.options.common import DEFAULT_SAMPLE_RATE
from samplernn.options.option import option, with_default
from samplernn.options.train import TrainingOptions
from samplernn.options.values import PATH, SAMPLE_RATE, optional, several


@dataclass(frozen=True)
class RenderingOptions:
    """The options of render_midi.py."""

    input_file: tuple[str, ...] = option(
        MISSING, several(PATH), "MIDI files, or folders of them, .mid and .midi", repeatable=True
    )
    output_dir: str = option(
        MISSING, PATH, "folder for the WAV files, in which they lie as the MIDI files do in theirs"
    )
    sample_rate: int = option(DEFAULT_SAMPLE_RATE, SAMPLE_RATE, "sample rate of the WAV files, Hz")
    soundfont: str | None = option(
        None,
        optional(PATH),
        "soundfont with which the program fluidsynth plays them",
        "a synthesizer of our own, exact to the sample",
    )
    skip_unusable: bool = with_default(TrainingOptions, "skip_unusable", False)
