"""From addresses to WAV files: what fetch_audio.py does."""

from __future__ import annotations

import os
import tempfile
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from itertools import count, groupby, pairwise
from operator import itemgetter
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout

from samplernn.audio.ffmpeg import read_tags
from samplernn.audio.recordings import Reader, examine
from samplernn.audio.resample import can_be_resampled, converted, converted_length
from samplernn.audio.wav import MAX_WAV_FRAMES, PROBLEMS, Recording, Unusable, wav_writer
from samplernn.fetching.downloads import Chapter, Downloader, Found, Unavailable, as_name
from samplernn.fetching.fetched import FETCHED, Download, Fetched, Track
from samplernn.options.fetch_audio import FetchOptions
from samplernn.system.device import quiet_stderr
from samplernn.system.errors import InputError, RunError
from samplernn.system.files import cannot_be_written, make_writable_folder, numbered
from samplernn.system.progress import ProgressBar
from samplernn.system.words import counted, listed, printable

RIGHTS = "You answer for having the right to use what you fetch. What is protected against copying is not fetched."
DEEPEST = 3  # of lists in lists: a list may lead to itself
LOCK = ".fetching.lock"


@quiet_stderr()  # to which decoders write notes
def fetch(options: FetchOptions) -> None:
    """Write a WAV for each track at some addresses, or for each of its chapters, and note what they are.

    What is there already is not fetched again. What cannot be had is named, and the rest goes on.

    Raises:
        InputError: the folder can't be written, or what is noted in it is damaged.
        RunError: the disk refuses; or something could not be had, which is said when all else is done.
    """
    folder = Path(options.output_dir)
    make_writable_folder("--output_dir", folder)
    with _alone_in(folder):
        fetched = Fetched(folder)
        print(RIGHTS, flush=True)
        try:
            with tempfile.TemporaryDirectory(prefix=".fetching_", dir=folder) as scratch:
                fetcher = _Fetcher(options, fetched, Path(scratch))
                fetcher.fetch_all()
        except OSError as error:
            raise cannot_be_written(error) from None
    print(f"{counted(fetcher.written, 'file')} written to {folder}; {fetcher.there} there before.")
    if failed := fetcher.failed:
        raise RunError(f"--url: not fetched: {listed(failed, '; ')}. The rest is there; the same command tries again")


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Let no other process fetch into a folder meanwhile: it would take our files for those that were there before."""
    lock = FileLock(folder / LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise InputError(f"--output_dir: another fetch_audio.py fetches into {folder}; wait for its end") from None
    try:
        yield
    finally:
        lock.release()
        with suppress(OSError):
            (folder / LOCK).unlink(missing_ok=True)


class _Fetcher:
    """Fetches what is at addresses, and counts.

    Attributes:
        written: how many files are new.
        there: how many were there before.
        failed: what could not be had, and why.
    """

    def __init__(self, options: FetchOptions, fetched: Fetched, scratch: Path):
        self._options, self._fetched, self._scratch = options, fetched, scratch
        self._folder = Path(options.output_dir)
        self._downloader = Downloader(scratch)
        self.written = self.there = 0
        self.failed: list[str] = []

    def fetch_all(self) -> None:
        for number, address in enumerate(self._options.url, 1):
            with self._failures(address):
                if not self._is_there(address):
                    self._fetch(self._downloader.look(address), address, number, self._folder)

    def _fetch(self, found: Found, key: str, number: int, folder: Path, albums: tuple[str, ...] = ()) -> None:
        """Fetch what was found, and is noted by a key, as number so much of a folder's, inside albums in albums."""
        if found.unresolved:
            found = self._downloader.look_closer(found)
        if found.entries is None:
            self._fetch_track(found, key, number, folder, albums)
        elif not found.entries:
            raise Unavailable("nothing to hear was found there")
        elif len(albums) == DEEPEST:
            raise Unavailable("a list in lists in lists; name the one you want")
        else:
            below = _folder_for(folder, found.title)
            for position, (entry, key_of_entry) in enumerate(zip(found.entries, _keys(found.entries)), 1):
                with self._failures(f"{entry.title}, {entry.address}"):
                    if not self._is_there(key_of_entry):
                        self._fetch(entry, key_of_entry, position, below, (*albums, found.title))

    def _is_there(self, key: str) -> bool:
        """Whether all that was downloaded became files that are still there; if so, it is said."""
        download = self._fetched.download(key)
        files = [self._folder / track.file for track in download.tracks] if download else []
        all_there = bool(files) and all(file.is_file() for file in files)
        if all_there:
            print(f"There already: {listed([printable(str(file)) for file in files])}.")
            self.there += len(files)
        return all_there

    @contextmanager
    def _failures(self, name: str) -> Iterator[None]:
        """Name what cannot be had, and let the rest go on."""
        try:
            yield
        except Unavailable as error:
            self.failed.append(f"{printable(name)} ({printable(str(error))})")
            print(f"Not fetched: {self.failed[-1]}", flush=True)

    def _fetch_track(self, track: Found, key: str, number: int, folder: Path, albums: tuple[str, ...]) -> None:
        before = self._fetched.download(key)
        downloaded = self._download(track)
        try:
            recording, read = _examine(downloaded)
            rate, channels = self._form_of_files(recording, before)
            tags = read_tags(downloaded)
            parts = _parts(track.chapters, tags.get("title") or track.title, rate, converted_length(recording, rate))
            _require_room(parts, rate, channels)
            with closing(read(recording)) as blocks:
                self._write_aside(converted(blocks, recording, rate, channels), parts, rate, channels)
        finally:
            downloaded.unlink(missing_ok=True)
        if len(parts) > 1:
            folder, number = _folder_for(folder, track.title), 1
        names = self._names_before(before, parts, rate) or _new_names(folder, number, [part.title for part in parts])
        tracks = []
        for part, path in zip(parts, names):
            self._put(part, path, rate)
            name = path.relative_to(self._folder).as_posix()
            tracks.append(Track(name, part.title, part.start / rate, part.stop / rate))
        album = albums[-1] if albums else None
        self._fetched.add(key, Download(track.title, album, rate, channels, track.tags, tags, tracks))

    def _names_before(self, before: Download | None, parts: Sequence[_Part], rate: int) -> list[Path]:
        """The files that the same parts became before, of which some are gone; none where they were others."""
        if not before or [(part.start / rate, part.stop / rate) for part in parts] != [
            (track.start, track.end) for track in before.tracks
        ]:
            return []
        return [self._folder / track.file for track in before.tracks]

    def _form_of_files(self, recording: Recording, before: Download | None) -> tuple[int, int]:
        """The sample rate in Hz and the channels that the files are to have: those of the ones that are still there."""
        if before and any((self._folder / track.file).is_file() for track in before.tracks):
            return before.sample_rate, min(before.channels, recording.channels)
        rate = self._options.sample_rate or recording.sample_rate
        if not can_be_resampled(recording.sample_rate, rate):
            raise Unavailable(f"it is at {recording.sample_rate} Hz, too far from --sample_rate {rate}")
        return rate, 1 if self._options.mono else recording.channels

    def _download(self, track: Found) -> Path:
        """Download a track, and say how far that is where it takes long."""
        progress = None

        def tell(done: int, total: int) -> None:
            nonlocal progress
            if progress is None:  # only now it is known how much there is
                of_all = f" of {total / 1e6:.1f}" if total else ""
                line = f"{printable(track.title)}: {{:.1f}}{of_all} MB fetched"
                progress = ProgressBar(total / 1e6 or None, line.format, patience=1, every=10)
            progress(done / 1e6)

        try:
            return self._downloader.download(track, tell)
        finally:
            if progress:
                progress.close()

    def _write_aside(self, blocks: Iterable[np.ndarray], parts: Sequence[_Part], rate: int, channels: int) -> None:
        """Write the samples of each part to a file that is not yet where it belongs."""
        for number, pieces in groupby(_divided(blocks, [part.start for part in parts]), key=itemgetter(0)):
            with wav_writer(self._aside(parts[number]), rate, channels) as write:
                for _, piece in pieces:
                    write(piece)

    def _aside(self, part: _Part) -> Path:
        return self._scratch / f".part_{part.start}.wav"

    def _put(self, part: _Part, path: Path, rate: int) -> None:
        """Put the file of a part where it belongs, unless that is there from before."""
        if path.is_file():
            self._aside(part).unlink()
            self.there += 1
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        os.replace(self._aside(part), path)
        self.written += 1
        print(f"Wrote {printable(str(path))}: {(part.stop - part.start) / rate:.1f} seconds.", flush=True)


def _keys(entries: Sequence[Found]) -> list[str]:
    """By what the entries of a list are noted: their addresses, without what changes from day to day behind a `?`.

    Where several are the same without that, it belongs to them.
    """
    bare = [entry.address.partition("?")[0] for entry in entries]
    counts = Counter(bare)
    return [entry.address if counts[address] > 1 else address for entry, address in zip(entries, bare)]


def _examine(downloaded: Path) -> tuple[Recording, Reader]:
    try:
        return examine(downloaded)
    except Unusable as error:
        raise Unavailable(f"what came {PROBLEMS[error.problem]}") from None


@dataclass(frozen=True)
class _Part:
    """What becomes a file: its samples, of all that was downloaded, from `start` to before `stop`."""

    title: str
    start: int
    stop: int


def _parts(chapters: Sequence[Chapter], title: str, rate: int, length: int) -> list[_Part]:
    """The chapters, the first of which begins where all begins; where there are not several, the whole with a title."""
    titles = {0: title}
    if len(chapters) > 1:
        titles = {0: chapters[0].title}
        for chapter in chapters[1:]:
            if chapter.start * rate < length:
                titles.setdefault(round(chapter.start * rate), chapter.title)
    starts = sorted(start for start in titles if start < length)
    return [_Part(titles[start], start, stop) for start, stop in pairwise([*starts, length])]


def _require_room(parts: Sequence[_Part], rate: int, channels: int) -> None:
    longest = max(part.stop - part.start for part in parts)
    if longest * channels > MAX_WAV_FRAMES:
        raise Unavailable(f"{longest / rate:.0f} seconds are too long for a WAV; lower --sample_rate, or give --mono")


def _divided(blocks: Iterable[np.ndarray], starts: Sequence[int]) -> Iterator[tuple[int, np.ndarray]]:
    """Blocks [frames, channels], divided at the starts but the first, which is 0; each piece with its start's index."""
    position = 0
    for block in blocks:
        cuts = [start - position for start in starts if position < start < position + len(block)]
        for piece in np.split(block, cuts):
            if len(piece):
                yield bisect_right(starts, position) - 1, piece
            position += len(piece)


def _new_names(folder: Path, number: int, titles: Sequence[str]) -> list[Path]:
    """Paths of files with these titles, under numbers from one on that no file has there."""
    taken = {file.name.partition(" ")[0] for file in folder.glob("*.wav")}
    numbers = (f"{i:02d}" for i in count(number))
    free = (i for i in numbers if i not in taken)
    return [folder / f"{i} {as_name(title)}.wav" for i, title in zip(free, titles)]


def _folder_for(parent: Path, title: str) -> Path:
    """Where the files of an album belong, under a name that no file has."""
    return next(path for path in numbered(parent / as_name(title)) if not path.is_file() and path.name != FETCHED)
