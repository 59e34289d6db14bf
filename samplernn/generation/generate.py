"""From a checkpoint to files: what generate.py does."""

from __future__ import annotations

import itertools
import logging
import math
import secrets
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from samplernn.checkpoints import run_folders
from samplernn.checkpoints import store as checkpoints
from samplernn.checkpoints.trained_on import items_trained_on
from samplernn.corpus.seed import Context
from samplernn.generation.blend import Blend
from samplernn.generation.chain import Chain, as_settings, hash_of
from samplernn.generation.files import TOO_MANY_FILES, new_files, output_names
from samplernn.generation.level import GivenCodes, Level
from samplernn.generation.output import Judge, Output, TrainedOn
from samplernn.generation.plan import Plan, find_plans
from samplernn.generation.report import Report
from samplernn.generation.stack import Stack
from samplernn.models import registry
from samplernn.models.config import Config
from samplernn.options.common import SCRIPTS
from samplernn.options.generate import GenerationOptions
from samplernn.options.option import as_flags
from samplernn.system.device import has_gpu, refusals_explained, versions
from samplernn.system.files import cannot_be_written
from samplernn.system.words import counted

MEMORY_REMEDY = "lower --max_batch or --num_seqs; on a GPU --precision mixed_bfloat16 needs less, too"
PATHS = {"output_path", "config_file", "seed", "reconstruct", "codes", "hold", "soundfont"}
MAX_BATCH_CPU = 64  # more are no faster
MAX_BATCH_GPU = 128  # a file each is open, and systems allow 256 or more

log = logging.getLogger(__name__)


def match_temperatures(temperature: Sequence[float | str], num_seqs: int) -> list[float | str]:
    """One temperature for each sequence: what is too much is cut, the last value fills up."""
    return [*temperature, *[temperature[-1]] * num_seqs][:num_seqs]


def generate_files(
    level: Level,
    checkpoints: Sequence[Path],
    options: GenerationOptions,
    facts: dict[str, Any] | None = None,
    trained_on: TrainedOn = lambda: (),
) -> list[Path]:
    """Generate sequences, each a file with a JSON beside it, reporting progress on stdout.

    Whatever ends it early, what is written by then is kept.

    Args:
        level: what generates what is written.
        checkpoints: the one whose weights it has, of a stack the model at its top; or those that are blended.
        options: with a sample_rate, a random_seed and a dur. The files that they name are not read again.
        facts: what the JSONs are to say besides.
        trained_on: as for `Output.judges`.

    Returns:
        The files' paths.

    Raises:
        InputError: the path can't be written, or a file can't be as long.
        RunError: the disk refuses, too many files are open, or the model's output is not a number.
    """
    named = tuple(map(str, checkpoints))
    options = replace(options, checkpoint_path=named, jit_compile=level.generator.jit_compile)
    sequences = _Sequences(level, checkpoints, options, facts or {}, trained_on)
    paths, size = [], _batch_size(options.num_seqs, options.max_batch)
    while len(paths) < options.num_seqs:
        rows = range(len(paths), min(len(paths) + size, options.num_seqs))
        try:
            paths += sequences.write(rows, generate_command(replace(options, max_batch=size)))
        except tf.errors.ResourceExhaustedError:
            if options.max_batch or size == 1:
                raise
            size = _batch_size(options.num_seqs, size // 2)
            log.warning("Out of memory: generating %s at a time.", counted(size, "sequence"))
    return paths


class _Sequences:
    """The sequences of one command, of which some are generated and written at a time."""

    def __init__(
        self,
        level: Level,
        checkpoints: Sequence[Path],
        options: GenerationOptions,
        facts: dict[str, Any],
        trained_on: TrainedOn,
    ):
        self._level = level
        self._output = level.generator.output
        self._options = options
        self._trained_on = trained_on
        self._lead = level.context.heard if options.include_seed else level.context.heard[:0]
        self._num_items = self._output.count(options.dur, options.sample_rate, before=len(self._lead))
        self._temperature = match_temperatures(options.temperature, options.num_seqs)
        epochs = [run_folders.epoch_of(checkpoint) for checkpoint in checkpoints]
        self._names = output_names(options.output_path, self._output.suffixes[0], epochs, self._temperature)
        self._facts = _facts(checkpoints[0], level, options) | facts

    def write(self, rows: range, command: list[str]) -> list[Path]:
        """Generate some of them in one batch, each to its own file; `command` is what their JSONs say."""
        options, output, before = self._options, self._output, len(self._lead)
        length, batch = before + self._num_items, slice(rows.start, rows.stop)
        facts = [
            {"command": command, "sequence": row, "temperature": self._temperature[row], **self._facts} for row in rows
        ]
        judges = output.judges(len(rows), options.sample_rate, before, self._trained_on)
        report = Report(rows, options.num_seqs, length, output.rate(options.sample_rate))
        pieces = map(output.decode, _after_lead(self._lead, self._level.pieces(rows, self._num_items)))
        return _write(pieces, output, self._names[batch], facts, judges, length, report)


def generate_command(options: GenerationOptions) -> list[str]:
    """The command that generates with these options, from whatever folder it is called in."""
    values = {name: value for name, value in asdict(options).items() if value is not None}
    paths = values.keys() & PATHS
    values |= {name: Path(values[name]).absolute() for name in paths}
    for name in ("checkpoint_path", "decoder_path"):
        values[name] = tuple(Path(path).absolute() for path in values[name])
    return ["python", str(SCRIPTS / "generate.py"), *as_flags(values)]


def _facts(checkpoint: Path, level: Level, options: GenerationOptions) -> dict[str, Any]:
    """What the JSONs of all sequences say: what they are made from and how."""
    return {
        "num_seqs": options.num_seqs,
        **{name: getattr(options, name) for name in level.generator.output.options},
        **level.generator.output.facts,
        "random_seed": options.random_seed,
        "seed": level.context.seed and level.context.seed | {"included": options.include_seed},
        "sample_rate": options.sample_rate,
        "checkpoint": _known_by(checkpoint),
        "precision": options.precision,
        "jit_compile": options.jit_compile,
        "versions": versions(),
    }


def _known_by(checkpoint: Path) -> dict[str, str]:
    return {"path": str(checkpoint.absolute()), "sha256": hash_of(checkpoint)}


def _batch_size(num_seqs: int, max_batch: int | None) -> int:
    """The size of a batch: as few batches as may be, as equal as may be, so that few sizes have to be compiled."""
    most = max_batch or (MAX_BATCH_GPU if has_gpu() else MAX_BATCH_CPU)
    return math.ceil(num_seqs / math.ceil(num_seqs / most))


def _after_lead(lead: np.ndarray, pieces: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    """Pieces of items [B, n, ...], in the first of them the lead, items [n, ...], before those of each row."""
    for piece in pieces:
        yield np.concatenate([np.stack([lead] * len(piece)), piece], axis=1)
        lead = lead[:0]


def _write(
    pieces: Iterator[np.ndarray],
    output: Output,
    names: Sequence[Path],
    facts: Sequence[dict[str, Any]],
    judges: Sequence[Judge],
    length: int,
    report: Report,
) -> list[Path]:
    """Write decoded pieces [B, n, ...] as they come, each row to a file; say what was written and is doubtful."""
    paths = []
    try:
        with ExitStack() as stack:
            files = [
                stack.enter_context(new_files(name, output, of_file, judge, length))
                for name, of_file, judge in zip(names, facts, judges)
            ]
            paths = [path for path, _ in files]
            stack.enter_context(report)
            for piece in pieces:
                for (_, append), decoded in zip(files, piece):
                    append(decoded)
                report.add(piece.shape[1])
    except OSError as error:
        remedy = {"remedy": "lower --max_batch"} if error.errno in TOO_MANY_FILES else {}
        raise cannot_be_written(error, **remedy) from None
    finally:
        for path, judge in zip(paths, judges):
            if path.exists():
                written = filter(Path.exists, map(path.with_suffix, output.suffixes))
                told = [*(f"Wrote {file}" for file in written), *filter(None, [judge.remark])]
                print(*told, sep="\n", flush=True)
    return paths


def generate_from_checkpoints(options: GenerationOptions) -> list[Path]:
    """What generate.py does: load each checkpoint, or two to blend, generate, write the files.

    Nothing is generated before all of them are found to be there, and to take the options.

    Returns:
        The files' paths.

    Raises:
        InputError: an option can't be used; the message names it and the remedy.
        RunError: the disk refuses, too many files are open, or the model's output is not a number.
    """
    random_seed = secrets.randbits(31) if options.random_seed is None else options.random_seed
    plans = find_plans(replace(options, random_seed=random_seed))
    paths, before, stack = [], None, None
    for number, plan in enumerate(plans, 1):
        if len(plans) > 1:
            print(f"Checkpoint {number} of {len(plans)}: {plan.checkpoints[0]}")
        with refusals_explained(MEMORY_REMEDY):
            if stack is None or not plan.has_the_networks_of(before):
                stack = _build(plan)
            paths += _generate(plan, stack)
        before = plan
    return paths


def _build(plan: Plan) -> Stack:
    """The networks of a plan, those at the top without their weights."""
    options = plan.options
    tops = [registry.build(config, options.precision) for config in plan.configs]
    top = Blend(*tops, options.blend) if len(tops) > 1 else tops[0]
    return Stack(top, plan.chain, plan.learnt_rate, options.precision, options.jit_compile, **plan.of_output)


def _generate(plan: Plan, stack: Stack) -> list[Path]:
    """Load the checkpoints of a plan into what was built, and write the files."""
    options = plan.options
    for checkpoint, network in zip(plan.checkpoints, stack.top.networks):
        checkpoints.restore(checkpoint, network)
    codes, facts = plan.to_decode.codes(stack) if plan.to_decode else (None, {})
    level = level_of(stack, options, stack.contexts(options, options.seed_dur), codes)
    facts |= facts_of_chain(plan.configs[0], plan.chain, options)
    if len(plan.configs) > 1:
        facts["blend"] = {
            "share": options.blend,
            "checkpoint": _known_by(plan.checkpoints[1]),
            "config": registry.config_to_dict(plan.configs[1]),
        }
    return generate_files(level, plan.checkpoints, options, facts, partial(_trained_on, plan))


def _trained_on(plan: Plan) -> Iterable[tuple[str, np.ndarray]]:
    """The names and items of what the networks at the top have learnt."""
    return itertools.chain.from_iterable(map(items_trained_on, plan.checkpoints, plan.configs))


def level_of(
    stack: Stack, options: GenerationOptions, contexts: Sequence[Context], codes: GivenCodes | None = None
) -> Level:
    """What generates samples as generate.py is told to; `contexts` and `codes` are as for `Stack.level`."""
    temperature = match_temperatures(options.temperature, options.num_seqs)
    return stack.level(
        contexts, temperature, options.decoder_temperature, options.random_seed, codes, options.sample_rate
    )


def facts_of_chain(config: Config, chain: Chain, options: GenerationOptions) -> dict[str, Any]:
    """What the JSON of a sequence says of a stack: of the top's config, and of the autoencoders below it."""
    below = {"chain": as_settings(chain), "decoder_temperature": list(options.decoder_temperature)} if chain else {}
    return {"config": registry.config_to_dict(config), **below}
