"""What has been fetched into a folder, and what is known of it: `fetched.json`, by which nothing is fetched twice."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from samplernn.options.values import NOT_NEGATIVE, PATH, SAMPLE_RATE, whole
from samplernn.system.errors import InputError
from samplernn.system.files import cannot_be_written, is_below, read_json, write_json

FETCHED = "fetched.json"
VERSION = 1


@dataclass(frozen=True)
class Track:
    """A file of audio.

    Attributes:
        file: its path from the folder on, with forward slashes.
        title: what it is called.
        start: where it begins in what was downloaded, in seconds, as is
        end: where it ends.
    """

    file: str
    title: str
    start: float
    end: float


@dataclass(frozen=True)
class Download:
    """What was downloaded from an address, and became one file, or several where it had chapters.

    Attributes:
        title: of the whole.
        album: the title of what listed it.
        sample_rate: Hz, of the files, as are
        channels: their channels.
        tags: what the page says of it.
        file_tags: what the downloaded file says of itself.
        tracks: the files.
    """

    title: str
    album: str | None
    sample_rate: int
    channels: int
    tags: dict[str, Any]
    file_tags: dict[str, str]
    tracks: list[Track] = field(default_factory=list)


class Fetched:
    """What `fetched.json` in a folder says, by addresses."""

    def __init__(self, folder: Path):
        """Raises InputError: it is damaged, or isn't ours."""
        self._folder = folder
        path = folder / FETCHED
        self._downloads: dict[str, Download] = {}
        try:
            if path.exists():
                self._downloads = _downloads_in(read_json(path))
        except InputError as error:
            raise InputError(f"{path}: {error}; move it away, or choose another --output_dir") from None

    def download(self, address: str) -> Download | None:
        """What was downloaded from an address before."""
        return self._downloads.get(address)

    def add(self, address: str, download: Download) -> None:
        """Note what was downloaded.

        Raises:
            RunError: the disk refuses.
        """
        self._downloads[address] = download
        downloads = {address: asdict(download) for address, download in self._downloads.items()}
        try:
            write_json(self._folder / FETCHED, {"version": VERSION, "downloads": downloads})
        except OSError as error:
            raise cannot_be_written(error) from None


def _downloads_in(content: Any) -> dict[str, Download]:
    """The downloads by their addresses; InputError where it is another JSON."""
    downloads = content.get("downloads") if isinstance(content, dict) and content.get("version") == VERSION else None
    if not isinstance(downloads, dict):
        raise InputError("not what fetch_audio.py notes")
    try:
        return {address: _download_of(value) for address, value in downloads.items()}
    except (TypeError, ValueError, KeyError, OSError):  # of other types, or paths that no system has
        raise InputError("not what fetch_audio.py notes") from None


def _download_of(value: Any) -> Download:
    download = Download(**value | {"tracks": [Track(**track) for track in value["tracks"]]})
    numbers = [number for track in download.tracks for number in (track.start, track.end)]
    if not (
        all(map(_is_wav_below, [track.file for track in download.tracks]))
        and all(map(NOT_NEGATIVE.holds, numbers))
        and SAMPLE_RATE.holds(download.sample_rate)
        and whole(1).holds(download.channels)
    ):
        raise ValueError
    return download


def _is_wav_below(file: Any) -> bool:
    """Whether it is the path of a WAV that does not lead out of where it begins."""
    return isinstance(file, str) and file.endswith(".wav") and is_below(PATH.parse(file))
