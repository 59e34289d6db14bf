"""What a training begins with, is about, and generates: all of it is found, or refused, before the first step."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from samplernn.corpus.data import data_of
from samplernn.corpus.overlaps import remark_on_overlaps
from samplernn.corpus.scan import Corpus
from samplernn.corpus.seed import Context, seed_context
from samplernn.corpus.split import Split, split_corpus
from samplernn.generation.generate import choose_sample_rate, count_samples
from samplernn.models.config import Config
from samplernn.options.options import TrainingOptions
from samplernn.system.errors import InputError
from samplernn.training.resuming import (
    Initial,
    Resumed,
    announce_choice,
    choose_config,
    find_checkpoint,
    find_initial,
)

# Options that may differ between the workers of a training.
OF_ONE_WORKER = (
    "data_dir", "logdir_root", "output_dir", "config_file", "resume_from", "init_from", "seed", "verbose",
    "jit_compile",
)  # fmt: skip


@dataclass(frozen=True)
class Beginning:
    """What a training is about.

    Attributes:
        resumed: the checkpoint that it goes on from, if it does.
        initial: the checkpoint with whose weights it begins, if there is one.
        config: of the network.
        corpus: all recordings that can be used.
        split: what of them is trained on, and what is held out.
    """

    resumed: Resumed | None
    initial: Initial | None
    config: Config
    corpus: Corpus
    split: Split

    @property
    def origin(self) -> Resumed | Initial | None:
        """The checkpoint that it begins from."""
        return self.resumed or self.initial

    @property
    def baseline(self) -> float:
        """The loss, in nats an item, of a model that knows how often items occur in what is trained on, no more."""
        return data_of(self.config).baseline(self.split.training)

    def facts(self, options: TrainingOptions) -> dict[str, Any]:
        """What has to be the same for all workers, by what the user calls it.

        Where their folders are, and what only the chief does, may differ.
        """
        origin, files = self.origin, self.split.training + self.split.validation
        flags = {f"--{name}": value for name, value in asdict(options).items() if name not in OF_ONE_WORKER}
        return flags | {
            "the config": self.config,
            "the files in --data_dir": [(file.name, file.frames) for file in files],
            "the weights of --data_dir": self.split.mix,
            "the checkpoint to begin from": origin and (origin.checkpoint.name, origin.settings),
        }


def find_beginning(options: TrainingOptions, tell: bool) -> Beginning:
    """Find what a training is about, and, if told to, print which checkpoint it goes on from.

    Raises:
        InputError: a checkpoint, the config or recordings can't be used, or recordings are too few.
    """
    resumed, initial = find_origin(options)
    config = choose_config(options, resumed or initial)
    if resumed and tell:
        announce_choice(resumed)
    corpus = data_of(config).scan(options.data_dir, options.skip_unusable, options.strict)
    return Beginning(resumed, initial, config, corpus, find_split(options, config, corpus, resumed))


def find_origin(options: TrainingOptions) -> tuple[Resumed | None, Initial | None]:
    """The checkpoint to go on from, or the one whose weights to begin with, if there is one.

    Raises:
        InputError: it can't be used.
    """
    resumed = find_checkpoint(options)
    return resumed, find_initial(options, resumed)


def find_split(options: TrainingOptions, config: Config, corpus: Corpus, resumed: Resumed | None) -> Split:
    """What of a corpus is to be trained on and what is held out."""
    earlier = resumed and resumed.split
    length = config.window.length
    return split_corpus(corpus.recordings, length, options.batch_size, options.val_frac, earlier, options.hold_out)


def remark_on_split(split: Split, resumed: Resumed | None) -> None:
    """Log a line where the validation loss flatters, which a resumed run cannot change.

    Raises:
        RunError: a file has changed since it was examined.
    """
    remark_on_overlaps(split, begun=bool(resumed and resumed.split))


def prepare_clips(options: TrainingOptions, config: Config, corpus_rate: int) -> tuple[int, Context]:
    """The sample rate of the audio that is generated in training, in Hz, and what it begins from.

    Raises:
        InputError: the seed can't be used, or the audio would be too long for a file.
    """
    return clip_rate(options, corpus_rate), clip_context(options, config, corpus_rate)


def clip_rate(options: TrainingOptions, corpus_rate: int) -> int:
    """The sample rate of the audio that is generated in training, in Hz; refused where that would be too long."""
    rate = choose_sample_rate(options.sample_rate, corpus_rate, "the corpus is at")
    count_samples(options.output_file_dur, rate, "--output_file_dur")
    return rate


def clip_context(options: TrainingOptions, config: Config, corpus_rate: int) -> Context:
    """What the audio that is generated in training begins from."""
    if options.seed and config.codes:
        raise InputError("--seed: what an autoencoder plays in training are reconstructions; leave the flag out")
    return seed_context(config, corpus_rate, options.seed, options.seed_offset)
