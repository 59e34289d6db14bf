"""How much memory a training takes."""

from __future__ import annotations

from samplernn.models.config import Config

BASE_BYTES = 1_150_000_000
OPTIMIZER_SLOTS = {"adam": 2, "sgd": 1, "rmsprop": 2}  # numbers kept for each parameter


def expected_memory(config: Config, batch_size: int, optimizer: str, averaged: bool = False) -> int:
    """About how many bytes a training on one device takes, in float32.

    They are those of

    - the libraries and the compiled step (BASE_BYTES, measured on a CPU)
    - each parameter, its gradient, the optimizer's slots for it, and its average if there is one
    - what backpropagation through a window keeps

    docs/performance.md compares it with what was measured.
    """
    of_parameters = config.num_parameters * (2 + OPTIMIZER_SLOTS[optimizer] + averaged)
    return BASE_BYTES + 4 * round(of_parameters + batch_size * config.activations)
