"""The page on which excerpts are heard, compared and given stars: one file, and the spectrograms beside it.

It needs no server and no network: what it shows is in it, and it plays the clips where they lie.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
from matplotlib import image

from samplernn.gallery.clips import Excerpt
from samplernn.system.errors import InputError
from samplernn.system.files import cannot_be_written, make_writable_folder, write_whole, written_aside

PARTS = Path(__file__).parent / "page"
PAGE, PICTURES = "index.html", "spectrograms"
MARK = b'<meta name="generator" content="listen.py">'
NAME_LENGTH = 16  # of a picture
RANGE = 80  # dB below the loudest that are drawn
MOST_COLUMNS = 320  # of a spectrogram


@dataclass(frozen=True)
class Found:
    """A place in the training music: in a recording, at a second."""

    name: str
    second: float


@dataclass(frozen=True)
class NearCopy(Found):
    """What an excerpt has from there.

    Attributes:
        start, end: which seconds of the clip.
        alike: the cosine between the spectra, 1 for the same.
    """

    start: float
    end: float
    alike: float


@dataclass(frozen=True)
class Card:
    """An excerpt as the page has it.

    Attributes:
        excerpt: the excerpt.
        place: on the map, from 0 to 1 either way.
        point: between which distances say how alike excerpts are.
        cluster: its number, that of most excerpts 0.
        novelty: how far it is from its neighbours.
        distance: how far from the nearest part of the training music, if there is some, which is
        nearest: there.
        copy: what is a near copy.
    """

    excerpt: Excerpt
    place: tuple[float, float]
    point: tuple[float, ...]
    cluster: int
    novelty: float
    distance: float | None = None
    nearest: Found | None = None
    copy: NearCopy | None = None


def write_page(cards: Sequence[Card], mels: Sequence[np.ndarray], input_dir: Path, folder: Path, blind: bool) -> Path:
    """Write the page in place of the one that there was, which stays whole until then, and the spectrograms.

    Args:
        cards: of all excerpts.
        mels: the spectrograms of these, each float32 [frames, bands], powers.
        input_dir: the folder of the clips.
        folder: of the page.
        blind: whether it is hidden how an excerpt was made until it has stars.

    Returns:
        The path of the page.

    Raises:
        InputError: there is another page.
        RunError: the disk refuses.
    """
    make_writable_folder("--output_dir", folder / PICTURES)
    order = np.random.default_rng(0).permutation(len(cards)) if blind else range(len(cards))
    try:
        pictures = _draw_all(mels, folder)
        told = [_told(cards[i], number, pictures[i], input_dir, folder) for number, i in enumerate(order)]
        data = {
            "gallery": hashlib.sha256(str(folder.resolve()).encode("utf-8", "surrogateescape")).hexdigest()[:16],
            "folder": str(input_dir.resolve()),
            "blind": blind,
            "cards": told,
        }
        page = folder / PAGE
        write_whole(page, _filled(data))
        for outdated in _drawn_before(folder) - {folder / picture for picture in pictures}:
            outdated.unlink(missing_ok=True)
    except OSError as error:
        raise cannot_be_written(error) from None
    return page


def require_own_page(folder: Path) -> None:
    """Refuse a folder with a page that is not one of ours."""
    page = folder / PAGE
    if page.exists() and not (page.is_file() and MARK in page.read_bytes()[:1000]):
        raise InputError(f"--output_dir {folder}: its {PAGE} is another page; choose another folder")


def _filled(data: dict[str, Any]) -> str:
    """The page with its parts and its data, in which nothing can end the element that they are in."""
    content = json.dumps(data, allow_nan=False).replace("<", "\\u003c")
    parts = {"style": _part("style.css"), "script": _part("script.js"), "data": content}
    page = _part("index.html")
    for name, text in parts.items():
        before, behind = page.split(f"/*{name}*/")
        page = before + text + behind
    return page


def _part(name: str) -> str:
    return (PARTS / name).read_text(encoding="utf-8")


def _told(card: Card, order: int, picture: str, input_dir: Path, folder: Path) -> dict[str, Any]:
    excerpt, (start, end) = card.excerpt, card.excerpt.seconds
    made = excerpt.made
    return {
        "order": order,
        "id": f"{excerpt.clip.name}@{excerpt.start}",
        "file": _link(excerpt.clip.path, folder),
        "picture": picture,
        "name": excerpt.clip.name,
        "start": start,
        "end": end,
        "checkpoint": " + ".join("/".join(Path(path).parts[-2:]) for path in made.checkpoints) or None,
        "epoch": made.epoch,
        "temperature": made.temperature,
        "flags": excerpt.flags,
        "x": round(card.place[0], 4),
        "y": round(card.place[1], 4),
        "point": [round(value, 3) for value in card.point],
        "cluster": card.cluster,
        "novelty": round(card.novelty, 4),
        "distance": None if card.distance is None else round(card.distance, 4),
        "nearest": card.nearest and asdict(card.nearest),
        "copy": card.copy and asdict(card.copy),
    }


def _link(path: Path, folder: Path) -> str:
    """The address of a file as the page names it: from its folder on, where there is a way."""
    try:
        return quote(Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix())
    except ValueError:  # Windows: it is on another drive
        return path.resolve().as_uri()


def _draw_all(mels: Sequence[np.ndarray], folder: Path) -> list[str]:
    """Draw the spectrograms, each a file that is called by what is in it; their addresses."""
    addresses = []
    for mel in mels:
        drawn = io.BytesIO()
        image.imsave(drawn, _levels(mel).T, vmin=-RANGE, vmax=0, cmap="magma", origin="lower", format="jpg")
        content = drawn.getvalue()
        addresses.append(f"{PICTURES}/{hashlib.sha256(content).hexdigest()[:NAME_LENGTH]}.jpg")
        with written_aside(folder / addresses[-1]) as aside:
            aside.write_bytes(content)
    return addresses


def _drawn_before(folder: Path) -> set[Path]:
    """The spectrograms that are there."""
    return {
        path for path in (folder / PICTURES).glob("*.jpg") if re.fullmatch(rf"[0-9a-f]{{{NAME_LENGTH}}}", path.stem)
    }


def _levels(mel: np.ndarray) -> np.ndarray:
    """In dB below the loudest, [columns, bands]."""
    columns = np.array_split(mel, min(len(mel), MOST_COLUMNS))
    power = np.stack([column.mean(axis=0) for column in columns])
    loudest = max(float(power.max()), 1e-10)
    return 10 * np.log10(np.maximum(power / loudest, 10 ** (-RANGE / 10)))
