"""The tensors of samplernn-pytorch's checkpoints as weights of a `deepsound` network."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import numpy as np

from samplernn.models.config import Config
from samplernn.system.errors import InputError


class _Weight(NamedTuple):
    """How a weight is made.

    Attributes:
        key: in checkpoints.
        sources: the shapes of the tensors that it is made of, by their names.
        convert: makes it of them.
    """

    key: str
    sources: dict[str, tuple[int, ...]]
    convert: Callable[..., np.ndarray]


def weights_from(config: Config, tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The weights of a network, float32 by their keys in checkpoints.

    Args:
        config: a SampleRNNConfig.
        tensors: by their names there.

    Raises:
        InputError: the tensors are not those of a network of this config.
    """
    weights = [*_weights(config)]
    expected = {name: shape for weight in weights for name, shape in weight.sources.items()}
    if not config.learned_initial_state:
        expected |= _unlearned_states(config, tensors)
    found = {name: tensor.shape for name, tensor in tensors.items()}
    for name in [*expected, *found]:
        if expected.get(name) != found.get(name):
            raise InputError(
                f"another network than the config: {name} is {found.get(name, 'absent')} in the checkpoint,"
                f" {expected.get(name, 'absent')} by the config; give the config it was trained with"
            )
    converted = {weight.key: weight.convert(*(tensors[name] for name in weight.sources)) for weight in weights}
    return {key: np.ascontiguousarray(value, np.float32) for key, value in converted.items()}


def _unlearned_states(config: Config, tensors: Mapping[str, np.ndarray]) -> dict[str, tuple[int, ...]]:
    """The initial states where they are not learned: there are tensors of zeros, or none."""
    names = [f"{_tier(number)}.h0" for number in range(len(config.frame_sizes))]
    return {
        name: (config.num_rnn_layers, config.dim) for name in names if name in tensors and not np.any(tensors[name])
    }


def _weights(config: Config) -> Iterator[_Weight]:
    dim, levels, smallest = config.dim, config.q_levels, config.frame_sizes[0]
    for number, (key, size, ratio) in enumerate(zip(config.tier_names, config.frame_sizes, config.ratios)):
        tier = _tier(number)
        if config.learned_initial_state:
            yield _Weight(f"{key}/rnn/initial_state", {f"{tier}.h0": (config.num_rnn_layers, dim)}, np.asarray)
        yield from _dense(f"{key}/inputs", f"{tier}.input_expand", dim, size, config.weight_norm)
        for layer in range(config.num_rnn_layers):
            yield from _gru(f"{key}/rnn/layer_{layer}/cell", f"{tier}.rnn", layer, dim)
        # A transposed convolution's kernel has the inputs first, and so has its gain.
        upsampling = f"{tier}.upsampling"
        kernel, gains = (dim, dim, ratio), f"{key}/upsample_gains"
        yield from _product(f"{key}/upsample", gains, f"{upsampling}.conv_t", kernel, np.transpose, config.weight_norm)
        yield _Weight(f"{key}/upsample_bias", {f"{upsampling}.bias": (dim, ratio)}, np.transpose)
    mlp = "model.sample_level_mlp"
    yield _Weight("sample_mlp/embedding/embeddings", {f"{mlp}.embedding.weight": (levels, levels)}, np.asarray)
    inputs, gains = (dim, levels, smallest), "sample_mlp/inputs_gains"
    yield from _product("sample_mlp/inputs/kernel", gains, f"{mlp}.input", inputs, np.transpose, config.weight_norm)
    yield from _dense("sample_mlp/hidden2", f"{mlp}.hidden", dim, dim, config.weight_norm)
    yield from _dense("sample_mlp/outputs", f"{mlp}.output", levels, dim, config.weight_norm)


def _tier(number: int) -> str:
    """The name of a frame tier, counted from the lowest, 0."""
    return f"model.frame_level_rnns.{number}"


def _dense(key: str, name: str, outputs: int, inputs: int, weight_norm: bool) -> Iterator[_Weight]:
    """Those of a dense layer, there a convolution of one step."""
    shape = outputs, inputs, 1
    yield from _product(f"{key}/kernel", f"{key}/gains", name, shape, lambda kernel: kernel[:, :, 0].T, weight_norm)
    yield _Weight(f"{key}/bias", {f"{name}.bias": (outputs,)}, np.asarray)


def _product(
    key: str, gains_key: str, name: str, shape: tuple[int, ...], convert: Callable, weight_norm: bool
) -> Iterator[_Weight]:
    """A kernel, and where it is normalized a gain for each entry of its first axis."""
    if weight_norm:
        yield _Weight(key, {f"{name}.weight_v": shape}, convert)
        yield _Weight(gains_key, {f"{name}.weight_g": (shape[0], 1, 1)}, np.ravel)
    else:
        yield _Weight(key, {f"{name}.weight": shape}, convert)


def _gru(key: str, name: str, layer: int, dim: int) -> Iterator[_Weight]:
    def shapes(kind: str, *shape: int) -> dict[str, tuple[int, ...]]:
        return {f"{name}.{kind}_{part}_l{layer}": shape for part in ("ih", "hh")}

    input_kernel, recurrent_kernel = shapes("weight", 3 * dim, dim).items()
    yield _Weight(f"{key}/kernel", dict([input_kernel]), lambda kernel: _gates_reordered(kernel).T)
    yield _Weight(f"{key}/recurrent_kernel", dict([recurrent_kernel]), lambda kernel: _gates_reordered(kernel).T)
    yield _Weight(f"{key}/bias", shapes("bias", 3 * dim), lambda *biases: np.stack([*map(_gates_reordered, biases)]))


def _gates_reordered(rows: np.ndarray) -> np.ndarray:
    """Rows of the gates r, z and candidate, of which Keras has z first."""
    r, z, candidate = np.split(rows, 3)
    return np.concatenate([z, r, candidate])
