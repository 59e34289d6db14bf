"""Whether this machine and its libraries are ready for training: what train.py --check tells.

Nothing here imports a library before the check of it is called, so that a missing one is a line and no traceback.
"""

from __future__ import annotations

import importlib.metadata
import inspect
import io
import math
import os
import platform
import re
import shutil
import tempfile
from collections.abc import Callable, Generator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from samplernn.models.memory import expected_memory
from samplernn.models.registry import default_config, load_config
from samplernn.options.options import SCRIPTS, CheckOptions
from samplernn.system.device import prepare_gpus, quiet_stderr, reason, use_xla
from samplernn.system.errors import InputError, RunError
from samplernn.system.words import counted, printable

if TYPE_CHECKING:
    from samplernn.corpus.scan import Corpus
    from samplernn.models.config import Config
    from samplernn.training.resuming import Initial, Resumed

GB = 10**9  # bytes
INSTALL = "pip install -r requirements.txt"
INSTALL_FOR_GPU = "pip install -r requirements-gpu.txt (on Windows: inside WSL2)"
NVIDIA_DRIVER = Path("/proc/driver/nvidia/version")
MEMORY = Path("/proc/meminfo")
NUMBERS_A_PARAMETER, BYTES_A_NUMBER = 3, 4  # of a checkpoint: a weight and adam's two slots, float32
FORMATS = ("WAV", "FLAC", "OGG", "MP3")
TINY_BATCH = 2


@dataclass(frozen=True)
class Line:
    """What is told: `ok`, `note` or `problem`, and the text, which ends in the remedy where it is a problem."""

    mark: str
    text: str

    def __str__(self) -> str:
        return f"{self.mark:<8} {printable(self.text)}"


ok, note, problem = (partial(Line, mark) for mark in ("ok", "note", "problem"))

Lines = Generator[Line, None, None]


def report(options: CheckOptions) -> int:
    """What train.py --check does: print a line for each thing that training needs, and last what they come to.

    Returns:
        The exit status: 0, or 1 where there are problems.
    """
    problems = 0
    for line in check(options):
        print(line, flush=True)
        problems += line.mark == "problem"
    print(f"{counted(problems, 'problem')}; see above." if problems else "Everything needed is there.", flush=True)
    return 1 if problems else 0


def check(options: CheckOptions) -> Lines:
    """Each thing that training needs; no check's failure keeps the others from being made."""
    yield from _guarded("Python", check_python)
    yield from _guarded("requirements.txt", check_libraries)
    yield from _guarded("TensorFlow", partial(check_tensorflow, options))
    yield from _guarded("soundfile", check_audio_formats)
    yield from _guarded("the devices", partial(check_devices, options))
    memory = checkpoint = 0  # bytes, where they are known
    origin = yield from _guarded("the checkpoint", partial(check_origin, options))
    resumed, initial = origin or (None, None)
    config = None
    if origin or options.config_file:  # else the config would have been the checkpoint's
        config = yield from _guarded("the config", partial(choose_config, options, resumed or initial))
    if config:
        averaged = options.polyak_decay is not None
        memory = expected_memory(config, options.batch_size, options.optimizer, averaged)
        checkpoint = BYTES_A_NUMBER * (NUMBERS_A_PARAMETER + averaged) * config.num_parameters
    corpus = None
    if options.data_dir:
        corpus = yield from _guarded("--data_dir", partial(check_recordings, options, config))
    if corpus and config and origin:
        yield from _guarded("--data_dir", partial(check_split, options, config, corpus, resumed))
    if options.generate:
        yield from check_clips(options, config, corpus)
    yield from _guarded("memory", partial(check_memory, memory))
    for flag in ("logdir_root", "output_dir"):
        folder = Path(getattr(options, flag), options.id)
        yield from _guarded(f"--{flag}", partial(check_folder, f"--{flag}", folder, checkpoint))


def _guarded(name: str, check: Callable[[], Any], remedy: str = INSTALL) -> Generator[Line, None, Any]:
    """The lines of a check, if it has any, and what it returns.

    Where it raises, one more line says so, with a remedy, and None is returned.
    """
    try:
        result = check()
        return (yield from result) if inspect.isgenerator(result) else result
    except (InputError, RunError) as error:
        yield problem(str(error))
    except Exception as error:
        yield problem(f"{name}: {type(error).__name__} ({reason(error)}); {remedy}")


def check_python() -> Lines:
    """Its version, against that of pyproject.toml."""
    bounds = re.search(r'^requires-python = "(.*)"', (SCRIPTS / "pyproject.toml").read_text("utf-8"), re.MULTILINE)[1]
    yield _version("Python", platform.python_version(), bounds, f"install a Python {bounds}")


def check_libraries() -> Lines:
    """Their versions, each against its bounds in requirements.txt."""
    from packaging.requirements import Requirement  # which TensorFlow depends on

    for line in (SCRIPTS / "requirements.txt").read_text("utf-8").splitlines():
        if text := line.partition("#")[0].strip():
            yield _library(Requirement(text))


def _library(requirement) -> Line:
    try:
        version = importlib.metadata.version(requirement.name)
    except importlib.metadata.PackageNotFoundError:
        return problem(f"{requirement.name} is not installed: {INSTALL}")
    return _version(requirement.name, version, str(requirement.specifier), INSTALL)


def _version(name: str, version: str, bounds: str, remedy: str) -> Line:
    from packaging.specifiers import SpecifierSet

    if SpecifierSet(bounds).contains(version, prereleases=True):
        return ok(f"{name} {version}")
    return problem(f"{name} {version} is not {bounds}: {remedy}")


def check_tensorflow(options: CheckOptions) -> Lines:
    """Whether it can be imported, what it computes on, and whether it can train there."""
    gpus = prepare_gpus()
    if gpus:
        memory = _gpu_memory()
        for number, gpu in enumerate(gpus):
            remedy = f"{INSTALL_FOR_GPU}; nvidia-smi shows the driver and what else uses the GPU"
            look = partial(_check_gpu, number, gpu, memory.get(number), options)
            yield from _guarded(f"GPU {number}", look, remedy)
    else:
        yield _without_gpu()
        yield from _guarded("a training step on the CPU", partial(_check_cpu, options))
    if use_xla(None):
        yield ok("XLA compiles")
    else:
        yield note("XLA does not compile here: everything works without, and takes longer")


def _without_gpu() -> Line:
    if os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1"):
        return note("CUDA_VISIBLE_DEVICES hides all GPUs: training runs on the CPU")
    if NVIDIA_DRIVER.exists() or shutil.which("nvidia-smi"):
        remedy = f"{INSTALL_FOR_GPU}; nvidia-smi must list the GPU"
        return problem(f"NVIDIA's driver is here, but TensorFlow sees no GPU: {remedy}")
    return note("no GPU: training runs on the CPU, which is slow for the default config")


def _check_cpu(options: CheckOptions) -> Lines:
    train_a_step("CPU:0", options)
    yield ok("a training step on the CPU")


def _check_gpu(number: int, gpu, memory: int | None, options: CheckOptions) -> Lines:
    import tensorflow as tf

    name = tf.config.experimental.get_device_details(gpu).get("device_name", "unnamed")
    room = f", {memory / GB:.1f} GB for TensorFlow" if memory else ""
    train_a_step(f"GPU:{number}", options)
    yield ok(f"GPU {number}, {name}{room}: a training step with cuDNN")


def _gpu_memory() -> dict[int, int]:
    """The bytes that TensorFlow may use of each GPU, by its number, where it tells."""
    import tensorflow as tf

    try:
        from tensorflow.python.client import device_lib
    except ImportError:  # it is not of the public interface, which tells nothing
        return {}
    with quiet_stderr():
        tf.config.list_logical_devices("GPU")  # begins to use the GPUs as told; the next line would take all of them
        devices = device_lib.list_local_devices()
    return {
        int(device.name.rpartition(":")[2]): device.memory_limit for device in devices if device.device_type == "GPU"
    }


def train_a_step(device: str, options: CheckOptions) -> None:
    """Take one step of training with a tiny network.

    Args:
        device: such as CPU:0.
        options: how it is computed.

    Raises:
        FloatingPointError: the result is not a number.
        Exception: whatever libraries raise that do not work.
    """
    with quiet_stderr():
        import numpy as np
        import tensorflow as tf

        from samplernn.corpus.data import data_of
        from samplernn.models import registry
        from samplernn.models.optimizer import make_optimizer
        from samplernn.training.steps import initial_state, train_step

        with tf.device(device):
            config = _tiny_config(options)
            model = registry.build(config, options.precision)
            optimizer = make_optimizer("adam", 0.001, 0.0, model)
            xla = use_xla(options.jit_compile, cudnn=model.has_cudnn_kernels)
            model.compile(optimizer=optimizer, jit_compile=xla)
            window, padding = config.window, data_of(config).padding
            x = tf.constant(np.broadcast_to(padding, [TINY_BATCH, window.with_context, *padding.shape]))
            state, reset = initial_state(model, TINY_BATCH), tf.zeros([TINY_BATCH], tf.bool)
            sums, *_ = train_step(model)(x, x[:, window.targets], reset, state)
        numbers = [*sums.values(), *map(tf.reduce_sum, model.trainable_variables)]
    if not all(math.isfinite(tf.reduce_sum(number)) for number in numbers):
        raise FloatingPointError("the result is not a number")


def _tiny_config(options: CheckOptions) -> Config:
    """The least network of the family that the config names, if it can be read, which another check says."""
    try:
        config = load_config(options.config_file) if options.config_file else default_config()
    except InputError:
        config = default_config()
    return type(config).tiny()


def check_audio_formats() -> Lines:
    """Which of them soundfile reads, of what it has written itself."""
    import soundfile

    readable = [format_ for format_ in FORMATS if _is_readable(format_)]
    library = f"soundfile with libsndfile {soundfile.__libsndfile_version__}"
    if readable:
        yield ok(f"{library} reads {', '.join(readable)}")
    if missing := [format_ for format_ in FORMATS if format_ not in readable]:
        told = f"{library} does not read {', '.join(missing)}"
        yield problem(f"{told}: {INSTALL}") if "WAV" in missing else note(f"{told}, of which chunk_audio.py cuts none")


@quiet_stderr()  # to which the decoder of MP3 writes notes
def _is_readable(format_: str) -> bool:
    import numpy as np
    import soundfile

    tone, file = 0.5 * np.sin(np.arange(3200) / 10), io.BytesIO()
    try:
        soundfile.write(file, tone, 16000, format=format_)
        file.seek(0)
        audio, rate = soundfile.read(file)
    except (ValueError, soundfile.LibsndfileError):
        return False
    return rate == 16000 and len(audio) >= len(tone) and np.corrcoef(audio[: len(tone)], tone)[0, 1] > 0.9


def check_devices(options: CheckOptions) -> Lines:
    """Whether TF_CONFIG and the flags fit each other and the GPUs; nothing is said where they do."""
    from samplernn.system.distribution import check_batch_size, choose_gpus, this_worker

    worker = yield from _guarded("TF_CONFIG", this_worker)
    gpus = yield from _guarded("--num_gpus", partial(choose_gpus, options.num_gpus))
    if worker is not None and gpus is not None:
        check_batch_size(options.batch_size, worker.number * max(1, len(gpus)))


def check_origin(options: CheckOptions) -> Generator[Line, None, tuple[Resumed | None, Initial | None]]:
    """Whether the checkpoint to begin from, if there is one, can be used; returns what `find_origin` does."""
    from samplernn.checkpoints.store import check_whole
    from samplernn.training import resuming
    from samplernn.training.beginning import find_origin

    for sentence in resuming.that_others_run(options):
        yield note(sentence)
    resumed, initial = find_origin(options)
    if origin := resumed or initial:
        check_whole(origin.checkpoint)
        yield ok(f"to go on from: {resumed.checkpoint}" if resumed else f"to begin with: {initial.checkpoint}")
    if resumed and resumed.further:
        yield note(resumed.that_another_is_further)
    return resumed, initial


def choose_config(options: CheckOptions, origin: Resumed | Initial | None) -> Config:
    """The network that would be trained."""
    from samplernn.training import resuming

    return resuming.choose_config(options, origin)


def check_recordings(options: CheckOptions, config: Config | None) -> Generator[Line, None, Corpus | None]:
    """Whether the recordings can be used; returns those that can."""
    from samplernn.corpus.data import data_of

    examination = data_of(config or default_config()).examine(options.data_dir)
    complaints = examination.complaints(options.skip_unusable, options.strict)
    for complaint in complaints:
        yield problem(complaint)
    corpus = examination.corpus() if examination.usable else None
    if corpus and not complaints:
        corpus.remark()
    return corpus


def check_split(options: CheckOptions, config: Config, corpus: Corpus, resumed: Resumed | None) -> Lines:
    """Whether the recordings suffice."""
    from samplernn.training.beginning import find_split

    split = find_split(options, config, corpus, resumed)
    files = f"{counted(len(split.training), 'file')} to train on, {len(split.validation)} to validate with"
    yield ok(f"--data_dir {' '.join(options.data_dir)}: {files}, at {corpus.sample_rate} Hz")


def check_clips(options: CheckOptions, config: Config | None, corpus: Corpus | None) -> Lines:
    """Whether clips can be made as the flags say, as far as it is known for which network and corpus."""
    from samplernn.corpus.seed import examine_seed
    from samplernn.training.beginning import clip_context, clip_rate

    if corpus:
        yield from _guarded("--sample_rate", partial(clip_rate, options, corpus.sample_rate))
    if corpus and config:
        yield from _guarded("--seed", partial(clip_context, options, config, corpus.sample_rate))
    elif options.seed:
        yield from _guarded("--seed", partial(examine_seed, options.seed))


def check_memory(needed: int) -> Lines:
    """What the system tells of it, beside the bytes that training takes."""
    total, available = _memory()
    if total is None:
        yield note("how much memory there is, the system does not tell")
        return
    told = f"memory: {total / GB:.1f} GB" + (f", {available / GB:.1f} GB of it available" if available else "")
    if (available or total) < needed:
        told += f"; on a CPU this network and batch size take about {needed / GB:.1f} GB"
        yield note(f"{told}: choose a smaller network, seq_len or --batch_size")
    else:
        yield ok(told)


def _memory() -> tuple[int | None, int | None]:
    """Bytes in all and available, None where that is not known."""
    if MEMORY.exists():
        found = dict(re.findall(r"^(\w+): +(\d+) kB", MEMORY.read_text(), re.MULTILINE))
        return tuple(int(found[name]) * 1024 if name in found else None for name in ("MemTotal", "MemAvailable"))
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"), None
    except (AttributeError, ValueError, OSError):  # Windows has no sysconf
        return None, None


def check_folder(flag: str, folder: Path, checkpoint: int) -> Lines:
    """Whether files can be written there, or to where it would be created, and a checkpoint of so many bytes."""
    absolute = folder.absolute()
    try:
        there = next(path for path in (absolute, *absolute.parents) if path.exists())
        tempfile.TemporaryFile(dir=there).close()
        free = shutil.disk_usage(there).free
    except OSError as error:
        yield problem(f"{flag} {folder} can't be written ({error.strerror}); choose another folder")
        return
    told = f"{flag} {folder}: {free / GB:.1f} GB free"
    if free < checkpoint:
        remedy = "make room, or choose another folder"
        yield problem(f"{told}, and a checkpoint of this network takes {checkpoint / GB:.2f} GB; {remedy}")
    else:
        yield ok(f"{told}, and files can be written")
