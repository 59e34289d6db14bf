"""What has been fetched into a folder, and what is known of it: `fetched.json`, by which nothing is fetched twice."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePath
from typing import Any

from samplernn.system.errors import InputError
from samplernn.system.files import cannot_be_written, read_json, write_json

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
        self._read()

    def _read(self) -> None:
        path = self._folder / FETCHED
        content: Any = {"version": VERSION, "downloads": {}}
        try:
            if path.exists():
                content = read_json(path)
            self._downloads = _downloads_in(content)
        except InputError as error:
            raise InputError(f"{path}: {error}; move it away, or choose another --output_dir") from None

    def files(self, address: str) -> list[Path]:
        """The files that what was downloaded from an address became, whether they are still there or not."""
        download = self._downloads.get(address)
        return [self._folder / track["file"] for track in download["tracks"]] if download else []

    def add(self, address: str, download: Download) -> None:
        """Note what was downloaded.

        Raises:
            RunError: the disk refuses.
        """
        self._read()  # another process may have noted something
        self._downloads[address] = asdict(download)
        try:
            write_json(self._folder / FETCHED, {"version": VERSION, "downloads": self._downloads})
        except OSError as error:
            raise cannot_be_written(error) from None


def _downloads_in(content: Any) -> dict[str, dict[str, Any]]:
    """The downloads, of which we use the paths of files."""
    downloads = content.get("downloads") if isinstance(content, dict) and content.get("version") == VERSION else None
    if isinstance(downloads, dict) and all(map(_is_download, downloads.values())):
        return downloads
    raise InputError("not what fetch_audio.py notes")


def _is_download(value: Any) -> bool:
    tracks = value.get("tracks") if isinstance(value, dict) else None
    return isinstance(tracks, list) and all(
        isinstance(track, dict) and _is_path_below(track.get("file")) for track in tracks
    )


def _is_path_below(value: Any) -> bool:
    """Whether it is a relative path that does not lead out of where it begins."""
    return (
        isinstance(value, str) and not {"", "..", "/"} & {value, *PurePath(value).parts} and not PurePath(value).drive
    )
