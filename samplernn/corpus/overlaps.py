"""Held-out files that share audio with files that are trained on, as overlapping chunks of one recording do."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from samplernn.audio.wav import Recording
from samplernn.corpus.places import find_places, overlapping
from samplernn.corpus.split import Split, recording_of
from samplernn.system.words import counted

RECORDINGS = 64  # that are listened to where it is not noted how they were cut, lest a training begin late

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Overlaps:
    """The held-out files that are found to overlap with files that are trained on."""

    held_out: list[Recording]
    complete: bool  # whether all recordings were looked at that are on both sides


def find_overlaps(split: Split) -> Overlaps:
    """Find the held-out chunks that overlap with chunks that are trained on.

    Raises:
        RunError: a file has changed since it was examined.
    """
    held_out = {recording_of(str(file.path)) for file in split.validation}
    on_both_sides = held_out.intersection(recording_of(str(file.path)) for file in split.training)
    places, to_hear = find_places(split.validation + split.training, on_both_sides, RECORDINGS)
    return Overlaps(overlapping(split.validation, split.training, places), complete=to_hear <= RECORDINGS)


def remark_on_overlaps(split: Split, begun: bool) -> None:
    """Log a line where held-out files overlap with files that are trained on.

    Args:
        split: of the files.
        begun: whether the run or the search has begun with it, so that this one can't be split in another way.

    Raises:
        RunError: a file has changed since it was examined.
    """
    overlaps = find_overlaps(split)
    if number := len(overlaps.held_out):
        log.warning(
            "Of %s %s%d overlap%s with files that are trained on: the validation loss flatters; %s%s.",
            counted(len(split.validation), "held-out file"),
            "" if overlaps.complete else "at least ",
            number,
            "s" if number == 1 else "",
            "with another --id, " if begun else "",
            _remedy(split),
        )


def _remedy(split: Split) -> str:
    if len({recording_of(file.name) for file in split.training + split.validation}) == 1:  # it can't be on one side
        return "--hold_out time holds a stretch out that shares nothing with them"
    return "--hold_out recordings holds whole recordings out, --hold_out time a stretch of each"
