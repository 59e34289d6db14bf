"""WaveNet as the paper has it, one token after the other, slowly."""

import numpy as np

from samplernn.audio.quantize import quantizer


def plain_logits(model, tokens, condition=lambda number, position: 0):
    """Logits [n, Q] of each token of one file, by a loop in which every block looks up what it heard before.

    Args:
        model: the WaveNet.
        tokens: [n].
        condition: what is added before the gate of a block, by its number and the token's.
    """
    config = model.config
    weights = {variable.path.split("/", 1)[1]: variable.numpy() for variable in model.trainable_variables}
    levels = quantizer(config.q_type, config.q_levels)
    heard, logits = [[] for _ in config.dilations], []
    for position, before in enumerate([levels.zero, *tokens[:-1]]):
        if config.input_format == "one-hot":
            x = weights["input/embeddings"][before]
        else:
            x = levels.decode(np.array([before])) @ weights["input/kernel"] + weights["input/bias"]
        total = 0
        for number, dilation in enumerate(config.dilations):
            of_block = {name: weights[f"block_{number}/{name}"] for name in ("kernel", "bias", "output_kernel")}
            heard[number].append(x)
            convolved = of_block["bias"] + condition(number, position)
            for tap, kernel in enumerate(of_block["kernel"]):
                ago = (config.filter_length - 1 - tap) * dilation
                if ago < len(heard[number]):
                    convolved = convolved + heard[number][-1 - ago] @ kernel
            filtered, gate = convolved[: config.inner_size], convolved[config.inner_size :]
            z = np.tanh(filtered) / (1 + np.exp(-gate))
            leaving = z @ of_block["output_kernel"] + weights[f"block_{number}/output_bias"]
            total = total + leaving[-config.skip_size :]
            x = x + leaving[: config.residual_size] if number + 1 < len(config.dilations) else None
        hidden = np.maximum(np.maximum(total, 0) @ weights["output/hidden_kernel"] + weights["output/hidden_bias"], 0)
        logits.append(hidden @ weights["output/kernel"] + weights["output/bias"])
    return np.array(logits)
