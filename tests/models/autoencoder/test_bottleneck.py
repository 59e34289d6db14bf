"""The bottlenecks against values written by hand: which code, what passes, what is moved, what is counted."""

import math

import numpy as np
import pytest
import tensorflow as tf

from samplernn.models import registry
from samplernn.models.autoencoder.bottleneck import (
    EPSILON,
    ArgmaxQuantizer,
    VectorQuantizer,
    negative_entropy,
    squared_deviation,
)
from samplernn.models.autoencoder.config import AMAEConfig, VQVAEConfig

CODEBOOK = [[0.0, 0.0], [1.0, 0.0], [0.0, 2.0]]
QUERIES = [[[0.2, 0.0], [0.9, 0.3]], [[0.7, 0.1], [0.1, 0.1]]]  # [N, B, D], of which the nearest are 0, 1 and 1, 0
ALL = slice(0, 2)


def vector_quantizer(begun=True, **changes):
    config = VQVAEConfig.from_dict({"num_codes": 3, "code_size": 2, "codebook_rate": 0.25, **changes})
    quantizer = VectorQuantizer(config)
    quantizer.build()
    if begun:
        quantizer.codebook.assign(CODEBOOK)
        quantizer.totals.assign([[0.0, 0.0], [3.0, 0.0], [0.0, 2.0]])
        quantizer.counts.assign([1.0, 3.0, 1.0])
        quantizer.unused.assign([0.0, 4.0, 7.0])
    return quantizer


def quantize(quantizer, queries=QUERIES, counting=((True, True), (True, True)), middle=ALL, training=True):
    return quantizer(
        tf.convert_to_tensor(queries, tf.float32), middle=middle, counting=tf.constant(counting), training=training
    )


def test_a_query_is_the_nearest_vector_and_its_gradient_passes_straight():
    quantizer, queries = vector_quantizer(commitment=0.0), tf.constant(QUERIES)
    weight = tf.constant([[[1.0, 2.0], [3.0, 4.0]], [[5.0, 6.0], [7.0, 8.0]]])
    with tf.GradientTape() as tape:
        tape.watch(queries)
        quantized = quantizer(queries, middle=ALL, counting=tf.ones([2, 2], tf.bool), training=True)
        value = tf.reduce_sum(quantized.vectors * weight)
    np.testing.assert_array_equal(quantized.codes, [[0, 1], [1, 0]])
    np.testing.assert_array_equal(quantized.vectors, [[[0, 0], [1, 0]], [[1, 0], [0, 0]]])  # to the bit
    np.testing.assert_allclose(tape.gradient(value, queries), weight)


def test_the_commitment_pulls_queries_that_count_to_their_codes_and_its_weight_changes_without_retracing():
    quantizer, traces = vector_quantizer(commitment=2.0), []

    @tf.function(autograph=False)
    def penalty(queries):
        traces.append(1)
        with tf.GradientTape() as tape:
            tape.watch(queries)
            loss = quantize(quantizer, queries, [[True, True], [False, True]]).penalty
        return loss, tape.gradient(loss, queries)

    value, gradient = penalty(tf.constant(QUERIES))
    squares = [0.2**2, 0.1**2 + 0.3**2, 0.1**2 + 0.1**2]  # summed over the numbers of a query, a mean over queries
    np.testing.assert_allclose(value, 2.0 * sum(squares) / 3, rtol=1e-6)
    np.testing.assert_allclose(gradient[0, 1], [2.0 * 2 * -0.1 / 3, 2.0 * 2 * 0.3 / 3], rtol=1e-5)
    np.testing.assert_array_equal(gradient[1, 0], [0, 0])
    quantizer.commitment.assign(0.5)
    np.testing.assert_allclose(penalty(tf.constant(QUERIES))[0], value / 4, rtol=1e-6)
    assert len(traces) == 1


def test_the_codebook_is_moved_by_averages_and_what_is_not_used_stays():
    quantizer = vector_quantizer(restart_after=None)
    quantizer.apply_updates(quantize(quantizer).updates)
    counts = np.array([0.75 * 1 + 0.25 * 2, 0.75 * 3 + 0.25 * 2, 0.75 * 1])
    totals = np.array([[0.25 * 0.3, 0.25 * 0.1], [0.75 * 3 + 0.25 * 1.6, 0.25 * 0.4], [0.0, 0.75 * 2]])
    np.testing.assert_allclose(quantizer.counts, counts, rtol=1e-6)
    np.testing.assert_allclose(quantizer.totals, totals, rtol=1e-6)
    smoothed = (counts + EPSILON) / (counts.sum() + 3 * EPSILON) * counts.sum()
    expected = totals / smoothed[:, None]
    np.testing.assert_allclose(quantizer.codebook, [expected[0], expected[1], CODEBOOK[2]], rtol=1e-5)
    np.testing.assert_array_equal(quantizer.unused, [0, 0, 8])


def test_only_queries_of_the_middle_that_count_move_the_codebook():
    quantizer = vector_quantizer(restart_after=None)
    updates = quantize(quantizer, [[[9.0, 9.0]], [[0.9, 0.0]], [[1.2, 0.0]]], [[True], [False]], slice(1, 3)).updates
    np.testing.assert_array_equal(updates[0], [0, 1, 0])
    np.testing.assert_allclose(updates[1], [[0, 0], [0.9, 0], [0, 0]])


def test_the_first_codebook_is_of_queries_of_the_first_batch_no_two_alike():
    quantizer = vector_quantizer(begun=False, num_codes=8, commitment=3.0)
    queries = np.random.default_rng(0).normal(size=[6, 2, 2]).astype(np.float32)
    quantized = quantize(quantizer, queries, np.full([6, 2], True), slice(0, 6))
    assert float(quantized.penalty) == 0 and float(quantized.sums["restarts"]) == 0
    quantizer.apply_updates(quantized.updates)
    flat = queries.reshape(-1, 2)
    chosen = [int(np.flatnonzero((flat == vector).all(axis=1))[0]) for vector in quantizer.codebook.numpy()]
    assert len(set(chosen)) == 8
    np.testing.assert_array_equal(quantizer.counts, np.ones(8))
    np.testing.assert_array_equal(quantizer.totals, quantizer.codebook)
    assert float(quantize(quantizer, queries, np.full([6, 2], True), slice(0, 6)).penalty) > 0


def test_a_code_that_is_not_used_for_so_long_begins_anew_and_survives():
    quantizer = vector_quantizer(restart_after=8)
    far = np.array([[[0.2, 0.0], [0.9, 0.3]], [[0.7, 0.1], [50.0, -50.0]]], np.float32)
    drawn = set()
    for _ in range(40):
        quantizer.codebook.assign(CODEBOOK)
        quantizer.unused.assign([0.0, 0.0, 7.0])  # and now for the eighth time
        quantizer.apply_updates(quantize(quantizer, far).updates)
        (begun,) = np.flatnonzero((far.reshape(-1, 2) == quantizer.codebook.numpy()[2]).all(axis=1))
        drawn.add(int(begun))
    assert len(drawn) > 1  # not always the same query
    np.testing.assert_array_equal(quantizer.counts[2], 1)
    survivor = quantizer.codebook.numpy()[2]
    elsewhere = np.full([2, 2, 2], CODEBOOK[0], np.float32)
    for unused, restarts in ((1, 1), (2, 0)):
        quantized = quantize(quantizer, elsewhere)
        quantizer.apply_updates(quantized.updates)
        np.testing.assert_array_equal(quantizer.codebook.numpy()[2], survivor)
        assert (float(quantizer.unused[2]), float(quantized.sums["restarts"])) == (unused, restarts)


def test_a_code_that_is_used_again_in_the_last_moment_stays():
    quantizer = vector_quantizer(restart_after=8)
    quantizer.unused.assign([0.0, 7.0, 0.0])
    quantizer.apply_updates(quantize(quantizer).updates)
    assert float(quantizer.unused[1]) == 0 and float(quantizer.counts[1]) > 2


def test_nothing_is_to_be_moved_outside_training():
    assert quantize(vector_quantizer(), training=False).updates == ()


def argmax_quantizer(**changes):
    quantizer = ArgmaxQuantizer(AMAEConfig.from_dict({"num_codes": 3, **changes}))
    quantizer.build(None)
    return quantizer


def test_an_amae_takes_the_largest_of_a_point_of_the_simplex_and_counts_zeros():
    queries = tf.constant([[[2.0, 1.0, -3.0]], [[-1.0, -2.0, -1.0]], [[0.0, 1.0, 3.0]], [[-1.0, -1.0, -1.0]]])
    quantizer, weight = argmax_quantizer(), tf.constant([1.0, 2.0, 5.0])
    with tf.GradientTape() as tape:
        tape.watch(queries)
        counting = tf.constant([[True], [True], [True], [False]])
        quantized = quantizer(queries, middle=slice(0, 4), counting=counting, training=True)
        value = tf.reduce_sum(quantized.vectors * weight)
    np.testing.assert_array_equal(quantized.codes[:, 0], [0, 0, 2, 0])
    np.testing.assert_array_equal(quantized.vectors[:, 0], np.eye(3)[[0, 0, 2, 0]])
    assert float(quantized.sums["zeros"]) == 1
    mean = np.array([2 / 3, 1 / 3 + 1 / 4, 3 / 4]) / 3
    np.testing.assert_allclose(quantized.penalty, 0.1 * np.sum((3 * mean - 1) ** 2), rtol=1e-4)
    # The derivative of a number by the sum of all, of those above zero: (weight - weighted mean) / sum.
    expected = [(1 - 4 / 3) / 3, (2 - 4 / 3) / 3, 0]
    gradient = tape.gradient(value, queries)
    np.testing.assert_allclose(gradient[0, 0], expected, rtol=1e-4)
    np.testing.assert_array_equal(gradient[1, 0], [0, 0, 0])


def test_with_a_softmax_the_diversity_is_an_entropy():
    quantized = quantize(argmax_quantizer(simplex="softmax"), np.log([[[2.0, 1, 1]], [[1.0, 2, 1]]]), [[True]] * 2)
    mean = np.array([3, 3, 2]) / 8
    np.testing.assert_allclose(quantized.penalty, 0.1 * np.sum(mean * np.log(mean)), rtol=1e-5)
    assert float(quantized.sums["zeros"]) == 0


@pytest.mark.parametrize(
    "mean, deviation, entropy", [([0.5, 0.5], 0, -math.log(2)), ([1.0, 0.0], 2, 0), ([0.75, 0.25], 0.5, -0.562335)]
)
def test_how_unequal_codes_are(mean, deviation, entropy):
    np.testing.assert_allclose(squared_deviation(tf.constant(mean)), deviation, rtol=1e-6)
    np.testing.assert_allclose(negative_entropy(tf.constant(mean)), entropy, rtol=1e-5)


def test_perplexity_is_of_the_counts_of_a_whole_evaluation():
    model = registry.build(VQVAEConfig.tiny())
    counts = np.array([2.0, 1, 1, 0, 0, 0, 0, 0])
    sums = {"nll": 1.0, "correct": 1.0, "targets": 4.0, "restarts": 2.0, "codes": counts}
    measured = model.measures(sums)
    np.testing.assert_allclose(measured["perplexity"], 2**1.5)
    assert measured["codes_in_use"] == 3 and measured["restarts"] == 2
    other = model.measures(sums | {"codes": counts[::-1]})
    np.testing.assert_allclose(other["perplexity"], 2**1.5)
    np.testing.assert_allclose(model.measures(sums | {"codes": counts + counts[::-1]})["perplexity"], 2**2.5)
