"""Checkpoints in TensorFlow's format, as PRiSM's are: written whole, restored exactly."""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from samplernn.checkpoints import bundle, foreign, run_folders
from samplernn.models.averages import PREFIX, STEPS
from samplernn.models.config import Config
from samplernn.models.model import Model
from samplernn.models.optimizer import scaling, slots
from samplernn.system.device import reason
from samplernn.system.errors import InputError, RunError

KEY_SUFFIX = "/.ATTRIBUTES/VARIABLE_VALUE"
STATE = "state/"  # and a number
SLOT = "/.OPTIMIZER_SLOT/optimizer/"
NO_WEIGHTS = ("optimizer", "save_counter", "state", "random", PREFIX.rstrip("/"))  # beginnings of keys; slots are none

log = logging.getLogger(__name__)


# --- What is in a checkpoint ---


def save(
    checkpoint: Path,
    model: Model,
    optimizer: keras.optimizers.Optimizer,
    settings: dict[str, Any],
    state: Sequence[np.ndarray] = (),
) -> None:
    """Write a checkpoint of everything that training changes, `settings` as JSON beside it.

    It is written aside and appears whole or not at all. Then it takes the place of rolling ones in its folder.

    Args:
        checkpoint: its path, from `run_folders.prefix` or `rolling_prefix`.
        model, optimizer: whose variables are written.
        settings: what is to be known beside them.
        state: the network's, in the midst of an epoch.

    Raises:
        RunError: the disk refuses.
    """
    variables = _weights(model) | _slots(model, optimizer) | model.random_state() | _scalars(optimizer)
    if model.averages:
        variables |= model.averages.by_key()
    tensors = {key: variable.value for key, variable in variables.items()}
    tensors |= {f"{STATE}{number}": tf.constant(part) for number, part in enumerate(state)}
    aside = checkpoint.with_name(f".{checkpoint.name}.part")
    try:
        aside.mkdir(exist_ok=True)
        tf.raw_ops.SaveV2(
            prefix=str(aside / checkpoint.name),
            tensor_names=[key + KEY_SUFFIX for key in tensors],
            shape_and_slices=[""] * len(tensors),
            tensors=list(tensors.values()),
        )
        (aside / f"{checkpoint.name}.json").write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
        for part in sorted(aside.iterdir(), key=lambda file: file.suffix == ".index"):
            _flush(part)
            os.replace(part, checkpoint.with_name(part.name))
        _flush(checkpoint.parent)
        run_folders.update_folder_after(checkpoint)
    except (OSError, tf.errors.OpError) as error:
        raise RunError(f"{checkpoint}: cannot be written ({reason(error)})") from None
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _flush(path: Path) -> None:
    """Have the disk hold what a file contains, or which files a folder does, whatever happens to the machine."""
    if path.is_dir() and os.name == "nt":  # which cannot open folders
        return
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def restore(checkpoint: Path, model: Model, optimizer: keras.optimizers.Optimizer | None = None) -> None:
    """Assign to a model the weights that a checkpoint holds; nothing is assigned unless they all fit.

    Args:
        checkpoint: its path; one of another program's holds weights alone.
        model: gets its weights and, for a training that goes on, the random state and the averages of weights.
        optimizer: the one of such a training; it gets its state. None where only the weights are wanted, which are
            their averages where there are any.

    Raises:
        InputError: it cannot be read, or is of a network of another shape.
    """
    if foreign.is_foreign(checkpoint):
        _restore_foreign(checkpoint, model)
        return
    weights, shapes = _weights(model), shapes_of(checkpoint)
    _check_shapes(checkpoint, weights, shapes)
    if optimizer is None:
        averaged = {key for key, variable in weights.items() if variable.trainable and STEPS in shapes}
        variables = {PREFIX + key if key in averaged else key: variable for key, variable in weights.items()}
    else:
        variables = weights | model.random_state() | _of_optimizer(checkpoint, model, optimizer, shapes)
    averages_go_on = model.averages and optimizer is not None and STEPS in shapes
    if averages_go_on:
        variables |= model.averages.by_key()
    fitting = [key for key in variables if shapes.get(key) == tuple(variables[key].shape)]  # as all weights do
    for key, value in _read(checkpoint, lambda key: key in fitting).items():
        variables[key].assign(value)
    if model.averages and not averages_go_on:
        model.averages.begin()


def _restore_foreign(checkpoint: Path, model: Model) -> None:
    variables, values = _weights(model), foreign_weights(checkpoint, model.config)
    _check_shapes(checkpoint, variables, {key: value.shape for key, value in values.items()})
    for key, value in values.items():
        variables[key].assign(value)
    if model.averages:
        model.averages.begin()


def foreign_tensors(checkpoint: Path) -> dict[str, np.ndarray]:
    """What a checkpoint of another program's holds, by the names there; InputError where it is damaged."""
    with _readable(checkpoint):
        return foreign.read(checkpoint)


def foreign_weights(checkpoint: Path, config: Config) -> dict[str, np.ndarray]:
    """The weights of a network of a config, by their keys, in a checkpoint of another program's.

    Raises:
        InputError: it cannot be read, or is of another network.
    """
    tensors = foreign_tensors(checkpoint)
    try:
        weights = config.weights_from(tensors)
    except InputError as error:
        raise InputError(f"{checkpoint} is of {error}") from None
    if not all(np.isfinite(weight).all() for weight in weights.values()):
        raise InputError(f"{checkpoint}: damaged (it has weights that are not numbers); name another one")
    return weights


def _of_optimizer(
    checkpoint: Path, model: Model, optimizer: keras.optimizers.Optimizer, shapes: dict[str, tuple[int, ...]]
) -> dict[str, keras.Variable]:
    """The optimizer's variables by their keys; none where the checkpoint holds those of another one."""
    ours = _slots(model, optimizer)
    theirs = {key: shape for key, shape in shapes.items() if SLOT in key}
    if {key: tuple(slot.shape) for key, slot in ours.items()} != theirs:
        log.warning("%s holds no state of the optimizer %s, which starts afresh.", checkpoint, optimizer.name)
        return {}
    return ours | _scalars(optimizer)


def check_whole(checkpoint: Path) -> None:
    """Read all of a checkpoint, and hold it against its checksums.

    Raises:
        InputError: it is damaged.
    """
    if foreign.is_foreign(checkpoint):
        foreign_tensors(checkpoint)
    else:
        _read(checkpoint, lambda key: True)


def read_state(checkpoint: Path, shapes: Sequence[tuple[int, ...]]) -> list[np.ndarray]:
    """The network's state in a checkpoint from the midst of an epoch.

    Args:
        checkpoint: its path.
        shapes: those of the parts.

    Raises:
        InputError: it cannot be read, or holds no state of these shapes.
    """
    found = _read(checkpoint, lambda key: key.startswith(STATE))
    state = [found.get(f"{STATE}{number}", np.zeros(0)) for number in range(len(shapes))]
    if [part.shape for part in state] != list(shapes):
        raise InputError(f"{checkpoint}: it does not hold the network's state; resume from another checkpoint")
    return state


def _weights(model: Model) -> dict[str, keras.Variable]:
    """The model's weights, those that no gradient moves after the others, by their keys."""
    ours = model.trainable_variables + model.non_trainable_weights
    return {model.checkpoint_key(variable): variable for variable in ours}


def _slots(model: Model, optimizer: keras.optimizers.Optimizer) -> dict[str, keras.Variable]:
    return {
        f"{model.checkpoint_key(variable)}{SLOT}{name}": slot
        for variable in model.trainable_variables
        for name, slot in slots(optimizer, variable).items()
    }


def _scalars(optimizer: keras.optimizers.Optimizer) -> dict[str, keras.Variable]:
    return {
        "optimizer/iter": optimizer.iterations,
        "optimizer/learning_rate": optimizer.learning_rate,
        **{f"optimizer/{name}": variable for name, variable in scaling(optimizer).items()},
    }


def _check_shapes(checkpoint: Path, weights: dict[str, keras.Variable], shapes: dict[str, tuple[int, ...]]) -> None:
    theirs = {key: shape for key, shape in shapes.items() if key.split("/")[0] not in NO_WEIGHTS and SLOT not in key}
    ours = {key: tuple(variable.shape) for key, variable in weights.items()}
    if averages := {key: shape for key, shape in shapes.items() if key.startswith(PREFIX)}:
        theirs |= averages
        trainable = [key for key, variable in weights.items() if variable.trainable]
        ours |= {STEPS: ()} | {PREFIX + key: ours[key] for key in trainable}
    for key in sorted(ours.keys() | theirs.keys()):
        if ours.get(key) != theirs.get(key):
            raise InputError(
                f"{checkpoint} is of another network than the config: {key} is {theirs.get(key, 'absent')} in the"
                f" checkpoint, {ours.get(key, 'absent')} by the config; give the config it was trained with"
            )


def shapes_of(checkpoint: Path) -> dict[str, tuple[int, ...]]:
    """The shapes of a checkpoint's tensors by their keys, without the suffix that these have in common."""
    with _readable(checkpoint):
        shapes = bundle.shapes(Path(f"{checkpoint}.index"), run_folders.shards_of(checkpoint))
        return {key.removesuffix(KEY_SUFFIX): shape for key, shape in shapes.items() if key.endswith(KEY_SUFFIX)}


def _read(checkpoint: Path, wanted: Callable[[str], bool]) -> dict[str, np.ndarray]:
    """The tensors of a checkpoint whose keys, as `_shapes` has them, are wanted."""
    keys = [key for key in shapes_of(checkpoint) if wanted(key)]  # which TensorFlow can read unharmed
    # Where TensorFlow reads, it takes a path for a pattern, in which brackets have a meaning: give it the name alone.
    # `tf.train.load_checkpoint` would follow a file `checkpoint` to wherever that points; this reads what it is given.
    with _readable(checkpoint), _working_folder(checkpoint.parent):
        reader = tf.compat.v1.train.NewCheckpointReader(checkpoint.name)
        return {key: reader.get_tensor(key + KEY_SUFFIX) for key in keys}


@contextmanager
def _working_folder(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


@contextmanager
def _readable(checkpoint: Path) -> Iterator[None]:
    try:
        yield
    except (tf.errors.OpError, OSError, ValueError, RuntimeError, LookupError) as error:
        raise InputError(
            f"{checkpoint}: damaged, or not a checkpoint ({reason(error)}); name another epoch's"
        ) from None
