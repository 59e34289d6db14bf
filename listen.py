"""Choose among generated clips by ear, on a page: python listen.py --input_dir generated --output_dir gallery"""

from samplernn.commands import cli


def main() -> None:
    options = cli.listen_options()
    from samplernn.gallery.listen import listen  # imports librosa and scikit-learn, which takes seconds

    listen(options)


if __name__ == "__main__":
    cli.run(main)
