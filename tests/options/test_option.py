"""Options: what is made of a field, and that each comes back from what the command line is told of it."""

import sys
from dataclasses import MISSING, dataclass

import pytest
from conftest import ROOT

from samplernn.commands import cli
from samplernn.models.registry import FAMILIES, load_config, name_of
from samplernn.options.chunk_audio import ChunkOptions
from samplernn.options.generate import GenerationOptions
from samplernn.options.option import as_flags, changed_flags, option, options_of, with_default
from samplernn.options.train import CheckOptions, TrainingOptions
from samplernn.options.values import BOOLEAN, PATH, TEMPERATURE, automatic, one_of, optional, several, whole
from samplernn.search.options import KerasTunerOptions, RayTuneOptions

COMMANDS = {
    ChunkOptions: cli.chunk_options,
    TrainingOptions: cli.training_options,
    GenerationOptions: cli.generation_options,
    KerasTunerOptions: cli.keras_tuner_options,
    RayTuneOptions: cli.ray_tune_options,
}


@dataclass(frozen=True, kw_only=True)
class Base:
    place: str = option(MISSING, PATH, "where")
    loud: bool = option(False, BOOLEAN, "whether it is loud")


@dataclass(frozen=True, kw_only=True)
class Derived(Base):
    size: int | None = option(None, automatic(whole(1)), "how large", searchable=True)
    place: str = with_default(Base, "place", "here")
    untold: int = 0


def test_a_class_lists_its_own_options_first_but_for_the_required_ones():
    assert [option.name for option in options_of(Base)] == ["place", "loud"]
    assert [option.name for option in options_of(Derived)] == ["size", "place", "loud"]
    size, place, _ = options_of(Derived)
    assert (place.required, place.default, place.help) == (False, "here", "where")
    assert (size.default_text, size.searchable, size.in_flight) == ("auto", True, False)


def test_what_is_not_at_its_default_is_said_by_flags():
    assert changed_flags(Base(place="here")) == ["--place", "here"]
    assert changed_flags(Derived(loud=True, untold=1)) == ["--loud", "True"]
    assert as_flags({"a": (1, 2.5), "b": None}) == ["--a", "1", "2.5", "--b", "None"]


@pytest.mark.parametrize("options_class", COMMANDS)
def test_every_default_can_be_written_as_a_flag(monkeypatch, options_class):
    required = {option.name: "x" for option in options_of(options_class) if option.required}
    words = {option.name: option.values.none for option in options_of(options_class) if option.default is None}
    defaults = {option.name: option.default for option in options_of(options_class) if not option.required}
    monkeypatch.setattr(sys, "argv", ["script.py", *as_flags(defaults | words | required)])
    options = COMMANDS[options_class]()
    assert {name: getattr(options, name) for name in defaults} == defaults


OF_AUDIO = [path for path in sorted((ROOT / "configs").iterdir()) if load_config(path).data == "audio"]


@pytest.mark.parametrize("path", OF_AUDIO, ids=lambda path: path.name)
def test_a_config_as_flags_of_a_search_is_the_config(monkeypatch, path):
    config = load_config(path)
    monkeypatch.setattr(
        sys, "argv", ["script.py", "--data_dir", "d", "--model", name_of(config), *as_flags(vars(config))]
    )
    space = cli.keras_tuner_options().space
    assert type(config)(**{name: space[name][0] for name in vars(config)}) == config
    assert all(len(values) == 1 for values in space.values())


def test_every_option_says_what_it_is_for():
    for options_class in (*COMMANDS, CheckOptions, *(family.config for family in FAMILIES.values())):
        helps = [option.help for option in options_of(options_class)]
        assert len(set(helps)) == len(helps)
        assert not [help_ for help_ in helps if not help_ or help_.endswith(".")]


@pytest.mark.parametrize(
    ("values", "text", "value"),
    [
        (one_of("a", "b"), "a", "a"),
        (optional(whole(2, 5)), "NONE", None),
        (automatic(BOOLEAN), "Auto", None),
        (automatic(BOOLEAN), "f", False),
        (several(whole(0)), "3", 3),
        (TEMPERATURE, "0.50@1,2@3", "0.5@1,2@3"),
    ],
)
def test_a_text_becomes_a_value(values, text, value):
    assert values.parse(text) == value


@pytest.mark.parametrize(
    ("values", "text", "said"),
    [
        (optional(whole(2, 5)), "6", "6 is not a whole number from 2 to 5, nor None"),
        (automatic(BOOLEAN), "maybe", "'maybe' is neither True nor False, nor auto"),
        (TEMPERATURE, "1@0,2@0", "1@0,2@0 is no envelope such as 0.75@0,1.1@5: its seconds do not ascend"),
        (PATH, "a" * 5000, "too long for a name; shorten it"),
    ],
)
def test_what_cannot_become_one_is_said(values, text, said):
    with pytest.raises(ValueError) as refused:
        values.parse(text)
    assert said in str(refused.value)


def test_what_json_may_hold():
    assert [value for value in (0, 1, 5, 6, True, 2.0, "3", None) if whole(1, 5).holds(value)] == [1, 5]
    assert [value for value in (True, 0, None) if optional(BOOLEAN).holds(value)] == [True, None]
    assert [value for value in ([1], [], [0], 1, (1, 2)) if several(whole(1)).holds(value)] == [[1], (1, 2)]
    assert not one_of("a").holds(["a"])
