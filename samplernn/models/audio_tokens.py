"""What the configs of all families have in common that model audio as quantized samples."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from samplernn.models.config import Config
from samplernn.options.option import option
from samplernn.options.values import one_of, whole

MU_LAW_LEVELS = 256
MAX_SIZE = 2**20  # of a window or a layer: beyond every use, but not beyond what can be counted
MAX_NUMBERS = 2**31  # that a network holds, or remembers: 8 GB


def seq_len(default: int) -> Any:
    """The parameter `seq_len`."""
    help_ = "samples predicted in one training window"
    return option(default, whole(1, MAX_SIZE), help_, searchable=True, fits_any_weights=True)


def q_type() -> Any:
    """The parameter `q_type`."""
    return option("mu-law", one_of("mu-law", "linear"), "how samples are quantized", searchable=True)


def q_levels() -> Any:
    """The parameter `q_levels`."""
    help_ = "number of quantization levels; mu-law always has 256"
    return option(MU_LAW_LEVELS, whole(2, 65536), help_, searchable=True)


class AudioTokensConfig(Config):
    """A config with the parameters `q_type` and `q_levels`."""

    data = "audio"
    q_type: str
    q_levels: int

    def _normalize(self) -> None:
        super()._normalize()
        if self.q_type == "mu-law":
            object.__setattr__(self, "q_levels", MU_LAW_LEVELS)

    def _complaints_of_size(self, what: str, numbers: int, *names: str) -> Iterator[str]:
        """A complaint about the parameters that make for it where `what` more numbers than there may be."""
        if numbers > MAX_NUMBERS:
            given = ", ".join(self._given(name) for name in names if (name, self.q_type) != ("q_levels", "mu-law"))
            yield f"{what} {numbers} numbers, {MAX_NUMBERS} are the most; lower one of these: {given}"

    @property
    def uniform_loss(self) -> float:
        """In nats a sample."""
        return math.log(self.q_levels)
