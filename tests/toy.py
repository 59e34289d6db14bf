"""The least family that a training can be tried with: it is traced in a fraction of the time of a real one."""

from dataclasses import dataclass

import tensorflow as tf
from keras import random

from samplernn.models.config import Window
from samplernn.models.likelihood import categorical, mean_nll
from samplernn.models.model import AutoregressiveModel, Outcome
from samplernn.models.tokens import TokensConfig, q_levels, q_type, seq_len
from samplernn.system.distribution import own_rows, sum_over_replicas


@dataclass(frozen=True)
class ToyConfig(TokensConfig):
    seq_len: int = seq_len(24)
    q_type: str = q_type()
    q_levels: int = q_levels()
    window = property(lambda self: Window(self.seq_len, left=1))
    parameters = property(lambda self: {"table": self.q_levels**2, "memory": 2 * self.q_levels})
    activations = property(lambda self: 4 * self.seq_len * self.q_levels)
    block_length = property(lambda self: 4)
    tiny = classmethod(lambda cls: cls(q_type="linear", q_levels=8))


class Toy(AutoregressiveModel):
    """Bigrams, the parity of what a row has heard, a sum over it, and counts of levels that no gradient moves."""

    exchanges = True

    def __init__(self, config, precision="float32"):
        super().__init__(config, precision, name="toy")
        self.table = self.add_weight(shape=[config.q_levels] * 2, initializer="glorot_uniform", name="table")
        self.memory = self.add_weight(shape=[2, config.q_levels], initializer="glorot_uniform", name="memory")
        self.counts = self.add_weight(shape=[config.q_levels], initializer="zeros", trainable=False, name="counts")
        self.built = True

    def initial_state(self, rows):
        return {"odd": tf.zeros([rows], tf.bool), "heard": tf.zeros([1, rows])}

    def call(self, before, state):  # items [B, S], each before the one to predict
        odd = (tf.cumsum(before, axis=1) + tf.cast(state["odd"], before.dtype)[:, None]) % 2 == 1
        heard = state["heard"][0, :, None] + tf.cumsum(tf.gather(self.memory[0], before), axis=1) / 100
        logits = tf.gather(self.table, before) + (heard + tf.cast(odd, heard.dtype))[..., None] * self.memory[1]
        return tf.cast(logits, tf.float32), {"odd": odd[:, -1], "heard": heard[None, :, -1]}

    def forward(self, x, y, state, training):
        logits, state = self.call(x[:, self.config.window.left - 1 : -1], state)
        if training:
            shape = logits.shape[1:]
            logits *= own_rows(lambda n: random.dropout(tf.ones([n, *shape]), 0.1, seed=self.dropout_seed), x.shape[0])
        levels = tf.reduce_sum(tf.one_hot(y, self.config.q_levels), axis=[0, 1])
        sums = categorical(logits, y) | {"levels": levels}
        leaning = sum_over_replicas(tf.reduce_sum(logits, axis=[0, 1])) / sum_over_replicas(sums["targets"])
        return Outcome(mean_nll(sums) + 0.01 * tf.reduce_sum(leaning**2), sums, state, updates=levels)

    sum_shapes = property(lambda self: {"nll": (), "correct": (), "targets": (), "levels": (self.config.q_levels,)})

    def measures(self, sums):
        return super().measures(sums) | {"commonest": float(max(sums["levels"]) / sums["targets"])}

    def rate_factor(self, variable):
        return 0.5 if variable is self.table else 1.0

    def apply_updates(self, updates):
        self.counts.assign_add(updates)

    def read(self, items, state, conditioning=None):
        return self.call(items[:, self.config.window.left - 1 : -1], state)[1]

    def step(self, before, handed_on, position, weights=None, conditioning=None):
        logits, state = self.call(before[:, -1:], handed_on)
        return logits[:, 0], state
