"""The families: their names in a config's `"model"`, and how a config and a network of one are made.

A new family is a folder beside this file, with its config and its model, and a line in FAMILIES.
"""

from __future__ import annotations

import importlib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from samplernn.models.autoencoder.config import AMAEConfig, VQVAEConfig
from samplernn.models.config import FAMILY, Config
from samplernn.models.pianoroll.config import PianoRollConfig
from samplernn.models.predictor.config import PredictorConfig
from samplernn.models.samplernn.config import SampleRNNConfig
from samplernn.models.wavenet.config import WaveNetConfig
from samplernn.options.option import options_of
from samplernn.system.errors import InputError, naming
from samplernn.system.files import read_json
from samplernn.system.words import did_you_mean, listed, shortened

if TYPE_CHECKING:
    from samplernn.models.model import Model


@dataclass(frozen=True)
class Family:
    """A kind of network.

    Attributes:
        config: the class of its configs.
        model: module and class of its networks, which are imported where one is made, for that takes TensorFlow.
    """

    config: type[Config]
    model: str


FAMILIES = {
    "samplernn": Family(SampleRNNConfig, "samplernn.models.samplernn.model:SampleRNN"),
    "wavenet": Family(WaveNetConfig, "samplernn.models.wavenet.model:WaveNet"),
    "vqvae": Family(VQVAEConfig, "samplernn.models.autoencoder.model:VQVAE"),
    "amae": Family(AMAEConfig, "samplernn.models.autoencoder.model:AMAE"),
    "pianoroll": Family(PianoRollConfig, "samplernn.models.pianoroll.model:PianoRoll"),
    "predictor": Family(PredictorConfig, "samplernn.models.predictor.model:Predictor"),
}
DEFAULT_FAMILY = "samplernn"


def config_from_dict(values: Any) -> Config:
    """Build a config from parsed JSON.

    Raises:
        InputError: it names no family, or breaks a rule of it.
    """
    if not isinstance(values, dict):
        raise InputError('the config must be a JSON object of parameters, such as {"dim": 1024}')
    name = DEFAULT_FAMILY if values.get(FAMILY) is None else values[FAMILY]
    if not isinstance(name, str) or name not in FAMILIES:
        hint = did_you_mean(str(name), FAMILIES, shown="'{}'") or f"it must be one of {listed(list(FAMILIES))}"
        raise InputError(f"{FAMILY} is {shortened(repr(name))}; {hint}")
    parameters = {key: value for key, value in values.items() if key != FAMILY}
    if values.get(FAMILY) is None and (family := _family_of(parameters)) not in (None, DEFAULT_FAMILY):
        raise InputError(
            f'it names no {FAMILY}, and its parameters are those of a {family}; add "{FAMILY}": "{family}"'
        )
    try:
        return FAMILIES[name].config.from_dict(parameters)
    except InputError as error:
        of_others = families_by_parameter()
        own = _parameters_of(name)
        hints = [f"'{key}' is one of {of_others[key]}" for key in parameters if key in of_others and key not in own]
        raise InputError("; ".join([str(error), *hints])) from None


def families_by_parameter() -> dict[str, str]:
    """Which families have a parameter, in words."""
    having = defaultdict(list)
    for name in FAMILIES:
        for parameter in _parameters_of(name):
            having[parameter].append(name)
    return {parameter: " or ".join(names) for parameter, names in having.items()}


def _family_of(parameters: Iterable[str]) -> str | None:
    """The first family that has all these parameters."""
    return next((name for name in FAMILIES if _parameters_of(name).issuperset(parameters)), None)


def _parameters_of(name: str) -> set[str]:
    """Those of a family's configs."""
    return {option.name for option in options_of(FAMILIES[name].config)}


def load_config(path: str | Path) -> Config:
    """Read a JSON config file.

    Raises:
        InputError: the file is missing, not JSON, or breaks a rule; the message names the file.
    """
    with naming(f"--config_file {path}"):
        return config_from_dict(read_json(path))


def config_of_tensors(tensors: Mapping[str, Any]) -> Config | None:
    """The config of the network that another program's checkpoint holds, if a family knows it by that alone.

    Raises:
        InputError: it is of such a network, and cannot be used.
    """
    return next(filter(None, (family.config.of_tensors(tensors) for family in FAMILIES.values())), None)


def config_to_dict(config: Config) -> dict[str, Any]:
    """The config as JSON can hold it, with the name of its family."""
    return {FAMILY: name_of(config), **config.to_dict()}


def default_config() -> Config:
    """The config of who gives none."""
    return FAMILIES[DEFAULT_FAMILY].config()


def name_of(config: Config) -> str:
    """The name of a config's family."""
    return next(name for name, family in FAMILIES.items() if family.config is type(config))


def build(config: Config, precision: str = "float32") -> Model:
    """Make the network of a config, with initial weights that follow Keras's global seed.

    Args:
        config: of any family.
        precision: a Keras dtype policy: float32, mixed_bfloat16 or mixed_float16.
    """
    module, name = FAMILIES[name_of(config)].model.split(":")
    return getattr(importlib.import_module(module), name)(config, precision)
