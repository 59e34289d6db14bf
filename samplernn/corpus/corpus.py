"""A corpus: what of its files can be used, and what was found about them."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, as_completed
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from samplernn.audio.wav import Folder, Recording
from samplernn.system.errors import InputError
from samplernn.system.files import write_whole
from samplernn.system.progress import ProgressBar
from samplernn.system.words import commonest_first, counted, listed, printable

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Corpus:
    """The recordings of its folders that can be used, all of one sample rate, and what was found about its files."""

    recordings: list[Recording]
    findings: list[Finding]
    examined: int  # files

    @property
    def sample_rate(self) -> int | None:
        """Of its audio, Hz."""
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
class Examination(ABC):
    """What reading all files of a corpus tells.

    Attributes:
        data_dir: its folders, as the user named them.
        places: where a file is, by what it is called in messages.
        facts: of each file, likewise.
    """

    data_dir: Sequence[str]
    places: Mapping[str, tuple[Folder, str]]
    facts: Mapping[str, Any]

    @property
    @abstractmethod
    def usable(self) -> Mapping[str, Any]:
        """The facts of the files that can be trained on together."""

    @abstractmethod
    def problems(self) -> str:
        """Every file that cannot be used, and why."""

    @abstractmethod
    def doubts(self) -> list[Finding]:
        """What can be trained on, but perhaps should not be."""

    @abstractmethod
    def corpus(self) -> Corpus:
        """What can be used, and what is to be said about the files."""

    def complaints(self, skip_unusable: bool, strict: bool) -> list[str]:
        """Why the corpus is refused, if it is, with the remedies.

        Args:
            skip_unusable: whether files that cannot be used are left out, if there are others.
            strict: whether the doubtful ones are refused.
        """
        usable, complaints = self.usable, []
        if not usable:
            complaints.append(f"not one file can be used; replace them: {self.problems()}")
        elif len(usable) < len(self.facts) and not skip_unusable:
            remedy = "remove or replace what cannot be used, or leave it out by --skip_unusable True"
            complaints.append(f"{remedy}: {self.problems()}")
        if strict and (doubts := self.doubts()):
            examined = len(self.facts)
            shown = "; ".join(f"{doubt.title(examined)}: {', '.join(doubt.names)}" for doubt in doubts)
            complaints.append(f"--strict True refuses what is doubtful; remove or replace it: {shown}")
        return [f"--data_dir {' '.join(self.data_dir)}: {complaint}" for complaint in complaints]


def accepted(examination: Examination, skip_unusable: bool = False, strict: bool = False) -> Corpus:
    """The corpus that was examined, and log lines for what is to be said about it.

    Args:
        skip_unusable: leave out the files that cannot be used.
        strict: refuse the doubtful ones too.

    Raises:
        InputError: files are refused; all are named.
    """
    if complaints := examination.complaints(skip_unusable, strict):
        raise InputError("; ".join(complaints))
    corpus = examination.corpus()
    corpus.remark()
    return corpus


def called_in_messages(found: Mapping[Folder, Sequence[str]]) -> dict[str, tuple[Folder, str]]:
    """Where the files of some folders are, by what they are called: their names where there is one folder."""
    return {
        name if len(found) == 1 else (folder.path / name).as_posix(): (folder, name)
        for folder, names in found.items()
        for name in names
    }


def duplicates(digests: Mapping[str, str], content: str) -> Finding:
    """The files whose content, called so, one before them has too, as its hash tells."""
    first: dict[str, str] = {}  # with a digest
    copies = {name: first.setdefault(digest, name) for name, digest in digests.items()}
    return Finding(
        "Duplicate",
        [f"{name} (the same {content} as {original})" for name, original in copies.items() if name != original],
        "Used all the same; the validation loss flatters if one is trained on and the other held out.",
    )


def commonest(values: Iterable[Hashable]) -> Any:
    """The value that there are most of; None if there is none."""
    return min(Counter(values).items(), key=commonest_first, default=(None, 0))[0]


def with_progress(futures: list[Future]) -> Iterator[Future]:
    """Pass on what is done. If that takes long, say how far it is: a bar on a terminal, elsewhere a line at times."""
    if not log.isEnabledFor(logging.WARNING):  # another worker says it
        yield from as_completed(futures)
        return
    line = f"{{}} of {counted(len(futures), 'file')} examined".format
    with closing(ProgressBar(len(futures), line, patience=1, every=10)) as progress:
        for number, future in enumerate(as_completed(futures), 1):
            yield future
            progress(number)
