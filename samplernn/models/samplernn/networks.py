"""What the networks differ in that are called SampleRNN: PRiSM's and deepsound's (samplernn-pytorch, 2017)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import keras
import tensorflow as tf

Initializer = str | Callable  # as Keras takes them


@dataclass(frozen=True)
class Network:
    """A network's own ways.

    Attributes:
        has_linear_layer: whether a dense layer comes between the sample tier's convolution and its first relu.
        has_upsampling_biases: one for each phase and output.
        upsampling_gains: the axis of the upsampling kernel [ratio, out, in] along which there is a gain for each entry,
            where weights are normalized.
        has_sparse_gradients: whether an embedding's gradient is one for each time that it is looked up, and embeddings
            that are not rest, as in TensorFlow 2.3.
        clips_elements: whether each element of a gradient is clipped to ±1; else all of them by their global norm.
        unit_of_loss: what is to be minimised counts in it, nats.

    The others are initial values, Keras's where nothing else is said.
    """

    has_linear_layer: bool = True
    has_upsampling_biases: bool = False
    upsampling_gains: int = 1
    has_sparse_gradients: bool = True
    clips_elements: bool = False
    unit_of_loss: float = 1.0
    inputs: Initializer = "glorot_uniform"
    rnn: Initializer = "glorot_uniform"
    rnn_recurrent: Initializer = "orthogonal"
    upsampling: Initializer = "glorot_normal"
    embedding: Initializer = "uniform"
    convolution: Initializer = "glorot_uniform"
    hidden: Initializer = "glorot_uniform"
    outputs: Initializer = "glorot_uniform"


def _uniform_by_inputs(shape, dtype=None):
    """For an upsampling kernel [ratio, out, in]: uniform within ±√(6 / in)."""
    limit = math.sqrt(6 / shape[-1])
    return keras.initializers.RandomUniform(-limit, limit)(shape, dtype)


def _standard_normal(shape, dtype=None):
    """N(0, 1), with a seed that is drawn when it is called."""
    return keras.initializers.RandomNormal(stddev=1.0)(shape, dtype)


def _orthogonal_candidate(shape, dtype=None):
    """For a GRU's recurrent kernel [D, 3·D]: LeCun-uniform for the gates, orthogonal for the candidate."""
    dim = shape[0]
    gates = keras.initializers.LecunUniform()([dim, 2 * dim], dtype)
    return tf.concat([gates, keras.initializers.Orthogonal()([dim, dim], dtype)], axis=1)


NETWORKS = {
    "prism": Network(),
    "deepsound": Network(
        has_linear_layer=False,
        has_upsampling_biases=True,
        upsampling_gains=2,
        has_sparse_gradients=False,
        clips_elements=True,
        unit_of_loss=math.log(2),
        inputs="he_uniform",
        rnn="lecun_uniform",
        rnn_recurrent=_orthogonal_candidate,
        upsampling=_uniform_by_inputs,
        embedding=_standard_normal,
        convolution="he_uniform",
        hidden="he_uniform",
        outputs="lecun_uniform",
    ),
}
