"""TensorFlow as a guest of the machine: its devices, its first lines, what it says when the machine refuses.

Nothing here imports TensorFlow before it is called.
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

from samplernn.config import RunError


def prepare_device() -> None:
    """Let TensorFlow take a GPU's memory as it needs it; where there is no GPU, say so."""
    with _quiet_stderr():
        import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    for gpu in gpus:
        tf.config.experimental.set_memory_growth(gpu, True)
    if not gpus:
        print("No GPU found: running on the CPU.", flush=True)


@functools.cache
def xla_works() -> bool:
    """Whether this TensorFlow can compile a loop with XLA; generation takes twice as long where it cannot."""
    import tensorflow as tf

    def loop(x):
        return tf.while_loop(lambda i, _: i < 2, lambda i, x: (i + 1, tf.exp(tf.tanh(x))), (0, x))

    try:
        with _quiet_stderr():
            tf.function(loop, autograph=False, jit_compile=True)(tf.constant(1.0))
        return True
    except (tf.errors.OpError, ValueError, NotImplementedError):
        return False


@contextmanager
def refusals_explained() -> Iterator[None]:
    """Turn what TensorFlow raises while it computes into a line for the user.

    Raises:
        RunError: memory or something else has run out.
    """
    import tensorflow as tf

    try:
        yield
    except (tf.errors.ResourceExhaustedError, MemoryError):
        remedy = "lower --batch_size or --num_seqs, or seq_len or dim in the config"
        raise RunError(f"Out of memory: {remedy}") from None
    except tf.errors.OpError as error:
        raise RunError(f"TensorFlow cannot go on: {reason(error)}") from None


def reason(error: Exception) -> str:
    """What an error says, in one line, without the names of TensorFlow's inner functions."""
    text = re.sub(r"\{\{function_node.*?\}\}", "", str(error)).strip()
    return (text.splitlines() or [type(error).__name__])[0][:300]


@contextmanager
def _quiet_stderr() -> Iterator[None]:
    """Drop what is written to the process's stderr; some lines of TensorFlow's, each printed once, heed no setting."""
    stderr, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        os.close(nowhere)
