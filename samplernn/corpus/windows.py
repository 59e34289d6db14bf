"""From recordings to batches of windows: the plan of an epoch, the loader."""

from __future__ import annotations

import heapq
import logging
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from samplernn.audio.quantize import quantizer
from samplernn.audio.wav import READ_FRAMES, Recording, read_mono
from samplernn.corpus.split import heard_in
from samplernn.models.samplernn.config import ModelConfig

NO_TARGET = -1  # the target where a row has run out of files

Batch = tuple[np.ndarray, np.ndarray, np.ndarray]  # x, y, reset

log = logging.getLogger(__name__)


def training_epoch(
    recordings: list[Recording],
    config: ModelConfig,
    batch_size: int,
    random_seed: int,
    epoch: int,
    rows_here: slice = slice(None),
    first: int = 0,
) -> tuple[Iterator[Batch], int]:
    """The windows of a training epoch, in an order that depends on nothing but the seed and the epoch.

    Args:
        recordings, config, batch_size, random_seed, epoch: what decides the plan of the whole batch.
        rows_here: those that are read and yielded.
        first: the batches before it are left out.

    Returns:
        Batches as `_batches` yields them, every row with a target, and the number of all of them, with which the first
        row of the whole batch runs out.
    """
    rows, steps = _plan_training(recordings, config.seq_len, batch_size, random_seed, epoch)
    return _prefetched(_batches(rows[rows_here], config, range(first, steps))), steps


def training_steps(recordings: list[Recording], seq_len: int, batch_size: int, random_seed: int, epoch: int) -> int:
    """The number of batches of a training epoch."""
    return _plan_training(recordings, seq_len, batch_size, random_seed, epoch)[1]


def _plan_training(
    recordings: list[Recording], seq_len: int, batch_size: int, random_seed: int, epoch: int
) -> tuple[list[list[Recording]], int]:
    """The rows of an epoch, and the number of windows until the first of them runs out."""
    order = heard_in(recordings, random_seed, epoch)
    random.Random(f"{random_seed}/{epoch}").shuffle(order)
    rows = plan_rows(order, batch_size, seq_len)
    return rows, min(_row_lengths(rows, seq_len))


def validation_epoch(
    recordings: list[Recording], config: ModelConfig, batch_size: int, rows_here: slice = slice(None)
) -> Iterator[Batch]:
    """All windows of the held-out recordings; rows that have run out have NO_TARGET as their targets."""
    longest_first = sorted(recordings, key=lambda recording: -recording.frames)
    rows = plan_rows(longest_first, batch_size, config.seq_len)
    return _prefetched(_batches(rows[rows_here], config, range(max(_row_lengths(rows, config.seq_len)))))


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


def _prefetched(batches: Iterator[Batch]) -> Iterator[Batch]:
    """The same batches, each read in another thread while the one before is used."""
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="loader") as reader:
        upcoming = reader.submit(next, batches, None)
        while (batch := upcoming.result()) is not None:
            upcoming = reader.submit(next, batches, None)
            yield batch


def _batches(rows: list[list[Recording]], config: ModelConfig, steps: range) -> Iterator[Batch]:
    """Yield x [B, lookback + S], y [B, S], its last S samples, and reset [B], whether a row starts a recording.

    They are those of the given steps, whether rows run out before or would go on.
    """
    lookback = config.lookback
    run_out = np.zeros(lookback + config.seq_len, np.int32), True
    sources = [_row_windows(row, config, steps.start) for row in rows]
    for _ in steps:
        windows = [next(source, None) for source in sources]
        x, reset = zip(*(window or run_out for window in windows))
        x = np.stack(x)
        y = x[:, lookback:].copy()
        y[[window is None for window in windows]] = NO_TARGET
        yield x, y, np.array(reset)


def _row_windows(recordings: list[Recording], config: ModelConfig, first: int) -> Iterator[tuple[np.ndarray, bool]]:
    """Yield the windows of one row from the given one on, [lookback + S], each with whether it starts a recording."""
    for recording in recordings:
        windows = _num_windows(recording, config.seq_len)
        if first < windows:
            yield from _recording_windows(recording, config, first)
        first = max(0, first - windows)


def _recording_windows(recording: Recording, config: ModelConfig, first: int) -> Iterator[tuple[np.ndarray, bool]]:
    quantize, lookback = quantizer(config.q_type, config.q_levels), config.lookback
    context = np.full(lookback, quantize.zero, np.int32)
    if first:
        context = quantize.encode(read_mono(recording.path, first * config.seq_len - lookback, lookback))
    for index, audio in enumerate(_audio_windows(recording, config.seq_len, first), first):
        window = np.concatenate([context, quantize.encode(audio)])
        yield window, index == 0
        context = window[-lookback:]


def _audio_windows(recording: Recording, seq_len: int, first: int) -> Iterator[np.ndarray]:
    """Yield a recording's whole windows of mono audio [S] from the given one on, reading several at a time."""
    total = _num_windows(recording, seq_len) * seq_len
    step = max(1, READ_FRAMES // seq_len) * seq_len
    for start in range(first * seq_len, total, step):
        yield from read_mono(recording.path, start, min(step, total - start)).reshape(-1, seq_len)
