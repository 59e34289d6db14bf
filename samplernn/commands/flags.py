"""The flags of a script, made of its options."""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import Any, NoReturn

from samplernn.options.option import Option
from samplernn.options.values import TO, Values, parse_range
from samplernn.system.errors import InputError
from samplernn.system.words import did_you_mean, shortened

RANGES = f"of a number also a range such as 0.1{TO}10, of which the logarithms are drawn evenly"


class Parser(argparse.ArgumentParser):
    """Parses options; a flag that is not given is left out of the result."""

    def __init__(self, description: str, options: Iterable[Option], hints: Mapping[str, str] = MappingProxyType({})):
        """`hints` is what to say of flags, by their names, that there would be if others were given."""
        super().__init__(description=description, argument_default=argparse.SUPPRESS)
        self._hints = hints
        self._complaints: list[str] = []
        for option in options:
            self._add(self, option, **_how_often(option))

    def add_hyperparameters(self, options: Iterable[Option]) -> None:
        """Add flags that take any number of an option's values, or a range of them.

        An option of several values is given repeatedly.
        """
        group = self.add_argument_group("hyperparameters", f"each takes values to search among; {RANGES}")
        for option in options:
            if option.values.numeric:
                option = replace(option, values=_or_range(option.values))
            self._add(group, option, nargs="+", **({"action": "append"} if option.values.several else {}))

    def _add(self, group, option: Option, **kwargs) -> None:
        help_ = option.help if option.required else f"{option.help} (default: {option.default_text})"
        group.add_argument(
            f"--{option.name}",
            type=partial(self._value, option),
            metavar=f"{{{','.join(option.values.choices)}}}" if option.values.choices else None,
            help=help_.replace("%", "%%"),
            required=option.required,
            **kwargs,
        )

    def _value(self, option: Option, text: str) -> Any:
        """What a flag's text says; where that is nothing, it is noted, and the other flags are looked at too."""
        try:
            return option.values.parse(text)
        except ValueError as error:
            self._complaints.append(f"argument --{option.name}: {error}")
            return None

    def parse(self) -> dict[str, Any]:
        """The values of the flags that are given on the command line; lists are tuples.

        Raises:
            InputError: flags are unknown; or some are missing or have wrong values, all of which are named.
        """
        given = sys.argv[1:]
        self._refuse_unknown_flags(given)
        values = {name: _frozen(value) for name, value in vars(self.parse_args(given)).items()}
        if self._complaints:
            self.error(self._complaints.pop())
        return values

    def _refuse_unknown_flags(self, given: list[str]) -> None:
        """Name all of them, with what was meant, before argparse misses a required flag that was misspelt."""
        known = [option for option in self._option_string_actions if option.startswith("--")]
        given = itertools.takewhile(lambda text: text != "--", given)
        flags = [text.partition("=")[0] for text in given if text.startswith("--") and " " not in text]
        unknown = [flag for flag in flags if not any(option.startswith(flag) for option in known)]
        if unknown:
            names = [option[2:] for option in known]
            hints = [self._hints.get(flag[2:]) or did_you_mean(flag[2:], names, shown="--{}") for flag in unknown]
            complaints = [f"there is no flag {shortened(flag)}" for flag in unknown]
            self.error("; ".join(f"{text}, {hint}" if hint else text for text, hint in zip(complaints, hints)))

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{'; '.join([*self._complaints, message])}; {self.prog} --help lists the flags")


def look_ahead(option: Option) -> Any:
    """The value of one flag of the command line, on which it depends what other flags there are.

    It is the default where the flag is not given, or not rightly, as parsing all flags will say.
    """
    parser = argparse.ArgumentParser(add_help=False, exit_on_error=False)
    parser.add_argument(f"--{option.name}", choices=option.values.choices, default=option.default)
    try:
        return vars(parser.parse_known_args(sys.argv[1:])[0])[option.name]
    except argparse.ArgumentError:
        return option.default


def _or_range(values: Values) -> Values:
    """Those, or a range of them."""

    def parse(text: str) -> Any:
        return parse_range(values, text) if TO in text else values.parse(text)

    return replace(values, parse=parse)


def _how_often(option: Option) -> dict[str, Any]:
    """How many values a flag takes, and what becomes of those of a second one."""
    if option.values.several:
        return {"nargs": "+", "action": "extend" if option.repeatable else "store"}
    return {"nargs": "?", "const": True} if option.values.optional_on_flag else {}


def _frozen(value: Any) -> Any:
    """Lists as tuples, those in lists too."""
    return tuple(map(_frozen, value)) if isinstance(value, list) else value
