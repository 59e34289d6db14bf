"""How far back lies what predicts music? Train a predictor for each of several receptive fields, and draw what it loses
on held-out files over how far it looks back: the predictability profile of Dieleman et al. (2018), Figure 2.

Run from anywhere: python examples/predictability.py --data_dir ./chunks

With --codes_from logdir/below also of the codes that an autoencoder makes of the same files, as far back in time.
"""

import io
import itertools
import sys
from dataclasses import MISSING, dataclass, replace
from math import log
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from samplernn.commands import cli  # noqa: E402
from samplernn.commands.flags import Parser  # noqa: E402
from samplernn.models.predictor.config import PredictorConfig  # noqa: E402
from samplernn.options.common import CorpusOptions  # noqa: E402
from samplernn.options.option import option, options_of, with_default  # noqa: E402
from samplernn.options.train import TrainingOptions  # noqa: E402
from samplernn.options.values import PATH, whole  # noqa: E402
from samplernn.system.device import prepare_device  # noqa: E402
from samplernn.system.files import make_writable_folder, write_whole, written_aside  # noqa: E402

RECEPTIVE_FIELDS = (0, *(2**power for power in range(11)))
OF_SAMPLES = PredictorConfig(seq_len=512)
OF_CODES = replace(OF_SAMPLES, q_type="codes", input_format="embedding")
LEARNING_RATES = {"sample": 0.03, "code": 0.003}  # at first; they fall to 0, so that no end is a bad moment
SEED = 0


@dataclass(frozen=True, kw_only=True)
class Options:
    """What the flags are."""

    data_dir: tuple[str, ...] = with_default(CorpusOptions, "data_dir", MISSING)
    codes_from: str | None = with_default(TrainingOptions, "codes_from", None)
    skip_unusable: bool = with_default(TrainingOptions, "skip_unusable", False)
    batch_size: int = with_default(TrainingOptions, "batch_size", 8)
    output_dir: str = option("./predictability", PATH, "folder for profile.csv and profile.png")
    steps: int = option(600, whole(1), "steps of training for each receptive field")


def main():
    options = Options(**Parser(__doc__.splitlines()[0], options_of(Options)).parse())
    folder = Path(options.output_dir)
    beginning = beginning_of(options)
    make_writable_folder("--output_dir", folder)
    prepare_device()
    beginning.make_codes(training_options(options))
    profiles = {"sample": {}} | ({"code": {}} if beginning.chain else {})
    for unit, profile in profiles.items():
        split, hop = (beginning.audio, 1) if unit == "sample" else (beginning.split, beginning.hop)
        config = OF_SAMPLES if unit == "sample" else beginning.config
        for receptive_field in [field for field in RECEPTIVE_FIELDS if field * hop <= RECEPTIVE_FIELDS[-1]]:
            config = replace(config, receptive_field=receptive_field)
            nll = held_out_nll(config, split, options, LEARNING_RATES[unit])
            profile[receptive_field * hop] = nll
            print(f"receptive field {receptive_field:4}: {nll:.3f} nats, {nll / log(2):.3f} bits a {unit}", flush=True)
            write_whole(folder / "profile.csv", as_csv(profiles, options.steps))
    with written_aside(folder / "profile.png") as aside:
        aside.write_bytes(draw(profiles, heard_by_code(beginning)))
    print(f"Look: {folder / 'profile.png'}")


def training_options(options):
    """Those that say what is trained on and what is held out; codes come into the folder of the profile."""
    return TrainingOptions(
        data_dir=options.data_dir,
        codes_from=options.codes_from,
        skip_unusable=options.skip_unusable,
        batch_size=options.batch_size,
        logdir_root=options.output_dir,
    )


def beginning_of(options):
    """The recordings, and their codes if there are any, on the same sides for all."""
    from samplernn.training.beginning import beginning_with

    return beginning_with(OF_CODES if options.codes_from else OF_SAMPLES, training_options(options))


def heard_by_code(beginning):
    """How many samples a code depends on; 0 where there are none."""
    heard = 1 if beginning.chain else 0
    for decoder in beginning.chain:  # from the top down
        heard = heard * decoder.config.codes.hop + 2 * decoder.config.codes.context
    return heard


def held_out_nll(config, split, options, learning_rate):
    """That of a predictor after its steps of training, in nats an item."""
    import keras

    from samplernn.corpus.loader import Loader
    from samplernn.training.loop import evaluate
    from samplernn.training.steps import initial_state, model_to_train, train_step, validation_step

    keras.utils.set_random_seed(SEED)
    model = model_to_train(config, training_options(options))
    loader, step = Loader(config, options.batch_size), train_step(model)
    state = initial_state(model, options.batch_size)
    epochs = (loader.training_epoch(split.training, SEED, epoch)[1] for epoch in itertools.count())
    for number, window in enumerate(itertools.islice(itertools.chain.from_iterable(epochs), options.steps)):
        model.optimizer.learning_rate.assign(learning_rate * (1 - number / options.steps))
        *_, state = step(*window, state)
    return evaluate(model, validation_step(model), loader, split.validation)["loss"]


def as_csv(profiles, steps):
    """The NLL of each receptive field, which is in samples."""
    rows = [
        f"{unit},{field},{nll:.4f},{nll / log(2):.4f},{steps}"
        for unit, profile in profiles.items()
        for field, nll in profile.items()
    ]
    return "\n".join(["of,receptive_field,nll_nats,nll_bits,steps", *rows]) + "\n"


def draw(profiles, heard):
    """A PNG of the NLL in nats over the receptive field, with a line at what is heard by a code, if anything is."""
    from matplotlib.figure import Figure  # a figure of pyplot's would look for a screen

    figure = Figure(figsize=(7, 4), dpi=100, layout="constrained")
    axes = figure.add_subplot()
    for unit, profile in profiles.items():
        axes.plot(profile.keys(), profile.values(), marker="o", label=f"a {unit}")
    axes.set_xscale("symlog", base=2, linthresh=1)
    axes.set_xticks([*profiles["sample"]], [*profiles["sample"]])
    if heard:
        axes.axvline(heard, color="gray", linestyle="--", label="heard by a code")
    axes.legend()
    axes.set(xlabel="receptive field, samples", ylabel="nats, on held-out files", title="Predictability")
    axes.grid(alpha=0.3)
    png = io.BytesIO()
    figure.savefig(png, format="png")
    return png.getvalue()


if __name__ == "__main__":
    cli.run(main)
