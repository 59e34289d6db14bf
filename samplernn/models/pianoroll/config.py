"""The parameters of a piano-roll LSTM, as its JSON config spells them, with all their rules."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from samplernn.midi.clock import MICROSECONDS, TEMPO
from samplernn.models.config import Config, Window
from samplernn.models.tokens import MAX_NUMBERS, MAX_SIZE
from samplernn.options.option import option
from samplernn.options.values import BOOLEAN, FRACTION, POSITIVE, Values, number, one_of, optional, several, whole

if TYPE_CHECKING:
    import numpy as np

MAX_LAYERS = 16
PITCHES = 128  # of MIDI
LONGEST_STEP = 10  # seconds
DEFAULT_STEP = 0.3
DEFAULT_TEMPO = 60 * MICROSECONDS / TEMPO  # beats a minute


@dataclass(frozen=True)
class PianoRollConfig(Config):
    """The parameters of a piano-roll LSTM. Every one has the documented default.

    Raises:
        InputError: a value has a wrong type or breaks a rule.
    """

    data = "rolls"
    every_item_counts = True
    decides_epoch = ("seq_len", "note_range", "dt", "steps_per_beat", "onsets", "transpose", "tune_length")

    seq_len: int = option(
        64, whole(1, MAX_SIZE), "steps predicted in one training window", searchable=True, fits_any_weights=True
    )
    layer_sizes: tuple[int, ...] = option(
        (120, 120, 120),
        several(whole(1, MAX_SIZE), "one or more whole numbers from 1 up, such as [120, 120, 120]"),
        "width of each LSTM layer, from the lowest up",
        searchable=True,
    )
    note_range: tuple[int, ...] = option(
        (21, 109),
        several(whole(0, PITCHES), f"two whole numbers from 0 to {PITCHES}, such as [21, 109]"),
        "the lowest MIDI pitch and the one behind the highest",
        searchable=True,
    )
    dt: float | None = option(
        None,
        replace(optional(number(1 / MICROSECONDS, LONGEST_STEP)), numeric=False),  # what a range has is not whole
        "length of a step, seconds, a whole number of microseconds",
        f"{DEFAULT_STEP}, unless steps follow the beats",
        searchable=True,
    )
    steps_per_beat: int | None = option(
        None,
        optional(whole(1, 96)),
        "steps in a beat (a quarter note), instead of dt",
        "steps last dt seconds",
        searchable=True,
    )
    tempo: float | None = option(
        None,
        optional(number(4, 1000)),
        "beats a minute at which music is generated, where steps follow the beats",
        "the commonest of the files that are trained on",
        searchable=True,
        fits_any_weights=True,
    )
    onsets: bool = option(
        False, BOOLEAN, "tell a note that is struck again from one that is held, by a plane of its own", searchable=True
    )
    peephole: str = option(
        "corrected",
        one_of("corrected", "original"),
        "what the lowest layer's output gate sees: its cell, or, as in RNN4Music, its candidate before tanh",
        searchable=True,
    )
    cell_clip: float | None = option(
        None,
        optional(POSITIVE),
        "the magnitude at which cells are clipped, so that none grows with the length of a piece",
        "they are not",
        searchable=True,
    )
    cost: str = option(
        "cross-entropy", one_of("cross-entropy", "squared error"), "what is minimised", searchable=True, in_flight=True
    )
    layer_rates: tuple[float, ...] = option(
        (1.0,),
        several(number(0, 1000), "numbers from 0 up, such as [1, 1, 1, 0.5]"),
        "factors of the learning rate, of each layer from the lowest up and of the output, or one for all",
        searchable=True,
        in_flight=True,
    )
    gradient_clip: float = option(
        30.0, POSITIVE, "limit of every element of the gradients", searchable=True, in_flight=True
    )
    l1: float = option(
        0.0, number(0, 1000), "factor of the sum of all weights' magnitudes in what is minimised", searchable=True,
        in_flight=True,
    )  # fmt: skip
    dropout: float = option(
        0.0, FRACTION, "fraction of each layer's outputs that is dropped in training", searchable=True, in_flight=True
    )
    transpose: int = option(
        0,
        whole(0, PITCHES),
        "semitones, up or down, by which each tune is transposed at most in training, anew in each epoch",
        searchable=True,
        fits_any_weights=True,
    )
    passes_per_batch: int = option(
        1, whole(1, 10000), "steps of the optimizer on each batch", searchable=True, fits_any_weights=True
    )
    tune_length: int | None = option(
        None,
        optional(whole(1)),
        "steps to which each tune is cut, or repeated, in training",
        "as long as it is",
        searchable=True,
        fits_any_weights=True,
    )

    def _broken_rules(self, wrong: Mapping[str, Values]) -> Iterator[str]:
        if "note_range" not in wrong and (len(self.note_range) != 2 or self.note_range[0] >= self.note_range[1]):
            yield self._complaint("note_range", "two pitches in ascending order, such as [21, 109]")
        if "layer_sizes" not in wrong and len(self.layer_sizes) > MAX_LAYERS:
            yield self._complaint("layer_sizes", f"{MAX_LAYERS} numbers at most")
        if not {"layer_rates", "layer_sizes"} & wrong.keys():
            parts = len(self.layer_sizes) + 1
            if len(self.layer_rates) not in (1, parts):
                yield self._complaint("layer_rates", f"{parts} numbers, one a layer and the output's, or one for all")
        if not {"tempo", "steps_per_beat"} & wrong.keys() and self.tempo is not None and self.steps_per_beat is None:
            yield f"{self._given('tempo')}, but a step is of dt seconds, whatever the tempo; leave it out"
        if "dt" not in wrong and self.dt is not None:
            if self.steps_per_beat is not None:
                yield f"{self._given('dt')}, and {self._given('steps_per_beat')}; leave one of them out"
            if abs(self.dt * MICROSECONDS - self.microseconds) > 1e-6 * self.microseconds:
                yield self._complaint("dt", "a whole number of microseconds, such as 0.125")

    def _normalize(self) -> None:
        super()._normalize()
        if self.dt is None and self.steps_per_beat is None:
            object.__setattr__(self, "dt", DEFAULT_STEP)

    def _broken_rules_of_size(self) -> Iterator[str]:
        if self.num_parameters > MAX_NUMBERS:
            least = f"{MAX_NUMBERS} are the most"
            yield f"the network would hold {self.num_parameters} numbers, {least}; lower {self._given('layer_sizes')}"

    @classmethod
    def tiny(cls) -> PianoRollConfig:
        return cls(seq_len=8, layer_sizes=(12, 10, 8), note_range=(60, 72), onsets=True)

    # --- Steps and notes ---

    @property
    def microseconds(self) -> int:
        """How long a step of dt seconds is."""
        return round(self.dt * MICROSECONDS)

    @property
    def tempo_to_write(self) -> float:
        """Beats a minute of the music that is generated."""
        return self.tempo or DEFAULT_TEMPO

    @property
    def num_notes(self) -> int:
        """Of a step."""
        return self.note_range[1] - self.note_range[0]

    @property
    def values(self) -> int:
        """How many a note may have at a step: it is silent or sounds, or, where that is told, is struck."""
        return 3 if self.onsets else 2

    @property
    def planes(self) -> int:
        """Numbers that stand for a note where it is heard or predicted."""
        return self.values - 1

    # --- The network ---

    @property
    def window(self) -> Window:
        return Window(self.seq_len, left=1)

    @property
    def block_length(self) -> int:
        return 16

    @property
    def seed_length(self) -> int:
        """A primer is read from its beginning to its end."""
        return MAX_SIZE

    @property
    def seed_padding(self) -> int:
        return 1

    @property
    def parameters(self) -> dict[str, int]:
        """Of the layers those of the gates' inputs, biases and peepholes; of the output those of each layer."""
        heard, pairs = self.num_notes * self.planes, itertools.pairwise([0, *self.layer_sizes])
        return {
            "LSTM layers": sum(4 * size * (heard + below + size + 1) + 3 * size for below, size in pairs),
            "output": (sum(self.layer_sizes) + 1) * heard,
        }

    @property
    def activations(self) -> float:
        """For a step and a layer the projections of input and state, 4·D each, with their gradients, and its states and
        outputs with theirs; the notes that are heard, and four times those that are predicted (logits, probabilities
        and their gradients).
        """
        heard = self.num_notes * self.planes
        return self.seq_len * (22 * sum(self.layer_sizes) + 5 * heard)

    @property
    def uniform_loss(self) -> float:
        """In nats a step."""
        return self.num_notes * math.log(self.values)

    # --- RNN4Music's ---

    @classmethod
    def of_tensors(cls, tensors: Mapping[str, np.ndarray]) -> PianoRollConfig | None:
        from samplernn.models.pianoroll import rnn4music  # imports NumPy, which flags need not wait for

        parameters = rnn4music.parameters_of(tensors)
        return parameters and cls(**parameters)

    def weights_from(self, tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Those of RNN4Music."""
        from samplernn.models.pianoroll import rnn4music

        return rnn4music.weights_from(self, tensors)
