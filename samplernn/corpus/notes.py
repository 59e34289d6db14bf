"""What there is to know about the notes of rolls without listening far back: what a network has to do better than.

A roll is int8 [steps, N]; a note has one of V values at a step, of which 0 is silence. Before a roll's first step all
notes are silent. Each probability is that of a count with one added for each value, so that none is 0.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


class Marginals:
    """How often each note has each value."""

    def __init__(self, rolls: Sequence[np.ndarray], values: int, weights: Sequence[float] | None = None):
        """`weights` is how much each roll counts; by default all the same."""
        counts = sum(w * _counts(roll, values) for roll, w in zip(rolls, weights or [1] * len(rolls)))
        self._costs = _costs(counts)  # [V, N]

    def nll(self, rolls: Sequence[np.ndarray]) -> float:
        """In nats a step, of all steps of all rolls."""
        counts = sum(_counts(roll, len(self._costs)) for roll in rolls)
        return float((counts * self._costs).sum() / _num_steps(rolls))


class MarkovChains:
    """For each note, how often it has each value given the one at the step before."""

    def __init__(self, rolls: Sequence[np.ndarray], values: int):
        self._values = values
        self._costs = _costs(self._transitions(rolls))  # [V before, V, N]

    def nll(self, rolls: Sequence[np.ndarray]) -> float:
        """In nats a step, of all steps of all rolls."""
        return float((self._transitions(rolls) * self._costs).sum() / _num_steps(rolls))

    def _transitions(self, rolls: Sequence[np.ndarray]) -> np.ndarray:
        """How often each value follows on each, [V before, V, N]."""
        from_each = []
        for value in range(self._values):
            pairs = ((_before(roll) == value, roll) for roll in rolls)
            from_each.append(sum(_counts(np.where(came, roll, -1), self._values) for came, roll in pairs))
        return np.stack(from_each)


def accuracy_of_repeating(rolls: Sequence[np.ndarray]) -> float:
    """The accuracy of notes, hits by hits and errors, of who predicts the last step again."""
    hits = sum(((roll > 0) & (_before(roll) > 0)).sum() for roll in rolls)
    seen = sum(((roll > 0) | (_before(roll) > 0)).sum() for roll in rolls)
    return float(hits / max(1, seen))


def _before(roll: np.ndarray) -> np.ndarray:
    """For each step the one before."""
    return np.concatenate([np.zeros_like(roll[:1]), roll[:-1]])


def _counts(roll: np.ndarray, values: int) -> np.ndarray:
    """How often each note of [steps, N] has each value: [V, N]."""
    return np.stack([(roll == value).sum(axis=0) for value in range(values)])


def _costs(counts: np.ndarray) -> np.ndarray:
    """The NLL of each value, in nats, by how often [..., V, N] they occur."""
    more = counts + 1
    return -np.log(more / more.sum(axis=-2, keepdims=True))


def _num_steps(rolls: Sequence[np.ndarray]) -> int:
    return sum(map(len, rolls))
