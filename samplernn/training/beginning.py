"""What a training begins with, is about, and generates: all of it is found, or refused, before the first step."""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from samplernn.checkpoints import run_folders
from samplernn.checkpoints.settings import model_config, read_settings
from samplernn.corpus.corpus import Corpus, accepted
from samplernn.corpus.data import data_of
from samplernn.corpus.overlaps import remark_on_overlaps
from samplernn.corpus.places import find_places
from samplernn.corpus.seed import find_stretch
from samplernn.corpus.split import Split, split_corpus
from samplernn.generation.chain import Chain, chain_below, chain_from, configs_of
from samplernn.generation.coded_corpus import as_codes, make_codes
from samplernn.generation.output import output_of
from samplernn.generation.plan import choose_sample_rate
from samplernn.models.config import Config, hop_of
from samplernn.options.train import TrainingOptions
from samplernn.system.errors import InputError
from samplernn.system.stopping import print_unless_reader_is_gone
from samplernn.system.words import counted
from samplernn.training.resuming import (
    Initial,
    Resumed,
    announce_choice,
    choose_config,
    find_checkpoint,
    find_initial,
)

log = logging.getLogger(__name__)

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
        chain: the autoencoders whose codes it learns, from the top down; none where it learns audio.
        corpus: all recordings that can be used.
        split: what of them, or of their codes, is trained on, and what is held out.
    """

    resumed: Resumed | None
    initial: Initial | None
    config: Config
    chain: Chain
    corpus: Corpus
    split: Split

    @property
    def audio(self) -> Split:
        """The recordings of audio that are trained on and held out."""
        return audio_of(self.split, self.corpus)

    def make_codes(self, options: TrainingOptions) -> None:
        """Make those codes that it learns and that are not there yet.

        Raises:
            InputError, RunError: as `coded_corpus.make_codes`.
            KeyboardInterrupt: after saying how to go on.
        """
        recordings = self.audio.training + self.audio.validation
        try:
            make_codes(recordings, self.chain, Path(options.logdir_root), options.jit_compile)
        except KeyboardInterrupt:
            print_unless_reader_is_gone("\nWhat is encoded is kept; the same command goes on with the rest.")
            raise

    @property
    def hop(self) -> int:
        """How many samples an item that it learns stands for."""
        return hop_of(configs_of(self.chain))

    @property
    def configs(self) -> list[Config]:
        """Those of the network and of the autoencoders below it, from the top down."""
        return [self.config, *configs_of(self.chain)]

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
            "the autoencoders below": [decoder.sha256 for decoder in self.chain],
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
    return beginning_with(config, options, resumed, initial)


def beginning_with(
    config: Config, options: TrainingOptions, resumed: Resumed | None = None, initial: Initial | None = None
) -> Beginning:
    """What a training with a config is about, that goes on from a checkpoint or begins with the weights of one.

    Raises:
        InputError: the config or recordings can't be used, or recordings are too few.
    """
    chain = find_chain(options, resumed)
    config = of_codes(config, chain, options)
    data = data_of(config)
    corpus = accepted(data.examine(options.data_dir), options.skip_unusable, options.strict)
    config = data.completed(config, corpus)
    check_rate(chain, corpus)
    return Beginning(resumed, initial, config, chain, corpus, find_split(options, config, chain, corpus, resumed))


def find_chain(options: TrainingOptions, resumed: Resumed | None) -> Chain:
    """The autoencoders whose codes are to be learnt, from the top down; none for audio.

    Raises:
        InputError: one can't be used, or is another than that of the run that goes on.
    """
    known = resumed.settings.get("chain", []) if resumed else []
    if not known:
        return chain_from(options.codes_from) if options.codes_from else ()
    if options.codes_from is None or not is_there(options.codes_from):
        config = model_config(resumed.checkpoint, None)
        chain = chain_below(resumed.checkpoint, config, remedy="name by --codes_from where it lies")
        if options.codes_from:
            log.warning("--codes_from %s: nothing is there; going on with %s.", options.codes_from, chain[0].checkpoint)
        return chain
    chain = chain_from(options.codes_from)
    if [decoder.sha256 for decoder in chain] != [fact["sha256"] for fact in known]:
        raise InputError(
            f"--codes_from {options.codes_from}: {chain[0].checkpoint} is not what the run to be resumed,"
            f" {resumed.checkpoint.parent}, has learnt the codes of; leave the flag out to go on with the copy that is"
            " there, or give --resume False to start from scratch"
        )
    return chain


def is_there(checkpoint: str) -> bool:
    """Whether there is a checkpoint, or a folder with one, as a user names it."""
    try:
        return bool(run_folders.resolve(checkpoint))
    except InputError:
        return False


def check_rate(chain: Chain, corpus: Corpus) -> None:
    """Refuse a corpus of another rate than that which the autoencoders have learnt."""
    learnt = chain[0].sample_rate if chain else None
    if learnt and learnt != corpus.sample_rate:
        raise InputError(
            f"--data_dir: the files are at {corpus.sample_rate} Hz, and the autoencoders of --codes_from have learnt"
            f" audio at {learnt} Hz; chunk_audio.py --sample_rate {learnt} makes such chunks"
        )


def audio_of(split: Split, corpus: Corpus) -> Split:
    """The recordings of audio of a split, which may be one of codes of them."""
    by_name = {recording.name: recording for recording in corpus.recordings}
    parts = ([by_name[recording.name] for recording in part] for part in (split.training, split.validation))
    return Split(*parts)


def of_codes(config: Config, chain: Chain, options: TrainingOptions) -> Config:
    """A config for the codes of a chain, of which it has as many levels; of audio it is as it was.

    Raises:
        InputError: it is for the other kind.
    """
    which = f"--config_file {options.config_file}" if options.config_file else "the config"
    if not chain:
        if config.data == "codes":
            raise InputError(f"{which} is for codes; name the autoencoder that makes them by --codes_from")
        return config
    if config.data != "codes":
        raise InputError(
            f'{which} is for {config.data}, and --codes_from makes codes; give one with "q_type": "codes", as'
            " docs/families.md says"
        )
    return config.over_codes(chain[0].config.codes.levels)


def find_origin(options: TrainingOptions) -> tuple[Resumed | None, Initial | None]:
    """The checkpoint to go on from, or the one whose weights to begin with, if there is one.

    Raises:
        InputError: it can't be used.
    """
    resumed = find_checkpoint(options)
    return resumed, find_initial(options, resumed)


def find_split(
    options: TrainingOptions, config: Config, chain: Chain, corpus: Corpus, resumed: Resumed | None
) -> Split:
    """What of a corpus, or of its codes, is to be trained on and what is held out.

    What the autoencoders' run held out stays held out, if any of it is there.
    """
    earlier = resumed and resumed.split
    if chain and not earlier:
        below = (read_settings(chain[0].checkpoint) or {}).get("split")
        there = {recording.name for recording in corpus.recordings}
        earlier = below if below and there.intersection(below["validation"]) else None
    recordings = as_codes(corpus.recordings, chain, Path(options.logdir_root))
    least = (1, 1) if config.every_item_counts else (config.window.length, options.batch_size)
    places, by_ear = find_places(corpus.recordings) if options.hold_out == "time" else ({}, 0)
    if by_ear:
        log.warning(
            "--hold_out time: of %s it is not noted how chunks were cut; their overlaps are known by listening alone.",
            counted(by_ear, "recording"),
        )
    return split_corpus(recordings, *least, options.val_frac, earlier, options.hold_out, places)


def remark_on_split(split: Split, resumed: Resumed | None) -> None:
    """Log a line where the validation loss flatters, which a resumed run cannot change.

    Raises:
        RunError: a file has changed since it was examined.
    """
    remark_on_overlaps(split, begun=bool(resumed and resumed.split))


def clip_rate(options: TrainingOptions, bottom: Config, corpus_rate: int | None) -> int:
    """The sample rate of the audio that is generated in training, in Hz; refused where that would be too long.

    Args:
        options: the flags.
        bottom: the config of what generates what is written.
        corpus_rate: Hz, if it is one of audio.
    """
    rate = choose_sample_rate(options.sample_rate, corpus_rate, "the corpus is at")
    output_of(bottom).count(options.output_file_dur, rate, "--output_file_dur")
    return rate


def check_seed(options: TrainingOptions, config: Config, chain: Chain, corpus_rate: int | None) -> None:
    """What generated audio is to begin from, as far as it can be looked at without networks; InputError if it can't."""
    if options.seed and config.codes:
        raise InputError("--seed: what an autoencoder plays in training are reconstructions; leave the flag out")
    if options.seed:
        find_stretch([config, *configs_of(chain)], corpus_rate, options.seed, options.seed_offset)
