"""Quantizers: audio in [-1, 1] to tokens in [0, levels), and back."""

from __future__ import annotations

import numpy as np


class MuLaw:
    """Companding quantizer with 256 levels (ITU-T G.711 as the WaveNet paper applies it, section 2.2)."""

    levels = 256
    zero = 128  # the token of silence

    def encode(self, audio: np.ndarray) -> np.ndarray:
        """Turn float audio of any shape into int32 tokens; what lies outside [-1, 1] is clipped."""
        mu = np.float32(self.levels - 1)
        audio = np.asarray(audio, np.float32)
        magnitude = np.log1p(mu * np.minimum(np.abs(audio), np.float32(1))) / np.log1p(mu)
        return ((np.sign(audio) * magnitude + 1) / 2 * mu + np.float32(0.5)).astype(np.int32)

    def decode(self, tokens: np.ndarray) -> np.ndarray:
        """Turn tokens of any shape into float32 audio."""
        mu = np.float32(self.levels - 1)
        signal = 2 * (np.asarray(tokens, np.float32) / mu) - 1
        return np.sign(signal) * ((1 + mu) ** np.abs(signal) - 1) / mu


class Linear:
    """Uniform quantizer with any number of levels."""

    def __init__(self, levels: int):
        self.levels = levels
        self.zero = levels // 2  # the token of silence

    def encode(self, audio: np.ndarray) -> np.ndarray:
        """Turn float audio of any shape into int32 tokens; what lies outside [-1, 1] is clipped."""
        epsilon = 1e-5
        audio = np.clip(np.asarray(audio, np.float32), -1, 1)
        scaled = (audio + 1) / 2 * np.float32(self.levels - epsilon) + np.float32(epsilon / 2)
        return np.minimum(scaled.astype(np.int32), self.levels - 1)  # float32 loses the epsilon from 512 levels on

    def decode(self, tokens: np.ndarray) -> np.ndarray:
        """Turn tokens of any shape into float32 audio."""
        return np.asarray(tokens, np.float32) / np.float32(self.levels / 2) - 1


def quantizer(q_type: str, q_levels: int) -> MuLaw | Linear:
    """Return the quantizer that a model config names; mu-law has its own 256 levels."""
    return MuLaw() if q_type == "mu-law" else Linear(q_levels)
