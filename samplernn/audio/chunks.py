"""Pieces of one length of a stream of samples: cut, resampled, silent or not."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from samplernn.audio.wav import mean_square
from samplernn.options.chunk_audio import SILENCE_DB, ChunkOptions


@dataclass(frozen=True)
class Chunk:
    """A piece of a recording: `audio` is float32 [frames, channels], while it is at hand."""

    number: int  # from 1, silent chunks included
    start_ms: int
    end_ms: int
    silent: bool
    audio: np.ndarray | None = None


def chunk_samples(options: ChunkOptions, sample_rate: int) -> int:
    """The samples in each channel of a chunk."""
    return options.chunk_length * sample_rate // 1000


def hop_between_chunks(chunk_length: int, overlap: int, sample_rate: int) -> Fraction:
    """The samples from the start of a chunk to that of the next, lengths being in milliseconds."""
    return Fraction((chunk_length - overlap) * sample_rate, 1000)


def number_of_chunks(frames: int, length: int, hop: Fraction, keep_tail: bool) -> int:
    """How many chunks of `length` samples there are, each `hop` samples behind the one before, in so many."""
    whole = max(0, math.ceil((frames - length + 1) / hop))
    end = chunk_start(whole, hop) + length if whole else 0
    return whole + (keep_tail and max(end, chunk_start(whole + 1, hop)) < frames)


def chunk_start(number: int, hop: Fraction | int) -> int:
    """The sample with which a chunk, numbered from 1, starts."""
    return math.floor((number - 1) * hop)


def chunks(blocks: Iterable[np.ndarray], sample_rate: int, options: ChunkOptions) -> Iterator[Chunk]:
    """Cut audio, given in blocks [frames, channels], into chunks of one length.

    Chunk k starts at (k-1)·(chunk_length - overlap), floored to a sample. A last piece shorter than a chunk is left
    out, unless tails are kept and it has samples that are not in the chunk before.
    """
    length = chunk_samples(options, sample_rate)
    hop = hop_between_chunks(options.chunk_length, options.overlap, sample_rate)
    starts = (chunk_start(number, hop) for number in itertools.count(1))
    stretches = _stretches(blocks, ((start, length) for start in starts))
    end = 0
    for number, (start, piece) in enumerate(stretches, 1):
        whole = len(piece) == length
        if not whole and not (options.keep_tail and len(piece) > max(0, end - start)):
            return
        start_ms = (number - 1) * (options.chunk_length - options.overlap)
        length_ms = options.chunk_length if whole else max(1, len(piece) * 1000 // sample_rate)
        silent = options.silence_thresh is not None and is_silent(piece, sample_rate, length_ms, options.silence_thresh)
        yield Chunk(number, start_ms, start_ms + length_ms, silent, piece)
        if not whole:
            return
        end = start + length


def _stretches(blocks: Iterable[np.ndarray], places: Iterable[tuple[int, int]]) -> Iterator[tuple[int, np.ndarray]]:
    """Where each stretch starts, in ascending order, and its samples; fewer than its length where the audio ends."""
    blocks = iter(blocks)
    held, first = next(blocks, np.empty((0, 1), np.float32)), 0  # the samples from `first` on
    for start, length in places:
        held, first = held[max(0, start - first) :], min(start, first + len(held))
        parts, there = [held], first + len(held)
        while there < start + length and (block := next(blocks, None)) is not None:
            parts.append(block)
            there += len(block)
        held = np.concatenate(parts) if len(parts) > 1 else held
        yield start, held[start - first : start - first + length]


def is_silent(audio: np.ndarray, sample_rate: int, length_ms: int, threshold: float = SILENCE_DB) -> bool:
    """Whether some stretch of half the length has an RMS, over all channels, at or below a threshold.

    Args:
        audio: [frames, channels], `length_ms` long, give or take less than a millisecond.
        sample_rate: Hz.
        length_ms: stretches start at each of its milliseconds.
        threshold: dB of full scale.
    """
    stretch_ms = max(1, length_ms // 2)
    energy = np.concatenate([[0.0], np.cumsum(np.square(audio).mean(axis=1), dtype=np.float64)])
    starts = np.arange(length_ms - stretch_ms + 1) * sample_rate // 1000
    ends = np.minimum(np.arange(stretch_ms, length_ms + 1) * sample_rate // 1000, len(audio))
    power = (energy[ends] - energy[starts]) / np.maximum(ends - starts, 1)
    return bool((power <= mean_square(threshold)).any())
