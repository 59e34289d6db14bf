"""The music that was trained on, as it was before it was cut: what clips are compared with."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePath

import numpy as np

from samplernn.audio.resample import length_at, read_at
from samplernn.audio.wav import Recording, examine_all
from samplernn.corpus.folders import WAV, files_in
from samplernn.corpus.places import Place, find_places
from samplernn.corpus.split import recording_of
from samplernn.gallery.features import RATE
from samplernn.system.errors import InputError
from samplernn.system.words import counted, listed

LONGEST_SECONDS = 1200  # of a passage

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Passage:
    """Chunks of one recording that lie side by side or overlap, in order, or a file that is no chunk.

    Attributes:
        name: of the recording.
        start: where in the recording it begins, seconds.
        files: the chunks.
        skipped: how many samples of each are in the ones before it, too.
    """

    name: str
    start: float
    files: tuple[Recording, ...]
    skipped: tuple[int, ...]

    def read(self) -> np.ndarray:
        """The audio at RATE, float32 [n], mixed down.

        Raises:
            RunError: a file has changed since it was examined.
        """
        pieces = [
            read_at(file, RATE, skip, length_at(file, RATE, skip)) for file, skip in zip(self.files, self.skipped)
        ]
        return np.concatenate(pieces)


def find_passages(training_dir: Sequence[str]) -> list[Passage]:
    """Find what was trained on in folders of chunks, or of other WAV files; what cannot be used is named and left out.

    Raises:
        InputError: there is no such folder, or nothing in it to hear.
    """
    try:
        found = files_in(training_dir, WAV)
    except InputError as error:
        raise InputError(str(error).replace("--data_dir", "--training_dir")) from None
    paths = [folder.path / name for folder, names in found.items() for name in names]
    files, unusable = examine_all((path, str(path)) for path in paths)
    if unusable:
        log.warning("Left out %d of the training music: %s.", len(unusable), listed(unusable, "; "))
    if not files:
        raise InputError(f"--training_dir: {counted(len(unusable), 'file')}, none of which can be used")
    places, _ = find_places(files)
    whole = [Passage(file.path.stem, 0.0, (file,), (0,)) for file in files if file.name not in places]
    chunks = sorted((file for file in files if file.name in places), key=lambda file: places[file.name])
    return whole + [_passage(run, [places[file.name] for file in run]) for run in _runs(chunks, places)]


def _runs(chunks: Sequence[Recording], places: dict[str, Place]) -> Iterator[list[Recording]]:
    """Chunks in order, divided where there is a hole between two, another recording begins, or it gets too long."""
    run: list[Recording] = []
    begin = end = places[chunks[0].name] if chunks else None
    for chunk in chunks:
        place = places[chunk.name]
        too_long = place.end - begin.start > LONGEST_SECONDS * chunk.sample_rate
        if run and (place.recording != end.recording or place.start > end.end or too_long):
            yield run
            run, begin, end = [], place, place
        run.append(chunk)
        end = max(end, place, key=lambda place: place.end)
    if run:
        yield run


def _passage(run: Sequence[Recording], places: Sequence[Place]) -> Passage:
    skipped, end = [], places[0].start
    for place in places:
        skipped.append(min(max(0, end - place.start), place.end - place.start))
        end = max(end, place.end)
    name = PurePath(recording_of(str(run[0].path))).name.removesuffix("_chunk")
    return Passage(name, places[0].start / run[0].sample_rate, tuple(run), tuple(skipped))
