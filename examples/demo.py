"""The main job on one minute of Bach: chunk it, train on it, generate from it, and see what was learnt.

Run from anywhere: python examples/demo.py. It takes about three minutes on two CPU cores; what it makes is in ./demo.
"""

import json
import subprocess
import sys
from pathlib import Path

import soundfile

EXAMPLES = Path(__file__).resolve().parent
ROOT = EXAMPLES.parent
sys.path.insert(0, str(ROOT))

from samplernn.audio import spectrogram  # noqa: E402
from samplernn.audio.wav import examine  # noqa: E402
from samplernn.corpus.data import data_of  # noqa: E402
from samplernn.models.registry import load_config  # noqa: E402

DEMO = Path("demo")
CHUNKS = DEMO / "chunks"
CONFIG = EXAMPLES / "demo.config.json"


def main():
    script("chunk_audio.py", input_file=EXAMPLES / "demo-chorales.flac", output_dir=CHUNKS, chunk_length=2000)
    script(
        "train.py",
        data_dir=CHUNKS,
        config_file=CONFIG,
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
    picture.write_bytes(spectrogram.draw(*soundfile.read(wav, dtype="float32"), wav.name))
    settings = max(run.glob("*.json"), key=lambda file: file.stat().st_mtime)
    loss = json.loads(settings.read_text(encoding="utf-8"))["history"][-1]["val_loss"]
    print(f"\nListen: {wav}\nLook: {picture}")
    entropy = data_of(load_config(CONFIG)).baseline([examine(chunk) for chunk in CHUNKS.glob("*.wav")])
    print(f"Loss on held-out music: {loss:.3f} nats a sample. Unigram entropy of the data: {entropy:.3f}.")


def script(name, **flags):
    """Run one of the scripts as a user would, and stop if it fails."""
    arguments = [argument for flag, value in flags.items() for argument in (f"--{flag}", str(value))]
    print("\n$ python", name, *arguments, flush=True)
    status = subprocess.run([sys.executable, str(ROOT / name), *arguments]).returncode
    if status:
        sys.exit(status)


if __name__ == "__main__":
    main()
