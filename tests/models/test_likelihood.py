"""Likelihoods, against hand-written values."""

import math

import pytest
import tensorflow as tf

from samplernn.models.likelihood import categorical


def test_categorical_sums_are_over_the_targets_that_count():
    logits = tf.math.log([[[0.5, 0.25, 0.25], [0.1, 0.8, 0.1]], [[0.2, 0.2, 0.6], [0.9, 0.05, 0.05]]])
    sums = categorical(logits, tf.constant([[0, 0], [1, -1]]))
    assert float(sums["nll"]) == pytest.approx(-(math.log(0.5) + math.log(0.1) + math.log(0.2)), rel=1e-5)
    assert (sums["correct"], sums["targets"]) == (1, 3)
