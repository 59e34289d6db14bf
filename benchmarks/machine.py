"""What this machine can do, by which the floors of the benchmarks are set."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import astuple, dataclass

import numpy as np
import tensorflow as tf

SIZE = 2048  # of the square matrices whose product is timed
CACHED = 1024  # rows and columns of a matrix of 4 MB, which stays in a cache
BUFFER = 2**15, 2**14  # rows and columns of a matrix of 2 GB, far larger than a cache
REST = 0.05  # seconds between two measurements, in which the threads of the one before fall asleep


@dataclass(frozen=True)
class Rates:
    """Operations or bytes a second."""

    gemm: float  # float32 operations: the better of NumPy and TensorFlow
    cache: float  # bytes of a 4 MB matrix in a product with a vector
    dram: float  # bytes of a 2 GB matrix in a product with a vector


class Machine:
    """Measures the rates again and again: on a shared machine they change from one minute to the next."""

    def __init__(self):
        random = np.random.default_rng(0)
        self._left, self._right = random.standard_normal((2, SIZE, SIZE), dtype=np.float32)
        self._tensors = tf.constant(self._left), tf.constant(self._right)
        self._matrix = random.standard_normal((CACHED, CACHED), dtype=np.float32)
        self._vector = random.standard_normal(CACHED, dtype=np.float32)
        self._buffer, self._ones = np.ones(BUFFER, np.float32), np.ones(BUFFER[1], np.float32)
        self.rates()  # warms up

    def rates(self) -> Rates:
        gemm = min(
            mean_seconds(lambda: self._left @ self._right, span=0.5),
            mean_seconds(lambda: tf.matmul(*self._tensors).numpy(), span=0.5),
        )
        cache = float(np.median([seconds(lambda: self._matrix @ self._vector) for _ in range(200)]))
        dram = mean_seconds(lambda: self._buffer @ self._ones, span=0.2)
        return Rates(2 * SIZE**3 / gemm, self._matrix.nbytes / cache, self._buffer.nbytes / dram)


def median(rates: list[Rates]) -> Rates:
    return Rates(*np.median([astuple(each) for each in rates], axis=0))


def seconds(work: Callable[[], object]) -> float:
    """Wall-clock seconds that a call takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def mean_seconds(work: Callable[[], object], span: float) -> float:
    """Seconds of a call, one of as many as take `span` seconds: what lasts, not what a burst allows."""
    calls, start = 0, time.perf_counter()
    while (passed := time.perf_counter() - start) < span:
        work()
        calls += 1
    return passed / calls
