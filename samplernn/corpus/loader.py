"""The loader: what a training and its validation iterate, a `tf.data.Dataset` of batches of windows."""

from __future__ import annotations

from collections.abc import Iterator

import tensorflow as tf

from samplernn.audio.wav import Recording
from samplernn.corpus.data import data_of
from samplernn.corpus.windows import Batch, batches, plan_training, plan_validation
from samplernn.models.config import Config
from samplernn.system.device import keep_freed_memory

READ_AHEAD = 2  # batches

Plan = list[list[Recording]]  # of each row


class Loader:
    """Loads the windows of one epoch after another, ahead of their use.

    There is one dataset for all epochs: TensorFlow keeps what it has made of each.

    Attributes:
        batch_size: the rows of a batch, those of all workers together.
        dataset: of x [rows, left + S + right, ...], y [rows, S, ...] and reset [rows]: the epoch begun last.
    """

    def __init__(self, config: Config, batch_size: int, rows_here: slice = slice(None), partial: bool = False):
        """`rows_here` are the rows of a batch that are loaded; `partial` is as in `windows.plan_validation`."""
        self.batch_size = batch_size
        self._partial = partial or config.every_item_counts
        self._config = config
        self._rows_here = rows_here
        self._failure: Exception | None = None
        window, padding, rows = config.window, data_of(config).padding, len(range(batch_size)[rows_here])

        def items(length: int) -> tf.TensorSpec:
            return tf.TensorSpec([rows, length, *padding.shape], padding.dtype)

        signature = (
            items(window.with_context),
            items(window.length),
            tf.TensorSpec([rows], tf.bool),
        )
        self.dataset = tf.data.Dataset.from_generator(self._read, output_signature=signature).prefetch(READ_AHEAD)

    def training_epoch(
        self, recordings: list[Recording], random_seed: int, epoch: int, first: int = 0
    ) -> tuple[range, Iterator[Batch]]:
        """The windows of a training epoch, in an order that depends on nothing but the seed and the epoch.

        Args:
            recordings: to train on.
            random_seed, epoch: what decides the order.
            first: the batches before it are left out.

        Returns:
            The numbers of the batches, up to the one with which the first row of the whole batch runs out, and the
            batches, in which every row has a target; where every item counts, up to the last row's.
        """
        plan, number = plan_training(recordings, self._config, self.batch_size, random_seed, epoch)
        return self._begin(plan, range(first, number))

    def validation_epoch(self, recordings: list[Recording]) -> tuple[range, Iterator[Batch]]:
        """All windows of recordings; rows that have run out have NO_TARGET as their targets."""
        plan, number = plan_validation(recordings, self._config.window.length, self.batch_size, self._partial)
        return self._begin(plan, range(number))

    def _begin(self, plan: Plan, steps: range) -> tuple[range, Iterator[Batch]]:
        self._plan, self._steps, self._failure = plan[self._rows_here], steps, None
        return steps, self._iterate()

    def _read(self) -> Iterator[Batch]:
        """What the dataset calls, in a thread of its own."""
        try:
            yield from batches(self._plan, self._config, self._steps, self._partial)
        except Exception as failure:  # TensorFlow would make another error of it, and say it on stderr
            self._failure = failure

    def _iterate(self) -> Iterator[Batch]:
        """The batches as arrays; RunError where a file has changed since it was examined."""
        iterator = self.dataset.as_numpy_iterator()
        keep_freed_memory()  # once more: the first iterator over a generator undoes it
        yield from iterator
        if self._failure:
            raise self._failure
