"""What a training begins with, is about, and generates: all of it is found, or refused, before the first step."""

from __future__ import annotations

from samplernn.corpus.scan import Corpus, scan_corpus
from samplernn.corpus.seed import Context, seed_context
from samplernn.corpus.split import Split, split_corpus
from samplernn.generation.generator import choose_sample_rate, count_samples
from samplernn.models.samplernn.config import ModelConfig
from samplernn.options.options import TrainingOptions
from samplernn.training.resuming import Initial, Resumed, choose_config, find_checkpoint, find_initial


def find_beginning(options: TrainingOptions) -> tuple[Resumed | None, Initial | None, ModelConfig]:
    """The checkpoint to go on from, or the one whose weights to begin with, if there is one; and the network.

    Raises:
        InputError: a checkpoint or the config can't be used.
    """
    resumed, initial = find_origin(options)
    return resumed, initial, choose_config(options, resumed or initial)


def find_origin(options: TrainingOptions) -> tuple[Resumed | None, Initial | None]:
    """The checkpoint to go on from, or the one whose weights to begin with, if there is one.

    Raises:
        InputError: it can't be used.
    """
    resumed = find_checkpoint(options)
    return resumed, find_initial(options, resumed)


def find_recordings(options: TrainingOptions, config: ModelConfig, resumed: Resumed | None) -> tuple[Corpus, Split]:
    """What is to be trained on and what is held out.

    Raises:
        InputError: recordings can't be used, or they are too few.
    """
    corpus = scan_corpus(options.data_dir, options.skip_unusable, options.strict)
    return corpus, find_split(options, config, corpus, resumed)


def find_split(options: TrainingOptions, config: ModelConfig, corpus: Corpus, resumed: Resumed | None) -> Split:
    """What of a corpus is to be trained on and what is held out."""
    earlier = resumed and resumed.split
    return split_corpus(corpus.recordings, config.seq_len, options.batch_size, options.val_frac, earlier)


def prepare_clips(options: TrainingOptions, config: ModelConfig, corpus_rate: int) -> tuple[int, Context]:
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


def clip_context(options: TrainingOptions, config: ModelConfig, corpus_rate: int) -> Context:
    """What the audio that is generated in training begins from."""
    return seed_context(config, corpus_rate, options.seed, options.seed_offset)
