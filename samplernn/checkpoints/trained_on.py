"""What the run of a checkpoint was trained on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from samplernn.audio.wav import Recording
from samplernn.checkpoints.settings import arguments_of, read_settings
from samplernn.corpus.data import data_of
from samplernn.models.config import Config
from samplernn.options.values import PATH
from samplernn.system.errors import InputError


def data_dir_of(settings: dict[str, Any]) -> list[str] | None:
    """The folders that a run was given, by the settings of a checkpoint; None where they do not tell."""
    data_dir = arguments_of(settings).get("data_dir")
    return data_dir if isinstance(data_dir, list) and data_dir and all(map(_can_be_given, data_dir)) else None


def _can_be_given(path: Any) -> bool:
    """Whether a flag would take it."""
    try:
        return isinstance(path, str) and bool(PATH.parse(path))
    except ValueError:
        return False


def recordings_trained_on(settings: dict[str, Any], config: Config) -> list[Recording]:
    """Those that a run was trained on, by the settings of a checkpoint; those that are no longer there are left out."""
    names, data_dir = set(settings.get("split", {}).get("training", [])), data_dir_of(settings)
    if not (names and data_dir):
        return []
    try:
        corpus = data_of(config).examine(data_dir).corpus()
    except InputError:
        return []
    return [recording for recording in corpus.recordings if recording.name in names]


def items_of(recordings: list[Recording], config: Config) -> Iterator[tuple[str, np.ndarray]]:
    """The names of recordings, and all their items."""
    data = data_of(config)
    return ((recording.name, data.read(recording, 0, recording.frames)) for recording in recordings)


def items_trained_on(checkpoint: Path, config: Config) -> Iterator[tuple[str, np.ndarray]]:
    """The names and items of what a checkpoint's run was trained on, as far as it is still there."""
    return items_of(recordings_trained_on(read_settings(checkpoint) or {}, config), config)
