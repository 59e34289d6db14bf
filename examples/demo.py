"""The main job on one minute of Bach: chunk it, train on it, generate from it, and see what was learnt.

Run from anywhere: python examples/demo.py. It takes about three minutes on two CPU cores; what it makes is in ./demo.
"""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import soundfile

EXAMPLES = Path(__file__).resolve().parent
ROOT = EXAMPLES.parent
sys.path.insert(0, str(ROOT))

from samplernn.quantize import MuLaw  # noqa: E402

DEMO = Path("demo")
CHUNKS = DEMO / "chunks"


def main():
    script("chunk_audio.py", input_file=EXAMPLES / "demo-chorales.flac", output_dir=CHUNKS, chunk_length=2000)
    script(
        "train.py",
        data_dir=CHUNKS,
        config_file=EXAMPLES / "demo.config.json",
        logdir_root=DEMO / "logdir",
        id="bach",
        batch_size=4,
        num_epochs=4,
        val_frac=0.15,
        verbose=False,
        generate=False,
        resume=False,
    )
    run = max((DEMO / "logdir" / "bach").iterdir(), key=lambda folder: folder.stat().st_mtime)
    script("generate.py", output_path=DEMO / "bach.wav", checkpoint_path=run, dur=5, temperature=0.95)

    wav = max(DEMO.glob("*.wav"), key=lambda file: file.stat().st_mtime)
    picture = wav.with_suffix(".png")
    draw_spectrogram(wav, picture)
    settings = max(run.glob("*.json"), key=lambda file: file.stat().st_mtime)
    loss = json.loads(settings.read_text(encoding="utf-8"))["history"][-1]["val_loss"]
    print(f"\nListen: {wav}\nLook: {picture}")
    print(f"Loss on held-out music: {loss:.3f} nats a sample. Unigram entropy of the data: {unigram_entropy():.3f}.")


def script(name, **flags):
    """Run one of the scripts as a user would, and stop if it fails."""
    arguments = [argument for flag, value in flags.items() for argument in (f"--{flag}", str(value))]
    print("\n$ python", name, *arguments, flush=True)
    status = subprocess.run([sys.executable, str(ROOT / name), *arguments]).returncode
    if status:
        sys.exit(status)


def unigram_entropy():
    """The loss, in nats, of a model that knows how often each level occurs and nothing else."""
    tokens = np.concatenate([MuLaw().encode(soundfile.read(file)[0]) for file in CHUNKS.glob("*.wav")])
    frequency = np.bincount(tokens) / len(tokens)
    frequency = frequency[frequency > 0]
    return -np.sum(frequency * np.log(frequency))


def draw_spectrogram(wav, picture):
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    audio, rate = soundfile.read(wav)
    figure, axes = pyplot.subplots(figsize=(10, 4), layout="constrained")
    axes.specgram(audio + 1e-6 * np.random.default_rng(0).standard_normal(len(audio)), NFFT=1024, Fs=rate, noverlap=768)
    axes.set(title=wav.name, xlabel="seconds", ylabel="Hz", ylim=(0, 4000))
    figure.savefig(picture, dpi=100)


if __name__ == "__main__":
    main()
