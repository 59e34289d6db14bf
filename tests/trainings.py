"""What tests of trainings share: what a training has left, and callbacks that look into it or stop it."""

import signal
from pathlib import Path

import keras
import toy

from samplernn.checkpoints import run_folders
from samplernn.training import loop
from samplernn.training import train as training


def runs(options):
    """The run folders, oldest first."""
    return sorted(Path(options.logdir_root, options.id).iterdir(), key=lambda folder: folder.stat().st_mtime)


def epochs_saved(run):
    return sorted(run_folders.epoch_of(index.with_suffix("")) for index in run.glob("model.ckpt-*.index"))


def multiply_losses(monkeypatch, factor, network=toy):
    """Have the losses of a family, by the module of its network, be so many times as large as they are."""
    plain = network.categorical

    def spoiled(*given):
        sums = plain(*given)
        return sums | {"nll": sums["nll"] * factor}

    monkeypatch.setattr(network, "categorical", spoiled)


class StopAt(keras.callbacks.Callback):
    """Sends this process a signal at a step of the training or, negative, of the validation, of an epoch from 0."""

    def __init__(self, epoch, step, number=signal.SIGINT):
        super().__init__()
        self.place, self.number = (epoch, step), number

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        self._look(batch)

    def on_test_batch_end(self, batch, logs=None):
        self._look(-1 - batch)

    def _look(self, step):
        if (self.epoch, step) == self.place:
            signal.raise_signal(self.number)


def with_callback(monkeypatch, callback):
    """Have `train` use one more callback, before its own; and its losses, of each step, in the list returned."""
    losses, plain = [], loop.fit

    def fit(*args):
        *args, callbacks, progress = args
        record = keras.callbacks.LambdaCallback(on_train_batch_end=lambda step, logs: losses.append(logs["loss"]))
        plain(*args, [*filter(None, [callback]), record, *callbacks], progress)

    monkeypatch.setattr(training, "fit", fit)
    return losses
