"""Recurrent layers on the CPU and in generation: the cells of Keras's GRU and LSTM, and their loop over a sequence.

Everything here is in columns, [features, B]: a product of a matrix and a few columns reads the matrix row by row,
which XLA does two to four times as fast as it multiplies a few rows by a matrix (docs/performance.md).
"""

from __future__ import annotations

import tensorflow as tf


def gru(projected, recurrent, state):
    """A step of a GRU as Keras computes it (`reset_after`; Cho et al. 2014, the gates' order is z, r, candidate).

    Args:
        projected: the input's projection with its bias, [3·D, B].
        recurrent: the state's projection with its bias, [3·D, B].
        state: (h,), [D, B].

    Returns:
        The next state.
    """
    (h,) = state
    input_z, input_r, input_candidate = tf.split(projected, 3)
    state_z, state_r, state_candidate = tf.split(recurrent, 3)
    z = tf.sigmoid(input_z + state_z)
    r = tf.sigmoid(input_r + state_r)
    candidate = tf.tanh(input_candidate + r * state_candidate)
    return (z * h + (1 - z) * candidate,)


def lstm(projected, recurrent, state):
    """A step of an LSTM as Keras computes it (Hochreiter and Schmidhuber 1997; the gates' order is i, f, c, o).

    Args:
        projected: the input's projection with its bias, [4·D, B].
        recurrent: the state's projection with its bias, [4·D, B].
        state: (h, c), [D, B] each.

    Returns:
        The next state.
    """
    _, c = state
    i, f, candidate, o = tf.split(projected + recurrent, 4)
    c = tf.sigmoid(f) * c + tf.sigmoid(i) * tf.tanh(candidate)
    return tf.sigmoid(o) * tf.tanh(c), c


CELLS = {"gru": gru, "lstm": lstm}


def run(cell, projected, kernel, bias, state):
    """Run a cell over a sequence.

    Its gradient is that of the plain loop, but the recurrent kernel's is one product after the backward loop, where
    the plain loop adds an outer product to a matrix of the kernel's size at each step.

    Args:
        cell: `gru` or `lstm`.
        projected: the input's projection, [T, G·D, B], for a cell of G gates; T is static.
        kernel, bias: of the state's projection, [D, G·D] and [G·D].
        state: the one before the first step.

    Returns:
        The outputs h [T, D, B], and the state after the last step.
    """
    steps = projected.shape[0]

    def recorder(shape):
        return tf.TensorArray(projected.dtype, steps, element_shape=shape)

    @tf.custom_gradient
    def forward(projected, kernel, bias, *state):
        transposed = tf.transpose(kernel)

        def step(t, state, states, recurrents):
            recurrent = tf.matmul(transposed, state[0]) + bias[:, None]
            states = tuple(record.write(t, part) for record, part in zip(states, state))
            return t + 1, cell(projected[t], recurrent, state), states, recurrents.write(t, recurrent)

        loop = (0, state, tuple(recorder(part.shape) for part in state), recorder(projected.shape[1:]))
        _, last, states, recurrents = tf.while_loop(lambda t, *_: t < steps, step, loop, maximum_iterations=steps)
        states, recurrents = [record.stack() for record in states], recurrents.stack()  # before each step; [T, ·, B]
        outputs = tf.concat([states[0][1:], last[0][None]], axis=0)

        def backward(output_gradient, *state_gradient):
            def step(t, after, projected_gradient, recurrent_gradient):
                t -= 1
                inputs = projected[t], recurrents[t], tuple(part[t] for part in states)
                after = after[0] + output_gradient[t], *after[1:]
                with tf.GradientTape() as tape:
                    tape.watch(inputs)
                    outputs = cell(*inputs)
                at_projected, at_recurrent, before = tape.gradient(outputs, inputs, after, unconnected_gradients="zero")
                before = before[0] + tf.matmul(kernel, at_recurrent), *before[1:]
                return (
                    t, before, projected_gradient.write(t, at_projected), recurrent_gradient.write(t, at_recurrent)
                )  # fmt: skip

            loop = (steps, state_gradient, recorder(projected.shape[1:]), recorder(projected.shape[1:]))
            _, state_gradient, projected_gradient, recurrent_gradient = tf.while_loop(
                lambda t, *_: t > 0, step, loop, maximum_iterations=steps
            )
            recurrent_gradient = recurrent_gradient.stack()
            return (
                projected_gradient.stack(),
                tf.einsum("tdb,tgb->dg", states[0], recurrent_gradient),
                tf.reduce_sum(recurrent_gradient, axis=[0, 2]),
                *state_gradient,
            )

        return (outputs, *last), backward

    outputs, *state = forward(projected, tf.convert_to_tensor(kernel), tf.convert_to_tensor(bias), *state)
    return outputs, tuple(state)
