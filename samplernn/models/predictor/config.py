"""The parameters of a predictor, as its JSON config spells them, with all their rules."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from samplernn.models.config import Window
from samplernn.models.tokens import MAX_SIZE, TokensConfig, q_levels, q_type, seq_len
from samplernn.options.option import option
from samplernn.options.values import one_of, whole


@dataclass(frozen=True)
class PredictorConfig(TokensConfig):
    """The parameters of a predictor. Every one has the documented default.

    Raises:
        InputError: a value has a wrong type or breaks a rule.
    """

    seq_len: int = seq_len(2048)
    q_type: str = q_type(of_codes=True)
    q_levels: int = q_levels()
    receptive_field: int = option(
        64, whole(0, MAX_SIZE), "samples before a sample that its prediction depends on", searchable=True
    )
    hidden_size: int = option(256, whole(1, MAX_SIZE), "width of the two hidden layers", searchable=True)
    input_format: str = option(
        "continuous",
        one_of("continuous", "embedding"),
        "what the network hears of a sample: its value, or an embedding of its level",
        searchable=True,
    )
    emb_size: int = option(16, whole(1, MAX_SIZE), "width of that embedding", searchable=True)

    def _broken_rules_of_size(self) -> Iterator[str]:
        sizes = ("hidden_size", "receptive_field", *["emb_size"] * self.has_embedding, "q_levels")
        yield from self._complaints_of_size("the network would hold", self.num_parameters, *sizes)

    @classmethod
    def tiny(cls) -> PredictorConfig:
        return cls(seq_len=64, receptive_field=20, hidden_size=16, input_format="embedding", emb_size=4)

    @property
    def has_embedding(self) -> bool:
        """Whether there is an embedding; a network that hears nothing needs none."""
        return self.input_format == "embedding" and self.receptive_field > 0

    @property
    def item_size(self) -> int:
        """How many numbers stand for a sample that is heard."""
        return self.emb_size if self.has_embedding else 1

    @property
    def window(self) -> Window:
        return Window(self.seq_len, left=max(1, self.receptive_field))  # generation goes on from an item at least

    @property
    def block_length(self) -> int:
        return 64

    @property
    def parameters(self) -> dict[str, int]:
        """The number of parameters of the embedding, of the convolution, and of the layers behind it."""
        return {
            "embedding": self.q_levels * self.emb_size if self.has_embedding else 0,
            "convolution": (self.receptive_field * self.item_size + 1) * self.hidden_size,
            "output": (self.hidden_size + 1) * (self.hidden_size + self.q_levels),
        }

    @property
    def activations(self) -> float:
        """For an item that is heard its numbers, with their gradients if they are learnt; for one that is predicted
        four times the width of the hidden layers (both, and their gradients) and four times Q (logits, probabilities
        and their gradients).
        """
        heard = self.window.with_context * self.item_size * (2 if self.has_embedding else 1)
        return heard + self.seq_len * 4 * (self.hidden_size + self.q_levels)
