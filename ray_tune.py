"""Search for good hyperparameters with Ray Tune: python ray_tune.py --data_dir ./chunks --dim 256 512 --num_cpus 4"""

from samplernn.commands import cli
from samplernn.system.device import import_tensorflow


def main() -> None:
    options = cli.ray_tune_options()
    import_tensorflow()
    from samplernn.search.ray_tuning import search  # imports Ray and TensorFlow, which takes seconds: flags come first

    search(options)


if __name__ == "__main__":
    cli.run(main)
