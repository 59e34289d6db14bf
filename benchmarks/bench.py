"""How fast the toolkit is, each figure beside the least that this machine could take: `make bench`.

A floor is the work that cannot be avoided, at rates measured in between the repeats of the row itself: floating-point
operations at the rate of a large matrix product, bytes of weights at the rate at which memory or cache is read.
Seconds are medians; what comes before the first repeat, tracing and compilation, is left out.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import itertools
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from types import SimpleNamespace

sys.path.insert(0, str(Path(__file__).parent.parent))

import numpy as np
import soundfile
import tensorflow as tf

from samplernn.system.device import prepare_gpus

prepare_gpus()

from machine import REST, Machine, Rates, mean_seconds, median, seconds  # noqa: E402

from configs import CONFIGS  # noqa: E402
from samplernn.audio.chunking import chunk_files  # noqa: E402
from samplernn.corpus.data import data_of  # noqa: E402
from samplernn.corpus.loader import Loader  # noqa: E402
from samplernn.corpus.scan import scan_corpus  # noqa: E402
from samplernn.generation.generator import ITEMS_A_CALL, Generator  # noqa: E402
from samplernn.generation.output import output_of  # noqa: E402
from samplernn.generation.stack import Stack  # noqa: E402
from samplernn.models import registry  # noqa: E402
from samplernn.models.autoencoder.config import AutoencoderConfig  # noqa: E402
from samplernn.models.config import Config  # noqa: E402
from samplernn.models.model import AutoregressiveModel  # noqa: E402
from samplernn.models.samplernn.config import SampleRNNConfig  # noqa: E402
from samplernn.models.wavenet.config import WaveNetConfig  # noqa: E402
from samplernn.models.wavenet.model import WaveNet  # noqa: E402
from samplernn.options.chunk_audio import ChunkOptions  # noqa: E402
from samplernn.options.common import PRECISIONS  # noqa: E402
from samplernn.options.train import TrainingOptions  # noqa: E402
from samplernn.options.values import BOOLEAN, automatic  # noqa: E402
from samplernn.system.device import use_xla  # noqa: E402
from samplernn.training.steps import model_to_train, train_step  # noqa: E402

MUSIC = Path(__file__).parent.parent / "examples" / "demo-chorales.flac"
SAMPLE_RATE = 16000
SMALL = SampleRNNConfig(dim=256, num_rnn_layers=2, seq_len=512)
CHUNKED_SECONDS = 36 * 60

# The work of the default config and of the small one. Training: products of a step with batch 8 and 16, and for the
# default config 28 bytes a parameter, for Adam.
# A second of generation: the operations for one sequence, and the bytes of the weights read for every sample, those of
# the frame tiers from memory, those of the sample tier, which are read again at once, from cache.
TRAIN_DEFAULT = {"operations": 248e9, "dram": 2.2e9}
TRAIN_SMALL = {"operations": 16.1e9}
GENERATE_OPERATIONS = 282e6 / 32 * SAMPLE_RATE
GENERATE_BYTES = {"dram": 12.3e6 * SAMPLE_RATE, "cache": 5.2e6 * SAMPLE_RATE}
GENERATE_SMALL = {"cache": 1.05e6 * SAMPLE_RATE}
SECOND = SAMPLE_RATE / ITEMS_A_CALL  # calls of a generator

HEADER = f"{'':44} {'seconds':>8} {'by operations':>14} {'by bytes':>9} {'ratio':>6}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=7, help="repeats of each row")
    parser.add_argument("--only", default="", help="rows whose names contain this")
    parser.add_argument("--jit_compile", type=automatic(BOOLEAN).parse, help="True, False or auto (default)")
    parser.add_argument("--precision", default="float32", choices=PRECISIONS, help="float32 by default")
    arguments = parser.parse_args()
    machine = Machine()
    show_rates("machine", machine.rates())
    print(HEADER)
    for name, measure in rows(arguments.precision, arguments.jit_compile):
        if arguments.only in name:
            measure(name, machine, arguments.repeats)


def rows(precision: str, jit: bool | None) -> Iterator[tuple[str, Callable]]:
    """The rows of the table: a name, and a function that measures and prints it."""
    default = SampleRNNConfig()
    for name, config, batch_size, work in (
        ("train step, dim 256, 2 layers, batch 16", SMALL, 16, TRAIN_SMALL),
        ("train step, default config, batch 8", default, 8, TRAIN_DEFAULT),
    ):
        yield name, timed(lambda c=config, b=batch_size: training_steps(c, b, precision, jit), **work)
    yield (
        "generate 1 s, dim 256, 2 layers, 1 sequence",
        timed(lambda: generation(SMALL, 1, precision, jit), SECOND, **GENERATE_SMALL),
    )
    for sequences in (1, 8, 32):
        plural = "s" * (sequences > 1)
        yield (
            f"generate 1 s, default config, {sequences} sequence{plural}",
            timed(
                lambda n=sequences: generation(default, n, precision, jit),
                SECOND,
                operations=GENERATE_OPERATIONS * sequences,
                **GENERATE_BYTES,
            ),
        )
    yield from wavenet_rows(precision, jit)
    yield from autoencoder_rows(precision, jit)
    yield from piano_roll_rows(precision, jit)
    yield "load 1 million samples, one core", load
    yield "wait for data in training, dim 256", lambda *row: wait(*row, precision, jit)
    yield "chunk_audio, 36 minutes", chunk


def wavenet_rows(precision: str, jit: bool | None) -> Iterator[tuple[str, Callable]]:
    """Those of WaveNet. Of each weight but those of the input there is one product a sample, in training three."""
    small = WaveNetConfig(seq_len=2048)
    ada, large = (registry.load_config(CONFIGS / f"{name}.config.json") for name in ("ada-local", "wavenet-large"))
    for name, config, batch_size in (("wavenet", small, 8), ("ada-local", ada, 4)):
        operations = 6 * weights_in_products(config) * batch_size * config.seq_len
        yield (
            f"train step, {name}, {batch_size} x {config.seq_len}",
            timed(lambda c=config, b=batch_size: training_steps(c, b, precision, jit), operations=operations),
        )
    networks = (lambda: WaveNet(small, precision)), (lambda: WithoutHistory(small, precision))
    yield (
        "generate 1 s, wavenet, 1 sequence",
        in_turns(*(lambda make=make: generation_by(make(), 1, jit) for make in networks)),
    )
    for sequences in (8, 32):
        operations = 2 * weights_in_products(small) * sequences * SAMPLE_RATE
        work = timed(lambda n=sequences: generation(small, n, precision, jit), SECOND, operations=operations)
        yield f"generate 1 s, wavenet, {sequences} sequences", work
    yield (
        "generate 1 s, wavenet-large, 1 sequence",
        timed(lambda: generation(large, 1, precision, jit), SECOND, dram=4 * large.num_parameters * SAMPLE_RATE),
    )


def autoencoder_rows(precision: str, jit: bool | None) -> Iterator[tuple[str, Callable]]:
    """Those of autoencoders and of the shipped stack."""
    vqvae, ada, over_codes = (
        registry.load_config(CONFIGS / f"{name}.config.json") for name in ("vqvae", "ada", "wavenet-codes")
    )
    for name, config, batch_size, codes in (("vqvae", vqvae, 8, 1024), ("ada", ada, 1, 1024)):
        length = config.seq_len // config.hop
        operations = 2 * weights_in_products(config.local_model) * config.seq_len
        operations += encoding(config, length) + conditioning(config, length)
        yield (
            f"train step, {name}, {batch_size} x {config.seq_len}",
            timed(
                lambda c=config, b=batch_size: training_steps(c, b, precision, jit),
                operations=3 * batch_size * operations,
            ),
        )
        start = partial(coding, config, codes, precision, jit)
        encoded, conditioned = encoding(config, codes), conditioning(config, codes)
        yield f"encode, {name}, {codes} codes", timed(partial(start, encode=True), operations=encoded)
        yield f"condition, {name}, {codes} codes", timed(partial(start, encode=False), operations=conditioned)
    below, hop = vqvae.local_model, vqvae.hop
    operations = (
        2 * weights_in_products(below) + (conditioning(vqvae, 128) / 128 + 2 * weights_in_products(over_codes)) / hop
    )
    for sequences in (1, 8):
        plural = "s" * (sequences > 1)
        yield (
            f"generate 1 s, vqvae and wavenet-codes, {sequences} sequence{plural}",
            timed(
                lambda n=sequences: generation_by_stack(over_codes, vqvae, n, precision, jit),
                SECOND / hop,
                operations=operations * sequences * SAMPLE_RATE,
            ),
        )


def piano_roll_rows(precision: str, jit: bool | None) -> Iterator[tuple[str, Callable]]:
    """Those of LSTMs over rolls; of each weight there is about one product a step, in training three."""
    config = registry.load_config(CONFIGS / "pianoroll.config.json")
    for batch_size in (16, 64):
        yield (
            f"train step, pianoroll, {batch_size} x {config.seq_len}",
            timed(
                lambda b=batch_size: training_steps(config, b, precision, jit),
                operations=6 * config.num_parameters * batch_size * config.seq_len,
            ),
        )
    calls = 30 * output_of(config).rate(SAMPLE_RATE) / ITEMS_A_CALL
    yield (
        "generate 30 s, pianoroll, 1 sequence",
        timed(
            lambda: generation(config, 1, precision, jit), calls, cache=4 * config.num_parameters * calls * ITEMS_A_CALL
        ),
    )


def encoding(config: AutoencoderConfig, codes: int) -> int:
    """Operations of the products by which a VQ-VAE makes so many codes."""
    length = codes * config.hop + 2 * config.codes.context
    convolutions = convolving(length, config.encoder_dilations, config.encoder_filter_length, config.encoder_size)
    return convolutions + 2 * codes * (config.encoder_size + config.num_codes) * config.query_size


def conditioning(config: AutoencoderConfig, codes: int) -> int:
    """Operations of the products from so many codes to the local model's conditions."""
    length, width = codes + 2 * config.codes.reach, config.modulator_size
    convolutions = convolving(length, config.modulator_dilations, config.modulator_filter_length, width)
    conditions = len(config.local_model.dilations) * 2 * config.inner_size
    return convolutions + 2 * length * config.query_size * width + 2 * codes * width * conditions


def convolving(length: int, dilations: Sequence[int], taps: int, width: int) -> int:
    """Operations of blocks, each of which is left by less than it was given."""
    operations = 0
    for dilation in dilations:
        length -= (taps - 1) * dilation
        operations += 2 * length * (2 * taps + 1) * width**2
    return operations


def coding(config: AutoencoderConfig, codes: int, precision: str, jit: bool | None, encode: bool):
    """The encoder or the modulator of an autoencoder on one row."""
    model, random = registry.build(config, precision), np.random.default_rng(0)
    items = random.integers(64, 192, (1, codes * config.hop + 2 * config.codes.context), np.int32)
    window = random.integers(0, config.num_codes, (1, codes + 2 * config.codes.reach), np.int32)
    given = tf.constant(items if encode else window)
    call = tf.function(model.encode if encode else model.condition, autograph=False, jit_compile=use_xla(jit))
    call(given)
    return lambda: call(given).numpy()


def generation_by_stack(top: Config, below: AutoencoderConfig, sequences: int, precision: str, jit: bool | None):
    """A call is as many pieces of audio as make one piece of codes."""
    chain = [SimpleNamespace(load=lambda precision: registry.build(below, precision))]
    stack = Stack(registry.build(top.over_codes(below.codes.levels), precision), chain, SAMPLE_RATE, precision, jit)
    contexts = stack.contexts(SimpleNamespace(seed=None))
    pieces = stack.level(contexts, [0.95] * sequences, [0.95], 0).pieces(range(sequences), 10**9)
    work = lambda: [next(pieces) for _ in range(below.hop)]  # noqa: E731
    work()
    return work


def weights_in_products(config: WaveNetConfig) -> int:
    """About how many there are."""
    return config.num_parameters - config.parameters["input"]


def timed(
    start: Callable[[], Callable[[], object]],
    calls: float = 1,
    operations: float = 0,
    dram: float = 0,
    cache: float = 0,
) -> Callable[[str, Machine, int], None]:
    """Measure a row that has a floor.

    Args:
        start: warms up and returns the work, which is then done again and again.
        calls: how many calls of the work the row is about.
        operations, dram, cache: the floating-point operations of the row, and its bytes.
    """

    def measure(name: str, machine: Machine, repeats: int) -> None:
        work, took, rates = start(), [], []
        for _ in range(repeats):
            rates.append(machine.rates())
            time.sleep(REST)
            took.append(mean_seconds(work, span=1) * calls)
        rate = median(rates)
        show(name, took, operations / rate.gemm, dram / rate.dram + cache / rate.cache)
        show_rates(name, rate)

    return measure


def in_turns(start: Callable[[], Callable[[], object]], start_other: Callable[[], Callable[[], object]]):
    """Measure a row of generation whose floor is what the same network takes without its history."""

    def measure(name: str, machine: Machine, repeats: int) -> None:
        works = start(), start_other()
        took, floor = np.array([[mean_seconds(work, span=1) * SECOND for work in works] for _ in range(repeats)]).T
        factor, ratio = np.median(took), np.median(took / floor)
        print(f"{name:44} {factor:8.3f} {'-':>14} {'-':>9} {ratio:6.2f}", flush=True)
        print(f"  ({name}: real-time factor {factor:.2f}; without history {np.median(floor):.3f} s)", flush=True)

    return measure


def show(name: str, took: list[float], by_operations: float | None = None, by_bytes: float | None = None) -> None:
    floors = [f"{floor:.3f}" if floor else "-" for floor in (by_operations, by_bytes)]
    ratio = f"{np.median(took) / max(by_operations, by_bytes):.2f}" if by_operations or by_bytes else "-"
    print(f"{name:44} {np.median(took):8.3f} {floors[0]:>14} {floors[1]:>9} {ratio:>6}", flush=True)


def show_rates(name: str, rates: Rates) -> None:
    figures = f"{rates.gemm / 1e9:.0f} GFLOP/s, cache {rates.cache / 1e9:.0f} GB/s, DRAM {rates.dram / 1e9:.1f} GB/s"
    print(f"  ({name}: {figures})", flush=True)


def training_steps(config: Config, batch_size: int, precision: str, jit: bool | None) -> Callable[[], object]:
    model = model_to_train(config, TrainingOptions(data_dir=(), precision=precision, jit_compile=jit))
    step, state = train_step(model), model.initial_state(batch_size)
    window = config.window
    items = items_at_random(config, [batch_size, window.with_context])
    inputs = items, items[:, window.targets], np.zeros(batch_size, bool)

    def work():
        nonlocal state
        sums, _, state = step(*inputs, state)
        float(sums["nll"])

    work()
    return work


def items_at_random(config: Config, shape: Sequence[int]) -> np.ndarray:
    """Tokens in the middle of their range; of a step of a roll a tenth of the notes."""
    padding, random = data_of(config).padding, np.random.default_rng(0)
    if padding.ndim:
        return (random.random([*shape, *padding.shape]) < 0.1).astype(padding.dtype)
    return random.integers(64, 192, shape, np.int32)


class WithoutHistory(WaveNet):
    """One whose blocks hear at all taps what there is now: what the products of a sample cost, with all around them."""

    def initial_state(self, rows):
        return ()

    def generate_block(self, context, state, draw, weights=None, conditioning=None):
        table, of_blocks, of_head = weights

        def step(i, token, tokens):
            x, total = tf.gather(table, token), 0.0
            for block, own in zip(self.blocks, of_blocks):
                x, skip = block.leave(x, block.convolve([x] * len(own.taps), own), own)
                total += skip
            token = draw(self.output_layer(total, of_head), i)
            return i + 1, token, tokens.write(i, token)

        length, token = self.config.block_length, context[:, 0]
        tokens = tf.TensorArray(tf.int32, length, element_shape=token.shape)
        *_, tokens = tf.while_loop(lambda i, *_: i < length, step, (0, token, tokens))
        return tf.transpose(tokens.stack()), state


def generation(config: Config, sequences: int, precision: str, jit: bool | None) -> Callable[[], object]:
    return generation_by(registry.build(config, precision), sequences, jit)


def generation_by(model: AutoregressiveModel, sequences: int, jit: bool | None) -> Callable[[], object]:
    generator = Generator(model, jit)
    context = items_at_random(model.config, [sequences, model.config.window.left])
    codes = itertools.repeat(np.zeros([sequences, ITEMS_A_CALL], np.int32)) if model.config.codes else None
    seeds = [(0, row) for row in range(sequences)]
    pieces = generator(context, 10**9, [0.95] * sequences, seeds, codes=codes)
    next(pieces)
    return lambda: next(pieces)


@contextlib.contextmanager
def one_core() -> Iterator[None]:
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


@contextlib.contextmanager
def corpus(pieces: int, length: int):
    """A folder of WAV files cut from the demo's music, and its recordings."""
    audio, rate = soundfile.read(MUSIC, dtype="float32")
    with tempfile.TemporaryDirectory() as folder:
        for piece in range(pieces):
            start = piece * 4000 % (len(audio) - length)
            soundfile.write(Path(folder, f"{piece}.wav"), audio[start : start + length], rate)
        yield scan_corpus((folder,)).recordings


def load(name: str, machine: Machine, repeats: int) -> None:
    with corpus(80, 128000) as recordings, one_core():
        took, loader = [], Loader(SMALL, 16)
        for epoch in range(repeats):
            steps, windows = loader.training_epoch(recordings, 0, epoch)
            passed = seconds(lambda windows=windows: sum(1 for _ in windows))
            took.append(passed * 1e6 / (len(steps) * 16 * SMALL.seq_len))
    show(name, took)


def wait(name: str, machine: Machine, repeats: int, precision: str, jit: bool | None) -> None:
    """The seconds that an epoch of training waits for its loader, and what part of it they are."""
    with corpus(32, 128000) as recordings:
        work = training_steps(SMALL, 16, precision, jit)  # as long as a step takes
        steps, windows = Loader(SMALL, 16).training_epoch(recordings, 0, 0)
        waiting, start = 0.0, time.perf_counter()
        for _ in steps:
            waiting += seconds(lambda: next(windows))
            work()
        part = waiting / (time.perf_counter() - start)
    show(f"{name} ({part:.2%})", [waiting])


def chunk(name: str, machine: Machine, repeats: int) -> None:
    audio, rate = soundfile.read(MUSIC, dtype="float32")
    with tempfile.TemporaryDirectory() as folder:
        recording = Path(folder, "music.wav")
        soundfile.write(recording, np.resize(audio, CHUNKED_SECONDS * rate), rate)
        options = ChunkOptions(input_file=(str(recording),), output_dir=str(Path(folder, "chunks")))
        took = []
        for _ in range(repeats):
            with contextlib.redirect_stdout(io.StringIO()):
                took.append(seconds(lambda: chunk_files(options)))
    show(name, took)


if __name__ == "__main__":
    main()
