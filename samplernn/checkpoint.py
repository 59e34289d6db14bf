"""Checkpoints in TensorFlow's format under PRiSM's keys: save, rotate, find, restore exactly.

A checkpoint is `model.ckpt-N.data-00000-of-00001`, `model.ckpt-N.json` (its settings, which PRiSM's lack) and
`model.ckpt-N.index`, which is written last: without it there is no checkpoint.
"""

from __future__ import annotations

import glob
import json
import logging
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from samplernn.config import InputError, ModelConfig, RunError, read_json, write_whole
from samplernn.device import reason
from samplernn.optimizer import scaling, slots

RUN_FOLDER_FORMAT = "%d.%m.%Y_%H.%M.%S"
KEY_SUFFIX = "/.ATTRIBUTES/VARIABLE_VALUE"
SLOT = "/.OPTIMIZER_SLOT/optimizer/"
EMBEDDINGS = "sample_mlp/embedding/embeddings"

log = logging.getLogger(__name__)


# --- Where checkpoints are ---


def create_run_folder(parent: Path) -> Path:
    """Create a folder named after this second, or after the next that is free."""
    moment = datetime.now()
    parent.mkdir(parents=True, exist_ok=True)
    while True:
        folder = parent / moment.strftime(RUN_FOLDER_FORMAT)
        try:
            folder.mkdir()
            return folder
        except FileExistsError:
            moment += timedelta(seconds=1)


def prefix(run_folder: Path, epoch: int) -> Path:
    """The path of a checkpoint, which its files' names begin with."""
    return run_folder / f"model.ckpt-{epoch}"


def epoch_of(checkpoint: Path) -> int:
    """The epoch that a checkpoint's name ends in; 0 where it names none."""
    number = re.search(r"-(\d+)$", checkpoint.name)
    return int(number[1]) if number else 0


def latest(parent: Path) -> Path | None:
    """The last checkpoint of the newest run folder below `parent` that holds a complete one."""
    dated = []
    for folder in parent.iterdir() if parent.is_dir() else ():
        try:
            dated.append((datetime.strptime(folder.name, RUN_FOLDER_FORMAT), folder))
        except ValueError:
            continue
    for _, folder in sorted(dated, reverse=True):
        if found := latest_in(folder):
            return found
    return None


def latest_in(run_folder: Path) -> Path | None:
    """The complete checkpoint with the highest number in a folder."""
    return max(_complete_in(run_folder), key=epoch_of, default=None)


def resolve(path: str) -> Path:
    """Find the checkpoint that a user means by its prefix, one of its files, its run folder, or the folder of runs.

    Raises:
        InputError: there is none, or a part of it is missing.
    """
    given = Path(path)
    if given.is_dir():
        if found := latest_in(given) or latest(given):
            return found
        raise InputError(f"{path}: no complete checkpoint (model.ckpt-N.index, model.ckpt-N.data-…) in this folder")
    checkpoint = given.with_name(re.sub(r"(?<=.)\.(index|json|data-\d{5}-of-\d{5})$", "", given.name))
    if _is_complete(checkpoint):
        return checkpoint
    parts = [file.name for file in _files_of(checkpoint)]
    if parts:
        raise InputError(f"{checkpoint}: incomplete checkpoint, only {', '.join(parts)} is there; name another epoch's")
    others = [str(epoch_of(other)) for other in _complete_in(checkpoint.parent)]
    hint = f"; there are epochs {', '.join(others)}" if others else ""
    raise InputError(f"{path}: there is no such checkpoint{hint}")


def _complete_in(run_folder: Path) -> list[Path]:
    checkpoints = (index.with_suffix("") for index in run_folder.glob("*-*.index"))
    return sorted((path for path in checkpoints if _is_complete(path)), key=epoch_of)


def _is_complete(checkpoint: Path) -> bool:
    shards = _files_of(checkpoint, "data-*-of-*")
    return Path(f"{checkpoint}.index").is_file() and bool(shards) and shards[0].name.endswith(f"-of-{len(shards):05}")


def weight_files(checkpoint: Path) -> list[Path]:
    """The files that hold what is in a checkpoint, in the order of their names: the data, then the index."""
    return [*_files_of(checkpoint, "data-*-of-*"), Path(f"{checkpoint}.index")]


def _files_of(checkpoint: Path, suffix: str = "*") -> list[Path]:
    return sorted(checkpoint.parent.glob(f"{glob.escape(checkpoint.name)}.{suffix}"))


# --- What is beside a checkpoint ---


def read_settings(checkpoint: Path) -> dict[str, Any] | None:
    """The JSON that `save` was given; None for a checkpoint of PRiSM's.

    Raises:
        InputError: it is there but cannot be read.
    """
    path = Path(f"{checkpoint}.json")
    if not path.exists():
        return None
    try:
        content = read_json(path)
        if not _has_form_of_settings(content):
            raise InputError("not the settings of a checkpoint")
        return content
    except InputError as error:
        raise InputError(f"{path}: {error}; move it away to use the checkpoint without its settings") from None


def _has_form_of_settings(content: Any) -> bool:
    def has(name, kind, item):
        values = content.get(name, kind())
        return isinstance(values, kind) and all(
            isinstance(value, item) for value in (values.values() if kind is dict else values)
        )

    return (
        isinstance(content, dict)
        and isinstance(content.get("config"), dict)
        and has("split", dict, list)
        and has("history", list, dict)
    )


def has_config(checkpoint: Path) -> bool:
    """Whether `model_config` needs no config file."""
    return _own_config(checkpoint)[0] is not None


def model_config(checkpoint: Path, config_file: str | None) -> ModelConfig:
    """The config of a checkpoint's network: the one given, else its own or the only one in its folder.

    Raises:
        InputError: there is none, or the given one is of another network than the checkpoint's own.
    """
    own, where = _own_config(checkpoint)
    config = ModelConfig.load(config_file) if config_file else own
    if config is None:
        raise InputError(f"{checkpoint}: no config is beside it; name the one it was trained with by --config_file")
    if read_settings(checkpoint) is None:
        config = _with_embedding_of(checkpoint, config)
        own = own and replace(own, emb_size=config.emb_size)
    if differences := config.network_differences(own or config):
        listed = ", ".join(f"{name} is {given} (there {its})" for name, given, its in differences)
        raise InputError(
            f"--config_file {config_file} is not the config of {checkpoint.name}, which is in {where}: {listed};"
            " leave the flag out to use that"
        )
    return config


def _own_config(checkpoint: Path) -> tuple[ModelConfig | None, Path | None]:
    if own := read_settings(checkpoint):
        path = Path(f"{checkpoint}.json")
        try:
            return ModelConfig.from_dict(own["config"]), path
        except InputError as error:
            raise InputError(f"{path}: {error}") from None
    beside = list(checkpoint.parent.glob("*.config.json"))
    return (ModelConfig.load(beside[0]), beside[0]) if len(beside) == 1 else (None, None)


def _with_embedding_of(checkpoint: Path, config: ModelConfig) -> ModelConfig:
    """PRiSM's networks ignore emb_size: their embedding is as wide as the checkpoint says."""
    embeddings = _read(checkpoint, lambda key: key == EMBEDDINGS).get(EMBEDDINGS)
    if embeddings is None or embeddings.ndim != 2 or embeddings.shape[1] == config.emb_size:
        return config
    width = embeddings.shape[1]
    log.warning("emb_size is %d in the config, %d in the checkpoint, whose own it is.", config.emb_size, width)
    return replace(config, emb_size=width)


# --- What is in a checkpoint ---


def save(checkpoint: Path, model: keras.Model, optimizer: keras.optimizers.Optimizer, settings: dict[str, Any]) -> None:
    """Write a checkpoint of everything that training changes, `settings` as JSON beside it.

    It is written aside and appears whole or not at all.

    Raises:
        RunError: the disk refuses.
    """
    tensors = {**_weights(model), **_slots(model, optimizer), **_scalars(model, optimizer)}
    aside = checkpoint.with_name(f".{checkpoint.name}.part")
    try:
        aside.mkdir(exist_ok=True)
        tf.raw_ops.SaveV2(
            prefix=str(aside / checkpoint.name),
            tensor_names=[key + KEY_SUFFIX for key in tensors],
            shape_and_slices=[""] * len(tensors),
            tensors=[variable.value for variable in tensors.values()],
        )
        (aside / f"{checkpoint.name}.json").write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
        for part in sorted(aside.iterdir(), key=lambda file: file.suffix == ".index"):
            os.replace(part, checkpoint.with_name(part.name))
        _write_state(checkpoint.parent)
    except (OSError, tf.errors.OpError) as error:
        raise RunError(f"{checkpoint}: cannot be written ({reason(error)}); earlier checkpoints are whole") from None
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def rotate(run_folder: Path, keep: int) -> None:
    """Delete all but the last `keep` checkpoints of a run."""
    for checkpoint in _complete_in(run_folder)[:-keep]:
        for file in sorted(_files_of(checkpoint), key=lambda file: file.suffix != ".index"):
            file.unlink()
    _write_state(run_folder)


def restore(checkpoint: Path, model: keras.Model, optimizer: keras.optimizers.Optimizer | None = None) -> None:
    """Assign to a model, and to its optimizer, what a checkpoint holds; nothing is assigned unless it all fits.

    Raises:
        InputError: it cannot be read, or is of a network of another shape.
    """
    weights = _weights(model)
    values = _read(checkpoint, lambda key: optimizer is not None or SLOT not in key)
    _check_shapes(checkpoint, weights, values)
    variables = dict(weights)
    if optimizer is not None:
        ours = _slots(model, optimizer)
        if ours.keys() == {key for key in values if SLOT in key}:
            variables |= ours | _scalars(model, optimizer)
        else:
            log.warning("%s holds no state of the optimizer %s, which starts afresh.", checkpoint, optimizer.name)
    for key in variables.keys() & values.keys():
        variables[key].assign(values[key])


def _weights(model: keras.Model) -> dict[str, keras.Variable]:
    """The model's parameters by PRiSM's keys, which are their paths but for the name of an RNN's cell."""
    paths = [variable.path.split("/", 1)[1] for variable in model.trainable_variables]
    keys = [re.sub(r"/(gru|lstm)_cell/", "/cell/", path) for path in paths]
    return dict(zip(keys, model.trainable_variables))


def _slots(model: keras.Model, optimizer: keras.optimizers.Optimizer) -> dict[str, keras.Variable]:
    return {
        f"{key}{SLOT}{name}": slot
        for key, variable in _weights(model).items()
        for name, slot in slots(optimizer, variable).items()
    }


def _scalars(model: keras.Model, optimizer: keras.optimizers.Optimizer) -> dict[str, keras.Variable]:
    return {
        "optimizer/iter": optimizer.iterations,
        "optimizer/learning_rate": optimizer.learning_rate,
        "random/dropout": model.dropout_seed.state,
        **{f"optimizer/{name}": variable for name, variable in scaling(optimizer).items()},
    }


def _check_shapes(checkpoint: Path, weights: dict[str, keras.Variable], values: dict[str, np.ndarray]) -> None:
    tiers = {key.split("/")[0] for key in weights}
    theirs = {key: value.shape for key, value in values.items() if key.split("/")[0] in tiers and SLOT not in key}
    ours = {key: tuple(variable.shape) for key, variable in weights.items()}
    for key in sorted(ours.keys() | theirs.keys()):
        if ours.get(key) != theirs.get(key):
            raise InputError(
                f"{checkpoint} is of another network than the config: {key} is {theirs.get(key, 'absent')} in the"
                f" checkpoint, {ours.get(key, 'absent')} by the config; give the config it was trained with"
            )


def _read(checkpoint: Path, wanted: Callable[[str], bool]) -> dict[str, np.ndarray]:
    """The tensors of a checkpoint whose keys, without their common suffix, are wanted."""
    # Where TensorFlow reads, it takes a path for a pattern, in which brackets have a meaning: give it the name alone.
    with _readable(checkpoint), _working_folder(checkpoint.parent):
        reader = tf.train.load_checkpoint(checkpoint.name)
        keys = [key[: -len(KEY_SUFFIX)] for key in reader.get_variable_to_shape_map() if key.endswith(KEY_SUFFIX)]
        return {key: reader.get_tensor(key + KEY_SUFFIX) for key in keys if wanted(key)}


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
    except (tf.errors.OpError, ValueError, RuntimeError, LookupError) as error:
        raise InputError(
            f"{checkpoint}: damaged, or not a checkpoint ({reason(error)}); name another epoch's"
        ) from None


def _write_state(run_folder: Path) -> None:
    """Write the `checkpoint` file, by which TensorFlow finds the latest."""
    names = [checkpoint.name for checkpoint in _complete_in(run_folder)]
    lines = [f'model_checkpoint_path: "{names[-1]}"'] + [f'all_model_checkpoint_paths: "{name}"' for name in names]
    write_whole(run_folder / "checkpoint", "\n".join(lines) + "\n")
