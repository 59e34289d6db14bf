"""From logits to tokens. B batch, Q levels."""

from __future__ import annotations

import tensorflow as tf

NO_TOKEN = -1  # drawn from what is no distribution


def inverse_cdf(logits, temperature, uniform):
    """Draw tokens from softmax(logits / temperature) by one uniform number each, NO_TOKEN where that is not a number.

    Args:
        logits: [B, Q].
        temperature: [B].
        uniform: [B], in [0, 1).

    Returns:
        int32 tokens [B].
    """
    cumulative = tf.cumsum(tf.nn.softmax(logits / temperature[:, None]), axis=1)
    total = cumulative[:, -1]  # rounding may leave it a little off 1; it is NaN where any of the logits is
    tokens = tf.reduce_sum(tf.cast(cumulative <= uniform[:, None] * total[:, None], tf.int32), axis=1)
    return tf.where(tf.math.is_nan(total), NO_TOKEN, tf.minimum(tokens, logits.shape[1] - 1))


def likeliest(logits, temperature, top_k=None, top_p=None):
    """The logits of the likeliest levels, and -inf for the others. Of equally likely ones the lower is taken first.

    Args:
        logits: float32 [B, Q]; what is not a number stays.
        temperature: [B].
        top_k: how many levels are left; None for all.
        top_p: of these, as few are left as have this probability together, by softmax(logits / temperature) over them
            alone; None or 1 for all.

    Returns:
        Logits [B, Q].
    """
    if top_k and top_k < logits.shape[1]:
        logits = _masked(logits, tf.ones_like(logits), top_k)
    if top_p and top_p < 1:
        logits = _masked(logits, tf.nn.softmax(logits / temperature[:, None]), top_p)
    return logits


def _masked(logits, weights, needed):
    """-inf for all but the fewest of the highest logits whose weights [B, Q] sum to what is needed.

    The lowest of these is found bit by bit: XLA on a CPU takes several times as long to sort.
    """

    def weight(of):
        return tf.reduce_sum(tf.where(of, weights, 0), axis=1, keepdims=True)

    bits = tf.bitcast(logits, tf.int32)
    order = tf.where(bits < 0, bits ^ 0x7FFFFFFF, bits)  # int32 of the same order as the logits

    def set_bit(i, lowest):
        higher = lowest ^ tf.bitwise.left_shift(1, 31 - i)
        return i + 1, tf.where(weight(order >= higher) >= needed, higher, lowest)

    _, lowest = tf.while_loop(lambda i, _: i < 32, set_bit, (0, tf.fill([logits.shape[0], 1], tf.int32.min)))
    above, equal = order > lowest, order == lowest
    equal &= weight(above) + tf.cumsum(tf.where(equal, weights, 0), axis=1, exclusive=True) < needed
    return tf.where(above | equal | tf.math.is_nan(logits), logits, -float("inf"))
