"""From queries to codes and to what stands for these (Dieleman et al., 2018, sections 3.1 and 3.2).

N codes in a row of time, B rows, K different codes, D numbers of a query. All is float32.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from samplernn.models.autoencoder.config import AMAEConfig, VQVAEConfig
from samplernn.models.config import NO_ITEM
from samplernn.system.distribution import own_rows, sum_over_replicas

EPSILON = 1e-5
NOT_COUNTED = float("nan")  # where nothing begins anew
NEVER = float("inf")  # how long a code that has not begun is unused


class Quantized(NamedTuple):
    """What a bottleneck makes of queries.

    Attributes:
        codes: int32 [N, B].
        vectors: what stands for them, [N, B, D], through which gradients pass straight to the queries.
        penalty: what is added to the loss.
        sums: over the queries that count, by the names of `sum_shapes`.
        updates: what no gradient moves, for `apply_updates`.
    """

    codes: tf.Tensor
    vectors: tf.Tensor
    penalty: Any
    sums: dict[str, tf.Tensor]
    updates: Any = ()


def straight_through(query: tf.Tensor, value: tf.Tensor) -> tf.Tensor:
    """The value, whose gradient is the query's."""
    return tf.stop_gradient(value) + (query - tf.stop_gradient(query))  # in this order it is the value to the bit


class VectorQuantizer(keras.layers.Layer):
    """The nearest of K vectors, each an exponential average of the queries that were nearest to it (VQ-VAE).

    Attributes:
        codebook: the vectors, [K, D].
        counts, totals: averages over steps of how many queries were nearest to each, [K], and of their sum, [K, D].
        unused: steps since a query was nearest to each, [K]; -1 where it has just begun anew.
    """

    exchanges = False
    sum_shapes = {"restarts": ()}

    def __init__(self, config: VQVAEConfig, **kwargs):
        super().__init__(dtype="float32", **kwargs)
        self.config = config
        self.commitment = tf.Variable(config.commitment, trainable=False, dtype=tf.float32)
        self.rate = tf.Variable(config.codebook_rate, trainable=False, dtype=tf.float32)
        self.seed = keras.random.SeedGenerator()

    def build(self, input_shape=None):
        codes, size = self.config.num_codes, self.config.code_size

        def state(name, shape, initializer):
            return self.add_weight(name=name, shape=shape, initializer=initializer, trainable=False)

        self.codebook = state("codebook", [codes, size], "random_normal")
        self.counts = state("counts", [codes], "ones")
        self.totals = state("totals", [codes, size], "zeros")
        self.unused = state("unused", [codes], keras.initializers.Constant(NEVER))
        self.built = True

    def call(self, queries, middle: slice, counting, training: bool) -> Quantized:
        """Quantize.

        Args:
            queries: [N, B, D].
            middle: which of the N a window is about.
            counting: bool [middle, B], those of them that count.
            training: whether the codebook is to be moved.
        """
        codes = self.codes(queries)
        vectors = self.vectors(codes)
        begun = tf.cast(self._begun(), tf.float32)
        distance = tf.reduce_sum((tf.stop_gradient(vectors) - queries)[middle] ** 2, axis=-1)
        committed = tf.reduce_sum(tf.where(counting, distance, 0.0)) / _number(counting)
        restarts = tf.reduce_sum(tf.cast(self.unused < 0, tf.float32)) if training else NOT_COUNTED
        sums = {"restarts": _of_one_replica(restarts)}
        updates = self._seen(queries[middle], codes[middle], counting) if training else ()
        penalty = self.commitment * begun * committed
        return Quantized(codes, straight_through(queries, vectors), penalty, sums, updates)

    def codes(self, queries) -> tf.Tensor:
        """The nearest vectors' numbers, int32 [N, B]."""
        codebook = tf.convert_to_tensor(self.codebook)
        flat = tf.reshape(tf.stop_gradient(queries), [-1, queries.shape[-1]])
        squares = tf.reduce_sum(codebook**2, axis=-1) - 2 * tf.matmul(flat, codebook, transpose_b=True)
        return tf.reshape(tf.argmin(squares, axis=-1, output_type=tf.int32), queries.shape[:-1])

    def vectors(self, codes) -> tf.Tensor:
        """What stands for codes, [N, B, D]; zeros for NO_ITEM."""
        vectors = tf.gather(tf.convert_to_tensor(self.codebook), tf.maximum(codes, 0))
        return tf.where(codes[..., None] == NO_ITEM, 0.0, vectors)

    def _begun(self):
        """Whether there is a codebook: none is before the first step."""
        return tf.math.is_finite(self.unused[0])

    def _seen(self, queries, codes, counting):
        """How many queries are nearest to each code, [K], their sum, and queries to begin codes with, [K, D]."""
        flat = tf.reshape(tf.stop_gradient(queries), [-1, queries.shape[-1]])
        nearest = tf.one_hot(tf.where(counting, codes, -1), self.config.num_codes)
        nearest = tf.reshape(nearest, [-1, self.config.num_codes])
        totals = tf.matmul(nearest, flat, transpose_a=True)
        return tf.reduce_sum(nearest, axis=0), totals, self._drawn(queries)

    def _drawn(self, queries):
        """As many queries of the whole batch as there are codes, [K, D], those of other replicas being zero.

        Each is from a part of the batch of its own, so that none is drawn twice where there are enough.
        """
        length, rows, _ = queries.shape
        codes, replicas = self.config.num_codes, tf.distribute.get_replica_context().num_replicas_in_sync
        borders = np.arange(codes + 1) * length * rows * replicas // codes
        firsts, sizes = borders[:-1].astype(np.int32), np.diff(borders).astype(np.int32)
        within = tf.cast(keras.random.uniform([codes], seed=self.seed) * sizes, tf.int32)
        positions = firsts + tf.minimum(within, np.maximum(sizes - 1, 0))
        row, time = positions // length, positions % length
        first = own_rows(lambda size: tf.range(size), rows)[0]
        own = (row >= first) & (row < first + rows)
        at = tf.stack([time, tf.clip_by_value(row - first, 0, rows - 1)], axis=-1)
        return tf.where(own[:, None], tf.gather_nd(tf.stop_gradient(queries), at), 0.0)

    def apply_updates(self, seen) -> None:
        """Move the codebook by what `_seen` gives, summed over the replicas.

        A code that is not used stays where it is; one that was unused for too long begins anew, at a query.
        """
        counts, totals, drawn = seen
        used, begun = counts > 0, self._begun()
        unused = tf.where(used, 0.0, tf.maximum(self.unused, 0.0) + 1)
        ends = ~begun | (unused >= (self.config.restart_after or NEVER))
        counts_now = (1 - self.rate) * self.counts + self.rate * counts
        totals_now = (1 - self.rate) * self.totals + self.rate * totals
        of_all = tf.reduce_sum(counts_now)
        smoothed = (counts_now + EPSILON) / (of_all + self.config.num_codes * EPSILON) * of_all
        codebook = tf.where(used[:, None], totals_now / smoothed[:, None], self.codebook)
        self.codebook.assign(tf.where(ends[:, None], drawn, codebook))
        self.totals.assign(tf.where(ends[:, None], drawn, totals_now))
        self.counts.assign(tf.where(ends, 1.0, counts_now))
        self.unused.assign(tf.where(ends, tf.where(begun, -1.0, 0.0), unused))


class ArgmaxQuantizer(keras.layers.Layer):
    """The largest of the numbers of a query, which is a point of a simplex (AMAE)."""

    exchanges = True
    sum_shapes = {"zeros": ()}

    def __init__(self, config: AMAEConfig, **kwargs):
        super().__init__(dtype="float32", **kwargs)
        self.config = config
        self.diversity = tf.Variable(config.diversity, trainable=False, dtype=tf.float32)

    def call(self, queries, middle: slice, counting, training: bool) -> Quantized:
        """As `VectorQuantizer`."""
        points = self._points(queries)
        codes = _largest(points)
        vectors = straight_through(points, self.vectors(codes))
        counted = tf.where(counting[..., None], points[middle], 0.0)
        mean = sum_over_replicas(tf.reduce_sum(counted, axis=[0, 1])) / sum_over_replicas(_number(counting))
        unequal = negative_entropy(mean) if self.config.simplex == "softmax" else squared_deviation(mean)
        without = counting & (tf.reduce_max(points[middle], axis=-1) <= 0)
        sums = {"zeros": tf.reduce_sum(tf.cast(without, tf.float32))}
        return Quantized(codes, vectors, self.diversity * unequal, sums)

    def codes(self, queries) -> tf.Tensor:
        """As `VectorQuantizer`; the largest numbers'."""
        return _largest(self._points(queries))

    def vectors(self, codes) -> tf.Tensor:
        """As `VectorQuantizer`; one at the code, else zero."""
        return tf.one_hot(codes, self.config.num_codes)  # NO_ITEM is none of them: zeros

    def _points(self, queries):
        """Of the simplex, [N, B, K]."""
        if self.config.simplex == "softmax":
            return tf.nn.softmax(queries)
        points = tf.nn.relu(queries)
        return points / (tf.reduce_sum(points, axis=-1, keepdims=True) + EPSILON)

    def apply_updates(self, seen) -> None:
        """There is nothing that no gradient moves."""


def _largest(points):
    return tf.argmax(points, axis=-1, output_type=tf.int32)


def squared_deviation(mean: tf.Tensor) -> tf.Tensor:
    """By how much a mean point of a simplex, [K], is not in its middle: a sum over K."""
    return tf.reduce_sum((mean.shape[0] * mean - 1) ** 2)


def negative_entropy(mean: tf.Tensor) -> tf.Tensor:
    """In nats, of a mean point of a simplex, [K]."""
    return tf.reduce_sum(tf.math.xlogy(mean, mean))


def _number(counting) -> tf.Tensor:
    """How many count, but one at least."""
    return tf.maximum(tf.reduce_sum(tf.cast(counting, tf.float32)), 1.0)


def _of_one_replica(value):
    """A value that is the same on all replicas, whose sum over them is to be itself."""
    return value / tf.distribute.get_replica_context().num_replicas_in_sync
