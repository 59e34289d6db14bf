"""What there is at an address, and its download, by yt-dlp, of which nothing else knows."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from yt_dlp import YoutubeDL
from yt_dlp.utils import YoutubeDLError, sanitize_filename

from samplernn.options.values import NOT_NEGATIVE
from samplernn.system.words import printable, shortened, within_bytes

STALLED_SECONDS = 30  # without a byte, after which a download is tried again
RETRIES = 3
LONGEST = 300  # characters of a message
PAGES = ("generic", "html5")  # what yt-dlp calls pages that it has no rules for: one may hold several files
NEEDS = {  # what yt-dlp says that it lacks, and the remedy
    r"no supported javascript runtime": "this site wants a JavaScript runtime: pip install 'yt-dlp[deno]'",
    r"ffmpeg(\.org|,? which)? .*not (be )?(found|installed)|ffmpeg (is )?not (found|installed)|install(ing)? ffmpeg": (
        "this site wants the program ffmpeg: conda install -c conda-forge ffmpeg, or apt install ffmpeg"
    ),
    r"--cookies|login required|sign in to": "this site wants you to log in, which is not supported",
}
LONGEST_NAME = 120  # bytes of a title in a name, which the names of chunks begin with
LONGEST_TAG = 1000  # characters
TAGS = (
    "artist", "album", "album_artist", "track_number", "composer", "genre", "release_year", "uploader", "channel",
    "upload_date", "license", "description",
)  # fmt: skip

Progress = Callable[[int, int], None]  # is told how many bytes there are by now, and how many there will be, if known


class Unavailable(Exception):
    """Something cannot be had; the message says why, and the remedy where there is one."""


@dataclass(frozen=True)
class Chapter:
    """A part of a track, up to the next one."""

    title: str
    start: float  # seconds


@dataclass(frozen=True)
class Found:
    """What there is at an address: a track, or several things.

    Attributes:
        address: that of its page, or of its file where the page may hold several.
        title: as the page says it.
        entries: the several things; None for a track.
        unresolved: whether it is something of which the page that lists it tells no more.
        chapters: of a track, in the order in which they begin.
        tags: what else the page says of it.
        info: what yt-dlp knows of it.
    """

    address: str
    title: str
    entries: tuple[Found, ...] | None
    unresolved: bool
    chapters: tuple[Chapter, ...]
    tags: dict[str, Any]
    info: dict[str, Any]


class Downloader:
    """Looks at addresses and downloads tracks into a folder, one at a time."""

    def __init__(self, folder: Path):
        self._folder = folder
        self._needs: list[str] = []
        self._told: set[str] = set()
        self._progress: Progress | None = None
        self._yt_dlp = YoutubeDL(
            {
                "format": "bestaudio/best",
                "outtmpl": ".track.%(ext)s",  # hidden, for whoever looks for recordings meanwhile
                "overwrites": True,
                "extract_flat": "in_playlist",  # a list of hundreds is not looked at one by one before the first
                "fixup": "never",
                "cachedir": False,
                "color": "no_color",
                "socket_timeout": STALLED_SECONDS,
                "retries": RETRIES,
                "fragment_retries": RETRIES,
                "extractor_retries": RETRIES,
                "skip_unavailable_fragments": False,  # a recording with a hole is none
                "logger": self,
                "progress_hooks": [self._hook],
            }
        )

    def look(self, address: str) -> Found:
        """What there is at an address.

        Raises:
            Unavailable: nothing, or nothing that can be had.
        """
        with self._refusals():
            return _found(self._yt_dlp.extract_info(address, download=False))

    def look_closer(self, unresolved: Found) -> Found:
        """A track, or several things, of which so far only a list tells.

        Raises:
            Unavailable: it cannot be had.
        """
        _require_web(unresolved.info)
        with self._refusals():
            return _found(self._yt_dlp.process_ie_result(unresolved.info, download=False))

    def download(self, track: Found, progress: Progress) -> Path:
        """Download a track's audio, or the film that has it; the file is the caller's.

        Raises:
            Unavailable: it cannot be had.
        """
        self._progress = progress
        _require_web(track.info)
        with self._refusals(), _working_in(self._folder):  # yt-dlp would expand what is like a variable in its name
            downloads = self._yt_dlp.process_ie_result(track.info, download=True).get("requested_downloads")
            if not downloads:
                raise Unavailable("there is no audio in it")
            return self._folder / Path(downloads[0]["filepath"]).name

    @contextmanager
    def _refusals(self) -> Iterator[None]:
        """Say why something cannot be had; where it can, say once what the site wants to give more."""
        self._needs.clear()
        try:
            yield
        except Unavailable:
            raise
        except Exception as error:  # yt-dlp's, or whatever hostile pages bring its extractors to
            raise Unavailable("; ".join([_in_words(error), *dict.fromkeys(self._needs)])) from None
        for need in set(self._needs) - self._told:
            self._told.add(need)
            print(f"For all that it has, {need}.", flush=True)

    def _hook(self, status: dict[str, Any]) -> None:
        total = status.get("total_bytes") or status.get("total_bytes_estimate") or 0
        self._progress(int(status.get("downloaded_bytes") or 0), int(total))

    # --- What yt-dlp asks of a logger ---

    def debug(self, message: str) -> None:
        pass

    def warning(self, message: str) -> None:
        self._needs += [remedy for need, remedy in NEEDS.items() if re.search(need, message, re.IGNORECASE)]

    error = warning


def as_name(title: str) -> str:
    """A title as the name of a file or a folder, on any system, that neither hides nor leads elsewhere."""
    name = within_bytes(sanitize_filename(title).strip(". "), LONGEST_NAME).strip(". ")
    return printable(name) or "untitled"


@contextmanager
def _working_in(folder: Path) -> Iterator[None]:
    before = os.getcwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def _require_web(info: dict[str, Any]) -> None:
    """Refuse what a page or a feed leads to that is not on the web."""
    address = info.get("url")
    if address and urlsplit(str(address)).scheme not in ("http", "https"):
        raise Unavailable(f"its address, {shortened(str(address))}, is not one of the web")


def _in_words(error: Exception) -> str:
    """What went wrong, without what is said to yt-dlp's developers."""
    if not isinstance(error, YoutubeDLError):
        return f"what the site says is not understood ({type(error).__name__})"
    said = str(error).strip().removeprefix("ERROR: ").strip()
    said = re.sub(r"^(\[download\] Got error: |\[[^\]]*\] [^:]*: )?(\w+Pool\(.*?\): )?", "", said)
    return re.split(r" \(caused by|; please report|\. Set --| Use --", said)[0].strip(" .;:")[:LONGEST]


def _found(info: dict[str, Any]) -> Found:
    entries = info.get("entries")
    unresolved = info.get("_type") in ("url", "url_transparent")
    address = info["url"] if unresolved or _of_page(info) else info.get("webpage_url") or info.get("url")
    address = quote(str(address), safe="!#$%&'()*+,/:;=?@[]~")  # the same, whether a page escapes blanks or not
    return Found(
        address=address,
        title=_title(info, address),
        entries=None if entries is None else tuple(_found(entry) for entry in entries if entry),
        unresolved=unresolved,
        chapters=_chapters(info),
        tags={name: str(info[name])[:LONGEST_TAG] for name in TAGS if isinstance(info.get(name), (str, int))},
        info=info,
    )


def _of_page(info: dict[str, Any]) -> bool:
    return info.get("extractor") in PAGES and "entries" not in info and "url" in info


def _title(info: dict[str, Any], address: str) -> str:
    """The title; of one of several files in a page, which has none of its own, the file's name."""
    title = info.get("track") or info.get("title")
    if info.get("extractor") == "html5" or not title:
        title = Path(unquote(urlsplit(address).path)).stem or title
    return str(title or "")[:LONGEST]


def _chapters(info: dict[str, Any]) -> tuple[Chapter, ...]:
    """In the order in which they begin."""
    told = [(chapter.get("title") or "", chapter.get("start_time")) for chapter in info.get("chapters") or ()]
    found = (Chapter(str(title), start) for title, start in told if NOT_NEGATIVE.holds(start))
    return tuple(sorted(found, key=lambda chapter: chapter.start))
