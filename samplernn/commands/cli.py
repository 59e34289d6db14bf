"""The command line: the parsers of the scripts, the types of their flags, how a script runs and ends.

TensorFlow is imported by none of it, so that `--help` and a wrong flag are answered at once.
"""

from __future__ import annotations

import argparse
import errno
import itertools
import logging
import math
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import MISSING, fields

from samplernn.models.samplernn.config import Q_TYPES, RNN_TYPES
from samplernn.options.options import (
    DEFAULT_CONFIG_FILE,
    DEFAULT_SAMPLE_RATE,
    MONITORS,
    OPTIMIZERS,
    PRECISIONS,
    CheckOptions,
    ChunkOptions,
    GenerationOptions,
    TrainingOptions,
    as_text,
    is_sample_rate,
)
from samplernn.options.temperature import LIMITS, envelope, is_temperature
from samplernn.search.options import KERAS_TUNER_TYPES, RAY_TUNE_TYPES, KerasTunerOptions, RayTuneOptions
from samplernn.system.errors import InputError, RunError, in_words
from samplernn.system.stopping import print_unless_reader_is_gone
from samplernn.system.words import did_you_mean, is_address, printable, shortened

INSTALL = "pip install -r requirements.txt, or -r requirements-tuning.txt for keras_tuner.py and ray_tune.py"
CHECK = "--check"
TEMPERATURE = "sampling temperature, or its envelope over time, such as 0.75@0,1.1@5"


class Terminated(KeyboardInterrupt):
    """SIGTERM, which ends a script as Ctrl-C does, but for the exit status."""


def run(main: Callable[[], None]) -> None:
    """Run a script and exit: 0; 1 where the machine or the numbers refuse; 2 for bad input; 130 after Ctrl-C, 143
    after SIGTERM."""
    signal.signal(signal.SIGTERM, _terminate)
    # Remarks go to stdout: on stderr stands nothing but the line that says why a script failed.
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # a file's name must not end a run
    logging.basicConfig(format="%(message)s", level=logging.WARNING, stream=sys.stdout)
    try:
        main()
    except (InputError, RunError) as error:
        sys.exit(_fail(str(error), error.exit_status))
    except ModuleNotFoundError as error:
        if error.name.startswith("samplernn"):
            raise
        sys.exit(_fail(f"{error.name} is not installed: {INSTALL}", InputError.exit_status))
    except OSError as error:
        sys.exit(_fail(in_words(error), RunError.exit_status))
    except KeyboardInterrupt as interrupt:
        print_unless_reader_is_gone("Stopped.")
        sys.exit(143 if isinstance(interrupt, Terminated) else 130)


def _terminate(*_) -> None:
    raise Terminated


def _fail(message: str, exit_status: int) -> int:
    print(f"Error: {printable(' '.join(message.split()))}", file=sys.stderr, flush=True)
    return exit_status


def training_options() -> TrainingOptions | CheckOptions:
    """Parse the flags of train.py; CheckOptions where --check is among them."""
    options_class = CheckOptions if CHECK in sys.argv[1:] else TrainingOptions
    parser = _Parser("Train SampleRNN on a folder of WAV files.", options_class)
    parser.add_argument(CHECK, action="store_true", help="do not train, but look whether all that it needs is there")
    _add_data_dir(parser)
    parser.add("skip_unusable", boolean, "leave out files that cannot be used; if False, they are an error")
    parser.add("strict", boolean, "make silent, clipped, unequally long and duplicate files an error too")
    parser.add("id", _folder_name, "id of the training session, a folder below logdir_root and output_dir")
    parser.add("verbose", boolean, "print each step on a new line; if False, over the one before")
    parser.add("logdir_root", path, "folder for checkpoints and logs")
    parser.add("output_dir", path, "folder for the audio generated during training")
    parser.add("config_file", optional(path), "JSON file with the parameters of the model", shown=DEFAULT_CONFIG_FILE)
    parser.add("num_epochs", positive_int, "number of epochs, those done before a resume included")
    parser.add("batch_size", positive_int, "size of a mini-batch")
    parser.add("optimizer", str, "optimizer", choices=OPTIMIZERS)
    parser.add("learning_rate", positive_float, "learning rate")
    parser.add("reduce_learning_rate_after", optional(positive_int), "decay the rate exponentially after these epochs")
    parser.add("momentum", fraction, "momentum of sgd and rmsprop")
    parser.add("monitor", str, "what early stopping and the policy Best watch", choices=MONITORS)
    parser.add("checkpoint_every", positive_int, "epochs between two checkpoints")
    parser.add("checkpoint_every_minutes", optional(positive_float), "minutes between two checkpoints to resume from")
    parser.add("checkpoint_policy", checkpoint_policy, "Always (or All), or Best: only if the monitored value improved")
    parser.add("max_checkpoints", optional(positive_int), "checkpoints to keep; None keeps all")
    parser.add("resume", boolean, "go on from resume_from, or from the latest checkpoint of this id")
    parser.add("resume_from", optional(path), "checkpoint to resume from; ignored when resume is False")
    parser.add("init_from", optional(path), "checkpoint whose weights a new training begins with")
    parser.add(
        "early_stopping_patience", optional(positive_int), "epochs without improvement to stop after; None: go on"
    )
    parser.add("generate", boolean, "generate audio after each checkpoint")
    parser.add("max_generate_per_epoch", positive_int, "number of audio files to generate each time")
    parser.add("sample_rate", sample_rate, "sample rate of the generated audio, Hz", shown="the corpus's own")
    parser.add("output_file_dur", seconds, "duration of the generated audio, seconds")
    parser.add("temperature", temperature, f"{TEMPERATURE}, one for all files or one for each", nargs="+")
    _add_seed(parser)
    parser.add("val_frac", fraction, "fraction of the files held out for validation, rounded to whole batches")
    parser.add("random_seed", non_negative_int, "seed of the initial weights and of the order of the files")
    parser.add("num_gpus", automatic(positive_int), "GPUs of this machine to use; auto: all", shown="auto")
    _add_computation(parser)
    parser.add_argument("--num_val_batches", type=non_negative_int, help="deprecated, without effect: see val_frac")
    arguments = vars(parser.parse_args())
    arguments.pop("check", None)
    if "num_val_batches" in arguments:
        del arguments["num_val_batches"]
        print("--num_val_batches is deprecated and has no effect; use --val_frac.")
    return parser.options(arguments)


def generation_options() -> GenerationOptions:
    """Parse the flags of generate.py."""
    parser = _Parser("Generate audio from a trained model.", GenerationOptions)
    parser.add("output_path", path, "path of the WAV file; epoch and temperature are added to its name")
    parser.add("checkpoint_path", path, "checkpoint, such as logdir/default/26.07.2020_20.48.51/model.ckpt-100")
    shown = "the one beside the checkpoint"
    parser.add("config_file", optional(path), "JSON file with the parameters of the model", shown=shown)
    parser.add("dur", seconds, "duration, seconds")
    parser.add("num_seqs", positive_int, "number of sequences")
    parser.add("max_batch", automatic(positive_int), "number of sequences generated at the same time", shown="auto")
    rate = f"the checkpoint's, else {DEFAULT_SAMPLE_RATE}"
    parser.add("sample_rate", sample_rate, "sample rate, Hz", shown=rate)
    parser.add("temperature", temperature, f"{TEMPERATURE}, one for all sequences or one for each", nargs="+")
    parser.add("top_k", optional(positive_int), "draw among so many of the likeliest levels")
    help_ = "draw among as few of the likeliest levels as have this probability together"
    parser.add("top_p", optional(probability), help_)
    _add_seed(parser)
    shown = "one frame of the upper tier"
    parser.add("seed_dur", optional(seconds), "how much of the seed audio the network reads, seconds", shown=shown)
    parser.add("include_seed", boolean, "begin the files with what was read of the seed audio", nargs="?", const=True)
    random_seed = "seed of the random numbers; the same one repeats the audio"
    parser.add("random_seed", optional(non_negative_int), random_seed, shown="a new one each time")
    _add_computation(parser)
    return parser.options(vars(parser.parse_args()))


def chunk_options() -> ChunkOptions:
    """Parse the flags of chunk_audio.py."""
    parser = _Parser("Cut recordings into chunks to train on.", ChunkOptions)
    recordings = "the recordings, or folders of them: WAV, FLAC, OGG, MP3 and others"
    parser.add("input_file", path, recordings, nargs="+", action="extend")
    parser.add("output_dir", path, "folder for the chunks")
    parser.add("chunk_length", positive_int, "length of a chunk, milliseconds")
    parser.add("overlap", non_negative_int, "overlap of consecutive chunks, milliseconds")
    parser.add("sample_rate", sample_rate, "sample rate of the chunks, Hz", shown="the recording's own")
    parser.add("mono", boolean, "mix the channels down to one", nargs="?", const=True)
    silence = "what is at it or below is silent, dB of full scale; None keeps silent chunks"
    parser.add("silence_thresh", optional(decibels), silence)
    parser.add("keep_tail", boolean, "keep a last piece shorter than a chunk, too", nargs="?", const=True)
    unusable = "leave out recordings that cannot be used; if False, they are an error"
    parser.add("skip_unusable", boolean, unusable, nargs="?", const=True)
    parser.add("replace", boolean, "take away the old chunks of these recordings first", nargs="?", const=True)
    return parser.options(vars(parser.parse_args()))


def keras_tuner_options() -> KerasTunerOptions:
    """Parse the flags of keras_tuner.py."""
    parser = _Parser("Search for good hyperparameters with Keras Tuner.", KerasTunerOptions)
    _add_search(parser, KERAS_TUNER_TYPES)
    parser.add("max_trials", positive_int, "number of trials, at most")
    return parser.options(vars(parser.parse_args()))


def ray_tune_options() -> RayTuneOptions:
    """Parse the flags of ray_tune.py."""
    parser = _Parser("Search for good hyperparameters with Ray Tune, side by side.", RayTuneOptions)
    _add_search(parser, RAY_TUNE_TYPES)
    parser.add("num_trials", positive_int, "number of trials, or of the population of pbt")
    parser.add("num_cpus", automatic(positive_int), "CPU cores for all trials together", shown="all there are")
    parser.add("num_gpus", automatic(non_negative_int), "GPUs for all trials together", shown="all there are")
    parser.add("cpus_per_trial", positive_int, "CPU cores of a trial")
    parser.add(
        "gpus_per_trial", automatic(gpus), "GPUs of a trial, or the part of one", shown="1 where there are GPUs, else 0"
    )
    parser.add("address", optional(cluster_address), "head of the Ray cluster to run on, such as 10.0.0.1:6379")
    parser.add("resume", boolean, "go on with the search of this id that was interrupted", nargs="?", const=True)
    return parser.options(vars(parser.parse_args()))


class _Parser(argparse.ArgumentParser):
    """A parser whose flags are the fields of an options class, whose defaults they have."""

    def __init__(self, description: str, options_class: type):
        super().__init__(description=description, argument_default=argparse.SUPPRESS)
        self._options_class = options_class
        self._option_defaults = {field.name: field.default for field in fields(options_class)}

    def add(self, name: str, type_: Callable, help_: str, shown: str | None = None, group=None, **kwargs) -> None:
        default = self._option_defaults[name]
        required = default is MISSING
        if not required:
            values = default if isinstance(default, tuple) else (default,)
            help_ += f" (default: {shown or ' '.join(map(as_text, values))})"
        (group or self).add_argument(f"--{name}", type=type_, help=help_, required=required, **kwargs)

    def parse_args(self, args=None, namespace=None):
        given = sys.argv[1:] if args is None else list(args)
        self._refuse_unknown_flags(given)
        return super().parse_args(given, namespace)

    def _refuse_unknown_flags(self, given: list[str]) -> None:
        """Name all of them, with what was meant, before argparse misses a required flag that was misspelt."""
        known = [option for option in self._option_string_actions if option.startswith("--")]
        given = itertools.takewhile(lambda text: text != "--", given)
        flags = [text.partition("=")[0] for text in given if text.startswith("--") and " " not in text]
        unknown = [flag for flag in flags if not any(option.startswith(flag) for option in known)]
        if unknown:
            hints = [did_you_mean(flag[2:], [option[2:] for option in known], shown="--{}") for flag in unknown]
            complaints = [f"there is no flag {shortened(flag)}" for flag in unknown]
            self.error("; ".join(f"{text}, {hint}" if hint else text for text, hint in zip(complaints, hints)))

    def options(self, arguments: dict):
        return self._options_class(**{name: _frozen(value) for name, value in arguments.items()})

    def error(self, message: str) -> None:
        sys.exit(_fail(f"{message}; {self.prog} --help lists the flags", InputError.exit_status))


def _frozen(value):
    """Lists as tuples, those in lists too."""
    return tuple(map(_frozen, value)) if isinstance(value, list) else value


def _add_data_dir(parser: _Parser) -> None:
    help_ = "folder with the training corpus, WAV files, or several; folder:2 is heard twice as often, folder:0.5 half"
    parser.add("data_dir", path, help_, nargs="+", action="extend")


def _add_seed(parser: _Parser) -> None:
    parser.add("seed", optional(path), "audio to begin from")
    parser.add("seed_offset", non_negative_int, "where in the seed audio to begin, samples")


def _add_search(parser: _Parser, types: tuple[str, ...]) -> None:
    _add_data_dir(parser)
    parser.add("id", _folder_name, "id of the search, a folder below logdir")
    parser.add("logdir", path, "folder for searches")
    parser.add("num_epochs", positive_int, "number of epochs of a trial, at most")
    parser.add("type", str, "how the values to try are chosen", choices=types)
    parser.add("objective", str, "what makes a trial better than another, its best over the epochs", choices=MONITORS)
    parser.add(
        "early_stopping_patience", optional(positive_int), "epochs without improvement to end a trial; None: go on"
    )
    parser.add("val_frac", fraction, "fraction of the files held out for validation, rounded to whole batches")
    parser.add("random_seed", non_negative_int, "seed of the search, and of each trial as in train.py")
    _add_computation(parser)
    hyperparameters = parser.add_argument_group("hyperparameters", "each takes one or more values to search among")
    help_ = "frame sizes of the lower and the upper tier, samples; repeat the flag for more"
    parser.add("frame_sizes", positive_int, help_, nargs=2, action="append", group=hyperparameters)
    for name, type_, help_, choices in [
        ("seq_len", positive_int, "samples in a training window", None),
        ("dim", positive_int, "width of the recurrent and dense layers", None),
        ("rnn_type", str, "recurrent layers", RNN_TYPES),
        ("num_rnn_layers", positive_int, "depth of the recurrent layers in each upper tier", None),
        ("q_type", str, "quantization", Q_TYPES),
        ("q_levels", positive_int, "number of quantization levels; mu-law has 256", None),
        ("emb_size", positive_int, "width of the sample tier's embedding", None),
        ("skip_conn", boolean, "skip connections around the recurrent layers", None),
        ("rnn_dropout", fraction, "fraction of each recurrent layer's input that is dropped", None),
        ("batch_size", positive_int, "size of a mini-batch", None),
        ("optimizer", str, "optimizer", OPTIMIZERS),
        ("learning_rate", positive_float, "learning rate", None),
        ("momentum", fraction, "momentum of sgd and rmsprop", None),
    ]:
        parser.add(name, type_, help_, nargs="+", choices=choices, group=hyperparameters)


def _add_computation(parser: _Parser) -> None:
    parser.add("precision", str, "what is computed in; weights are always float32", choices=PRECISIONS)
    parser.add("jit_compile", automatic(boolean), "compile with XLA; auto: where it is faster", shown="auto")


def boolean(text: str) -> bool:
    """True or False in any case, or a beginning of either."""
    for name, value in (("true", True), ("false", False)):
        if text and name.startswith(text.lower()):
            return value
    raise argparse.ArgumentTypeError(f"{text!r} is neither True nor False")


def optional(type_: Callable) -> Callable:
    """The type, or None."""
    return lambda text: None if text.lower() == "none" else type_(text)


def automatic(type_: Callable) -> Callable:
    """The type, or auto, which is None."""

    def parse(text: str):
        if text.lower() == "auto":
            return None
        try:
            return type_(text)
        except argparse.ArgumentTypeError as error:
            raise argparse.ArgumentTypeError(f"{error}, nor auto") from None

    return parse


def path(text: str) -> str:
    """What can be the path of a file or a folder, be there one or not."""
    try:
        text.encode()
        os.lstat(text)
    except UnicodeEncodeError:
        raise argparse.ArgumentTypeError(f"{shortened(text)} is not text in UTF-8; rename it") from None
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise argparse.ArgumentTypeError(f"{shortened(text)} is too long for a name; shorten it") from None
    return text


def positive_int(text: str) -> int:
    return _number(int, text, lambda value: 1 <= value < 2**31, "a whole number from 1 up")


def non_negative_int(text: str) -> int:
    return _number(int, text, lambda value: 0 <= value < 2**31, "a whole number from 0 up")


def sample_rate(text: str) -> int:
    return _number(int, text, is_sample_rate, "a rate in Hz, such as 16000")


def seconds(text: str) -> float:
    return _number(float, text, lambda value: 0 < value <= 10**6, "a number of seconds above 0")


def positive_float(text: str) -> float:
    return _number(float, text, lambda value: value > 0, "a number above 0")


def decibels(text: str) -> float:
    return _number(float, text, lambda value: value < 0, "a number of dB below 0, such as -64")


def temperature(text: str) -> float | str:
    """A number, or an envelope of them over time."""
    if "@" not in text:
        return _number(float, text, is_temperature, f"a number {LIMITS}, such as 0.95")
    try:
        return envelope(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{shortened(text)} is no envelope such as 0.75@0,1.1@5: {error}") from None


def probability(text: str) -> float:
    return _number(float, text, lambda value: 0 < value <= 1, "a number above 0, up to 1")


def fraction(text: str) -> float:
    return _number(float, text, lambda value: 0 <= value < 1, "a number from 0 to below 1")


def gpus(text: str) -> float:
    expected = "0, a fraction of one GPU such as 0.5, or a whole number of them"
    return _number(float, text, lambda value: 0 <= value < 1 or value == int(value) > 0, expected)


def cluster_address(text: str) -> str:
    if is_address(text):
        return text
    raise argparse.ArgumentTypeError(f"{text!r} is not the address of a cluster, such as 10.0.0.1:6379")


def _number(kind: type, text: str, holds: Callable[[float], bool], expected: str):
    try:
        value = kind(text)
        if math.isfinite(value) and holds(value):
            return value
    except (ValueError, OverflowError):
        pass
    raise argparse.ArgumentTypeError(f"{text} is not {expected}")


def checkpoint_policy(text: str) -> str:
    policies = {"always": "Always", "all": "Always", "best": "Best"}
    if text.lower() in policies:
        return policies[text.lower()]
    raise argparse.ArgumentTypeError(f"{text!r} is neither Always (or All) nor Best")


def _folder_name(text: str) -> str:
    if text in ("", ".", "..") or "/" in text or "\\" in text:
        raise argparse.ArgumentTypeError(f"{text!r} is not the name of one folder")
    return text
