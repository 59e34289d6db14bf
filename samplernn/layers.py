"""The layers of the three tiers (SampleRNN paper, section 2). B batch, S samples, T frames, D dim, Q levels.

State is an argument and a result: a tuple with one entry a recurrent layer, `(h,)` for GRU and `(h, c)` for LSTM,
each [B, D]. Nothing here remembers what it saw.
"""

from __future__ import annotations

import keras
import tensorflow as tf

RNN_LAYERS = {"gru": keras.layers.GRU, "lstm": keras.layers.LSTM}


class RNNStack(keras.layers.Layer):
    """Recurrent layers on top of each other, with optional skip connections."""

    def __init__(self, rnn_type, dim, num_layers, skip_conn, dropout, dropout_seed, **kwargs):
        super().__init__(**kwargs)
        self.rnn_type = rnn_type
        self.dim = dim
        self.skip_conn = skip_conn
        self.dropout = dropout
        self.dropout_seed = dropout_seed
        self.rnns = [
            RNN_LAYERS[rnn_type](dim, return_sequences=True, return_state=True, name=f"layer_{i}")
            for i in range(num_layers)
        ]
        self.skips = [
            keras.layers.Dense(dim, kernel_initializer="he_uniform", use_bias=i == 0, name=f"layer_{i}_skip_out")
            for i in range(num_layers if skip_conn else 0)
        ]

    def build(self, input_shape=None):
        for i, rnn in enumerate(self.rnns):
            rnn.build((None, None, 2 * self.dim if self.skip_conn and i == 0 else self.dim))
        for skip in self.skips:
            skip.build((None, None, self.dim))

    def initial_state(self, batch_size):
        """Zeros: the state before the first frame."""
        parts = 1 if self.rnn_type == "gru" else 2
        zeros = tf.zeros([batch_size, self.dim])
        return tuple((zeros,) * parts for _ in self.rnns)

    def call(self, frames, state, training=False):
        """Run over a sequence: [B, T, D] and state to [B, T, D] and the next state."""

        def run(rnn, x, layer_state):
            if training and self.dropout:
                # One mask for all the frames of a window, as Keras's recurrent layers draw it.
                x = keras.random.dropout(
                    x, self.dropout, noise_shape=(tf.shape(x)[0], 1, x.shape[2]), seed=self.dropout_seed
                )
            x, *layer_state = rnn(x, initial_state=list(layer_state), training=training)
            return x, layer_state

        return self._through_layers(frames, state, run)

    def step(self, frame, state):
        """Run over one frame: [B, D] and state to [B, D] and the next state."""
        return self._through_layers(frame, state, lambda rnn, x, layer_state: rnn.cell(x, list(layer_state)))

    def _through_layers(self, x, state, run):
        next_state, total = [], 0.0
        if self.skip_conn:
            x = tf.concat([x, x], axis=-1)
        for i, (rnn, layer_state) in enumerate(zip(self.rnns, state)):
            x, layer_state = run(rnn, x, layer_state)
            next_state.append(tuple(layer_state))
            if self.skip_conn:
                total += self.skips[i](x)
        return (total if self.skip_conn else x), tuple(next_state)


class FrameTier(keras.layers.Layer):
    """A tier that reads frames of samples and conditions the tier below (paper, section 2.1)."""

    def __init__(self, frame_size, ratio, config, dropout_seed, **kwargs):
        """`ratio` is the number of the lower tier's steps in one frame of this tier."""
        super().__init__(**kwargs)
        self.frame_size = frame_size
        self.ratio = ratio
        self.dim = config.dim
        self.q_levels = config.q_levels
        self.input_dense = keras.layers.Dense(config.dim, name="inputs")
        self.rnn = RNNStack(
            config.rnn_type,
            config.dim,
            config.num_rnn_layers,
            config.skip_conn,
            config.rnn_dropout,
            dropout_seed,
            name="rnn",
        )

    def build(self, input_shape=None):
        self.input_dense.build((None, None, self.frame_size))
        self.rnn.build()
        self.upsample_kernel = self.add_weight(
            name="upsample", shape=(self.ratio, self.dim, self.dim), initializer="glorot_normal"
        )

    def initial_state(self, batch_size):
        return self.rnn.initial_state(batch_size)

    def call(self, tokens, state, conditioning=None, training=False):
        """Tokens [B, T·frame_size], conditioning [B, T, D] to conditioning [B, T·ratio, D] and the next state."""
        frames = tf.reshape(tokens, [-1, tokens.shape[1] // self.frame_size, self.frame_size])  # [B, T, frame_size]
        frames, state = self.rnn(self._project(frames, conditioning), state, training=training)
        return self._upsample(frames, self.upsample_kernel), state

    def step(self, frame, state, conditioning, upsample_kernel):
        """One frame of tokens [B, frame_size], conditioning [B, D] to [B, ratio, D] and the next state."""
        frame, state = self.rnn.step(self._project(frame, conditioning), state)
        return self._upsample(frame[:, None], upsample_kernel), state

    def _project(self, frames, conditioning):
        scaled = (tf.cast(frames, tf.float32) / (self.q_levels / 2) - 1) * 2
        projected = self.input_dense(scaled)
        return projected if conditioning is None else projected + conditioning

    def _upsample(self, frames, kernel):
        # A transposed convolution whose stride is its width: one product with all the phases' kernels.
        phases = tf.matmul(frames, tf.reshape(kernel, [self.ratio * self.dim, self.dim]), transpose_b=True)
        return tf.reshape(phases, [-1, frames.shape[1] * self.ratio, self.dim])  # [B, T, ratio·D] → [B, T·ratio, D]


class SampleMLP(keras.layers.Layer):
    """The tier that predicts one sample from the `frame_size` before it (paper, section 2.2).

    Its embedding and convolution are linear in the one-hot token, so that together they are a table of
    `frame_size` × Q rows, and the convolution is a sum of one row a position.
    """

    def __init__(self, frame_size, config, **kwargs):
        super().__init__(**kwargs)
        self.frame_size = frame_size
        self.dim = config.dim
        self.q_levels = config.q_levels
        self.emb_size = config.emb_size
        self.embedding = keras.layers.Embedding(config.q_levels, config.emb_size, name="embedding")
        self.conv = keras.layers.Conv1D(config.dim, frame_size, use_bias=False, name="inputs")
        self.hidden1 = keras.layers.Dense(config.dim, activation="relu", name="hidden1")
        self.hidden2 = keras.layers.Dense(config.dim, activation="relu", name="hidden2")
        self.logits = keras.layers.Dense(config.q_levels, name="outputs")

    def build(self, input_shape=None):
        self.embedding.build((None, None))
        self.conv.build((None, None, self.emb_size))
        for dense in (self.hidden1, self.hidden2, self.logits):
            dense.build((None, None, self.dim))

    def table(self):
        """What each token adds at each position: [frame_size, Q, D]."""
        return tf.einsum("qe,fed->fqd", self.embedding.embeddings, self.conv.kernel)

    def call(self, tokens, conditioning):
        """Tokens [B, frame_size - 1 + S] and conditioning [B, S, D] to logits [B, S, Q]."""
        length = conditioning.shape[1]
        x = conditioning
        for position, rows in enumerate(tf.unstack(self.table())):
            x += tf.gather(rows, tokens[:, position : position + length])
        return self.logits(self.hidden2(self.hidden1(x)))

    def lookup_norm_squared(self, conditioning_gradient):
        """The sum of ‖dLoss / d(embedding of one token at one place)‖² over all places, from dLoss / dconditioning.

        Args:
            conditioning_gradient: [B, S, D], which is also the gradient of the convolution's output.
        """
        batch_size, length = conditioning_gradient.shape[:2]
        shape = [batch_size, length + self.frame_size - 1, self.emb_size]
        gradient = tf.nn.conv1d_transpose(conditioning_gradient, self.conv.kernel, shape, strides=1, padding="VALID")
        return tf.reduce_sum(tf.square(gradient))

    def lookup_norm_squared_bound(self, conditioning_gradient):
        """An upper bound of `lookup_norm_squared` that costs next to nothing (Cauchy-Schwarz, twice)."""
        squares = [tf.reduce_sum(tf.square(x)) for x in (self.conv.kernel, conditioning_gradient)]
        return self.frame_size * squares[0] * squares[1]

    def folded(self, upsample_kernel):
        """The tables of generation, where the first dense kernel is folded into all that it is applied to.

        Returns the rows [frame_size·Q, D] that tokens add, and the kernel [frame_size, D, D] with which the tier
        above is to upsample its conditioning for `step`.
        """
        hidden = self.hidden1.kernel  # [D, D]
        rows = tf.reshape(tf.matmul(self.table(), hidden), [self.frame_size * self.q_levels, self.dim])
        return rows, tf.einsum("roi,op->rpi", upsample_kernel, hidden)

    def step(self, window, conditioning, rows):
        """One sample: the frame_size tokens before it [B, frame_size], folded conditioning [B, D] to logits [B, Q]."""
        indices = window + tf.range(self.frame_size) * self.q_levels
        x = conditioning + tf.reduce_sum(tf.gather(rows, indices), axis=1) + self.hidden1.bias
        return self.logits(self.hidden2(tf.nn.relu(x)))
