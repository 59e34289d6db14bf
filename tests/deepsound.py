"""The networks of samplernn-pytorch that numbers were recorded from, as configs and networks of ours."""

import json
import math

import numpy as np
from conftest import GOLDEN

from samplernn.checkpoints import store as checkpoints
from samplernn.models.samplernn.config import SampleRNNConfig
from samplernn.models.samplernn.model import SampleRNN

NAMES = ["deepsound-2tier", "deepsound-3tier", "deepsound-4tier"]
FILES = ["ep1-it1", "legacy-ep1-it1"]
BIT = math.log(2)  # nats


def config_of(name):
    """There, frame sizes count frames of the tier below."""
    settings = json.loads((GOLDEN / name / "settings.json").read_text())
    return {
        "network": "deepsound",
        "frame_sizes": np.cumprod(settings["frame_sizes"]).tolist(),
        "num_rnn_layers": settings["n_rnn"],
        "learned_initial_state": settings["learn_h0"],
        **{key: settings[key] for key in ("dim", "q_levels", "seq_len", "weight_norm")},
    }


def load_network(name, file="ep1-it1"):
    model = SampleRNN(SampleRNNConfig.from_dict(config_of(name)))
    checkpoints.restore(GOLDEN / name / file, model)
    return model
