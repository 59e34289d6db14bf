"""What is compared: checkpoints, each with its config and the recordings that it is evaluated on."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from samplernn.audio.wav import Recording
from samplernn.checkpoints.settings import (
    arguments_of,
    best_of_run,
    check_weights,
    config_among,
    read_settings,
    remark_on,
)
from samplernn.checkpoints.trained_on import data_dir_of
from samplernn.corpus.corpus import accepted
from samplernn.corpus.data import Data, data_of
from samplernn.corpus.folders import parse_folder
from samplernn.generation.chain import Chain, chain_below, configs_of
from samplernn.models.config import Config, hop_of
from samplernn.options.evaluate import EvaluationOptions
from samplernn.system.errors import InputError
from samplernn.system.words import counted, listed, shortened

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Candidate:
    """A checkpoint to evaluate.

    Attributes:
        checkpoint: the checkpoint.
        why: it was chosen, a phrase.
        config: of its network.
        chain: the autoencoders whose codes it predicts.
        recordings: of audio, to evaluate it on, of each as much as is in its `frames`.
    """

    checkpoint: Path
    why: str
    config: Config
    chain: Chain = ()
    recordings: Sequence[Recording] = ()

    @cached_property
    def settings(self) -> dict[str, Any]:
        """What is known beside the checkpoint; nothing is beside other programs'."""
        return read_settings(self.checkpoint) or {}

    @property
    def arguments(self) -> dict[str, Any]:
        """The flags of its run."""
        return arguments_of(self.settings)


def find_candidates(options: EvaluationOptions) -> list[Candidate]:
    """The checkpoints that the flags name, with their recordings.

    Raises:
        InputError: a checkpoint or a file can't be used, or there is nothing to evaluate one on.
    """
    candidates = [_find(path, options) for path in options.checkpoint_path]
    found: dict[Any, list[Recording]] = {}

    def find(data: Data, *given: Any) -> list[Recording]:
        key = (data.reads, *given)
        if key not in found:
            found[key] = _find_recordings(data, *given)
        return found[key]

    return _cut_to_what_all_predict([_with_recordings(candidate, options, find) for candidate in candidates])


def _find(path: str, options: EvaluationOptions) -> Candidate:
    checkpoint, why = best_of_run(path)
    config = config_among(checkpoint, len(options.checkpoint_path), options.config_file)
    check_weights(checkpoint, config)  # before hours are spent on another one
    return Candidate(checkpoint, why, config, chain_below(checkpoint, config))


def _with_recordings(candidate: Candidate, options: EvaluationOptions, find: Callable) -> Candidate:
    of_run = options.held_out and candidate.arguments.get("skip_unusable") is True
    skip_unusable = options.skip_unusable or of_run
    held_out = _names_held_out(candidate) if options.held_out else None
    data_dir = tuple(options.data_dir or _own_data_dir(candidate))
    recordings = find(data_of(candidate.config), data_dir, skip_unusable)
    if held_out:
        recordings = _named(held_out, recordings, f"--data_dir {' '.join(data_dir)}")
    rate, learnt = recordings[0].sample_rate, candidate.settings.get("sample_rate")
    if learnt and learnt != rate:
        log.warning("%s was trained at %d Hz, and the files are at %d Hz.", candidate.checkpoint, learnt, rate)
    return replace(candidate, recordings=recordings)


def _find_recordings(data: Data, data_dir: tuple[str, ...], skip_unusable: bool) -> list[Recording]:
    """All that can be used, by paths without links: the same file is the same, however it is named."""
    recordings = accepted(data.examine(data_dir), skip_unusable).recordings
    return [replace(recording, path=recording.path.resolve()) for recording in recordings]


def _own_data_dir(candidate: Candidate) -> Sequence[str]:
    """The folders that its run was given."""
    if data_dir := data_dir_of(candidate.settings):
        return data_dir
    raise InputError(f"--held_out: {candidate.checkpoint} does not know its --data_dir; name it")


def _names_held_out(candidate: Candidate) -> list[str]:
    names = candidate.settings.get("split", {}).get("validation")
    if not names:
        raise InputError(
            f"--held_out: {candidate.checkpoint} does not know what was held out; leave the flag out, and name by"
            " --data_dir what it was not trained on"
        )
    return names


def _named(names: list[str], recordings: list[Recording], data_dir: str) -> list[Recording]:
    """The recordings of some names, all of them."""
    by_name = {recording.name: recording for recording in recordings}
    if missing := [name for name in names if name not in by_name]:
        raise InputError(
            f"{data_dir}: of {counted(len(names), 'file')} that the run has held out {len(missing)} are not there; name"
            f" its own folders, in its order: {listed([*map(shortened, missing)])}"
        )
    return [by_name[name] for name in names]


def _cut_to_what_all_predict(candidates: list[Candidate]) -> list[Candidate]:
    """Cut each recording to the whole windows of that checkpoint that predicts least of it.

    Those of which every item counts predict all of it.
    """
    lengths: dict[Path, int] = {}
    of_windows = [candidate for candidate in candidates if not candidate.config.every_item_counts]
    for candidate in of_windows:
        window = _window(candidate)
        for recording in candidate.recordings:
            whole = recording.frames // window * window
            lengths[recording.path] = min(whole, lengths.get(recording.path, whole))
    longest = max(map(_window, of_windows), default=1)
    if short := [path for path, length in lengths.items() if not length]:
        of_all, window = counted(len(lengths), "file"), counted(longest, "sample")
        log.warning("Left out %d of %s: shorter than a window of %s.", len(short), of_all, window)

    def cut(candidate: Candidate) -> Candidate:
        if candidate.config.every_item_counts:
            return candidate
        long_enough = [recording for recording in candidate.recordings if lengths[recording.path]]
        if not long_enough:
            raise InputError(f"--data_dir: not one file holds a window of {longest} samples; name longer ones")
        of_same_length = [recording.cut(lengths[recording.path]) for recording in long_enough]
        return replace(candidate, recordings=of_same_length)

    return [cut(candidate) for candidate in candidates]


def _window(candidate: Candidate) -> int:
    """The samples of a window, of the whole chain."""
    return candidate.config.window.length * hop_of(configs_of(candidate.chain))


def remarks(candidates: list[Candidate]) -> list[str]:
    """What is to be said before their figures are, a line each."""
    said = [remark_on(candidate.checkpoint, candidate.config) for candidate in candidates]
    if len({frozenset(recording.path for recording in candidate.recordings) for candidate in candidates}) > 1:
        said.append("The checkpoints are evaluated on different files: their figures cannot be compared.")
    for candidate in candidates:
        levels = [candidate, *(Candidate(below.checkpoint, "", below.config) for below in candidate.chain)]
        trained_on = set().union(*map(_trained_on, levels))
        if heard := sum(recording.path in trained_on for recording in candidate.recordings):
            of_all = counted(len(candidate.recordings), "file")
            said.append(f"{candidate.checkpoint} was trained on {heard} of {of_all}, which flatters it.")
    return [*dict.fromkeys(filter(None, said))]


def _trained_on(candidate: Candidate) -> set[Path]:
    """The files that its run was trained on, if they are still where they were."""
    names, data_dir = candidate.settings.get("split", {}).get("training", []), data_dir_of(candidate.settings)
    if not data_dir:
        return set()
    first, _ = parse_folder(data_dir[0])
    return {Path(os.path.realpath(first / name)) for name in names}
