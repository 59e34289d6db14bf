"""What every family's config says: its parameters and their rules, its windows and blocks, how large it is.

Nothing here needs a library, so that flags are answered at once.
"""

from __future__ import annotations

import json
import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from samplernn.options.option import options_of
from samplernn.options.values import Values
from samplernn.system.errors import InputError
from samplernn.system.words import did_you_mean, listed, shortened

if TYPE_CHECKING:
    import numpy as np

FAMILY = "model"  # the key by which a JSON config names its family
CACHED_NUMBERS = 2**22  # 16 MB
COMPLAINTS_SHOWN = 5  # in a message, which is one line
NO_TARGET = -1  # the target where there is nothing to predict
NO_ITEM = -1  # what stands outside a recording


@dataclass(frozen=True)
class Window:
    """What a model reads and predicts at once, in items of its data: samples, codes, steps of a roll.

    Attributes:
        length: items that are predicted.
        left: items of context before them.
        right: items of context behind them.
    """

    length: int
    left: int = 0
    right: int = 0

    @property
    def with_context(self) -> int:
        """Items that are read."""
        return self.left + self.length + self.right

    @property
    def targets(self) -> slice:
        """Which of them are predicted."""
        return slice(self.left, self.left + self.length)


@dataclass(frozen=True)
class Codes:
    """The codes that a model makes of its items, and decodes.

    Attributes:
        hop: items that a code stands for.
        levels: how many different codes there are.
        context: items on either side of those that a code depends on, too.
        reach: codes on either side of its own that an item depends on, too.
    """

    hop: int
    levels: int
    context: int
    reach: int


class GenerationConfig(ABC):
    """What generation asks of a config: a network's, or that of several that generate as one.

    Attributes:
        data: the name of the kind of data that it is for, one of `corpus.data.KINDS`; there may be a property.
        codes: of an autoencoder, what it makes of its items.
    """

    data: str
    codes: ClassVar[Codes | None] = None

    @property
    @abstractmethod
    def of_items(self) -> Config:
        """The one that says what its items are."""

    @property
    @abstractmethod
    def window(self) -> Window:
        """What it is trained on; where nothing is, what is left of it is the context that an item needs."""

    @property
    @abstractmethod
    def fits_in_cache(self) -> bool:
        """Whether a processor may be expected to have the weights in its caches from one item to the next."""

    @property
    @abstractmethod
    def block_length(self) -> int:
        """Items that are generated at once."""

    @property
    def seed_length(self) -> int:
        """Items of a seed that are read where the user does not say how many."""
        return self.window.left

    @property
    def seed_padding(self) -> int:
        """How much of the context of a seed's first item is padding, as before a recording; the rest are its own."""
        return 0

    @property
    def seed_multiple(self) -> int:
        """What the number of items of a seed is a multiple of."""
        return 1


class Config(GenerationConfig):
    """The parameters of a model, as the JSON config spells them; a frozen dataclass whose fields are options.

    A family derives its own, with a parameter `seq_len`, the length of its windows.

    Attributes:
        marks_outside: whether it is told what is outside a recording, by NO_ITEM, where others are given silence.
        every_item_counts: whether it is trained on all recordings to their last items, by windows and batches that are
            not full; others learn whole windows of whole batches.
        passes_per_batch: steps of the optimizer on each batch.
        decides_epoch: the parameters on which it depends which windows an epoch of training has.
        remark_on_foreign_weights: what is to be said where a network with such weights is heard or measured.

    Raises:
        InputError: a value has a wrong type or breaks a rule.
    """

    marks_outside: ClassVar[bool] = False
    every_item_counts: ClassVar[bool] = False
    passes_per_batch: ClassVar[int] = 1
    decides_epoch: ClassVar[tuple[str, ...]] = ("seq_len",)
    remark_on_foreign_weights: ClassVar[str] = ""

    # --- The parameters ---

    def __post_init__(self):
        wrong = {of.name: of.values for of in options_of(type(self)) if not of.values.holds(getattr(self, of.name))}
        complaints = [self._complaint(name, values.expected) for name, values in wrong.items()]
        complaints += self._broken_rules(wrong)
        if not complaints:
            self._normalize()
            complaints = [*self._broken_rules_of_size()]
        if complaints:
            raise InputError(listed(complaints, "; ", COMPLAINTS_SHOWN))

    def _complaint(self, name: str, expected: str) -> str:
        return f"{self._given(name)}; it must be {expected}"

    def _given(self, name: str) -> str:
        """A parameter with its value, for a message."""
        return f"{name} is {shortened(json.dumps(getattr(self, name), default=str))}"

    def _broken_rules(self, wrong: Mapping[str, Values]) -> Iterator[str]:
        """A complaint for each rule that is broken between parameters that are not wrong by themselves."""
        yield from ()

    def _normalize(self) -> None:
        """Give each parameter, all of which may be had, the form that it is kept in."""
        for option in options_of(type(self)):
            if option.values.several:
                object.__setattr__(self, option.name, tuple(getattr(self, option.name)))

    def _broken_rules_of_size(self) -> Iterator[str]:
        """What is wrong with the network as a whole, where each parameter may be had."""
        yield from ()

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Config:
        """Build a config from parsed JSON; what it does not name, or says null for, keeps its default.

        For a parameter that may be None null says so.
        """
        options = {option.name: option for option in options_of(cls)}
        known = [*options, FAMILY]
        hints = {name: did_you_mean(name, known, shown="'{}'") for name in values if name not in options}
        unknown = [
            "; ".join(filter(None, (f"unknown parameter {shortened(repr(name))}", hint)))
            for name, hint in hints.items()
        ]
        complaints = [listed(unknown, "; ", COMPLAINTS_SHOWN)] if unknown else []
        if not all(hints.values()):
            complaints.append(f"the parameters are {', '.join(known)}")
        given = {
            name: value
            for name, value in values.items()
            if name in options and (value is not None or options[name].values.none)
        }
        try:
            config = cls(**given)
        except InputError as error:
            complaints.append(str(error))
        if complaints:
            raise InputError("; ".join(complaints))
        return config

    def to_dict(self) -> dict[str, Any]:
        """The parameters as JSON can hold them."""
        return json.loads(json.dumps({option.name: getattr(self, option.name) for option in options_of(type(self))}))

    def network_differences(self, other: Config) -> list[tuple[str, Any, Any]]:
        """The parameters that shape the network and differ from another's of the family: (name, own value, other)."""
        mine, theirs = self.to_dict(), other.to_dict()
        shaping = [option.name for option in options_of(type(self)) if not option.fits_any_weights]
        return [(name, mine[name], theirs[name]) for name in shaping if mine[name] != theirs[name]]

    @classmethod
    @abstractmethod
    def tiny(cls) -> Config:
        """The least network that has all its parts, of which a step takes an instant."""

    def over_codes(self, levels: int) -> Config:
        """The config of such a network of codes of so many levels, where it is one of codes; else it is this one."""
        return self

    def fitted_to(self, shapes: Mapping[str, tuple[int, ...]]) -> Config:
        """The config of the network that a checkpoint of the original's holds, whatever the config beside it says.

        Args:
            shapes: of its tensors, by their keys.
        """
        return self

    @classmethod
    def of_tensors(cls, tensors: Mapping[str, np.ndarray]) -> Config | None:
        """The config of the network that another program's checkpoint holds, where that alone tells it.

        Args:
            tensors: by their names there.

        Raises:
            InputError: it is of such a network, and cannot be used.
        """
        return None

    def weights_from(self, tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The weights of a network of this config, by their keys in checkpoints, from another program's checkpoint.

        Args:
            tensors: by their names there.

        Raises:
            InputError: they are not of such a network.
        """
        raise InputError("another program's checkpoint, and none is known for this family of networks")

    # --- The network ---

    @property
    @abstractmethod
    def parameters(self) -> dict[str, int]:
        """The number of parameters of each part of the network, counted without making it."""

    @property
    def num_parameters(self) -> int:
        """The number of the network's parameters."""
        return sum(self.parameters.values())

    @property
    def of_items(self) -> Config:
        return self

    @property
    def fits_in_cache(self) -> bool:
        return self.num_parameters < CACHED_NUMBERS

    @property
    @abstractmethod
    def activations(self) -> float:
        """About how many numbers backpropagation through one row's window keeps."""

    @property
    def compiled_bytes(self) -> int:
        """By how much its compiled step is larger than that of other families."""
        return 0

    @property
    @abstractmethod
    def uniform_loss(self) -> float:
        """The loss of a model that knows nothing, in nats an item: all that an item can be is equally likely."""

    @property
    def receptive_field(self) -> int | None:
        """By how many items before it an item is predicted; None where there is no bound, as with recurrence."""
        return None

    def remarks(self, logs: Mapping[str, float]) -> Iterable[str]:
        """Sentences on what is wrong with a network of which an epoch measured so, and what helps.

        Args:
            logs: of the epoch: the measures, and after val_ those of the validation.
        """
        return ()


def hop_of(configs: Iterable[GenerationConfig]) -> int:
    """How many items at the bottom one stands for that is at the top of autoencoders; 1 where there are none."""
    return math.prod(config.codes.hop for config in configs if config.codes)
