"""Search for good hyperparameters with Keras Tuner: python keras_tuner.py --data_dir ./chunks --dim 256 512

The library has the name of this file. Whoever imports `keras_tuner` means the library, and gets it.
"""

import sys
from importlib.machinery import PathFinder
from importlib.util import module_from_spec
from pathlib import Path

from samplernn.commands import cli
from samplernn.system.device import import_tensorflow


def main() -> None:
    options = cli.keras_tuner_options()
    import_tensorflow()
    from samplernn.search.keras_tuning import search  # imports TensorFlow, which takes seconds: flags come first

    search(options)


def make_way() -> None:
    """Put the library in the place of this module."""
    here = Path(__file__).resolve().parent
    spec = PathFinder.find_spec(__name__, [folder for folder in sys.path if Path(folder).resolve() != here])
    if spec is None:
        raise ModuleNotFoundError(f"No module named {__name__!r}", name=__name__)
    sys.modules[__name__] = library = module_from_spec(spec)
    spec.loader.exec_module(library)


if __name__ == "__main__":
    cli.run(main)
elif __name__ == "keras_tuner":
    make_way()
