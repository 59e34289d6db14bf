"""A step of training and of validation, as the devices compute it."""

from __future__ import annotations

from functools import partial
from typing import Any

import tensorflow as tf

from samplernn.models import registry
from samplernn.models.config import NO_TARGET, Config
from samplernn.models.model import Model
from samplernn.models.optimizer import apply_gradients, loss_scale, make_optimizer
from samplernn.options.train import TrainingOptions
from samplernn.system.device import use_xla
from samplernn.system.distribution import sum_over_replicas


def model_to_train(config: Config, options: TrainingOptions) -> Model:
    """A network with new weights, an optimizer, and whether XLA compiles its steps."""
    model = registry.build(config, options.precision)
    optimizer = make_optimizer(options.optimizer, options.learning_rate, options.momentum, model)
    # Keras's callbacks find the optimizer in the model; so does our loop, which asks for XLA there too.
    model.compile(optimizer=optimizer, jit_compile=use_xla(options.jit_compile, cudnn=model.has_cudnn_kernels))
    return model


def initial_state(model: Model, batch_size: int) -> Any:
    """The state of each replica's rows before a recording's first item."""
    strategy = model.distribute_strategy
    rows = batch_size // strategy.num_replicas_in_sync
    return strategy.experimental_distribute_values_from_function(lambda _: model.initial_state(rows))


def train_step(model: Model):
    """The compiled function that learns from a batch of windows.

    It takes x, y, reset [B], which are a batch of the loader's, and the state, of each replica the rows that are its
    own, and returns the sums over the whole batch, the gradients' norm before clipping, and the next state.
    """

    def step(x, y, reset, state, compiled):
        scale, share = loss_scale(model.optimizer), _share_of_targets(y)

        @compiled
        def differentiate(state):
            with tf.GradientTape() as tape:
                outcome = model.forward(x, y, _reset_rows(model, state, reset), training=True)
                loss = outcome.loss * share * scale
            of = [model.trainable_variables, outcome.watched]
            return *tape.gradient(loss, of, unconnected_gradients="zero"), *outcome[1:4]

        gradients, at_watched, sums, state, updates = differentiate(state)
        gradients, sums, updates = sum_over_replicas((gradients, sums, updates))
        gradients, norm = model.clip(gradients, at_watched, scale)
        apply_gradients(model, gradients, x)
        model.apply_updates(updates)
        if model.averages:
            model.averages.update()
        return sums, norm / scale, state

    return _on_replicas(model, step)


def validation_step(model: Model):
    """As `train_step`, but nothing is learnt, dropout is off, and there is no norm."""

    def step(x, y, reset, state, compiled):
        @compiled
        def predict(state):
            outcome = model.forward(x, y, _reset_rows(model, state, reset), training=False)
            return outcome.sums, outcome.state

        sums, state = predict(state)
        return sum_over_replicas(sums), state

    return _on_replicas(model, step)


def _on_replicas(model: Model, step):
    """The compiled function that runs a step on each replica; all it returns but the state is the same on all.

    XLA compiles a step whole where there is one replica. It cannot compile what replicas exchange: where there are
    several, the step is given what compiles the part that it hands to it, if the model exchanges nothing in there.
    """
    strategy = model.distribute_strategy
    function = partial(tf.function, autograph=False)
    whole, compiled = function, lambda part: part
    if strategy.num_replicas_in_sync == 1:
        whole = partial(function, jit_compile=model.jit_compile)
    elif model.jit_compile and not model.exchanges:
        compiled = partial(function, jit_compile=True)

    def of_one(result):
        return strategy.experimental_local_results(result)[0]

    @whole
    def on_replicas(x, y, reset, state):
        *results, state = strategy.run(step, (x, y, reset, state, compiled))
        return *tf.nest.map_structure(of_one, results), state

    return on_replicas


def _share_of_targets(y):
    """What part of the batch's targets a replica has: the mean over all of them is what is to be minimised."""
    if tf.distribute.get_strategy().num_replicas_in_sync == 1:
        return 1.0
    here = tf.reduce_sum(tf.cast(y != NO_TARGET, tf.float32))
    return here / sum_over_replicas(here)


def _reset_rows(model: Model, state, reset):
    """Give the rows, bool [B], that start a recording the initial state; it may be learnt, so tapes see this."""
    initial = model.initial_state(reset.shape[0])
    return tf.nest.map_structure(lambda part, first: tf.where(reset, first, part), state, initial)
