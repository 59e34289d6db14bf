"""The parameters of SampleRNN, as its JSON config spells them, with all their rules."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from samplernn.models.config import Window
from samplernn.models.tokens import MAX_SIZE, TokensConfig, q_levels, q_type, seq_len
from samplernn.options.option import option
from samplernn.options.values import BOOLEAN, FRACTION, Values, one_of, several, whole
from samplernn.system.errors import InputError
from samplernn.system.words import nearest_multiples

if TYPE_CHECKING:
    import numpy as np

MAX_LAYERS = 128
FRAME_SIZES = several(whole(1, MAX_SIZE), "one or more whole numbers from 1 up, such as [16, 64]")
EMBEDDINGS = "sample_mlp/embedding/embeddings"  # their key in checkpoints


@dataclass(frozen=True)
class SampleRNNConfig(TokensConfig):
    """The parameters of a SampleRNN. Every one has the documented default.

    Raises:
        InputError: a value has a wrong type or breaks a rule.
    """

    remark_on_foreign_weights = (
        "samplernn-pytorch stretches each file to its own extremes before it is quantized, so that its networks expect"
        " full scale and a displaced silence; here audio is quantized as it is."
    )

    seq_len: int = seq_len(1024)
    frame_sizes: tuple[int, ...] = option(
        (16, 64),
        FRAME_SIZES,
        "samples in a frame of each tier but the sample tier, from the lowest up, each a multiple of the one before",
        searchable=True,
    )
    dim: int = option(1024, whole(1, MAX_SIZE), "width of the recurrent and dense layers", searchable=True)
    rnn_type: str = option("gru", one_of("gru", "lstm"), "which recurrent layers there are", searchable=True)
    num_rnn_layers: int = option(
        4, whole(1, MAX_LAYERS), "depth of the recurrent layers in each frame tier", searchable=True
    )
    q_type: str = q_type()
    q_levels: int = q_levels()
    emb_size: int = option(256, whole(1, MAX_SIZE), "width of the sample tier's embedding", searchable=True)
    skip_conn: bool = option(False, BOOLEAN, "skip connections around the recurrent layers", searchable=True)
    rnn_dropout: float = option(
        0.0,
        FRACTION,
        "fraction of each recurrent layer's input that is dropped in training",
        searchable=True,
        in_flight=True,
    )
    learned_initial_state: bool = option(
        False, BOOLEAN, "learn the state in which each recording begins; else it is zero", searchable=True
    )
    weight_norm: bool = option(
        False,
        BOOLEAN,
        "learn length and direction of the weights apart, those of recurrent layers excepted",
        searchable=True,
    )
    network: str = option(
        "prism",
        one_of("prism", "deepsound"),
        "whose SampleRNN it is; deepsound's (samplernn-pytorch) has GRUs, linear quantization, and embeddings as wide"
        " as there are levels",
        searchable=True,
    )

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> SampleRNNConfig:
        """As for every family; a deepsound network is linear where nothing is said of that."""
        if values.get("network") == "deepsound" and values.get("q_type") is None:
            values = {**values, "q_type": "linear"}
        return super().from_dict(values)

    def _broken_rules(self, wrong: Mapping[str, Values]) -> Iterator[str]:
        yield from super()._broken_rules(wrong)
        if "network" not in wrong and self.network == "deepsound":
            for name, only in (("rnn_type", "gru"), ("q_type", "linear")):
                if name not in wrong and getattr(self, name) != only:
                    yield self._complaint(name, f'"{only}" where network is "deepsound"')
        if "frame_sizes" in wrong:
            return
        pairs, largest = list(itertools.pairwise(self.frame_sizes)), self.frame_sizes[-1]
        if any(lower >= upper for lower, upper in pairs):
            yield self._complaint("frame_sizes", "in ascending order, such as [16, 64]")
        elif odd := [(lower, upper) for lower, upper in pairs if upper % lower]:
            yield self._complaint("frame_sizes", "such that {1} is a multiple of {0}".format(*odd[0]))
        elif "seq_len" not in wrong and self.seq_len % largest:
            nearest = nearest_multiples(self.seq_len, largest)
            yield self._complaint("seq_len", f"a multiple of the largest frame size {largest}: {nearest}")

    def _normalize(self) -> None:
        super()._normalize()
        if self.network == "deepsound":
            object.__setattr__(self, "emb_size", self.q_levels)

    def _broken_rules_of_size(self) -> Iterator[str]:
        numbers = max(self.num_parameters, self.frame_sizes[0] * self.q_levels * self.dim)  # the sample tier's table
        sizes = ("dim", "num_rnn_layers", "frame_sizes", "emb_size", "q_levels")
        yield from self._complaints_of_size("the network would hold", numbers, *sizes)

    @classmethod
    def tiny(cls) -> SampleRNNConfig:
        return cls(seq_len=64, frame_sizes=(4, 16), dim=16, num_rnn_layers=1, emb_size=16)

    def fitted_to(self, shapes: Mapping[str, tuple[int, ...]]) -> SampleRNNConfig:
        """PRiSM's networks ignore emb_size: their embedding is as wide as the checkpoint says."""
        shape = shapes.get(EMBEDDINGS, ())
        if len(shape) != 2 or shape[1] in (0, self.emb_size):
            return self
        return replace(self, emb_size=shape[1])

    def weights_from(self, tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Those of samplernn-pytorch."""
        if self.network != "deepsound" or self.skip_conn:
            what = 'whose network is "deepsound", without skip_conn'
            raise InputError(f"a network of samplernn-pytorch; give a config {what}")
        from samplernn.models.samplernn import deepsound  # imports NumPy, which flags need not wait for

        return deepsound.weights_from(self, tensors)

    @property
    def tier_names(self) -> list[str]:
        """The names of the frame tiers, from the lowest up: PRiSM's for its two, and for those above numbers."""
        number = len(self.frame_sizes)
        return ["frame_rnn", "big_frame_rnn", *(f"frame_rnn_{tier}" for tier in range(3, number + 1))][:number]

    @property
    def ratios(self) -> list[int]:
        """For each frame tier, from the lowest up, the steps of the tier below in one of its frames."""
        return [size // lower for lower, size in itertools.pairwise((1, *self.frame_sizes))]

    @property
    def window(self) -> Window:
        return Window(self.seq_len, left=self.frame_sizes[-1])

    @property
    def block_length(self) -> int:
        return self.frame_sizes[-1]

    @property
    def seed_multiple(self) -> int:
        return self.frame_sizes[-1]

    @property
    def parameters(self) -> dict[str, int]:
        """The number of each tier's parameters, from the uppermost down."""
        dim, smallest = self.dim, self.frame_sizes[0]
        gates, biases = (3, 2) if self.rnn_type == "gru" else (4, 1)
        recurrent = self.num_rnn_layers * gates * dim * (2 * dim + biases)
        if self.skip_conn:  # the first layer's input is twice as wide, and the skip connections have weights
            recurrent += gates * dim**2 + self.num_rnn_layers * dim**2 + dim
        if self.learned_initial_state:
            recurrent += self.num_rnn_layers * dim * (1 if self.rnn_type == "gru" else 2)
        of_deepsound = self.network == "deepsound"
        hidden = 1 if of_deepsound else 2  # dense layers of the sample tier before the last
        tiers = {}
        for size, ratio in reversed([*zip(self.frame_sizes, self.ratios)]):
            upsampling = ratio * dim * (dim + of_deepsound)  # which has biases
            tiers[f"tier of {size}"] = (size + 1) * dim + recurrent + upsampling + 2 * dim * self.weight_norm
        sample = self.emb_size * (self.q_levels + smallest * dim) + hidden * (dim + 1) * dim + (dim + 1) * self.q_levels
        gains = (1 + hidden) * dim + self.q_levels
        return tiers | {"sample tier": sample + gains * self.weight_norm}

    @property
    def activations(self) -> float:
        """For a frame and a recurrent layer of G gates the projections of input and state, G·D each, with their
        gradients, the states before the step, the output and its gradient; for a frame of a tier below another what
        that adds, and its gradient; for a sample five times D (the conditioning and two dense layers, some with
        gradients) and four times Q (logits, probabilities and their gradients).
        """
        gates, states = (3, 1) if self.rnn_type == "gru" else (4, 2)
        of_layer = (4 * gates + states + 2) * self.dim
        frames = [self.seq_len / size for size in self.frame_sizes]
        of_frames = sum(frames) * self.num_rnn_layers * of_layer + 2 * self.dim * sum(frames[:-1])
        return of_frames + self.seq_len * (5 * self.dim + 4 * self.q_levels)
