"""Our recurrent loops against Keras's layers: values and gradients, to 1e-5 in float32."""

import numpy as np
import pytest
import tensorflow as tf

from samplernn.models.samplernn.layers import RNNStack


def stack(rnn_type, skip_conn=False):
    rnn = RNNStack(rnn_type, 6, 2, skip_conn, 0.0, None)
    rnn.build()
    for i, variable in enumerate(rnn.trainable_variables):
        variable.assign(tf.random.stateless_normal(variable.shape, [i, 0], stddev=0.5))  # biases too
    return rnn


def outputs_and_gradients(rnn, run, x, state):
    """Of a loss that depends on every output and on the last state, both weighted unevenly."""
    with tf.GradientTape() as tape:
        tape.watch([x, state])
        outputs, last = run(x, state)
        loss = sum(
            tf.reduce_sum(part * np.random.default_rng(i).standard_normal(part.shape, np.float32))
            for i, part in enumerate(tf.nest.flatten([outputs, last]))
        )
    wanted = [x, state, [variable.value for variable in rnn.trainable_variables]]
    return [outputs, last], tape.gradient(loss, wanted, unconnected_gradients="zero")


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("steps", [1, 7])
@pytest.mark.parametrize("rnn_type", ["gru", "lstm"])
def test_our_loop_is_kerass_layer(rnn_type, steps, jit_compile):
    rnn = stack(rnn_type)
    layer = rnn.rnns[0]
    x = tf.random.stateless_normal([3, steps, 6], [0, 0])
    state = tuple(tf.random.stateless_normal([6, 3], [0, i]) for i in range(1 if rnn_type == "gru" else 2))
    ours = tf.function(
        lambda x, state: outputs_and_gradients(rnn, lambda x, state: rnn._run_loop(layer, x, state), x, state),
        jit_compile=jit_compile,
    )(x, state)
    theirs = outputs_and_gradients(rnn, lambda x, state: rnn._run_keras(layer, x, state), x, state)
    for a, b in zip(tf.nest.flatten(ours), tf.nest.flatten(theirs)):
        np.testing.assert_allclose(a, b, atol=1e-5)


@pytest.mark.parametrize("skip_conn", [False, True])
@pytest.mark.parametrize("rnn_type", ["gru", "lstm"])
def test_steps_are_the_sequence(rnn_type, skip_conn):
    rnn = stack(rnn_type, skip_conn)
    x = tf.random.stateless_normal([3, 5, 6], [0, 0])
    expected, expected_state = rnn(x, rnn.initial_state(3))
    state, weights = rnn.initial_state(3), rnn.step_weights()
    for t in range(5):
        output, state = rnn.step(tf.transpose(x[:, t]), state, weights)
        np.testing.assert_allclose(tf.transpose(output), expected[:, t], atol=1e-5)
    tf.nest.map_structure(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), state, expected_state)
