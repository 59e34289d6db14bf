"""What of a corpus is trained on, what is held out, and how often each file is heard in an epoch."""

from __future__ import annotations

import logging
import math
import random
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import PurePosixPath
from types import MappingProxyType

from samplernn.audio.chunk_notes import chunk_of
from samplernn.audio.wav import Folder, Recording
from samplernn.corpus.places import Places, overlapping
from samplernn.system.errors import InputError
from samplernn.system.words import counted, printable

SPLIT_SEED = 42  # the split must be the same on every run and every machine

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Split:
    """The recordings to train on and those held out."""

    training: list[Recording]
    validation: list[Recording]

    @property
    def training_frames(self) -> int:
        """The length of all that is trained on, in samples."""
        return sum(recording.frames for recording in self.training)

    @property
    def mix(self) -> dict[str, float]:
        """The weights of the folders that are trained on, by the folders' names."""
        return {folder.name: folder.weight for folder in _by_folder(self.training)}

    def names(self) -> dict[str, list[str]]:
        """The split as JSON can hold it, to be handed to `split_corpus` on resuming."""
        return {part: [recording.name for recording in getattr(self, part)] for part in ("training", "validation")}


def recording_of(name: str) -> str:
    """What the chunks of one recording have in common, of the name of a file; any other file is a recording itself."""
    chunk = chunk_of(PurePosixPath(name))
    return str(chunk[0]) if chunk else name


def split_corpus(
    corpus: list[Recording],
    seq_len: int,
    batch_size: int,
    val_frac: float,
    earlier: dict[str, list[str]] | None = None,
    hold_out: str = "files",
    places: Places = MappingProxyType({}),
) -> Split:
    """Split a corpus, always in the same way, to train on whole batches of files.

    The validation part is `val_frac` rounded to whole batches, at least one. Where recordings are held out, with all
    their chunks, it is as many files as come near to that. Where time is, it is that part of each recording that
    `places` knows, in one stretch, and what overlaps with it is on neither side. Where an `earlier` split is given,
    what it held out stays held out, whatever was added to the corpus since.

    Raises:
        InputError: fewer than two batches of files are long enough for one window of `seq_len` samples, all are of
            one recording and recordings are to be held out, or none can be divided where time is, none is left of
            what was held out, or no batch to train on, or the folders' weights leave no batch, or nothing of a
            folder, to an epoch.
    """
    long_enough = _long_enough(corpus, seq_len)
    if len(long_enough) < 2 * batch_size:
        raise InputError(
            f"--batch_size {batch_size} needs {2 * batch_size} files (a batch to train on, a batch to validate with)"
            f" and there are {len(long_enough)}; --batch_size {len(long_enough) // 2} would do"
        )
    shuffled = list(long_enough)
    random.Random(SPLIT_SEED).shuffle(shuffled)
    validation = _held_out(shuffled, earlier)
    if not validation:
        choose = {
            "files": partial(_choose_files, batch_size=batch_size),
            "recordings": partial(_choose_recordings, batch_size=batch_size),
            "time": partial(_choose_stretches, places=places),
        }[hold_out]
        validation = choose(shuffled, val_frac=val_frac)
    names = {recording.name for recording in validation}
    candidates = [recording for recording in shuffled if recording.name not in names]
    if hold_out == "recordings":
        candidates = _of_other_recordings(candidates, validation, earlier)
    elif hold_out == "time":
        candidates = _apart(candidates, validation, places)
    training = candidates[: len(candidates) // batch_size * batch_size]
    if left := len(candidates) - len(training):
        left_out = "1 file is" if left == 1 else f"{left} files are"
        log.warning("Dataset truncated: %s left out, to make whole batches of %d.", left_out, batch_size)
    if not training:
        remedy = f"--batch_size {len(candidates)} would do" if candidates else "add files, or use --resume False"
        raise InputError(
            f"--batch_size {batch_size}: beside the {len(validation)} that are held out"
            f" {counted(len(candidates), 'file')} can be trained on; {remedy}"
        )
    _check_weights(training, batch_size)
    return Split(training, validation)


def _long_enough(corpus: list[Recording], seq_len: int) -> list[Recording]:
    """The recordings that hold a window; InputError where those are fewer than two."""
    if len(corpus) < 2:
        raise InputError("--data_dir: 1 file; two are the least, one to train on and one to validate with; add more")
    long_enough = [recording for recording in corpus if recording.frames >= seq_len]
    if short := len(corpus) - len(long_enough):
        of_all = counted(len(corpus), "file")
        window = counted(seq_len, corpus[0].unit)
        log.warning("Left out %d of %s: shorter than a window of %s.", short, of_all, window)
    if len(long_enough) < 2:
        hold = "file holds" if len(corpus) == 1 else "files hold"
        raise InputError(
            f"--data_dir: {len(long_enough)} of {len(corpus)} {hold} a window of seq_len {seq_len} {corpus[0].unit}s,"
            " and two are the least; add longer files or lower seq_len in the config"
        )
    return long_enough


def _by_recording(files: Iterable[Recording]) -> dict[str, list[Recording]]:
    """Files by what `recording_of` says of their names, in their order."""
    chunks_of: dict[str, list[Recording]] = {}
    for file in files:
        chunks_of.setdefault(recording_of(file.name), []).append(file)
    return chunks_of


def _number_to_hold_out(files: int, batch_size: int, val_frac: float) -> int:
    """Of at least two batches of files, in whole batches; one is left to train on."""
    whole = files // batch_size * batch_size
    size = max(1, round(whole * val_frac / batch_size)) * batch_size
    return min(size, whole - batch_size)


def _choose_files(shuffled: list[Recording], batch_size: int, val_frac: float) -> list[Recording]:
    whole = len(shuffled) // batch_size * batch_size
    return shuffled[whole - _number_to_hold_out(len(shuffled), batch_size, val_frac) : whole]


def _choose_recordings(shuffled: list[Recording], batch_size: int, val_frac: float) -> list[Recording]:
    """Recordings with all their chunks: each that brings the number of files nearer to what it is to be."""
    chunks_of = _by_recording(shuffled)
    if len(chunks_of) < 2:
        raise InputError(
            f"--hold_out recordings needs two (one to train on, one to validate with), and all {len(shuffled)} files"
            f" are chunks of {printable(next(iter(chunks_of)))}; add another recording, or give --hold_out files"
        )
    wanted, most = _number_to_hold_out(len(shuffled), batch_size, val_frac), len(shuffled) - batch_size
    held_out: list[Recording] = []
    for chunks in chunks_of.values():
        more = len(held_out) + len(chunks)
        if more <= most and abs(more - wanted) < abs(len(held_out) - wanted):
            held_out += chunks
    return held_out or min(chunks_of.values(), key=len)  # the least is half of all at most, and leaves a batch


def _choose_stretches(shuffled: list[Recording], val_frac: float, places: Places) -> list[Recording]:
    """Of each recording so much in one stretch, at a place that is drawn, if as much is left that shares nothing."""
    placed = (file for file in shuffled if file.name in places)
    chunks_of = _by_recording(sorted(placed, key=lambda file: places[file.name]))
    held_out: list[Recording] = []
    undivided = 0
    for name, chunks in chunks_of.items():
        stretch = _draw_stretch(
            chunks, max(1, round(len(chunks) * val_frac)), random.Random(f"{SPLIT_SEED}/{name}"), places
        )
        held_out += stretch
        undivided += not stretch
    if not held_out:
        raise InputError(
            "--hold_out time: not one recording has enough chunks for a stretch to be held out that shares nothing with"
            " as many others; cut more of them with chunk_audio.py, or with less overlap, or give --hold_out files"
        )
    if undivided:
        log.warning("Of %s %d cannot be divided, having too few chunks, and nothing of them is held out.",
                    counted(len(chunks_of), "recording"), undivided)  # fmt: skip
    return held_out


def _draw_stretch(chunks: list[Recording], number: int, draw: random.Random, places: Places) -> list[Recording]:
    """So many chunks in a row, of all those of a recording in order; none where too few others would share nothing."""
    starts = list(range(len(chunks) - number + 1))
    draw.shuffle(starts)
    for start in starts:
        stretch = chunks[start : start + number]
        if len(chunks) - len(overlapping(chunks, stretch, places)) >= number:
            return stretch
    return []


def _apart(candidates: list[Recording], validation: list[Recording], places: Places) -> list[Recording]:
    """The files that have no sample in common with what is held out."""
    shared = {file.name for file in overlapping(candidates, validation, places)}
    if shared:
        log.warning("Left out %s overlapping with what is held out.", counted(len(shared), "chunk"))
    return [file for file in candidates if file.name not in shared]


def _of_other_recordings(
    candidates: list[Recording], validation: list[Recording], earlier: dict[str, list[str]] | None
) -> list[Recording]:
    """The files that are no chunks of what is held out; a resumed run may find new ones, which are on neither side."""
    names = [*(recording.name for recording in validation), *(earlier or {"validation": []})["validation"]]
    held_out = set(map(recording_of, names))
    others = [recording for recording in candidates if recording_of(recording.name) not in held_out]
    if added := len(candidates) - len(others):
        log.warning("Left out %s, new in recordings that the resumed run holds out.", counted(added, "chunk"))
    return others


def _check_weights(training: list[Recording], batch_size: int) -> None:
    """Every epoch is as long as any other: what one lacks, all lack."""
    numbers = {folder: _number_heard(folder, len(files)) for folder, files in _by_folder(training).items()}
    for folder, number in numbers.items():
        if number == 0:
            raise InputError(
                f"--data_dir: at a weight of {folder.weight:g} not one file of {folder.path} is heard in an epoch;"
                " raise the weight, or leave the folder out"
            )
    if sum(numbers.values()) < batch_size:
        heard = counted(sum(numbers.values()), "file")
        raise InputError(
            f"--batch_size {batch_size}: at the weights of --data_dir an epoch has {heard}, less"
            " than a batch; raise the weights, add files, or lower --batch_size"
        )


def _held_out(recordings: list[Recording], earlier: dict[str, list[str]] | None) -> list[Recording]:
    """The recordings that an earlier split held out, in its order."""
    if not (earlier and earlier["validation"]):
        return []
    by_name = {recording.name: recording for recording in recordings}
    found = [by_name[name] for name in earlier["validation"] if name in by_name]
    number = len(earlier["validation"])
    if not found:
        raise InputError(
            f"--data_dir: of {counted(number, 'file')} that the resumed run held out none is there, or long enough;"
            " others may be what it has trained on. Put them back, or use --resume False to start from scratch"
        )
    if len(found) < number:
        log.warning("Of the files that were held out before, %d of %d are here: they alone validate.",
                    len(found), number)  # fmt: skip
    return found


def heard_in(recordings: list[Recording], random_seed: int, epoch: int) -> list[Recording]:
    """The recordings that an epoch of training has, each as often as it has them.

    Of n files of a folder it has n times the folder's weight, rounded: all of them equally often, and once more those
    that are drawn, which depend on nothing but the seed and the epoch.
    """
    heard = []
    for folder, files in _by_folder(recordings).items():
        times, more = divmod(_number_heard(folder, len(files)), len(files))
        heard += files * times + random.Random(f"{random_seed}/{epoch}/{folder.name}").sample(files, more)
    return heard


def describe_mix(folders: Iterable[Folder], training: list[Recording]) -> list[str]:
    """For each folder a line: what of it is trained on, and what part of an epoch's time that is on average."""
    by_folder, rows = _by_folder(training), []
    for folder in folders:
        files = by_folder.get(folder, [])
        minutes = sum(file.seconds for file in files) / 60
        heard = minutes * _number_heard(folder, len(files)) / max(1, len(files))
        rows.append((folder, len(files), minutes, heard))
    total = sum(heard for *_, heard in rows)
    return [
        f"{printable(str(folder.path))}: {counted(number, 'file')} to train on ({minutes:.1f} minutes),"
        f" weight {folder.weight:g}, {heard / total:.1%} of what is heard in an epoch"
        for folder, number, minutes, heard in rows
    ]


def _by_folder(recordings: list[Recording]) -> dict[Folder, list[Recording]]:
    folders: dict[Folder, list[Recording]] = {}
    for recording in recordings:
        folders.setdefault(recording.folder, []).append(recording)
    return folders


def _number_heard(folder: Folder, files: int) -> int:
    """How many of a folder's files, those heard several times as several, an epoch has."""
    return math.floor(folder.weight * files + 0.5)
