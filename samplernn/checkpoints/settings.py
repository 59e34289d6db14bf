"""The settings beside a checkpoint, as JSON: what it was trained with, and how its network is configured."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from samplernn.checkpoints import run_folders
from samplernn.checkpoints.foreign import is_foreign
from samplernn.checkpoints.store import foreign_tensors, foreign_weights, restore, shapes_of
from samplernn.models.config import Config
from samplernn.models.registry import build, config_from_dict, config_of_tensors, load_config, name_of
from samplernn.options.train import MONITORS, better
from samplernn.options.values import SAMPLE_RATE
from samplernn.system.errors import InputError, naming
from samplernn.system.files import read_json

LARGEST = 1e300  # number that may be in settings
SUMS_OF_VERSION_1 = ("nll", "correct", "targets")  # which it wrote as a list

log = logging.getLogger(__name__)


def read_settings(checkpoint: Path) -> dict[str, Any] | None:
    """The JSON that `save` was given; None for a checkpoint of another program's.

    Raises:
        InputError: it is there but cannot be read.
    """
    path = Path(f"{checkpoint}.json")
    if not path.exists() or is_foreign(checkpoint):
        return None
    try:
        content = read_json(path)
        if not _has_form_of_settings(content):
            raise InputError("not the settings of a checkpoint")
        return content
    except InputError as error:
        raise InputError(f"{path}: {error}; move it away to use the checkpoint without its settings") from None


def arguments_of(settings: dict[str, Any]) -> dict[str, Any]:
    """The flags of the run; `data_dir` is a list, where version 1.0 has one text."""
    arguments = settings.get("arguments", {})
    one = isinstance(arguments.get("data_dir"), str)
    return arguments | ({"data_dir": [arguments["data_dir"]]} if one else {})


def values_by_epoch(epoch: int, history: list[dict[str, float]], monitor: str) -> dict[int, float]:
    """A monitored value after each number of epochs for which it is known; the history ends with that of `epoch`."""
    return {number: logs[monitor] for number, logs in enumerate(history, epoch - len(history) + 1)}


def best_of_run(path: str) -> tuple[Path, str]:
    """The checkpoint that a user means by a path, of a folder the best one by what its run watched; and a phrase why.

    Of a folder of runs it is one of the training that the newest of them goes on with.

    Raises:
        InputError: there is none, or a part of it is missing, or its settings are damaged.
    """
    checkpoint = run_folders.resolve(path)
    if not Path(path).is_dir():
        return checkpoint, "as named"
    settings = read_settings(checkpoint) or {}
    history, monitor = settings.get("history"), settings.get("arguments", {}).get("monitor")
    if history and monitor in MONITORS:
        values = values_by_epoch(run_folders.epoch_of(checkpoint), history, monitor)
        runs = run_folders.runs_in(Path(path)) or [checkpoint.parent]
        kept = of_training([found for run in runs for found in run_folders.kept_in(run)], history)
        if best := run_folders.best_of(kept, values, better(monitor)):
            return best, f"the best of its run by {monitor}, {values[run_folders.epoch_of(best)]:.4f}"
    return checkpoint, "the latest of its run, whose settings name no best"


def of_training(checkpoints: Iterable[Path], history: list[dict[str, float]]) -> list[Path]:
    """Those of some checkpoints that a training with a history has come by: their own history is its beginning."""
    found = []
    for checkpoint in checkpoints:
        with suppress(InputError):  # what is damaged is none of them
            its = (read_settings(checkpoint) or {}).get("history")
            if its and its == history[: len(its)]:
                found.append(checkpoint)
    return found


def _has_form_of_settings(content: Any) -> bool:
    return (
        isinstance(content, dict)
        and isinstance(content.get("config"), dict)
        and (content.get("sample_rate") is None or SAMPLE_RATE.holds(content["sample_rate"]))
        and _has_form_of_split(content.get("split", {}))
        and _has_form_of_history(content.get("history", []))
        and _has_form_of_place(content)
        and isinstance(content.get("arguments", {}), dict)
        and _has_form_of_chain(content.get("chain", []))
    )


def _has_form_of_split(split: Any) -> bool:
    def names(part):
        return isinstance(part, list) and all(isinstance(name, str) and _can_be_a_files(name) for name in part)

    return split == {} or (
        isinstance(split, dict) and all(names(split.get(part)) for part in ("training", "validation"))
    )


def _can_be_a_files(name: str) -> bool:
    try:
        return b"\0" not in os.fsencode(name)
    except UnicodeEncodeError:
        return False


def _has_form_of_chain(chain: Any) -> bool:
    def level(fact):
        return isinstance(fact, dict) and all(isinstance(fact.get(name), str) for name in ("path", "sha256"))

    return isinstance(chain, list) and all(map(level, chain))


def _has_form_of_history(history: Any) -> bool:
    def logs(epoch):
        return isinstance(epoch, dict) and all(_is_number(epoch.get(name)) for name in MONITORS)

    return isinstance(history, list) and all(map(logs, history))


def _has_form_of_place(content: dict[str, Any]) -> bool:
    step = content.get("step", 0)
    if type(step) is not int or step < 0:
        return False
    return step == 0 or sums_of(content) is not None


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) <= LARGEST  # nan is not less


def sums_of(settings: dict[str, Any]) -> dict[str, np.ndarray] | None:
    """The sums of the epoch in whose midst a checkpoint was written, as `Progress` has them; None if they are none."""
    sums = settings.get("sums")
    if isinstance(sums, list) and len(sums) == len(SUMS_OF_VERSION_1):
        sums = dict(zip(SUMS_OF_VERSION_1, sums))
    if not isinstance(sums, dict):
        return None
    try:
        arrays = {name: np.array(value, np.float64) for name, value in sums.items()}
    except (ValueError, TypeError, OverflowError):
        return None
    return arrays if all(np.isfinite(value).all() for value in arrays.values()) else None


def has_config(checkpoint: Path) -> bool:
    """Whether `model_config` needs no config file."""
    return _own_config(checkpoint)[0] is not None


def model_config(checkpoint: Path, config_file: str | None) -> Config:
    """The config of a checkpoint's network: the one given, else its own or the only one in its folder.

    Raises:
        InputError: there is none, or the given one is of another network than the checkpoint's own.
    """
    own, where = _own_config(checkpoint)
    config = load_config(config_file) if config_file else own
    if config is None:
        raise InputError(
            f"{checkpoint}: no config is beside it; name the one it was trained with by --config_file, or put it there,"
            " as model.config.json"
        )
    if not is_foreign(checkpoint) and read_settings(checkpoint) is None:
        shapes = shapes_of(checkpoint)
        fitted, own = config.fitted_to(shapes), own and own.fitted_to(shapes)
        for name, given, its in config.network_differences(fitted):
            log.warning("%s is %s in the config, %s in the checkpoint, whose own it is.", name, given, its)
        config = fitted
    if own and type(own) is not type(config):
        raise InputError(
            f"{checkpoint} is a {name_of(own)}; the config {config_file} is of {name_of(config)}; leave --config_file"
            " out to use its own"
        )
    if own and own.data == "codes":
        config = config.over_codes(own.q_levels)
    if differences := config.network_differences(own or config):
        listed = ", ".join(f"{name} is {given} (there {its})" for name, given, its in differences)
        raise InputError(
            f"--config_file {config_file} is not the config of {checkpoint.name}, which is in {where}: {listed};"
            " leave the flag out to use that"
        )
    if is_foreign(checkpoint):
        foreign_weights(checkpoint, config)  # which have just these shapes
    else:
        _check_size(checkpoint, config)
    return config


def config_among(checkpoint: Path, number: int, config_file: str | None) -> Config:
    """The config of the network of one of so many checkpoints; of several a config file is for those without their own.

    Raises:
        InputError: as for `model_config`.
    """
    if config_file and number > 1 and has_config(checkpoint):
        log.warning("--config_file %s is not used for %s, which has a config of its own.", config_file, checkpoint)
        config_file = None
    return model_config(checkpoint, config_file)


def check_weights(checkpoint: Path, config: Config) -> None:
    """Read a checkpoint's weights into a network of a config.

    Raises:
        InputError: it cannot be read, or is of another network.
    """
    restore(checkpoint, build(config))


def remark_on(checkpoint: Path, config: Config) -> str:
    """What is to be said before a checkpoint's network is heard or measured; nothing of our own and PRiSM's."""
    return config.remark_on_foreign_weights if is_foreign(checkpoint) else ""


def _check_size(checkpoint: Path, config: Config) -> None:
    """Refuse a config of a network that is larger than the checkpoint, before there is memory to be had for it."""
    least = 4 * config.num_parameters  # bytes
    if sum(shard.stat().st_size for shard in run_folders.shards_of(checkpoint)) < least:
        raise InputError(
            f"{checkpoint} is damaged, or of another network than the config, whose {config.num_parameters} parameters"
            " take more bytes than it has; give the config it was trained with, or another checkpoint"
        )


def _own_config(checkpoint: Path) -> tuple[Config | None, Path | None]:
    """A checkpoint's own config, or the only one in its folder, and the file that says it; None for both."""
    if is_foreign(checkpoint):
        tensors = foreign_tensors(checkpoint)
        with naming(str(checkpoint)):
            if config := config_of_tensors(tensors):
                return config, checkpoint
    if own := read_settings(checkpoint):
        path = Path(f"{checkpoint}.json")
        with naming(str(path)):
            return config_from_dict(own["config"]), path
    beside = list(checkpoint.parent.glob("*.config.json"))
    return (load_config(beside[0]), beside[0]) if len(beside) == 1 else (None, None)
