"""The layers of the tiers (SampleRNN paper, section 2). B batch, S samples, T frames, D dim, Q levels.

State is an argument and a result: a tuple with one entry a recurrent layer, `(h,)` for GRU and `(h, c)` for LSTM,
each [D, B]. Nothing here remembers what it saw.

Every layer runs over a window by `call`, and over one step by `step`, which generation repeats for each sample. A step
works in columns, [features, B], with the weights of `step_weights`: transposed once, for all the steps to come.
"""

from __future__ import annotations

import math

import keras
import tensorflow as tf

from samplernn.models import recurrence
from samplernn.models.dropout import drop_channels
from samplernn.models.samplernn.networks import NETWORKS
from samplernn.models.samplernn.products import Dense, add_gains, affine, as_columns, normalized, transposed
from samplernn.system.device import has_gpu

REDUCED_SLICES = 16  # more are no faster
RNN_LAYERS = {"gru": keras.layers.GRU, "lstm": keras.layers.LSTM}
STATE_PARTS = {"gru": ["initial_state"], "lstm": ["initial_state", "initial_cell_state"]}  # where they are learned


def sum_of_squares(x):
    """The sum of the squares of a tensor's elements; on a CPU its shape is static."""
    x = tf.convert_to_tensor(x)
    if has_gpu():
        return tf.reduce_sum(tf.square(x))
    # XLA vectorises adding slices up, and not a reduction that long, which takes several times as long.
    slices = tf.unstack(tf.reshape(x, [math.gcd(x.shape.num_elements(), REDUCED_SLICES), -1]))
    return tf.reduce_sum(tf.add_n([tf.square(part) for part in slices]))


class RNNStack(keras.layers.Layer):
    """Recurrent layers on top of each other, with optional skip connections."""

    def __init__(
        self,
        rnn_type,
        dim,
        num_layers,
        skip_conn,
        dropout,
        dropout_seed,
        learned_initial_state=False,
        network=NETWORKS["prism"],
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.cell = recurrence.CELLS[rnn_type]
        self.state_parts = STATE_PARTS[rnn_type]
        self.dim = dim
        self.skip_conn = skip_conn
        self.dropout = dropout
        self.dropout_seed = dropout_seed
        self.learned_initial_state = learned_initial_state
        self.rnns = [
            RNN_LAYERS[rnn_type](
                dim,
                kernel_initializer=network.rnn,
                recurrent_initializer=network.rnn_recurrent,
                return_sequences=True,
                return_state=True,
                dtype=self.dtype_policy,
                name=f"layer_{i}",
            )
            for i in range(num_layers)
        ]
        self.skips = [
            Dense(
                dim,
                kernel_initializer="he_uniform",
                use_bias=i == 0,
                dtype=self.dtype_policy,
                name=f"layer_{i}_skip_out",
            )
            for i in range(num_layers if skip_conn else 0)
        ]

    def build(self, input_shape=None):
        for i, rnn in enumerate(self.rnns):
            rnn.build((None, None, 2 * self.dim if self.skip_conn and i == 0 else self.dim))
        for skip in self.skips:
            skip.build((None, None, self.dim))
        if self.learned_initial_state:
            shape = [len(self.rnns), self.dim]
            self.learned = [self.add_weight(name=name, shape=shape, initializer="zeros") for name in self.state_parts]

    def initial_state(self, batch_size):
        """The state before the first frame: zeros, or what is learned, the same for each row."""
        if not self.learned_initial_state:
            zeros = tf.zeros([self.dim, batch_size], self.compute_dtype)
            return tuple((zeros,) * len(self.state_parts) for _ in self.rnns)
        parts = [tf.cast(part, self.compute_dtype)[:, :, None] for part in self.learned]  # [layers, D, 1]
        of_layers = [tf.unstack(tf.repeat(part, batch_size, axis=2)) for part in parts]
        return tuple(zip(*of_layers))

    def call(self, frames, state, training=False):
        """Run over a sequence: [B, T, D] and state to [B, T, D] and the next state."""
        run = self._run_keras if has_gpu() else self._run_loop

        def run_layer(i, x, layer_state):
            if training and self.dropout:
                x = drop_channels(x, self.dropout, self.dropout_seed, rows=0)
            return run(self.rnns[i], x, layer_state)

        return self._through_layers(frames, state, run_layer, lambda i, x: self.skips[i](x), axis=2)

    def step_weights(self):
        """For each layer, those of the input's and of the state's projection; for each skip connection, its own."""

        def projections(cell):
            kernels = cell.kernel, cell.recurrent_kernel
            return [as_columns(kernel, bias, self.compute_dtype) for kernel, bias in zip(kernels, _biases(cell))]

        return [projections(rnn.cell) for rnn in self.rnns], [transposed(skip) for skip in self.skips]

    def step(self, frame, state, weights):
        """Run over one frame: [D, B] and state to [D, B] and the next state."""
        layers, skips = weights

        def run_layer(i, x, layer_state):
            projection, recurrent = layers[i]
            layer_state = self.cell(affine(projection, x), affine(recurrent, layer_state[0]), layer_state)
            return layer_state[0], layer_state

        return self._through_layers(frame, state, run_layer, lambda i, x: affine(skips[i], x), axis=0)

    def _through_layers(self, x, state, run_layer, skip, axis):
        next_state, total = [], 0.0
        if self.skip_conn:
            x = tf.concat([x, x], axis=axis)
        for i, layer_state in enumerate(state):
            x, layer_state = run_layer(i, x, layer_state)
            next_state.append(layer_state)
            if self.skip_conn:
                total += skip(i, x)
        return (total if self.skip_conn else x), tuple(next_state)

    def _run_keras(self, rnn, x, state):
        """Run a layer over [B, T, in] as Keras does, on a GPU by a cuDNN kernel."""
        outputs, *state = rnn(x, initial_state=[tf.transpose(part) for part in state])
        return outputs, tuple(tf.transpose(part) for part in state)

    def _run_loop(self, rnn, x, state):
        """Run a layer over [B, T, in] by our own loop, which does the same and is faster on a CPU."""
        bias, recurrent_bias = _biases(rnn.cell)
        rows = tf.reshape(tf.transpose(x, [1, 0, 2]), [-1, x.shape[2]])  # [B, T, in] → [T·B, in]
        projected = tf.matmul(rnn.cell.kernel, rows, transpose_a=True, transpose_b=True) + bias[:, None]  # [G·D, T·B]
        projected = tf.transpose(tf.reshape(projected, [-1, x.shape[1], x.shape[0]]), [1, 0, 2])  # [T, G·D, B]
        outputs, state = recurrence.run(self.cell, projected, rnn.cell.recurrent_kernel, recurrent_bias, state)
        return tf.transpose(outputs, [2, 0, 1]), state  # [T, D, B] → [B, T, D]


def _biases(cell):
    """The biases of the input's and of the state's projection: a GRU has both, an LSTM adds one bias to their sum."""
    if isinstance(cell, keras.layers.GRUCell):
        return tf.unstack(tf.convert_to_tensor(cell.bias))
    return cell.bias, tf.zeros_like(cell.bias)


class FrameTier(keras.layers.Layer):
    """A tier that reads frames of samples and conditions the tier below (paper, section 2.1)."""

    def __init__(self, frame_size, ratio, config, dropout_seed, **kwargs):
        """`ratio` is the number of the lower tier's steps in one frame of this tier."""
        super().__init__(**kwargs)
        self.frame_size = frame_size
        self.ratio = ratio
        self.dim = config.dim
        self.q_levels = config.q_levels
        self.weight_norm = config.weight_norm
        self.network = NETWORKS[config.network]
        self.input_dense = Dense(
            config.dim,
            config.weight_norm,
            kernel_initializer=self.network.inputs,
            dtype=self.dtype_policy,
            name="inputs",
        )
        self.rnn = RNNStack(
            config.rnn_type,
            config.dim,
            config.num_rnn_layers,
            config.skip_conn,
            config.rnn_dropout,
            dropout_seed,
            config.learned_initial_state,
            self.network,
            dtype=self.dtype_policy,
            name="rnn",
        )

    def build(self, input_shape=None):
        self.input_dense.build((None, None, self.frame_size))
        self.rnn.build()
        self.upsample_kernel = self.add_weight(
            name="upsample", shape=(self.ratio, self.dim, self.dim), initializer=self.network.upsampling
        )
        if self.network.has_upsampling_biases:
            self.upsample_bias = self.add_weight(
                name="upsample_bias", shape=(self.ratio, self.dim), initializer="zeros"
            )
        if self.weight_norm:
            axis = self.network.upsampling_gains
            self.upsample_gains = add_gains(self, self.upsample_kernel, axis, "upsample_gains")

    def initial_state(self, batch_size):
        return self.rnn.initial_state(batch_size)

    def call(self, tokens, state, conditioning=None, training=False):
        """Tokens [B, T·frame_size], conditioning [B, T, D] to conditioning [B, T·ratio, D] and the next state."""
        frames = tf.reshape(tokens, [-1, tokens.shape[1] // self.frame_size, self.frame_size])  # [B, T, frame_size]
        projected = self.input_dense(self._scaled(frames))
        frames, state = self.rnn(_add(projected, conditioning), state, training=training)
        return self._upsample(frames), state

    def effective_upsample_kernel(self):
        """[ratio, out, in]."""
        if not self.weight_norm:
            return self.upsample_kernel
        return normalized(self.upsample_kernel, self.upsample_gains, self.network.upsampling_gains)

    def step_weights(self, upsample_kernel):
        """The weights of `step`, which may upsample with another kernel [ratio, D, D] than the tier's own."""
        phases = tf.cast(self._phases(upsample_kernel), self.compute_dtype)
        has_biases = self.network.has_upsampling_biases
        biases = tf.cast(self.upsample_bias, self.compute_dtype)[:, :, None] if has_biases else None
        return transposed(self.input_dense), self.rnn.step_weights(), (phases, biases)

    def step(self, frame, state, conditioning, weights):
        """One frame of tokens [frame_size, B], conditioning [D, B] to [ratio, D, B] and the next state."""
        inputs, rnn, (phases, biases) = weights
        frame, state = self.rnn.step(_add(affine(inputs, self._scaled(frame)), conditioning), state, rnn)
        upsampled = tf.reshape(tf.matmul(phases, frame), [self.ratio, self.dim, -1])
        return _add(upsampled, biases), state

    def _scaled(self, tokens):
        return (tf.cast(tokens, tf.float32) / (self.q_levels / 2) - 1) * 2

    def _upsample(self, frames):
        # A transposed convolution whose stride is its width: one product with all the phases' kernels.
        # Of all sequences' frames, as rows: a batched product's gradient would be one kernel for each sequence.
        rows = tf.reshape(frames, [-1, self.dim])  # [B·T, D]
        kernel = tf.cast(self._phases(self.effective_upsample_kernel()), rows.dtype)
        phases = tf.matmul(rows, kernel, transpose_b=True)  # [B·T, ratio·D]
        if self.network.has_upsampling_biases:
            phases += tf.reshape(self.upsample_bias, [-1])
        return tf.reshape(phases, [-1, frames.shape[1] * self.ratio, self.dim])  # [B, T·ratio, D]

    def _phases(self, upsample_kernel):
        return tf.reshape(upsample_kernel, [self.ratio * self.dim, self.dim])


def _add(x, more):
    return x if more is None else x + more


class SampleMLP(keras.layers.Layer):
    """The tier that predicts one sample from the `frame_size` before it (paper, section 2.2).

    Its embedding and convolution are linear in the one-hot token, so that together they are a table of
    `frame_size` × Q rows, and the convolution is a sum of one row a position. That sum and its gradient, a sum over
    all samples, are always float32.

    Then come dense layers. PRiSM's first one has no activation before it; deepsound's network has a relu in its place.
    """

    def __init__(self, frame_size, config, precision, **kwargs):
        """`precision` is what the dense layers compute in."""
        super().__init__(dtype="float32", **kwargs)
        self.frame_size = frame_size
        self.dim = config.dim
        self.q_levels = config.q_levels
        self.emb_size = config.emb_size
        self.weight_norm = config.weight_norm
        network = NETWORKS[config.network]

        def hidden(name):
            of_network = {"kernel_initializer": network.hidden, "dtype": precision, "name": name}
            return Dense(config.dim, config.weight_norm, activation="relu", **of_network)

        self.embedding = keras.layers.Embedding(config.q_levels, config.emb_size, network.embedding, name="embedding")
        self.conv = keras.layers.Conv1D(
            config.dim, frame_size, use_bias=False, kernel_initializer=network.convolution, name="inputs"
        )
        self.hidden1 = hidden("hidden1") if network.has_linear_layer else None
        self.hidden2 = hidden("hidden2")
        self.logits = Dense(
            config.q_levels, config.weight_norm, kernel_initializer=network.outputs, dtype=precision, name="outputs"
        )

    def build(self, input_shape=None):
        self.embedding.build((None, None))
        self.conv.build((None, None, self.emb_size))
        for dense in filter(None, (self.hidden1, self.hidden2, self.logits)):
            dense.build((None, None, self.dim))
        if self.weight_norm:
            self.conv_gains = add_gains(self, self.conv.kernel, 2, "inputs_gains")

    def table(self):
        """What each token adds at each position: [frame_size, Q, D]."""
        return tf.matmul(self.embedding.embeddings, self._convolution())

    def _convolution(self):
        """Its effective kernel, [frame_size, emb, D]."""
        return normalized(self.conv.kernel, self.conv_gains, 2) if self.weight_norm else self.conv.kernel

    def call(self, tokens, conditioning):
        """Tokens [B, frame_size - 1 + S] and conditioning [B, S, D] to logits [B, S, Q]."""
        length = conditioning.shape[1]
        x = conditioning
        for position, rows in enumerate(tf.unstack(self.table())):
            x += tf.gather(rows, tokens[:, position : position + length])
        x = self.hidden1(x) if self.hidden1 else tf.nn.relu(x)
        return tf.cast(self.logits(self.hidden2(x)), tf.float32)

    def lookup_norm_squared(self, conditioning_gradient):
        """The sum of ‖dLoss / d(embedding of one token at one place)‖² over all places, from dLoss / dconditioning.

        Args:
            conditioning_gradient: [B, S, D], which is also the gradient of the convolution's output.
        """
        batch_size, length = conditioning_gradient.shape[:2]
        shape = [batch_size, length + self.frame_size - 1, self.emb_size]
        kernel = self._convolution()
        gradient = tf.nn.conv1d_transpose(conditioning_gradient, kernel, shape, strides=1, padding="VALID")
        return sum_of_squares(gradient)

    def lookup_norm_squared_bound(self, conditioning_gradient):
        """An upper bound of `lookup_norm_squared` that costs next to nothing (Cauchy-Schwarz, twice)."""
        return self.frame_size * sum_of_squares(self._convolution()) * sum_of_squares(conditioning_gradient)

    def step_weights(self, upsample_kernel):
        """The weights of `step`, where a dense kernel before the first relu is folded into all that it is applied to.

        Args:
            upsample_kernel: the one that makes the conditioning, [frame_size, D, D].

        Returns:
            The weights, and the folded kernel with which the conditioning of `step` is to be made.
        """
        table, bias = self.table(), tf.zeros([self.dim])
        if self.hidden1:
            hidden = tf.convert_to_tensor(self.hidden1.effective_kernel())  # [D, D]
            table, bias = tf.einsum("fqd,dp->fqp", table, hidden), self.hidden1.bias
            upsample_kernel = tf.einsum("roi,op->rpi", upsample_kernel, hidden)
        weights = tf.unstack(table), bias[:, None], transposed(self.hidden2), transposed(self.logits)
        return weights, upsample_kernel

    def step(self, window, conditioning, weights):
        """One sample: the frame_size tokens before it [frame_size, B], folded conditioning [D, B] to logits [Q, B]."""
        table, bias, hidden2, logits = weights
        x = tf.transpose(tf.cast(conditioning, tf.float32) + bias)  # [B, D], as the rows of the table
        for position, rows in enumerate(table):
            x += tf.gather(rows, window[position])
        x = tf.nn.relu(affine(hidden2, tf.transpose(tf.nn.relu(x))))
        return tf.cast(affine(logits, x), tf.float32)
