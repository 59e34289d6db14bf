"""Networks that tests make: of weights at random, and their checkpoints."""

import tensorflow as tf

from samplernn.checkpoints import store
from samplernn.models.optimizer import make_optimizer
from samplernn.models.registry import config_to_dict


def randomized(model, seed=0, stddev=0.5):
    """The network, with weights that are large enough for each to matter, biases too."""
    for number, variable in enumerate(model.trainable_variables):
        variable.assign(tf.random.stateless_normal(variable.shape, [number, seed], stddev=stddev))
    return model


def saved(model, path, **settings):
    """The path of a new checkpoint of the network; settings are what its JSON says beside the config."""
    path.parent.mkdir(exist_ok=True)
    store.save(path, model, make_optimizer("sgd", 0.1, 0.0, model), {"config": config_to_dict(model.config)} | settings)
    return path
