"""Write the codes of audio: python encode.py --checkpoint_path logdir/below --input_file in.wav --output_dir codes"""

from samplernn.commands import cli
from samplernn.system.device import prepare_device


def main() -> None:
    options = cli.encoding_options()
    prepare_device()
    from samplernn.generation.encode import encode_files  # imports TensorFlow, which takes seconds: flags come first

    encode_files(options)


if __name__ == "__main__":
    cli.run(main)
