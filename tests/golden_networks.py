"""The networks that the original's numbers were recorded from."""

from conftest import GOLDEN

from samplernn.checkpoints import store as checkpoints
from samplernn.checkpoints.settings import model_config
from samplernn.models.samplernn.model import SampleRNN


def load_network(name, epoch=1):
    """A set's network with the weights of its checkpoint."""
    checkpoint = GOLDEN / name / f"model.ckpt-{epoch}"
    model = SampleRNN(model_config(checkpoint, None))
    checkpoints.restore(checkpoint, model)
    return model
