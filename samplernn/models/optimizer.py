"""Optimizers that step as the original's did, and the names its checkpoints give to their slots."""

from __future__ import annotations

import keras
import tensorflow as tf

from samplernn.models.model import Model
from samplernn.system.distribution import sum_over_replicas

# What Keras 3 calls a slot, and what TensorFlow 2.3's checkpoints call it.
SLOT_NAMES = {
    "adam": {"momentum": "m", "velocity": "v"},
    "sgd": {"momentum": "momentum"},
    "rmsprop": {"velocity": "rms", "momentum": "momentum"},
}


def make_optimizer(name: str, learning_rate: float, momentum: float, model: Model) -> keras.optimizers.Optimizer:
    """Build an optimizer with the original's settings, and its slots, for a model; momentum is not adam's.

    For a model that computes in float16 it scales the loss, lest small gradients vanish.
    """
    build, settings = {
        "adam": (keras.optimizers.Adam, {"epsilon": model.adam_epsilon}),
        "sgd": (keras.optimizers.SGD, {"momentum": momentum}),
        "rmsprop": (keras.optimizers.RMSprop, {"momentum": momentum, "epsilon": 1e-5}),
    }[name]
    optimizer = build(learning_rate, name=name, **settings)
    if model.compute_dtype == "float16":
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer, name=name)
    optimizer.build(model.trainable_variables)
    return optimizer


def loss_scale(optimizer: keras.optimizers.Optimizer):
    """The factor of the loss, and of the gradients that `apply_gradients` expects."""
    return optimizer.dynamic_scale.value if _scales(optimizer) else 1.0


def scaling(optimizer: keras.optimizers.Optimizer) -> dict[str, keras.Variable]:
    """The variables of loss scaling, by the names that checkpoints give them; none if there is none."""
    if not _scales(optimizer):
        return {}
    return {"loss_scale": optimizer.dynamic_scale, "steps_since_rescaled": optimizer.step_counter}


def _scales(optimizer: keras.optimizers.Optimizer) -> bool:
    return isinstance(optimizer, keras.optimizers.LossScaleOptimizer)


def slots(optimizer: keras.optimizers.Optimizer, variable: keras.Variable) -> dict[str, keras.Variable]:
    """The optimizer's variables that belong to one of the model's, by the names of TensorFlow 2.3."""
    if _scales(optimizer):
        optimizer = optimizer.inner_optimizer
    stem = f"{optimizer.name}/{variable.path.replace('/', '_')}_"
    by_path = {slot.path: slot for slot in optimizer.variables}
    names = SLOT_NAMES[optimizer.name]
    if optimizer.name != "adam" and not optimizer.momentum:
        names = {ours: theirs for ours, theirs in names.items() if ours != "momentum"}
    return {theirs: by_path[stem + ours] for ours, theirs in names.items()}  # KeyError: Keras has renamed its slots


def apply_gradients(model: Model, gradients, x) -> None:
    """Take a step of the model's optimizer, which is from `make_optimizer`; each replica calls it.

    Args:
        model: has the variables, and their rate factors.
        gradients: dense, one for each trainable variable, of the loss times `loss_scale`; of all replicas.
        x: the items of this replica's window.
    """
    # Every optimizer's steps are proportional to its rate, momentum's too.
    factors = {variable.path: model.rate_factor(variable) for variable in model.trainable_variables}
    others = [variable for variable in model.trainable_variables if factors[variable.path] != 1]
    before = [tf.identity(variable.value) for variable in others]
    _apply_to_rows(model.optimizer, gradients, model.trainable_variables, model.looked_up(x))
    for variable, value in zip(others, before):
        variable.assign(value + factors[variable.path] * (variable.value - value))


def _apply_to_rows(optimizer, gradients, variables, looked_up) -> None:
    """Take a step. Under sgd and rmsprop, rows that are looked up singly and were not keep value and slots.

    TensorFlow 2.3 updated embeddings row by row, and these two optimizers left the other rows alone; adam did not.
    """
    lazy = [] if optimizer.name == "adam" else looked_up
    rows = [sum_over_replicas(tf.cast(seen, tf.float32)) > 0 for _, seen in lazy]
    parts = [[variable, *slots(optimizer, variable).values()] for variable, _ in lazy]
    before = [[tf.identity(part.value) for part in of_variable] for of_variable in parts]
    _apply(optimizer, gradients, variables)
    for seen, of_variable, values in zip(rows, parts, before):
        for part, value in zip(of_variable, values):
            part.assign(tf.where(seen[:, None], part.value, value))


def _apply(optimizer, gradients, variables) -> None:
    """What `optimizer.apply` does, which would sum over the replicas once more."""
    if tf.distribute.get_strategy().num_replicas_in_sync == 1:
        optimizer.apply(gradients, variables)
        return

    def update(strategy, gradients):
        for gradient, variable in zip(gradients, variables):
            strategy.extended.update(
                variable.value,
                lambda part, of_part: optimizer.update_step(of_part, part, optimizer.learning_rate),
                args=(gradient,),
            )
        optimizer.iterations.assign_add(1)

    tf.distribute.get_replica_context().merge_call(update, args=(gradients,))
