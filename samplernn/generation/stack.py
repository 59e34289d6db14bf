"""A stack of models as one: recordings go up through its encoders, and what the top makes comes down as audio."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from samplernn.audio.wav import Recording
from samplernn.corpus.seed import Context, read_seed, silence, source_of
from samplernn.generation.chain import Chain
from samplernn.generation.encoding import Encoder, read_tokens
from samplernn.generation.generator import Generator
from samplernn.generation.level import GivenCodes, Level
from samplernn.models.config import GenerationConfig, hop_of
from samplernn.models.model import Generative
from samplernn.options.common import SoundOptions


class Stack:
    """The models from the top down, of which all but the top are autoencoders; the top may be one.

    A model of audio alone is a stack of one.
    """

    def __init__(
        self,
        top: Generative,
        chain: Chain,
        sample_rate: int,
        precision: str = "float32",
        jit_compile: bool | None = None,
        **of_output: Any,
    ):
        """
        Args:
            top: the model at the top, whose weights may change between calls.
            chain: those below it.
            sample_rate: of the audio that they have learnt, Hz.
            precision, jit_compile: those of generate.py.
            of_output: as for `Generator`.
        """
        models = [top, *(decoder.load(precision) for decoder in chain)]
        self.top = top
        self.configs: list[GenerationConfig] = [model.config for model in models]
        self.sample_rate = sample_rate
        self.generators = [Generator(model, jit_compile, **of_output) for model in models]
        self.encoders = [Encoder(model, jit_compile) for model in models if model.config.codes]

    # --- Up ---

    def encode(self, tokens: np.ndarray) -> np.ndarray:
        """The codes of the topmost autoencoder of a recording's samples, int32 [n]."""
        return self._encode_by_level(tokens)[0]

    def _encode_by_level(self, tokens: np.ndarray) -> list[np.ndarray]:
        """A recording's codes of each autoencoder, from the top down, and its samples."""
        levels = [tokens]
        for encode in reversed(self.encoders):
            levels.insert(0, encode(levels[0]))
        return levels

    def codes_of_recording(self, recording: Recording) -> tuple[GivenCodes, dict[str, Any]]:
        """The codes of a recording of any rate, and what the JSON of a sequence says of it."""
        codes = self.encode(read_tokens(recording, self.configs[-1], self.sample_rate))
        return GivenCodes(codes), {"reconstructs": source_of(recording.path)}

    @property
    def hop(self) -> int:
        """How many samples an item of the top stands for; of a top that is an autoencoder, one of its codes."""
        return hop_of(self.configs)

    # --- Down ---

    def level(
        self,
        contexts: Sequence[Context],
        temperature: Sequence[float | str],
        decoder_temperature: Sequence[float | str],
        random_seed: int,
        codes: GivenCodes | None = None,
        rate: int | None = None,
    ) -> Level:
        """What generates samples.

        Args:
            contexts: what each model begins from, from the top down.
            temperature: of the top, one for each sequence.
            decoder_temperature: of those below it, one for each; the last one fills up.
            random_seed: as for `Level`.
            codes: what a top that is an autoencoder decodes.
            rate: of the audio that is written, Hz.
        """
        below = [*decoder_temperature, *[decoder_temperature[-1]] * len(self.configs)]
        of_levels = [list(temperature), *([value] * len(temperature) for value in below)]
        level, hop = codes, hop_of(self.configs[1:])
        rate_of_bottom = self.generators[-1].output.rate(rate or self.sample_rate)
        for depth, (generator, context, values) in enumerate(zip(self.generators, contexts, of_levels)):
            if depth:
                hop //= generator.model.config.codes.hop
            level = Level(generator, context, values, random_seed, rate_of_bottom / hop, level, depth)
        return level

    def contexts(self, options: SoundOptions, seed_dur: float | None = None) -> list[Context]:
        """What each model begins from, from the top down: silence, or a stretch of the seed audio and its codes.

        Raises:
            InputError: the seed can't be used.
        """
        if options.seed is None:
            return [silence(config) for config in self.configs]
        return read_seed(
            self.configs, self._encode_by_level, self.sample_rate, options.seed, options.seed_offset, seed_dur
        )
