"""Whether a training could begin as its flags say, with their corpus, checkpoint, network and folders."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Generator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from samplernn.commands.check_lines import GB, Line, Lines, guarded, note, ok, problem
from samplernn.options.train import CheckOptions
from samplernn.system.words import counted

if TYPE_CHECKING:
    from samplernn.corpus.corpus import Corpus
    from samplernn.generation.chain import Chain
    from samplernn.models.config import Config
    from samplernn.training.resuming import Initial, Resumed


def check_devices(options: CheckOptions) -> Lines:
    """Whether TF_CONFIG and the flags fit each other and the GPUs; nothing is said where they do."""
    from samplernn.system.distribution import check_batch_size, choose_gpus, this_worker

    worker = yield from guarded("TF_CONFIG", this_worker)
    gpus = yield from guarded("--num_gpus", partial(choose_gpus, options.num_gpus))
    if worker is not None and gpus is not None:
        check_batch_size(options.batch_size, worker.number * max(1, len(gpus)))


def check_origin(options: CheckOptions) -> Generator[Line, None, tuple[Resumed | None, Initial | None]]:
    """Whether the checkpoint to begin from, if there is one, can be used; returns what `find_origin` does."""
    from samplernn.checkpoints.store import check_whole
    from samplernn.training import resuming
    from samplernn.training.beginning import find_origin

    for sentence in resuming.that_others_run(options):
        yield note(sentence)
    resumed, initial = find_origin(options)
    if origin := resumed or initial:
        check_whole(origin.checkpoint)
        yield ok(f"to go on from: {resumed.checkpoint}" if resumed else f"to begin with: {initial.checkpoint}")
    if resumed and resumed.further:
        yield note(resumed.that_another_is_further)
    return resumed, initial


def choose_config(options: CheckOptions, origin: Resumed | Initial | None, chain: Chain) -> Config:
    """The network that would be trained."""
    from samplernn.training import beginning, resuming

    return beginning.of_codes(resuming.choose_config(options, origin), chain, options)


def check_weights(origin: Resumed | Initial, config: Config) -> None:
    """Whether a checkpoint's weights are those of the network; InputError where they are not."""
    from samplernn.checkpoints import settings

    settings.check_weights(origin.checkpoint, config)


def check_recordings(options: CheckOptions, config: Config) -> Generator[Line, None, Corpus | None]:
    """Whether the recordings can be used; returns those that can."""
    from samplernn.corpus.data import data_of

    examination = data_of(config).examine(options.data_dir)
    complaints = examination.complaints(options.skip_unusable, options.strict)
    for complaint in complaints:
        yield problem(complaint)
    corpus = examination.corpus() if examination.usable else None
    if corpus and not complaints:
        corpus.remark()
    return corpus


def check_chain(options: CheckOptions, resumed: Resumed | None) -> Generator[Line, None, Chain]:
    """Whether the autoencoders can be used whose codes would be learnt; returns them."""
    from samplernn.training.beginning import find_chain

    chain = find_chain(options, resumed)
    for decoder in chain:
        yield ok(f"--codes_from: codes of {decoder.checkpoint}")
    return chain


def check_split(options: CheckOptions, config: Config, chain: Chain, corpus: Corpus, resumed: Resumed | None) -> Lines:
    """Whether the recordings suffice; that the validation flatters is no problem, but a remark."""
    from samplernn.training.beginning import audio_of, check_rate, find_split, remark_on_split

    check_rate(chain, corpus)
    split = find_split(options, config, chain, corpus, resumed)
    remark_on_split(audio_of(split, corpus), resumed)
    files = f"{counted(len(split.training), 'file')} to train on, {len(split.validation)} to validate with"
    at_rate = f", at {corpus.sample_rate} Hz" if corpus.sample_rate else ""
    yield ok(f"--data_dir {' '.join(options.data_dir)}: {files}{at_rate}")


def check_receptive_field(config: Config, chain: Chain, corpus: Corpus | None) -> Lines:
    """How far back the network looks, where that has a bound."""
    from samplernn.generation.chain import configs_of
    from samplernn.models.config import hop_of
    from samplernn.training.overview import receptive_field

    if told := receptive_field(config, corpus, hop_of(configs_of(chain))):
        yield ok(f"receptive field: {told}")


def check_clips(
    options: CheckOptions, config: Config | None, chain: Chain, corpus: Corpus | None, of_files: Config
) -> Lines:
    """Whether clips can be made as the flags say, as far as it is known for which network and corpus.

    `of_files` is a config of what the files of the corpus are, of which a seed is, too.
    """
    from samplernn.corpus.data import data_of
    from samplernn.generation.chain import configs_of
    from samplernn.training.beginning import check_seed, clip_rate

    if corpus and config:
        bottom = [config, *configs_of(chain)][-1]
        yield from guarded("--sample_rate", partial(clip_rate, options, bottom, corpus.sample_rate))
        yield from guarded("--seed", partial(check_seed, options, config, chain, corpus.sample_rate))
    elif options.seed:
        yield from guarded("--seed", partial(data_of(of_files).open_seed, options.seed))


def check_folder(flag: str, folder: Path, checkpoint: int) -> Lines:
    """Whether files can be written there, or to where it would be created, and a checkpoint of so many bytes."""
    absolute = folder.absolute()
    try:
        there = next(path for path in (absolute, *absolute.parents) if path.exists())
        tempfile.TemporaryFile(dir=there).close()
        free = shutil.disk_usage(there).free
    except OSError as error:
        yield problem(f"{flag} {folder} can't be written ({error.strerror}); choose another folder")
        return
    told = f"{flag} {folder}: {free / GB:.1f} GB free"
    if free < checkpoint:
        remedy = "make room, or choose another folder"
        yield problem(f"{told}, and a checkpoint of this network takes {checkpoint / GB:.2f} GB; {remedy}")
    else:
        yield ok(f"{told}, and files can be written")
