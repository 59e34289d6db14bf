"""What train.py says before, while and after it trains, but for the steps and epochs."""

import json
import re
import shlex
import sys
from dataclasses import replace
from pathlib import Path

import keras
import pytest
from trainings import runs

from samplernn.checkpoints import run_folders
from samplernn.commands import cli
from samplernn.generation.generate import generate_from_checkpoints
from samplernn.models.autoencoder.config import VQVAEConfig
from samplernn.models.memory import expected_memory
from samplernn.models.registry import load_config
from samplernn.models.samplernn.config import SampleRNNConfig
from samplernn.models.samplernn.model import SampleRNN
from samplernn.models.wavenet.config import WaveNetConfig
from samplernn.options.train import TrainingOptions
from samplernn.system.progress import StepLines
from samplernn.training import callbacks, overview
from samplernn.training.callbacks import EarlyStopping, PrintStatistics, TimeLeft
from samplernn.training.loop import Progress
from samplernn.training.resuming import Resumed
from samplernn.training.train import train


@pytest.mark.network
def test_what_is_trained_is_said_before_and_how_it_ended_after(options, capsys, monkeypatch):
    train(options)
    before, after = re.split(r"(?:Epoch: .*\n)+(?:Time left.*\n)?(?:Epoch: .*\n)+", capsys.readouterr().out)
    (run,) = runs(options)
    model = SampleRNN(load_config(options.config_file))
    tiers = {
        tier: sum(variable.shape.num_elements() for variable in layer.trainable_variables)
        for tier, layer in zip(("tier of 16", "tier of 4", "sample tier"), (*model.tiers, model.sample_mlp))
    }
    parameters = ", ".join(f"{number:,} in the {tier}" for tier, number in tiers.items())
    screen = {
        "Corpus": "6 files, less than a second at 16000 Hz",  # 6 · 640 samples
        "To train on": "4 files, less than a second",
        "To validate": "2 files, less than a second",
        "Parameters": f"{model.count_params():,}: {parameters}",
        "Memory": "about 1.0 GB",
        "An epoch": "10 steps of 2 windows of 128 samples",  # 4 files of 5 windows each
        "Run folder": str(run),
    }
    assert before.splitlines()[-7:] == [f"{name:13}{text}" for name, text in screen.items()]
    done, best, command = after.splitlines()[-3:]
    assert done == (
        f"Epoch 2 of 2 is done. To go on after epoch 2, train again with --resume_from {run / 'model.ckpt-2'}"
        " and a larger --num_epochs"
    )
    assert re.fullmatch(r"The best checkpoint kept is model.ckpt-[12], val_loss \d\.\d{3}\. To generate from it:", best)
    assert command.startswith("python ")
    monkeypatch.setattr(sys, "argv", [*shlex.split(command)[1:], "--dur", "0.01", "--jit_compile", "False"])
    (wav,) = generate_from_checkpoints(cli.generation_options())
    assert wav.parent == Path(options.output_dir, "test")


def test_a_trial_of_a_search_says_less(options, capsys):
    train(options, report=False)
    assert all(line.startswith("Epoch: ") for line in capsys.readouterr().out.splitlines())


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"rnn_type": "lstm"},
        {"skip_conn": True, "num_rnn_layers": 2},
        {"frame_sizes": (16,)},
        {"frame_sizes": (2, 4, 16, 32), "weight_norm": True},
        {"rnn_type": "lstm", "learned_initial_state": True},
        {"network": "deepsound", "q_type": "linear", "weight_norm": True, "learned_initial_state": True},
    ],
)
def test_parameters_are_counted_by_tier(changes):
    config = SampleRNNConfig(**{"dim": 8, "emb_size": 4, "frame_sizes": (4, 16)} | changes)
    model = SampleRNN(config)
    tiers = [
        sum(variable.shape.num_elements() for variable in tier.trainable_variables)
        for tier in (*model.tiers, model.sample_mlp)
    ]
    assert list(config.parameters.values()) == tiers and config.num_parameters == sum(tiers)


MEASURED = [  # bytes at the peak of a process that trained for two steps, on a CPU: docs/performance.md
    ({"dim": 128, "num_rnn_layers": 1, "seq_len": 512}, 4, "adam", 1.01e9),
    ({"dim": 256, "num_rnn_layers": 1, "seq_len": 1024}, 64, "adam", 1.70e9),
    ({"dim": 1024, "num_rnn_layers": 4, "seq_len": 512}, 8, "adam", 2.48e9),
    ({"dim": 1024, "num_rnn_layers": 1, "seq_len": 1024, "rnn_type": "lstm"}, 16, "adam", 2.16e9),
    ({"dim": 512, "num_rnn_layers": 2, "seq_len": 512}, 16, "sgd", 1.30e9),
    ({"dim": 256, "num_rnn_layers": 2, "seq_len": 512, "q_type": "linear", "q_levels": 2048}, 32, "adam", 1.86e9),
]


@pytest.mark.parametrize(("config", "batch_size", "optimizer", "measured"), MEASURED)
def test_the_expected_memory_is_about_what_was_measured(config, batch_size, optimizer, measured):
    expected = expected_memory(SampleRNNConfig(**config), batch_size, optimizer)
    assert expected == pytest.approx(measured, rel=0.1)


MEASURED_OF_WAVENETS = [
    ({}, 8, 1.30e9),
    ({"seq_len": 2048}, 32, 5.25e9),
    ({"num_stages": 13, "filter_length": 3}, 8, 1.82e9),
    ({"num_repeats": 1, "num_stages": 15}, 8, 1.42e9),
    (
        {
            "seq_len": 1024,
            "num_repeats": 3,
            "residual_size": 512,
            "inner_size": 512,
            "skip_size": 256,
            "filter_length": 3,
        },
        1,
        2.70e9,
    ),
]


@pytest.mark.parametrize(("config", "batch_size", "measured"), MEASURED_OF_WAVENETS)
def test_the_expected_memory_of_wavenets_is_about_what_was_measured(config, batch_size, measured):
    expected = expected_memory(WaveNetConfig(**{"seq_len": 512} | config), batch_size, "adam")
    assert expected == pytest.approx(measured, rel=0.2)


MEASURED_OF_AUTOENCODERS = [
    ({}, 1, 1.74e9),
    ({}, 8, 1.95e9),
    ({}, 32, 2.80e9),
    ({"seq_len": 4096}, 8, 3.33e9),
    ({"hop": 64}, 8, 2.24e9),
]


@pytest.mark.parametrize(("config", "batch_size", "measured"), MEASURED_OF_AUTOENCODERS)
def test_the_expected_memory_of_autoencoders_is_about_what_was_measured(config, batch_size, measured):
    assert expected_memory(VQVAEConfig(**config), batch_size, "adam") == pytest.approx(measured, rel=0.1)


class Clock:
    """A clock that only moves when it is told to."""

    def __init__(self, monkeypatch):
        self.now = 1000.0
        monkeypatch.setattr(callbacks.time, "monotonic", lambda: self.now)


@pytest.fixture
def run_epochs(monkeypatch):
    """A function that plays epochs, and what is printed meanwhile, to `TimeLeft`."""

    def play(epochs, steps, first_step, step, between):
        clock, callback = Clock(monkeypatch), TimeLeft(epochs, StepLines(all_stay=True))
        callback.set_params({"steps": steps})
        callback.on_train_begin()
        for epoch in range(epochs):
            callback.on_epoch_begin(epoch)
            for batch in range(steps):
                clock.now += first_step if (epoch, batch) == (0, 0) else step
                callback.on_train_batch_end(batch, {})
            clock.now += between
        monkeypatch.undo()

    return play


def test_the_time_left_is_extrapolated(run_epochs, capsys):
    """100 steps of 2 s, of which the first takes a minute more, and 50 s between two epochs."""
    run_epochs(3, 100, 62, 2, 50)
    assert capsys.readouterr().out.splitlines() == [
        # After 10 steps beside the first; what comes between is not known: 89·2, and 2·200 more.
        "Time left: about 2 min 58 sec in this epoch, 9 min 38 sec in all",
        "Time left: about 1 min 58 sec in this epoch, 8 min 38 sec in all",
        "Time left: about 58 sec in this epoch, 7 min 38 sec in all",
        "Time left: about 4 min 10 sec in this epoch, 8 min 20 sec in all",  # 2·(200 + 50)
        "Time left: about 3 min 10 sec in this epoch, 7 min 20 sec in all",
        "Time left: about 2 min 10 sec in this epoch, 6 min 20 sec in all",
        "Time left: about 1 min 10 sec in this epoch, 5 min 20 sec in all",
        "Time left: about 4 min 10 sec in this epoch, 4 min 10 sec in all",
        "Time left: about 3 min 10 sec in this epoch, 3 min 10 sec in all",
        "Time left: about 2 min 10 sec in this epoch, 2 min 10 sec in all",
        "Time left: about 1 min 10 sec in this epoch, 1 min 10 sec in all",
    ]


@pytest.mark.parametrize(
    ("steps", "step", "said"),
    [
        (100, 0.5, ["40 sec", "51 sec"]),  # ten seconds are later than ten steps: 80 are left by then
        (5, 3, ["16 sec"]),  # before ten steps the epoch is over
        (1, 3, []),  # the first step tells nothing
    ],
)
def test_the_time_left_is_first_said_when_something_is_known(run_epochs, capsys, steps, step, said):
    run_epochs(2, steps, step, step, 1)
    assert re.findall(r"about (.*) in this", capsys.readouterr().out) == said


def test_less_than_a_second_is_not_about_none(run_epochs, capsys):
    run_epochs(2, 30, 12, 0.01, 0.01)
    assert (
        capsys.readouterr().out.splitlines()[0]
        == "Time left: less than a second in this epoch, less than a second in all"
    )


def test_the_time_left_stands_on_a_line_of_its_own(monkeypatch, capsys):
    clock, lines = Clock(monkeypatch), StepLines(all_stay=False)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    both = [PrintStatistics(1, lines), TimeLeft(1, lines)]
    for callback in both:
        callback.set_params({"steps": 20})
        callback.on_train_begin()
        callback.on_epoch_begin(0)
    for batch in range(20):
        for callback in both:
            callback.on_train_batch_begin(batch)
        clock.now += 1
        for callback in both:
            callback.on_train_batch_end(batch, {"loss": 5.0, "accuracy": 0.5})
    lines = capsys.readouterr().out.split("\n")
    assert lines[1] == "Time left: about 9 sec in this epoch, 9 sec in all"
    assert ["Step: 11/20" in lines[0], "Step: 12/20" in lines[2], "Step: 20/20" in lines[2]] == [True] * 3
    assert lines[3:] == [""]


@pytest.mark.parametrize(
    ("monitor", "values", "patience", "said", "more"),
    [
        ("val_loss", [5.0, 4.0, 4.5, 4.0], 2, "not improved since epoch 2, when it was 4.000.", 4),
        ("val_accuracy", [0.5, 0.4, 0.3, 0.2], 3, "not improved since epoch 1, when it was 50.000%.", 6),
    ],
)
def test_why_it_stopped_early_and_with_how_much_patience_it_goes_on(monitor, values, patience, said, more):
    progress = Progress(len(values), history=[{monitor: value} for value in values])
    options = TrainingOptions(data_dir="", monitor=monitor, early_stopping_patience=patience)
    line = overview.why_ended(options, progress, True, "To go on, train again")
    assert said in line and line.endswith(f"To go on, train again --early_stopping_patience {more}")
    model = keras.Sequential()
    for given, stops in ((more, False), (len(values) - 1 - values.index(max(values)) if "acc" in monitor else 2, True)):
        callback = EarlyStopping(monitor, given, progress)
        callback.set_model(model)
        model.stop_training = False
        callback.on_train_begin()
        assert model.stop_training == stops


@pytest.mark.long
def test_the_best_checkpoint_is_found_through_all_runs_that_went_on_from_each_other(options, capsys):
    """By a learning rate at which the first epoch is the best for ever."""
    options = replace(options, learning_rate=1e-12, monitor="val_accuracy", early_stopping_patience=None)
    for num_epochs in (2, 3, 4):
        train(replace(options, num_epochs=num_epochs, max_checkpoints=1))
    assert capsys.readouterr().out.count("The best checkpoint kept is model.ckpt-1, val_accuracy") == 3
    train(replace(options, num_epochs=1, resume=False, random_seed=7))
    train(replace(options, num_epochs=2))
    (first, *_, fourth, _) = sorted(Path(options.logdir_root, options.id).iterdir())
    assert f"--checkpoint_path {fourth / 'model.ckpt-1'} " in capsys.readouterr().out.splitlines()[-1]


def test_a_run_that_stopped_early_goes_on_as_it_says(options, capsys):
    options = replace(options, num_epochs=9, learning_rate=1e-12, monitor="val_accuracy")
    train(replace(options, early_stopping_patience=1))
    said = re.search(r"--resume_from (\S+) --early_stopping_patience (\d)", capsys.readouterr().out)
    train(replace(options, resume_from=said[1], early_stopping_patience=int(said[2])))
    first, second = runs(options)
    assert run_folders.epoch_of(run_folders.latest_in(first)) == 2
    assert run_folders.epoch_of(run_folders.latest_in(second)) == 3


def write_checkpoints(folder, *names):
    folder.mkdir()
    for name in names:
        for suffix in ("index", "data-00000-of-00001"):
            (folder / f"{name}.{suffix}").touch()
    return folder


@pytest.mark.parametrize(
    ("here", "before", "resumed", "monitor", "best", "value"),
    [
        (["model.ckpt-2", "model.ckpt-3"], [], None, "val_loss", "here/model.ckpt-3", 2.5),  # epoch 1's is gone
        (["model.ckpt-1", "model.ckpt-2", "model.ckpt-4"], [], None, "val_loss", "here/model.ckpt-1", 2.0),
        (["model.ckpt-1", "model.ckpt-3"], [], None, "val_accuracy", "here/model.ckpt-3", 0.3),
        (["model.ckpt-3", "model.ckpt-4"], ["model.ckpt-1"], "model.ckpt-1", "val_loss", "before/model.ckpt-1", 2.0),
        (["model.ckpt-3", "model.ckpt-4"], ["model.ckpt-1", "model.ckpt-2"], "model.ckpt-2", "val_accuracy",
         "here/model.ckpt-3", 0.3),
        # Nothing kept here: the best until what was resumed; what was trained on from there then is another history.
        (["resume.ckpt-4-0"], ["model.ckpt-2", "model.ckpt-3"], "model.ckpt-2", "val_loss", "before/model.ckpt-2", 3.0),
        (["resume.ckpt-4-0"], ["model.ckpt-1", "resume.ckpt-2-7"], "resume.ckpt-2-7", "val_loss",
         "before/model.ckpt-1", 2.0),
        (["resume.ckpt-4-0"], [], None, "val_loss", "here/resume.ckpt-4-0", 3.5),
        ([], ["resume.ckpt-3-2"], "resume.ckpt-3-2", "val_loss", "before/resume.ckpt-3-2", None),
    ],
)  # fmt: skip
def test_the_best_checkpoint_is_one_that_is_there(tmp_path, here, before, resumed, monitor, best, value):
    history = [
        {"loss": 1.0, "accuracy": 0.1, "val_loss": loss, "val_accuracy": 0.1 * (number % 4)}
        for number, loss in enumerate((2.0, 3.0, 2.5, 3.5), 1)
    ]
    write_checkpoints(tmp_path / "before", *before)
    for name in map(Path, before):
        own = history[: run_folders.epoch_of(name)]
        if run_folders.place_of(name) > run_folders.place_of(Path(resumed)):  # it went on in another way
            own[-1] = own[-1] | {"val_loss": 0.0}
        (tmp_path / "before" / f"{name}.json").write_text(json.dumps({"config": {}, "history": own}))
    resumed = resumed and Resumed(tmp_path / "before" / resumed, "")
    folder = write_checkpoints(tmp_path / "here", *here)
    found = overview.best_checkpoint(monitor, Progress(4, history=history), folder, resumed)
    assert found == (tmp_path / best, pytest.approx(value))


def test_epochs_that_the_history_does_not_tell_of_are_not_the_best(tmp_path):
    """After a checkpoint of PRiSM's, of epoch 4, whose history is not known."""
    prism = write_checkpoints(tmp_path / "prism", "model.ckpt-3", "model.ckpt-4")
    folder = write_checkpoints(tmp_path / "run")
    resumed, progress = Resumed(prism / "model.ckpt-4", ""), Progress(6, history=[{"loss": 2.0}, {"loss": 3.0}])
    assert overview.best_checkpoint("loss", progress, folder, resumed) == (prism / "model.ckpt-4", None)
    write_checkpoints(tmp_path / "run_2", "model.ckpt-5", "model.ckpt-6")
    assert overview.best_checkpoint("loss", progress, tmp_path / "run_2", resumed) == (
        tmp_path / "run_2" / "model.ckpt-5", 2.0
    )  # fmt: skip
