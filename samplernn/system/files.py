"""Files that are whole: JSON read within bounds, files written aside, hashes, what the system says when it refuses."""

from __future__ import annotations

import errno
import hashlib
import itertools
import json
import os
import re
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import Any

from samplernn.system.errors import InputError, RunError

NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
HASH_BYTES = 2**20  # read at a time
MAX_JSON_BYTES = 2**26  # the names of a million files in a checkpoint's settings


def write_whole(path: Path, text: str) -> None:
    """Write a file that appears whole or not at all, and is on the disk before it has its name.

    Raises:
        OSError: the disk refuses; then what was there before is there still.
    """
    with written_aside(path) as aside, aside.open("w", encoding="utf-8", newline="") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def write_json(path: Path, content: Any) -> None:
    """Write a JSON file, whole or not at all.

    Raises:
        OSError: the disk refuses.
    """
    write_whole(path, json.dumps(content, indent=2) + "\n")


@contextmanager
def written_aside(path: Path) -> Iterator[Path]:
    """Give another path, of a file to write; it gets this path's name at the end, or is removed where writing fails.

    Raises:
        OSError: the disk refuses; then what was there before is there still.
    """
    aside = path.with_name(f".{uuid.uuid4().hex[:12]}.part")  # short, and new: others may write the same file
    with errors_naming(path, instead_of=aside):
        try:
            yield aside
            os.replace(aside, path)
        finally:
            aside.unlink(missing_ok=True)


@contextmanager
def errors_naming(path: Path, instead_of: Path | None = None) -> Iterator[None]:
    """Let the system's errors name a file where they name none, as those of writing do, or another instead of it."""
    try:
        yield
    except OSError as error:
        if error.filename is not None and error.filename != instead_of and error.filename != str(instead_of):
            raise
        raise OSError(error.errno, error.strerror, str(path)) from None


PROBLEMS = {  # what makes any file unusable, and how it is said after the file's name
    "missing": "is missing: there is no such file",
    "not a file": "is not a file, but a folder, a pipe or a device",
    "badly named": "has a name that is not text in UTF-8; rename it",
    "locked": "cannot be opened: the system refuses it; look at its permissions",
}


def numbered(name: Path) -> Iterator[Path]:
    """A path, then the same with the numbers from 1 on behind its stem."""
    yield name
    yield from (name.with_name(f"{name.stem}_{number}{name.suffix}") for number in itertools.count(1))


def cannot_be_written(error: OSError, remedy: str = "is the disk full?") -> RunError:
    """The line for a user about a file that the disk refuses, which the error names."""
    return RunError(f"{error.filename}: cannot be written ({error.strerror}); {remedy}")


def make_writable_folder(flag: str, folder: Path) -> None:
    """Create a folder if need be, and make sure that files can be written there.

    Raises:
        InputError: they can't; the message names the flag.
        RunError: the disk is full.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        refused = f"{flag}: {folder} can't be written ({error.strerror})"
        if error.errno in NO_SPACE:
            raise RunError(refused) from None
        raise InputError(f"{refused}; choose another folder") from None


def is_below(path: str) -> bool:
    """Whether a path that was read from a file, with forward slashes, does not lead out of where it begins."""
    parts = PurePath(path).parts
    return bool(parts) and ".." not in parts and not PurePath(path).is_absolute() and not PurePath(path).drive


def files_below(folder: Path) -> list[Path]:
    """The files in a folder and its subfolders but the hidden ones, in natural order: numbers in names by value.

    Raises:
        InputError: the system does not let us look into one of the folders.
    """
    walk = os.walk(folder, onerror=_refuse_locked_folder)
    files = (Path(parent, name) for parent, _, names in walk for name in names if not name.startswith("."))
    return sorted(files, key=_natural_order)


def _refuse_locked_folder(error: OSError) -> None:
    if isinstance(error, PermissionError):
        raise InputError(f"{error.filename} is a folder that cannot be looked into; look at its permissions")


def _natural_order(path: Path) -> tuple:
    name = path.as_posix()
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", name)], name


def sha256(*paths: Path) -> str:
    """The hash of files, one after the other, in hexadecimal digits."""
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            while block := file.read(HASH_BYTES):
                digest.update(block)
    return digest.hexdigest()


def shortest(path: Path) -> str:
    """A path as it is seen from here, where it is below."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


@contextmanager
def refusals_in_words(path: str | Path) -> Iterator[None]:
    """Have an InputError, which does not name the file, say why it can't be read: there is none, or it is a pipe."""
    try:
        if Path(path).exists() and not Path(path).is_file():  # opening a pipe may take for ever
            raise InputError("cannot be read (not a file, but a folder, a pipe or a device)")
        yield
    except FileNotFoundError:
        raise InputError("there is no such file") from None
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror or error})") from None


def read_json(path: str | Path) -> Any:
    """Parse a JSON file.

    Raises:
        InputError: it cannot be read or is not JSON.
    """
    try:
        with refusals_in_words(path), Path(path).open("rb") as file:
            content = file.read(MAX_JSON_BYTES + 1)
        if len(content) > MAX_JSON_BYTES:
            raise InputError("too large for what it should be")
        return json.loads(content.decode("utf-8-sig"))
    except RecursionError:
        raise InputError("nested too deeply for a config; write one flat JSON object") from None
    except ValueError as error:
        raise InputError(f"not valid JSON ({error})") from None
