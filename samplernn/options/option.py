"""An option: a field of a dataclass that also says what may be put there, what it is for, and who may change it.

The flags of the commands, the space of a search, the tables of docs/reference.md and the rules of a JSON config are all
made from it.
"""

from __future__ import annotations

from dataclasses import MISSING, Field, dataclass, field, fields
from typing import Any

from samplernn.options.values import Values


@dataclass(frozen=True)
class Option:
    """What is known of an option.

    Attributes:
        name: of the field, the flag and the key in JSON.
        default: MISSING where the option is required.
        values: those that it takes.
        help: what it is for, a phrase.
        default_in_words: where the default's value does not say what happens.
        searchable: whether a search may try several values.
        in_flight: whether it may change between two epochs of a training.
        fits_any_weights: whether any value of it runs with the weights learnt with another; so if it may change in
            flight.
        repeatable: whether a flag that is given twice adds its values; else the last one counts.
    """

    name: str
    default: Any
    values: Values
    help: str
    default_in_words: str | None = None
    searchable: bool = False
    in_flight: bool = False
    fits_any_weights: bool = False
    repeatable: bool = False

    @property
    def required(self) -> bool:
        return self.default is MISSING

    @property
    def default_text(self) -> str:
        """The default, as a reader of the help is told."""
        if self.default is None and self.values.none:
            return self.default_in_words or self.values.none
        return self.default_in_words or as_text(self.default)


def option(default: Any, values: Values, help: str, default_in_words: str | None = None, **rights: bool) -> Any:
    """A field that is an option; the default is MISSING where it is required. See `Option`."""
    rights["fits_any_weights"] = rights.get("fits_any_weights", False) or rights.get("in_flight", False)
    about = {"values": values, "help": help, "default_in_words": default_in_words, **rights}
    return field(default=default, metadata={"option": about})


def with_default(options_class: type, name: str, default: Any) -> Any:
    """A field that is the option of another class but for its default."""
    return field(default=default, metadata=options_class.__dataclass_fields__[name].metadata)


def options_of(options_class: type) -> list[Option]:
    """The options of a dataclass: the required ones, its own, and those that it inherits."""
    own_first = [name for cls in options_class.__mro__ for name in cls.__dict__.get("__annotations__", ())]
    found = sorted(fields(options_class), key=lambda item: own_first.index(item.name))
    return sorted(map(_option_of, filter(_is_option, found)), key=lambda option: not option.required)


def _is_option(item: Field) -> bool:
    return "option" in item.metadata


def _option_of(item: Field) -> Option:
    return Option(item.name, item.default, **item.metadata["option"])


def as_text(value: Any) -> str:
    """A value as a flag takes it."""
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def as_flags(values: dict[str, Any]) -> list[str]:
    """What a script is to be called with, so that its flags have these values; for none at all that is nothing."""
    flags = []
    for name, value in values.items():
        if value == ():
            continue
        flags += [f"--{name}", *map(str, value if isinstance(value, tuple) else [value])]
    return flags


def changed_flags(options: Any) -> list[str]:
    """What a script is to be called with for these options: the required ones, then those not at their defaults."""
    changed = [option for option in options_of(type(options)) if getattr(options, option.name) != option.default]
    return as_flags({option.name: getattr(options, option.name) for option in changed})
