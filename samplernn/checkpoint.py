"""Checkpoints in TensorFlow's format under PRiSM's keys: save, rotate, find, restore exactly.

A checkpoint is `model.ckpt-N.data-00000-of-00001`, `model.ckpt-N.json` (its settings, which PRiSM's lack) and
`model.ckpt-N.index`, which is written last: without it there is no checkpoint.

`resume.ckpt-N-S` is one after N epochs and S steps of the next, with the network's state. It is there to be resumed
from: each new checkpoint of a run takes its place.
"""

from __future__ import annotations

import glob
import json
import logging
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from samplernn import bundle
from samplernn.config import MONITORS, ModelConfig, is_sample_rate
from samplernn.device import reason
from samplernn.errors import InputError, RunError
from samplernn.files import read_json, write_whole
from samplernn.optimizer import scaling, slots

RUN_FOLDER_FORMAT = "%d.%m.%Y_%H.%M.%S"
ROLLING = "resume.ckpt-"
HOURS_TO_WRITE = 1  # what is older was left by a process that was killed
KEY_SUFFIX = "/.ATTRIBUTES/VARIABLE_VALUE"
STATE = "state/"  # and a number
SLOT = "/.OPTIMIZER_SLOT/optimizer/"
EMBEDDINGS = "sample_mlp/embedding/embeddings"

log = logging.getLogger(__name__)


# --- Where checkpoints are ---


def create_run_folder(parent: Path) -> Path:
    """Create a folder named after this second or, so that it is the newest whatever the clock does, a later one."""
    parent.mkdir(parents=True, exist_ok=True)
    newest = max((moment for moment, _ in _run_folders(parent)), default=datetime.min)
    moment = max(datetime.now(), newest + timedelta(seconds=1))
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


def rolling_prefix(run_folder: Path, epoch: int, step: int) -> Path:
    """The path of a checkpoint to resume from, after some epochs and some steps of the next."""
    return run_folder / f"{ROLLING}{epoch}-{step}"


def epoch_of(checkpoint: Path) -> int:
    """The number of epochs done that a checkpoint's name tells; 0 where it tells none."""
    return place_of(checkpoint)[0]


def place_of(checkpoint: Path) -> tuple[int, int]:
    """The number of epochs done, and of steps of the next, that a checkpoint's name tells."""
    if numbers := re.fullmatch(rf"{re.escape(ROLLING)}(\d+)-(\d+)", checkpoint.name):
        return int(numbers[1]), int(numbers[2])
    number = re.search(r"-(\d+)$", checkpoint.name)
    return (int(number[1]) if number else 0), 0


def latest(parent: Path, rolling: bool = True) -> Path | None:
    """The last checkpoint of the newest run folder below `parent` that holds a complete one.

    Args:
        parent: a folder of run folders.
        rolling: whether those that are only there to be resumed from count.
    """
    for _, folder in sorted(_run_folders(parent), reverse=True):
        if found := latest_in(folder, rolling):
            return found
    return None


def _run_folders(parent: Path) -> Iterator[tuple[datetime, Path]]:
    """The run folders below a folder, each with the moment that it is named after."""
    for folder in parent.iterdir() if parent.is_dir() else ():
        with suppress(ValueError):
            yield datetime.strptime(folder.name, RUN_FOLDER_FORMAT), folder


def latest_in(run_folder: Path, rolling: bool = True) -> Path | None:
    """The complete checkpoint in a folder that is farthest."""
    found = _complete_in(run_folder) + (_rolling_in(run_folder) if rolling else [])
    return max(found, key=place_of, default=None)


def resolve(path: str, rolling: bool = False) -> Path:
    """Find the checkpoint that a user means by its prefix, one of its files, its run folder, or the folder of runs.

    Args:
        path: what the user gave.
        rolling: whether a folder's latest may be one that is only there to be resumed from.

    Raises:
        InputError: there is none, or a part of it is missing.
    """
    given = Path(path)
    if given.is_dir():
        if found := latest_in(given, rolling) or latest(given, rolling):
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
    """The complete checkpoints in a folder by their epochs, but for the rolling ones."""
    checkpoints = (index.with_suffix("") for index in run_folder.glob("*-*.index"))
    whole = (path for path in checkpoints if _is_complete(path) and not path.name.startswith(ROLLING))
    return sorted(whole, key=epoch_of)


def _rolling_in(run_folder: Path) -> list[Path]:
    checkpoints = (index.with_suffix("") for index in run_folder.glob(f"{ROLLING}*-*.index"))
    return [path for path in checkpoints if _is_complete(path)]


def _is_complete(checkpoint: Path) -> bool:
    shards = _shards_of(checkpoint)
    return (
        Path(f"{checkpoint}.index").is_file()
        and bool(shards)
        and shards[0].name.endswith(f"-of-{len(shards):05}")
        and all(shard.is_file() for shard in shards)  # from a pipe or a device reading would never end
    )


def _shards_of(checkpoint: Path) -> list[Path]:
    return _files_of(checkpoint, "data-*-of-*")


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
    return (
        isinstance(content, dict)
        and isinstance(content.get("config"), dict)
        and (content.get("sample_rate") is None or is_sample_rate(content["sample_rate"]))
        and _has_form_of_split(content.get("split", {}))
        and _has_form_of_history(content.get("history", []))
        and _has_form_of_place(content)
        and isinstance(content.get("arguments", {}), dict)
    )


def _has_form_of_split(split: Any) -> bool:
    def names(part):
        return isinstance(part, list) and all(isinstance(name, str) for name in part)

    return split == {} or (
        isinstance(split, dict) and all(names(split.get(part)) for part in ("training", "validation"))
    )


def _has_form_of_history(history: Any) -> bool:
    def logs(epoch):
        return isinstance(epoch, dict) and all(isinstance(epoch.get(name), (int, float)) for name in MONITORS)

    return isinstance(history, list) and all(map(logs, history))


def _has_form_of_place(content: dict[str, Any]) -> bool:
    step, sums = content.get("step", 0), content.get("sums")
    if type(step) is not int or step < 0:
        return False
    numbers = isinstance(sums, list) and len(sums) == 3 and all(isinstance(value, float) for value in sums)
    return step == 0 or (numbers and sums[-1] > 0)


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
    _check_size(checkpoint, config)
    return config


def _check_size(checkpoint: Path, config: ModelConfig) -> None:
    """Refuse a config of a network that is larger than the checkpoint, before there is memory to be had for it."""
    least = 4 * config.num_parameters  # bytes
    if sum(shard.stat().st_size for shard in _shards_of(checkpoint)) < least:
        raise InputError(
            f"{checkpoint} is of another network than the config, whose {config.num_parameters} parameters take more"
            " bytes than it has; give the config it was trained with"
        )


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
    shape = _shapes(checkpoint).get(EMBEDDINGS, ())
    if len(shape) != 2 or shape[1] in (0, config.emb_size):
        return config
    width = shape[1]
    log.warning("emb_size is %d in the config, %d in the checkpoint, whose own it is.", config.emb_size, width)
    return replace(config, emb_size=width)


# --- What is in a checkpoint ---


def save(
    checkpoint: Path,
    model: keras.Model,
    optimizer: keras.optimizers.Optimizer,
    settings: dict[str, Any],
    state: Sequence[np.ndarray] = (),
) -> None:
    """Write a checkpoint of everything that training changes, `settings` as JSON beside it.

    It is written aside and appears whole or not at all. Then the rolling checkpoints in its folder are deleted, but
    for this one and the last one before it: a rolling one is proved sound only by the step after it.

    Args:
        checkpoint: its path, from `prefix` or `rolling_prefix`.
        model, optimizer: whose variables are written.
        settings: what is to be known beside them.
        state: the network's, in the midst of an epoch.

    Raises:
        RunError: the disk refuses.
    """
    variables = _weights(model) | _slots(model, optimizer) | _random_state(model) | _scalars(optimizer)
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
        rolling = sorted(_rolling_in(checkpoint.parent), key=place_of)
        for outdated in rolling[:-2] if checkpoint in rolling else rolling:
            _delete(outdated)
        _write_checkpoint_file(_complete_in(checkpoint.parent))
    except (OSError, tf.errors.OpError) as error:
        raise RunError(f"{checkpoint}: cannot be written ({reason(error)})") from None
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def rotate(run_folder: Path, keep: int) -> None:
    """Delete all but the last `keep` checkpoints of a run."""
    whole = _complete_in(run_folder)
    _write_checkpoint_file(whole[-keep:])  # first, so that it never names one that is gone
    for checkpoint in whole[:-keep]:
        _delete(checkpoint)


def remove_abandoned(parent: Path) -> None:
    """Delete what processes that were killed while they wrote have left in the run folders below `parent`."""
    for aside in parent.glob("*/.*.part"):
        with suppress(OSError):
            if time.time() - aside.stat().st_mtime > HOURS_TO_WRITE * 3600:
                shutil.rmtree(aside) if aside.is_dir() else aside.unlink()


def discard_rolling(run_folder: Path, epoch: int, step: int) -> None:
    """Delete the checkpoint to resume from of a place, if there is one: what came after showed that it is no good."""
    _delete(rolling_prefix(run_folder, epoch, step))


def _delete(checkpoint: Path) -> None:
    """Delete a checkpoint, its index first, without which the rest does not count."""
    for file in sorted(_files_of(checkpoint), key=lambda file: file.suffix != ".index"):
        file.unlink(missing_ok=True)


def _flush(path: Path) -> None:
    """Have the disk hold what a file contains, or which files a folder does, whatever happens to the machine."""
    if path.is_dir() and os.name == "nt":  # which cannot open folders
        return
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def restore(checkpoint: Path, model: keras.Model, optimizer: keras.optimizers.Optimizer | None = None) -> None:
    """Assign to a model, and to its optimizer, what a checkpoint holds; nothing is assigned unless it all fits.

    Raises:
        InputError: it cannot be read, or is of a network of another shape.
    """
    weights, shapes = _weights(model), _shapes(checkpoint)
    _check_shapes(checkpoint, weights, shapes)
    variables = weights | _random_state(model)
    if optimizer is not None:
        ours = _slots(model, optimizer)
        if {key: tuple(slot.shape) for key, slot in ours.items()} == {
            key: shapes[key] for key in shapes if SLOT in key
        }:
            variables |= ours | _scalars(optimizer)
        else:
            log.warning("%s holds no state of the optimizer %s, which starts afresh.", checkpoint, optimizer.name)
    fitting = [key for key in variables if shapes.get(key) == tuple(variables[key].shape)]  # as all weights do
    for key, value in _read(checkpoint, lambda key: key in fitting).items():
        variables[key].assign(value)


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


def _random_state(model: keras.Model) -> dict[str, keras.Variable]:
    return {"random/dropout": model.dropout_seed.state}


def _scalars(optimizer: keras.optimizers.Optimizer) -> dict[str, keras.Variable]:
    return {
        "optimizer/iter": optimizer.iterations,
        "optimizer/learning_rate": optimizer.learning_rate,
        **{f"optimizer/{name}": variable for name, variable in scaling(optimizer).items()},
    }


def _check_shapes(checkpoint: Path, weights: dict[str, keras.Variable], shapes: dict[str, tuple[int, ...]]) -> None:
    tiers = {key.split("/")[0] for key in weights}
    theirs = {key: shape for key, shape in shapes.items() if key.split("/")[0] in tiers and SLOT not in key}
    ours = {key: tuple(variable.shape) for key, variable in weights.items()}
    for key in sorted(ours.keys() | theirs.keys()):
        if ours.get(key) != theirs.get(key):
            raise InputError(
                f"{checkpoint} is of another network than the config: {key} is {theirs.get(key, 'absent')} in the"
                f" checkpoint, {ours.get(key, 'absent')} by the config; give the config it was trained with"
            )


def _shapes(checkpoint: Path) -> dict[str, tuple[int, ...]]:
    """The shapes of a checkpoint's tensors by their keys, without the suffix that these have in common."""
    with _readable(checkpoint):
        shapes = bundle.shapes(Path(f"{checkpoint}.index"), _shards_of(checkpoint))
        return {key.removesuffix(KEY_SUFFIX): shape for key, shape in shapes.items() if key.endswith(KEY_SUFFIX)}


def _read(checkpoint: Path, wanted: Callable[[str], bool]) -> dict[str, np.ndarray]:
    """The tensors of a checkpoint whose keys, as `_shapes` has them, are wanted."""
    keys = [key for key in _shapes(checkpoint) if wanted(key)]  # which TensorFlow can read unharmed
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


def _write_checkpoint_file(checkpoints: list[Path]) -> None:
    """Write the `checkpoint` file, by which TensorFlow finds the latest of a folder."""
    if checkpoints:
        names = [checkpoint.name for checkpoint in checkpoints]
        lines = [f'model_checkpoint_path: "{names[-1]}"'] + [f'all_model_checkpoint_paths: "{name}"' for name in names]
        write_whole(checkpoints[-1].with_name("checkpoint"), "\n".join(lines) + "\n")
