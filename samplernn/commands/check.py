"""train.py --check: looks at the machine, then at the training that the other flags describe."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from samplernn.commands import check_machine as machine
from samplernn.commands import check_training as training
from samplernn.commands.check_lines import Lines, guarded
from samplernn.models.memory import checkpoint_size, expected_memory
from samplernn.models.registry import default_config
from samplernn.options.train import CheckOptions
from samplernn.system.words import counted


def report(options: CheckOptions) -> int:
    """Print a line for each thing that training needs, and last what they come to.

    Returns:
        The exit status: 0, or 1 where there are problems.
    """
    problems = 0
    for line in check(options):
        print(line, flush=True)
        problems += line.mark == "problem"
    print(f"{counted(problems, 'problem')}; see above." if problems else "Everything needed is there.", flush=True)
    return 1 if problems else 0


def check(options: CheckOptions) -> Lines:
    """Each thing that training needs; no check's failure keeps the others from being made."""
    yield from guarded("Python", machine.check_python)
    yield from guarded("requirements.txt", machine.check_libraries)
    yield from guarded("TensorFlow", partial(machine.check_tensorflow, options))
    yield from guarded("soundfile", machine.check_audio_formats)
    yield from guarded("av", machine.check_ffmpeg)
    yield from guarded("librosa and matplotlib", machine.check_pictures)
    yield from guarded("the devices", partial(training.check_devices, options))
    memory = checkpoint = 0  # bytes, where they are known
    origin = yield from guarded("the checkpoint", partial(training.check_origin, options))
    resumed, initial = origin or (None, None)
    chain = yield from guarded("--codes_from", partial(training.check_chain, options, resumed))
    config = None
    # Of a checkpoint that cannot be used it would have been the config.
    if (origin or options.config_file) and chain is not None:
        config = yield from guarded("the config", partial(training.choose_config, options, resumed or initial, chain))
    if config and (begins_from := resumed or initial):
        yield from guarded("the checkpoint", partial(training.check_weights, begins_from, config))
    if config:
        averaged = options.polyak_decay is not None
        memory = expected_memory(config, options.batch_size, options.optimizer, averaged)
        checkpoint = checkpoint_size(config, options.optimizer, averaged)
    corpus, known = None, config or machine.named_config(options)
    of_files = default_config() if known.data == "codes" else known  # which are made of audio
    if options.data_dir:
        corpus = yield from guarded("--data_dir", partial(training.check_recordings, options, of_files))
    if corpus:  # of which network, and what was held out before, may not be known
        network = config or machine.tiny_config(options)
        yield from guarded("--data_dir", partial(training.check_split, options, network, chain or (), corpus, resumed))
    if config:
        yield from guarded("the receptive field", partial(training.check_receptive_field, config, chain, corpus))
    if options.generate:
        yield from guarded("the clips", partial(training.check_clips, options, config, chain or (), corpus, of_files))
    yield from guarded("memory", partial(machine.check_memory, memory))
    for flag in ("logdir_root", "output_dir"):
        folder = Path(getattr(options, flag), options.id)
        yield from guarded(f"--{flag}", partial(training.check_folder, f"--{flag}", folder, checkpoint))
