"""How long listen.py takes for hours of clips, beside an hour of training music: python benchmarks/gallery.py

The clips are stretches of the demo piece, each resampled a little, with noise, so that no two are the same; the music
is made likewise. What is measured is the whole process.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile

ROOT = Path(__file__).resolve().parent.parent
RATE, SECONDS = 16000, 30
MUSIC = ROOT / "examples" / "demo-chorales.flac"


def write_clips(folder, hours, seed):
    """Write hours of clips of half a minute."""
    folder.mkdir(parents=True)
    music, _ = soundfile.read(MUSIC, dtype="float32")
    random = np.random.default_rng(seed)
    for number in range(round(hours * 3600 / SECONDS)):
        times = random.uniform(0, len(music)) + random.uniform(0.8, 1.25) * np.arange(SECONDS * RATE)
        audio = np.interp(times % (len(music) - 1), np.arange(len(music)), music)
        audio += random.uniform(0.0001, 0.01) * random.normal(size=len(audio))
        soundfile.write(folder / f"clip_e={number % 10}_{number}.wav", audio, RATE)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hours", type=float, default=10, help="of clips (default: 10)")
    parser.add_argument("--music", type=float, default=1, help="hours of training music (default: 1)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as where:
        folder = Path(where)
        write_clips(folder / "clips", arguments.hours, 0)
        write_clips(folder / "music", arguments.music, 1)
        flags = [
            "--input_dir",
            folder / "clips",
            "--training_dir",
            folder / "music",
            "--output_dir",
            folder / "gallery",
        ]
        start = time.monotonic()
        subprocess.run([sys.executable, ROOT / "listen.py", *flags], check=True, stdout=subprocess.DEVNULL)
        taken = time.monotonic() - start
        size = sum(path.stat().st_size for path in (folder / "gallery").rglob("*") if path.is_file())
    print(f"{arguments.hours:g} hours of clips beside {arguments.music:g} of music: {taken:.0f} s, {size / 1e6:.0f} MB")


if __name__ == "__main__":
    main()
