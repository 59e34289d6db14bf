"""Fetch recordings from the web, WAV files to cut: python fetch_audio.py --url https://… --output_dir albums"""

from samplernn.commands import cli


def main() -> None:
    options = cli.fetch_options()
    from samplernn.fetching.fetch import fetch  # imports yt-dlp, which takes a moment: flags come first

    fetch(options)


if __name__ == "__main__":
    cli.run(main)
