"""What autoencoders and the models over their codes learn in the same number of steps: the tables of docs/families.md.

    python benchmarks/autoencoders.py --data_dir chunks --only vqvae amae --steps 3000 --random_seed 0 1 2

Dieleman, van den Oord and Simonyan (2018) have such tables (1 and 2) of networks a hundred times as large. What
output_dir holds already is not done again. A model over codes learns those of what is below it, with the first of the
seeds, after as many steps. For files of 16 kHz.
"""

from __future__ import annotations

import itertools
import json
import sys
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from learning import Trainings, learn, results

from configs import CONFIGS
from samplernn.commands import cli
from samplernn.commands.flags import Parser
from samplernn.options.option import option, options_of
from samplernn.options.values import PATH, one_of, several, whole
from samplernn.system.files import make_writable_folder
from samplernn.system.process import in_own_process


@dataclass(frozen=True)
class Variant:
    """A network: a config, what is changed in it, and whose codes it learns, if any."""

    config: str
    changes: dict
    below: str | None = None


OVER_CODES = {"q_type": "codes", "num_repeats": 1}
VARIANTS = {
    # Its Table 1, and the control that it lacks: the local model alone.
    "local": Variant(
        "wavenet", {"num_repeats": 2, "num_stages": 8, "residual_size": 48, "inner_size": 48, "skip_size": 96}
    ),
    "vqvae": Variant("vqvae", {}),
    "vqvae-continuous": Variant("vqvae", {"input_format": "continuous"}),
    "amae": Variant("amae", {}),
    "amae-continuous": Variant("amae", {"input_format": "continuous"}),
    "amae-softmax": Variant("amae", {"simplex": "softmax"}),
    "vqvae-hop-64": Variant("vqvae", {"hop": 64}),
    # What has no codes, to set beside the bound of a whole stack.
    "wavenet": Variant("wavenet", {}),
    # Its Table 2: models over the codes of the first.
    "codes": Variant("wavenet-codes", {}, "vqvae"),
    "codes-vqvae-64": Variant("vqvae", {**OVER_CODES, "num_stages": 6}, "vqvae"),
    "codes-amae-32": Variant("amae", {**OVER_CODES, "num_stages": 5}, "vqvae"),
    "codes-amae-64": Variant("amae", {**OVER_CODES, "num_stages": 6}, "vqvae"),
    "codes-amae-128": Variant("amae", {**OVER_CODES, "num_stages": 7}, "vqvae"),
    "codes-amae-256": Variant("amae", {**OVER_CODES, "num_stages": 8}, "vqvae"),
    # Three levels.
    "codes-of-codes": Variant("wavenet-codes", {}, "codes-amae-64"),
}


@dataclass(frozen=True, kw_only=True)
class Options(Trainings):
    """What the flags are."""

    output_dir: str = option("./autoencoders", PATH, "folder for all that comes of it")
    only: tuple[str, ...] = option(tuple(VARIANTS), several(one_of(*VARIANTS)), "networks to train")
    steps: int = option(3000, whole(1), "how long each is trained")


def main() -> None:
    given = Options(**Parser(__doc__.splitlines()[0], options_of(Options)).parse())
    output_dir = Path(given.output_dir)
    make_writable_folder("--output_dir", output_dir)
    for name, random_seed in itertools.product(given.only, given.random_seed):
        train(name, random_seed, given, output_dir)
    print(table(results(output_dir)))


def train(name: str, random_seed: int, given: Options, output_dir: Path) -> None:
    """Train a variant as far as is asked for, and first what is below it."""
    variant = VARIANTS[name]
    if variant.below:
        train(variant.below, given.random_seed[0], given, output_dir)
    config = output_dir / f"{name}.config.json"
    shipped = json.loads((CONFIGS / f"{variant.config}.config.json").read_text())
    config.write_text(json.dumps(shipped | variant.changes, indent=2) + "\n")
    options = given.of(
        name,
        random_seed,
        config,
        logdir_root=str(output_dir / "logdir"),
        output_dir=str(output_dir / "generated"),
        codes_from=variant.below and str(stage_of(variant.below, given, output_dir)),
    )
    stages = {given.steps: {"config": name, "random_seed": random_seed, "minutes": given.steps}}
    in_own_process(learn, options, stages, output_dir / options.id)


def stage_of(name: str, given: Options, output_dir: Path) -> Path:
    """The checkpoint of a variant after as many steps."""
    (index,) = (output_dir / f"{name}-{given.random_seed[0]}" / f"{given.steps:g}").glob("*.index")
    return index.with_suffix("")


def table(found: list[dict]) -> str:
    """In Markdown; of several seeds all figures."""
    rows = ["| Network | Steps | NLL, nats | Perplexity | Codes in use |", "|---|---|---|---|---|"]
    trainings = defaultdict(list)
    for each in found:
        trainings[each["config"], each["steps"]].append(each)
    for (name, steps), of_seeds in trainings.items():
        nll = ", ".join(f"{each['loss']:.3f}" for each in of_seeds)
        perplexity, in_use = (
            ", ".join(form.format(each[measure]) for each in of_seeds if measure in each)
            for measure, form in (("perplexity", "{:.1f}"), ("codes_in_use", "{}"))
        )
        rows.append(f"| {name} | {steps} | {nll} | {perplexity} | {in_use} |")
    return "\n".join(rows)


if __name__ == "__main__":
    cli.run(main)
