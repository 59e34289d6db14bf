"""The arrays that RNN4Music saves as a network: which config is theirs, and which weights.

For each layer there are, by their number behind `_`, the matrices `Wx`, `Wh` and the diagonals `Wc` of the gates i, f
and o and of the candidate c (which has no diagonal), their biases `b`, and from the layer below `Wxj` (of the gate i),
`Wfj`, `Wcj` and `Woj`; then `Why` of each layer to the notes, and `by`. What else there is belongs to its optimizer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from samplernn.models.config import Config
from samplernn.system.errors import InputError

GATES = "ifco"  # in the order of our kernels
FROM_BELOW = {"i": "Wxj", "f": "Wfj", "c": "Wcj", "o": "Woj"}
LAYERS = 3
LOWEST = 21  # note
STEP = 0.3  # seconds


def parameters_of(tensors: Mapping[str, np.ndarray]) -> dict[str, Any] | None:
    """The parameters of a config, of the network that arrays are; None where they are no such network."""
    sizes = [tensors[name].shape for name in _biases() if name in tensors]
    if len(sizes) != LAYERS + 1 or any(len(shape) != 1 for shape in sizes):
        return None
    *layers, notes = (shape[0] for shape in sizes)
    return {"layer_sizes": layers, "note_range": (LOWEST, LOWEST + notes), "dt": STEP, "peephole": "original"}


def _biases() -> list[str]:
    """Of each layer, from the lowest up, and of the output one whose length is that of the whole."""
    return [*(f"bi_{layer}" for layer in range(1, LAYERS + 1)), "by"]


def weights_from(config: Config, tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The weights of a network, float32 by their keys in checkpoints.

    Args:
        config: a PianoRollConfig.
        tensors: by their names there.

    Raises:
        InputError: the arrays are not those of a network of this config.
    """
    if config.onsets or len(config.layer_sizes) != LAYERS:
        raise InputError(f"a network of {LAYERS} layers without onsets, as RNN4Music's are; leave --config_file out")
    for name, shape in _shapes(config):
        found = tensors[name].shape if name in tensors else "absent"
        if found != shape:
            raise InputError(f"another network than the config: {name} is {found} in the file, {shape} by the config")
    weights = {}
    for layer in range(1, LAYERS + 1):

        def of_gates(stem: str, gates: str = GATES, layer: int = layer) -> list[np.ndarray]:
            return [tensors[f"{stem}{gate}_{layer}"] for gate in gates]

        heard = [np.concatenate(of_gates("Wx")).T]
        if layer > 1:
            heard.append(np.concatenate([tensors[f"{FROM_BELOW[gate]}_{layer}"] for gate in GATES]).T)
        weights |= {
            f"layer_{layer}/kernel": np.concatenate(heard),
            f"layer_{layer}/recurrent_kernel": np.concatenate(of_gates("Wh")).T,
            f"layer_{layer}/gate_biases": np.stack(of_gates("b", "ifo")),
            f"layer_{layer}/candidate_bias": tensors[f"bc_{layer}"],
            f"layer_{layer}/peepholes": np.stack(of_gates("Wc", "ifo")),
        }
    weights["notes/kernel"] = np.concatenate([tensors[f"Why_{layer}"].T for layer in range(1, LAYERS + 1)])
    weights["notes/bias"] = tensors["by"]
    with np.errstate(over="ignore"):  # of float64 larger than any float32, which is found to be no number
        return {key: np.ascontiguousarray(value, np.float32) for key, value in weights.items()}


def _shapes(config: Config) -> Iterator[tuple[str, tuple[int, ...]]]:
    """The arrays that are needed."""
    notes, below = config.num_notes, 0
    for layer, size in enumerate(config.layer_sizes, 1):
        for gate in GATES:
            yield f"Wx{gate}_{layer}", (size, notes)
            yield f"Wh{gate}_{layer}", (size, size)
            yield f"b{gate}_{layer}", (size,)
            if gate != "c":
                yield f"Wc{gate}_{layer}", (size,)
            if layer > 1:
                yield f"{FROM_BELOW[gate]}_{layer}", (size, below)
        yield f"Why_{layer}", (notes, size)
        below = size
    yield "by", (notes,)
