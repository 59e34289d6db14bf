"""One device or many: the strategy, who is the chief, how a batch is split, what holds workers together.

A worker is one process on one machine, with the devices it has there; a replica is a device that computes its rows of
every batch. Where nothing is split TensorFlow's default strategy serves, in which all that is here does nothing.

Nothing here imports TensorFlow before it is called.
"""

from __future__ import annotations

import json
import os
import signal
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from samplernn.system.errors import InputError, RunError
from samplernn.system.words import counted, is_address, nearest_multiples

EXAMPLE = '{"cluster": {"worker": ["host1:12345", "host2:12345"]}, "task": {"type": "worker", "index": 0}}'


@dataclass(frozen=True)
class Worker:
    """This process among those that train together."""

    index: int = 0
    number: int = 1  # of workers

    @property
    def is_chief(self) -> bool:
        """Whether it is the one that prints and writes."""
        return self.index == 0

    def __str__(self) -> str:
        return f"Worker {self.index + 1} of {self.number}"


def this_worker() -> Worker:
    """Read TF_CONFIG, which names all workers and says which one this is; without it there is one.

    Raises:
        InputError: it cannot be used.
    """
    text = os.environ.get("TF_CONFIG", "")
    try:
        content = json.loads(text or "{}")
    except ValueError as error:
        raise _misuse(f"not valid JSON ({error})") from None
    if not isinstance(content, dict) or not isinstance(content.get("cluster", {}), dict):
        raise _misuse("not a JSON object with a cluster and a task")
    cluster, task = content.get("cluster"), content.get("task")
    if not cluster:
        return Worker()
    if unknown := cluster.keys() - {"chief", "worker"}:
        raise _misuse(f"the cluster has a job {min(unknown)!r}, but there are only workers, and one may be the chief")
    for job, addresses in cluster.items():
        if not isinstance(addresses, list) or not all(map(is_address, addresses)) or not addresses:
            raise _misuse(f"the cluster's {job} is not a list of addresses, host:port")
    if not isinstance(task, dict) or "type" not in task or "index" not in task:
        raise _misuse("the task is missing, which says by type and index who of the cluster this worker is")
    job, index = task["type"], task["index"]
    if job not in cluster:
        raise _misuse(f"the task's type is {job!r}, and the cluster has {' and '.join(sorted(cluster))}")
    if type(index) is not int or not 0 <= index < len(cluster[job]):
        raise _misuse(f"the task's index is {index!r}, and the cluster's {job} goes from 0 to {len(cluster[job]) - 1}")
    chiefs = cluster.get("chief", [])
    if len(chiefs) > 1:
        raise _misuse(f"the cluster has {len(chiefs)} chiefs, and one is the most")
    return Worker(index + len(chiefs) * (job == "worker"), sum(map(len, cluster.values())))


def _misuse(problem: str) -> InputError:
    return InputError(f"TF_CONFIG: {problem}; unset it to train on one machine, or write, for instance, {EXAMPLE}")


def choose_gpus(num_gpus: int | None) -> list:
    """The first GPUs of this machine, as many as are asked for, None for all.

    Raises:
        InputError: there are not that many.
    """
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    if num_gpus and num_gpus > len(gpus):
        remedy = f"--num_gpus {len(gpus)} is the most" if gpus else "leave the flag out to run on the CPU"
        found = counted(len(gpus), "GPU")
        raise InputError(f"--num_gpus {num_gpus}: TensorFlow finds {found} on this machine; {remedy}")
    return gpus[:num_gpus]


def choose_strategy(worker: Worker, num_gpus: int | None):
    """The strategy for the devices there are; it is to be made before TensorFlow computes anything.

    Args:
        worker: from `this_worker`.
        num_gpus: how many of this machine's GPUs to use; None for all.

    Raises:
        InputError: there are not that many GPUs, or this worker cannot listen where TF_CONFIG says.
        RunError: the others have not appeared within TensorFlow's patience, an hour.
    """
    import tensorflow as tf

    gpus = choose_gpus(num_gpus)
    if num_gpus:
        tf.config.set_visible_devices(gpus, "GPU")
    if worker.number > 1:
        print(f"{worker}: waiting for the others.", flush=True)
        return _join_cluster()
    if len(gpus) > 1:
        os.environ.pop("TF_CONFIG", None)  # it names no other worker, and MirroredStrategy would read it too
        return tf.distribute.MirroredStrategy()
    return tf.distribute.get_strategy()


def _join_cluster():
    import tensorflow as tf

    try:
        with _ctrl_c_ends_at_once():
            return tf.distribute.MultiWorkerMirroredStrategy()
    except (tf.errors.DeadlineExceededError, tf.errors.UnavailableError):
        raise RunError("The other workers have not appeared: start all that TF_CONFIG names, and try again") from None
    except tf.errors.UnknownError as error:
        if "gRPC server" not in str(error):
            raise
        raise InputError(
            "TF_CONFIG: this worker's port is taken on this machine; name another in all of them"
        ) from None


@contextmanager
def _ctrl_c_ends_at_once() -> Iterator[None]:
    """While TensorFlow waits for other workers no Python runs, and so no handler that is written in it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def check_batch_size(batch_size: int, replicas: int) -> None:
    """A batch is split into equal parts.

    Raises:
        InputError: it cannot be; the message says which could.
    """
    if batch_size % replicas:
        raise InputError(
            f"--batch_size {batch_size} cannot be split evenly between {replicas} devices;"
            f" --batch_size {nearest_multiples(batch_size, replicas)} would do"
        )


def _replicas_here(strategy) -> range:
    """The numbers of this worker's replicas, of all the workers'."""
    numbers = strategy.experimental_distribute_values_from_function(lambda context: context.replica_id_in_sync_group)
    numbers = strategy.experimental_local_results(numbers)
    return range(numbers[0], numbers[-1] + 1)


def rows_here(strategy, batch_size: int) -> slice:
    """The rows of a batch that are this worker's."""
    size, replicas = batch_size // strategy.num_replicas_in_sync, _replicas_here(strategy)
    return slice(replicas.start * size, replicas.stop * size)


def hand_out(strategy, rows: tuple[np.ndarray, ...]):
    """Give each of this worker's replicas its part of arrays that hold this worker's rows."""
    import tensorflow as tf

    replicas = _replicas_here(strategy)

    def part(array, number):
        size = len(array) // len(replicas)
        first = (number - replicas.start) * size
        return tf.convert_to_tensor(array[first : first + size])

    return strategy.experimental_distribute_values_from_function(
        lambda context: tuple(part(array, context.replica_id_in_sync_group) for array in rows)
    )


def sum_over_replicas(values):
    """The sums of tensors, or of a nested structure of them, over all replicas; to be called by each."""
    import tensorflow as tf

    return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, values)


def own_rows(of_batch: Callable, size: int):
    """The rows of a replica, which has `size` of them, of a tensor that `of_batch` makes for all rows of the batch."""
    import tensorflow as tf

    context = tf.distribute.get_replica_context()
    whole = of_batch(context.num_replicas_in_sync * size)
    return tf.reshape(whole, [-1, size, *whole.shape[1:]])[context.replica_id_in_sync_group]


def _gather(strategy, values: list[int]) -> np.ndarray:
    """What each replica's worker gives, [replicas, values], each from 0 to 2**31 - 1; it waits for all workers."""
    import tensorflow as tf

    given = strategy.experimental_distribute_values_from_function(lambda _: tf.constant([values], tf.int32))
    return strategy.gather(given, axis=0).numpy()


def largest(strategy, values: list[int]) -> list[int]:
    """The largest of each of the values that the workers give; it waits for all of them."""
    return _gather(strategy, values).max(axis=0).tolist()


def gather_rows(strategy, value) -> np.ndarray:
    """The rows of all replicas side by side, [..., B], of a value [..., rows] that has them last; all workers call it.

    Numbers of any floating point type become float32, and truth values uint8.
    """
    import tensorflow as tf

    def portable(part):
        if part.dtype.is_floating:
            return tf.cast(part, tf.float32)
        return tf.cast(part, tf.uint8) if part.dtype.is_bool else part

    parts = strategy.run(portable, (value,))
    rank = strategy.experimental_local_results(parts)[0].shape.rank
    return strategy.gather(parts, axis=rank - 1).numpy()


def hand_out_rows(strategy, make: Callable, size: int):
    """Give each replica what `make` makes of its rows, a slice of all `size`."""
    rows = size // strategy.num_replicas_in_sync

    def part(context):
        first = context.replica_id_in_sync_group * rows
        return make(slice(first, first + rows))

    return strategy.experimental_distribute_values_from_function(part)


def wait_for_all(strategy) -> None:
    """Return when all workers have called this."""
    _gather(strategy, [0])


def check_agreement(strategy, facts: dict[str, Any]) -> None:
    """Make sure that all workers are about to do the same.

    Args:
        facts: what must be the same for all, by what the user calls it: anything that `repr` tells apart.

    Raises:
        InputError: something differs; all workers raise it.
    """
    given = _gather(strategy, [zlib.crc32(repr(fact).encode()) >> 1 for fact in facts.values()])
    differ = [name for name, column in zip(facts, given.T) if len(set(column)) > 1]
    if differ:
        raise InputError(
            f"The workers differ in {', '.join(differ)}: give all of them the same flags, and the same content of"
            " --data_dir and --logdir_root"
        )
