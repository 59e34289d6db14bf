"""Cut recordings into chunks to train on: python chunk_audio.py --input_file in.wav --output_dir ./chunks"""

from samplernn.commands import cli


def main() -> None:
    options = cli.chunk_options()
    from samplernn.audio.chunking import chunk_files

    chunk_files(options)


if __name__ == "__main__":
    cli.run(main)
