"""The folders of runs, and the checkpoints in them: their names, which is the latest, which are deleted.

A checkpoint is `model.ckpt-N.data-00000-of-00001`, `model.ckpt-N.json` (its settings, which PRiSM's lack) and
`model.ckpt-N.index`, which is written last: without it there is no checkpoint.

A checkpoint of another program's is a single file, such as `ep1-it1000` or `parameters.npz`.

`resume.ckpt-N-S` is one after N epochs and S steps of the next, with the network's state. It is there to be resumed
from: each new checkpoint of a run takes its place.
"""

from __future__ import annotations

import glob
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path

from filelock import FileLock, Timeout

from samplernn.checkpoints import foreign
from samplernn.system.errors import InputError
from samplernn.system.files import write_whole

NAME_FORMAT = "%d.%m.%Y_%H.%M.%S"
ROLLING = "resume.ckpt-"
LOCK = ".lock"  # held while the run's training goes on
HOURS_TO_WRITE = 1  # what is older was left by a process that was killed


# --- Names, and the latest ---


def create(parent: Path) -> Path:
    """Create a folder named after this second or, so that it is the newest whatever the clock does, a later one."""
    parent.mkdir(parents=True, exist_ok=True)
    newest = max((moment for moment, _ in _run_folders(parent)), default=datetime.min)
    moment = max(datetime.now(), newest + timedelta(seconds=1))
    while True:
        folder = parent / moment.strftime(NAME_FORMAT)
        try:
            folder.mkdir()
            return folder
        except FileExistsError:
            moment += timedelta(seconds=1)


def runs_in(parent: Path) -> list[Path]:
    """The run folders below a folder, oldest first."""
    return [run for _, run in sorted(_run_folders(parent))]


def prefix(run_folder: Path, epoch: int) -> Path:
    """The path of a checkpoint, which its files' names begin with."""
    return run_folder / f"model.ckpt-{epoch}"


def rolling_prefix(run_folder: Path, epoch: int, step: int) -> Path:
    """The path of a checkpoint to resume from, after some epochs and some steps of the next."""
    return run_folder / f"{ROLLING}{epoch}-{step}"


def epoch_of(checkpoint: Path) -> int:
    """The number of epochs done that a checkpoint's name tells; 0 where it tells none."""
    return place_of(checkpoint)[0]


def place_of(checkpoint: Path) -> tuple[int, int]:
    """The number of epochs done, and of steps of the next, that a checkpoint's name tells."""
    if numbers := re.fullmatch(rf"{re.escape(ROLLING)}(\d+)-(\d+)", checkpoint.name):
        return int(numbers[1]), int(numbers[2])
    number = re.search(r"-(\d+)$", checkpoint.name) or re.search(r"\bep(\d+)-it\d+$", checkpoint.name)
    return (int(number[1]) if number else 0), 0


def latest(parent: Path, rolling: bool = True) -> Path | None:
    """The last checkpoint of the newest run folder below `parent` that holds a complete one.

    Args:
        parent: a folder of run folders.
        rolling: whether those that are only there to be resumed from count.
    """
    for folder in reversed(runs_in(parent)):
        if found := latest_in(folder, rolling):
            return found
    return None


def _run_folders(parent: Path) -> Iterator[tuple[datetime, Path]]:
    """The run folders below a folder, each with the moment that it is named after."""
    for folder in parent.iterdir() if parent.is_dir() else ():
        with suppress(ValueError):
            yield datetime.strptime(folder.name, NAME_FORMAT), folder


def latest_in(run_folder: Path, rolling: bool = True) -> Path | None:
    """The complete checkpoint in a folder that is farthest."""
    found = kept_in(run_folder) + (_rolling_in(run_folder) if rolling else [])
    return max(found, key=place_of, default=None)


def resolve(path: str, rolling: bool = False) -> Path:
    """Find the checkpoint that a user means by its prefix, one of its files, its run folder, or the folder of runs.

    Args:
        path: what the user gave.
        rolling: whether a folder's latest may be one that is only there to be resumed from.

    Raises:
        InputError: there is none, or a part of it is missing.
    """
    given = Path(path)
    if given.is_dir():
        if found := latest_in(given, rolling) or latest(given, rolling):
            return found
        if unfinished := latest_in(given) or latest(given):
            raise InputError(f"{path}: no checkpoint of a whole epoch in it yet; name {unfinished}")
        raise InputError(
            f"{path}: no complete checkpoint (model.ckpt-N.index, model.ckpt-N.data-…) in it; name a run folder"
        )
    if foreign.is_foreign(given):
        return given
    checkpoint = given.with_name(re.sub(r"(?s)(?<=.)\.(index|json|data-\d{5}-of-\d{5})\Z", "", given.name))
    if is_complete(checkpoint):
        return checkpoint
    parts = [file.name for file in files_of(checkpoint)]
    if parts:
        raise InputError(f"{checkpoint}: incomplete checkpoint, only {', '.join(parts)} is there; name another epoch's")
    if given.is_file():
        raise InputError(
            f"{path}: not a checkpoint; name a model.ckpt-N, one of its files, a run folder, or a checkpoint of"
            " samplernn-pytorch's or RNN4Music's"
        )
    others = [str(epoch_of(other)) for other in kept_in(checkpoint.parent)]
    there = "there is epoch" if len(others) == 1 else "there are epochs"
    hint = f"; {there} {', '.join(others)}" if others else ""
    raise InputError(
        f"{path}: there is no such checkpoint{hint}; name a model.ckpt-N, one of its files, or a run folder"
    )


def furthest(parent: Path) -> Path | None:
    """The complete checkpoint below a folder of run folders that is furthest in its training, the newest of several."""
    found = [checkpoint for run in reversed(runs_in(parent)) if (checkpoint := latest_in(run))]
    return max(found, key=place_of, default=None)


def best_of(checkpoints: list[Path], values: dict[int, float], better: Callable) -> Path | None:
    """The first checkpoint with the best of the values, which are given by epoch; None where no value is known.

    Args:
        checkpoints: of one training, each after an epoch.
        values: by the number of epochs done.
        better: `max` or `min`.
    """
    known = sorted((checkpoint for checkpoint in checkpoints if epoch_of(checkpoint) in values), key=place_of)
    return better(known, key=lambda checkpoint: values[epoch_of(checkpoint)], default=None)


def kept_in(run_folder: Path) -> list[Path]:
    """The complete checkpoints in a folder that are there to be kept, in the order of their epochs."""
    return [path for path in _complete_in(run_folder, "*-*") if not path.name.startswith(ROLLING)]


def _rolling_in(run_folder: Path) -> list[Path]:
    return _complete_in(run_folder, f"{ROLLING}*-*")


def _complete_in(run_folder: Path, pattern: str) -> list[Path]:
    """The complete checkpoints in a folder whose names match a pattern, in the order of their places."""
    checkpoints = (index.with_suffix("") for index in run_folder.glob(f"{pattern}.index"))
    return sorted(filter(is_complete, checkpoints), key=place_of)


def is_complete(checkpoint: Path) -> bool:
    """Whether all its files are there."""
    shards = shards_of(checkpoint)
    return (
        Path(f"{checkpoint}.index").is_file()
        and bool(shards)
        and shards[0].name.endswith(f"-of-{len(shards):05}")
        and all(shard.is_file() for shard in shards)  # from a pipe or a device reading would never end
    )


def shards_of(checkpoint: Path) -> list[Path]:
    """The files with a checkpoint's tensors, in the order of their names."""
    return files_of(checkpoint, "data-*-of-*")


def weight_files(checkpoint: Path) -> list[Path]:
    """The files that hold what is in a checkpoint, in the order of their names: the data, then the index."""
    if foreign.is_foreign(checkpoint):
        return [checkpoint]
    return [*shards_of(checkpoint), Path(f"{checkpoint}.index")]


def files_of(checkpoint: Path, suffix: str = "*") -> list[Path]:
    """All its files, or those of a suffix, in the order of their names."""
    return sorted(checkpoint.parent.glob(f"{glob.escape(checkpoint.name)}.{suffix}"))


# --- What comes and what goes ---


def update_folder_after(checkpoint: Path) -> None:
    """Have a folder be up to date with a checkpoint that is new in it.

    The rolling ones there are deleted, but for this one and the last one before it: a rolling one is proved sound only
    by the step after it.
    """
    rolling = _rolling_in(checkpoint.parent)
    for outdated in rolling[:-2] if checkpoint in rolling else rolling:
        _delete(outdated)
    _write_checkpoint_file(kept_in(checkpoint.parent))


def rotate(run_folder: Path, keep: int, best: Path | None) -> None:
    """Delete all but the last `keep` checkpoints of a run, and the best one."""
    found = kept_in(run_folder)
    outdated = [checkpoint for checkpoint in found[:-keep] if checkpoint != best]
    # First, so that it never names one that is gone.
    _write_checkpoint_file([checkpoint for checkpoint in found if checkpoint not in outdated])
    for checkpoint in outdated:
        _delete(checkpoint)


# --- Runs that go on at the same time ---


@contextmanager
def held(run_folder: Path) -> Iterator[None]:
    """Let `running` know, while this context lasts, that the run's training goes on."""
    lock = FileLock(run_folder / LOCK, timeout=0)
    with suppress(OSError, NotImplementedError):  # a disk that knows no locks
        lock.acquire()
    try:
        yield
    finally:
        if lock.is_locked:
            with suppress(OSError):
                lock.release()
                (run_folder / LOCK).unlink(missing_ok=True)


def running(parent: Path) -> list[Path]:
    """The run folders below a folder of them whose trainings go on just now, oldest first."""
    return [run for run in runs_in(parent) if (run / LOCK).exists() and _is_held(run / LOCK)]


def _is_held(path: Path) -> bool:
    try:
        with FileLock(path, timeout=0):
            return False
    except Timeout:
        return True
    except (OSError, NotImplementedError):
        return False


def remove_abandoned(parent: Path) -> None:
    """Delete what processes that were killed while they wrote have left in the run folders below `parent`."""
    for aside in parent.glob("*/.*.part"):
        with suppress(OSError):
            if time.time() - aside.stat().st_mtime > HOURS_TO_WRITE * 3600:
                shutil.rmtree(aside) if aside.is_dir() else aside.unlink()


def discard_rolling(run_folder: Path, epoch: int, step: int) -> None:
    """Delete the checkpoint to resume from of a place, if there is one: what came after showed that it is no good."""
    _delete(rolling_prefix(run_folder, epoch, step))


def _delete(checkpoint: Path) -> None:
    """Delete a checkpoint, its index first, without which the rest does not count."""
    for file in sorted(files_of(checkpoint), key=lambda file: file.suffix != ".index"):
        file.unlink(missing_ok=True)


def _write_checkpoint_file(checkpoints: list[Path]) -> None:
    """Write the `checkpoint` file, by which TensorFlow finds the latest of a folder."""
    if checkpoints:
        names = [checkpoint.name for checkpoint in checkpoints]
        lines = [f'model_checkpoint_path: "{names[-1]}"'] + [f'all_model_checkpoint_paths: "{name}"' for name in names]
        write_whole(checkpoints[-1].with_name("checkpoint"), "\n".join(lines) + "\n")
