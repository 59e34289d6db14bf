"""The corpus: each of its files is read once, and it is said what is wrong or doubtful, and what is done about it."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import closing, suppress
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from samplernn.audio.wav import PROBLEMS, SILENCE_POWER, Folder, Recording, Unusable, examine, mix_down
from samplernn.corpus.folders import wav_files
from samplernn.system.errors import InputError
from samplernn.system.files import read_json, write_whole
from samplernn.system.progress import ProgressBar
from samplernn.system.words import commonest_first, counted, listed, printable

FULL_SCALE = 32767 / 32768  # the highest 16-bit sample
CLIPPED_SAMPLES = 10  # as many may be clipped before a file is called so
CACHE = ".samplernn.json"
CACHE_VERSION = 1  # of what facts mean: higher wherever a rule changes
PASSING = ("missing", "locked")  # problems that go away without the file being changed
THREADS = min(8, os.cpu_count() or 1)  # reading and numpy run side by side, the Python between them does not

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Corpus:
    """The recordings of its folders that can be used, all of one sample rate, and what was found about its files."""

    recordings: list[Recording]
    findings: list[Finding]
    examined: int  # files

    @property
    def sample_rate(self) -> int:
        """In Hz."""
        return self.recordings[0].sample_rate

    @property
    def folders(self) -> list[Folder]:
        """Those that the recordings are from, in the order in which they were given."""
        return list(dict.fromkeys(recording.folder for recording in self.recordings))

    def remark(self) -> None:
        """Log a line for each finding."""
        for finding in self.findings:
            log.warning("%s", finding.remark(self.examined))

    def write_report(self, folder: Path) -> None:
        """Write `corpus.txt`, which names every file that there is something to say about.

        Raises:
            OSError: the disk refuses.
        """
        examined = f"{counted(self.examined, 'file')} {'was' if self.examined == 1 else 'were'} examined"
        lines = [f"{examined}, {len(self.recordings)} of them can be used."]
        for finding in self.findings:
            lines += ["", f"{finding.title(self.examined)}. {finding.done}", *(f"    {name}" for name in finding.shown)]
        write_whole(folder / "corpus.txt", "\n".join(lines) + "\n")


@dataclass(frozen=True)
class Finding:
    """The files of which the same is to be said, and what is done about them."""

    kind: str
    names: list[str]  # with what is particular to each
    done: str

    @property
    def shown(self) -> list[str]:
        """The names as a line of text can hold them."""
        return list(map(printable, self.names))

    def title(self, examined: int) -> str:
        """The kind, and how many of the files examined are of it."""
        return f"{self.kind} ({len(self.names)} of {counted(examined, 'file')})"

    def remark(self, examined: int) -> str:
        """One line, with as many names as one can take in."""
        return f"{self.title(examined)}: {listed(self.shown)}. {self.done}"


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
class Examination:
    """What reading all files of a corpus tells."""

    data_dir: Sequence[str]
    places: dict[str, tuple[Folder, str]]  # where a file is, by what it is called in messages
    facts: dict[str, Facts]  # likewise

    @cached_property
    def rate(self) -> int | None:
        """The sample rate that most of the whole files have, in Hz."""
        return _commonest(file.sample_rate for file in self.facts.values() if not file.problem)

    @cached_property
    def usable(self) -> dict[str, Facts]:
        """The files that can be trained on together."""
        rate = self.rate
        return {name: file for name, file in self.facts.items() if not file.problem and file.sample_rate == rate}

    def complaints(self, skip_unusable: bool, strict: bool) -> list[str]:
        """Why the corpus is refused, if it is, with the remedies.

        Args:
            skip_unusable: whether files that cannot be used are left out, if there are others.
            strict: whether the doubtful ones are refused.
        """
        usable, complaints = self.usable, []
        if not usable:
            complaints.append(f"not one file can be used; replace them: {_complaints(self.facts, self.rate)}")
        elif len(usable) < len(self.facts) and not skip_unusable:
            remedy = "remove or replace what cannot be used, or leave it out by --skip_unusable True"
            complaints.append(f"{remedy}: {_complaints(self.facts, self.rate)}")
        if strict and (doubts := _doubts(usable)):
            examined = len(self.facts)
            shown = "; ".join(f"{doubt.title(examined)}: {', '.join(doubt.names)}" for doubt in doubts)
            complaints.append(f"--strict True refuses what is doubtful; remove or replace it: {shown}")
        return [f"--data_dir {' '.join(self.data_dir)}: {complaint}" for complaint in complaints]

    def corpus(self) -> Corpus:
        """What can be used, and what is to be said about the files."""
        usable = self.usable
        recordings = [_recording(*self.places[called], file) for called, file in usable.items()]
        findings = [*_left_out(self.facts, self.rate), *_doubts(usable), *_mixed_down(usable)]
        return Corpus(recordings, findings, len(self.facts))


def scan_corpus(data_dir: Sequence[str], skip_unusable: bool = False, strict: bool = False) -> Corpus:
    """Examine all WAV files below one or more folders, and say what is to be said about them.

    Args:
        data_dir: the folders, each as `parse_folder` takes it. What is found is kept in each too, in a hidden file, so
            that a file is read only once.
        skip_unusable: leave out the files that cannot be used.
        strict: refuse the doubtful ones too.

    Returns:
        The recordings, folder by folder, in the order of their names, numbers in them by value.

    Raises:
        InputError: there is no such folder or no WAV in it, two find the same file, or files are refused (all are
            named).
    """
    examination = examine_corpus(data_dir)
    if complaints := examination.complaints(skip_unusable, strict):
        raise InputError("; ".join(complaints))
    corpus = examination.corpus()
    corpus.remark()
    return corpus


def examine_corpus(data_dir: Sequence[str]) -> Examination:
    """Read all WAV files below one or more folders, as `scan_corpus` does, and refuse none.

    Raises:
        InputError: there is no such folder or no WAV in it, or two find the same file.
    """
    found = wav_files(data_dir)
    places, facts = {}, {}
    for folder, names in found.items():
        for name, file in _examine_all(folder.path, names).items():
            called = name if len(found) == 1 else (folder.path / name).as_posix()
            places[called], facts[called] = (folder, name), file
    return Examination(data_dir, places, facts)


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
    length = _commonest(file.frames for file in usable.values())
    first: dict[str, str] = {}  # with a digest
    copies = {name: first.setdefault(file.digest, name) for name, file in usable.items()}
    findings = [
        Finding("Silent", [name for name, file in usable.items() if file.silent], "Used all the same."),
        Finding("Clipped", [name for name, file in usable.items() if file.clipped], "Used all the same."),
        Finding(
            f"Of another length than the commonest, {length} samples",
            [f"{name} ({counted(file.frames, 'sample')})" for name, file in usable.items() if file.frames != length],
            "Used to the last whole window.",
        ),
        Finding(
            "Duplicate",
            [f"{name} (the same audio as {original})" for name, original in copies.items() if name != original],
            "Used all the same; the validation loss flatters if one is trained on and the other held out.",
        ),
    ]
    return [finding for finding in findings if finding.names]


def _mixed_down(usable: dict[str, Facts]) -> list[Finding]:
    names = [name for name, file in usable.items() if file.channels > 1]
    return [Finding("More than one channel", names, "Mixed down to mono.")] if names else []


def _commonest(values: Iterable[Hashable]) -> Any:
    """The value that there are most of; None if there is none."""
    return min(Counter(values).items(), key=commonest_first, default=(None, 0))[0]


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
        for done in _with_progress([pool.submit(look, name) for name in names]):
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


def _with_progress(futures: list[Future]) -> Iterator[Future]:
    """Pass on what is done. If that takes long, say how far it is: a bar on a terminal, elsewhere a line at times."""
    if not log.isEnabledFor(logging.WARNING):  # another worker says it
        yield from as_completed(futures)
        return
    line = f"{{}} of {counted(len(futures), 'file')} examined".format
    with closing(ProgressBar(len(futures), line, patience=1, every=10)) as progress:
        for number, future in enumerate(as_completed(futures), 1):
            yield future
            progress(number)


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
