"""Clips that a tiny model generates."""

import json

import numpy as np
import tensorflow as tf
from conftest import GOLDEN

from samplernn.corpus.seed import Context
from samplernn.generation.generate import generate_files, match_temperatures
from samplernn.generation.generator import Generator
from samplernn.generation.level import Level
from samplernn.models.samplernn.config import SampleRNNConfig
from samplernn.models.samplernn.model import SampleRNN
from samplernn.options.generate import GenerationOptions

CHECKPOINT = GOLDEN / "gru" / "model.ckpt-1"
SILENCE = Context(np.full(16, 128, np.int32))


def tiny(precision="float32", **config):
    """A model whose weights are large enough to make every part matter, biases too."""
    config = {"seq_len": 48, "frame_sizes": (4, 16), "dim": 8, "num_rnn_layers": 2, **config}
    model = SampleRNN(SampleRNNConfig(**config), precision)
    for i, variable in enumerate(model.trainable_variables):
        variable.assign(tf.random.stateless_normal(variable.shape, [i, 0], stddev=0.3))
    return model


def files(tmp_path, temperature, name="out.wav", model=None, context=SILENCE, **options):
    """The files that a tiny model generates, under the golden checkpoint's name."""
    options = GenerationOptions(
        **{"checkpoint_path": ("",), "num_seqs": len(temperature), "dur": 0.01, "sample_rate": 16000, "random_seed": 0}
        | {"output_path": str(tmp_path / name), "temperature": tuple(temperature), **options}
    )
    level = Level(
        Generator(model or tiny(), options.jit_compile),
        context,
        match_temperatures(options.temperature, options.num_seqs),
        options.random_seed,
        options.sample_rate,
    )
    return generate_files(level, [CHECKPOINT], options)


def said_of(path):
    return json.loads(path.with_suffix(".json").read_text())
