"""Train a network on a folder of WAV files: python train.py --data_dir ./chunks

Whether all that it needs is there: python train.py --check
"""

import sys

from samplernn.commands import check as setup_check
from samplernn.commands import cli
from samplernn.options.train import CheckOptions
from samplernn.system.device import prepare_device


def main() -> None:
    options = cli.training_options()
    if isinstance(options, CheckOptions):
        sys.exit(setup_check.report(options))
    prepare_device()
    from samplernn.training.train import train  # imports TensorFlow, which takes seconds: flags come first

    train(options)


if __name__ == "__main__":
    cli.run(main)
