"""Which clips there are, how each was made, and the excerpts that they are cut into."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from samplernn.audio.wav import Recording, examine_all
from samplernn.checkpoints import run_folders
from samplernn.options.values import number
from samplernn.system.errors import InputError
from samplernn.system.files import files_below, read_json
from samplernn.system.words import counted, listed

LONGEST_PATH = 1000  # of a checkpoint, whose name ends in a number
NUMBER = number(0, 10**6)  # of seconds, or a temperature
EXCERPT_SECONDS = 10  # about; clips are cut into equal parts

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Made:
    """How a clip was made, as the JSON beside it says; None for what that does not say.

    Attributes:
        checkpoints: the path of the checkpoint, or of each that was blended.
        epoch: after how many epochs the one was.
        temperature: a number or an envelope.
        flags: what was doubtful, as `Finding.to_json` has it.
    """

    checkpoints: tuple[str, ...] = ()
    epoch: int | None = None
    temperature: float | str | None = None
    flags: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True)
class Excerpt:
    """A part of a clip.

    Attributes:
        clip: the file.
        made: how it was made.
        start, stop: the first sample, and the one behind the last.
    """

    clip: Recording
    made: Made
    start: int
    stop: int

    @property
    def seconds(self) -> tuple[float, float]:
        """Where it begins and ends in the clip."""
        return self.start / self.clip.sample_rate, self.stop / self.clip.sample_rate

    @property
    def flags(self) -> list[str]:
        """What is doubtful in it, each once."""
        start, end = self.seconds
        there = (flag["flag"] for flag in self.made.flags if flag["from"] < end and flag["to"] > start)
        return list(dict.fromkeys(there))


def find_excerpts(input_dir: str) -> list[Excerpt]:
    """Cut all clips below a folder; what cannot be used is named and left out.

    Raises:
        InputError: there is no such folder, or nothing in it to hear.
    """
    root = Path(input_dir)
    if not root.is_dir():
        problem = "not a folder" if root.exists() else "there is no such folder"
        raise InputError(f"--input_dir {input_dir}: {problem}; name the one with the clips")
    files = [path for path in files_below(root) if path.suffix.lower() == ".wav"]
    if not files:
        raise InputError(f"--input_dir {input_dir}: no WAV files in it; name the folder that generate.py wrote to")
    clips, unusable = examine_all((path, path.relative_to(root).as_posix()) for path in files)
    if unusable:
        log.warning("Left out %d of %s: %s.", len(unusable), counted(len(files), "file"), listed(unusable, "; "))
    if not clips:
        raise InputError(f"--input_dir {input_dir}: not one of its files can be used: {listed(unusable, '; ')}")
    return [excerpt for clip in clips for excerpt in _cut(clip, made_as(clip.path))]


def _cut(clip: Recording, made: Made) -> list[Excerpt]:
    number = max(1, round(clip.seconds / EXCERPT_SECONDS))
    ends = [clip.frames * part // number for part in range(number + 1)]
    return [Excerpt(clip, made, start, stop) for start, stop in zip(ends, ends[1:])]


def made_as(path: Path) -> Made:
    """What the JSON beside a clip says; nothing where there is none, or another's."""
    try:
        told = read_json(path.with_suffix(".json"))
    except InputError:
        return Made()
    if not isinstance(told, dict):
        return Made()
    checkpoints, part = tuple(_checkpoints_in(told)), told.get("excerpt")
    temperature, flags = told.get("temperature"), told.get("flags")
    begins = part.get("from") if isinstance(part, dict) else 0.0  # of what was cut out of a longer clip
    return Made(
        checkpoints=checkpoints,
        epoch=(run_folders.epoch_of(Path(checkpoints[0])) or None) if len(checkpoints) == 1 else None,
        temperature=temperature if _is_temperature(temperature) else None,
        flags=tuple(_flags_in(flags, begins)) if isinstance(flags, list) and NUMBER.holds(begins) else (),
    )


def _checkpoints_in(told: dict[str, Any]) -> Iterator[str]:
    """The paths of those that a JSON names."""
    for of in (told, told.get("blend")):
        checkpoint = of.get("checkpoint") if isinstance(of, dict) else None
        path = checkpoint.get("path") if isinstance(checkpoint, dict) else None
        if isinstance(path, str) and len(path) <= LONGEST_PATH:
            yield path


def _is_temperature(value: Any) -> bool:
    """Whether it is a number, or an envelope."""
    return NUMBER.holds(value) or (isinstance(value, str) and value != "")


def _flags_in(flags: list[Any], begins: float) -> Iterator[dict[str, Any]]:
    """Those of a JSON, with their times from a second on."""
    for flag in flags:
        if (
            isinstance(flag, dict)
            and isinstance(flag.get("flag"), str)
            and all(NUMBER.holds(flag.get(name)) for name in ("from", "to"))
        ):
            yield {"flag": flag["flag"], "from": flag["from"] - begins, "to": flag["to"] - begins}
