"""From recordings to batches of windows: the plan of an epoch, and what is read by it."""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Iterator

import numpy as np

from samplernn.audio.wav import READ_FRAMES, Recording
from samplernn.corpus.data import Data, data_of, padded
from samplernn.corpus.split import heard_in
from samplernn.models.config import NO_TARGET, Config, Window

Batch = tuple[np.ndarray, np.ndarray, np.ndarray]  # x, y, reset


def training_steps(recordings: list[Recording], config: Config, batch_size: int, random_seed: int, epoch: int) -> int:
    """The number of batches of a training epoch."""
    return plan_training(recordings, config, batch_size, random_seed, epoch)[1]


def plan_training(
    recordings: list[Recording], config: Config, batch_size: int, random_seed: int, epoch: int
) -> tuple[list[list[Recording]], int]:
    """The rows of an epoch, and the number of windows until the first of them runs out, or the last one."""
    order, length = heard_in(recordings, random_seed, epoch), config.window.length
    random.Random(f"{random_seed}/{epoch}").shuffle(order)
    data, draw = data_of(config), random.Random(f"{random_seed}/{epoch}/as trained")
    order = [data.as_trained(recording, draw) for recording in order]
    if not config.every_item_counts:
        rows = plan_rows(order, batch_size, length)
        return rows, min(_row_lengths(rows, length))
    rows = plan_rows(_longest_first(order), batch_size, length, partial=True)  # as equal as may be
    for row in rows:
        draw.shuffle(row)
    return rows, max(_row_lengths(rows, length, partial=True))


def plan_validation(
    recordings: list[Recording], seq_len: int, batch_size: int, partial: bool = False
) -> tuple[list[list[Recording]], int]:
    """The rows of recordings, all of whose windows are wanted, and the number of windows until the last row runs out.

    `partial` is whether what is left at a recording's end makes a window too.
    """
    rows = plan_rows(_longest_first(recordings), batch_size, seq_len, partial)
    return rows, max(_row_lengths(rows, seq_len, partial))


def _longest_first(recordings: list[Recording]) -> list[Recording]:
    return sorted(recordings, key=lambda recording: -recording.frames)


def plan_rows(
    recordings: list[Recording], batch_size: int, seq_len: int, partial: bool = False
) -> list[list[Recording]]:
    """Deal recordings to the rows of a batch: a row that finishes its recording takes the next."""
    rows = [[] for _ in range(batch_size)]
    free_at = [(0, row) for row in range(batch_size)]  # (window, row), a heap
    for recording in recordings:
        window, row = heapq.heappop(free_at)
        rows[row].append(recording)
        heapq.heappush(free_at, (window + _num_windows(recording, seq_len, partial), row))
    return rows


def _row_lengths(rows: list[list[Recording]], seq_len: int, partial: bool = False) -> list[int]:
    """The number of each row's windows."""
    return [sum(_num_windows(recording, seq_len, partial) for recording in row) for row in rows]


def _num_windows(recording: Recording, seq_len: int, partial: bool = False) -> int:
    return math.ceil(recording.frames / seq_len) if partial else recording.frames // seq_len


def batches(rows: list[list[Recording]], config: Config, steps: range, partial: bool = False) -> Iterator[Batch]:
    """Yield x [B, left + S + right, ...], y [B, S, ...], the S items in their midst, and reset [B], whether a row
    starts a recording.

    They are those of the given steps, whether rows run out before or would go on. `partial` is as in `plan_validation`:
    behind a recording's end there are no targets.
    """
    data, window = data_of(config), config.window
    run_out = padded(data, window.with_context), True, 0
    sources = [_row_windows(row, data, window, steps.start, partial) for row in rows]
    for _ in steps:
        x, reset, targets = zip(*(next(source, run_out) for source in sources))
        x = np.stack(x)
        y = x[:, window.targets].copy()
        for row, number in zip(y, targets):
            row[number:] = NO_TARGET
        yield x, y, np.array(reset)


_Window = tuple[np.ndarray, bool, int]  # its items, whether it starts a recording, and how many targets it has


def _row_windows(
    recordings: list[Recording], data: Data, window: Window, first: int, partial: bool
) -> Iterator[_Window]:
    """Yield the windows of one row from the given one on."""
    for recording in recordings:
        number = _num_windows(recording, window.length, partial)
        if first < number:
            yield from _recording_windows(recording, data, window, range(first, number))
        first = max(0, first - number)


def _recording_windows(recording: Recording, data: Data, window: Window, numbers: range) -> Iterator[_Window]:
    """Yield some windows of a recording, reading several at a time."""
    length, several = window.length, max(1, READ_FRAMES // window.length)
    for start in range(numbers.start, numbers.stop, several):
        end = min(start + several, numbers.stop)
        items = _stretch(recording, data, start * length - window.left, end * length + window.right)
        for number in range(start, end):
            first = (number - start) * length
            targets = min(length, recording.frames - number * length)
            yield items[first : first + window.with_context], number == 0, targets


def _stretch(recording: Recording, data: Data, start: int, end: int) -> np.ndarray:
    """The items of a recording from one to another, with padding where there are none."""
    first, last = max(0, start), min(recording.length, end)
    items = data.read(recording, first, last - first)
    return np.concatenate([padded(data, first - start), items, padded(data, end - last)])
