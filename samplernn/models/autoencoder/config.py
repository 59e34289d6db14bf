"""The parameters of the discrete autoencoders, as their JSON configs spell them, with all their rules."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import ClassVar

from samplernn.models.config import Codes, Window
from samplernn.models.tokens import MAX_SIZE, TokensConfig, q_levels, q_type, seq_len
from samplernn.models.wavenet.config import (
    BLOCK_LENGTH,
    MAX_FILTER_LENGTH,
    MAX_REPEATS,
    MAX_STAGES,
    WaveNetConfig,
    dilations,
)
from samplernn.options.option import option, with_default
from samplernn.options.values import NOT_NEGATIVE, PROBABILITY, Values, one_of, optional, whole

MAX_CODES = 65536
BYTES_A_BLOCK = 20_000_000  # of the compiled step
COLLAPSED = 0.1  # part of the codes to which a perplexity amounts
ONE_CODE = 1.5  # perplexity below which there is little but one, of however many


def _repeats(of: str, default: int):
    return option(default, whole(1, MAX_REPEATS), f"how often the {of} goes through its dilations", searchable=True)


def _stages(of: str, default: int):
    help_ = f"blocks of a repeat of the {of}, with dilations of 1, 2, 4 and so on"
    return option(default, whole(1, MAX_STAGES), help_, searchable=True)


def _filter_length(of: str):
    help_ = f"what a dilated convolution of the {of} looks at, an odd number, as much behind as before"
    return option(3, whole(1, MAX_FILTER_LENGTH), help_, searchable=True)


def _size(of: str):
    return option(48, whole(1, MAX_SIZE), f"width of the {of}", searchable=True)


@dataclass(frozen=True, kw_only=True)
class AutoencoderConfig(TokensConfig):
    """The parameters that all discrete autoencoders have.

    Raises:
        InputError: a value has a wrong type or breaks a rule.
    """

    seq_len: int = seq_len(512)
    q_type: str = q_type(of_codes=True)
    q_levels: int = q_levels()
    input_format: str = with_default(WaveNetConfig, "input_format", "one-hot")
    hop: int = option(8, whole(1, BLOCK_LENGTH), "samples that a code stands for, a power of 2", searchable=True)
    num_codes: int = option(256, whole(2, MAX_CODES), "how many different codes there are", searchable=True)
    encoder_repeats: int = _repeats("encoder", 2)
    encoder_stages: int = _stages("encoder", 6)
    encoder_filter_length: int = _filter_length("encoder")
    encoder_size: int = _size("encoder")
    modulator_repeats: int = _repeats("modulator", 1)
    modulator_stages: int = _stages("modulator", 4)
    modulator_filter_length: int = _filter_length("modulator")
    modulator_size: int = _size("modulator")
    num_repeats: int = with_default(WaveNetConfig, "num_repeats", 2)
    num_stages: int = with_default(WaveNetConfig, "num_stages", 8)
    filter_length: int = with_default(WaveNetConfig, "filter_length", 2)
    residual_size: int = with_default(WaveNetConfig, "residual_size", 48)
    inner_size: int = with_default(WaveNetConfig, "inner_size", 48)
    skip_size: int = with_default(WaveNetConfig, "skip_size", 96)

    marks_outside = True
    against_collapse: ClassVar[str]  # what helps

    def _broken_rules(self, wrong: Mapping[str, Values]) -> Iterator[str]:
        yield from super()._broken_rules(wrong)
        if "hop" not in wrong and BLOCK_LENGTH % self.hop:
            yield self._complaint("hop", f"a power of 2, {BLOCK_LENGTH} at most")
        elif not {"hop", "seq_len"} & wrong.keys() and self.seq_len % self.hop:
            yield self._complaint("seq_len", f"a multiple of hop, {self.hop}")
        for name in ("encoder_filter_length", "modulator_filter_length"):
            if name not in wrong and getattr(self, name) % 2 == 0:
                yield self._complaint(name, "an odd number, for there is as much context behind as before")

    def _broken_rules_of_size(self) -> Iterator[str]:
        sizes = ("encoder_size", "modulator_size", "residual_size", "inner_size", "skip_size", "num_codes", "q_levels")
        yield from self._complaints_of_size("the network would hold", self.num_parameters, *sizes)
        depths = [f"{part}_{of}" for part in ("encoder", "modulator") for of in ("repeats", "stages", "filter_length")]
        yield from self._complaints_of_size("a step would keep", round(self.activations), "seq_len", *depths, "hop")

    @property
    def local_model(self) -> WaveNetConfig:
        """The WaveNet that predicts samples by those before them and by the codes."""
        return WaveNetConfig(
            **{field.name: getattr(self, field.name) for field in fields(WaveNetConfig) if hasattr(self, field.name)}
        )

    @property
    @abstractmethod
    def query_size(self) -> int:
        """How many numbers the encoder gives to be told which code they are."""

    @property
    def encoder_dilations(self) -> list[int]:
        """Of each of its blocks."""
        return dilations(self.encoder_repeats, self.encoder_stages)

    @property
    def modulator_dilations(self) -> list[int]:
        """Of each of its blocks."""
        return dilations(self.modulator_repeats, self.modulator_stages)

    @property
    def codes(self) -> Codes:
        encoder = (self.encoder_filter_length - 1) // 2 * sum(self.encoder_dilations)
        modulator = (self.modulator_filter_length - 1) // 2 * sum(self.modulator_dilations)
        return Codes(self.hop, self.num_codes, encoder, modulator)

    def remarks(self, logs: Mapping[str, float]) -> Iterator[str]:
        perplexity = logs.get("val_perplexity", math.inf)  # a damaged history may lack it
        if perplexity < max(ONE_CODE, COLLAPSED * self.num_codes):
            yield (
                f"The codebook has collapsed: its {self.num_codes} codes are used as if there were {perplexity:.1f}."
                f" {self.against_collapse}"
            )

    @property
    def window(self) -> Window:
        margin = self.codes.reach * self.hop + self.codes.context
        return Window(self.seq_len, left=max(1, margin), right=margin)

    @property
    def block_length(self) -> int:
        return self.local_model.block_length

    @property
    def receptive_field(self) -> int:
        return self.local_model.receptive_field

    @property
    def seed_length(self) -> int:
        return max(self.window.left + self.hop, -(-self.local_model.seed_length // self.hop) * self.hop)

    @property
    def seed_padding(self) -> int:
        return self.window.left

    @property
    def seed_multiple(self) -> int:
        return self.hop

    @property
    def parameters(self) -> dict[str, int]:
        """The number of parameters that gradients move, of the three networks, and of what is between them."""
        rows = 2 if self.input_format == "continuous" else self.q_levels

        def blocks(dilations, taps, size):
            return len(dilations) * ((taps * size + 1) * 2 * size + (size + 1) * size)

        encoder, modulator = self.encoder_size, self.modulator_size
        conditions = modulator * len(self.local_model.dilations) * 2 * self.inner_size
        return {
            "encoder": rows * encoder + blocks(self.encoder_dilations, self.encoder_filter_length, encoder),
            "query": (encoder + 1) * self.query_size,
            "modulator": (self.query_size + 1) * modulator
            + blocks(self.modulator_dilations, self.modulator_filter_length, modulator)
            + conditions,
            "local model": self.local_model.num_parameters,
        }

    @property
    def compiled_bytes(self) -> int:
        return BYTES_A_BLOCK * sum(
            map(len, (self.encoder_dilations, self.modulator_dilations, self.local_model.dilations))
        )

    @property
    def activations(self) -> float:
        """Those of the local model, with the condition of each block; for what the encoder hears and each of its blocks
        five times its width, for a code and a block of the modulator twelve times.
        """
        codes = self.seq_len // self.hop + 2 * self.codes.reach
        conditions = len(self.local_model.dilations) * 2 * self.inner_size
        of_code = 12 * len(self.modulator_dilations) * self.modulator_size + 2 * conditions + 8 * self.query_size
        heard = 5 * len(self.encoder_dilations) * self.encoder_size
        return self.local_model.activations + self.window.with_context * heard + codes * (of_code + 4 * self.num_codes)


@dataclass(frozen=True, kw_only=True)
class VQVAEConfig(AutoencoderConfig):
    """The parameters of a VQ-VAE. The defaults are those of configs/vqvae.config.json.

    Raises:
        InputError: a value has a wrong type or breaks a rule.
    """

    code_size: int = option(32, whole(1, MAX_SIZE), "numbers that stand for a code", searchable=True)
    commitment: float = option(
        1.0, NOT_NEGATIVE, "weight of the encoder's distance from the codes, beta", searchable=True, in_flight=True
    )
    codebook_rate: float = option(
        0.01,
        PROBABILITY,
        "share of the newest step in the average that a code is, alpha",
        searchable=True,
        in_flight=True,
    )
    restart_after: int | None = option(
        50,
        optional(whole(1)),
        "steps after which a code that none has used begins anew, at a query; None: never",
        searchable=True,
        fits_any_weights=True,
    )

    against_collapse = "A higher codebook_rate, a lower commitment or a lower learning rate may help."

    @classmethod
    def tiny(cls) -> VQVAEConfig:
        return cls(**TINY, code_size=4)

    @property
    def query_size(self) -> int:
        return self.code_size


@dataclass(frozen=True, kw_only=True)
class AMAEConfig(AutoencoderConfig):
    """The parameters of an AMAE. The defaults are those of configs/amae.config.json.

    Raises:
        InputError: a value has a wrong type or breaks a rule.
    """

    diversity: float = option(
        0.1, NOT_NEGATIVE, "weight of how unequally the codes are used, nu", searchable=True, in_flight=True
    )
    simplex: str = option(
        "relu",
        one_of("relu", "softmax"),
        "what makes a query a distribution: a relu and a division, or a softmax, whose diversity is its entropy",
        searchable=True,
    )

    against_collapse = "A higher diversity or a lower learning rate may help."

    @classmethod
    def tiny(cls) -> AMAEConfig:
        return cls(**TINY)

    @property
    def query_size(self) -> int:
        return self.num_codes


TINY = {
    "seq_len": 64,
    "hop": 4,
    "num_codes": 8,
    **{"encoder_repeats": 1, "encoder_stages": 2, "encoder_size": 8},
    **{"modulator_repeats": 1, "modulator_stages": 1, "modulator_size": 8},
    **{"num_repeats": 1, "num_stages": 3, "residual_size": 8, "inner_size": 8, "skip_size": 16},
}
