"""Train as train.py does and record what happened; a process of its own, for TensorFlow's devices are set only once.

Its argument is a JSON file: `devices`, the number of logical CPUs; `record`, the path of a pickle; and `runs`, each
with `options` of train.py's and a `clip_norm`. The pickle gets, for each run, the `losses` of its steps, the `logs` of
its epochs, the `files` that were read, and the `weights`, the model's variables and the optimizer's.
"""

import functools
import json
import os
import pickle
import sys
from pathlib import Path

os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
sys.path.insert(0, str(Path(__file__).parent.parent))

import keras
import tensorflow as tf
from toy import ToyConfig

from samplernn.commands import cli
from samplernn.corpus import tokens
from samplernn.models import registry
from samplernn.models.samplernn import model as network
from samplernn.options.train import TrainingOptions
from samplernn.system.device import import_tensorflow
from samplernn.training import train as training


def main() -> None:
    import_tensorflow()
    registry.FAMILIES["toy"] = registry.Family(ToyConfig, "toy:Toy")
    settings = json.loads(Path(sys.argv[1]).read_text())
    devices = settings["devices"]
    cpus = [tf.config.LogicalDeviceConfiguration()] * devices
    tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], cpus)
    training.choose_strategy = functools.cache(training.choose_strategy)  # a process joins its cluster once
    if devices > 1:
        tf.distribute.experimental_set_strategy(tf.distribute.MirroredStrategy([f"CPU:{i}" for i in range(devices)]))
    records = [recorded(**run) for run in settings["runs"]]
    Path(settings["record"]).write_bytes(pickle.dumps(records))


def recorded(options: dict, clip_norm: float) -> dict:
    record = {"losses": [], "logs": [], "files": set()}

    def fit(model, *args, fit=training.fit):
        *args, callbacks, progress = args
        before = dict(progress.sums)  # of the epoch

        def end_step(step, logs):
            of_step = {name: value - (before[name] if step else 0) for name, value in progress.sums.items()}
            record["losses"].append(model.measures(of_step)["loss"])
            before.update(progress.sums)

        recorder = keras.callbacks.LambdaCallback(
            on_train_batch_end=end_step, on_epoch_end=lambda epoch, logs: record["logs"].append(dict(logs))
        )
        fit(model, *args, [recorder, *callbacks], progress)
        variables = {variable.path: variable for variable in model.variables + model.optimizer.variables}
        variables |= model.averages.by_key() if model.averages else {}
        record["weights"] = {path: variable.numpy() for path, variable in variables.items()}

    def read_mono(path, *args, read_mono=tokens.read_mono):
        record["files"].add(Path(path).name)
        return read_mono(path, *args)

    before = training.fit, tokens.read_mono, network.CLIP_NORM
    training.fit, tokens.read_mono, network.CLIP_NORM = fit, read_mono, clip_norm
    try:
        training.train(TrainingOptions(**options))
    finally:
        training.fit, tokens.read_mono, network.CLIP_NORM = before
    return record


if __name__ == "__main__":
    cli.run(main)
