"""Searches: the space, a trial, what is kept and told of them. Trials are real trainings of tiny models."""

import csv
import json
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
import tensorflow as tf
from conftest import ROOT, TINY
from tensorboard.plugins.hparams import metadata

from samplernn.checkpoints import run_folders
from samplernn.checkpoints.settings import model_config, read_settings
from samplernn.commands import cli
from samplernn.models.samplernn.config import SampleRNNConfig
from samplernn.options.train import TrainingOptions
from samplernn.options.values import Range
from samplernn.search.options import KerasTunerOptions, RayTuneOptions
from samplernn.search.results import announce, best_checkpoint, train_command, winner_of, write_table
from samplernn.search.search import Search, Trial
from samplernn.search.space import from_json, hyperparameters, meant, scalars
from samplernn.system import process
from samplernn.system.errors import InputError, RunError
from samplernn.system.process import in_own_process
from samplernn.training.train import train

TINY_SPACE = {name: (value,) for name, value in from_json("samplernn", TINY).items()} | {"batch_size": (2,)}


@pytest.fixture
def options(tmp_path, make_corpus, toy):
    return KerasTunerOptions(
        data_dir=(str(make_corpus([640] * 6)),),
        logdir=str(tmp_path / "searches"),
        id="test",
        num_epochs=2,
        jit_compile=False,
        space=TINY_SPACE,
    )


@pytest.fixture
def search(options):
    search = Search(options)
    search.check()
    with search.begun():
        yield search


def among(options, **values):
    """The options with these values to search among."""
    return replace(options, space=options.space | values)


def only_point(options):
    return {name: values[0] for name, values in options.space.items()}


def record(name, values, ended="3 epochs", **hyperparameters):
    """A trial whose val_loss, and accuracy, took these values."""
    history = [{"val_loss": value, "accuracy": value} for value in values]
    return Trial(name, hyperparameters, 0.0, "here", 1.0, history, ended=ended)


# --- The space ---


def parse(monkeypatch, parser, line):
    monkeypatch.setattr(sys, "argv", ["script.py", *shlex.split(line)])
    return parser()


@pytest.mark.parametrize("parser", [cli.keras_tuner_options, cli.ray_tune_options])
def test_the_documented_command_is_the_space_it_reads_as(monkeypatch, parser):
    line = (
        "--data_dir path/to/dataset --num_epochs 20 --frame_sizes 16 64 --frame_sizes 128 --frame_sizes 2 4 16 64"
        " --batch_size 32 64 128"
        " --seq_len 512 1024 --num_rnn_layers 2 4 --skip_conn true False"
    )
    options = parse(monkeypatch, parser, line)
    space = scalars(options.space)
    assert list(space) == [*vars(SampleRNNConfig()), "batch_size", "optimizer", "learning_rate", "momentum"]
    assert space["frame_sizes"] == ["16 64", "128", "2 4 16 64"]
    assert space["batch_size"] == [32, 64, 128]
    assert space["seq_len"] == [512, 1024]
    assert space["num_rnn_layers"] == [2, 4]
    assert space["skip_conn"] == [True, False]
    assert space["dim"] == [1024] and space["rnn_type"] == ["gru"] and space["momentum"] == [0.9]
    assert (options.num_epochs, options.objective, options.type) == (20, "val_loss", "bayesian")


def test_what_a_library_chose_becomes_what_was_meant(options):
    space = options.space | {
        "frame_sizes": ((4, 16), (8,)),
        "skip_conn": (True, False),
        "rnn_dropout": (0.0, 0.5),
    }
    chosen = {name: values[-1] for name, values in scalars(space).items()}
    choice = meant(space, {**chosen, "skip_conn": 0, "rnn_dropout": 0})
    assert choice["frame_sizes"] == (8,)
    assert choice["skip_conn"] is False
    assert choice["rnn_dropout"] == 0.0 and isinstance(choice["rnn_dropout"], float)


def test_a_value_given_twice_is_searched_once(options):
    assert replace(options, space={"dim": (8, 16, 8)}).space["dim"] == (8, 16)


def test_a_number_may_be_given_as_a_range(monkeypatch):
    line = "--data_dir d --model vqvae --codebook_rate 1e-4..1e-2 --commitment 0.1..10 --num_stages 2..8 --hop 8 16"
    space = parse(monkeypatch, cli.ray_tune_options, line).space
    assert (space["codebook_rate"], space["commitment"]) == (Range(0.0001, 0.01), Range(0.1, 10.0))
    assert space["num_stages"] == Range(2, 8) and space["hop"] == (8, 16)
    assert scalars(space)["num_stages"] == Range(2, 8)
    chosen = {name: values[0] for name, values in scalars(space).items() if isinstance(values, list)}
    choice = meant(space, chosen | {"codebook_rate": 0.01000001, "commitment": 0.5, "num_stages": 3.0})
    assert (choice["codebook_rate"], choice["commitment"], choice["hop"]) == (0.01, 0.5, 8)
    assert choice["num_stages"] == 3 and isinstance(choice["num_stages"], int)


def test_networks_of_rolls_are_searched_and_a_value_may_have_a_space(monkeypatch):
    line = "--data_dir d --model pianoroll --layer_sizes 6 5 --layer_sizes 8 --cost 'squared error' cross-entropy"
    space = parse(
        monkeypatch, cli.ray_tune_options, f"{line} --steps_per_beat 4 2 --note_range 60 72 --dropout 0.1..0.5"
    ).space
    assert space["layer_sizes"] == ((6, 5), (8,)) and space["cost"] == ("squared error", "cross-entropy")
    assert (space["steps_per_beat"], space["dt"], space["note_range"]) == ((4, 2), (None,), ((60, 72),))
    assert scalars(space)["note_range"] == ["60 72"] and scalars(space)["dt"] == ["None"]


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ("--learning_rate 0..1", "--learning_rate: 0 is not a number above 0"),
        ("--rnn_dropout 0..0.5", "--rnn_dropout: 0..0.5 is not a range from a number above 0 to a larger one"),
        ("--rnn_dropout 0.1..1.5", "--rnn_dropout: 1.5 is not a number from 0 to below 1"),
        ("--learning_rate 0.1..0.1", "--learning_rate: 0.1..0.1 is not a range from a number"),
        ("--learning_rate 0.1..0.01", "--learning_rate: 0.1..0.01 is not a range from a number"),
        ("--learning_rate 1..2..3", r"--learning_rate: 2\.\.3 is not a number"),
        ("--learning_rate ..", "--learning_rate: .. is not a range from a number above 0 to a larger one, such as"),
        ("--learning_rate 0.1..0.2 0.5", "--learning_rate 0.1..0.2 0.5: a range stands alone"),
        ("--dim 8.5..9", "--dim: 8.5 is not a whole number"),
        ("--seq_len 512..600", "--seq_len 600: seq_len is 600; it must be a multiple of"),
        ("--seq_len 512..640", "--seq_len 513: seq_len is 513; it must be a multiple of"),
        ("--frame_sizes 4..16", "--frame_sizes: 4..16 is not a whole number"),
        ("--rnn_type gru..lstm", "--rnn_type: gru..lstm is none of gru, lstm"),
        ("--dim 1000000..1048576", "the network would hold"),
        ("--dim 1..1048576 --emb_size 1..1000", "--dim 1048576 --emb_size 1: the network would hold"),
    ],
)
def test_what_is_no_range_is_refused(monkeypatch, flags, said):
    with pytest.raises(InputError, match=said):
        parse(monkeypatch, cli.ray_tune_options, f"--data_dir d {flags}")


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ("--frame_sizes 16 64 --frame_sizes 32 128 --seq_len 512 192", "--seq_len 192 --frame_sizes 32 128: seq_len"),
        ("--frame_sizes 64 16", "in ascending order"),
        ("--dim 64 99999999", "--dim: 99999999 is not a whole number from 1 to 1048576"),
        ("--dim 5000 --num_rnn_layers 16", "--dim 5000 --num_rnn_layers 16: the network would hold 5373205792 numbers"),
        ("--network prism deepsound", '--network deepsound: q_type is "mu-law"; it must be "linear"'),
        ("--dim 64 1048576", "--dim 1048576: the network would hold 76970515824896 numbers"),
        (
            "--frame_sizes 16 32 48",
            r"--frame_sizes 16 32 48: frame_sizes is \[16, 32, 48\]; it must be such that 48 is a multiple of 32",
        ),
        (
            "--model pianoroll --dt 0.1 --steps_per_beat 4",
            "--dt 0.1 --steps_per_beat 4: dt is 0.1, and steps_per_beat is 4",
        ),
        ("--model pianoroll --dt 0.1..0.5", r"--dt: 0.1..0.5 is not a number from 1e-06 to 10, nor None"),
        (
            "--model pianoroll --codes_from x",
            "--codes_from: a network of the search would learn rolls; leave it out, for",
        ),
    ],
)
def test_a_space_with_an_impossible_model_is_refused(monkeypatch, flags, said):
    with pytest.raises(InputError, match=said):
        parse(monkeypatch, cli.keras_tuner_options, f"--data_dir d {flags}")


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ("--type pbt", "--type pbt changes learning_rate and rnn_dropout in flight: give several values"),
        ("--perturb_every 2", "--perturb_every, --burn_in: only --type pbt compares members; leave them out"),
        ("--type random_search --burn_in 1", "--perturb_every, --burn_in: only --type pbt compares members"),
        ("--type pbt --learning_rate 0.001..0.1 --num_trials 1", "--num_trials 1: a population has two members"),
        ("--type pbt --learning_rate 0.001..0.1 --burn_in 20", "--burn_in 20: the members would not be compared"),
        ("--type pbt --learning_rate 0.1 0.2 --perturb_every 9 --num_epochs 9", "after --num_epochs 9; give more"),
        ("--address 10.0.0.1:6379 --num_cpus 2", "--address: a cluster's CPUs and GPUs are all used"),
    ],
)
def test_flags_of_ray_tune_that_contradict_each_other(monkeypatch, flags, said):
    with pytest.raises(InputError, match=said):
        parse(monkeypatch, cli.ray_tune_options, f"--data_dir d {flags}")


@pytest.mark.parametrize("value", ["-1", "1.5", "nan"])
def test_gpus_per_trial_is_a_part_of_one_or_whole_ones(monkeypatch, value):
    with pytest.raises(InputError, match="--gpus_per_trial"):
        parse(monkeypatch, cli.ray_tune_options, f"--data_dir d --gpus_per_trial {value}")
    for value, expected in (("0.25", 0.25), ("2", 2), ("0", 0), ("auto", None)):
        assert (
            parse(monkeypatch, cli.ray_tune_options, f"--data_dir d --gpus_per_trial {value}").gpus_per_trial
            == expected
        )


# --- A search's folder ---


def test_a_corpus_too_small_for_some_trial_is_refused_before_anything_is_written(options):
    search = Search(among(options, batch_size=(2, 4)))
    with pytest.raises(InputError, match="--batch_size 4 needs 8 files.* --batch_size 3 would do"):
        search.check()
    assert not Path(options.logdir).exists()


def test_a_search_says_once_that_the_validation_flatters(options, overlapping_chunks, caplog):
    options = replace(options, data_dir=(str(overlapping_chunks),), num_epochs=1)
    search = Search(options)
    flatters = "with files that are trained on: the validation loss flatters; "

    def remarks():
        found = [record.getMessage() for record in caplog.records if flatters in record.getMessage()]
        caplog.clear()
        return [message.partition(flatters)[2] for message in found]

    search.check()
    assert remarks() == ["--hold_out recordings holds whole recordings out, --hold_out time a stretch of each."]
    with search.begun():
        assert not search.run_trial("0", only_point(options)).failed
    assert remarks() == []
    Search(options).check()
    assert remarks() == [
        "with another --id, --hold_out recordings holds whole recordings out, --hold_out time a stretch of each."
    ]
    Search(replace(options, id="other", hold_out="recordings")).check()
    assert remarks() == []
    with pytest.raises(InputError, match=r"holds another search \(hold_out files, now recordings\)"):
        Search(replace(options, hold_out="recordings")).check()


def test_a_search_that_is_running_is_left_alone(options, search):
    with pytest.raises(InputError, match="--id test: the search in .* is running"), Search(options).begun():
        pass


def test_a_range_is_part_of_what_a_search_is(options):
    ranged = among(options, learning_rate=Range(0.001, 0.1), batch_size=Range(2, 3))
    Search(ranged).check()
    with Search(ranged).begun():
        pass
    Search(ranged).check()
    with pytest.raises(InputError, match=r"\(learning_rate 0.001\.\.0.1, now 0.001\.\.0.2\); choose another --id"):
        Search(among(ranged, learning_rate=Range(0.001, 0.2))).check()
    with pytest.raises(InputError, match="--batch_size 4 needs 8 files"):
        Search(among(ranged, batch_size=Range(2, 4))).check()


def test_the_order_of_values_makes_no_other_search(options):
    with Search(among(options, dim=(8, 16), frame_sizes=((4, 16), (8, 16)))).begun():
        pass
    Search(among(options, dim=(16, 8), frame_sizes=((8, 16), (4, 16)))).check()


def test_a_search_goes_on_that_an_earlier_version_began_without_some_hyperparameters(options):
    search, later = Search(options), ("learned_initial_state", "weight_norm", "network", "hold_out")
    with search.begun():
        trial = search.run_trial("0", only_point(options))
    for path, values in (
        (search.folder / "search.json", None),
        (search.folder / "trial_0/trial.json", "hyperparameters"),
    ):
        content = json.loads(path.read_text())
        known = content[values] if values else content
        assert all(known.pop(name, None) is not None for name in later if name in known or name != "hold_out")
        path.write_text(json.dumps(content))
    again = Search(options)
    again.check()
    assert again.trial("0").hyperparameters == trial.hyperparameters
    write_table(again)
    chosen = {name: value for name, value in scalars(options.space).items() if name not in later}
    assert meant(options.space, {name: value[0] for name, value in chosen.items()}) == trial.hyperparameters


def test_what_is_damaged_is_named(options, search):
    (search.folder / "trial_0").mkdir()
    (search.folder / "trial_0" / "trial.json").touch()
    with pytest.raises(InputError, match="trial_0/trial.json: not valid JSON .*; move it away, or choose another --id"):
        write_table(search)
    for content in ("[]", "{}", '{"hyperparameters": []}', "3"):
        (search.folder / "trial_0" / "trial.json").write_text(content)
        with pytest.raises(InputError, match="trial_0/trial.json: not the record of a trial; move it away, or"):
            write_table(search)
    (search.folder / "search.json").write_text("[]")
    with pytest.raises(InputError, match="search.json: not the options of a search; move it away, or choose"):
        search.check()


def test_batches_that_devices_cannot_share_are_refused_first(options):
    with pytest.raises(InputError, match="--batch_size 2 cannot be split evenly between 4 devices"):
        Search(options).check(devices=4)


def test_trials_get_all_folders_with_their_weights_wherever_they_run(options, make_corpus, monkeypatch, tmp_path):
    make_corpus([640] * 4, folder="more")
    monkeypatch.chdir(tmp_path)
    options = replace(options, data_dir=("corpus:2", "more"))
    search, seen = Search(options), []
    monkeypatch.setattr("samplernn.training.train.train", lambda options, *_, **__: seen.append(options.data_dir))
    with search.begun():
        search.check()
        search.run_trial("0", only_point(options))
    assert seen == [(f"{tmp_path}/corpus:2.0", f"{tmp_path}/more")]
    Search(replace(options, data_dir=(str(tmp_path / "corpus:2"), "./more"))).check()
    for other in [("more", "corpus:2"), ("corpus:3", "more"), ("corpus:2",)]:
        with pytest.raises(InputError, match=r"holds another search \(data_dir .*/corpus:2\.0 .*/more, now "):
            Search(replace(options, data_dir=other)).check()


def test_a_folder_is_gone_on_with_by_the_same_search_only(options, search):
    Search(replace(options, max_trials=99)).check()
    with pytest.raises(InputError, match=r"holds another search \(dim \[8\], now \[8, 16\]\); choose another --id"):
        Search(among(options, dim=(8, 16))).check()
    other = {key: value for key, value in vars(options).items() if key != "max_trials"}
    with pytest.raises(InputError, match="tuner KerasTunerOptions, now RayTuneOptions"):
        Search(RayTuneOptions(**other)).check()


# --- A trial ---


def test_a_trial_trains_as_train_py_does_and_the_printed_command_repeats_it(options, tmp_path, monkeypatch, capsys):
    options = replace(among(options, learning_rate=(0.004,), rnn_dropout=(0.2,)), val_frac=0.4, random_seed=3)
    options = replace(options, hold_out="recordings")
    search, reported = Search(options), []
    with search.begun():
        pass
    trial = search.run_trial(
        "7", only_point(options), lambda history, checkpoint: reported.append((len(history), checkpoint))
    )
    assert trial == search.trial("7")
    assert (trial.ended, len(trial.history), trial.failed) == ("2 epochs", 2, False)
    assert [epochs for epochs, _ in reported] == [1, 2]
    assert reported[-1][1] == run_folders.latest(search.folder / "trial_7") == Path(trial.checkpoint)
    announce(search, winner_of(search))
    command = capsys.readouterr().out.splitlines()[-1]
    assert (
        command.startswith(f"python {shlex.quote(str(ROOT / 'train.py'))} --data_dir") or "python train.py" in command
    )
    assert json.loads((search.folder / "best.config.json").read_text())["rnn_dropout"] == 0.2

    monkeypatch.setattr(sys, "argv", shlex.split(command)[1:])
    full = cli.training_options()
    assert full == TrainingOptions(
        data_dir=options.data_dir, id="test_trial_7", config_file=str(search.folder / "best.config.json"), batch_size=2,
        learning_rate=0.004, val_frac=0.4, hold_out="recordings", random_seed=3, jit_compile=False,
    )  # fmt: skip
    train(replace(full, logdir_root=str(tmp_path / "full"), num_epochs=2, generate=False))
    repeated = read_settings(run_folders.latest(tmp_path / "full" / "test_trial_7"))
    assert repeated["history"] == trial.history


def test_a_command_names_every_flag_that_is_not_at_its_default(monkeypatch, tmp_path):
    options = TrainingOptions(data_dir=("my data", "more:2"), early_stopping_patience=None, temperature=(0.5, 1.0))
    monkeypatch.chdir(ROOT)
    expected = ["python", "train.py", "--data_dir", "my data", "more:2", "--early_stopping_patience", "None"]
    assert train_command(options) == [*expected, "--temperature", "0.5", "1.0"]
    monkeypatch.chdir(tmp_path)
    assert train_command(options)[1] == str(ROOT / "train.py")


def test_an_interrupted_trial_goes_on_where_it_was(options, search):
    def interrupt(history, checkpoint):
        raise KeyboardInterrupt

    point = only_point(options)
    with pytest.raises(KeyboardInterrupt):
        search.run_trial("0", point, interrupt)
    assert (search.trial("0").ended, len(search.trial("0").history)) == (None, 1)
    reported = []
    parts = search.run_trial("0", point, lambda history, checkpoint: reported.append(len(history)))
    whole = search.run_trial("1", point)
    assert reported == [2]
    assert parts.history == whole.history
    assert parts.begun < whole.begun


def test_the_best_checkpoint_of_a_trial_is_kept_and_found(options, search, make_corpus):
    """By a learning rate at which the first epoch is the best for ever; also where the trial is interrupted."""
    search.options = replace(options, num_epochs=3, objective="val_accuracy", early_stopping_patience=None)
    point = only_point(options) | {"learning_rate": 1e-12}

    def interrupt(history, checkpoint):
        if len(history) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        search.run_trial("0", point, interrupt)
    trial = search.run_trial("0", point)
    first, second = run_folders.runs_in(search.folder / "trial_0")
    assert best_checkpoint(search, trial) == first / "model.ckpt-1"
    assert trial.checkpoint == str(second / "model.ckpt-3")
    assert run_folders.kept_in(first) == [first / "model.ckpt-1", first / "model.ckpt-2"]


def test_a_trial_that_goes_wrong_is_recorded_with_its_reason(options):
    options = among(options, learning_rate=(1e30,), optimizer=("sgd",))
    search = Search(options)
    with search.begun():
        pass
    trial = search.run_trial("0", only_point(options))
    assert trial.failed
    assert trial.ended.startswith("failed: The loss is ")
    with pytest.raises(RunError, match="No trial has succeeded; .*trials.csv says why"):
        winner_of(search)
    (row,) = csv.DictReader((search.folder / "trials.csv").open())
    assert (row["ended"], row["epochs"], row["best val_loss"]) == (trial.ended, "0", "")


def test_early_stopping_is_said(options):
    options = replace(options, num_epochs=9, early_stopping_patience=2, objective="val_accuracy")
    options = among(options, learning_rate=(1e-12,))
    search = Search(options)
    with search.begun():
        pass
    trial = search.run_trial("0", only_point(options))
    assert (trial.ended, len(trial.history)) == ("no improvement for 2 epochs", 3)


def test_a_trial_may_go_on_from_anothers_checkpoint_with_other_settings(options):
    """As population based training does it."""
    options = among(options, learning_rate=(0.01, 0.001), rnn_dropout=(0.0, 0.5))
    search = Search(replace(options, num_epochs=1))
    with search.begun():
        pass
    donor = search.run_trial("0", {**only_point(options), "learning_rate": 0.01})
    search = Search(options)
    changed = {**only_point(options), "learning_rate": 0.001, "rnn_dropout": 0.5}
    trial = search.run_trial("1", changed, resume_from=str(Path(donor.checkpoint).parent))
    assert trial.history[0] == donor.history[0] and len(trial.history) == 2
    assert read_settings(Path(trial.checkpoint))["arguments"]["learning_rate"] == 0.001
    assert model_config(Path(trial.checkpoint), None).rnn_dropout == 0.5


# --- What is told of them ---


@pytest.mark.parametrize(
    ("objective", "values", "best"), [("val_loss", [3.0, 1.0, 2.0], (1.0, 2)), ("accuracy", [0.1, 0.3, 0.3], (0.3, 2))]
)
def test_the_best_of_a_trial_is_its_best_epoch(objective, values, best):
    assert record("0", values).best(objective) == best
    assert record("0", []).best(objective) is None


@pytest.mark.parametrize(("objective", "winner"), [("val_loss", "low"), ("accuracy", "high")])
def test_the_winner_is_the_best_that_did_not_fail(options, search, objective, winner, monkeypatch):
    trials = [
        record("high", [2.0, 3.5]),
        record("low", [2.0, 3.0, 1.0]),
        record("failed low", [0.5], ended="failed: nan"),
        record("failed high", [9.0], ended="failed: nan"),
        record("empty", []),
    ]
    monkeypatch.setattr(
        search, "trials", lambda: [replace(trial, hyperparameters=only_point(options)) for trial in trials]
    )
    search.options = replace(options, objective=objective)
    assert winner_of(search).name == winner


def test_a_trial_whose_codebook_has_collapsed_wins_only_where_all_have(options, monkeypatch):
    search = Search(replace(options, model="vqvae", space={"num_codes": (64,), "batch_size": (2,)}))
    choice = {name: values[0] for name, values in search.options.space.items()}

    def of(name, val_loss, perplexity):
        history = [{"val_loss": val_loss, "val_perplexity": perplexity}]
        return Trial(name, choice, 0.0, "here", 1.0, history, ended="1 epoch")

    trials = [of("collapsed", 2.0, 1.0), of("worse", 2.5, 1.0), of("healthy", 2.1, 50.0)]
    monkeypatch.setattr("samplernn.search.results.write_table", lambda search: None)
    monkeypatch.setattr(search, "trials", lambda: trials)
    assert winner_of(search).name == "healthy"
    monkeypatch.setattr(search, "trials", lambda: trials[:2])
    assert winner_of(search).name == "collapsed"


def test_the_table_has_a_row_for_each_trial(options, search):
    point = only_point(options)
    for name, values, ended in [("0", [3.0, 2.5], "2 epochs"), ("1", [3.25], None)]:
        (search.folder / f"trial_{name}").mkdir()
        search._save(replace(record(name, values, ended), hyperparameters=point, begun=float(name)))
    search.end_trial("1", point, "stopped")
    search.end_trial("0", point, "is not heeded")
    write_table(search)
    first, second = csv.DictReader((search.folder / "trials.csv").open())
    assert list(first) == [
        "trial",
        *[option.name for option in hyperparameters("samplernn")],
        "epochs",
        "best val_loss",
        "best epoch",
        "seconds",
        "machine",
        "ended",
    ]
    assert [first[key] for key in ("trial", "frame_sizes", "dim", "skip_conn")] == ["0", "4 16", "8", "False"]
    assert [first[key] for key in list(first)[-6:]] == ["2", "2.5", "2", "1.0", "here", "2 epochs"]
    assert [second[key] for key in list(second)[-6:]] == ["1", "3.25", "1", "1.0", "here", "stopped"]


def test_tensorboard_is_told_the_space_and_each_trials_values(options):
    options = among(options, dim=(8, 16))
    search = Search(among(options, learning_rate=Range(0.001, 0.1), num_rnn_layers=Range(1, 2)))
    with search.begun():
        pass
    trial = search.run_trial("0", only_point(options))

    def contents(folder):
        (events,) = Path(folder).glob("events.out.*")
        values = [value for event in tf.compat.v1.train.summary_iterator(str(events)) for value in event.summary.value]
        return {value.tag: value.metadata.plugin_data.content for value in values}

    experiment = metadata.parse_experiment_plugin_data(contents(search.folder)[metadata.EXPERIMENT_TAG])
    domains = {
        info.name: [value.number_value for value in info.domain_discrete.values] for info in experiment.hparam_infos
    }
    assert domains["dim"] == [8, 16]
    intervals = {info.name: info.domain_interval for info in experiment.hparam_infos}
    assert (intervals["learning_rate"].min_value, intervals["learning_rate"].max_value) == (0.001, 0.1)
    assert (intervals["num_rnn_layers"].min_value, intervals["num_rnn_layers"].max_value) == (1, 2)
    metrics = {(info.name.group, info.name.tag) for info in experiment.metric_infos}
    run_folder = Path(trial.checkpoint).parent
    session = metadata.parse_session_start_info_plugin_data(contents(run_folder)[metadata.SESSION_START_INFO_TAG])
    assert session.hparams["dim"].number_value == 8
    assert session.hparams["frame_sizes"].string_value == "4 16"
    for group, tag in metrics:
        (events,) = (run_folder / group).iterdir()
        tags = {
            value.tag for event in tf.compat.v1.train.summary_iterator(str(events)) for value in event.summary.value
        }
        assert tag in tags


# --- A process of one's own ---


def test_a_call_in_its_own_process_returns_or_raises():
    assert in_own_process(divmod, 7, 2) == (3, 1)
    assert in_own_process(os.getpid) != os.getpid()
    with pytest.raises(ZeroDivisionError):
        in_own_process(divmod, 1, 0)


@pytest.mark.long
def test_a_process_that_minds_no_signal_is_ended_with_the_call(tmp_path, monkeypatch):
    monkeypatch.setattr(process, "SECONDS_TO_END", 0.5)
    told = tmp_path / "pid"

    def interrupt(*_):
        raise KeyboardInterrupt

    def interrupt_once_it_is_told():
        wait_for(lambda: told.exists() and told.read_text(), 60)
        os.kill(os.getpid(), signal.SIGALRM)

    before = signal.signal(signal.SIGALRM, interrupt)
    threading.Thread(target=interrupt_once_it_is_told).start()
    try:
        with pytest.raises(KeyboardInterrupt):
            in_own_process(_stubborn, told)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert not _runs(int(told.read_text()))


def _stubborn(told):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    told.write_text(str(os.getpid()))
    time.sleep(60)


@pytest.mark.long
def test_a_process_that_is_killed_is_an_error():
    with pytest.raises(RunError, match="its process ended with status -9; perhaps memory ran out"):
        in_own_process(_killed)


def _killed():
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_process_does_not_outlive_its_caller(tmp_path):
    script = tmp_path / "caller.py"
    script.write_text(
        f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
        "import os, time\n"
        "from pathlib import Path\n"
        "from samplernn.system.process import in_own_process\n"
        "def wait(path):\n"
        "    Path(path).write_text(str(os.getpid()))\n"
        "    time.sleep(60)\n"
        "if __name__ == '__main__':\n"
        "    in_own_process(wait, sys.argv[1])\n"
    )
    for sent in (signal.SIGTERM, signal.SIGKILL):
        told = tmp_path / f"pid_{sent}"
        caller = subprocess.Popen([sys.executable, str(script), str(told)])
        pid = wait_for(lambda told=told: told.exists() and told.read_text())
        caller.send_signal(sent)
        caller.wait()
        wait_for(lambda pid=pid: not _runs(int(pid)))


def wait_for(condition, seconds=30):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.05)
    raise AssertionError("waited in vain")


def _runs(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except FileNotFoundError:
        return False
