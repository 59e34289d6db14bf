"""What holds for every family: `verify_contract`, in the parts that a network alone can show.

What takes a training (resuming in mid-epoch to the bit, several devices, kills) is tested of trainings.
"""

import keras
import numpy as np
import tensorflow as tf
from networks import randomized

from samplernn.corpus.data import data_of
from samplernn.generation.generator import Generator
from samplernn.models import registry
from samplernn.models.config import NO_TARGET
from samplernn.models.model import Autoencoder, AutoregressiveModel
from samplernn.models.optimizer import make_optimizer
from samplernn.options.option import as_flags, options_of
from samplernn.training.loop import as_arrays
from samplernn.training.steps import train_step

ROWS = 3
LONG = 4  # windows


def verify_contract(name, config=None):
    """Hold a family against the contract, by the name that the registry knows it by, with a tiny config of its own."""
    case = _Case(config or registry.FAMILIES[name].config.tiny())
    _check_config(name, case.config)
    _check_parameters(case)
    _check_initial_weights(case.config)
    _check_windows(case)
    _check_rows(case)
    _check_causality(case)
    _check_training(case)
    _check_mixed_precision(case)
    if isinstance(case.model, AutoregressiveModel):
        _check_generation(case)
        _check_steps(case)


class _Case:
    """A tiny network of which every weight matters, and items that it is tried on."""

    def __init__(self, config):
        self.config, self.window = config, config.window
        self.model = randomized(registry.build(config), stddev=0.3)
        generated = _read_length(config) + 2 * config.block_length
        length = self.window.left + max(LONG * self.window.length, generated) + self.window.right
        self.items = draw_items(config, [ROWS, length])

    def part(self, start, length):
        """Items from one on, with the context that they need, and the targets."""
        left, right = self.window.left, self.window.right
        x = self.items[:, start : start + left + length + right]
        return tf.constant(x), tf.constant(x[:, left : left + length])

    def nll(self, x, y, state=None):
        """In nats, and the next state; from the initial state by default."""
        state = self.model.initial_state(len(x)) if state is None else state
        outcome = self.model.forward(x, y, state, training=False)
        assert {name: tuple(value.shape) for name, value in outcome.sums.items()} == self.model.sum_shapes
        assert len({value.dtype for value in outcome.sums.values()}) == 1  # devices exchange them together
        return float(outcome.sums["nll"]), outcome.state


def draw_items(config, shape, seed=0):
    """Items of a model's data, which are whole numbers, at random."""
    padding = data_of(config).padding
    levels = round(np.exp(config.uniform_loss / max(1, padding.size)))
    return np.random.default_rng(seed).integers(0, levels, [*shape, *padding.shape]).astype(padding.dtype)


def _conditioning(case, start, length):
    """Of an autoencoder's items from one on; others have none."""
    if not isinstance(case.model, Autoencoder):
        return None
    seen = case.part(start, length)[0][:, case.window.left - case.window.right :]  # as far back as ahead
    return case.model.condition(case.model.encode(seen))


def _read_length(config):
    """The items of a seed that are read in a test, of about a window."""
    return -(-config.window.length // config.seed_multiple) * config.seed_multiple


def _only(y, rows=slice(None), positions=slice(None)):
    """Targets of which all others do not count."""
    targets = np.full_like(y, NO_TARGET)
    targets[rows, positions] = np.asarray(y)[rows, positions]
    return tf.constant(targets)


def _check_config(name, config):
    """A config comes back from its JSON, and from the flags of a search; its lengths fit each other."""
    assert registry.name_of(config) == name
    assert registry.config_from_dict(registry.config_to_dict(config)) == config
    assert config.network_differences(config) == []
    options = options_of(type(config))
    texts = {of.name: as_flags({of.name: getattr(config, of.name)})[1:] for of in options}
    parsed = {of.name: [of.values.parse(text) for text in texts[of.name]] for of in options}
    values = {of.name: tuple(parsed[of.name]) if of.values.several else parsed[of.name][0] for of in options}
    assert type(config)(**values) == config
    assert config.seed_length >= config.window.left and config.seed_multiple >= 1 and config.block_length >= 1
    padding = data_of(config).padding
    assert np.issubdtype(padding.dtype, np.signedinteger) or np.issubdtype(padding.dtype, np.floating)


def _check_parameters(case):
    """They are counted as they are; checkpoints tell all weights apart."""
    weights, keys = case.model.trainable_variables, [case.model.checkpoint_key(v) for v in case.model.weights]
    assert case.config.num_parameters == sum(int(np.prod(variable.shape)) for variable in weights)
    assert len(set(keys)) == len(keys)


def _check_initial_weights(config):
    """Each matrix is drawn by itself, by Keras's global seed, unless all its numbers are the same."""

    def initial(seed):
        keras.utils.set_random_seed(seed)
        weights = [variable.numpy() for variable in registry.build(config).trainable_variables]
        return [weight for weight in weights if weight.ndim > 1 and np.ptp(weight)]

    first, again, other = initial(0), initial(0), initial(1)
    assert all(map(np.array_equal, first, again)) and not any(map(np.array_equal, first, other))
    assert len({weight.tobytes() for weight in first}) == len(first)


def _check_windows(case):
    """Windows with the state between them are one long window, their gradients too, whose state is in the tape."""
    length, weights = case.window.length, case.model.trainable_variables
    whole, end = case.nll(*case.part(0, LONG * length))
    _assert_same_state(end, case.model.initial_state(ROWS), values=False)
    for cut in range(1, LONG):
        first, state = case.nll(*case.part(0, cut * length))
        second, state = case.nll(*case.part(cut * length, (LONG - cut) * length), state)
        np.testing.assert_allclose(first + second, whole, rtol=1e-5)
        _assert_same_state(state, end)

    def gradients(starts):
        with tf.GradientTape() as tape:
            total, state = 0.0, case.model.initial_state(ROWS)
            for start, stop in zip(starts, [*starts[1:], LONG]):
                outcome = case.model.forward(*case.part(start * length, (stop - start) * length), state, training=False)
                total, state = total + outcome.sums["nll"], outcome.state
        return tape.gradient(total, weights)

    for ours, expected in zip(gradients([0, 1, 3]), gradients([0])):
        np.testing.assert_allclose(tf.convert_to_tensor(ours), tf.convert_to_tensor(expected), rtol=1e-3, atol=1e-4)


def _assert_same_state(state, expected, values=True):
    tf.nest.assert_same_structure(state, expected)
    types = [[part.dtype for part in tf.nest.flatten(of)] for of in (state, expected)]
    assert types[0] == types[1]
    for part, other in zip(tf.nest.flatten(state), tf.nest.flatten(expected)):
        assert part.shape == other.shape and part.shape[-1] == ROWS
        if values:
            np.testing.assert_allclose(tf.cast(part, tf.float32), tf.cast(other, tf.float32), atol=1e-5)


def _check_rows(case):
    """What is in other rows, and what their state is, changes no row."""
    x, y = case.part(0, case.window.length)
    _, state = case.nll(*case.part(case.window.length, case.window.length))
    for row in range(ROWS):
        expected, _ = case.nll(x, _only(y, row), state)
        other = draw_items(case.config, x.shape[:2], seed=1)
        other[row] = x[row]
        mixed = tf.nest.map_structure(
            lambda part, first, row=row: tf.where(tf.range(ROWS) == row, part, first),
            state,
            case.model.initial_state(ROWS),
        )
        np.testing.assert_allclose(case.nll(tf.constant(other), _only(y, row), mixed)[0], expected, rtol=1e-5)


def _check_causality(case):
    """An item changes how likely those behind it are, and none before it but within the declared right context."""
    left, right, length = case.window.left, case.window.right, case.window.length
    x, y = case.part(0, length)
    behind = []
    for position in (0, length // 2, length - 2):
        changed = np.array(x)
        changed[:, left + position] = np.roll(changed[:, left + position], 1, axis=0)
        unaware = position + 1
        if codes := case.config.codes:  # what is not aware of an item ends with a hop
            unaware = (position - right) // codes.hop * codes.hop
        before = _only(y, positions=slice(0, max(0, unaware)))
        np.testing.assert_allclose(case.nll(tf.constant(changed), before)[0], case.nll(x, before)[0], rtol=1e-6)
        after = _only(y, positions=slice(position + 1, None))
        behind.append(abs(case.nll(tf.constant(changed), after)[0] - case.nll(x, after)[0]))
    assert max(behind) > 1e-4


def _check_training(case):
    """A row that is reset goes on as one that begins, others as they were; a few steps learn."""
    model, (x, y) = case.model, case.part(0, case.window.length)
    model.compile(optimizer=make_optimizer("sgd", 0.0, 0.0, model))
    step, fresh = train_step(model), model.initial_state(ROWS)
    nobody, second = tf.zeros([ROWS], tf.bool), tf.range(ROWS) == 1

    def next_state(reset, state):
        before = [variable.numpy() for variable in model.weights]
        *_, state = step(x, y, reset, state)
        for variable, value in zip(model.weights, before):  # of which updates move some
            variable.assign(value)
        return state

    used = next_state(nobody, fresh)
    of_fresh, of_used, of_both = (next_state(*given) for given in ((nobody, fresh), (nobody, used), (second, used)))
    expected = tf.nest.map_structure(lambda new, old: tf.where(second, new, old), of_fresh, of_used)
    _assert_same_state(of_both, expected)

    model.optimizer.learning_rate.assign(0.3)
    losses = []
    for _ in range(30):
        sums, norm, _ = step(x, y, nobody, fresh)
        measures = model.measures(as_arrays(sums))
        assert {"loss", "accuracy"} <= measures.keys()
        assert all(type(value) in (int, float) for value in measures.values())
        losses.append(measures["loss"])
        assert 0 < float(norm) < np.inf
    assert np.mean(losses[-5:]) < np.mean(losses[:5])


def _check_mixed_precision(case):
    """Rounded products change little in what a window is, and in the state behind what is read."""
    mixed = registry.build(case.config, "mixed_bfloat16")
    for variable, exact in zip(mixed.weights, case.model.weights):
        variable.assign(exact)
    x, y = case.part(0, case.window.length)
    sums = mixed.forward(x, y, mixed.initial_state(ROWS), training=False).sums
    np.testing.assert_allclose(sums["nll"], case.nll(x, y)[0], rtol=0.02)
    if isinstance(mixed, AutoregressiveModel):
        read = _read_length(case.config)
        items, given = tf.constant(case.items[:, : case.window.left + read]), _conditioning(case, 0, read)
        states = [tf.nest.flatten(model.read(items, model.initial_state(ROWS), given)) for model in (mixed, case.model)]
        for part, exact in zip(*states):
            np.testing.assert_allclose(tf.cast(part, tf.float32), tf.cast(exact, tf.float32), atol=0.1)


def _check_generation(case):
    """Drawing the true items finds them as likely as a window does, block by block, from a state that was read too."""
    block, left = case.config.block_length, case.window.left
    read = _read_length(case.config)
    given = _conditioning(case, 0, read)
    state = case.model.read(tf.constant(case.items[:, : left + read]), case.model.initial_state(ROWS), given)
    _assert_same_state(state, case.nll(*case.part(0, read))[1])
    context, drawn = tf.constant(case.items[:, read : read + left]), []
    for start in range(read + left, read + left + 2 * block, block):

        def draw(logits, position, start=start):
            item = case.items[:, start + int(position)]
            drawn.append(_nll_of(logits, item))
            return tf.constant(item)

        given = _conditioning(case, start - left, block)
        items, state = case.model.generate_block(context, state, draw, case.model.step_weights(), given)
        np.testing.assert_array_equal(items, case.items[:, start : start + block])
        context = tf.concat([context, items], axis=1)[:, -left:]
    _, state = case.nll(*case.part(0, read))
    expected, _ = case.nll(*case.part(read, 2 * block), state)
    np.testing.assert_allclose(sum(drawn), expected, rtol=1e-5)

    generator, seed = Generator(case.model), case.items[0, : left + read]
    first, second = (_greedy(generator, seed, read, 3 * block) for _ in range(2))
    assert first.shape[:2] == (1, 3 * block)
    np.testing.assert_array_equal(first, second)


def _check_steps(case):
    """Predicting item by item finds the true items as likely as a window does, and leaves the same state behind."""
    model, left, length = case.model, case.window.left, _read_length(case.config)
    _, state = case.nll(*case.part(0, length))
    weights, handed_on, predicted = model.step_weights(), model.begin_steps(state), 0.0
    conditioning = _conditioning(case, length, length)
    for position in range(length):
        at = length + position
        given = None
        if conditioning is not None:
            given = conditioning[:, position * conditioning.shape[1] // length][:, None]
        logits, handed_on = model.step(tf.constant(case.items[:, at : at + left]), handed_on, position, weights, given)
        predicted += _nll_of(logits, case.items[:, at + left])
    expected, end = case.nll(*case.part(length, length), state)
    np.testing.assert_allclose(predicted, expected, rtol=1e-5)
    _assert_same_state(model.end_steps(handed_on), end)


def _nll_of(logits, items):
    return float(tf.reduce_sum(tf.nn.sparse_softmax_cross_entropy_with_logits(items.astype(np.int32), logits)))


def _greedy(generator, seed, read, length):
    """The likeliest items behind those read of a seed; of an autoencoder by codes at random."""
    of_seed, rest, of = None, None, generator.model.config.codes
    if of:
        codes = np.random.default_rng(0).integers(0, of.levels, [1, (read + length) // of.hop + 2 * of.reach])
        of_seed, rest = codes[:, : read // of.hop + 2 * of.reach], iter([codes[:, read // of.hop :]])
    state = generator.read(seed, of_seed)
    return np.concatenate(list(generator(seed[None, read:], length, [1e-6], [[0]], state, codes=rest)), axis=1)
