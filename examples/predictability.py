"""How far back lies what predicts music? Train a predictor for each of several receptive fields, and draw what it loses
on held-out files over how far it looks back: the predictability profile of Dieleman et al. (2018), Figure 2.

Run from anywhere: python examples/predictability.py --data_dir ./chunks
"""

import io
import itertools
import sys
from dataclasses import MISSING, dataclass
from math import log
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from samplernn.commands import cli  # noqa: E402
from samplernn.commands.flags import Parser  # noqa: E402
from samplernn.options.option import option, options_of, with_default  # noqa: E402
from samplernn.options.options import CorpusOptions, TrainingOptions  # noqa: E402
from samplernn.options.values import PATH, whole  # noqa: E402
from samplernn.system.device import prepare_device  # noqa: E402
from samplernn.system.files import make_writable_folder, write_whole, written_aside  # noqa: E402

RECEPTIVE_FIELDS = (0, *(2**power for power in range(11)))
SEQ_LEN = 512
LEARNING_RATE = 0.03  # at first; it falls to 0, so that no end is a bad moment
SEED = 0


@dataclass(frozen=True, kw_only=True)
class Options:
    """What the flags are."""

    data_dir: tuple[str, ...] = with_default(CorpusOptions, "data_dir", MISSING)
    skip_unusable: bool = with_default(TrainingOptions, "skip_unusable", False)
    batch_size: int = with_default(TrainingOptions, "batch_size", 8)
    output_dir: str = option("./predictability", PATH, "folder for profile.csv and profile.png")
    steps: int = option(600, whole(1), "steps of training for each receptive field")


def main():
    options = Options(**Parser(__doc__.splitlines()[0], options_of(Options)).parse())
    split, folder = split_of(options), Path(options.output_dir)
    make_writable_folder("--output_dir", folder)
    prepare_device()
    profile = {}
    for receptive_field in RECEPTIVE_FIELDS:
        profile[receptive_field] = nll = held_out_nll(receptive_field, split, options)
        print(f"receptive field {receptive_field:4}: {nll:.3f} nats, {nll / log(2):.3f} bits a sample", flush=True)
        write_whole(folder / "profile.csv", as_csv(profile, options.steps))
    with written_aside(folder / "profile.png") as aside:
        aside.write_bytes(draw(profile))
    print(f"Look: {folder / 'profile.png'}")


def split_of(options):
    """What is trained on and what is held out, the same for all."""
    from samplernn.corpus.scan import scan_corpus
    from samplernn.corpus.split import split_corpus

    corpus = scan_corpus(options.data_dir, options.skip_unusable)
    return split_corpus(corpus.recordings, SEQ_LEN, options.batch_size, val_frac=0.1)


def held_out_nll(receptive_field, split, options):
    """That of a predictor after its steps of training, in nats a sample."""
    import keras

    from samplernn.corpus.loader import Loader
    from samplernn.models.registry import config_from_dict
    from samplernn.training.loop import evaluate
    from samplernn.training.steps import initial_state, model_to_train, train_step, validation_step

    config = config_from_dict({"model": "predictor", "receptive_field": receptive_field, "seq_len": SEQ_LEN})
    keras.utils.set_random_seed(SEED)
    model = model_to_train(config, TrainingOptions(data_dir=(), learning_rate=LEARNING_RATE))
    loader, step = Loader(config, options.batch_size), train_step(model)
    state = initial_state(model, options.batch_size)
    epochs = (loader.training_epoch(split.training, SEED, epoch)[1] for epoch in itertools.count())
    for number, window in enumerate(itertools.islice(itertools.chain.from_iterable(epochs), options.steps)):
        model.optimizer.learning_rate.assign(LEARNING_RATE * (1 - number / options.steps))
        *_, state = step(*window, state)
    return evaluate(model, validation_step(model), loader, split.validation)["loss"]


def as_csv(profile, steps):
    """The NLL of each receptive field."""
    rows = [f"{field},{nll:.4f},{nll / log(2):.4f},{steps}" for field, nll in profile.items()]
    return "\n".join(["receptive_field,nll_nats,nll_bits,steps", *rows]) + "\n"


def draw(profile):
    """A PNG of the NLL in nats over the receptive field."""
    from matplotlib.figure import Figure  # a figure of pyplot's would look for a screen

    figure = Figure(figsize=(7, 4), dpi=100, layout="constrained")
    axes = figure.add_subplot()
    axes.plot(profile.keys(), profile.values(), marker="o")
    axes.set_xscale("symlog", base=2, linthresh=1)
    axes.set_xticks([*profile], [*profile])
    axes.set(xlabel="receptive field, samples", ylabel="nats a sample, on held-out files", title="Predictability")
    axes.grid(alpha=0.3)
    png = io.BytesIO()
    figure.savefig(png, format="png")
    return png.getvalue()


if __name__ == "__main__":
    cli.run(main)
