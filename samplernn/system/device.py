"""TensorFlow as a guest of the machine: its devices, its first lines, what it says when the machine refuses.

Nothing here imports TensorFlow before it is called.
"""

from __future__ import annotations

import ctypes
import errno
import functools
import logging
import os
import platform
import re
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import samplernn
from samplernn.system.errors import InputError, RunError

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # malloc.h of glibc
MOST = 2**31 - 1
# What Keras imports if it is there, for what is not used here: two fifths of the time of TensorFlow's import.
OPTIONAL_TO_KERAS = "matplotlib", "sklearn", "scipy", "pandas", "pyarrow"

_quiet_lock = threading.Lock()
_quiet_depth = 0
_stderr: int | None = None  # a copy of it, while it is quiet


def import_tensorflow() -> None:
    """Import TensorFlow, without what it says to everyone."""
    # Warnings are for who writes a program: of functions traced anew, of strategies that run eagerly for once.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    with quiet_stderr(), hidden(OPTIONAL_TO_KERAS):
        import tensorflow  # noqa: F401
    keep_freed_memory()


@contextmanager
def hidden(modules: Iterable[str]) -> Iterator[None]:
    """Have modules that were not imported yet be as if they were not installed."""
    absent = dict.fromkeys(set(modules) - sys.modules.keys())
    sys.modules.update(absent)  # None: an import of it fails
    try:
        yield
    finally:
        for name in absent:
            del sys.modules[name]


def keep_freed_memory() -> None:
    """Have the C library keep what is freed for what is allocated next, instead of giving it back to the system.

    TensorFlow allocates what a step works with anew in each step. As glibc has it, large blocks come from the system,
    which fills them with zeros, a page at a time: up to a third of a step's time (docs/performance.md).
    """
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.pythonapi  # finds what is in any library of the process
        libc.mallopt(M_MMAP_MAX, 0)
        libc.mallopt(M_TRIM_THRESHOLD, MOST)


def prepare_device() -> None:
    """Let TensorFlow take a GPU's memory as it needs it; where there is no GPU, say so."""
    if not prepare_gpus():
        print("No GPU found: running on the CPU.", flush=True)


def prepare_gpus() -> list:
    """Let TensorFlow take a GPU's memory as it needs it; the GPUs, as TensorFlow knows them."""
    import_tensorflow()
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    for gpu in gpus:
        tf.config.experimental.set_memory_growth(gpu, True)
    return gpus


def versions() -> dict[str, str]:
    """The versions of all that numbers depend on, to be noted beside a result."""
    import keras
    import numpy
    import tensorflow

    modules = {module.__name__: module.__version__ for module in (samplernn, tensorflow, keras, numpy)}
    return modules | {"python": platform.python_version()}


def number_of_cores() -> int:
    """On which this process may compute, and TensorFlow does."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    told = os.environ.get("TF_NUM_INTRAOP_THREADS", "")
    return min(allowed, (int(told) if told.isdecimal() else 0) or allowed)  # to TensorFlow 0 means all


def has_gpu() -> bool:
    """Whether TensorFlow computes on a GPU."""
    import tensorflow as tf

    return bool(tf.config.list_physical_devices("GPU"))


def use_xla(jit_compile: bool | None, cudnn: bool = False) -> bool:
    """Whether to compile with XLA: as told, or, for None, wherever it is faster (docs/performance.md).

    Args:
        jit_compile: the flag.
        cudnn: on a GPU the computation calls cuDNN's recurrent kernels, which XLA cannot compile.

    Raises:
        InputError: the flag asks for what cannot be done.
    """
    if jit_compile is False:
        return False
    cudnn = cudnn and has_gpu()
    if jit_compile and cudnn:
        raise InputError("--jit_compile True: on a GPU, training calls cuDNN, which XLA cannot compile; leave it auto")
    if jit_compile and not _xla_works():
        raise InputError("--jit_compile True: this TensorFlow cannot compile with XLA; leave it auto")
    return not cudnn and _xla_works()


@functools.cache
def _xla_works() -> bool:
    import tensorflow as tf

    def loop(x):
        return tf.while_loop(lambda i, _: i < 2, lambda i, x: (i + 1, tf.exp(tf.tanh(x))), (0, x))

    try:
        with quiet_stderr():
            tf.function(loop, autograph=False, jit_compile=True)(tf.constant(1.0))
        return True
    except (tf.errors.OpError, ValueError, NotImplementedError):
        return False


@contextmanager
def refusals_explained(remedy: str) -> Iterator[None]:
    """Turn what TensorFlow raises while it computes into a line for the user.

    Args:
        remedy: what to do where memory has run out.

    Raises:
        RunError: memory or something else has run out, or another worker is gone.
    """
    import tensorflow as tf

    try:
        yield
    except (tf.errors.ResourceExhaustedError, MemoryError) as error:
        if os.strerror(errno.ENOSPC) in str(error):  # for which TensorFlow has no error of its own
            raise RunError(f"The disk is full: {reason(error)}") from None
        raise RunError(f"Out of memory: {remedy}") from None
    except tf.errors.OpError as error:
        if "Collective ops is aborted" in str(error):
            explained = "Another worker has stopped, or cannot be reached; if it printed an error, that says why"
        else:
            explained = f"TensorFlow cannot go on: {reason(error)}"
        raise RunError(explained) from None


def reason(error: Exception) -> str:
    """What an error says, in one line, without the names of TensorFlow's inner functions."""
    text = re.sub(r"\{\{function_node.*?\}\}", "", str(error)).strip()
    return (text.splitlines() or [type(error).__name__])[0][:300]


@contextmanager
def quiet_stderr() -> Iterator[None]:
    """Drop what is written to the process's stderr: some lines of libraries', written by C++, heed no setting.

    Several threads may want it at the same time: the last to leave restores it.
    """
    global _quiet_depth, _stderr
    with _quiet_lock:
        _quiet_depth += 1
        if _quiet_depth == 1:
            _stderr, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, 2)
            os.close(nowhere)
    try:
        yield
    finally:
        with _quiet_lock:
            _quiet_depth -= 1
            if _quiet_depth == 0:
                os.dup2(_stderr, 2)
                os.close(_stderr)
