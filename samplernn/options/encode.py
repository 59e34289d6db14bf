"""What a user of encode.py may set."""

from __future__ import annotations

from dataclasses import MISSING, dataclass

from samplernn.options.common import ComputationOptions
from samplernn.options.generate import GenerationOptions
from samplernn.options.option import option, with_default
from samplernn.options.values import PATH, several


@dataclass(frozen=True, kw_only=True)
class EncodingOptions(ComputationOptions):
    """The options of encode.py."""

    checkpoint_path: str = option(MISSING, PATH, "checkpoint of an autoencoder, or a run folder, for its latest")
    input_file: tuple[str, ...] = option(
        MISSING, several(PATH), "audio files to encode; they are resampled if need be", repeatable=True
    )
    output_dir: str = option(MISSING, PATH, "folder for the codes, a file <name>.npz for each audio file")
    config_file: str | None = with_default(GenerationOptions, "config_file", None)
