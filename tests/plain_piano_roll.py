"""A piano-roll LSTM as RNN4Music's description has it, one tune and one step after the other, in double precision."""

import numpy as np

EPSILON = 1e-5  # of finite differences


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def plain_weights(model):
    """Those of the network, by their keys in checkpoints."""
    return {model.checkpoint_key(variable): variable.numpy().astype(np.float64) for variable in model.weights}


def plain_probabilities(config, weights, roll):
    """Of each value of each note at each step [T, N, V], given the steps before."""
    sizes, values = config.layer_sizes, config.values
    state, probabilities = [(np.zeros(size), np.zeros(size)) for size in sizes], []
    for before in [np.zeros(config.num_notes), *roll[:-1]]:
        x = np.concatenate([before >= value for value in range(1, values)]).astype(float)
        below, outputs = np.zeros(0), np.copy(weights["notes/bias"])
        for layer, size in enumerate(sizes):
            (h, c), name, first = state[layer], f"layer_{layer + 1}", sum(sizes[:layer])
            of_gates = np.concatenate([x, below]) @ weights[f"{name}/kernel"] + h @ weights[f"{name}/recurrent_kernel"]
            i, f, candidate, o = np.split(of_gates, 4)
            biases, peepholes = weights[f"{name}/gate_biases"], weights[f"{name}/peepholes"]
            candidate = candidate + weights[f"{name}/candidate_bias"]
            i, f = sigmoid(i + biases[0] + peepholes[0] * c), sigmoid(f + biases[1] + peepholes[1] * c)
            c = f * c + i * np.tanh(candidate)
            if config.cell_clip is not None:
                c = np.clip(c, -config.cell_clip, config.cell_clip)
            seen = candidate if layer == 0 and config.peephole == "original" else c
            h = sigmoid(o + biases[2] + peepholes[2] * seen) * np.tanh(c)
            state[layer], below = (h, c), h
            outputs += h @ weights["notes/kernel"][first : first + size]
        logits = np.stack([np.zeros(config.num_notes), *np.split(outputs, values - 1)], axis=-1)
        exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
        probabilities.append(exponentials / exponentials.sum(axis=-1, keepdims=True))
    return np.array(probabilities)


def plain_cost(config, weights, rolls):
    """What is minimised of tunes, a mean over their steps."""
    total = 0.0
    for roll in rolls:
        true = np.eye(config.values)[roll]
        predicted = plain_probabilities(config, weights, roll)
        if config.cost == "squared error":
            total += np.square(predicted - true)[..., 1:].sum() / 2
        else:
            total -= (true * np.log(predicted)).sum()
    penalty = sum(np.abs(weight).sum() for key, weight in weights.items() if "bias" not in key)
    return total / sum(map(len, rolls)) + config.l1 * penalty


def plain_gradients(config, weights, rolls):
    """By finite differences."""
    gradients = {key: np.zeros_like(weight) for key, weight in weights.items()}
    for key, weight in weights.items():
        for place in np.ndindex(weight.shape):
            costs = []
            for sign in (1, -1):
                moved = weight.copy()
                moved[place] += sign * EPSILON
                costs.append(plain_cost(config, weights | {key: moved}, rolls))
            gradients[key][place] = (costs[0] - costs[1]) / (2 * EPSILON)
    return gradients


def plain_descent(config, weights, batches, rate):
    """The weights after gradient descent over batches of tunes, as a loop."""
    parts = [*(f"layer_{number}" for number in range(1, len(config.layer_sizes) + 1)), "notes"]
    for rolls in batches:
        for _ in range(config.passes_per_batch):
            gradients = plain_gradients(config, weights, rolls)
            for key, gradient in gradients.items():
                factor = dict(zip(parts, config.layer_rates * (len(parts) if len(config.layer_rates) == 1 else 1)))[
                    key.split("/")[0]
                ]
                limit = config.gradient_clip
                weights = weights | {key: weights[key] - rate * factor * np.clip(gradient, -limit, limit)}
    return weights
