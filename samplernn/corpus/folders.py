"""The folders of a corpus: what the user names, how much each counts, and the files in them."""

from __future__ import annotations

import itertools
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from samplernn.audio.recordings import SUFFIXES
from samplernn.audio.wav import Folder
from samplernn.midi.tunes import SUFFIXES as OF_MIDI
from samplernn.system.errors import InputError
from samplernn.system.files import files_below

MAX_WEIGHT = 1000  # of a folder


@dataclass(frozen=True)
class FileKind:
    """Files that a corpus consists of.

    Attributes:
        name: what they are called.
        suffixes: what their names end with.
        related: what those of files end with that others may be made of.
        remedy: what to do where there are none.
    """

    name: str
    suffixes: tuple[str, ...]
    related: tuple[str, ...]
    remedy: str


CUT = "cut a recording into chunks there with chunk_audio.py"
WAV = FileKind("WAV", (".wav",), SUFFIXES + OF_MIDI, f"{CUT}, or, for MIDI, give a --config_file of a family for that")
MIDI = FileKind(
    "MIDI", OF_MIDI, SUFFIXES, "name a folder of .mid or .midi files; audio is for the families of other configs"
)


def parse_folder(text: str) -> tuple[Path, float]:
    """The folder and the weight that `folder` or `folder:weight` says; a folder that is named like that has weight 1.

    Raises:
        InputError: the weight is not one.
    """
    path, _, number = text.rpartition(":")
    if not path or os.path.exists(text):
        return Path(text), 1.0
    try:
        weight = float(number)
    except ValueError:  # it belongs to the path
        return Path(text), 1.0
    if not 0 < weight <= MAX_WEIGHT:
        raise InputError(
            f"--data_dir {text}: the weight {number} is not a number above 0, at most {MAX_WEIGHT}, such as 2 or 0.5"
        )
    return Path(path), weight


def absolute_folder(text: str) -> str:
    """The same folder and weight as a process in another folder can be given them."""
    path, weight = parse_folder(text)
    return os.path.realpath(path) + (f":{weight}" if weight != 1 else "")


def files_in(data_dir: Sequence[str], kind: FileKind) -> dict[Folder, list[str]]:
    """The files of a kind below each folder, relative to it, with forward slashes, in natural order.

    Args:
        data_dir: the folders, each as `parse_folder` takes it.
        kind: which files.

    Raises:
        InputError: there is no such folder or no such file in it, or two find the same file.
    """
    parsed = [parse_folder(text) for text in data_dir]
    first, _ = parsed[0]
    folders = [Folder(path, _relative(path, first), weight) for path, weight in parsed]
    names = _names_of_all(folders, data_dir, kind)
    _refuse_what_two_find(folders, names)
    return dict(zip(folders, names))


def _relative(path: Path, start: Path) -> str:
    path, start = os.path.realpath(path), os.path.realpath(start)
    try:
        return Path(os.path.relpath(path, start)).as_posix()
    except ValueError:  # Windows: it is on another drive
        return Path(path).as_posix()


def _refuse_what_two_find(folders: list[Folder], names: list[list[str]]) -> None:
    if len(folders) == 1:
        return
    found = [{os.path.realpath(folder.path / name) for name in its} for folder, its in zip(folders, names)]
    for (one, files), (other, others) in itertools.combinations(zip(folders, found), 2):
        if shared := files & others:
            raise InputError(
                f"--data_dir: {one.path} and {other.path} hold the same files, such as {min(shared)}; name each folder"
                f" once, as {one.path}:2 where it is to be heard twice as often"
            )


def _names_of_all(folders: list[Folder], data_dir: Sequence[str], kind: FileKind) -> list[list[str]]:
    names, complaints = [], []
    for folder, text in zip(folders, data_dir):
        try:
            names.append(_names(folder.path, text, kind))
        except InputError as error:
            complaints.append(str(error))
    if complaints:
        raise InputError("; ".join(complaints))
    return names


def _names(root: Path, data_dir: str, kind: FileKind) -> list[str]:
    """The files of a kind below a folder, relative to it, with forward slashes, in natural order."""
    if not data_dir or not root.is_dir():
        problem = "not a folder, but a file" if data_dir and root.exists() else "there is no such folder"
        raise InputError(f"--data_dir {data_dir or '(empty)'}: {problem}; name the folder with the {kind.name} files")
    files = files_below(root)
    of_kind = [path.relative_to(root).as_posix() for path in files if path.suffix.lower() in kind.suffixes]
    if not of_kind:
        others = sum(path.suffix.lower() in kind.related for path in files)
        found = f"no {kind.name} files" + (f", but {others} of other formats" if others else "")
        raise InputError(f"--data_dir {data_dir}: {found} in it; {kind.remedy}")
    return of_kind
