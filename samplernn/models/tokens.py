"""What the configs of all families have in common that model tokens: quantized samples, or codes of an autoencoder."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from samplernn.models.config import Config
from samplernn.options.option import option, options_of
from samplernn.options.values import Values, one_of, whole

MU_LAW_LEVELS = 256
CODES = "codes"  # the q_type of a model over the codes of an autoencoder
MAX_SIZE = 2**20  # of a window or a layer: beyond every use, but not beyond what can be counted
MAX_NUMBERS = 2**31  # that a network holds, or remembers: 8 GB


def seq_len(default: int) -> Any:
    """The parameter `seq_len`."""
    help_ = "samples predicted in one training window"
    return option(default, whole(1, MAX_SIZE), help_, searchable=True, fits_any_weights=True)


def q_type(of_codes: bool = False) -> Any:
    """The parameter `q_type`; `of_codes` is whether the family can learn the codes of an autoencoder, too."""
    if of_codes:
        help_ = "how samples are quantized; codes: they are the codes of an autoencoder, --codes_from's"
        return option("mu-law", one_of("mu-law", "linear", CODES), help_, searchable=True)
    return option("mu-law", one_of("mu-law", "linear"), "how samples are quantized", searchable=True)


def q_levels() -> Any:
    """The parameter `q_levels`."""
    help_ = "number of quantization levels; mu-law always has 256, and codes have their own number"
    return option(MU_LAW_LEVELS, whole(2, 65536), help_, searchable=True)


class TokensConfig(Config):
    """A config with the parameters `q_type` and `q_levels`."""

    q_type: str
    q_levels: int

    @property
    def data(self) -> str:
        return "codes" if self.q_type == CODES else "audio"

    def _broken_rules(self, wrong: Mapping[str, Values]) -> Iterator[str]:
        yield from super()._broken_rules(wrong)
        if "q_type" not in wrong and self.q_type == CODES and getattr(self, "input_format", None) == "continuous":
            formats = next(of.values.choices for of in options_of(type(self)) if of.name == "input_format")
            others = " or ".join(f'"{name}"' for name in formats if name != "continuous")
            yield self._complaint("input_format", f"{others} where q_type is codes, which have no order")

    def _normalize(self) -> None:
        super()._normalize()
        if self.q_type == "mu-law":
            object.__setattr__(self, "q_levels", MU_LAW_LEVELS)

    def over_codes(self, levels: int) -> TokensConfig:
        return replace(self, q_levels=levels) if self.data == "codes" else self

    def _complaints_of_size(self, what: str, numbers: int, *names: str) -> Iterator[str]:
        """A complaint about the parameters that make for it where `what` more numbers than there may be."""
        if numbers > MAX_NUMBERS:
            given = ", ".join(self._given(name) for name in names if (name, self.q_type) != ("q_levels", "mu-law"))
            yield f"{what} {numbers} numbers, {MAX_NUMBERS} are the most; lower one of these: {given}"

    @property
    def uniform_loss(self) -> float:
        """In nats a sample."""
        return math.log(self.q_levels)
