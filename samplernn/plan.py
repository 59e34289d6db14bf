"""What a training begins with, is about, and generates: all of it is found, or refused, before the first step."""

from __future__ import annotations

from samplernn.config import ModelConfig, TrainingOptions
from samplernn.corpus import Corpus, scan_corpus
from samplernn.dataset import Split, split_corpus
from samplernn.generation import choose_sample_rate, count_samples
from samplernn.resuming import Initial, Resumed, choose_config, find_checkpoint, find_initial
from samplernn.seed import Context, seed_context


def find_beginning(options: TrainingOptions) -> tuple[Resumed | None, Initial | None, ModelConfig]:
    """The checkpoint to go on from, or the one whose weights to begin with, if there is one; and the network.

    Raises:
        InputError: a checkpoint or the config can't be used.
    """
    resumed = find_checkpoint(options)
    initial = find_initial(options, resumed)
    return resumed, initial, choose_config(options, resumed or initial)


def find_recordings(options: TrainingOptions, config: ModelConfig, resumed: Resumed | None) -> tuple[Corpus, Split]:
    """What is to be trained on and what is held out.

    Raises:
        InputError: recordings can't be used, or they are too few.
    """
    corpus = scan_corpus(options.data_dir, options.skip_unusable, options.strict)
    earlier = resumed and resumed.split
    return corpus, split_corpus(corpus.recordings, config.seq_len, options.batch_size, options.val_frac, earlier)


def prepare_clips(options: TrainingOptions, config: ModelConfig, corpus_rate: int) -> tuple[int, Context]:
    """The sample rate of the audio that is generated in training, in Hz, and what it begins from.

    Raises:
        InputError: the seed can't be used, or the audio would be too long for a file.
    """
    rate = choose_sample_rate(options.sample_rate, corpus_rate, "the corpus is at")
    count_samples(options.output_file_dur, rate, "--output_file_dur")
    return rate, seed_context(config, corpus_rate, options.seed, options.seed_offset)
