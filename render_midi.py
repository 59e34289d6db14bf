"""Make MIDI files audible, for a corpus of audio: python render_midi.py --input_file tune.mid --output_dir wavs"""

from samplernn.commands import cli


def main() -> None:
    options = cli.rendering_options()
    from samplernn.midi.render_files import render_files  # imports libraries, which take a moment: flags come first

    render_files(options)


if __name__ == "__main__":
    cli.run(main)
