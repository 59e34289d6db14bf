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


def peephole_lstm(projected, recurrent, state, peepholes, cell_clip=None):
    """A step of an LSTM whose gates see its cell, each unit its own (Gers et al. 2002; Graves 2013, section 2).

    The input and forget gates see the cell before the step, the output gate sees the one behind it.

    Args:
        projected, recurrent, state: as for `lstm`.
        peepholes: of the gates i, f and o, [3·D, 1].
        cell_clip: the magnitude at which cells are clipped (as Sak et al. 2014 do), or None.

    Returns:
        The next state.
    """
    return _peephole_lstm(projected, recurrent, state, peepholes, cell_clip, lambda candidate, c: c)


def rnn4music_lstm(projected, recurrent, state, peepholes, cell_clip=None):
    """The same, but that the output gate sees the candidate before its tanh, as in RNN4Music's lowest layer."""
    return _peephole_lstm(projected, recurrent, state, peepholes, cell_clip, lambda candidate, c: candidate)


def _peephole_lstm(projected, recurrent, state, peepholes, cell_clip, seen_by_output):
    _, c = state
    i, f, candidate, o = tf.split(projected + recurrent, 4)
    at_i, at_f, at_o = tf.split(peepholes, 3)
    c = tf.sigmoid(f + at_f * c) * c + tf.sigmoid(i + at_i * c) * tf.tanh(candidate)
    if cell_clip is not None:
        c = tf.clip_by_value(c, -cell_clip, cell_clip)
    return tf.sigmoid(o + at_o * seen_by_output(candidate, c)) * tf.tanh(c), c


def run(cell, projected, kernel, bias, state, peepholes=()):
    """Run a cell over a sequence.

    Its gradient is that of the plain loop, but the recurrent kernel's is one product after the backward loop, where
    the plain loop adds an outer product to a matrix of the kernel's size at each step.

    Args:
        cell: one of those above.
        projected: the input's projection, [T, G·D, B], for a cell of G gates; T is static.
        kernel, bias: of the state's projection, [D, G·D] and [G·D].
        state: the one before the first step.
        peepholes: for a cell that has them a tuple of theirs.

    Returns:
        The outputs h [T, D, B], and the state after the last step.
    """
    gates, parts, number = projected.shape[1:], [part.shape for part in state], len(state)

    @tf.custom_gradient
    def forward(projected, kernel, bias, *state_and_peepholes):
        transposed, state, peepholes = tf.transpose(kernel), state_and_peepholes[:number], state_and_peepholes[number:]

        def step(state, slices):
            (projected,) = slices
            recurrent = tf.matmul(transposed, state[0]) + bias[:, None]
            return cell(projected, recurrent, state, *peepholes), (recurrent, *state)

        last, (recurrents, *states) = scan(step, state, [projected], [gates, *parts])  # states before each step

        def backward(output_gradient, *last_gradient):
            def step_back(carried, slices):
                after, at_peepholes = carried[:number], carried[number:]
                at_output, projected, recurrent, *state = slices
                inputs = projected, recurrent, tuple(state), *peepholes
                with tf.GradientTape() as tape:
                    tape.watch(inputs)
                    outputs = cell(*inputs)
                after = after[0] + at_output, *after[1:]
                at_projected, at_recurrent, before, *of_step = tape.gradient(
                    outputs, inputs, after, unconnected_gradients="zero"
                )
                before = before[0] + tf.matmul(kernel, at_recurrent), *before[1:]
                return (*before, *map(tf.add, at_peepholes, of_step)), (at_projected, at_recurrent)

            sequences = [output_gradient, projected, recurrents, *states]
            carried = *last_gradient, *map(tf.zeros_like, peepholes)
            first_gradient, (at_projected, at_recurrent) = scan(
                step_back, carried, sequences, [gates, gates], reverse=True
            )
            at_kernel = tf.einsum("tdb,tgb->dg", states[0], at_recurrent)
            return at_projected, at_kernel, tf.reduce_sum(at_recurrent, axis=[0, 2]), *first_gradient

        outputs = tf.concat([states[0][1:], last[0][None]], axis=0)
        return (outputs, *last), backward

    outputs, *state = forward(projected, tf.convert_to_tensor(kernel), tf.convert_to_tensor(bias), *state, *peepholes)
    return outputs, tuple(state)


def scan(body, carry, sequences, shapes, reverse=False):
    """Loop over the first axis of sequences.

    Args:
        body: function of what is carried and of a slice of each sequence, that returns what is carried on and outputs.
        carry: what is carried to the first step, a tuple of tensors.
        sequences: tensors [T, ...]; T is static.
        shapes: of the outputs of a step, which have the dtype of the sequences.
        reverse: go from the last slice to the first.

    Returns:
        What was carried out of the last step, and the outputs, each stacked in the order of the slices [T, ...].
    """
    steps = sequences[0].shape[0]

    def position(i):
        return steps - 1 - i if reverse else i

    def slices(i):
        return [sequence[position(i)] for sequence in sequences]

    def step(i, carry, current, records):
        carry, outputs = body(carry, current)
        records = [record.write(position(i), output) for record, output in zip(records, outputs)]
        # The loop hands the slices on, so that XLA does not fuse taking them with the cell's exponentials, which it
        # would then compute one by one.
        return i + 1, carry, slices(tf.minimum(i + 1, steps - 1)), records

    records = [tf.TensorArray(sequences[0].dtype, steps, element_shape=shape) for shape in shapes]
    _, carry, _, records = tf.while_loop(
        lambda i, *_: i < steps, step, (0, carry, slices(0), records), maximum_iterations=steps
    )
    return carry, [record.stack() for record in records]
