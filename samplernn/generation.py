"""From a model to audio files: the seed, the temperatures, the loop over blocks, the names of the files."""

from __future__ import annotations

import itertools
import logging
import math
import re
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import numpy as np
import tensorflow as tf

from samplernn import checkpoint as checkpoints
from samplernn.audio import examine, read_mono, wav_writer
from samplernn.config import DEFAULT_SAMPLE_RATE, GenerationOptions, InputError, ModelConfig
from samplernn.device import has_gpu, refusals_explained, use_xla
from samplernn.model import SampleRNN
from samplernn.quantize import quantizer

MEMORY_REMEDY = "lower --max_batch or --num_seqs; on a GPU --precision mixed_bfloat16 needs less, too"
SAMPLES_A_CALL = 1024  # generated between two chances to report and to stop
MAX_BATCH_CPU = 64  # more are no faster
MAX_BATCH_GPU = 128  # a file each is open, and systems allow 256 or more
REPORT_SECONDS = 1.0

log = logging.getLogger(__name__)


def inverse_cdf(logits, temperature, uniform):
    """Draw tokens from softmax(logits / temperature) by one uniform number each.

    Args:
        logits: [B, Q].
        temperature: [B].
        uniform: [B], in [0, 1).

    Returns:
        int32 tokens [B].
    """
    cumulative = tf.cumsum(tf.nn.softmax(logits / temperature[:, None]), axis=1)
    threshold = uniform[:, None] * cumulative[:, -1:]  # rounding may leave the total a little off 1
    tokens = tf.reduce_sum(tf.cast(cumulative <= threshold, tf.int32), axis=1)
    return tf.minimum(tokens, logits.shape[1] - 1)


class Generator:
    """Generates from a model, whose weights may change between calls; compiles once for each number of sequences.

    Raises:
        InputError: `jit_compile` asks for what cannot be done.
    """

    def __init__(self, model: SampleRNN, jit_compile: bool | None = None):
        self.model = model
        self._weights = tf.function(model.step_weights, autograph=False)
        self._blocks = tf.function(self._generate_blocks, autograph=False, jit_compile=use_xla(jit_compile))
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
        """
        weights = self._weights()
        context, state = tf.constant(context, tf.int32), self.model.initial_state(len(context))
        temperature = tf.constant(temperature, tf.float32)
        random = [np.random.default_rng(seed) for seed in seeds]
        length = self._blocks_a_call * self.model.lookback
        for left in range(num_samples, 0, -length):
            uniforms = np.stack([stream.random(length, np.float32) for stream in random], axis=1)  # [length, B]
            tokens, context, state = self._blocks(context, state, weights, temperature, uniforms)
            yield tokens[:, :left].numpy()

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


def seed_context(model: SampleRNN, num_seqs: int, seed: str | None, seed_offset: int) -> np.ndarray:
    """The tokens to begin from, [B, lookback]: a stretch of the seed audio, or silence.

    Raises:
        InputError: the seed is not audio, or ends before the stretch does.
    """
    quantize = quantizer(model.config.q_type, model.config.q_levels)
    if seed is None:
        return np.full([num_seqs, model.lookback], quantize.zero, np.int32)
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
    return np.tile(tokens, [num_seqs, 1])


def generate_files(
    generator: Generator,
    output_path: str | Path,
    epoch: int,
    context: np.ndarray,
    dur: float,
    sample_rate: int,
    temperature: Sequence[float],
    random_seed: int,
    max_batch: int | None = None,
) -> list[Path]:
    """Generate one WAV file for each row of the context, reporting progress on stdout.

    What Ctrl-C cuts short is kept.

    Args:
        generator: of the model.
        output_path: what the files' names begin with; an ending `.wav` is taken off.
        epoch: for the names.
        context: tokens [B, lookback] to begin from.
        dur: seconds; the length of the files is exact to the sample.
        sample_rate: Hz.
        temperature: one for each sequence.
        random_seed: the same one gives the same audio.
        max_batch: how many are generated at the same time; None: at most MAX_BATCH_CPU or MAX_BATCH_GPU, and
            no more than fit.

    Raises:
        InputError: the path can't be written.
        RunError: the disk refuses while writing.
    """
    num_samples = max(1, round(dur * sample_rate))
    config = generator.model.config
    with _reserved(_output_names(output_path, epoch, temperature)) as paths:
        first, size = 0, _batch_size(len(paths), max_batch)
        while first < len(paths):
            rows = slice(first, min(first + size, len(paths)))
            seeds = [(random_seed, row) for row in range(rows.start, rows.stop)]
            pieces = generator(context[rows], num_samples, temperature[rows], seeds)
            which = f"Sequences {rows.start + 1} to {rows.stop} of {len(paths)}: " if size < len(paths) else ""
            try:
                _write(pieces, paths[rows], config, sample_rate, _Progress(num_samples, sample_rate, which))
                first = rows.stop
            except tf.errors.ResourceExhaustedError:
                if max_batch or size == 1:
                    raise
                size = _batch_size(len(paths), size // 2)
                log.warning("Out of memory: generating %d sequences at a time.", size)
    return paths


def _batch_size(num_seqs: int, max_batch: int | None) -> int:
    """The size of a batch: as few batches as may be, as equal as may be, so that few sizes have to be compiled."""
    most = max_batch or (MAX_BATCH_GPU if has_gpu() else MAX_BATCH_CPU)
    return math.ceil(num_seqs / math.ceil(num_seqs / most))


def _write(
    pieces: Iterator[np.ndarray],
    paths: Sequence[Path],
    config: ModelConfig,
    sample_rate: int,
    report: Callable[[int], None],
) -> None:
    """Write pieces of tokens [B, n] as they come, each row to its file, and say what was written."""
    quantize, done = quantizer(config.q_type, config.q_levels), 0
    try:
        with ExitStack() as files:
            writers = [files.enter_context(wav_writer(path, sample_rate)) for path in paths]
            for tokens in pieces:
                for write, audio in zip(writers, quantize.decode(tokens)):
                    write(audio)
                done += tokens.shape[1]
                report(done)
    finally:
        for path in paths:
            if _is_written(path):
                print(f"Wrote {path}", flush=True)


def generate_from_checkpoint(options: GenerationOptions) -> list[Path]:
    """What generate.py does: load a checkpoint, generate from it, write the files.

    Raises:
        InputError: an option can't be used; the message names it and the remedy.
        RunError: the disk refuses.
    """
    checkpoint = checkpoints.resolve(options.checkpoint_path)
    config = checkpoints.model_config(checkpoint, options.config_file)
    known = checkpoints.read_settings(checkpoint) or {}
    with refusals_explained(MEMORY_REMEDY):
        model = SampleRNN(config, options.precision)
        generator = Generator(model, options.jit_compile)
        context = seed_context(model, options.num_seqs, options.seed, options.seed_offset)
        checkpoints.restore(checkpoint, model)
        return generate_files(
            generator,
            options.output_path,
            checkpoints.epoch_of(checkpoint),
            context,
            options.dur,
            choose_sample_rate(options.sample_rate, known.get("sample_rate"), "the checkpoint was trained on"),
            match_temperatures(options.temperature, options.num_seqs),
            secrets.randbits(31),
            options.max_batch,
        )


def choose_sample_rate(given: int | None, known: int | None, source: str) -> int:
    """The flag's rate, else the known one, else the default; a flag that contradicts what is known is remarked on."""
    if given and known and given != known:
        log.warning("--sample_rate %d, though %s %d Hz: pitch and tempo will differ.", given, source, known)
    return given or known or DEFAULT_SAMPLE_RATE


def _output_names(output_path: str | Path, epoch: int, temperature: Sequence[float]) -> list[Path]:
    if not Path(output_path).name or str(output_path).endswith(("/", "\\")):
        raise InputError(f"--output_path {output_path}: not the name of a file; add one, such as out.wav")
    stem = re.sub(r"\.wav$", "", str(output_path), flags=re.IGNORECASE)
    several = len(temperature) > 1
    return [
        Path(f"{stem}_e={epoch}{f'({i})' if several else ''}_t={float(value)}.wav")
        for i, value in enumerate(temperature)
    ]


@contextmanager
def _reserved(names: Sequence[Path]) -> Iterator[list[Path]]:
    """Create new files of these names before the work is done, and remove those that it leaves empty."""
    paths = []
    try:
        for name in names:
            paths.append(_create_new(name))
        yield paths
    finally:
        for path in paths:
            if not _is_written(path):
                path.unlink(missing_ok=True)


def _is_written(path: Path) -> bool:
    """Whether a reserved file holds something by now."""
    return path.exists() and path.stat().st_size > 0


def _create_new(name: Path) -> Path:
    try:
        name.parent.mkdir(parents=True, exist_ok=True)
        for number in itertools.count():
            path = name.with_name(f"{name.stem}_{number}{name.suffix}") if number else name
            with suppress(FileExistsError):
                path.open("xb").close()
                return path
    except OSError as error:
        raise InputError(f"{name}: can't be written ({error.strerror}); choose another output path") from None


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
