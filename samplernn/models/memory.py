"""How much memory a training takes."""

from __future__ import annotations

from samplernn.models.config import Config

BASE_BYTES = 1_000_000_000
BYTES_A_NUMBER = 4
OPTIMIZER_SLOTS = {"adam": 2, "sgd": 1, "rmsprop": 2}  # numbers kept for each parameter


def expected_memory(config: Config, batch_size: int, optimizer: str, averaged: bool = False) -> int:
    """About how many bytes a training on one device takes, in float32.

    They are those of

    - the libraries and the compiled step (BASE_BYTES, measured on a CPU, and more for some families)
    - each parameter, its gradient, the optimizer's slots for it, and its average if there is one
    - what backpropagation through a window keeps

    docs/performance.md compares it with what was measured.
    """
    with_gradients = _kept(config, optimizer, averaged) + config.num_parameters
    base = BASE_BYTES + config.compiled_bytes
    return base + BYTES_A_NUMBER * round(with_gradients + batch_size * config.activations)


def checkpoint_size(config: Config, optimizer: str, averaged: bool = False) -> int:
    """About how many bytes a checkpoint takes."""
    return BYTES_A_NUMBER * _kept(config, optimizer, averaged)


def _kept(config: Config, optimizer: str, averaged: bool) -> int:
    """The numbers that a training keeps: each parameter, the optimizer's slots for it, and its average."""
    return config.num_parameters * (1 + OPTIMIZER_SLOTS[optimizer] + averaged)
