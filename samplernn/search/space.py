"""The space of a search: the hyperparameters, the values to try of each, and the network and training of a choice.

A choice is a dict with a value for each hyperparameter. The libraries that choose know scalars only: to them a value
that is a tuple is its text.
"""

from __future__ import annotations

import itertools
from typing import Any

from samplernn.models.samplernn.config import ModelConfig
from samplernn.options.option import as_text, options_of
from samplernn.options.options import TrainingOptions
from samplernn.system.errors import InputError

MODEL_HYPERPARAMETERS, TRAINING_HYPERPARAMETERS = (
    [option for option in options_of(options_class) if option.searchable]
    for options_class in (ModelConfig, TrainingOptions)
)
HYPERPARAMETERS = [*MODEL_HYPERPARAMETERS, *TRAINING_HYPERPARAMETERS]
NAMES = tuple(option.name for option in HYPERPARAMETERS)
IN_FLIGHT = tuple(option.name for option in [*TRAINING_HYPERPARAMETERS, *MODEL_HYPERPARAMETERS] if option.in_flight)
TIED = ("frame_sizes", "seq_len")  # whether a value is possible depends on the other one's

Space = dict[str, tuple]  # the values to try of each hyperparameter
Choice = dict[str, Any]


def complete(given: Space) -> Space:
    """All hyperparameters, each value once; those that are not given have their default alone.

    Raises:
        InputError: some network of the space is impossible.
    """
    values = {option.name: given.get(option.name, (option.default,)) for option in HYPERPARAMETERS}
    space = {name: tuple(dict.fromkeys(of_name)) for name, of_name in values.items()}
    _check_networks(space)
    return space


def _check_networks(space: Space) -> None:
    """Refuse impossible ones before any time is spent on the others."""
    alone = [option.name for option in MODEL_HYPERPARAMETERS if option.name not in TIED]
    choices = [{name: value} for name in alone for value in space[name]]
    choices += [dict(zip(TIED, values)) for values in itertools.product(*(space[name] for name in TIED))]
    for choice in choices:
        try:
            ModelConfig(**choice)
        except InputError as error:
            given = " ".join(f"--{name} {as_text(value)}" for name, value in choice.items())
            raise InputError(f"{given}: {error}") from None


def scalars(space: Space) -> dict[str, list]:
    """The space as the libraries know it."""
    return {name: [scalar(value) for value in values] for name, values in space.items()}


def scalar(value: Any) -> Any:
    """A value as the libraries know it."""
    return as_text(value) if isinstance(value, tuple) else value


def meant(space: Space, chosen: dict[str, Any]) -> Choice:
    """What is meant by the scalars that a library chose, which may have made 0 of False or 1.0 of 1."""
    return {name: next(value for value in values if scalar(value) == chosen[name]) for name, values in space.items()}


def from_json(choice: dict[str, Any]) -> Choice:
    """A choice as it was before it was written as JSON, which makes lists of tuples."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in choice.items()}


def network(choice: Choice) -> ModelConfig:
    """The config of the network of a choice."""
    return ModelConfig(**{option.name: choice[option.name] for option in MODEL_HYPERPARAMETERS})


def of_training(choice: Choice) -> dict[str, Any]:
    """Those of a choice that are options of train.py."""
    return {option.name: choice[option.name] for option in TRAINING_HYPERPARAMETERS}
