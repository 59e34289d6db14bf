"""From recordings to batches of windows: the plan of an epoch, and what is read by it."""

from __future__ import annotations

import heapq
import random
from collections.abc import Iterator

import numpy as np

from samplernn.audio.wav import READ_FRAMES, Recording
from samplernn.corpus.data import Data, data_of
from samplernn.corpus.split import heard_in
from samplernn.models.config import NO_TARGET, Config, Window

Batch = tuple[np.ndarray, np.ndarray, np.ndarray]  # x, y, reset


def training_steps(recordings: list[Recording], seq_len: int, batch_size: int, random_seed: int, epoch: int) -> int:
    """The number of batches of a training epoch."""
    return plan_training(recordings, seq_len, batch_size, random_seed, epoch)[1]


def plan_training(
    recordings: list[Recording], seq_len: int, batch_size: int, random_seed: int, epoch: int
) -> tuple[list[list[Recording]], int]:
    """The rows of an epoch, and the number of windows until the first of them runs out."""
    order = heard_in(recordings, random_seed, epoch)
    random.Random(f"{random_seed}/{epoch}").shuffle(order)
    rows = plan_rows(order, batch_size, seq_len)
    return rows, min(_row_lengths(rows, seq_len))


def plan_validation(recordings: list[Recording], seq_len: int, batch_size: int) -> tuple[list[list[Recording]], int]:
    """The rows of the held-out recordings, and the number of windows until the last of them runs out."""
    longest_first = sorted(recordings, key=lambda recording: -recording.frames)
    rows = plan_rows(longest_first, batch_size, seq_len)
    return rows, max(_row_lengths(rows, seq_len))


def plan_rows(recordings: list[Recording], batch_size: int, seq_len: int) -> list[list[Recording]]:
    """Deal recordings to the rows of a batch: a row that finishes its recording takes the next."""
    rows = [[] for _ in range(batch_size)]
    free_at = [(0, row) for row in range(batch_size)]  # (window, row), a heap
    for recording in recordings:
        window, row = heapq.heappop(free_at)
        rows[row].append(recording)
        heapq.heappush(free_at, (window + _num_windows(recording, seq_len), row))
    return rows


def _row_lengths(rows: list[list[Recording]], seq_len: int) -> list[int]:
    """The number of each row's windows."""
    return [sum(_num_windows(recording, seq_len) for recording in row) for row in rows]


def _num_windows(recording: Recording, seq_len: int) -> int:
    return recording.frames // seq_len


def batches(rows: list[list[Recording]], config: Config, steps: range) -> Iterator[Batch]:
    """Yield x [B, left + S + right, ...], y [B, S, ...], the S items in their midst, and reset [B], whether a row
    starts a recording.

    They are those of the given steps, whether rows run out before or would go on.
    """
    data, window = data_of(config), config.window
    run_out = _padding(data, window.with_context), True
    sources = [_row_windows(row, data, window, steps.start) for row in rows]
    for _ in steps:
        found = [next(source, None) for source in sources]
        x, reset = zip(*(one or run_out for one in found))
        x = np.stack(x)
        y = x[:, window.targets].copy()
        y[[one is None for one in found]] = NO_TARGET
        yield x, y, np.array(reset)


def _row_windows(
    recordings: list[Recording], data: Data, window: Window, first: int
) -> Iterator[tuple[np.ndarray, bool]]:
    """Yield the windows of one row from the given one on, each with whether it starts a recording."""
    for recording in recordings:
        number = _num_windows(recording, window.length)
        if first < number:
            yield from _recording_windows(recording, data, window, range(first, number))
        first = max(0, first - number)


def _recording_windows(
    recording: Recording, data: Data, window: Window, numbers: range
) -> Iterator[tuple[np.ndarray, bool]]:
    """Yield some windows of a recording, reading several at a time."""
    length, several = window.length, max(1, READ_FRAMES // window.length)
    for start in range(numbers.start, numbers.stop, several):
        end = min(start + several, numbers.stop)
        items = _stretch(recording, data, start * length - window.left, end * length + window.right)
        for number in range(start, end):
            first = (number - start) * length
            yield items[first : first + window.with_context], number == 0


def _stretch(recording: Recording, data: Data, start: int, end: int) -> np.ndarray:
    """The items of a recording from one to another, with padding where there are none."""
    first, last = max(0, start), min(recording.frames, end)
    items = data.read(recording, first, last - first)
    return np.concatenate([_padding(data, first - start), items, _padding(data, end - last)])


def _padding(data: Data, length: int) -> np.ndarray:
    return np.broadcast_to(data.padding, [length, *data.padding.shape])
