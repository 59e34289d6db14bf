"""From a model to audio files: the seed, the temperatures, the loop over blocks, what is noted of it."""

from __future__ import annotations

import hashlib
import logging
import math
import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from samplernn import checkpoint as checkpoints
from samplernn import run_folders
from samplernn.audio import MAX_WAV_FRAMES, examine, read_mono
from samplernn.config import DEFAULT_SAMPLE_RATE, SCRIPTS, GenerationOptions, ModelConfig, as_flags
from samplernn.device import has_gpu, refusals_explained, use_xla, versions
from samplernn.errors import InputError, RunError
from samplernn.files import cannot_be_written
from samplernn.listening import Judge, remark
from samplernn.model import SampleRNN
from samplernn.output import TOO_MANY_FILES, new_files, output_names
from samplernn.quantize import quantizer

MEMORY_REMEDY = "lower --max_batch or --num_seqs; on a GPU --precision mixed_bfloat16 needs less, too"
SAMPLES_A_CALL = 1024  # generated between two chances to report and to stop
MAX_BATCH_CPU = 64  # more are no faster
MAX_BATCH_GPU = 128  # a file each is open, and systems allow 256 or more
REPORT_SECONDS = 1.0
HASH_BYTES = 2**20  # read at a time
NO_TOKEN = -1  # drawn from what is no distribution

log = logging.getLogger(__name__)


def inverse_cdf(logits, temperature, uniform):
    """Draw tokens from softmax(logits / temperature) by one uniform number each, NO_TOKEN where that is not a number.

    Args:
        logits: [B, Q].
        temperature: [B].
        uniform: [B], in [0, 1).

    Returns:
        int32 tokens [B].
    """
    cumulative = tf.cumsum(tf.nn.softmax(logits / temperature[:, None]), axis=1)
    total = cumulative[:, -1]  # rounding may leave it a little off 1; it is NaN where any of the logits is
    tokens = tf.reduce_sum(tf.cast(cumulative <= uniform[:, None] * total[:, None], tf.int32), axis=1)
    return tf.where(tf.math.is_nan(total), NO_TOKEN, tf.minimum(tokens, logits.shape[1] - 1))


class Generator:
    """Generates from a model, whose weights may change between calls; compiles once for each number of sequences.

    Raises:
        InputError: `jit_compile` asks for what cannot be done.
    """

    def __init__(self, model: SampleRNN, jit_compile: bool | None = None):
        self.model = model
        self.jit_compile = use_xla(jit_compile)
        self._weights = tf.function(model.step_weights, autograph=False)
        self._blocks = tf.function(self._generate_blocks, autograph=False, jit_compile=self.jit_compile)
        self._blocks_a_call = max(1, SAMPLES_A_CALL // model.lookback)

    def __call__(
        self, context: np.ndarray, num_samples: int, temperature: Sequence[float], seeds: Sequence[Sequence[int]]
    ) -> Iterator[np.ndarray]:
        """Generate sequences in one batch, from a state of zero, piece by piece.

        Args:
            context: int tokens [B, lookback] that come before; they are not part of the result.
            num_samples: the length of each sequence.
            temperature: one for each sequence.
            seeds: one for each sequence, numbers of which the same ones give the same tokens, whatever else is in
                the batch.

        Yields:
            int32 tokens [B, n], one after the other; their n sum to num_samples.

        Raises:
            RunError: the logits are not numbers.
        """
        weights = self._weights()
        context, state = tf.constant(context, tf.int32), self.model.initial_state(len(context))
        temperature = tf.constant(temperature, tf.float32)
        random = [np.random.default_rng(seed) for seed in seeds]
        length = self._blocks_a_call * self.model.lookback
        for left in range(num_samples, 0, -length):
            uniforms = np.stack([stream.random(length, np.float32) for stream in random], axis=1)  # [length, B]
            tokens, context, state = self._blocks(context, state, weights, temperature, uniforms)
            tokens = tokens[:, :left].numpy()
            if (tokens == NO_TOKEN).any():
                raise RunError(
                    "The model's output is not a number: its weights are damaged, or too large for --precision;"
                    " use another checkpoint, or --precision float32"
                )
            yield tokens

    def _generate_blocks(self, context, state, weights, temperature, uniforms):
        lookback = self.model.lookback
        batch_size = context.shape[0]

        def generate_block(i, context, state, blocks):
            def sample(logits, position):
                return inverse_cdf(logits, temperature, uniforms[i * lookback + position])

            context, state = self.model.generate_block(context, state, sample, weights)
            return i + 1, context, state, blocks.write(i, context)

        blocks = tf.TensorArray(tf.int32, self._blocks_a_call, element_shape=[batch_size, lookback])
        _, context, state, blocks = tf.while_loop(
            lambda i, *_: i < self._blocks_a_call, generate_block, (0, context, state, blocks)
        )
        tokens = tf.reshape(tf.transpose(blocks.stack(), [1, 0, 2]), [batch_size, -1])  # [blocks, B, L] → [B, blocks·L]
        return tokens, context, state


def match_temperatures(temperature: Sequence[float], num_seqs: int) -> list[float]:
    """One temperature for each sequence: what is too much is cut, the last value fills up."""
    return [*temperature, *[temperature[-1]] * num_seqs][:num_seqs]


@dataclass(frozen=True)
class Context:
    """What sequences begin from; it comes before them."""

    tokens: np.ndarray  # int32 [B, lookback]
    seed: dict[str, Any] | None = None  # the audio that they are from: path, sha256, offset in samples; None: silence


def seed_context(model: SampleRNN, num_seqs: int, seed: str | None, seed_offset: int) -> Context:
    """A stretch of the seed audio, or silence, for each sequence.

    Raises:
        InputError: the seed is not audio, or ends before the stretch does.
    """
    quantize = quantizer(model.config.q_type, model.config.q_levels)
    if seed is None:
        return Context(np.full([num_seqs, model.lookback], quantize.zero, np.int32))
    try:
        recording = examine(Path(seed))
    except InputError as error:
        raise InputError(f"--seed: {error}") from None
    largest = recording.frames - model.lookback
    if largest < 0:
        raise InputError(f"--seed {seed}: {recording.frames} samples, {model.lookback} are needed; use longer audio")
    if seed_offset > largest:
        raise InputError(f"--seed_offset {seed_offset} is too far into {seed}; {largest} is the largest that will do")
    tokens = quantize.encode(read_mono(recording.path, seed_offset, model.lookback))
    source = {"path": str(recording.path.absolute()), "sha256": _sha256(recording.path), "offset": seed_offset}
    return Context(np.tile(tokens, [num_seqs, 1]), source)


def count_samples(dur: float, sample_rate: int, flag: str = "--dur") -> int:
    """The length of a sequence of `dur` seconds, exact to the sample.

    Raises:
        InputError: a WAV can't be that long; the message names the flag.
    """
    num_samples = max(1, round(dur * sample_rate))
    if num_samples > MAX_WAV_FRAMES:
        longest = MAX_WAV_FRAMES // sample_rate
        raise InputError(f"{flag} {dur}: at {sample_rate} Hz {longest} is the longest that will do; a WAV ends at 4 GB")
    return num_samples


def generate_files(generator: Generator, checkpoint: Path, context: Context, options: GenerationOptions) -> list[Path]:
    """Generate sequences, each a WAV with a JSON beside it, reporting progress on stdout.

    Whatever ends it early, what is written by then is kept.

    Args:
        generator: of the model.
        checkpoint: the one whose weights the model has.
        context: what to begin from.
        options: with a sample_rate and a random_seed. The checkpoint and the seed audio that they name are not read
            again.

    Returns:
        The WAVs' paths.

    Raises:
        InputError: the path can't be written, or a WAV can't be as long.
        RunError: the disk refuses, too many files are open, or the model's output is not a number.
    """
    options = replace(options, checkpoint_path=str(checkpoint), jit_compile=generator.jit_compile)
    num_samples = count_samples(options.dur, options.sample_rate)
    temperature = match_temperatures(options.temperature, options.num_seqs)
    names = output_names(options.output_path, run_folders.epoch_of(checkpoint), temperature)
    common = _facts(checkpoint, generator.model.config, context, options)
    paths, size = [], _batch_size(len(names), options.max_batch)
    while len(paths) < len(names):
        rows = range(len(paths), min(len(paths) + size, len(names)))
        batch = slice(rows.start, rows.stop)
        seeds = [(options.random_seed, row) for row in rows]
        pieces = generator(context.tokens[batch], num_samples, temperature[batch], seeds)
        command = generate_command(replace(options, max_batch=size))
        facts = [{"command": command, "sequence": row, "temperature": temperature[row], **common} for row in rows]
        which = f"Sequences {rows.start + 1} to {rows.stop} of {len(names)}: " if size < len(names) else ""
        try:
            paths += _write(pieces, names[batch], facts, num_samples, generator.model.config, which)
        except tf.errors.ResourceExhaustedError:
            if options.max_batch or size == 1:
                raise
            size = _batch_size(len(names), size // 2)
            log.warning("Out of memory: generating %d sequences at a time.", size)
    return paths


def generate_command(options: GenerationOptions) -> list[str]:
    """The command that generates with these options, from whatever folder it is called in."""
    values = {name: value for name, value in asdict(options).items() if value is not None}
    paths = {"output_path", "checkpoint_path", "config_file", "seed"} & values.keys()
    return ["python", str(SCRIPTS / "generate.py"), *as_flags(values | {p: Path(values[p]).absolute() for p in paths})]


def _facts(checkpoint: Path, config: ModelConfig, context: Context, options: GenerationOptions) -> dict[str, Any]:
    """What the JSONs of all sequences say: what they are made from and how."""
    return {
        "num_seqs": options.num_seqs,
        "random_seed": options.random_seed,
        "seed": context.seed,
        "sample_rate": options.sample_rate,
        "checkpoint": {
            "path": str(checkpoint.absolute()),
            "sha256": _sha256(*run_folders.weight_files(checkpoint)),
        },
        "config": config.to_dict(),
        "precision": options.precision,
        "jit_compile": options.jit_compile,
        "versions": versions(),
    }


def _sha256(*paths: Path) -> str:
    """The hash of files, one after the other, in hexadecimal digits."""
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            while block := file.read(HASH_BYTES):
                digest.update(block)
    return digest.hexdigest()


def _batch_size(num_seqs: int, max_batch: int | None) -> int:
    """The size of a batch: as few batches as may be, as equal as may be, so that few sizes have to be compiled."""
    most = max_batch or (MAX_BATCH_GPU if has_gpu() else MAX_BATCH_CPU)
    return math.ceil(num_seqs / math.ceil(num_seqs / most))


def _write(
    pieces: Iterator[np.ndarray],
    names: Sequence[Path],
    facts: Sequence[dict[str, Any]],
    num_samples: int,
    config: ModelConfig,
    which: str,
) -> list[Path]:
    """Write pieces of tokens [B, n] as they come, each row to its own file; say what was written and is doubtful."""
    quantize, report = quantizer(config.q_type, config.q_levels), _Progress(num_samples, facts[0]["sample_rate"], which)
    levels = quantize.decode(np.arange(quantize.levels))
    judges = [Judge(facts[0]["sample_rate"], levels) for _ in names]
    paths, done = [], 0
    try:
        with ExitStack() as stack:
            files = [stack.enter_context(new_files(*file, num_samples)) for file in zip(names, facts, judges)]
            paths = [path for path, _ in files]
            for tokens in pieces:
                for (_, write), audio in zip(files, quantize.decode(tokens)):
                    write(audio)
                done += tokens.shape[1]
                report(done)
    except OSError as error:
        remedy = {"remedy": "lower --max_batch"} if error.errno in TOO_MANY_FILES else {}
        raise cannot_be_written(error, **remedy) from None
    finally:
        for path, judge in zip(paths, judges):
            if path.exists():
                print(f"Wrote {path}", *filter(None, [remark(judge.findings)]), sep="\n", flush=True)
    return paths


def generate_from_checkpoint(options: GenerationOptions) -> list[Path]:
    """What generate.py does: load a checkpoint, generate from it, write the files.

    Raises:
        InputError: an option can't be used; the message names it and the remedy.
        RunError: the disk refuses, too many files are open, or the model's output is not a number.
    """
    checkpoint = run_folders.resolve(options.checkpoint_path)
    config = checkpoints.model_config(checkpoint, options.config_file)
    known = checkpoints.read_settings(checkpoint) or {}
    options = replace(
        options,
        sample_rate=choose_sample_rate(options.sample_rate, known.get("sample_rate"), "the checkpoint was trained on"),
        random_seed=secrets.randbits(31) if options.random_seed is None else options.random_seed,
    )
    count_samples(options.dur, options.sample_rate)
    with refusals_explained(MEMORY_REMEDY):
        model = SampleRNN(config, options.precision)
        generator = Generator(model, options.jit_compile)
        context = seed_context(model, options.num_seqs, options.seed, options.seed_offset)
        checkpoints.restore(checkpoint, model)
        return generate_files(generator, checkpoint, context, options)


def choose_sample_rate(given: int | None, known: int | None, source: str) -> int:
    """The flag's rate, else the known one, else the default; a flag that contradicts what is known is remarked on."""
    if given and known and given != known:
        log.warning("--sample_rate %d, though %s %d Hz: pitch and tempo will differ.", given, source, known)
    return given or known or DEFAULT_SAMPLE_RATE


class _Progress:
    """Prints how much is generated, at most once in REPORT_SECONDS."""

    def __init__(self, num_samples: int, sample_rate: int, which: str = ""):
        self._num_samples, self._sample_rate, self._which = num_samples, sample_rate, which
        self._start = self._last = time.monotonic()
        self._first: tuple[float, int] | None = None  # when the first call was done, most of it compilation

    def __call__(self, done: int) -> None:
        now = time.monotonic()
        start, begun = self._first = self._first or (now, done)
        if done < self._num_samples and (now - self._last < REPORT_SECONDS or done == begun):
            return
        self._last = now
        left = (now - start) * (self._num_samples - done) / max(1, done - begun)
        seconds, total = done / self._sample_rate, self._num_samples / self._sample_rate
        print(
            f"{self._which}Generated {seconds:.2f} of {total:.2f} seconds "
            f"({now - self._start:.1f} s taken, {left:.1f} s to go)",
            flush=True,
        )
