"""The files of generated sequences, under names that are new: a WAV, and beside it a JSON that says how it was made."""

from __future__ import annotations

import errno
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from samplernn.audio.listening import Judge
from samplernn.audio.wav import wav_frames, wav_writer
from samplernn.system.errors import InputError
from samplernn.system.files import NO_SPACE, numbered, write_json

TOO_MANY_FILES = (errno.EMFILE, errno.ENFILE)
MAX_ENVELOPE = 60  # characters of it in a file's name


def output_names(output_path: str | Path, epoch: int, temperature: Sequence[float | str]) -> list[Path]:
    """The WAVs' paths: the epoch and the temperature are added, and a number where there are several.

    Of an envelope of many points the first ones are in the name.

    Raises:
        InputError: the path does not end in the name of a file.
    """
    if not Path(output_path).name or str(output_path).endswith(("/", "\\")):
        raise InputError(f"--output_path {output_path}: not the name of a file; add one, such as out.wav")
    stem = re.sub(r"\.wav$", "", str(output_path), flags=re.IGNORECASE)
    several = len(temperature) > 1
    return [
        Path(f"{stem}_e={epoch}{f'({i})' if several else ''}_t={_in_name(value)}.wav")
        for i, value in enumerate(temperature)
    ]


def _in_name(temperature: float | str) -> str:
    if not isinstance(temperature, str):
        return str(float(temperature))
    points = temperature.split(",")
    first = [point for i, point in enumerate(points) if len(",".join(points[: i + 1])) <= MAX_ENVELOPE]
    return ",".join(first) + (f"_and_{len(points) - len(first)}_more" if len(first) < len(points) else "")


@contextmanager
def new_files(
    name: Path, facts: dict[str, Any], judge: Judge, num_samples: int
) -> Iterator[tuple[Path, Callable[[np.ndarray], None]]]:
    """Create the two files of one sequence; give the WAV's path and the function that appends audio [n] to it.

    What is appended is kept, however it ends. Where that is nothing, both files are removed.

    Args:
        name: path of the WAV, to which a number is added if need be: neither file may be there before.
        facts: what the JSON says; `sample_rate`, in Hz, is the WAV's. `complete` is added, and what is None until the
            end: `samples`, when they are counted, and `flags`, what is doubtful.
        judge: hears what is appended.
        num_samples: the length of a complete sequence.

    Raises:
        InputError: the path can't be written.
        OSError: the disk refuses, or too many files are open; the error names the file.
    """
    path = _create_new(name)

    def note(samples: int | None, flags: list[dict[str, Any]] | None) -> None:
        content = facts | {"samples": samples, "complete": samples == num_samples, "flags": flags}
        write_json(_beside(path), content)

    try:
        with wav_writer(path, facts["sample_rate"]) as write:
            note(None, None)

            def append(audio: np.ndarray) -> None:
                write(audio)
                judge.add(audio)

            yield path, append
    finally:
        if samples := wav_frames(path):
            note(samples, [finding.to_json() for finding in judge.findings])
        else:
            path.unlink(missing_ok=True)
            _beside(path).unlink(missing_ok=True)


def _beside(path: Path) -> Path:
    return path.with_suffix(".json")


def _create_new(name: Path) -> Path:
    """Create an empty WAV and JSON, of this name or of the first number of it of which there is neither."""
    try:
        name.parent.mkdir(parents=True, exist_ok=True)
        for path in numbered(name):
            with suppress(FileExistsError):
                path.touch(exist_ok=False)
                try:
                    _beside(path).touch(exist_ok=False)
                except OSError:
                    path.unlink()
                    raise
                return path
    except OSError as error:
        if error.errno in NO_SPACE + TOO_MANY_FILES:
            raise
        raise InputError(f"{name}: can't be written ({error.strerror}); choose another output path") from None
