"""Two networks as one that generates, whose predictions are mixed over time. B batch, Q levels."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from samplernn.models.config import CACHED_NUMBERS, Config, GenerationConfig, Window
from samplernn.models.model import AutoregressiveModel, Generative
from samplernn.options import envelope

SHORTEST_BLOCK = 64  # items: between blocks all states are copied


@dataclass(frozen=True)
class BlendConfig(GenerationConfig):
    """That of two networks whose items are alike.

    Attributes:
        first, second: their configs.
    """

    first: Config
    second: Config

    @property
    def data(self) -> str:
        return self.first.data

    @property
    def of_items(self) -> Config:
        return self.first

    @property
    def window(self) -> Window:
        """With as much context as either needs."""
        return Window(self.block_length, left=max(self.first.window.left, self.second.window.left))

    @property
    def seed_multiple(self) -> int:
        """From where a frame of each begins to where that is so again."""
        return math.lcm(self.first.seed_multiple, self.second.seed_multiple)

    @property
    def seed_padding(self) -> int:
        """All of the context, so that each of them hears all that is read."""
        return self.window.left

    @property
    def seed_length(self) -> int:
        return max(self.first.seed_length, self.second.seed_length)

    @property
    def block_length(self) -> int:
        return math.ceil(SHORTEST_BLOCK / self.seed_multiple) * self.seed_multiple

    @property
    def fits_in_cache(self) -> bool:
        return self.first.num_parameters + self.second.num_parameters < CACHED_NUMBERS


class Blend(Generative):
    """Two networks, each with its own state, of which both hear all that is drawn.

    The logits are (1 - share) · log p of the first + share · log p of the second. The conditioning of an item is the
    share, [B, N], and the state a pair.
    """

    def __init__(self, first: AutoregressiveModel, second: AutoregressiveModel, share: float | str):
        """`share` is that of the second, from 0 to 1, or an envelope of it."""
        self._networks = first, second
        self.config = BlendConfig(first.config, second.config)
        self.has_cudnn_kernels = first.has_cudnn_kernels or second.has_cudnn_kernels
        self._share = share

    @property
    def networks(self):
        return self._networks

    def initial_state(self, rows):
        return tuple(network.initial_state(rows) for network in self.networks)

    def read(self, items, state, conditioning=None):
        skipped = [self.config.window.left - network.config.window.left for network in self.networks]
        return tuple(network.read(items[:, skip:], own) for network, skip, own in zip(self.networks, skipped, state))

    def step_weights(self):
        return tuple(network.step_weights() for network in self.networks)

    def conditioning_at(self, seconds):
        return envelope.at(self._share, seconds).astype(np.float32)

    def begin_steps(self, state):
        return tuple(network.begin_steps(own) for network, own in zip(self.networks, state))

    def step(self, before, handed_on, position, weights=None, conditioning=None):
        shares, total, next_handed_on = (1 - conditioning[:, 0], conditioning[:, 0]), 0.0, []
        for network, own, of_network, share in zip(self.networks, handed_on, weights or self.step_weights(), shares):
            logits, own = network.step(before[:, -network.config.window.left :], own, position, of_network)
            next_handed_on.append(own)
            share = tf.reshape(share, [-1] + [1] * (logits.shape.rank - 1))
            total += share * tf.nn.log_softmax(logits)
        return total, tuple(next_handed_on)

    def end_steps(self, handed_on):
        return tuple(network.end_steps(own) for network, own in zip(self.networks, handed_on))
