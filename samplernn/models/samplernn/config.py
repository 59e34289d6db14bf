"""The parameters of SampleRNN, as its JSON config spells them, with all their rules."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from samplernn.models.audio_tokens import MAX_SIZE, AudioTokensConfig, q_levels, q_type, seq_len
from samplernn.models.config import Window
from samplernn.options.option import option
from samplernn.options.values import BOOLEAN, FRACTION, Values, one_of, several, whole
from samplernn.system.words import nearest_multiples

MAX_LAYERS = 128
MAX_NUMBERS = 2**31  # that a network holds: 8 GB
FRAME_SIZES = several(whole(1, MAX_SIZE), "two whole numbers from 1 up, such as [16, 64]")
EMBEDDINGS = "sample_mlp/embedding/embeddings"  # their key in checkpoints


@dataclass(frozen=True)
class SampleRNNConfig(AudioTokensConfig):
    """The parameters of a SampleRNN. Every one has the documented default.

    Raises:
        InputError: a value has a wrong type or breaks a rule.
    """

    seq_len: int = seq_len(1024)
    frame_sizes: tuple[int, int] = option(
        (16, 64),
        FRAME_SIZES,
        "samples in a frame of the lower and the upper tier; the second is a multiple of the first",
        searchable=True,
    )
    dim: int = option(1024, whole(1, MAX_SIZE), "width of the recurrent and dense layers", searchable=True)
    rnn_type: str = option("gru", one_of("gru", "lstm"), "which recurrent layers there are", searchable=True)
    num_rnn_layers: int = option(
        4, whole(1, MAX_LAYERS), "depth of the recurrent layers in each upper tier", searchable=True
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

    def _broken_rules(self, wrong: Mapping[str, Values]) -> Iterator[str]:
        if "frame_sizes" in wrong:
            return
        if len(self.frame_sizes) != 2:
            yield self._complaint("frame_sizes", FRAME_SIZES.expected)
            return
        small, big = self.frame_sizes
        if small >= big:
            yield self._complaint("frame_sizes", "in ascending order, such as [16, 64]")
        elif big % small:
            yield self._complaint("frame_sizes", f"such that the second is a multiple of the first, {small}")
        elif "seq_len" not in wrong and self.seq_len % big:
            nearest = nearest_multiples(self.seq_len, big)
            yield self._complaint("seq_len", f"a multiple of the upper frame size {big}: {nearest}")

    def _broken_rules_of_size(self) -> Iterator[str]:
        numbers = max(self.num_parameters, self.frame_sizes[0] * self.q_levels * self.dim)  # the sample tier's table
        if numbers > MAX_NUMBERS:
            network = f"the network would hold {numbers} numbers, {MAX_NUMBERS} are the most"
            yield self._complaint("dim", f"less, or another parameter: {network}")

    @classmethod
    def tiny(cls) -> SampleRNNConfig:
        return cls(seq_len=64, frame_sizes=(4, 16), dim=16, num_rnn_layers=1, emb_size=16)

    def fitted_to(self, shapes: Mapping[str, tuple[int, ...]]) -> SampleRNNConfig:
        """PRiSM's networks ignore emb_size: their embedding is as wide as the checkpoint says."""
        shape = shapes.get(EMBEDDINGS, ())
        if len(shape) != 2 or shape[1] in (0, self.emb_size):
            return self
        return replace(self, emb_size=shape[1])

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
        dim, (small, big) = self.dim, self.frame_sizes
        gates, biases = (3, 2) if self.rnn_type == "gru" else (4, 1)
        recurrent = self.num_rnn_layers * gates * dim * (2 * dim + biases)
        if self.skip_conn:  # the first layer's input is twice as wide, and the skip connections have weights
            recurrent += gates * dim**2 + self.num_rnn_layers * dim**2 + dim
        upper, lower = (
            (frame + 1) * dim + recurrent + ratio * dim**2 for frame, ratio in ((big, big // small), (small, small))
        )
        sample = self.emb_size * (self.q_levels + small * dim) + 2 * (dim + 1) * dim + (dim + 1) * self.q_levels
        return {"upper tier": upper, "lower tier": lower, "sample tier": sample}

    @property
    def activations(self) -> float:
        """For a frame and a recurrent layer of G gates the projections of input and state, G·D each, with their
        gradients, the states before the step, the output and its gradient; for a frame of the lower tier what the
        upper one adds, and its gradient; for a sample five times D (the conditioning and two dense layers, some with
        gradients) and four times Q (logits, probabilities and their gradients).
        """
        gates, states = (3, 1) if self.rnn_type == "gru" else (4, 2)
        small, big = self.frame_sizes
        of_layer = (4 * gates + states + 2) * self.dim
        of_sample = (
            (1 / small + 1 / big) * self.num_rnn_layers * of_layer
            + 2 * self.dim / small
            + 5 * self.dim
            + 4 * self.q_levels
        )
        return self.seq_len * of_sample
