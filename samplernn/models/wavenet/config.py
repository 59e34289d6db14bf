"""The parameters of WaveNet, as its JSON config spells them, with all their rules."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from samplernn.models.config import Window
from samplernn.models.tokens import MAX_SIZE, TokensConfig, q_levels, q_type, seq_len
from samplernn.options.option import option
from samplernn.options.values import FRACTION, one_of, whole

MAX_REPEATS = 128
MAX_STAGES = 20  # dilations up to half a million samples
MAX_FILTER_LENGTH = 64
BLOCK_LENGTH = 128  # samples that are generated at once


def dilations(repeats: int, stages: int) -> list[int]:
    """Of each block of a network that goes so often through so many stages."""
    return [2**stage for stage in range(stages)] * repeats


@dataclass(frozen=True)
class WaveNetConfig(TokensConfig):
    """The parameters of a WaveNet. The defaults are those of configs/wavenet.config.json.

    Raises:
        InputError: a value has a wrong type or breaks a rule.
    """

    seq_len: int = seq_len(512)
    q_type: str = q_type(of_codes=True)
    q_levels: int = q_levels()
    input_format: str = option(
        "one-hot",
        one_of("one-hot", "continuous"),
        "what the network hears of a sample: which level it is, or its value",
        searchable=True,
    )
    num_repeats: int = option(2, whole(1, MAX_REPEATS), "how often the dilations are gone through", searchable=True)
    num_stages: int = option(
        10, whole(1, MAX_STAGES), "blocks of a repeat, with dilations of 1, 2, 4 and so on", searchable=True
    )
    filter_length: int = option(
        2, whole(2, MAX_FILTER_LENGTH), "samples that a dilated convolution looks at", searchable=True
    )
    residual_size: int = option(64, whole(1, MAX_SIZE), "width of what runs from block to block", searchable=True)
    inner_size: int = option(64, whole(1, MAX_SIZE), "width of the gated layer in each block", searchable=True)
    skip_size: int = option(
        128, whole(1, MAX_SIZE), "width of the sum of all blocks' skips, and of the layer behind it", searchable=True
    )
    dropout: float = option(
        0.0,
        FRACTION,
        "fraction of the channels of each convolution's input that is dropped in training",
        searchable=True,
        in_flight=True,
    )

    def _broken_rules_of_size(self) -> Iterator[str]:
        blocks = ("num_repeats", "num_stages", "filter_length", "residual_size")
        sizes = (*blocks, "inner_size", "skip_size", "q_levels")
        yield from self._complaints_of_size("the network would hold", self.num_parameters, *sizes)
        history = sum(self.histories) * self.residual_size
        yield from self._complaints_of_size("each sequence would remember", history, *blocks)

    @classmethod
    def tiny(cls) -> WaveNetConfig:
        return cls(seq_len=64, num_stages=3, residual_size=8, inner_size=8, skip_size=16)

    @property
    def dilations(self) -> list[int]:
        """Of each block."""
        return dilations(self.num_repeats, self.num_stages)

    @property
    def histories(self) -> list[int]:
        """How many of its last inputs each block remembers."""
        return [(self.filter_length - 1) * dilation for dilation in self.dilations]

    @property
    def receptive_field(self) -> int:
        return sum(self.histories) + 1

    @property
    def window(self) -> Window:
        return Window(self.seq_len, left=1)

    @property
    def turns(self) -> tuple[int, ...]:
        """The samples in a turn of each of the loops in which it generates, from the outermost in.

        A loop costs time, but saves reading weights, which counts where they come from memory.
        """
        return (BLOCK_LENGTH, 16, 1) if self.fits_in_cache else (BLOCK_LENGTH, 16, 4, 2, 1)

    @property
    def block_length(self) -> int:
        return self.turns[0]

    @property
    def seed_length(self) -> int:
        return self.receptive_field

    @property
    def seed_padding(self) -> int:
        return self.window.left

    @property
    def parameters(self) -> dict[str, int]:
        """The number of parameters of the input, of the blocks, and of what predicts from the sum of their skips."""
        rows = 2 if self.input_format == "continuous" else self.q_levels
        blocks = len(self.dilations)
        gates = (self.filter_length * self.residual_size + 1) * 2 * self.inner_size
        outputs = (self.inner_size + 1) * self.skip_size
        residuals = (self.inner_size + 1) * self.residual_size
        head = (self.skip_size + 1) * (self.skip_size + self.q_levels)
        return {
            "input": rows * self.residual_size,
            "blocks": blocks * (gates + outputs) + (blocks - 1) * residuals,
            "output": head,
        }

    @property
    def activations(self) -> float:
        """For a sample and a block three times what runs through it, six times the gated layer (twice that wide, with
        its gradient, and what leaves it) and a skip; for a sample four times the layers behind the blocks and four
        times Q (logits, probabilities and their gradients); the histories, of which there are six copies in a step.
        """
        of_block = 3 * self.residual_size + 6 * self.inner_size + self.skip_size
        of_sample = len(self.dilations) * of_block + 4 * self.skip_size + 4 * self.q_levels
        return self.seq_len * of_sample + 6 * self.receptive_field * self.residual_size
