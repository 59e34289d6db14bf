"""From checkpoints to a table of how well they predict: what evaluate.py does."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable
from contextlib import closing, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

from samplernn.audio.wav import Recording
from samplernn.checkpoints import store as checkpoints
from samplernn.checkpoints.trained_on import recordings_trained_on
from samplernn.corpus.data import data_of
from samplernn.corpus.loader import Loader
from samplernn.evaluation.candidates import Candidate, find_candidates, remarks
from samplernn.evaluation.table import as_text, write
from samplernn.generation.coded_corpus import by_level, make_codes
from samplernn.models import registry
from samplernn.models.config import Config
from samplernn.models.model import Model
from samplernn.options.evaluate import EvaluationOptions
from samplernn.system.device import refusals_explained, use_xla
from samplernn.system.errors import InputError, RunError
from samplernn.system.files import make_writable_folder
from samplernn.system.progress import ProgressBar
from samplernn.training.loop import sums_over
from samplernn.training.steps import validation_step

MEMORY_REMEDY = "lower --batch_size"

Level = tuple[Path, Config, list[Recording]]  # a checkpoint, its config, and what it predicts


def evaluate(options: EvaluationOptions) -> list[dict[str, Any]]:
    """Evaluate checkpoints, print a table of them, and write it where the options say so.

    Returns:
        A row for each checkpoint, as `measure` has it.

    Raises:
        InputError: an option, a checkpoint or a file can't be used; the message names it and the remedy.
        RunError: a model's output is not a number, or the disk refuses.
    """
    with refusals_explained(MEMORY_REMEDY):
        candidates = find_candidates(options)
        if options.precision != "float32" and any(candidate.chain for candidate in candidates):
            raise InputError(f"--precision {options.precision}: stacks are measured in float32; leave the flag out")
        if options.output_file:
            _check_writable(Path(options.output_file))
        for candidate in candidates:
            print(f"Evaluating {candidate.checkpoint}, {candidate.why}.", flush=True)
        for remark in remarks(candidates):
            print(remark, flush=True)
        rows = measure(candidates, options)
    print(as_text(rows), flush=True)
    if options.output_file:
        write(rows, options.output_file)
    return rows


def _check_writable(path: Path) -> None:
    if path.is_dir():
        raise InputError(f"--output_file {path}: it is a folder; name a file")
    make_writable_folder("--output_file", path.parent)


def measure(candidates: list[Candidate], options: EvaluationOptions) -> list[dict[str, Any]]:
    """How well checkpoints predict their recordings, each from the initial state, and the autoencoders below them do.

    Returns:
        For each checkpoint a row, and one for each autoencoder from the top down. `checkpoint`, its path; `nll_nats`
        and `nll_bits`, a mean over all that it predicts; `accuracy`, in [0, 1], and what else the model measures;
        `samples` (or whatever its data consist of) and `files`, their numbers; `baseline_nats` and `baseline_bits`, the
        NLL of a model that knows nothing but how often each item occurs there. Where there is a stack, its first row
        and those of what it is compared with, unless they are autoencoders', have `bound_nats` and `bound_bits`: all
        levels' NLL by the number of samples, which the NLL of a sample by the whole stack is at most, since codes are a
        function of the samples.

    Raises:
        InputError: a checkpoint can't be read.
        RunError: a model's output is not a number.
    """
    stacks = any(candidate.chain for candidate in candidates)
    with tempfile.TemporaryDirectory() if stacks else nullcontext("") as folder:
        rows = []
        for candidate in candidates:
            levels = _levels(candidate, Path(folder), options)
            trained_on = partial(recordings_trained_on, candidate.settings, candidate.config)
            of_levels = [_row(*level, trained_on, options) for level in levels]
            if stacks and not candidate.config.codes:  # else its own codes would count for nothing
                of_levels[0] |= _in_both_units("bound", _bound(levels, of_levels))
            rows += of_levels
    return rows


def _bound(levels: list[Level], rows: list[dict[str, Any]]) -> float:
    """In nats a sample of the lowest level."""
    numbers = [sum(recording.frames for recording in recordings) for *_, recordings in levels]
    return sum(row["nll_nats"] * number for row, number in zip(rows, numbers)) / numbers[-1]


def _levels(candidate: Candidate, folder: Path, options: EvaluationOptions) -> list[Level]:
    """Each model of a stack from the top down, with the recordings of what it predicts; codes are made in a folder."""
    recordings = candidate.recordings
    make_codes(recordings, candidate.chain, folder, options.jit_compile)
    models = [(model.checkpoint, model.config) for model in (candidate, *candidate.chain)]
    predicted = reversed(by_level(recordings, candidate.chain, folder))
    return [(*model, recordings) for model, recordings in zip(models, predicted)]


def _row(
    checkpoint: Path,
    config: Config,
    recordings: list[Recording],
    trained_on: Callable[[], list[Recording]],
    options: EvaluationOptions,
) -> dict[str, Any]:
    model = registry.build(config, options.precision)
    model.compile(jit_compile=use_xla(options.jit_compile, cudnn=model.has_cudnn_kernels))
    checkpoints.restore(checkpoint, model)
    measures = _measures(model, recordings, min(options.batch_size, len(recordings)))
    loss, data = measures.pop("loss"), data_of(config)
    nll = measures.pop("nll", loss)  # where something else is minimised
    if not math.isfinite(nll):
        raise RunError(
            f"{checkpoint}: the model's output is not a number: its weights are damaged, or too large for"
            " --precision; use another checkpoint, or --precision float32"
        )
    baselines = {}
    for name, value in data.baselines(recordings, trained_on).items():
        of_nll, _, unit = name.rpartition("_")
        baselines |= _in_both_units(of_nll, value) if unit == "nats" else {name: value}
    return {
        "checkpoint": str(checkpoint),
        **_in_both_units("nll", nll),
        **measures,
        f"{data.unit}s": sum(recording.frames for recording in recordings),
        "files": len(recordings),
        **baselines,
    }


def _measures(model: Model, recordings: list[Recording], batch_size: int) -> dict[str, float]:
    loader = Loader(model.config, batch_size, partial=True)
    steps, _ = loader.validation_epoch(recordings)
    with closing(ProgressBar(len(steps), f"{{}} of {len(steps)} windows".format, patience=1, every=10)) as progress:
        return model.measures(sums_over(model, validation_step(model), loader, recordings, lambda n: progress(n + 1)))


def _in_both_units(name: str, nats: float) -> dict[str, float]:
    return {f"{name}_nats": nats, f"{name}_bits": nats / math.log(2)}
