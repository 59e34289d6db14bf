"""A corpus of audio: each of its files is read once, and it is said what is wrong or doubtful, and what is done."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from samplernn.audio.wav import PROBLEMS, SILENCE_POWER, Folder, Recording, Unusable, examine, mix_down
from samplernn.corpus.corpus import (
    Corpus,
    Examination,
    Finding,
    accepted,
    called_in_messages,
    commonest,
    duplicates,
    with_progress,
)
from samplernn.corpus.folders import WAV, files_in
from samplernn.system.errors import InputError
from samplernn.system.files import read_json, write_whole
from samplernn.system.words import counted, listed

FULL_SCALE = 32767 / 32768  # the highest 16-bit sample
CLIPPED_SAMPLES = 10  # as many may be clipped before a file is called so
CACHE = ".samplernn.json"
CACHE_VERSION = 1  # of what facts mean: higher wherever a rule changes
PASSING = ("missing", "locked")  # problems that go away without the file being changed
THREADS = min(8, os.cpu_count() or 1)  # reading and numpy run side by side, the Python between them does not


@dataclass(frozen=True)
class Facts:
    """What reading a file from its beginning to its end tells about it."""

    size: int  # bytes; with the time, what tells whether the file has changed since
    mtime_ns: int
    problem: str = ""  # one of audio.PROBLEMS; then nothing below counts
    sample_rate: int = 0  # Hz
    frames: int = 0
    channels: int = 0
    silent: bool = False
    clipped: bool = False
    digest: str = ""  # of the audio, its channels mixed down

    @classmethod
    def from_json(cls, value: Any) -> Facts | None:
        """The facts that `asdict` made JSON of; None for any other JSON."""
        types = {field.name: field.type for field in fields(cls)}
        if not isinstance(value, dict) or {key: type(item).__name__ for key, item in value.items()} != types:
            return None
        facts = cls(**value)
        usable = not facts.problem and min(facts.sample_rate, facts.frames, facts.channels) > 0
        usable = usable and facts.frames <= 64 * facts.size  # no format packs more
        return facts if usable or facts.problem in PROBLEMS else None


@dataclass(frozen=True)
class AudioExamination(Examination):
    """What reading all files of a corpus of audio tells."""

    facts: Mapping[str, Facts]

    @cached_property
    def rate(self) -> int | None:
        """The sample rate that most of the whole files have, in Hz."""
        return commonest(file.sample_rate for file in self.facts.values() if not file.problem)

    @cached_property
    def usable(self) -> dict[str, Facts]:
        rate = self.rate
        return {name: file for name, file in self.facts.items() if not file.problem and file.sample_rate == rate}

    def problems(self) -> str:
        return _complaints(self.facts, self.rate)

    def doubts(self) -> list[Finding]:
        return _doubts(self.usable)

    def corpus(self) -> Corpus:
        usable = self.usable
        recordings = [_recording(*self.places[called], file) for called, file in usable.items()]
        findings = [*_left_out(self.facts, self.rate), *_doubts(usable), *_mixed_down(usable)]
        return Corpus(recordings, findings, len(self.facts))


def scan_corpus(data_dir: Sequence[str], skip_unusable: bool = False, strict: bool = False) -> Corpus:
    """Examine all WAV files below one or more folders, and say what is to be said about them.

    Args:
        data_dir: the folders, each as `parse_folder` takes it. What is found is kept in each too, in a hidden file, so
            that a file is read only once.
        skip_unusable, strict: as for `accepted`.

    Returns:
        The recordings, folder by folder, in the order of their names, numbers in them by value.

    Raises:
        InputError: there is no such folder or no WAV in it, two find the same file, or files are refused (all are
            named).
    """
    return accepted(examine_corpus(data_dir), skip_unusable, strict)


def examine_corpus(data_dir: Sequence[str]) -> AudioExamination:
    """Read all WAV files below one or more folders, as `scan_corpus` does, and refuse none.

    Raises:
        InputError: there is no such folder or no WAV in it, or two find the same file.
    """
    found = files_in(data_dir, WAV)
    facts = [file for folder, names in found.items() for file in _examine_all(folder.path, names).values()]
    places = called_in_messages(found)
    return AudioExamination(data_dir, places, dict(zip(places, facts)))


def _recording(folder: Folder, name: str, file: Facts) -> Recording:
    full_name = str(PurePosixPath(folder.name, name))
    return Recording(folder.path / name, full_name, file.sample_rate, file.frames, file.channels, folder)


# --- What is said ---


def _complaints(facts: dict[str, Facts], rate: int | None) -> str:
    """Every file that cannot be used, and why."""
    complaints = [f"{name} {PROBLEMS[file.problem]}" for name, file in facts.items() if file.problem]
    rates = Counter(file.sample_rate for file in facts.values() if not file.problem)
    if len(rates) > 1:
        counts = ", ".join(f"{other} Hz ({counted(count, 'file')})" for other, count in sorted(rates.items()))
        remedy = f"cut the recordings anew by chunk_audio.py --replace --sample_rate {rate}, or convert these"
        complaints.append(f"mixed sample rates, {counts}; {remedy}: {listed(_of_other_rates(facts, rate))}")
    return "; ".join(complaints)


def _left_out(facts: dict[str, Facts], rate: int) -> list[Finding]:
    kinds = {kind: [name for name, file in facts.items() if file.problem == kind] for kind in PROBLEMS}
    kinds[f"of another sample rate than {rate} Hz"] = _of_other_rates(facts, rate)
    return [Finding(f"Unusable, {kind}", names, "Left out.") for kind, names in kinds.items() if names]


def _of_other_rates(facts: dict[str, Facts], rate: int | None) -> list[str]:
    others = {name: file.sample_rate for name, file in facts.items() if not file.problem and file.sample_rate != rate}
    return [f"{name} ({other} Hz)" for name, other in others.items()]


def _doubts(usable: dict[str, Facts]) -> list[Finding]:
    """What can be trained on, but perhaps should not be."""
    length = commonest(file.frames for file in usable.values())
    findings = [
        Finding("Silent", [name for name, file in usable.items() if file.silent], "Used all the same."),
        Finding("Clipped", [name for name, file in usable.items() if file.clipped], "Used all the same."),
        Finding(
            f"Of another length than the commonest, {length} samples",
            [f"{name} ({counted(file.frames, 'sample')})" for name, file in usable.items() if file.frames != length],
            "Used to the last whole window.",
        ),
        duplicates({name: file.digest for name, file in usable.items()}, "audio"),
    ]
    return [finding for finding in findings if finding.names]


def _mixed_down(usable: dict[str, Facts]) -> list[Finding]:
    names = [name for name, file in usable.items() if file.channels > 1]
    return [Finding("More than one channel", names, "Mixed down to mono.")] if names else []


# --- What is read ---


def _examine_all(root: Path, names: list[str]) -> dict[str, Facts]:
    """The facts of all files, in the order of the names, those of unchanged files from the cache."""
    known = _read_cache(root / CACHE)
    found: dict[str, Facts] = {}

    def look(name: str) -> None:
        size, mtime_ns = _size_and_time(root / name)
        facts = known.get(name)
        unchanged = facts and (facts.size, facts.mtime_ns) == (size, mtime_ns)
        found[name] = facts if unchanged else _examine(root / name, name, size, mtime_ns)

    pool = ThreadPoolExecutor(THREADS, thread_name_prefix="examine")
    try:
        for done in with_progress([pool.submit(look, name) for name in names]):
            done.result()
    finally:  # also after Ctrl-C: what was read need not be read again
        pool.shutdown(cancel_futures=True)
        _write_cache(root / CACHE, known, found, names)
    return {name: found[name] for name in names}


def _size_and_time(path: Path) -> tuple[int, int]:
    try:
        stat = path.stat()
        return stat.st_size, stat.st_mtime_ns
    except OSError:
        return -1, -1  # it was removed just now, which `examine` finds too


def _examine(path: Path, name: str, size: int, mtime_ns: int) -> Facts:
    content = _Content()
    try:
        recording = examine(path, name, content.add)
    except Unusable as error:
        return Facts(size, mtime_ns, error.problem)
    return Facts(
        size,
        mtime_ns,
        sample_rate=recording.sample_rate,
        frames=recording.frames,
        channels=recording.channels,
        silent=content.silent,
        clipped=content.clipped,
        digest=content.digest,
    )


class _Content:
    """What a file's samples tell, gathered block by block."""

    def __init__(self):
        self._hash = hashlib.blake2b(digest_size=16)
        self._energy, self._frames = 0.0, 0
        self._last_two, self._clipped = None, 0  # whether those samples are at full scale

    def add(self, block: np.ndarray) -> None:
        """Take the next samples, [frames, channels]."""
        mono = mix_down(block)  # silence and copies are what the network hears as such
        self._hash.update(np.ascontiguousarray(mono))
        self._energy += float(np.square(mono, dtype=np.float64).sum())
        self._frames += len(mono)
        # One sample at full scale is a peak that was normalized, three in a row are a peak that was cut off: count
        # the third and all that follow it, in each channel.
        full = np.abs(block) >= FULL_SCALE
        full = full if self._last_two is None else np.concatenate([self._last_two, full])
        self._clipped += int((full[2:] & full[1:-1] & full[:-2]).sum())
        self._last_two = full[-2:]

    @property
    def silent(self) -> bool:
        return self._energy <= SILENCE_POWER * self._frames

    @property
    def clipped(self) -> bool:
        return self._clipped > CLIPPED_SAMPLES

    @property
    def digest(self) -> str:
        return self._hash.hexdigest()


# --- What is kept of it ---


def _read_cache(path: Path) -> dict[str, Facts]:
    """What was found about the files before; nothing if there is no such file, or it isn't one of ours."""
    try:
        content = read_json(path)
    except InputError:
        return {}
    if not isinstance(content, dict) or content.get("version") != CACHE_VERSION:
        return {}
    files = content.get("files")
    facts = {name: Facts.from_json(value) for name, value in files.items()} if isinstance(files, dict) else {}
    return {name: file for name, file in facts.items() if file}


def _write_cache(path: Path, known: dict[str, Facts], found: dict[str, Facts], names: list[str]) -> None:
    """Keep what was found, beside what others have found meanwhile. A folder that can't be written is read again."""
    kept = {name: file for name, file in found.items() if file.problem not in PASSING}
    if kept == known:
        return
    kept = {**_read_cache(path), **kept}
    files = {name: asdict(kept[name]) for name in names if name in kept}
    with suppress(OSError):
        write_whole(path, json.dumps({"version": CACHE_VERSION, "files": files}) + "\n")
