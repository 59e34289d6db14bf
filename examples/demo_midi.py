"""Bach's chorales as notes: train on twenty of them, write a new one, and see what was learnt.

Run from anywhere: python examples/demo_midi.py. It takes about two minutes on two CPU cores; what it makes is in
./demo-midi.
"""

import json
import sys
from pathlib import Path

EXAMPLES = Path(__file__).resolve().parent
ROOT = EXAMPLES.parent
sys.path.insert(0, str(ROOT))

from examples.demo import script  # noqa: E402

DEMO = Path("demo-midi")
TABLE = DEMO / "table.json"


def main():
    script(
        "train.py",
        data_dir=EXAMPLES / "midi",
        config_file=ROOT / "configs" / "pianoroll.config.json",
        logdir_root=DEMO / "logdir",
        id="chorales",
        batch_size=8,
        learning_rate=0.005,
        num_epochs=60,
        early_stopping_patience=None,
        max_checkpoints=1,
        checkpoint_policy="Best",
        val_frac=0.15,
        verbose=False,
        generate=False,
        resume=False,
    )
    run = DEMO / "logdir" / "chorales"
    script("generate.py", output_path=DEMO / "chorale.mid", checkpoint_path=run, dur=30, temperature=0.9, max_notes=6)
    script("evaluate.py", checkpoint_path=run, held_out=True, output_file=TABLE)
    (row,) = json.loads(TABLE.read_text(encoding="utf-8"))
    midi = max(DEMO.glob("*.mid"), key=lambda file: file.stat().st_mtime)
    print(f"\nOpen: {midi}\nListen: {midi.with_suffix('.wav')}\nLook: {midi.with_suffix('.roll.png')}")
    print(
        f"Loss on chorales that were held out: {row['nll_nats']:.2f} nats a step. How often each note is struck, held"
        f" and silent alone: {row['marginals_nats']:.2f}; given the step before: {row['markov_nats']:.2f}."
    )


if __name__ == "__main__":
    main()
