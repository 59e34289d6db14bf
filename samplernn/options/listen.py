"""What a user of listen.py may set."""

from __future__ import annotations

from dataclasses import MISSING, dataclass

from samplernn.options.option import option
from samplernn.options.values import BOOLEAN, PATH, optional, several
from samplernn.system.errors import InputError


@dataclass(frozen=True)
class ListenOptions:
    """The options of listen.py."""

    output_dir: str = option(MISSING, PATH, "folder for the page, or for the album")
    input_dir: str | None = option(
        None, optional(PATH), "folder with the clips, WAV files with their JSONs", "of an album, where the clips were"
    )
    training_dir: tuple[str, ...] = option(
        (),
        several(PATH),
        "folder with what was trained on, or several, that the clips are compared with",
        "nothing",
        repeatable=True,
    )
    blind: bool = option(
        False, BOOLEAN, "hide checkpoint, epoch, temperature and name of a clip until it is given stars"
    )
    export: str | None = option(
        None, optional(PATH), "what the page has exported, of which an album is to be made", "a page is made"
    )

    def __post_init__(self):
        if not self.input_dir and not self.export:
            raise InputError("--input_dir names the clips to make a page of, or --export what a page has exported")
        if self.export and (self.training_dir or self.blind):
            raise InputError("--training_dir and --blind are about a page, and --export makes an album; leave them out")
