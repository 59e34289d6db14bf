"""The network, over a window and step by step. B batch, S steps, N notes, V values that a note may have at a step.

RNN4Music (Ip), a network of three layers as in Graves: Generating sequences with recurrent neural networks, 2013,
section 2: each layer hears the step and the layer below, and the output sees all layers.
"""

from __future__ import annotations

from functools import partial

import tensorflow as tf

from samplernn.midi.items import VALUE_MASK
from samplernn.midi.rolls import SILENT
from samplernn.models import recurrence
from samplernn.models.config import NO_TARGET
from samplernn.models.dropout import drop_channels
from samplernn.models.model import AutoregressiveModel, Outcome, clip_elements
from samplernn.models.pianoroll.config import PianoRollConfig
from samplernn.models.pianoroll.layers import NoteOutput, PeepholeLSTM


class PianoRoll(AutoregressiveModel):
    """LSTM layers with peepholes, and notes that are independent of each other given the steps before."""

    def __init__(self, config: PianoRollConfig, precision: str = "float32"):
        super().__init__(config, precision, name="piano_roll")
        heard = config.num_notes * config.planes
        for number, (size, below) in enumerate(zip(config.layer_sizes, [0, *config.layer_sizes])):
            of_original = number == 0 and config.peephole == "original"
            cell = recurrence.rnn4music_lstm if of_original else recurrence.peephole_lstm
            cell = partial(cell, cell_clip=config.cell_clip)
            layer = PeepholeLSTM(size, heard + below, cell, dtype=precision, name=f"layer_{number + 1}")
            setattr(self, layer.name, layer)
        self.notes = NoteOutput(sum(config.layer_sizes), heard, dtype=precision, name="notes")
        self.build()

    @property
    def lstms(self) -> list[PeepholeLSTM]:
        """From the lowest up."""
        return [getattr(self, f"layer_{number + 1}") for number in range(len(self.config.layer_sizes))]

    def build(self, input_shape=None):
        for layer in (*self.lstms, self.notes):
            layer.build()
        self.built = True

    def initial_state(self, rows):
        return tuple(layer.initial_state(rows) for layer in self.lstms)

    # --- A window ---

    def forward(self, x, y, state, training):
        logits, state = self.call(x, state, training)
        sums = self._sums(logits, y, training)
        loss = sums["cost"] / tf.maximum(sums["targets"], 1)
        if self.config.l1:
            weights = (variable for variable in self.trainable_variables if "bias" not in variable.name)
            penalty = self.config.l1 * tf.add_n([tf.reduce_sum(tf.abs(weight)) for weight in weights])
            loss += tf.cast(penalty, loss.dtype)
        return Outcome(loss, sums, state)

    def call(self, items, state, training=False):
        """Predict every step from the true ones before it (teacher forcing).

        Args:
            items: int [B, 1 + S, N].
            state: from `initial_state`, or of the window before.

        Returns:
            float32 logits [B, S, N, V] for the last S of `items`, and the state behind all but the last.
        """
        outputs, state = self._through_layers(items[:, :-1], state, training)
        return self._logits(self.notes(tf.transpose(outputs, [1, 0, 2]))), state

    def _through_layers(self, items, state, training=False):
        """The outputs of all layers, [S, B, D] of D units altogether, and the next state."""
        x = tf.transpose(self._heard(items), [1, 0, 2])  # [S, B, N · planes]
        heard, outputs, next_state = x, [], []
        for layer, of_layer in zip(self.lstms, state):
            output, of_layer = layer(heard, of_layer)
            if training and self.config.dropout:
                output = drop_channels(output, self.config.dropout, self.dropout_seed, rows=1)
            heard = tf.concat([x, output], axis=2)
            outputs.append(output)
            next_state.append(of_layer)
        return tf.concat(outputs, axis=2), tuple(next_state)

    def _heard(self, items):
        """The planes of notes [..., N] beside each other: where they sound, and where they are struck."""
        values = tf.bitwise.bitwise_and(items, tf.constant(VALUE_MASK, items.dtype))
        planes = [values >= value for value in range(1, self.config.values)]
        return tf.cast(tf.concat(planes, axis=-1), tf.float32)

    def _logits(self, outputs):
        """Those of each value of a note, [..., N, V], of which that of silence is 0, from [..., N · planes]."""
        planes = tf.split(outputs, self.config.planes, axis=-1)
        return tf.stack([tf.zeros_like(planes[0]), *planes], axis=-1)

    def _sums(self, logits, targets, training):
        """Over steps that have targets; in float32 in training, which is enough to learn, else in float64.

        A note is a hit where it sounds as predicted, an error where it sounds or is predicted, but not both.
        """
        counts, dtype = targets[..., 0] != NO_TARGET, tf.float32 if training else tf.float64
        targets = tf.maximum(tf.cast(targets, tf.int32), 0)
        of_notes = {"nll": tf.nn.sparse_softmax_cross_entropy_with_logits(targets, logits)}
        if self.config.cost == "squared error":
            true = tf.one_hot(targets, self.config.values)[..., 1:]
            of_notes["cost"] = tf.reduce_sum(tf.square(tf.nn.softmax(logits)[..., 1:] - true), axis=-1) / 2
        else:
            of_notes["cost"] = of_notes["nll"]
        sounds, predicted = targets != SILENT, tf.nn.softmax(logits)[..., SILENT] < 0.5
        of_notes |= {"hits": sounds & predicted, "errors": sounds ^ predicted}
        sums = {
            name: tf.reduce_sum(tf.where(counts, tf.reduce_sum(tf.cast(values, dtype), axis=-1), 0))
            for name, values in of_notes.items()
        }
        return sums | {"targets": tf.reduce_sum(tf.cast(counts, dtype))}

    @property
    def sum_shapes(self):
        return dict.fromkeys(("nll", "cost", "hits", "errors", "targets"), ())

    def measures(self, sums):
        """The cost as the loss, and the accuracy of notes: hits by hits and errors (Bay, Ehmann and Downie, 2009)."""
        seen = max(1.0, float(sums["hits"] + sums["errors"]))
        measures = {"loss": float(sums["cost"] / sums["targets"]), "accuracy": float(sums["hits"] / seen)}
        return measures | ({"nll": float(sums["nll"] / sums["targets"])} if self.config.cost != "cross-entropy" else {})

    # --- Learning ---

    def clip(self, gradients, at_watched, scale):
        return clip_elements(gradients, self.config.gradient_clip * scale)

    def rate_factor(self, variable):
        parts = [*self.lstms, self.notes]
        rates = self.config.layer_rates * (len(parts) if len(self.config.layer_rates) == 1 else 1)
        return next(rate for rate, part in zip(rates, parts) if any(own is variable for own in part.weights))

    # --- Generation ---

    def read(self, items, state, conditioning=None):
        return self._through_layers(items[:, :-1], state)[1]

    def step_weights(self):
        return [layer.step_weights() for layer in self.lstms]

    def step(self, before, handed_on, position, weights=None, conditioning=None):
        x = tf.transpose(self._heard(before[:, -1]))
        outputs, state = self._step(x, handed_on, weights or self.step_weights())
        return self._logits(self.notes(outputs)), state

    def _step(self, x, state, weights):
        """Of columns [N · planes, B] the outputs of all layers, float32 [B, D], and the next state."""
        heard, next_state = x, []
        for layer, of_layer, own in zip(self.lstms, state, weights):
            of_layer = layer.step(heard, of_layer, own)
            heard = tf.concat([x, tf.cast(of_layer[0], x.dtype)], axis=0)
            next_state.append(of_layer)
        outputs = tf.concat([tf.cast(h, tf.float32) for h, _ in next_state], axis=0)
        return tf.transpose(outputs), tuple(next_state)
