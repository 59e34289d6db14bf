"""Measure how well models predict: python evaluate.py --checkpoint_path logdir/default --data_dir ./chunks"""

from samplernn.commands import cli
from samplernn.system.device import prepare_device


def main() -> None:
    options = cli.evaluation_options()
    prepare_device()
    from samplernn.evaluation.evaluate import evaluate  # imports TensorFlow, which takes seconds

    evaluate(options)


if __name__ == "__main__":
    cli.run(main)
