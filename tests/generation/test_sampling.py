"""Sampling is the softmax, of all levels or of the likeliest."""

import math

import numpy as np
import pytest
import tensorflow as tf

from samplernn.generation.sampling import NO_TOKEN, inverse_cdf, likeliest


def test_sampling_draws_from_the_softmax_at_each_temperature():
    logits = tf.constant([[0.0, 1.0, -1.0, 2.0], [0.0, 1.0, -1.0, 2.0]])
    temperature = tf.constant([0.5, 2.0])
    uniforms = np.random.default_rng(0).random(20000).astype(np.float32)
    draws = np.stack([inverse_cdf(logits, temperature, tf.fill([2], u)) for u in uniforms[:2000]])
    for row in range(2):
        expected = tf.nn.softmax(logits[row] / temperature[row]).numpy()
        assert np.bincount(draws[:, row], minlength=4) / len(draws) == pytest.approx(expected, abs=0.03)


def test_sampling_never_draws_what_is_impossible():
    logits = tf.constant([[-np.inf, 0.0, -np.inf, 0.0, -np.inf]])
    for uniform, token in ((0.0, 1), (0.49, 1), (0.51, 3), (np.nextafter(np.float32(1), np.float32(0)), 3)):
        assert inverse_cdf(logits, tf.constant([1.0]), tf.constant([uniform], tf.float32)).numpy() == [token]


def plain_likeliest(logits, temperature, top_k, top_p):
    """The levels that are left of one distribution [Q], from the rules as they read, in ascending order."""
    order = sorted(range(len(logits)), key=lambda level: (-logits[level], level))[:top_k]
    weights = [math.exp((logits[level] - logits[order[0]]) / temperature) for level in order]
    left, total = [], 0.0
    for level, weight in zip(order, weights):
        if total >= (top_p or 1) * sum(weights):
            break
        left.append(level)
        total += weight
    return sorted(left)


def plain_draw(logits, temperature, uniform, top_k, top_p):
    levels = plain_likeliest(logits, temperature, top_k, top_p)
    weights = np.exp(np.float64(logits)[levels] / temperature)
    return levels[int((np.cumsum(weights) <= uniform * weights.sum()).sum())]


RULES = [(1, None), (7, None), (40, None), (None, 0.07), (None, 0.73), (None, 1), (9, 0.61), (40, 1)]
COMPILED_AT_ONCE = [(7, None), (9, 0.61)]  # the others in the long tests


@pytest.mark.parametrize(
    ("jit_compile", "top_k", "top_p"),
    [
        *((False, *rule) for rule in RULES),
        *((True, *rule) for rule in COMPILED_AT_ONCE),
        *(pytest.param(True, *rule, marks=pytest.mark.long) for rule in RULES if rule not in COMPILED_AT_ONCE),
    ],
)
def test_the_likeliest_levels_are_drawn_as_by_the_plain_rules(jit_compile, top_k, top_p):
    """Of five distributions, two of them with many equally likely levels, by a grid of uniform numbers."""
    random = np.random.default_rng(0)
    rows = np.float32([*random.normal(0, 2, [3, 40]), random.integers(-2, 3, 40), np.zeros(40)])
    temperature, uniforms = np.float32([0.7, 1, 2, 1, 1]), np.float32(np.arange(50) / 50 + 0.00731)
    expected = [
        [plain_draw(row, t, uniform, top_k, top_p) for uniform in uniforms] for row, t in zip(rows, temperature)
    ]

    @tf.function(jit_compile=jit_compile)
    def draw(logits, temperature, uniform):
        return inverse_cdf(likeliest(logits, temperature, top_k, top_p), temperature, uniform)

    drawn = draw(np.repeat(rows, 50, axis=0), np.repeat(temperature, 50), np.tile(uniforms, 5))
    np.testing.assert_array_equal(np.reshape(drawn, [5, 50]), expected)


@pytest.mark.parametrize(
    ("top_k", "top_p", "left"),
    [(1, None, [1]), (2, None, [1, 3]), (3, None, [1, 2, 3]), (9, None, [0, 1, 2, 3]), (3, 0.5, [1, 3])]
    + [(None, 0.001, [1]), (None, 0.999999, [0, 1, 2, 3])],
)
def test_exactly_so_many_levels_are_left_and_of_equal_ones_the_lower(top_k, top_p, left):
    logits = tf.constant([[-1.0, 3.0, 2.0, 3.0]])  # levels 1 and 3 have 0.42 each, 2 has 0.155
    kept = likeliest(logits, tf.constant([1.0]), top_k, top_p).numpy()[0]
    assert np.flatnonzero(kept > -np.inf).tolist() == left
    np.testing.assert_array_equal(kept[left], logits.numpy()[0, left])


@pytest.mark.parametrize("value", [np.nan, -np.nan, np.inf])
@pytest.mark.parametrize("top", [{"top_k": 1}, {"top_p": 0.1}, {"top_k": 2, "top_p": 0.5}])
def test_what_is_not_a_number_is_not_hidden_by_the_likeliest(value, top):
    def draw(logits, temperature, uniform):
        return inverse_cdf(likeliest(logits, temperature, **top), temperature, uniform)

    logits, ones = tf.constant([[5.0, value, 0.0, 1.0], [5.0, 0.0, 0.0, 1.0]]), tf.constant([1.0, 1.0])
    for drawing in (draw, tf.function(draw, jit_compile=True)):
        assert drawing(logits, ones, ones / 2).numpy().tolist() == [NO_TOKEN, 0]
