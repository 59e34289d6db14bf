"""How much memory a training takes."""

from __future__ import annotations

from samplernn.models.samplernn.config import ModelConfig

BASE_BYTES = 1_150_000_000
OPTIMIZER_SLOTS = {"adam": 2, "sgd": 1, "rmsprop": 2}  # numbers kept for each parameter


def expected_memory(config: ModelConfig, batch_size: int, optimizer: str) -> int:
    """About how many bytes a training on one device takes, in float32.

    They are those of

    - the libraries and the compiled step (BASE_BYTES, measured on a CPU)
    - each parameter, its gradient and the optimizer's slots for it
    - what backpropagation through a window keeps: for a frame and a recurrent layer of G gates the projections of
      input and state, G·D each, with their gradients, the states before the step, the output and its gradient; for a
      frame of the lower tier what the upper one adds, and its gradient; for a sample five times D (the conditioning
      and two dense layers, some with gradients) and four times Q (logits, probabilities and their gradients)

    docs/performance.md compares it with what was measured.
    """
    gates, states = (3, 1) if config.rnn_type == "gru" else (4, 2)
    small, big = config.frame_sizes
    of_layer = (4 * gates + states + 2) * config.dim
    of_sample = (
        (1 / small + 1 / big) * config.num_rnn_layers * of_layer
        + 2 * config.dim / small
        + 5 * config.dim
        + 4 * config.q_levels
    )
    of_parameter = 2 + OPTIMIZER_SLOTS[optimizer]
    floats = config.num_parameters * of_parameter + batch_size * config.seq_len * of_sample
    return BASE_BYTES + 4 * round(floats)
