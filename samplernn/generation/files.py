"""The files of generated sequences, under names that are new: beside each a JSON says how it was made."""

from __future__ import annotations

import errno
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from samplernn.generation.output import Judge, Output
from samplernn.system.errors import InputError
from samplernn.system.files import NO_SPACE, numbered, write_json

TOO_MANY_FILES = (errno.EMFILE, errno.ENFILE)
MAX_ENVELOPE = 60  # characters of it in a file's name
SUFFIXES = r"\.(wav|mid|midi)$"  # that a user may give, of which the right one is added


def output_names(
    output_path: str | Path, suffix: str, epochs: Sequence[int], temperature: Sequence[float | str]
) -> list[Path]:
    """The files' paths: epochs and the temperature are added, and a number where there are several files.

    Of an envelope of many points the first ones are in the name.

    Raises:
        InputError: the path does not end in the name of a file.
    """
    if not Path(output_path).name or str(output_path).endswith(("/", "\\")):
        raise InputError(f"--output_path {output_path}: not the name of a file; add one, such as out{suffix}")
    stem = re.sub(SUFFIXES, "", str(output_path), flags=re.IGNORECASE)
    several, epoch = len(temperature) > 1, "+".join(map(str, epochs))
    return [
        Path(f"{stem}_e={epoch}{f'({i})' if several else ''}_t={_in_name(value)}{suffix}")
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
    name: Path, output: Output, facts: dict[str, Any], judge: Judge, num_items: int
) -> Iterator[tuple[Path, Callable[[np.ndarray], None]]]:
    """Create the files of one sequence; give the path of the first and the function that appends [n, ...] to it.

    What is appended is kept, however it ends. Where that is nothing, all files are removed.

    Args:
        name: path of the file, to which a number is added if need be: nothing of the sequence may be there before.
        output: which files there are.
        facts: what the JSON says; `sample_rate`, in Hz, is that of audio. `complete` is added, and what is None until
            the end: `samples` or whatever the output's unit is, when they are counted, and `flags`, what is doubtful,
            with whatever else the judge says.
        judge: hears what is appended.
        num_items: the length of a complete sequence.

    Raises:
        InputError: the path can't be written.
        OSError: the disk refuses, or too many files are open; the error names the file.
    """
    path = _create_new(name, output.suffixes)

    def note(length: int | None, **judgement: Any) -> None:
        counted = {f"{output.unit}s": length, "complete": length == num_items}
        write_json(_beside(path), facts | counted | judgement)

    length = 0
    try:
        with output.begin(path, facts["sample_rate"]) as file:
            note(None, flags=None)

            def append(decoded: np.ndarray) -> None:
                file.append(decoded)
                judge.add(decoded)

            try:
                yield path, append
            finally:
                length = file.length
    finally:
        if length:
            note(length, flags=[finding.to_json() for finding in judge.findings], **judge.facts)
        else:
            path.unlink(missing_ok=True)
            _beside(path).unlink(missing_ok=True)


def _beside(path: Path) -> Path:
    return path.with_suffix(".json")


def _create_new(name: Path, suffixes: Sequence[str]) -> Path:
    """Create an empty file and JSON, of this name or of the first number of it of which there is nothing."""
    try:
        name.parent.mkdir(parents=True, exist_ok=True)
        for path in numbered(name):
            if any(path.with_suffix(suffix).exists() for suffix in suffixes):
                continue
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
