"""What a training begins with and is about: all of it that can be refused before a network is built."""

from __future__ import annotations

from typing import NamedTuple

from samplernn.config import ModelConfig, TrainingOptions
from samplernn.corpus import Corpus, scan_corpus
from samplernn.dataset import Split, split_corpus
from samplernn.resuming import Initial, Resumed, choose_config, find_checkpoint, find_initial


class Plan(NamedTuple):
    """The checkpoint to go on from or whose weights to begin with, if any, the network, the recordings, their split."""

    resumed: Resumed | None
    initial: Initial | None
    config: ModelConfig
    corpus: Corpus
    split: Split


def make_plan(options: TrainingOptions) -> Plan:
    """What the flags come to, with the checkpoints and recordings that are there.

    Raises:
        InputError: a flag, a checkpoint or a recording can't be used.
    """
    resumed = find_checkpoint(options)
    initial = find_initial(options, resumed)
    config = choose_config(options, resumed or initial)
    corpus = scan_corpus(options.data_dir, options.skip_unusable, options.strict)
    earlier = resumed and resumed.split
    split = split_corpus(corpus.recordings, config.seq_len, options.batch_size, options.val_frac, earlier)
    return Plan(resumed, initial, config, corpus, split)
