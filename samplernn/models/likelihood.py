"""How likely targets are by a network's logits."""

from __future__ import annotations

import tensorflow as tf

from samplernn.models.config import NO_TARGET


def mean_nll(sums: dict[str, tf.Tensor]) -> tf.Tensor:
    """In nats a target; 0 where there is none."""
    return sums["nll"] / tf.maximum(sums["targets"], 1.0)


def categorical(logits: tf.Tensor, targets: tf.Tensor, training: bool = True) -> dict[str, tf.Tensor]:
    """The sum of the targets' NLL in nats, how many are predicted by the likeliest level, and how many there are.

    Args:
        logits: float32 [B, S, Q].
        targets: int [B, S]; those that are NO_TARGET do not count.
        training: whether the sums are float32, in which those of many targets are right to five digits or six, which is
            enough to learn; else they are float64.

    Returns:
        `nll`, `correct` and `targets`, scalars.
    """
    counts, dtype = targets != NO_TARGET, tf.float32 if training else tf.float64
    nll = tf.nn.sparse_softmax_cross_entropy_with_logits(tf.maximum(targets, 0), logits)
    correct = tf.argmax(logits, axis=-1, output_type=targets.dtype) == targets
    return {
        "nll": tf.reduce_sum(tf.cast(tf.where(counts, nll, 0.0), dtype)),
        "correct": tf.reduce_sum(tf.cast(correct & counts, dtype)),
        "targets": tf.reduce_sum(tf.cast(counts, dtype)),
    }
