"""Train SampleRNN on a folder of WAV files: python train.py --data_dir ./chunks"""

from samplernn import cli


def main() -> None:
    options = cli.training_options()
    cli.prepare_device()
    from samplernn.training import train  # imports TensorFlow, which takes seconds: flags come first

    train(options)


if __name__ == "__main__":
    cli.run(main)
