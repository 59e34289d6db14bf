"""What TensorBoard's HParams view shows of a search. The curves are in each trial's run folder already."""

from __future__ import annotations

import time
from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.plugins.hparams import api
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from samplernn.options.values import Range


def write_space(folder: Path, space: dict[str, list | Range]) -> None:
    """Write the search space, and which curves are its metrics, to the folder of a search."""
    domains = [api.HParam(name, _domain(values)) for name, values in space.items()]
    metrics = [
        api.Metric(f"epochs/{name}", group=part, display_name=f"{prefix}{name}")
        for prefix, part in (("val_", "validation"), ("", "train"))
        for name in ("loss", "accuracy")
    ]
    _write(folder, api.hparams_config_pb(domains, metrics))


def _domain(values: list | Range) -> api.Domain:
    if not isinstance(values, Range):
        return api.Discrete(values)
    return (api.IntInterval if values.whole else api.RealInterval)(values.least, values.most)


def write_trial(run_folder: Path, name: str, values: dict[str, object]) -> None:
    """Write the values of a trial to its run folder."""
    _write(run_folder, api.hparams_pb(values, trial_id=name))


def _write(folder: Path, summary) -> None:
    # tf.summary would do too, but takes hold of a GPU, which the process that only directs a search must not.
    writer = EventFileWriter(str(folder))
    writer.add_event(Event(wall_time=time.time(), summary=summary))
    writer.close()
