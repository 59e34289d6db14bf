"""From a model to audio files: the loop over blocks, the batches, what is noted and said of them."""

from __future__ import annotations

import logging
import math
import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from samplernn.audio.listening import Judge, remark
from samplernn.audio.quantize import quantizer
from samplernn.audio.wav import MAX_WAV_FRAMES
from samplernn.checkpoints import run_folders
from samplernn.checkpoints import store as checkpoints
from samplernn.checkpoints.settings import model_config, read_settings
from samplernn.corpus.seed import Context, seed_context
from samplernn.generation.output import TOO_MANY_FILES, new_files, output_names
from samplernn.generation.sampling import NO_TOKEN, inverse_cdf, likeliest
from samplernn.models.samplernn.config import ModelConfig
from samplernn.models.samplernn.model import SampleRNN
from samplernn.options import temperature as temperatures
from samplernn.options.option import as_flags
from samplernn.options.options import DEFAULT_SAMPLE_RATE, SCRIPTS, GenerationOptions
from samplernn.system.device import has_gpu, refusals_explained, use_xla, versions
from samplernn.system.errors import InputError, RunError
from samplernn.system.files import cannot_be_written, sha256
from samplernn.system.progress import ProgressBar
from samplernn.system.words import counted

MEMORY_REMEDY = "lower --max_batch or --num_seqs; on a GPU --precision mixed_bfloat16 needs less, too"
SAMPLES_A_CALL = 1024  # generated between two chances to report and to stop
MAX_BATCH_CPU = 64  # more are no faster
MAX_BATCH_GPU = 128  # a file each is open, and systems allow 256 or more

log = logging.getLogger(__name__)


class Generator:
    """Generates from a model, whose weights may change between calls; compiles once for each number of sequences.

    Raises:
        InputError: `jit_compile` asks for what cannot be done.
    """

    def __init__(
        self,
        model: SampleRNN,
        jit_compile: bool | None = None,
        top_k: int | None = None,
        top_p: float | None = None,
    ):
        """`top_k` and `top_p` are those of `sampling.likeliest`."""
        self.model = model
        self.jit_compile = use_xla(jit_compile)
        self._top_k, self._top_p = top_k, top_p
        self._weights = tf.function(model.step_weights, autograph=False)
        self._blocks = tf.function(self._generate_blocks, autograph=False, jit_compile=self.jit_compile)
        cudnn = has_gpu()  # which runs over sequences, and which XLA cannot compile
        self._read = tf.function(model.read, autograph=False, jit_compile=self.jit_compile and not cudnn)
        self._blocks_a_call = max(1, SAMPLES_A_CALL // model.lookback)
        self._samples_a_call = self._blocks_a_call * model.lookback

    def read(self, tokens: np.ndarray):
        """The state in which a sequence goes on after audio whose last frame is its context.

        Args:
            tokens: int [n], whole frames of the upper tier.
        """
        state, lookback = self.model.initial_state(1), self.model.lookback
        for start in range(0, len(tokens) - lookback, self._samples_a_call):
            window = tokens[start : start + self._samples_a_call + lookback]
            state = self._read(tf.constant(window[None], tf.int32), state)
        return state

    def __call__(
        self,
        context: np.ndarray,
        num_samples: int,
        temperature: Sequence[float | str],
        seeds: Sequence[Sequence[int]],
        state=None,
        sample_rate: int = DEFAULT_SAMPLE_RATE,
    ) -> Iterator[np.ndarray]:
        """Generate sequences in one batch, piece by piece.

        Args:
            context: int tokens [B, lookback] that come before; they are not part of the result.
            num_samples: the length of each sequence.
            temperature: one for each sequence, a number or an envelope.
            seeds: one for each sequence, numbers of which the same ones give the same tokens, whatever else is in
                the batch.
            state: of `read`, from which all sequences begin; None for the one before a recording's first sample.
            sample_rate: Hz, by which an envelope's seconds are counted.

        Yields:
            int32 tokens [B, n], one after the other; their n sum to num_samples.

        Raises:
            RunError: the logits are not numbers.
        """
        weights = self._weights()
        state = tf.nest.map_structure(  # [D, 1] → [D, B]
            lambda part: tf.repeat(part, len(context), axis=1), state or self.model.initial_state(1)
        )
        context = tf.constant(context, tf.int32)
        random = [np.random.default_rng(seed) for seed in seeds]
        length = self._samples_a_call
        for start in range(0, num_samples, length):
            uniforms = np.stack([stream.random(length, np.float32) for stream in random], axis=1)  # [length, B]
            seconds = np.arange(start, start + length) / sample_rate
            values = np.stack([temperatures.at(value, seconds) for value in temperature], axis=1)  # [length, B]
            tokens, context, state = self._blocks(context, state, weights, values.astype(np.float32), uniforms)
            tokens = tokens[:, : num_samples - start].numpy()
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
                now = i * lookback + position
                logits = likeliest(logits, temperature[now], self._top_k, self._top_p)
                return inverse_cdf(logits, temperature[now], uniforms[now])

            context, state = self.model.generate_block(context, state, sample, weights)
            return i + 1, context, state, blocks.write(i, context)

        blocks = tf.TensorArray(tf.int32, self._blocks_a_call, element_shape=[batch_size, lookback])
        _, context, state, blocks = tf.while_loop(
            lambda i, *_: i < self._blocks_a_call, generate_block, (0, context, state, blocks)
        )
        tokens = tf.reshape(tf.transpose(blocks.stack(), [1, 0, 2]), [batch_size, -1])  # [blocks, B, L] → [B, blocks·L]
        return tokens, context, state


def match_temperatures(temperature: Sequence[float | str], num_seqs: int) -> list[float | str]:
    """One temperature for each sequence: what is too much is cut, the last value fills up."""
    return [*temperature, *[temperature[-1]] * num_seqs][:num_seqs]


def count_samples(dur: float, sample_rate: int, flag: str = "--dur", before: int = 0) -> int:
    """The length of a sequence of `dur` seconds, exact to the sample, that follows on samples `before` it in its WAV.

    Raises:
        InputError: a WAV can't be that long; the message names the flag.
    """
    num_samples = max(1, round(dur * sample_rate))
    if before + num_samples > MAX_WAV_FRAMES:
        longest = max(0, MAX_WAV_FRAMES - before) // sample_rate
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
    config, lookback = generator.model.config, generator.model.lookback
    lead = context.tokens if options.include_seed else context.tokens[:0]
    num_samples = count_samples(options.dur, options.sample_rate, before=len(lead))
    length, quantize = len(lead) + num_samples, quantizer(config.q_type, config.q_levels)
    levels = quantize.decode(np.arange(quantize.levels))
    temperature = match_temperatures(options.temperature, options.num_seqs)
    names = output_names(options.output_path, run_folders.epoch_of(checkpoint), temperature)
    common, state = _facts(checkpoint, config, context, options), generator.read(context.tokens)
    paths, size = [], _batch_size(len(names), options.max_batch)
    while len(paths) < len(names):
        rows = range(len(paths), min(len(paths) + size, len(names)))
        batch = slice(rows.start, rows.stop)
        tokens = np.tile(context.tokens[-lookback:], [len(rows), 1])
        seeds = [(options.random_seed, row) for row in rows]
        pieces = generator(tokens, num_samples, temperature[batch], seeds, state, options.sample_rate)
        command = generate_command(replace(options, max_batch=size))
        facts = [{"command": command, "sequence": row, "temperature": temperature[row], **common} for row in rows]
        judges = [Judge(options.sample_rate, levels, before=len(lead)) for _ in rows]
        report = _Report(rows, len(names), length, options.sample_rate)
        try:
            audio = map(quantize.decode, _after_lead(lead, pieces))
            paths += _write(audio, names[batch], facts, judges, length, report)
        except tf.errors.ResourceExhaustedError:
            if options.max_batch or size == 1:
                raise
            size = _batch_size(len(names), size // 2)
            log.warning("Out of memory: generating %s at a time.", counted(size, "sequence"))
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
        "top_k": options.top_k,
        "top_p": options.top_p,
        "random_seed": options.random_seed,
        "seed": context.seed and context.seed | {"included": options.include_seed},
        "sample_rate": options.sample_rate,
        "checkpoint": {
            "path": str(checkpoint.absolute()),
            "sha256": sha256(*run_folders.weight_files(checkpoint)),
        },
        "config": config.to_dict(),
        "precision": options.precision,
        "jit_compile": options.jit_compile,
        "versions": versions(),
    }


def _batch_size(num_seqs: int, max_batch: int | None) -> int:
    """The size of a batch: as few batches as may be, as equal as may be, so that few sizes have to be compiled."""
    most = max_batch or (MAX_BATCH_GPU if has_gpu() else MAX_BATCH_CPU)
    return math.ceil(num_seqs / math.ceil(num_seqs / most))


def _after_lead(lead: np.ndarray, pieces: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    """Pieces of tokens [B, n], in the first of them the lead, tokens [n], before those of each row."""
    for piece in pieces:
        yield np.concatenate([np.tile(lead, [len(piece), 1]), piece], axis=1)
        lead = lead[:0]


def _write(
    pieces: Iterator[np.ndarray],
    names: Sequence[Path],
    facts: Sequence[dict[str, Any]],
    judges: Sequence[Judge],
    length: int,
    report: _Report,
) -> list[Path]:
    """Write pieces of audio [B, n] as they come, each row to its own file; say what was written and is doubtful."""
    paths = []
    try:
        with ExitStack() as stack:
            files = [stack.enter_context(new_files(*file, length)) for file in zip(names, facts, judges)]
            paths = [path for path, _ in files]
            stack.enter_context(report)
            for piece in pieces:
                for (_, write), audio in zip(files, piece):
                    write(audio)
                report.add(piece.shape[1])
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
    config = model_config(checkpoint, options.config_file)
    known = read_settings(checkpoint) or {}
    options = replace(
        options,
        sample_rate=choose_sample_rate(options.sample_rate, known.get("sample_rate"), "the checkpoint was trained on"),
        random_seed=secrets.randbits(31) if options.random_seed is None else options.random_seed,
    )
    count_samples(options.dur, options.sample_rate)
    with refusals_explained(MEMORY_REMEDY):
        learnt_rate = known.get("sample_rate") or options.sample_rate
        context = seed_context(config, learnt_rate, options.seed, options.seed_offset, options.seed_dur)
        model = SampleRNN(config, options.precision)
        generator = Generator(model, options.jit_compile, options.top_k, options.top_p)
        checkpoints.restore(checkpoint, model)
        return generate_files(generator, checkpoint, context, options)


def choose_sample_rate(given: int | None, known: int | None, source: str) -> int:
    """The flag's rate, else the known one, else the default; a flag that contradicts what is known is remarked on."""
    if given and known and given != known:
        log.warning("--sample_rate %d, though %s %d Hz: pitch and tempo will differ.", given, source, known)
    return given or known or DEFAULT_SAMPLE_RATE


class _Report:
    """Says how far a batch is, in seconds of each of its sequences, and how fast; when all is done, once more.

    How fast is a factor of all sequences together: the seconds that one second of audio takes, those of the first piece
    left out if there are others.
    """

    def __init__(self, rows: range, num_seqs: int, num_samples: int, sample_rate: int):
        """`rows` of `num_seqs` sequences, each of `num_samples` at `sample_rate` Hz, a seed before them included."""
        self._num_samples, self._num_rows, self._sample_rate = num_samples, len(rows), sample_rate
        every = f"{num_seqs} sequences: " if num_seqs > 1 else ""
        part = f"Sequences {rows.start + 1} to {rows.stop} of {num_seqs}: "
        self._which = every if len(rows) == num_seqs else part
        self._start = time.monotonic()
        self._first: tuple[float, int] | None = None  # when the first piece was done, most of it compilation
        self._done = 0

    def __enter__(self) -> _Report:
        self._progress = ProgressBar(self._num_samples, self._line, self._beside_bar)
        return self

    def __exit__(self, *_) -> None:
        self._progress.close()
        if self._done == self._num_samples:
            print(self._line(self._done), flush=True)

    def add(self, samples: int) -> None:
        """So many more of each sequence are done."""
        self._done += samples
        if self._first and self._done < self._num_samples:
            self._progress(self._done)
        self._first = self._first or (time.monotonic(), self._done)

    def _line(self, done: int) -> str:
        taken = time.monotonic() - self._start
        pace = f"{taken:.1f} s taken, {self._seconds_left(done):.1f} s to go, {self._real_time_factor(done)}"
        return f"{self._which}Generated {done / self._sample_rate:.2f} of {self._total:.2f} seconds ({pace})"

    def _beside_bar(self, done: int) -> str:
        pace = f", {self._seconds_left(done):.0f} s to go, {self._real_time_factor(done)}" if done else ""
        return f"{self._which}{done / self._sample_rate:.1f} of {self._total:.1f} s{pace}"

    @property
    def _total(self) -> float:
        return self._num_samples / self._sample_rate

    def _seconds_left(self, done: int) -> float:
        start, begun = self._first
        return (time.monotonic() - start) * (self._num_samples - done) / max(1, done - begun)

    def _real_time_factor(self, done: int) -> str:
        start, begun = self._first
        if done == begun:
            start, begun = self._start, 0
        seconds = self._num_rows * (done - begun) / self._sample_rate
        return f"real-time factor {(time.monotonic() - start) / seconds:.2f}"
