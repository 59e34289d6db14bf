"""docs/reference.md, made of the options: python -m samplernn.commands.reference > docs/reference.md"""

from __future__ import annotations

import json
from collections.abc import Iterable

from samplernn.models.config import FAMILY
from samplernn.models.registry import DEFAULT_FAMILY, FAMILIES
from samplernn.options.chunk_audio import ChunkOptions
from samplernn.options.encode import EncodingOptions
from samplernn.options.evaluate import EvaluationOptions
from samplernn.options.fetch_audio import FetchOptions
from samplernn.options.generate import GenerationOptions
from samplernn.options.listen import ListenOptions
from samplernn.options.option import Option, options_of
from samplernn.options.render_midi import RenderingOptions
from samplernn.options.train import TrainingOptions
from samplernn.search.options import KerasTunerOptions, RayTuneOptions
from samplernn.search.space import OF_TRAINING

HEAD = """\
# Reference

Every flag of every command, and every parameter of a model's JSON config. `python train.py --help` and its like show
the same. A flag may be shortened as long as it stays the only one of its beginning; True and False may be written in
any case, and a flag that takes them means True where it stands alone.

This page is made from the program (`python -m samplernn.commands.reference > docs/reference.md`), and a test holds the
two together.
"""
ONLY_FLAGS = """\
`--check` takes no value: nothing is trained, but told whether all that the training needs is there; no other flag is
required then. `--num_val_batches` is deprecated, without effect: use `--val_frac`.
"""
CONFIG = f"""\
The JSON file that `--config_file` names, called `<name>.config.json`, holds one object with these parameters. All are
optional, and `null` stands for the default. `"{FAMILY}"` names the family, `{DEFAULT_FAMILY}` where it is absent.

A parameter that can be searched is a flag of keras_tuner.py and ray_tune.py too, which take any number of values of it;
one that changes in flight can be changed by `--type pbt` between two epochs.
"""


def page() -> str:
    """The whole page, in Markdown."""
    hyperparameters = ", ".join(f"`{option.name}`" for option in OF_TRAINING)
    in_a_search = (
        f"To search among: {hyperparameters}, as for train.py, and [the model's parameters](#the-models-parameters),"
        " one or more values of each; the flag of one that has several numbers is repeated for further ones.\n"
    )
    return "\n".join(
        [
            HEAD,
            _section("fetch_audio.py", options_of(FetchOptions)),
            _section("chunk_audio.py", options_of(ChunkOptions)),
            _section("train.py", options_of(TrainingOptions)),
            ONLY_FLAGS,
            _section("generate.py", options_of(GenerationOptions)),
            _section("listen.py", options_of(ListenOptions)),
            _section("encode.py", options_of(EncodingOptions)),
            _section("render_midi.py", options_of(RenderingOptions)),
            _section("evaluate.py", options_of(EvaluationOptions)),
            _section("keras_tuner.py", options_of(KerasTunerOptions)),
            in_a_search,
            _section("ray_tune.py", options_of(RayTuneOptions)),
            in_a_search,
            f"## The model's parameters\n\n{CONFIG}",
            *(_parameters(name, options_of(family.config)) for name, family in FAMILIES.items()),
        ]
    )


def _section(script: str, options: Iterable[Option]) -> str:
    rows = [f"| `{option.name}` | {_sentence(option)}{_choices(option)}. | {_default(option)} |" for option in options]
    return "\n".join([f"## {script}", "", "| Flag | What it is | Default |", "|---|---|---|", *rows, ""])


def _parameters(family: str, options: Iterable[Option]) -> str:
    rows = [
        f"| `{option.name}` | {_sentence(option)}. | {option.values.expected}"
        f" | `{json.dumps(option.default)}` | {_rights(option)} |"
        for option in options
    ]
    head = ["| Parameter | What it is | Values | Default | In a search |", "|---|---|---|---|---|"]
    return "\n".join([f"### {family}", "", *head, *rows, ""])


def _sentence(option: Option) -> str:
    return f"{option.help[0].upper()}{option.help[1:]}"


def _choices(option: Option) -> str:
    names = [f"`{choice}`" for choice in option.values.choices]
    return f": {', '.join(names)}" if names else ""


def _default(option: Option) -> str:
    if option.required:
        return "required"
    return option.default_in_words or f"`{option.default_text}`"


def _rights(option: Option) -> str:
    return "changes in flight" if option.in_flight else "yes" if option.searchable else ""


if __name__ == "__main__":
    print(page(), end="")
