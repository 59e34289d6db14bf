"""The contract of a family: every one of the registry keeps it, and so does a toy; whoever breaks it is found out."""

import numpy as np
import pytest
import tensorflow as tf
from contract import verify_contract
from toy import Toy, ToyConfig

from samplernn.models import registry
from samplernn.models.optimizer import make_optimizer
from samplernn.training import steps


@pytest.fixture(autouse=True)
def with_toy(monkeypatch):
    monkeypatch.setitem(registry.FAMILIES, "toy", registry.Family(ToyConfig, "toy:Toy"))


FAMILIES = [pytest.param(name, marks=[pytest.mark.long] * (name == "amae")) for name in registry.FAMILIES]  # as vqvae


@pytest.mark.parametrize("name", [*FAMILIES, "toy"])
def test_the_contract_is_kept(short_turns, name):
    verify_contract(name)


PLAIN = {name: getattr(Toy, name) for name in ("call", "forward", "read", "step", "generate_block")}


def sees_its_target(self, x, y, state, training):
    return PLAIN["forward"](self, tf.concat([x[:, 1:], x[:, -1:]], axis=1), y, state, training)


def forgets(self, before, state):
    return PLAIN["call"](self, before, state)[0], state


def hears_other_rows(self, before, state):
    logits, state = PLAIN["call"](self, before, state)
    return logits + tf.reduce_mean(state["heard"]), state | {"heard": state["heard"] + tf.reduce_mean(state["heard"])}


def hides_the_state_from_tapes(self, before, state):
    return PLAIN["call"](self, before, tf.nest.map_structure(tf.stop_gradient, state))


def changes_the_type_of_its_state(self, x, y, state, training):
    outcome = PLAIN["forward"](self, x, y, state, training)
    return outcome._replace(state=outcome.state | {"odd": tf.cast(outcome.state["odd"], tf.int32)})


def reads_too_little(self, items, state, conditioning=None):
    return PLAIN["read"](self, items[:, :-1], state)


def generates_without_memory(self, context, state, draw, weights=None, conditioning=None):
    block, _ = PLAIN["generate_block"](self, context, state, draw, weights, conditioning)
    return block, state


def steps_without_memory(self, before, handed_on, position, weights=None, conditioning=None):
    return PLAIN["step"](self, before, handed_on, position)[0], handed_on


def moves_uphill(self, x, y, state, training):
    outcome = PLAIN["forward"](self, x, y, state, training)
    return outcome._replace(loss=-outcome.loss)


@pytest.mark.parametrize(
    ("method", "wrong"),
    [
        ("forward", sees_its_target),
        ("call", forgets),
        ("call", hears_other_rows),
        ("call", hides_the_state_from_tapes),
        ("forward", changes_the_type_of_its_state),
        ("forward", moves_uphill),
        ("read", reads_too_little),
        ("generate_block", generates_without_memory),
        ("step", steps_without_memory),
        ("checkpoint_key", lambda self, variable: "weight"),
    ],
)
def test_a_network_that_breaks_it_is_found_out(monkeypatch, method, wrong):
    monkeypatch.setattr(Toy, method, wrong)
    with pytest.raises(AssertionError):
        verify_contract("toy")


def test_a_step_that_resets_no_row_is_found_out(monkeypatch):
    monkeypatch.setattr(steps, "_reset_rows", lambda model, state, reset: state)
    with pytest.raises(AssertionError):
        verify_contract("toy")


def test_a_config_that_miscounts_is_found_out(monkeypatch):
    monkeypatch.setattr(ToyConfig, "parameters", {"table": 1})
    with pytest.raises(AssertionError):
        verify_contract("toy")


def test_each_variable_has_its_rate_and_what_no_gradient_moves_is_updated_once_a_step():
    model = registry.build(ToyConfig.tiny())
    items = tf.constant(np.random.default_rng(0).integers(0, 8, [2, 25]), tf.int32)
    model.compile(optimizer=make_optimizer("sgd", 0.5, 0.0, model))
    before = [variable.numpy() for variable in model.trainable_variables]
    step, y = steps.train_step(model), items[:, 1:]
    with tf.GradientTape() as tape:
        loss = model.forward(items, y, model.initial_state(2), training=False).loss
    gradients = tape.gradient(loss, model.trainable_variables)
    model.forward, plain = lambda x, y, state, training: plain(x, y, state, training=False), model.forward
    for _ in range(2):
        step(items, y, tf.constant([True, True]), model.initial_state(2))
        if before:
            for variable, value, gradient, factor in zip(model.trainable_variables, before, gradients, (0.5, 1.0)):
                expected = value - 0.5 * factor * tf.convert_to_tensor(gradient).numpy()
                np.testing.assert_allclose(variable, expected, atol=1e-6)
            before = None
    np.testing.assert_array_equal(model.counts, 2 * np.bincount(np.ravel(y), minlength=8))
