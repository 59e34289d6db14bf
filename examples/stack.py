"""A stack on one minute of Bach: an autoencoder, a model over its codes, what they play and how well they predict it.

Run from anywhere: python examples/stack.py. It takes about five minutes on two CPU cores; what it makes is in ./stack.
"""

import io
import sys
from pathlib import Path

import soundfile

EXAMPLES = Path(__file__).resolve().parent
sys.path.insert(0, str(EXAMPLES.parent))

from examples.demo import script  # noqa: E402
from samplernn.audio import spectrogram  # noqa: E402
from samplernn.checkpoints import run_folders  # noqa: E402
from samplernn.checkpoints.settings import read_settings  # noqa: E402
from samplernn.corpus.codes import read_codes  # noqa: E402
from samplernn.system.files import written_aside  # noqa: E402

STACK = Path("stack")
CHUNKS, RUNS, CODES = STACK / "chunks", STACK / "logdir", STACK / "codes"
SECONDS = 2
OF_BOTH_TRAININGS = {
    "data_dir": CHUNKS,
    "logdir_root": RUNS,
    "batch_size": 4,
    "val_frac": 0.15,
    "learning_rate": 0.003,
    "polyak_decay": 0.99,
    "verbose": False,
    "generate": False,
    "resume": False,
}


def main():
    script("chunk_audio.py", input_file=EXAMPLES / "demo-chorales.flac", output_dir=CHUNKS, chunk_length=1000 * SECONDS)
    below = trained("below", num_epochs=3)
    top = trained("top", num_epochs=6, codes_from=below)
    original = CHUNKS / read_settings(below)["split"]["validation"][0]
    script("generate.py", output_path=STACK / "again.wav", checkpoint_path=below, reconstruct=original)
    again = newest("again*.wav")
    script("generate.py", output_path=STACK / "new.wav", checkpoint_path=top, dur=SECONDS)
    new = newest("new*.wav")
    shown = {"held out": original, "reconstructed": again, "generated": new}
    pictures = {}
    for title, wav in shown.items():
        script("encode.py", checkpoint_path=below, input_file=wav, output_dir=CODES)
        pictures[title] = wav, newest(f"codes/{wav.stem}*.npz")
    with written_aside(STACK / "levels.png") as aside:
        aside.write_bytes(draw(pictures))
    script("evaluate.py", checkpoint_path=top, held_out=True, output_file=STACK / "levels.json")
    print(f"\nListen: {original}, {again}, {new}\nLook: {STACK / 'levels.png'}")


def trained(name, **flags):
    """The last checkpoint of a training with the example's config of this name."""
    config = EXAMPLES / f"stack-{name}.config.json"
    script("train.py", id=name, config_file=config, **flags, **OF_BOTH_TRAININGS)
    return run_folders.latest(RUNS / name)


def newest(pattern):
    return max(STACK.glob(pattern), key=lambda file: file.stat().st_mtime)


def draw(pictures):
    """A PNG of each of some pieces: its mel spectrogram, and below it its codes over time."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 6), dpi=80, layout="constrained")
    axes = figure.subplots(2, len(pictures), sharex=True, sharey="row", squeeze=False)
    for column, (title, (wav, npz)) in enumerate(pictures.items()):
        audio, rate = soundfile.read(wav, dtype="float32")
        codes, seconds = read_codes(npz), len(audio) / rate
        mel = spectrogram.mel_spectrogram(audio, rate)
        axes[0, column].imshow(mel, origin="lower", aspect="auto", extent=(0, seconds, 0, len(mel)))
        axes[0, column].set_title(title)
        times = [number * codes.hop / rate for number in range(len(codes.codes))]
        axes[1, column].plot(times, codes.codes, ",")
        axes[1, column].set(xlabel="seconds", xlim=(0, seconds))
    axes[0, 0].set_ylabel("mel bands of the audio")
    axes[1, 0].set_ylabel("codes")
    png = io.BytesIO()
    figure.savefig(png, format="png")
    return png.getvalue()


if __name__ == "__main__":
    main()
