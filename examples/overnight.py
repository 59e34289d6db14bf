"""A night's work in one command: cut recordings, train, generate every few epochs, and have a page that grows.

    python examples/overnight.py --input_file albums --output_dir night

It may be stopped or killed at any time: the same command goes on where it was. In the morning open
night/gallery/index.html; docs/ambient.md says how to choose there.
"""

import argparse
import shutil
import sys
from pathlib import Path

EXAMPLES = Path(__file__).resolve().parent
sys.path.insert(0, str(EXAMPLES.parent))

from examples.demo import script  # noqa: E402
from samplernn.checkpoints import run_folders  # noqa: E402
from samplernn.system.errors import InputError  # noqa: E402
from samplernn.system.files import read_json  # noqa: E402

ID = "night"
CONFIG = EXAMPLES.parent / "configs" / "fast.config.json"


def main():
    options = parse()
    night = Path(options.output_dir)
    script("chunk_audio.py", input_file=options.input_file, output_dir=night / "chunks", mono=True,
           chunk_length=options.chunk_length, sample_rate=options.sample_rate)  # fmt: skip
    for epoch in range(options.every, options.num_epochs + 1, options.every):
        checkpoint = checkpoint_after(epoch, night / "logdir") or trained_to(epoch, night, options)
        folder = night / "clips" / f"epoch_{epoch:04}"
        if not is_whole(folder, options.num_seqs):
            shutil.rmtree(folder, ignore_errors=True)  # what a night that was stopped has left
            script("generate.py", output_path=folder / "clip.wav", checkpoint_path=checkpoint, random_seed=0,
                   num_seqs=options.num_seqs, dur=options.dur)  # fmt: skip
        script("listen.py", input_dir=night / "clips", training_dir=night / "chunks", output_dir=night / "gallery",
               blind=options.blind)  # fmt: skip


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--input_file", required=True, help="a recording, or a folder of them")
    parser.add_argument("--output_dir", default="night", help="folder for all that is made (default: night)")
    parser.add_argument("--config_file", default=CONFIG, help="of the network (default: configs/fast.config.json)")
    parser.add_argument("--sample_rate", type=int, default=16000, help="Hz (default: 16000)")
    parser.add_argument("--chunk_length", type=int, default=8000, help="milliseconds (default: 8000)")
    parser.add_argument("--batch_size", type=int, default=16, help="of the training (default: 16)")
    parser.add_argument("--num_epochs", type=int, default=100, help="to train at most (default: 100)")
    parser.add_argument("--every", type=int, default=5, help="epochs between two rounds of clips (default: 5)")
    parser.add_argument("--num_seqs", type=int, default=8, help="clips of a round (default: 8)")
    parser.add_argument("--dur", type=float, default=20, help="of a clip, seconds (default: 20)")
    parser.add_argument("--blind", action="store_true", help="hide how clips were made until they are given stars")
    options = parser.parse_args()
    if min(options.every, options.num_epochs, options.num_seqs) < 1:
        parser.error("--every, --num_epochs and --num_seqs are 1 at least")
    return options


def checkpoint_after(epoch, logdir):
    """The checkpoint after so many epochs, if there is one."""
    found = [run_folders.prefix(run, epoch) for run in run_folders.runs_in(logdir / ID)]
    return next(filter(run_folders.is_complete, reversed(found)), None)


def trained_to(epoch, night, options):
    """Train, or go on, until so many epochs are done; the checkpoint."""
    script("train.py", id=ID, data_dir=night / "chunks", logdir_root=night / "logdir", num_epochs=epoch,
           config_file=options.config_file, batch_size=options.batch_size, hold_out="time", generate=False,
           checkpoint_every=options.every, max_checkpoints=None, early_stopping_patience=None,
           checkpoint_every_minutes=10, verbose=False)  # fmt: skip
    return checkpoint_after(epoch, night / "logdir") or sys.exit(f"Error: no checkpoint after epoch {epoch} was left")


def is_whole(folder, number):
    """Whether a round has all its clips, each of them complete."""
    try:
        told = [read_json(file) for file in folder.glob("*.json")]
    except InputError:
        return False
    return sum(of.get("complete") is True for of in told) == number


if __name__ == "__main__":
    main()
