"""The command line: what each script is called with, how it runs and ends.

TensorFlow is imported by none of it, so that `--help` and a wrong flag are answered at once.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

import samplernn
from samplernn.commands.flags import Parser, look_ahead
from samplernn.models.registry import families_by_parameter
from samplernn.options.chunk_audio import ChunkOptions
from samplernn.options.encode import EncodingOptions
from samplernn.options.evaluate import EvaluationOptions
from samplernn.options.fetch_audio import FetchOptions
from samplernn.options.generate import GenerationOptions
from samplernn.options.listen import ListenOptions
from samplernn.options.option import options_of
from samplernn.options.render_midi import RenderingOptions
from samplernn.options.train import CheckOptions, TrainingOptions
from samplernn.search.options import KerasTunerOptions, RayTuneOptions
from samplernn.search.space import hyperparameters
from samplernn.system.errors import InputError, RunError, in_words
from samplernn.system.process import remarks_to_stdout
from samplernn.system.stopping import print_unless_reader_is_gone
from samplernn.system.words import printable

INSTALL = (
    "pip install -r requirements.txt, or -r requirements-tuning.txt for keras_tuner.py and ray_tune.py, or"
    " -r requirements-fetch.txt for fetch_audio.py"
)
CHECK = "--check"


class Terminated(KeyboardInterrupt):
    """SIGTERM, which ends a script as Ctrl-C does, but for the exit status."""


def run(main: Callable[[], None]) -> None:
    """Run a script and exit: 0; 1 where the machine or the numbers refuse; 2 for bad input; 130 after Ctrl-C, 143
    after SIGTERM."""
    signal.signal(signal.SIGTERM, _terminate)
    _open_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # a file's name must not end a run
    remarks_to_stdout()
    try:
        main()
    except (InputError, RunError) as error:
        sys.exit(_fail(str(error), error.exit_status))
    except ImportError as error:
        if (error.name or "").startswith(samplernn.__name__):
            raise
        missing = isinstance(error, ModuleNotFoundError)
        said = f"{error.name} is not installed" if missing else f"a library cannot be imported ({in_words(error)})"
        sys.exit(_fail(f"{said}: {INSTALL}", InputError.exit_status))
    except OSError as error:
        sys.exit(_fail(in_words(error), RunError.exit_status))
    except KeyboardInterrupt as interrupt:
        print_unless_reader_is_gone("Stopped.")
        sys.exit(143 if isinstance(interrupt, Terminated) else 130)


def _open_closed_streams() -> None:
    """Let output go nowhere where a stream is closed, lest it goes into the first file that is opened."""
    for number, name in ((1, "stdout"), (2, "stderr")):
        if getattr(sys, name) is None:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            if nowhere != number:
                os.dup2(nowhere, number)
                os.close(nowhere)
            setattr(sys, name, open(number, "w"))  # noqa: SIM115 - until the process ends


def _terminate(*_) -> None:
    raise Terminated


def _fail(message: str, exit_status: int) -> int:
    print(f"Error: {printable(' '.join(message.split()))}", file=sys.stderr, flush=True)
    return exit_status


def training_options() -> TrainingOptions | CheckOptions:
    """Parse the flags of train.py; CheckOptions where --check is among them."""
    options_class = CheckOptions if CHECK in sys.argv[1:] else TrainingOptions
    parser = Parser("Train a network on a folder of WAV or MIDI files.", options_of(options_class))
    parser.add_argument(CHECK, action="store_true", help="do not train, but look whether all that it needs is there")
    parser.add_argument("--num_val_batches", type=int, help="deprecated, without effect: see val_frac")
    given = parser.parse()
    given.pop("check", None)
    if given.pop("num_val_batches", None) is not None:
        print("--num_val_batches is deprecated and has no effect; use --val_frac.")
    return options_class(**given)


def generation_options() -> GenerationOptions:
    """Parse the flags of generate.py."""
    return GenerationOptions(**Parser("Generate music from a trained network.", options_of(GenerationOptions)).parse())


def encoding_options() -> EncodingOptions:
    """Parse the flags of encode.py."""
    return EncodingOptions(**Parser("Write the codes that an autoencoder makes.", options_of(EncodingOptions)).parse())


def evaluation_options() -> EvaluationOptions:
    """Parse the flags of evaluate.py."""
    parser = Parser("Measure how well models predict recordings.", options_of(EvaluationOptions))
    return EvaluationOptions(**parser.parse())


def rendering_options() -> RenderingOptions:
    """Parse the flags of render_midi.py."""
    return RenderingOptions(**Parser("Make MIDI files audible.", options_of(RenderingOptions)).parse())


def fetch_options() -> FetchOptions:
    """Parse the flags of fetch_audio.py."""
    return FetchOptions(**Parser("Fetch recordings from the web.", options_of(FetchOptions)).parse())


def listen_options() -> ListenOptions:
    """Parse the flags of listen.py."""
    return ListenOptions(**Parser("Choose among generated clips by ear.", options_of(ListenOptions)).parse())


def chunk_options() -> ChunkOptions:
    """Parse the flags of chunk_audio.py."""
    return ChunkOptions(**Parser("Cut recordings into chunks to train on.", options_of(ChunkOptions)).parse())


def keras_tuner_options() -> KerasTunerOptions:
    """Parse the flags of keras_tuner.py."""
    return _search_options("Search for good hyperparameters with Keras Tuner.", KerasTunerOptions)


def ray_tune_options() -> RayTuneOptions:
    """Parse the flags of ray_tune.py."""
    return _search_options("Search for good hyperparameters with Ray Tune, side by side.", RayTuneOptions)


def _search_options(description: str, options_class: type) -> Any:
    options = {option.name: option for option in options_of(options_class)}
    to_search = hyperparameters(look_ahead(options["model"]))
    of_others = {name: f"it is one of --model {families}" for name, families in families_by_parameter().items()}
    parser = Parser(description, options.values(), hints=of_others)
    parser.add_hyperparameters(to_search)
    given = parser.parse()
    space = {option.name: given.pop(option.name) for option in to_search if option.name in given}
    return options_class(space=space, **given)
