"""From a folder of clips to a page to choose from, and from a choice to an album: what listen.py does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
from threadpoolctl import threadpool_limits

from samplernn.audio.resample import length_at, read_at
from samplernn.corpus.scan import THREADS
from samplernn.gallery import likeness
from samplernn.gallery.clips import Excerpt, find_excerpts
from samplernn.gallery.copies import ALIKE, PATCH_SECONDS, Alike, Copies
from samplernn.gallery.features import HOP, RATE, Heard, hear, mel_of, power_spectrum
from samplernn.gallery.page import Card, Found, NearCopy, require_own_page, write_page
from samplernn.gallery.picks import export
from samplernn.gallery.training_music import Passage, find_passages
from samplernn.options.listen import ListenOptions
from samplernn.system.files import make_writable_folder
from samplernn.system.progress import ProgressBar
from samplernn.system.words import NAMES_SHOWN, counted, printable

WORTH_A_SECOND_LOOK = ALIKE - 0.1
SHIFTS = 4  # by which an excerpt is looked at again, of a frame's distance to the next
PART_SECONDS = 10  # of the training music, of which each is described as an excerpt is

T, U = TypeVar("T"), TypeVar("U")


def listen(options: ListenOptions) -> None:
    """Write the page, or, where there are picks to export, those.

    Raises:
        InputError: a folder or the picks can't be used.
        RunError: the disk refuses, or a file has changed while it was read.
    """
    output_dir = Path(options.output_dir)
    if options.export:
        export(Path(options.export), options.input_dir, output_dir)
        return
    excerpts = find_excerpts(options.input_dir)
    passages = find_passages(options.training_dir) if options.training_dir else []
    require_own_page(output_dir)
    make_writable_folder("--output_dir", output_dir)
    heard = _side_by_side(_hear_excerpt, excerpts, "excerpt")
    music = _side_by_side(_hear_passage, passages, "passage")
    cards = _compare(excerpts, heard, passages, music)
    page = write_page(cards, [of.mel for of in heard], Path(options.input_dir), output_dir, options.blind)
    _tell(cards, page, options.blind)


def _side_by_side(function: Callable[[T], U], things: Sequence[T], called: str) -> list[U]:
    """What a function makes of each of some things, several at a time, and how far that is."""
    made: list[U] = []
    line = f"{{}} of {counted(len(things), called)} heard".format
    progress = ProgressBar(len(things), line, patience=1, every=10)
    # The threads of products of matrices would be in the way of ours.
    with threadpool_limits(1), closing(progress), ThreadPoolExecutor(THREADS) as pool:
        for result in pool.map(function, things):
            made.append(result)
            progress(len(made))
    return made


def _read(excerpt: Excerpt, ahead: float = 0.0) -> np.ndarray:
    """The audio of an excerpt, and so many seconds of what comes behind it, if there are: float32 [n] at RATE."""
    stop = min(excerpt.clip.frames, excerpt.stop + round(ahead * excerpt.clip.sample_rate))
    length = length_at(excerpt.clip, RATE, excerpt.start) - length_at(excerpt.clip, RATE, stop)
    return read_at(excerpt.clip, RATE, excerpt.start, max(1, length))


def _hear_excerpt(excerpt: Excerpt) -> Heard:
    return hear(_read(excerpt))


def _most_alike(copies: Copies, excerpt: Excerpt) -> Alike | None:
    """What of an excerpt is most like the music, to less than a frame; it may go on behind the excerpt."""
    audio = _read(excerpt, ahead=PATCH_SECONDS)
    found = copies.nearest(mel_of(power_spectrum(audio)))
    if found is None or found.alike < WORTH_A_SECOND_LOOK:
        return found
    margin = HOP / RATE
    part = audio[round(max(0.0, found.start - margin) * RATE) : round((found.end + margin) * RATE)]
    shifts = {shift: copies.nearest(mel_of(power_spectrum(part[shift:]))) for shift in range(0, HOP, HOP // SHIFTS)}
    shift = max(shifts, key=lambda shift: shifts[shift].alike if shifts[shift] else 0.0)
    shifted = copies.nearest(mel_of(power_spectrum(audio[shift:])))
    if shifted is None or shifted.alike < found.alike:
        return found
    return replace(shifted, start=shifted.start + shift / RATE, end=shifted.end + shift / RATE)


@dataclass(frozen=True)
class _Music:
    """What was heard of a passage of the training music.

    Attributes:
        mel: of all of it, as `Heard.mel`.
        descriptions: of each of its parts.
        starts: where these begin, seconds.
    """

    mel: np.ndarray
    descriptions: list[np.ndarray]
    starts: list[float]


def _hear_passage(passage: Passage) -> _Music:
    audio = passage.read()
    parts = np.array_split(audio, max(1, round(len(audio) / RATE / PART_SECONDS)))
    starts = np.cumsum([0, *map(len, parts[:-1])]) / RATE
    return _Music(mel_of(power_spectrum(audio)), [hear(part).description for part in parts], starts.tolist())


def _compare(
    excerpts: Sequence[Excerpt], heard: Sequence[Heard], passages: Sequence[Passage], music: Sequence[_Music]
) -> list[Card]:
    descriptions = np.stack([of.description for of in heard])
    space = likeness.Space(descriptions)
    points = space.points(descriptions)
    of_music = [(None, None)] * len(excerpts)
    near_copies: list[NearCopy | None] = [None] * len(excerpts)
    if passages:
        of_music = _nearest_music(space, points, passages, music)
        copies = Copies([of.mel for of in music])
        found = _side_by_side(partial(_most_alike, copies), excerpts, "excerpt")
        near_copies = [_near_copy(excerpt, alike, passages) for excerpt, alike in zip(excerpts, found)]
        if not_compared := found.count(None):
            of_all = f"{counted(not_compared, 'excerpt')} of {len(found)}"
            why = f"they, or the music, are shorter than {PATCH_SECONDS:.1f} seconds, or steady"
            print(f"Not searched for near copies: {of_all}; {why}.")
    return [
        Card(excerpt, tuple(place), tuple(point), int(cluster), float(novelty), *nearest, copy)
        for excerpt, place, point, cluster, novelty, nearest, copy in zip(
            excerpts,
            likeness.map_of(points).tolist(),
            points.tolist(),
            likeness.clusters(points),
            likeness.novelty(points),
            of_music,
            near_copies,
        )
    ]


def _nearest_music(
    space: likeness.Space, points: np.ndarray, passages: Sequence[Passage], music: Sequence[_Music]
) -> list[tuple[float, Found]]:
    """How far the nearest part of the training music is from each point, and where that is."""
    places = [Found(passage.name, passage.start + start) for passage, of in zip(passages, music) for start in of.starts]
    parts = space.points(np.stack([description for of in music for description in of.descriptions]))
    found = likeness.nearest(points, parts)
    return [(float(distance[0]), places[index[0]]) for distance, index in zip(found.distances, found.indices)]


def _near_copy(excerpt: Excerpt, alike: Alike | None, passages: Sequence[Passage]) -> NearCopy | None:
    if alike is None or alike.alike < ALIKE:
        return None
    passage = passages[alike.passage]
    start, _ = excerpt.seconds
    there = passage.start + alike.start_there
    return NearCopy(passage.name, there, start + alike.start, start + alike.end, alike.alike)


def _tell(cards: Sequence[Card], page: Path, blind: bool) -> None:
    clips = {card.excerpt.clip.name for card in cards}
    flagged = sum(bool(card.excerpt.flags) for card in cards)
    copies = [card for card in cards if card.copy]
    print(f"{counted(len(cards), 'excerpt')} of {counted(len(clips), 'clip')}; {flagged} with flags.")
    if blind:
        print(f"{counted(len(copies), 'excerpt')} with near copies. Open {page} in a browser.")
        return
    for card in sorted(copies, key=lambda card: -card.copy.alike)[:NAMES_SHOWN]:
        copy = card.copy
        print(
            f"Near copy ({copy.alike:.2f}): {printable(card.excerpt.clip.name)}, {copy.start:.1f} to {copy.end:.1f} s,"
            f" as {printable(copy.name)} from {copy.second:.1f} s on"
        )
    if len(copies) > NAMES_SHOWN:
        print(f"and {len(copies) - NAMES_SHOWN} more near copies, which the page names.")
    print(f"Open {page} in a browser.")
