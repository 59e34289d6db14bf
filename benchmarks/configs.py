"""What the networks in configs/ cost: the tables of docs/families.md.

    python benchmarks/configs.py --only fast deep

Each measurement has a process of its own.
"""

from __future__ import annotations

import argparse
import resource
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import numpy as np

from samplernn.models.config import Config
from samplernn.models.registry import load_config
from samplernn.system.process import in_own_process

CONFIGS = Path(__file__).parent.parent / "configs"
REPEATS = 7


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", help="names of the configs, all by default")
    parser.add_argument("--batch_size", type=int, default=16, help="of a training step")
    arguments = parser.parse_args()
    paths = {path.name.removesuffix(".config.json"): path for path in sorted(CONFIGS.glob("*.config.json"))}
    print(f"{'config':18} {'parameters':>11} {'GB':>5} {'s/step':>7} {'s per s of music':>17}")
    for name in arguments.only or paths:
        config = load_config(paths[name])
        a_step, gigabytes = in_own_process(training, config, arguments.batch_size)
        a_second = in_own_process(generating, config, items_a_second(name, config))
        print(f"{name:18} {config.num_parameters:11,} {gigabytes:5.2f} {a_step:7.3f} {a_second:17.2f}", flush=True)


def items_a_second(name: str, config: Config) -> float:
    """Those that a config is meant for: of audio samples, or codes of 8 samples each."""
    from samplernn.generation.output import output_of

    return output_of(config).rate({"44k": 44100, "wavenet-codes": 2000}.get(name, 16000))


def training(config: Config, batch_size: int) -> tuple[float, float]:
    """The median seconds of a step, and the most memory that the process had, in gigabytes."""
    from bench import training_steps
    from machine import seconds

    work = training_steps(config, batch_size, "float32", None)
    a_step = np.median([seconds(work) for _ in range(REPEATS)])
    return float(a_step), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def generating(config: Config, items: float) -> float:
    """The median seconds that a second of music takes at one level, one sequence alone."""
    from bench import ITEMS_A_CALL, generation
    from machine import seconds

    work = generation(config, 1, "float32", None)
    a_call = np.median([seconds(work) for _ in range(REPEATS)])
    return float(a_call * items / ITEMS_A_CALL)


if __name__ == "__main__":
    main()
