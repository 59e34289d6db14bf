"""How far a generation is, and how fast."""

from __future__ import annotations

import time

from samplernn.system.progress import ProgressBar


class Report:
    """Says how far a batch is, in seconds of each of its sequences, and how fast; when all is done, once more.

    How fast is a factor of all sequences together: the seconds that one second of audio takes, those of the first piece
    left out if there are others.
    """

    def __init__(self, rows: range, num_seqs: int, num_samples: int, sample_rate: int):
        """`rows` of `num_seqs` sequences, each of `num_samples` at `sample_rate` Hz, a seed before them included."""
        self._num_samples, self._num_rows, self._sample_rate = num_samples, len(rows), sample_rate
        every = f"{num_seqs} sequences: " if num_seqs > 1 else ""
        part = f"Sequences {rows.start + 1} to {rows.stop} of {num_seqs}: "
        self._which = every if len(rows) == num_seqs else part
        self._start = time.monotonic()
        self._first: tuple[float, int] | None = None  # when the first piece was done, most of it compilation
        self._done = 0

    def __enter__(self) -> Report:
        self._progress = ProgressBar(self._num_samples, self._line, self._beside_bar)
        return self

    def __exit__(self, *_) -> None:
        self._progress.close()
        if self._done == self._num_samples:
            print(self._line(self._done), flush=True)

    def add(self, samples: int) -> None:
        """So many more of each sequence are done."""
        self._done += samples
        if self._first and self._done < self._num_samples:
            self._progress(self._done)
        self._first = self._first or (time.monotonic(), self._done)

    def _line(self, done: int) -> str:
        taken = time.monotonic() - self._start
        pace = f"{taken:.1f} s taken, {self._seconds_left(done):.1f} s to go, {self._real_time_factor(done)}"
        return f"{self._which}Generated {done / self._sample_rate:.2f} of {self._total:.2f} seconds ({pace})"

    def _beside_bar(self, done: int) -> str:
        pace = f", {self._seconds_left(done):.0f} s to go, {self._real_time_factor(done)}" if done else ""
        return f"{self._which}{done / self._sample_rate:.1f} of {self._total:.1f} s{pace}"

    @property
    def _total(self) -> float:
        return self._num_samples / self._sample_rate

    def _seconds_left(self, done: int) -> float:
        start, begun = self._first
        return (time.monotonic() - start) * (self._num_samples - done) / max(1, done - begun)

    def _real_time_factor(self, done: int) -> str:
        start, begun = self._first
        if done == begun:
            start, begun = self._start, 0
        seconds = self._num_rows * (done - begun) / self._sample_rate
        return f"real-time factor {(time.monotonic() - start) / seconds:.2f}"
