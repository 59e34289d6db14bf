"""Generate audio from a trained model: python generate.py --output_path out.wav --checkpoint_path model.ckpt-100"""

from samplernn.commands import cli
from samplernn.system.device import prepare_device


def main() -> None:
    options = cli.generation_options()
    prepare_device()
    from samplernn.generation.generate import generate_from_checkpoints  # imports TensorFlow, which takes seconds

    generate_from_checkpoints(options)


if __name__ == "__main__":
    cli.run(main)
