"""The level of a whole recording: its DC offset, peak and loudness, and what brings it to the level that is wished."""

from __future__ import annotations

import itertools
import math
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from av import AudioFrame

SILENCE_PEAK = 2.0**-16  # half a step of 16 bits: less is written as silence
MOST_CHANNELS = 64  # that FFmpeg hears together
PEAK_DB = -1.0  # of full scale: what the peak becomes, or is at most where loudness would have it higher
LOUDNESS_LUFS = -16.0
SILENCE_LUFS = -70.0  # what ITU-R BS.1770 leaves out as silence
LOWEST_RATE = 4000  # Hz: below, its filter for high frequencies is none

Blocks = Callable[[], Iterable[np.ndarray]]  # reads a recording from its beginning: float32 [frames, channels]


@dataclass(frozen=True)
class Level:
    """What is done to all samples of a recording.

    Attributes:
        offset: what is taken away, for each channel; None where nothing is.
        gain: dB by which the rest is amplified.
    """

    offset: tuple[float, ...] | None = None
    gain: float = 0.0

    def apply(self, blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Blocks [frames, channels] at this level."""
        offset, factor = np.float32(self.offset or 0), np.float32(10 ** (self.gain / 20))
        for block in blocks:
            yield (block - offset) * factor if self != Level() else block

    def __str__(self) -> str:
        removed = (
            f"DC offset of {' and '.join(f'{value:+.4f}' for value in self.offset)} removed" if self.offset else ""
        )
        return ", ".join(filter(None, [removed, f"{self.gain:+.2f} dB" if self.gain else ""]))


def find_level(blocks: Blocks, sample_rate: int, remove_dc: bool, normalize: str | None) -> Level:
    """What has to be done to a recording.

    Args:
        blocks: the recording.
        sample_rate: Hz.
        remove_dc: take the mean of each channel away; where that brings peaks beyond full scale, all is made quieter.
        normalize: `peak`: its largest sample becomes PEAK_DB; `loudness`: its integrated loudness (ITU-R BS.1770-4)
            becomes LOUDNESS_LUFS, or as near to that as leaves the largest sample at PEAK_DB. Silence stays as it is.
    """
    level = Level(offset=_mean(blocks()) if remove_dc else None)
    peak = _peak(level.apply(blocks()))
    if normalize is None:
        return Level(level.offset, min(0.0, -peak) if remove_dc else 0.0)
    gain = PEAK_DB - peak
    if normalize == "loudness":
        to_wished = LOUDNESS_LUFS - loudness(level.apply(blocks()), sample_rate)
        gain = min(gain, to_wished) if to_wished < math.inf else 0.0
    return Level(level.offset, gain if gain < math.inf else 0.0)


def _mean(blocks: Iterable[np.ndarray]) -> tuple[float, ...]:
    total, frames = np.float64(0), 0
    for block in blocks:
        total = total + block.sum(axis=0, dtype=np.float64)
        frames += len(block)
    return tuple((total / frames).tolist())


def _peak(blocks: Iterable[np.ndarray]) -> float:
    """dB of full scale; minus infinity for silence."""
    peak = max((float(np.abs(block).max()) for block in blocks if len(block)), default=0.0)
    return 20 * math.log10(peak) if peak > SILENCE_PEAK else -math.inf


def loudness(blocks: Iterable[np.ndarray], sample_rate: int) -> float:
    """Integrated loudness in LUFS (ITU-R BS.1770-4, each channel counting alike), as FFmpeg measures it.

    It is minus infinity for silence, and for less than the 0.4 seconds that are measured together.

    Args:
        blocks: float32 [frames, channels], frames in all at least one.
        sample_rate: Hz, at least LOWEST_RATE.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "loudness")  # where the filter writes it: few versions of PyAV would tell it
        _measure(blocks, sample_rate, file)
        last = float(file.read_text().rpartition("=")[2] or SILENCE_LUFS)
    return last if last > SILENCE_LUFS else -math.inf


def _measure(blocks: Iterable[np.ndarray], sample_rate: int, file: Path) -> None:
    """Write a file with a line `lavfi.r128.I=<LUFS>` for each tenth of a second, each about all that is before it."""
    import av  # here, for few measure it
    from av.filter import Graph

    blocks = (block for block in blocks if len(block))
    first = next(blocks)
    layout = f"{first.shape[1]} channels"
    graph = Graph()
    graph.link_nodes(
        graph.add_abuffer(sample_rate=sample_rate, format="flt", layout=layout, time_base=f"1/{sample_rate}"),
        graph.add("ebur128", metadata="1", framelog="quiet"),
        graph.add("ametadata", mode="print", key="lavfi.r128.I", file=str(file)),
        graph.add("abuffersink"),
    ).configure()
    for block in itertools.chain([first], blocks, [None]):
        graph.push(None if block is None else _frame(block, sample_rate, layout))
        with suppress(av.BlockingIOError, av.EOFError):
            while True:
                graph.pull()


def _frame(block: np.ndarray, sample_rate: int, layout: str) -> AudioFrame:
    """A block as FFmpeg has it."""
    from av import AudioFrame

    frame = AudioFrame.from_ndarray(np.ascontiguousarray(block).reshape(1, -1), format="flt", layout=layout)
    frame.sample_rate = sample_rate
    return frame
