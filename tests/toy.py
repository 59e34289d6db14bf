"""The least network that a training can be tried with: it is traced in a fraction of the time of a real one."""

import keras
import tensorflow as tf

from samplernn.system.distribution import sum_over_replicas


class Toy(keras.Model):
    """Bigrams, and a memory of what a row has heard; a part of the logits is dropped in training."""

    WEIGHTS = ("table", "memory")

    def __init__(self, config, precision="float32"):
        super().__init__(name="toy", dtype=precision)
        self.config = config
        self.dropout_seed = keras.random.SeedGenerator()
        levels = config.q_levels
        self.table = self.add_weight(shape=[levels, levels], initializer="glorot_uniform", name="table")
        self.memory = self.add_weight(shape=[levels], initializer="glorot_uniform", name="memory")
        self.built = True

    def initial_state(self, batch_size):
        return (tf.zeros([1, batch_size], self.compute_dtype),)

    def call(self, tokens, state, training=False):
        (heard,) = state
        logits = tf.gather(self.table, tokens[:, self.config.lookback - 1 : -1])  # [B, S, Q]
        if training:
            logits = keras.random.dropout(logits, 0.1, seed=self.dropout_seed)
        now = tf.reduce_mean(tf.cast(tokens, heard.dtype) / self.config.q_levels, axis=1)  # [B]
        logits += heard[0, :, None, None] * self.memory
        return tf.cast(logits, tf.float32), (heard / 2 + now,)

    def clipped_gradients(self, tokens, state, score, clip_norm, loss_scale=1.0, compiled=lambda part: part):
        with tf.GradientTape() as tape:
            logits, state = self(tokens, state, training=True)
            scores = score(logits)
            replicas = tf.distribute.get_strategy().num_replicas_in_sync
            loss = scores[0] / (scores[-1] * replicas) * loss_scale
        gradients, scores = sum_over_replicas((tape.gradient(loss, self.trainable_variables), scores))
        gradients, norm = tf.clip_by_global_norm(gradients, clip_norm * loss_scale)
        return gradients, scores, norm / loss_scale, state

    def looked_up(self, tokens):
        return self.table, tf.ones([self.config.q_levels], tf.bool)
