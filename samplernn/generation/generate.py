"""From a checkpoint to files: what generate.py does."""

from __future__ import annotations

import logging
import math
import secrets
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from samplernn.checkpoints import run_folders
from samplernn.checkpoints import store as checkpoints
from samplernn.checkpoints.settings import model_config, read_settings, remark_on
from samplernn.checkpoints.trained_on import items_trained_on
from samplernn.corpus.seed import Context
from samplernn.generation.chain import Chain, as_settings, chain_below, configs_of, hash_of
from samplernn.generation.decoding import ToDecode, find_to_decode
from samplernn.generation.files import TOO_MANY_FILES, new_files, output_names
from samplernn.generation.level import GivenCodes, Level
from samplernn.generation.output import Judge, Output, TrainedOn, options_of_output, output_of
from samplernn.generation.report import Report
from samplernn.generation.stack import Stack
from samplernn.models import registry
from samplernn.models.config import Config, hop_of
from samplernn.options.option import as_flags
from samplernn.options.options import DEFAULT_SAMPLE_RATE, DEFAULT_TEMPERATURE, SCRIPTS, GenerationOptions
from samplernn.system.device import has_gpu, refusals_explained, versions
from samplernn.system.errors import InputError
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
    checkpoint: Path,
    options: GenerationOptions,
    facts: dict[str, Any] | None = None,
    trained_on: TrainedOn = lambda: (),
) -> list[Path]:
    """Generate sequences, each a file with a JSON beside it, reporting progress on stdout.

    Whatever ends it early, what is written by then is kept.

    Args:
        level: what generates what is written.
        checkpoint: the one whose weights it has, or of a stack the model at its top.
        options: with a sample_rate, a random_seed and a dur. The files that they name are not read again.
        facts: what the JSONs are to say besides.
        trained_on: as for `Output.judges`.

    Returns:
        The files' paths.

    Raises:
        InputError: the path can't be written, or a file can't be as long.
        RunError: the disk refuses, too many files are open, or the model's output is not a number.
    """
    options = replace(options, checkpoint_path=(str(checkpoint),), jit_compile=level.generator.jit_compile)
    sequences = _Sequences(level, checkpoint, options, facts or {}, trained_on)
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
        checkpoint: Path,
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
        epoch = run_folders.epoch_of(checkpoint)
        self._names = output_names(options.output_path, self._output.suffixes[0], epoch, self._temperature)
        self._facts = _facts(checkpoint, level, options) | facts

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
        "checkpoint": {"path": str(checkpoint.absolute()), "sha256": hash_of(checkpoint)},
        "precision": options.precision,
        "jit_compile": options.jit_compile,
        "versions": versions(),
    }


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
    """What generate.py does: load each checkpoint, generate from it, write the files.

    Nothing is generated before all of them are found to be there, and to take the options.

    Returns:
        The files' paths.

    Raises:
        InputError: an option can't be used; the message names it and the remedy.
        RunError: the disk refuses, too many files are open, or the model's output is not a number.
    """
    random_seed = secrets.randbits(31) if options.random_seed is None else options.random_seed
    of_each = replace(options, all_checkpoints=False, random_seed=random_seed)
    plans = [_plan(checkpoint, of_each) for checkpoint in _find_checkpoints(options)]
    paths, before, stack = [], None, None
    for number, plan in enumerate(plans, 1):
        if len(plans) > 1:
            print(f"Checkpoint {number} of {len(plans)}: {plan.checkpoint}")
        with refusals_explained(MEMORY_REMEDY):
            if stack is None or not plan.has_the_network_of(before):
                stack = plan.build()
            paths += plan.generate(stack)
        before = plan
    return paths


def _find_checkpoints(options: GenerationOptions) -> list[Path]:
    """Those that the options name, each once, in their order."""
    found: list[Path] = []
    for path in options.checkpoint_path:
        checkpoint, is_folder = run_folders.resolve(path), Path(path).is_dir()
        if options.all_checkpoints and not is_folder:
            raise InputError(f"--all_checkpoints: {path} is one; name its folder, {checkpoint.parent}")
        if options.all_checkpoints:
            kept = run_folders.kept_in(checkpoint.parent)
            print(f"Generating with all of {checkpoint.parent}, {counted(len(kept), 'checkpoint')}.")
            found += kept
        else:
            found.append(checkpoint)
            if is_folder:
                print(f"Generating with {checkpoint}, the latest there.")
    return list(dict.fromkeys(found))


@dataclass(frozen=True)
class _Plan:
    """What is to be generated with a checkpoint.

    Attributes:
        checkpoint, config: of the model at the top.
        chain: those below it.
        learnt_rate: of the audio that they have learnt, Hz.
        options: in which nothing is left open.
        of_output: those of them that the network's output has.
        to_decode: what an autoencoder is to decode.
    """

    checkpoint: Path
    config: Config
    chain: Chain
    learnt_rate: int
    options: GenerationOptions
    of_output: dict[str, Any]
    to_decode: ToDecode | None

    def has_the_network_of(self, other: _Plan) -> bool:
        """Whether the two differ in nothing but the weights at the top."""
        names = ("config", "chain", "learnt_rate", "of_output")
        return all(getattr(self, name) == getattr(other, name) for name in names)

    def build(self) -> Stack:
        """The networks, that at the top without its weights."""
        top, options = registry.build(self.config, self.options.precision), self.options
        return Stack(top, self.chain, self.learnt_rate, options.precision, options.jit_compile, **self.of_output)

    def generate(self, stack: Stack) -> list[Path]:
        """Load the checkpoint into what was built, and write the files."""
        options = self.options
        checkpoints.restore(self.checkpoint, stack.top)
        codes, of_codes = self.to_decode.codes(stack) if self.to_decode else (None, {})
        level = level_of(stack, options, stack.contexts(options, options.seed_dur), codes)
        facts = of_codes | facts_of_chain(self.config, self.chain, options)
        learnt = partial(items_trained_on, self.checkpoint, self.config)
        return generate_files(level, self.checkpoint, options, facts, learnt)


def _plan(checkpoint: Path, options: GenerationOptions) -> _Plan:
    """Find all that a generation needs; InputError where something is wrong with it."""
    config = model_config(checkpoint, options.config_file)
    if said := remark_on(checkpoint, config):
        print(said)
    known = read_settings(checkpoint) or {}
    rate = choose_sample_rate(options.sample_rate, known.get("sample_rate"), "the checkpoint was trained on")
    options = replace(options, checkpoint_path=(str(checkpoint),), sample_rate=rate)
    of_output = options_of_output(config, options)
    learnt_rate = known.get("sample_rate") or options.sample_rate
    remedy = "name by --decoder_path where it lies"
    chain = chain_below(checkpoint, config, options.decoder_path, remedy)
    _check_decoder_temperature(options, checkpoint, chain)
    output = output_of(configs_of(chain)[-1] if chain else config)  # of which only lengths are asked
    output.count(options.dur or output.default_dur, options.sample_rate)
    hop = hop_of([config, *configs_of(chain)])
    to_decode = find_to_decode(options, checkpoint, config, hop, learnt_rate)
    options = replace(options, dur=_duration(options, to_decode and to_decode.number, hop, output.default_dur))
    return _Plan(checkpoint, config, chain, learnt_rate, options, of_output, to_decode)


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


def _check_decoder_temperature(options: GenerationOptions, checkpoint: Path, chain: Chain) -> None:
    """There are as many as decoders, or one; InputError where that is not so."""
    given = options.decoder_temperature
    if not chain and given != (DEFAULT_TEMPERATURE,):
        raise InputError(f"--decoder_temperature: nothing is below {checkpoint}; leave the flag out")
    if len(given) > max(1, len(chain)):
        raise InputError(
            f"--decoder_temperature: {counted(len(given), 'value')} for {counted(len(chain), 'autoencoder')} below"
            f" {checkpoint}; give one for all or one for each"
        )


def _duration(options: GenerationOptions, number: int | None, hop: int, default: float) -> float:
    """What is wished, else as long as the codes that are given to decode, or the default, in seconds."""
    if number is None:
        return options.dur or default
    longest = seconds_of_codes(number, hop, options.sample_rate)
    if options.dur and options.dur > longest:
        raise InputError(f"--dur {options.dur}: there are codes of only {longest} seconds; choose less")
    return options.dur or longest


def seconds_of_codes(number: int, hop: int, sample_rate: int) -> float:
    """How long what so many codes are decoded to is at a rate in Hz."""
    return number * hop / sample_rate


def choose_sample_rate(given: int | None, known: int | None, source: str) -> int:
    """The flag's rate, else the known one, else the default; a flag that contradicts what is known is remarked on."""
    if given and known and given != known:
        log.warning("--sample_rate %d, though %s %d Hz: pitch and tempo will differ.", given, source, known)
    return given or known or DEFAULT_SAMPLE_RATE
