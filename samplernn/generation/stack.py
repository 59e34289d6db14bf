"""A stack of models as one: recordings go up through its encoders, and what the top makes comes down as audio."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from samplernn.audio.resample import length_at, read_at
from samplernn.audio.wav import Recording
from samplernn.corpus.codes import CodeSequence, read_codes
from samplernn.corpus.data import data_of
from samplernn.corpus.seed import Context, check_length, examine_seed, seed_context, silence, source_of
from samplernn.generation.chain import Chain, hash_of
from samplernn.generation.encoding import Encoder, read_tokens
from samplernn.generation.generator import Generator
from samplernn.generation.level import GivenCodes, Level
from samplernn.models.config import NO_ITEM, Config
from samplernn.models.model import AutoregressiveModel
from samplernn.options.options import SoundOptions
from samplernn.system.errors import InputError
from samplernn.system.files import sha256

log = logging.getLogger(__name__)


class Stack:
    """The models from the top down, of which all but the top are autoencoders; the top may be one.

    A model of audio alone is a stack of one.
    """

    def __init__(
        self,
        top: AutoregressiveModel,
        chain: Chain,
        sample_rate: int,
        precision: str = "float32",
        jit_compile: bool | None = None,
        top_k: int | None = None,
        top_p: float | None = None,
    ):
        """
        Args:
            top: the model at the top, whose weights may change between calls.
            chain: those below it.
            sample_rate: of the audio that they have learnt, Hz.
            precision, jit_compile, top_k, top_p: those of generate.py.
        """
        models = [top, *(decoder.load(precision) for decoder in chain)]
        self.configs: list[Config] = [model.config for model in models]
        self.sample_rate = sample_rate
        self.generators = [Generator(model, jit_compile, top_k, top_p) for model in models]
        self.encoders = [Encoder(model, jit_compile) for model in models if model.config.codes]

    # --- Up ---

    def encode(self, tokens: np.ndarray) -> np.ndarray:
        """The codes of the topmost autoencoder of a recording's samples, int32 [n]."""
        return self._encode_by_level(tokens)[-1]

    def _encode_by_level(self, tokens: np.ndarray) -> list[np.ndarray]:
        """A recording's samples, and their codes of each autoencoder from the bottom up."""
        items = [tokens]
        for encode in reversed(self.encoders):
            items.append(encode(items[-1]))
        return items

    def codes_of_recording(self, recording: Recording) -> tuple[GivenCodes, dict[str, Any]]:
        """The codes of a recording of any rate, and what the JSON of a sequence says of it."""
        codes = self.encode(read_tokens(recording, self.configs[-1], self.sample_rate))
        return GivenCodes(codes), {"reconstructs": _source(recording.path)}

    @property
    def hop(self) -> int:
        """How many samples an item of the top stands for; of a top that is an autoencoder, one of its codes."""
        return math.prod(config.codes.hop for config in self.configs if config.codes)

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
        level, hop = codes, math.prod(config.codes.hop for config in self.configs[1:])
        for depth, (generator, context, values) in enumerate(zip(self.generators, contexts, of_levels)):
            if depth:
                hop //= generator.model.config.codes.hop
            level = Level(generator, context, values, random_seed, (rate or self.sample_rate) / hop, level, depth)
        return level

    def contexts(self, options: SoundOptions, seed_dur: float | None = None) -> list[Context]:
        """What each model begins from, from the top down: silence, or a stretch of the seed audio and its codes.

        Raises:
            InputError: the seed can't be used.
        """
        if len(self.configs) == 1 and not self.configs[0].codes:
            seed = options.seed, options.seed_offset, seed_dur
            return [seed_context(self.configs[0], self.sample_rate, *seed)]
        if options.seed is None:
            return [silence(config) for config in self.configs]
        return self._contexts_of_seed(options.seed, options.seed_offset, seed_dur)

    def _contexts_of_seed(self, path: str, offset: int, dur: float | None) -> list[Context]:
        recording, top, hop = examine_seed(path), self.configs[0], self.hop
        own = top.window.left - top.seed_padding
        there = length_at(recording, self.sample_rate, offset)
        wished = round(dur * self.sample_rate) // hop if dur else min(self._seed_length, there // hop)
        least = own or top.seed_multiple
        wished = own + max(wished - own, least - own) // top.seed_multiple * top.seed_multiple
        check_length(recording, self.sample_rate, wished * hop, offset, dur)
        usable = self._codes_that_do_not_hear_the_end(there)
        if usable < least:
            check_length(recording, self.sample_rate, self._samples_for(least), offset, None)
        number = own + (min(wished, usable) - own) // top.seed_multiple * top.seed_multiple
        if number < wished:
            log.warning(
                "--seed %s: its last %.0f ms are not read: their codes would hear its end.",
                path, 1000 * (wished - number) * hop / self.sample_rate,
            )  # fmt: skip
        audio = read_at(recording, self.sample_rate, offset, self._samples_for(number))
        levels = self._encode_by_level(data_of(self.configs[-1]).encode(audio))[::-1]  # from the top down
        source = source_of(recording, self.sample_rate, offset, number * hop)
        contexts, above = [], None
        for config, items in zip(self.configs, levels):
            number *= config.codes.hop if config.codes else 1
            contexts.append(_context(config, items[:number], above, source))
            above = items[:number]
        return contexts

    @property
    def _seed_length(self) -> int:
        """How many items of the top are read of a seed where nothing is said: as many as some level needs."""
        samples, lengths = 1, []
        for config in reversed(self.configs):
            lengths.append(config.seed_length * samples)
            samples *= config.codes.hop if config.codes else 1
        return math.ceil(max(lengths) / self.hop)

    def _codes_that_do_not_hear_the_end(self, samples: int) -> int:
        """How many items of the top follow from samples alone, whatever comes behind them."""
        for config in reversed([config for config in self.configs if config.codes]):
            samples = max(0, samples - config.codes.context) // config.codes.hop
        return samples

    def _samples_for(self, number: int) -> int:
        """How many samples so many items of the top follow from."""
        for config in self.configs:
            if config.codes:
                number = number * config.codes.hop + config.codes.context
        return number


def _context(config: Config, items: np.ndarray, codes: np.ndarray | None, source: dict[str, Any]) -> Context:
    """Items that are read, behind padding, with the codes that an autoencoder follows there."""
    padding = np.full(config.seed_padding, data_of(config).padding)
    if config.codes:
        codes = np.concatenate([np.full(config.codes.reach, NO_ITEM), codes])
    return Context(np.concatenate([padding, items]), source, config.seed_padding, codes if config.codes else None)


def codes_of_file(path: str, config: Config, checkpoint: Path, sample_rate: int | None) -> tuple[GivenCodes, dict]:
    """What encode.py has written, and what the JSON of a sequence says of it.

    Args:
        path: of the npz.
        config, checkpoint, sample_rate: of the autoencoder that is to decode them.

    Raises:
        InputError: it can't be read, or is not of this autoencoder.
    """
    try:
        sequence = read_codes(path)
        _check_maker(sequence, config, checkpoint, sample_rate)
    except InputError as error:
        raise InputError(f"--codes {path}: {error}") from None
    return GivenCodes(sequence.codes), {"codes": _source(path)}


def _check_maker(sequence: CodeSequence, config: Config, checkpoint: Path, sample_rate: int | None) -> None:
    remedy = "decode it with the checkpoint that has encoded it"
    for name, ours in {"hop": config.codes.hop, "levels": config.codes.levels, "rate": sample_rate}.items():
        if ours and getattr(sequence, name) != ours:
            raise InputError(f"its {name} is {getattr(sequence, name)}, that of {checkpoint} is {ours}; {remedy}")
    if sequence.encoder != hash_of(checkpoint):
        raise InputError(f"its codes are of another encoder than {checkpoint}; {remedy}")


def _source(path: str | Path) -> dict[str, str]:
    return {"path": str(Path(path).absolute()), "sha256": sha256(Path(path))}
