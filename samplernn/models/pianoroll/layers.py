"""The layers. T steps, B batch, D units of a layer.

As elsewhere, state is an argument and a result, its rows last: `(h, c)`, [D, B] each.
"""

from __future__ import annotations

import tensorflow as tf
from keras.initializers import RandomNormal

from samplernn.models import recurrence
from samplernn.models.products import LayerOfProducts, product

DEVIATION = 0.1  # of all initial weights (RNN4Music's sigRand)


def drawn_weights() -> RandomNormal:
    """The initial weights of one variable: of several of a shape, an initializer would draw the same."""
    return RandomNormal(stddev=DEVIATION)


def biases_of_gates(size: int) -> RandomNormal:
    """The initial biases of so many gates or outputs."""
    return RandomNormal(mean=0.5 / size, stddev=DEVIATION)


class PeepholeLSTM(LayerOfProducts):
    """An LSTM whose gates see its cell; their order is i, f, candidate, o."""

    def __init__(self, size: int, inputs: int, cell=recurrence.peephole_lstm, **kwargs):
        """`size` is D, `inputs` the width of what it hears, `cell` one of `recurrence`'s with peepholes."""
        super().__init__(**kwargs)
        self.size = size
        self.inputs = inputs
        self.cell = cell

    def build(self, input_shape=None):
        size = self.size
        self.kernel = self.add_weight(name="kernel", shape=[self.inputs, 4 * size], initializer=drawn_weights())
        self.recurrent_kernel = self.add_weight(
            name="recurrent_kernel", shape=[size, 4 * size], initializer=drawn_weights()
        )
        self.gate_biases = self.add_weight(name="gate_biases", shape=[3, size], initializer=biases_of_gates(size))
        self.candidate_bias = self.add_weight(name="candidate_bias", shape=[size], initializer=drawn_weights())
        self.peepholes = self.add_weight(name="peepholes", shape=[3, size], initializer=drawn_weights())

    def initial_state(self, rows: int):
        """Zeros."""
        zeros = tf.zeros([self.size, rows], self.compute_dtype)
        return zeros, zeros

    def call(self, x, state):
        """Run over a sequence: [T, B, inputs] and a state to float32 [T, B, D] and the state behind it."""
        dtype = self.compute_dtype
        projected = tf.cast(product(x, tf.cast(self.kernel, dtype)), dtype)  # [T, B, 4·D]
        outputs, state = recurrence.run(
            self.cell,
            tf.transpose(projected, [0, 2, 1]),
            tf.cast(self.recurrent_kernel, dtype),
            self._bias(),
            state,
            [self._peepholes()],
        )
        return tf.cast(tf.transpose(outputs, [0, 2, 1]), tf.float32), state

    def step_weights(self):
        """Kernels of inputs and state one above the other, [4·D, inputs + D], the bias [4·D, 1], and the peepholes."""
        kernel = tf.transpose(tf.concat([self.kernel, self.recurrent_kernel], axis=0))
        return tf.cast(kernel, self.compute_dtype), self._bias()[:, None], self._peepholes()

    def step(self, x, state, weights):
        """Run over a step: columns [inputs, B] and a state to the next state."""
        kernel, bias, peepholes = weights
        heard = tf.concat([tf.cast(x, kernel.dtype), state[0]], axis=0)
        return self.cell(tf.matmul(kernel, heard), bias, state, peepholes)

    def _bias(self):
        i, f, o = tf.unstack(tf.convert_to_tensor(self.gate_biases))
        return tf.cast(tf.concat([i, f, self.candidate_bias, o], axis=0), self.compute_dtype)

    def _peepholes(self):
        return tf.cast(tf.reshape(self.peepholes, [-1, 1]), self.compute_dtype)


class NoteOutput(LayerOfProducts):
    """From the outputs of all layers to numbers for each note."""

    def __init__(self, inputs: int, outputs: int, **kwargs):
        super().__init__(**kwargs)
        self.inputs = inputs
        self.outputs = outputs

    def build(self, input_shape=None):
        self.kernel = self.add_weight(name="kernel", shape=[self.inputs, self.outputs], initializer=drawn_weights())
        self.bias = self.add_weight(name="bias", shape=[self.outputs], initializer=biases_of_gates(self.outputs))

    def call(self, x):
        """[..., inputs] to float32 [..., outputs]."""
        return product(x, tf.cast(self.kernel, self.compute_dtype)) + self.bias
