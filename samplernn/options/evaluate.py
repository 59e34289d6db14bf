"""What a user of evaluate.py may set."""

from __future__ import annotations

from dataclasses import MISSING, dataclass
from pathlib import Path

from samplernn.options.common import ComputationOptions
from samplernn.options.option import option, with_default
from samplernn.options.train import TrainingOptions
from samplernn.options.values import BOOLEAN, PATH, optional, several, whole
from samplernn.system.errors import InputError


@dataclass(frozen=True, kw_only=True)
class EvaluationOptions(ComputationOptions):
    """The options of evaluate.py."""

    checkpoint_path: tuple[str, ...] = option(
        MISSING,
        several(PATH),
        "checkpoints to compare, or run folders, each for its best by what its run watched",
        repeatable=True,
    )
    data_dir: tuple[str, ...] = option(
        (),
        several(PATH),
        "folder with the files to evaluate on, WAV files, or several",
        "with --held_out that of each run",
        repeatable=True,
    )
    held_out: bool = option(
        False,
        BOOLEAN,
        "evaluate on what the run of each checkpoint has held out",
    )
    skip_unusable: bool = with_default(TrainingOptions, "skip_unusable", False)
    config_file: str | None = option(
        None,
        optional(PATH),
        "JSON file with the parameters of the models; of several checkpoints it is for those without one of their own",
        "the one beside each checkpoint",
    )
    batch_size: int = option(64, whole(1), "files that are read at the same time; the figures do not depend on it")
    output_file: str | None = option(
        None, optional(PATH), "where to write the table, a path that ends in .json or .csv; a file there is replaced"
    )

    def __post_init__(self):
        if not self.data_dir and not self.held_out:
            raise InputError("--data_dir is missing: name the folder with the files to evaluate on, or give --held_out")
        if self.output_file and Path(self.output_file).suffix.lower() not in (".json", ".csv"):
            raise InputError(f"--output_file {self.output_file}: it must end in .json or .csv")
