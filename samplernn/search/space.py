"""The space of a search: the hyperparameters, the values to try of each, and the network and training of a choice.

A choice is a dict with a value for each hyperparameter. The libraries that choose know scalars and ranges of them only:
to them a value that is a tuple is its text.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from samplernn.models.config import Config
from samplernn.models.registry import FAMILIES
from samplernn.options.option import Option, as_text, options_of
from samplernn.options.train import TrainingOptions
from samplernn.options.values import Range
from samplernn.system.errors import InputError

MOST_CHECKED = 10_000  # networks, in a fraction of a second
OF_TRAINING = [option for option in options_of(TrainingOptions) if option.searchable]

Tried = tuple | Range  # values of a hyperparameter
Space = dict[str, Tried]  # those to try of each
Choice = dict[str, Any]


def of_model(family: str) -> list[Option]:
    """The hyperparameters of a family's networks."""
    return [option for option in options_of(FAMILIES[family].config) if option.searchable]


def hyperparameters(family: str) -> list[Option]:
    """All that can be searched with a family."""
    return [*of_model(family), *OF_TRAINING]


def in_flight(family: str) -> list[str]:
    """The hyperparameters that may change between two epochs of a training."""
    return [option.name for option in [*OF_TRAINING, *of_model(family)] if option.in_flight]


def complete(family: str, given: Space, of_codes: bool = False) -> Space:
    """All hyperparameters, each value once; those that are not given have their default alone.

    Args:
        family: of the networks.
        given: the values of some.
        of_codes: whether the networks are to learn codes.

    Raises:
        InputError: a range is not alone, or some network of the space is impossible, or of other data.
    """
    values = {option.name: given.get(option.name, (option.default,)) for option in hyperparameters(family)}
    space = {name: _tried(name, of_name) for name, of_name in values.items()}
    _check_networks(family, space, of_codes)
    return space


def _tried(name: str, values: Tried) -> Tried:
    """Each value once, or the range that is given as the only one."""
    if isinstance(values, Range):
        return values
    if not any(isinstance(value, Range) for value in values):
        return tuple(dict.fromkeys(values))
    if len(values) > 1:
        raise InputError(f"--{name} {as_text(values)}: a range stands alone; leave out the other values")
    return values[0]


def varies(values: Tried) -> bool:
    """Whether there is more than one."""
    return isinstance(values, Range) or len(values) > 1


def largest(values: Tried) -> Any:
    """The largest of numbers."""
    return values.most if isinstance(values, Range) else max(values)


def ends(values: Tried) -> tuple:
    """All that are listed, the first and the last of a range."""
    return (values.least, values.most) if isinstance(values, Range) else values


def examples(values: Tried) -> Sequence:
    """All that are listed, the first whole numbers of a range of them, the ends of another."""
    if isinstance(values, Range) and values.whole:
        return range(values.least, values.most + 1)[:MOST_CHECKED]
    return ends(values)


def _check_networks(family: str, space: Space, of_codes: bool) -> None:
    """Refuse impossible ones before any time is spent on the others; of a huge space the first are looked at."""
    options = of_model(family)
    of_each = [space[option.name] for option in options]
    choices = itertools.chain(itertools.product(*map(ends, of_each)), itertools.product(*map(examples, of_each)))
    for values in itertools.islice(choices, MOST_CHECKED):
        choice = {option.name: value for option, value in zip(options, values)}
        try:
            config = FAMILIES[family].config(**choice)
        except InputError as error:
            given = {of.name: choice[of.name] for of in options if choice[of.name] != of.default}
            flags = " ".join(f"--{name} {as_text(value)}" for name, value in given.items())
            raise InputError(f"{flags}: {error}") from None
        if (config.data == "codes") != of_codes:
            raise InputError(_of_other_data(family, config.data))


def _of_other_data(family: str, data: str) -> str:
    """What is to be done where networks are of other data than the search."""
    if data == "codes":
        return "--q_type codes: name the autoencoder that makes them by --codes_from"
    kinds = next((option.values.choices for option in of_model(family) if option.name == "q_type"), ())
    remedy = (
        "give --q_type codes alone" if "codes" in kinds else "leave it out, for no network of this --model learns codes"
    )
    return f"--codes_from: a network of the search would learn {data}; {remedy}"


def scalars(space: Space) -> dict[str, list | Range]:
    """The space as the libraries know it."""
    return {
        name: values if isinstance(values, Range) else [scalar(value) for value in values]
        for name, values in space.items()
    }


def scalar(value: Any) -> Any:
    """A value as the libraries know it."""
    return as_text(value) if value is None or isinstance(value, tuple) else value


def meant(space: Space, chosen: dict[str, Any]) -> Choice:
    """What is meant by the scalars that a library chose, which may have made 0 of False or 1.0 of 1."""

    def value(name: str, values: Tried) -> Any:
        if isinstance(values, Range):
            return values.nearest(chosen[name])
        if not varies(values):  # an earlier version's library may not know the name
            return values[0]
        return next(value for value in values if scalar(value) == chosen[name])

    return {name: value(name, values) for name, values in space.items()}


def from_json(family: str, choice: dict[str, Any]) -> Choice:
    """A choice as it was before it was written as JSON, which makes lists of tuples.

    What an earlier version did not know has its default.
    """
    read = {name: tuple(value) if isinstance(value, list) else value for name, value in choice.items()}
    return {option.name: option.default for option in hyperparameters(family)} | read


def network(family: str, choice: Choice) -> Config:
    """The config of the network of a choice."""
    return FAMILIES[family].config(**{option.name: choice[option.name] for option in of_model(family)})


def of_training(choice: Choice) -> dict[str, Any]:
    """Those of a choice that are options of train.py."""
    return {option.name: choice[option.name] for option in OF_TRAINING}
