"""What was picked on the page, as an album: files with fades, numbered, each with the JSON of its clip."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from samplernn.audio.wav import Recording, examine, read_mono, wav_writer
from samplernn.options.values import number, whole
from samplernn.system.errors import InputError, naming
from samplernn.system.files import cannot_be_written, is_below, make_writable_folder, read_json, write_json
from samplernn.system.words import counted, printable, within_bytes

FADE_SECONDS = 0.05  # in and out
VERSION = 1
STARS = whole(1, 5)
SECOND = number(0, 10**6)
LONGEST_NAME = 200  # bytes of a clip's


@dataclass(frozen=True)
class Pick:
    """A stretch that was given stars.

    Attributes:
        clip: the file.
        start, stop: its samples.
        stars: from 1 to 5.
    """

    clip: Recording
    start: int
    stop: int
    stars: int


def export(path: Path, input_dir: str | None, output_dir: Path) -> list[Path]:
    """Write the picks of a file that the page has exported, mixed down to mono, 16 bits.

    Args:
        path: of the file.
        input_dir: where the clips are, if not where they were.
        output_dir: folder for the album, in which there is none yet.

    Raises:
        InputError: the file is no such one, or a clip is not there or can't be used, or there is an album.
        RunError: the disk refuses.
    """
    with naming(f"--export {path}"):
        picks = _read(path, input_dir)
    make_writable_folder("--output_dir", output_dir)
    if there := [file.name for pattern in ("*.wav", "*.json") for file in output_dir.glob(pattern)]:
        raise InputError(f"--output_dir {output_dir}: there is {printable(there[0])} in it; choose another folder")
    width = max(2, len(str(len(picks))))
    try:
        with tempfile.TemporaryDirectory(prefix=".album_", dir=output_dir) as scratch:
            for place, pick in enumerate(picks, 1):
                stem = within_bytes(pick.clip.path.stem, LONGEST_NAME)
                _write(pick, Path(scratch, f"{place:0{width}d} {stem}.wav"))
            written = []
            for file in sorted(Path(scratch).iterdir()):  # all of it, or nothing
                written.append(output_dir / file.name)
                os.replace(file, written[-1])
    except OSError as error:
        raise cannot_be_written(error) from None
    wavs = [file for file in written if file.suffix == ".wav"]
    for file, pick in zip(wavs, picks):
        print(f"Wrote {printable(str(file))}: {(pick.stop - pick.start) / pick.clip.sample_rate:.1f} seconds.")
    print(f"{counted(len(wavs), 'file')} in {output_dir}.")
    return wavs


def _write(pick: Pick, target: Path) -> None:
    """Write the WAV and the JSON of a pick."""
    with wav_writer(target, pick.clip.sample_rate) as write:
        write(_faded(read_mono(pick.clip.path, pick.start, pick.stop - pick.start), pick.clip.sample_rate))
    write_json(target.with_suffix(".json"), _told(pick))


def _read(path: Path, input_dir: str | None) -> list[Pick]:
    content = read_json(path)
    told = content.get("picks") if isinstance(content, dict) and content.get("version") == VERSION else None
    folder = input_dir or (None if told is None else content.get("folder"))
    if not isinstance(told, list) or not isinstance(folder, str) or not all(map(_is_pick, told)):
        raise InputError("not what the page of listen.py exports; export it there again")
    if not told:
        raise InputError("there are no picks in it; give stars on the page, and export again")
    return [_find(Path(folder), pick) for pick in told]


def _is_pick(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and isinstance(value.get("clip"), str)
        and is_below(value["clip"])
        and all(SECOND.holds(value.get(name)) for name in ("start", "end"))
        and STARS.holds(value.get("stars"))
    )


def _find(folder: Path, told: dict[str, Any]) -> Pick:
    try:
        clip = examine(folder / told["clip"])
    except InputError as error:
        raise InputError(
            f"{printable(str(error))}; where the clips have moved, name their folder by --input_dir"
        ) from None
    start, stop = (round(told[name] * clip.sample_rate) for name in ("start", "end"))
    stop = min(stop, clip.frames)
    if start >= stop:
        raise InputError(f"{printable(clip.name)} ends before second {told['start']:g}; it is another clip now")
    return Pick(clip, start, stop, int(told["stars"]))


def _faded(audio: np.ndarray, sample_rate: int) -> np.ndarray:
    """Audio, float32 [n], that begins and ends softly."""
    length = min(round(FADE_SECONDS * sample_rate), len(audio) // 2)
    fade = np.sin(np.linspace(0, np.pi / 2, length, endpoint=False, dtype=np.float32)) ** 2
    audio = audio.copy()
    audio[:length] *= fade
    audio[len(audio) - length :] *= fade[::-1]
    return audio


def _told(pick: Pick) -> dict[str, Any]:
    """What the clip's JSON says, by whose command it is made again, and which part of it this is."""
    try:
        of_clip = read_json(pick.clip.path.with_suffix(".json"))
    except InputError:
        of_clip = {}
    rate = pick.clip.sample_rate
    part = {
        "clip": str(pick.clip.path.resolve()),
        "from": pick.start / rate,
        "to": pick.stop / rate,
        "fades": FADE_SECONDS,
        "stars": pick.stars,
    }
    return (of_clip if isinstance(of_clip, dict) else {}) | {"excerpt": part}
