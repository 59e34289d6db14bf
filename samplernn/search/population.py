"""A population: trials that are compared while they train, of which the worst go on from the best (--type pbt).

The settings are those of Dieleman, van den Oord and Simonyan: The challenge of realistic music generation (2018), 5.
"""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path
from typing import Any

from ray.tune import Checkpoint
from ray.tune.schedulers import PopulationBasedTraining, TrialScheduler

from samplernn.options.option import as_text
from samplernn.options.values import Range
from samplernn.search.options import RayTuneOptions
from samplernn.search.ray_space import domain
from samplernn.search.space import in_flight, scalars, varies

BEST = "best"  # the objective's best value so far, as a trial reports it
REMARK = "remark"  # why a member is to be replaced
WORST = 1e9  # a loss beyond every loss; finite, for ASHA computes percentiles
TAKEN_OVER = "taken_over"  # in a member's folder: the checkpoint of another that it goes on from
FACTORS = (1.2, 0.8)  # by which what a member takes over from another is changed


def population(options: RayTuneOptions) -> PopulationBasedTraining:
    """What compares the members and lets them go on from each other."""
    changing = [name for name in in_flight(options.model) if varies(options.space[name])]
    space = scalars({name: options.space[name] for name in changing})
    return _Population(
        options.num_epochs,
        "epoch",
        perturbation_interval=options.perturb_every,
        burn_in_period=options.burn_in,
        hyperparam_mutations={
            name: domain(values) if isinstance(values, Range) else values for name, values in space.items()
        },
        resample_probability=0,
        perturbation_factors=FACTORS,
        custom_explore_fn=partial(_into_ranges, space),
        log_config=False,  # of what is tried there is our own record
    )


class _Population(PopulationBasedTraining):
    """Ray's, but that whoever has failed or collapsed goes on from one of the best, however many have.

    Who has failed waits for that, and ends where nobody is left to go on from. Who has trained for all epochs neither
    goes on from another, nor does another from it: no step would follow.
    """

    def __init__(self, num_epochs: int, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._num_epochs = num_epochs

    def on_trial_result(self, tune_controller, trial, result):
        if result["epoch"] >= self._num_epochs and not has_failed(result):
            return TrialScheduler.CONTINUE
        decision = super().on_trial_result(tune_controller, trial, result)
        live = [self._trial_state[member].last_result or {} for member in tune_controller.get_live_trials()]
        return TrialScheduler.STOP if all(map(has_failed, [result, *live])) else decision

    def _quantiles(self):
        lower, upper = super()._quantiles()
        lost = [member for member in self._trial_state if self._is_lost(member) and not member.is_finished()]
        upper = [member for member in upper if member not in lost and not self._is_over(member)]
        return (list(dict.fromkeys([*lower, *lost])) if upper else []), upper

    def _is_lost(self, trial) -> bool:
        return self._trial_state[trial].last_score == -WORST

    def _is_over(self, trial) -> bool:
        return (trial.last_result or {}).get("epoch", 0) >= self._num_epochs

    def _checkpoint_or_exploit(self, trial, tune_controller, upper_quantile, lower_quantile):
        for member in upper_quantile:  # those that were not among the best when they were last compared
            state = self._trial_state[member]
            state.last_checkpoint = state.last_checkpoint or member.checkpoint
        super()._checkpoint_or_exploit(trial, tune_controller, upper_quantile, lower_quantile)

    def _exploit(self, tune_controller, trial, trial_to_clone):
        source = self._trial_state[trial_to_clone]
        checkpoint = source.last_checkpoint
        # By the time that this member has a process again, the other may have trained on, and have dropped its own.
        source.last_checkpoint = _copied(checkpoint, Path(trial.path, TAKEN_OVER))
        super()._exploit(tune_controller, trial, trial_to_clone)
        source.last_checkpoint = checkpoint
        values = " and ".join(f"{name} {as_text(trial.config[name])}" for name in self._hyperparam_mutations)
        remark = self._trial_state[trial].last_result.get(REMARK)
        before = f" Before: {remark}" if remark else ""
        print(f"Trial {trial.trial_id} goes on from {trial_to_clone.trial_id}, with {values}.{before}", flush=True)


def has_failed(result: dict[str, Any]) -> bool:
    """Whether what a trial reports is that it has failed."""
    return abs(result.get(BEST, 0)) == WORST


def _copied(checkpoint: Checkpoint, folder: Path) -> Checkpoint:
    """A checkpoint in a folder of its own, in place of the one that was there."""
    begun = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(begun, ignore_errors=True)
    shutil.copytree(checkpoint.path, begun)
    shutil.rmtree(folder, ignore_errors=True)
    begun.rename(folder)
    return Checkpoint.from_directory(folder)


def _into_ranges(space: dict[str, list | Range], chosen: dict[str, Any]) -> dict[str, Any]:
    """What Ray chose, which may have left the ranges."""
    ranges = {name: values for name, values in space.items() if isinstance(values, Range)}
    return chosen | {name: values.nearest(chosen[name]) for name, values in ranges.items()}
