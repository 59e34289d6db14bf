"""Train SampleRNN on a folder of WAV files: python train.py --data_dir ./chunks"""

from samplernn import cli
from samplernn.device import prepare_device


def main() -> None:
    options = cli.training_options()
    prepare_device()
    from samplernn.training import train  # imports TensorFlow, which takes seconds: flags come first

    train(options)


if __name__ == "__main__":
    cli.run(main)
