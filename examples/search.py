"""Does a search find settings that are better on music that it never heard? Search one part of a recording, then train
the winner's and the median trial's settings anew from other seeds, and compare them on the other part.

Run from anywhere: python examples/search.py recording.flac 197, where 197 are the seconds to search. With five and a
half minutes of music it takes about twenty minutes on two CPU cores; what it makes is in ./search.
"""

import json
import statistics
import subprocess
import sys
from pathlib import Path

import soundfile

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from samplernn.checkpoints import run_folders  # noqa: E402
from samplernn.checkpoints import store as checkpoints  # noqa: E402
from samplernn.checkpoints.settings import model_config  # noqa: E402
from samplernn.corpus.loader import Loader  # noqa: E402
from samplernn.corpus.scan import scan_corpus  # noqa: E402
from samplernn.models import registry  # noqa: E402
from samplernn.search.search import Trial  # noqa: E402
from samplernn.system.device import prepare_device  # noqa: E402
from samplernn.training.loop import evaluate  # noqa: E402
from samplernn.training.steps import validation_step  # noqa: E402

SEARCH = Path("search")
HEARD, UNHEARD = SEARCH / "heard", SEARCH / "unheard"
SEEDS = (1, 2)  # the search has seed 0
EPOCHS = 3
BATCH = 16
SPACE = """
    --frame_sizes 4 16 --frame_sizes 8 32 --frame_sizes 16 64
    --dim 16 32 64 --rnn_type gru lstm --num_rnn_layers 1 2 --learning_rate 0.0003 0.001 0.003 0.01
    --seq_len 512 --emb_size 64
"""


def main(recording, seconds):
    audio, rate = soundfile.read(recording)
    for folder, part in ((HEARD, audio[: int(seconds * rate)]), (UNHEARD, audio[int(seconds * rate) :])):
        folder.mkdir(parents=True, exist_ok=True)
        soundfile.write(folder.with_suffix(".wav"), part, rate)
        script("chunk_audio.py", "--input_file", folder.with_suffix(".wav"), "--output_dir", folder,
               "--chunk_length", 4000)  # fmt: skip
    script("ray_tune.py", "--data_dir", HEARD, "--logdir", SEARCH, "--id", "trials", "--num_trials", 12,
           "--num_epochs", EPOCHS, "--batch_size", BATCH, *SPACE.split())  # fmt: skip

    records = (json.loads(path.read_text()) for path in (SEARCH / "trials").glob("trial_*/trial.json"))
    ranked = sorted((trial for trial in (Trial(**record) for record in records) if not trial.failed), key=best)
    for name, trial in (("winner", ranked[0]), ("median", ranked[len(ranked) // 2])):
        losses = [loss_on_unheard(trained_anew(name, trial, seed)) for seed in SEEDS]
        print(f"{name}: {trial.hyperparameters}, in the search {best(trial):.3f}, on unheard music "
              f"{', '.join(f'{loss:.3f}' for loss in losses)}, mean {statistics.mean(losses):.3f}")  # fmt: skip


def best(trial):
    return trial.best("val_loss")[0]


def trained_anew(name, trial, seed):
    """The last checkpoint of a training with a trial's settings."""
    run = f"{name}_{seed}"
    script("train.py", "--data_dir", HEARD, "--logdir_root", SEARCH, "--id", run, "--random_seed", seed,
           "--config_file", SEARCH / "trials" / f"trial_{trial.name}" / "trial.config.json",
           "--batch_size", BATCH, "--learning_rate", trial.hyperparameters["learning_rate"],
           "--num_epochs", EPOCHS, "--generate", False, "--verbose", False)  # fmt: skip
    return run_folders.latest(SEARCH / run)


def loss_on_unheard(checkpoint):
    """NLL in nats a sample, mean over the music that no training saw."""
    model = registry.build(model_config(checkpoint, None))
    model.compile(jit_compile=True)
    checkpoints.restore(checkpoint, model)
    recordings = scan_corpus((str(UNHEARD),)).recordings
    return evaluate(model, validation_step(model), Loader(model.config, BATCH), recordings)["loss"]


def script(name, *arguments):
    """Run one of the scripts as a user would, and stop if it fails."""
    arguments = list(map(str, arguments))
    print("\n$ python", name, *arguments, flush=True)
    status = subprocess.run([sys.executable, str(ROOT / name), *arguments]).returncode
    if status:
        sys.exit(status)


if __name__ == "__main__":
    prepare_device()
    main(sys.argv[1], float(sys.argv[2]))
