"""Whether this machine and its libraries are ready for training.

Nothing here imports a library before the check of it is called, so that a missing one is a line and no traceback.
"""

from __future__ import annotations

import importlib.metadata
import io
import math
import os
import platform
import re
import shutil
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from samplernn.commands.check_lines import GB, INSTALL, Line, Lines, guarded, note, ok, problem
from samplernn.models.registry import default_config, load_config
from samplernn.options.common import SCRIPTS
from samplernn.options.train import CheckOptions
from samplernn.system.device import prepare_gpus, quiet_stderr, use_xla
from samplernn.system.errors import InputError

if TYPE_CHECKING:
    from samplernn.models.config import Config

INSTALL_FOR_GPU = "pip install -r requirements-gpu.txt (on Windows: inside WSL2)"
NVIDIA_DRIVER = Path("/proc/driver/nvidia/version")
MEMORY = Path("/proc/meminfo")
FORMATS = ("WAV", "FLAC", "OGG", "MP3")
FFMPEG_CODECS = ("aac", "alac", "mp3", "opus", "wmav2")
TINY_BATCH = 2


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
            yield from guarded(f"GPU {number}", look, remedy)
    else:
        yield _without_gpu()
        yield from guarded("a training step on the CPU", partial(_check_cpu, options))
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
        from samplernn.training.steps import initial_state, model_to_train, train_step

        with tf.device(device):
            config = tiny_config(options)
            model = model_to_train(config, options)
            window, padding = config.window, data_of(config).padding
            x = tf.constant(np.broadcast_to(padding, [TINY_BATCH, window.with_context, *padding.shape]))
            state, reset = initial_state(model, TINY_BATCH), tf.zeros([TINY_BATCH], tf.bool)
            sums, *_ = train_step(model)(x, x[:, window.targets], reset, state)
        numbers = [*sums.values(), *map(tf.reduce_sum, model.trainable_variables)]
    if not all(math.isfinite(tf.reduce_sum(number)) for number in numbers):
        raise FloatingPointError("the result is not a number")


def tiny_config(options: CheckOptions) -> Config:
    """The least network of the family that the config names."""
    return type(named_config(options)).tiny()


def named_config(options: CheckOptions) -> Config:
    """The config that the flag names, if it can be read, which another check says, else the default one."""
    try:
        return load_config(options.config_file) if options.config_file else default_config()
    except InputError:
        return default_config()


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


def check_ffmpeg() -> Lines:
    """Whether FFmpeg's libraries can be loaded, and decode what chunk_audio.py is given besides."""
    import av

    missing = [codec for codec in FFMPEG_CODECS if codec not in av.codecs_available]
    if missing:
        yield note(f"FFmpeg, of av {av.__version__}, lacks {', '.join(missing)}, of which chunk_audio.py cuts none")
    else:
        yield ok(f"FFmpeg, of av {av.__version__}, decodes {', '.join(FFMPEG_CODECS)}")


def check_pictures() -> Lines:
    """Whether spectrograms can be drawn, which a training does after its first epoch."""
    import numpy as np

    from samplernn.audio import spectrogram

    spectrogram.draw(np.zeros(1000, np.float32), 16000, "")
    yield ok("spectrograms are drawn")


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
