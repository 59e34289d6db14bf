"""The options of the searches: those of keras_tuner.py and ray_tune.py beside the values to search among."""

from __future__ import annotations

from dataclasses import dataclass, field

from samplernn.models.registry import DEFAULT_FAMILY, FAMILIES
from samplernn.options.common import ComputationOptions, CorpusOptions
from samplernn.options.option import option
from samplernn.options.train import MONITORS
from samplernn.options.values import ADDRESS, BOOLEAN, FOLDER_NAME, GPUS, PATH, automatic, one_of, optional, whole
from samplernn.search.space import Space, complete, in_flight, varies
from samplernn.system.errors import InputError


@dataclass(frozen=True, kw_only=True)
class SearchOptions(CorpusOptions, ComputationOptions):
    """The options that both share."""

    space: Space = field(default_factory=dict)  # what is not in it has its default alone
    model: str = option(DEFAULT_FAMILY, one_of(*FAMILIES), "the family of the networks")
    codes_from: str | None = option(
        None, optional(PATH), "checkpoint of an autoencoder, or a run folder for its latest, whose codes are learnt"
    )
    id: str = option("default", FOLDER_NAME, "id of the search, a folder below logdir")
    num_epochs: int = option(20, whole(1), "number of epochs of a trial, at most")
    objective: str = option(
        "val_loss", one_of(*MONITORS), "what makes a trial better than another, its best over the epochs"
    )
    early_stopping_patience: int | None = option(
        3,
        optional(whole(1)),
        "end a trial after this many epochs without improvement; None never does, nor pbt, which replaces the worst",
    )
    random_seed: int = option(0, whole(0), "seed of the search, and of each trial as in train.py")

    @property
    def patience(self) -> int | None:
        """After how many epochs without improvement a trial ends."""
        return self.early_stopping_patience

    def __post_init__(self):
        object.__setattr__(self, "space", complete(self.model, self.space, self.codes_from is not None))


@dataclass(frozen=True, kw_only=True)
class KerasTunerOptions(SearchOptions):
    """The options of keras_tuner.py."""

    logdir: str = option("./logdir/keras_tuner", PATH, "folder for searches")
    type: str = option("bayesian", one_of("bayesian", "random_search"), "how the values to try are chosen")
    max_trials: int = option(10, whole(1), "number of trials, at most; none is run twice, so it may be fewer")


@dataclass(frozen=True, kw_only=True)
class RayTuneOptions(SearchOptions):
    """The options of ray_tune.py."""

    logdir: str = option("./logdir/ray_tune", PATH, "folder for searches")
    type: str = option("bayesian", one_of("bayesian", "random_search", "pbt"), "how the values to try are chosen")
    num_trials: int = option(10, whole(1), "number of trials, at most, or of the members of the population of pbt")
    perturb_every: int = option(
        1, whole(1), "epochs between two comparisons of the members of pbt, after which the worst go on from the best"
    )
    burn_in: int = option(0, whole(0), "epochs before the first comparison of the members of pbt, at least")
    num_cpus: int | None = option(None, automatic(whole(1)), "CPU cores for all trials together", "all there are")
    num_gpus: int | None = option(None, automatic(whole(0)), "GPUs for all trials together", "all there are")
    cpus_per_trial: int = option(1, whole(1), "CPU cores of a trial")
    gpus_per_trial: float | None = option(
        None,
        automatic(GPUS),
        "GPUs of a trial, or the part of one, such as 0.5, so that two trials share it",
        "1 where there are GPUs, else 0",
    )
    address: str | None = option(
        None, optional(ADDRESS), "head of the Ray cluster to run on, such as 10.0.0.1:6379", "this machine alone"
    )
    resume: bool = option(False, BOOLEAN, "go on with the search of this id that was interrupted")

    def __post_init__(self):
        super().__post_init__()
        if self.address and (self.num_cpus, self.num_gpus) != (None, None):
            raise InputError("--address: a cluster's CPUs and GPUs are all used; leave out --num_cpus and --num_gpus")
        if self.type == "pbt":
            self._check_population()
        elif (self.perturb_every, self.burn_in) != (1, 0):
            raise InputError("--perturb_every, --burn_in: only --type pbt compares members; leave them out")

    @property
    def patience(self) -> int | None:
        """That of a trial; a member of a population that gets no better is replaced."""
        return None if self.type == "pbt" else self.early_stopping_patience

    def _check_population(self) -> None:
        changeable = in_flight(self.model)
        if self.num_trials < 2:
            raise InputError(f"--num_trials {self.num_trials}: a population has two members at least; give more")
        if not any(varies(self.space[name]) for name in changeable):
            raise InputError(
                f"--type pbt changes {' and '.join(changeable)} in flight: give several values of one, or a range"
            )
        if max(self.perturb_every, self.burn_in) >= self.num_epochs:
            raise InputError(
                f"--perturb_every {self.perturb_every}, --burn_in {self.burn_in}: the members would not be compared"
                f" before they end, after --num_epochs {self.num_epochs}; give more epochs"
            )
