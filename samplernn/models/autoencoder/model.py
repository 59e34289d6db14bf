"""Discrete autoencoders: encoder, bottleneck, modulator and local model wired together.

Dieleman, van den Oord and Simonyan: The challenge of realistic music generation, 2018, section 3. B batch, S samples,
N codes, K different ones.
"""

from __future__ import annotations

import math

import numpy as np
import tensorflow as tf

from samplernn.audio.quantize import quantizer
from samplernn.models.autoencoder.bottleneck import ArgmaxQuantizer, VectorQuantizer
from samplernn.models.autoencoder.config import AutoencoderConfig
from samplernn.models.autoencoder.layers import Blocks, Dense
from samplernn.models.config import NO_ITEM, NO_TARGET
from samplernn.models.model import Autoencoder, Outcome
from samplernn.models.products import product
from samplernn.models.wavenet.layers import Input
from samplernn.models.wavenet.model import WaveNet

POSITIVE_BIAS = 0.1  # of an AMAE's queries at first: where all are zero after a relu no gradient comes through


class DiscreteAutoencoder(Autoencoder):
    """What all of them have in common; a family says what its bottleneck is.

    The state is that of the local model. What encoder and modulator see is all in a window and its context.
    """

    bottleneck_class: type
    query_bias = 0.0

    def __init__(self, config: AutoencoderConfig, precision: str = "float32"):
        super().__init__(config, precision, name="autoencoder", autocast=False)
        self.local_model = WaveNet(config.local_model, precision)
        self.dropout_seed = self.local_model.dropout_seed
        encoder, modulator, layer = config.encoder_size, config.modulator_size, {"dtype": precision}
        self.encoder_input = Input(config, encoder, name="encoder_input")
        self.encoder = Blocks(encoder, config.encoder_filter_length, config.encoder_dilations, name="encoder", **layer)
        self.query = Dense(encoder, config.query_size, self.query_bias, name="query", **layer)
        self.bottleneck = self.bottleneck_class(config, name="bottleneck")
        self.modulator_input = Dense(config.query_size, modulator, name="modulator_input", **layer)
        self.modulator = Blocks(
            modulator, config.modulator_filter_length, config.modulator_dilations, name="modulator", **layer
        )
        self.conditions = [
            Dense(modulator, 2 * config.inner_size, None, name=f"condition_{number}", **layer)
            for number in range(len(config.local_model.dilations))
        ]
        self.build()

    def build(self, input_shape=None):
        for part in (self.encoder_input, self.encoder, self.query, self.bottleneck, self.modulator_input):
            part.build(None)
        for part in (self.modulator, *self.conditions):
            part.build(None)
        self.built = True

    @property
    def exchanges(self) -> bool:
        return self.bottleneck.exchanges

    def initial_state(self, rows):
        return self.local_model.initial_state(rows)

    # --- A window ---

    def forward(self, x, y, state, training):
        hop, window = self.config.hop, self.config.window
        length = x.shape[1] - window.left - window.right
        counting = tf.reduce_all(tf.reshape(y != NO_TARGET, [x.shape[0], length // hop, hop]), axis=-1)
        counting = tf.transpose(counting)
        queries, inside = self._look(x[:, window.left - window.right :], training)
        reach = self.config.codes.reach
        middle = slice(reach, reach + length // hop)
        quantized = self.bottleneck(queries, middle=middle, counting=counting, training=training)
        conditions = self._modulate(tf.where(inside[..., None], quantized.vectors, 0.0), training)
        conditions = tf.split(conditions, len(self.conditions), axis=-1)
        heard = self._silent_outside(x[:, window.left - 1 : window.left + length])
        of_local = self.local_model.forward(heard, y, state, training, conditions)
        counted = tf.where(counting, quantized.codes[middle], NO_ITEM)
        codes = tf.reduce_sum(tf.one_hot(counted, self.config.num_codes), axis=[0, 1])
        dtype = of_local.loss.dtype
        sums = {name: tf.cast(value, dtype) for name, value in {"codes": codes, **quantized.sums}.items()}
        loss = of_local.loss + tf.cast(quantized.penalty, dtype)
        return Outcome(loss, of_local.sums | sums, of_local.state, quantized.updates)

    def _look(self, x, training=False):
        """What the encoder makes of items [B, context + N · hop + context], some of which may be outside.

        Returns:
            The queries [N, B, D]; and which of them are of whole codes inside, bool [N, B].
        """
        hop, context = self.config.hop, self.config.codes.context
        outside = x == NO_ITEM
        seen = self.encoder(self.encoder_input(tf.transpose(self._silent_outside(x))), training=training)
        number = seen.shape[0] // hop
        queries = self.query(tf.reduce_mean(tf.reshape(seen, [number, hop, *seen.shape[1:]]), axis=1))
        outside = outside[:, context : context + number * hop]
        inside = ~tf.reduce_any(tf.reshape(outside, [x.shape[0], number, hop]), axis=-1)
        return queries, tf.transpose(inside)

    def _silent_outside(self, items):
        if self.config.data != "audio":
            return items
        silence = quantizer(self.config.q_type, self.config.q_levels).zero
        return tf.where(items == NO_ITEM, tf.cast(silence, items.dtype), items)

    def _modulate(self, vectors, training=False):
        """What stands for codes, [reach + N + reach, B, D], to the conditions of the local model's blocks.

        They are [N, B, blocks · 2 · inner], by one product.
        """
        kernels = [tf.cast(condition.kernel, condition.compute_dtype) for condition in self.conditions]
        seen = self.modulator(self.modulator_input(vectors), training=training)
        return product(seen, tf.concat(kernels, axis=-1))

    @property
    def sum_shapes(self):
        return super().sum_shapes | self.bottleneck.sum_shapes | {"codes": (self.config.num_codes,)}

    def measures(self, sums):
        """As every family; of the codes their `perplexity`, exp of their entropy, and `codes_in_use`."""
        counts = np.asarray(sums["codes"], np.float64)
        shares = counts[counts > 0] / max(1.0, counts.sum())
        perplexity = math.exp(-float(np.sum(shares * np.log(shares))))
        return super().measures(sums) | {"perplexity": perplexity, "codes_in_use": int(np.sum(counts > 0))}

    def apply_updates(self, updates):
        self.bottleneck.apply_updates(updates)

    # --- Codes ---

    def encode(self, items):
        queries, inside = self._look(items)
        return tf.transpose(tf.where(inside, self.bottleneck.codes(queries), NO_ITEM))

    def condition(self, codes):
        conditions = tf.transpose(self._modulate(self.bottleneck.vectors(tf.transpose(codes))), [1, 0, 2])
        return tf.reshape(conditions, [*conditions.shape[:2], len(self.conditions), -1])

    # --- Generation ---

    def read(self, items, state, conditioning=None):
        heard = self._silent_outside(items[:, self.config.window.left - 1 :])
        return self.local_model.read(heard, state, conditioning)

    def step_weights(self):
        return self.local_model.step_weights()

    def begin_steps(self, state):
        return self.local_model.begin_steps(state)

    def step(self, before, handed_on, position, weights=None, conditioning=None):
        before = self._silent_outside(before[:, -1:])
        return self.local_model.step(before, handed_on, position, weights, conditioning)

    def end_steps(self, handed_on):
        return self.local_model.end_steps(handed_on)

    def generate_block(self, context, state, draw, weights=None, conditioning=None):
        before = self._silent_outside(context[:, -1:])
        return self.local_model.generate_block(before, state, draw, weights, conditioning)


class VQVAE(DiscreteAutoencoder):
    """Vector-quantised: the codes are vectors, of which the nearest to a query is its code."""

    bottleneck_class = VectorQuantizer

    def measures(self, sums):
        """As all of them; in training `restarts`, how often a code that none used began anew before a step."""
        restarts = float(sums["restarts"])
        return super().measures(sums) | ({} if math.isnan(restarts) else {"restarts": round(restarts)})

    def random_state(self):
        return super().random_state() | {"random/codebook": self.bottleneck.seed.state}


class AMAE(DiscreteAutoencoder):
    """Argmax autoencoder: the code is the largest of the numbers of a query."""

    bottleneck_class = ArgmaxQuantizer
    query_bias = POSITIVE_BIAS

    def measures(self, sums):
        """As all of them; `zero_queries` is the part of them that are all zero, whose code is 0 and teaches nothing."""
        total = max(1.0, float(np.sum(sums["codes"])))
        return super().measures(sums) | {"zero_queries": float(sums["zeros"]) / total}
