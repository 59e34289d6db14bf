"""keras_tuner.py and ray_tune.py as a user runs them, on pieces of real music with tiny models."""

import csv
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import keras_tuner
import numpy as np
import optuna
import pytest
from conftest import ROOT
from ray import tune
from ray.cluster_utils import Cluster
from test_search import wait_for

from samplernn.checkpoints import run_folders
from samplernn.models.pianoroll.config import PianoRollConfig
from samplernn.options.values import Range
from samplernn.search import keras_tuning, ray_tuning
from samplernn.search.options import KerasTunerOptions, RayTuneOptions
from samplernn.search.ray_space import distinct_points
from samplernn.search.ray_tuning import _Bayesian
from samplernn.search.search import Search, Trial
from samplernn.system.errors import InputError

COMMON = "--data_dir corpus --num_epochs 3 --batch_size 2 --jit_compile False --seq_len 128"
SPACE = f"{COMMON} --dim 8 --num_rnn_layers 1 --emb_size 8"
SPACE_OF_WAVENETS = f"{COMMON} --model wavenet --num_repeats 1 --residual_size 8 --inner_size 8 --skip_size 8"
SPACE_OF_AUTOENCODERS = (
    f"{COMMON} --model vqvae --hop 4 --num_codes 8 --encoder_size 8 --encoder_stages 2 --modulator_size 8"
    " --num_stages 3 --residual_size 8 --inner_size 8 --skip_size 8"
)
SPACE_OF_TUNES = f"{COMMON} --model pianoroll --note_range 60 72"
FOUR_POINTS = ["--frame_sizes", "4", "16", "--frame_sizes", "8", "16", "--learning_rate", "0.001", "0.01"]
SPACE_OF_THE_CORPUS = {"batch_size": (2,), "seq_len": (128,)}
ONE_POINT = ["--learning_rate", "0.001", "--frame_sizes", "4", "16"]


@pytest.fixture
def folder(tmp_path, make_corpus, make_tunes):
    """With a corpus of audio and of MIDI."""
    make_corpus([640] * 6)
    make_tunes([150, 40, 90, 130], PianoRollConfig.tiny(), "corpus")
    return tmp_path


@pytest.fixture
def slow_folder(tmp_path, make_corpus):
    """With a corpus of which an epoch takes as long as it takes to interrupt it."""
    make_corpus([24000] * 4)
    return tmp_path


def command(script, *arguments, space=SPACE):
    return [sys.executable, str(ROOT / script), *shlex.split(space), *arguments]


def run(script, *arguments, folder, space=SPACE):
    arguments = command(script, *arguments, space=space)
    return subprocess.run(arguments, cwd=folder, capture_output=True, text=True, timeout=600)


def interrupt(script, *arguments, folder, when, sent):
    """Run a script, send its process group a signal when something has come to be, and return its exit status."""
    process = subprocess.Popen(
        command(script, *arguments),
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
        # A shell's background jobs, and so the tests when they are one, have SIGINT ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    wait_for(when, 120)
    os.killpg(process.pid, sent)
    _, errors = process.communicate(timeout=60)
    assert errors == b""
    return process.returncode


def table(search):
    return list(csv.DictReader((search / "trials.csv").open()))


def first_epoch_of(search):
    return lambda: any(json.loads(path.read_text())["history"] for path in search.glob("trial_*/trial.json"))


# --- The name that keras_tuner.py shares with the library ---


@pytest.mark.long
@pytest.mark.parametrize(
    "statement", ["from keras_tuner.engine import base_tuner; import keras_tuner", "import keras_tuner"]
)
def test_whoever_imports_the_librarys_name_gets_the_library(statement, tmp_path):
    assert keras_tuner.BayesianOptimization
    code = f"{statement}; print(keras_tuner.__file__, keras_tuner.BayesianOptimization)"
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert "site-packages" in result.stdout and str(ROOT / "keras_tuner.py") not in result.stdout


def test_without_the_library_its_name_is_an_import_error(tmp_path):
    """Isolated, and with the script's folder alone on the path, where no library is."""
    elsewhere = "[folder for folder in sys.path if 'site-packages' not in folder]"
    code = f"import sys; sys.path[:] = [{str(ROOT)!r}, *{elsewhere}]; import keras_tuner"
    result = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert result.stderr.endswith("ModuleNotFoundError: No module named 'keras_tuner'\n")


# --- keras_tuner.py ---


@pytest.mark.long
@pytest.mark.parametrize(
    ("space", "name", "value"),
    [(SPACE, "frame_sizes", [4, 16]), (SPACE_OF_WAVENETS, "num_stages", 2), (SPACE_OF_TUNES, "layer_sizes", [6, 5])],
    ids=["samplernn", "wavenet", "pianoroll"],
)
def test_keras_tuner_searches_and_tells_of_the_best(folder, space, name, value):
    search, text = folder / "logdir" / "keras_tuner" / "k", " ".join(map(str, np.ravel(value)))
    flags = ["--id", "k", "--max_trials", "2", "--type", "random_search", "--optimizer", "sgd"]
    flags += ["--learning_rate", "0.1", "1e30", f"--{name}", *text.split()]
    result = run("keras_tuner.py", *flags, folder=folder, space=space)
    assert (result.returncode, result.stderr) == (0, "")
    bad, best = sorted(table(search), key=lambda row: row["learning_rate"] == "0.1")
    assert bad["learning_rate"] == "1e+30" and bad["ended"].startswith("failed: The loss is")
    assert (best["learning_rate"], best["ended"]) == ("0.1", "3 epochs")
    summary = result.stdout[result.stdout.index("[Trial summary]") :].splitlines()
    assert summary[:5] == [
        "[Trial summary]",
        f" |-Trial ID: {best['trial']}",
        f" |-Score: {best['best val_loss']}",
        f" |-Best step: {best['best epoch']}",
        " > Hyperparameters:",
    ]
    assert f" |-{name}: {text}" in summary and " |-learning_rate: 0.1" in summary
    assert f"Trial {bad['trial']} failed: The loss is" in result.stdout
    assert json.loads((search / "best.config.json").read_text())[name] == value
    (checkpoint,) = re.findall("The best one's best checkpoint: (.*)", result.stdout)
    assert checkpoint.endswith(f"model.ckpt-{best['best epoch']}") and (folder / f"{checkpoint}.index").exists()


@pytest.mark.long
def test_a_trial_of_keras_tuners_that_is_interrupted_between_two_epochs_goes_on(slow_folder):
    search = slow_folder / "logdir" / "keras_tuner" / "k"
    flags = [*ONE_POINT, "--id", "k", "--max_trials", "1", "--type", "random_search"]
    status = interrupt("keras_tuner.py", *flags, folder=slow_folder, when=first_epoch_of(search), sent=signal.SIGINT)
    assert status == 130
    goes_on_between_two_epochs(search, "keras_tuner.py", *flags, folder=slow_folder)


@pytest.fixture
def seeming_trials(folder, monkeypatch):
    """Trials that only seem to be trained."""

    def seem_to_train(run_trial, name, hyperparameters):
        search, loss = run_trial.__self__, hyperparameters["learning_rate"] * hyperparameters["frame_sizes"][0]
        logs = {"loss": loss, "accuracy": 0.5, "val_loss": loss, "val_accuracy": 0.5}
        (search.folder / f"trial_{name}").mkdir()
        trial = Trial(name, hyperparameters, time.time(), "here", history=[logs], ended="1 epoch")
        search._save(trial)
        return trial

    monkeypatch.chdir(folder)
    monkeypatch.setattr(keras_tuning, "in_own_process", seem_to_train)
    return folder / "logdir" / "keras_tuner"


def test_keras_tuners_bayesian_search_tries_nothing_twice_and_ends_with_the_space(seeming_trials, capsys):
    options = KerasTunerOptions(
        data_dir=("corpus",),
        id="b",
        max_trials=9,
        space={"frame_sizes": ((4, 16), (8, 16)), "learning_rate": (0.001, 0.01)} | SPACE_OF_THE_CORPUS,
    )
    keras_tuning.search(options)
    rows = table(seeming_trials / "b")
    assert 2 <= len(rows) <= 4
    assert len({(row["frame_sizes"], row["learning_rate"]) for row in rows}) == len(rows)
    best = min(float(row["best val_loss"]) for row in rows)
    assert f" |-Score: {best}\n" in capsys.readouterr().out


def test_keras_tuner_draws_numbers_of_a_range(seeming_trials):
    ranges = {"learning_rate": Range(0.001, 0.1), "num_rnn_layers": Range(1, 3), "frame_sizes": ((4, 16),)}
    options = KerasTunerOptions(
        data_dir=("corpus",), id="r", type="random_search", max_trials=30, space=ranges | SPACE_OF_THE_CORPUS
    )
    keras_tuning.search(options)
    rows = table(seeming_trials / "r")
    rates = [float(row["learning_rate"]) for row in rows]
    assert len(set(rates)) == 30 and all(0.001 <= rate <= 0.1 for rate in rates)
    assert 5 <= sum(rate < 0.01 for rate in rates) <= 25
    assert {row["num_rnn_layers"] for row in rows} == {"1", "2", "3"}


# --- ray_tune.py ---

SPACE_OF_FOUR = {"a": ["1", "2"], "b": [True, False], "c": [0.5]}


def test_distinct_points_are_distinct_and_all_there_are():
    points = distinct_points(SPACE_OF_FOUR, 99, seed=1)
    assert sorted(map(str, points)) == sorted(
        str({"a": a, "b": b, "c": 0.5}) for a in ("1", "2") for b in (True, False)
    )
    assert len(distinct_points(SPACE_OF_FOUR, 3, seed=1)) == 3
    assert len(distinct_points({str(i): list(range(10)) for i in range(30)}, 5, seed=1)) == 5


def test_points_of_ranges_are_as_many_as_wanted_and_spread_by_their_logarithms():
    space = {"rate": Range(1e-4, 1e-2), "layers": Range(1, 16), "rnn": ["gru", "lstm"]}
    points = distinct_points(space, 2000, seed=0)
    assert points == distinct_points(space, 2000, seed=0) != distinct_points(space, 2000, seed=1)
    assert len({point["rate"] for point in points}) == 2000
    assert np.mean([point["rate"] < 1e-3 for point in points]) == pytest.approx(0.5, abs=0.04)
    assert {point["layers"] for point in points} == set(range(1, 17))
    assert np.mean([point["layers"] < 4 for point in points]) == pytest.approx(0.5, abs=0.04)
    whole = distinct_points({"layers": Range(2, 4), "rnn": ["gru", "lstm"]}, 99, seed=0)
    assert sorted(point["layers"] for point in whole) == [2, 2, 3, 3, 4, 4]
    assert 1 <= len(distinct_points({"rate": Range(0.1, 0.10000000000000002)}, 10, seed=0)) <= 2  # all there are


# --- A population ---


class Member:
    """What the scheduler of a population asks of a trial of Ray's."""

    status, experiment_tag, last_result = "RUNNING", "", None

    def __init__(self, name, folder, **config):
        self.trial_id, self.config, self.path = name, config, str(folder / name)
        (folder / name / "last").mkdir(parents=True)
        self.checkpoint = tune.Checkpoint.from_directory(folder / name / "last")
        manager = SimpleNamespace(checkpoint_config=SimpleNamespace(num_to_keep=None))
        self.run_metadata = SimpleNamespace(checkpoint_manager=manager)
        self.set_experiment_tag, self.set_config = str, config.update

    def is_finished(self):
        return False


@pytest.fixture
def population(tmp_path):
    """The scheduler, and members whose last losses are given by their names; None: not yet compared."""
    options = RayTuneOptions(
        data_dir=("d",), type="pbt", num_epochs=9, perturb_every=3, burn_in=4, space=POPULATION | SPACE_OF_THE_CORPUS
    )
    scheduler = ray_tuning._scheduler(options)
    scheduler.set_search_properties("val_loss", "min")

    def of(**losses):
        members = {name: Member(name, tmp_path, learning_rate=0.01, rnn_dropout=0.2) for name in losses}
        for name, member in members.items():
            scheduler.on_trial_add(SimpleNamespace(search_alg=None), member)
            if losses[name] is not None:
                scheduler._trial_state[member].last_score = -losses[name]
                best = min(losses[name], ray_tuning.WORST)
                scheduler._trial_state[member].last_result = {"val_loss": losses[name], ray_tuning.BEST: best}
        return scheduler, members

    return of


POPULATION = {"learning_rate": Range(0.001, 0.011), "rnn_dropout": (0.1, 0.2, 0.4)}


@pytest.mark.parametrize(
    ("losses", "lower", "upper"),
    [
        ({"a": 3.0, "b": 1.0, "c": 2.0, "d": 4.0}, {"d"}, {"b"}),
        ({"a": 3.0, "b": 1.0, "c": ray_tuning.WORST, "d": ray_tuning.WORST, "e": None}, {"c", "d"}, {"b"}),
        ({"a": 3.0, "b": ray_tuning.WORST}, {"b"}, {"a"}),
        ({"a": ray_tuning.WORST, "b": ray_tuning.WORST, "c": None}, set(), set()),
    ],
)
def test_all_members_that_failed_go_on_from_the_best(population, losses, lower, upper):
    scheduler, _ = population(**losses)
    found = scheduler._quantiles()
    assert [{member.trial_id for member in members} for members in found] == [lower, upper]


def test_a_member_takes_over_the_best_ones_settings_a_fifth_larger_or_smaller_within_their_ranges(population):
    scheduler, members = population(a=1.0, b=2.0)
    taken = [scheduler._get_new_config(members["b"], members["a"])[0] for _ in range(100)]
    assert {round(config["learning_rate"], 6) for config in taken} == {0.011, 0.008}  # of 0.012 and 0.008
    assert {config["rnn_dropout"] for config in taken} == {0.1, 0.4}


def test_members_are_compared_after_the_burn_in_and_then_every_so_many_epochs(population, capsys):
    scheduler, members = population(a=None, b=None)
    controller = SimpleNamespace(
        get_trials=members.values, get_live_trials=members.values, pause_trial=lambda trial, should_checkpoint: None
    )
    controller._schedule_trial_save = lambda trial, result: trial.checkpoint

    def report(name, epoch, loss, best=1.0):
        members[name].last_result = result = {"epoch": epoch, "val_loss": loss, ray_tuning.BEST: best}
        return scheduler.on_trial_result(controller, members[name], result), capsys.readouterr().out

    for epoch in (1, 2, 3):
        assert report("a", epoch, 1.0) == report("b", epoch, 2.0) == ("CONTINUE", "")
    report("a", 4, 1.0)
    _, said = report("b", 4, ray_tuning.WORST, best=ray_tuning.WORST)
    assert re.fullmatch(r"Trial b goes on from a, with learning_rate 0\.\d+ and rnn_dropout 0\.[14]\.\n", said)
    assert [report("b", epoch, 2.0) for epoch in (5, 6)] == [("CONTINUE", "")] * 2
    assert report("b", 7, 2.0)[1].startswith("Trial b goes on from a, with")
    report("a", 8, ray_tuning.WORST, best=ray_tuning.WORST)
    decision, _ = report("b", 10, ray_tuning.WORST, best=ray_tuning.WORST)
    assert decision == "STOP"  # nobody is left to go on from


def test_what_a_member_goes_on_from_stays_though_the_other_drops_it(population):
    scheduler, members = population(a=1.0, b=2.0)
    controller, before = SimpleNamespace(pause_trial=lambda trial, should_checkpoint: None), members["a"].checkpoint
    scheduler._trial_state[members["a"]].last_checkpoint = before
    for weights in ("earlier", "later"):
        Path(before.path, "weights").write_text(weights)
        scheduler._exploit(controller, members["b"], members["a"])
    assert scheduler._trial_state[members["a"]].last_checkpoint is before
    shutil.rmtree(before.path)
    taken_over = Path(members["b"].run_metadata.checkpoint_manager._latest_checkpoint_result.checkpoint.path)
    assert {path.name: path.read_text() for path in taken_over.iterdir()} == {"weights": "later"}


def test_no_member_becomes_a_copy_that_trains_no_more(population):
    scheduler, members = population(a=1.0, b=2.0)
    of_last_epoch = {"epoch": 9, "val_loss": 2.0, ray_tuning.BEST: 2.0}
    assert scheduler.on_trial_result(None, members["b"], of_last_epoch) == "CONTINUE"
    members["a"].last_result = of_last_epoch
    assert scheduler._quantiles() == ([], [])


@pytest.mark.parametrize(
    ("error", "cause", "said"),
    [
        (None, None, "its process ended"),
        (RuntimeError(), None, "its process ended"),
        (RuntimeError("trace\nValueError: gone"), None, "ValueError: gone"),
        (RuntimeError("trace"), OSError("no disk"), "no disk"),
    ],
)
def test_a_trial_that_fails_says_why_as_far_as_ray_knows(monkeypatch, capsys, error, cause, said):
    if error:
        error.cause = cause
    trial = SimpleNamespace(trial_id="0", config={}, get_error=lambda: error)
    monkeypatch.setattr(ray_tuning, "write_table", lambda search: None)
    search = SimpleNamespace(
        options=SimpleNamespace(space={}),
        end_trial=lambda name, values, ended: Trial(name, values, 0.0, "", ended=ended),
    )
    ray_tuning._Progress(search).on_trial_error(1, [trial], trial)
    assert capsys.readouterr().out == f"Trial 0 has ended: failed: {said}.\n"


@pytest.mark.parametrize(("type_", "loss"), [("pbt", ray_tuning.WORST), ("random_search", 2.5)])
def test_a_member_whose_codebook_collapses_is_reported_as_the_worst(folder, monkeypatch, type_, loss):
    reported = []
    context = SimpleNamespace(
        get_trial_resources=lambda: SimpleNamespace(required_resources={"CPU": 1}), get_trial_id=lambda: "0"
    )
    monkeypatch.setattr(tune, "get_context", lambda: context)
    monkeypatch.setattr(tune, "get_checkpoint", lambda: None)
    monkeypatch.setattr(tune, "report", lambda metrics, checkpoint: reported.append(metrics))
    monkeypatch.setattr(ray_tuning.ray, "get_runtime_context", lambda: SimpleNamespace(get_node_id=lambda: "n"))
    monkeypatch.setattr(ray_tuning, "_use_only", lambda *_: None)

    def run_trial(self, name, hyperparameters, report, resume_from, machine):
        report([{"val_loss": 2.0, "val_perplexity": 30.0}], folder / "model.ckpt-1")
        report([{"val_loss": 2.0}, {"val_loss": 2.5, "val_perplexity": 1.2}], folder / "model.ckpt-2")
        return Trial(name, hyperparameters, 0.0, machine, history=[{}], ended="2 epochs")

    monkeypatch.setattr(Search, "run_trial", run_trial)
    options = RayTuneOptions(
        data_dir=("corpus",), model="vqvae", type=type_, space={"commitment": Range(0.1, 10.0), "num_codes": (64,)}
    )
    values = {"commitment": 1.0} | {name: tried[0] for name, tried in options.space.items() if name != "commitment"}
    ray_tuning._run_trial(values, Search(options))
    healthy, collapsed = reported
    assert healthy == {"val_loss": 2.0, "best": 2.0, "epoch": 1}
    assert (collapsed["val_loss"], collapsed["best"], collapsed["epoch"]) == (loss, 2.0, 2)
    assert collapsed.get("remark", "The codebook has collapsed").startswith("The codebook has collapsed")


def bayesian_search_of_four():
    algorithm = _Bayesian(distinct_points(SPACE_OF_FOUR, 4, seed=0), seed=0)
    algorithm.set_search_properties("loss", "min", {key: tune.choice(values) for key, values in SPACE_OF_FOUR.items()})
    return algorithm


def test_the_bayesian_search_tries_nothing_twice():
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    algorithm = bayesian_search_of_four()
    tried = []
    for name in "0123":
        tried.append(algorithm.suggest(name))
        algorithm.on_trial_complete(name, {"loss": float(tried[-1]["a"]) - tried[-1]["b"]})
    assert sorted(map(str, tried)) == sorted(map(str, distinct_points(SPACE_OF_FOUR, 4, seed=0)))
    assert algorithm.suggest("4") == algorithm.FINISHED


@pytest.mark.filterwarnings("error")
def test_an_epoch_that_an_interrupted_trial_tells_again_is_no_matter_to_the_bayesian_search():
    algorithm = bayesian_search_of_four()
    algorithm.suggest("0")
    for epoch, loss in ((1, 0.5), (2, 0.25), (2, 0.25), (3, 0.125)):
        algorithm.on_trial_result("0", {"loss": loss, "training_iteration": epoch})
    algorithm.on_trial_complete("0", {"loss": 0.125})
    (trial,) = algorithm._ot_study.trials
    assert trial.intermediate_values == {1: 0.5, 2: 0.25, 3: 0.125}


@pytest.mark.long
@pytest.mark.parametrize(
    ("space", "values", "by_default"),
    [
        (SPACE, "--frame_sizes 4 16 --frame_sizes 8 16", {"skip_conn": False}),
        pytest.param(SPACE_OF_WAVENETS, "--num_stages 2 3", {"dropout": 0}, marks=pytest.mark.shown),
        (
            f"{SPACE_OF_TUNES} --cost 'squared error'",
            "--layer_sizes 6 5 --layer_sizes 8",
            {"cost": "squared error"},
        ),
    ],
    ids=["samplernn", "wavenet", "pianoroll"],
)
def test_ray_tune_searches_side_by_side_and_tells_of_the_best(folder, space, values, by_default):
    search, name = folder / "logdir" / "ray_tune" / "r", values.split()[0].removeprefix("--")
    flags = ["--id", "r", "--num_trials", "2", "--num_cpus", "2", "--num_gpus", "1", "--gpus_per_trial", "0.5"]
    flags += [*values.split(), "--learning_rate", "0.001", "0.01"]
    result = run("ray_tune.py", *flags, folder=folder, space=space)
    assert (result.returncode, result.stderr) == (0, "")
    rows = table(search)
    assert len({(row[name], row["learning_rate"]) for row in rows}) == len(rows) == 2
    assert all(re.fullmatch("3 epochs|stopped by ASHA, behind other trials", row["ended"]) for row in rows)
    best = min(rows, key=lambda row: float(row["best val_loss"]))
    hyperparameters = json.loads(re.search(r"^\{.*^\}", result.stdout, re.MULTILINE | re.DOTALL)[0])
    assert list(hyperparameters) == sorted(hyperparameters)
    assert list(map(str, np.ravel(hyperparameters[name]))) == best[name].split()
    assert hyperparameters.items() >= {**by_default, "batch_size": 2}.items()
    assert json.loads((search / "best.config.json").read_text())[name] == hyperparameters[name]
    assert f"Best trial: {best['trial']}" in result.stdout
    assert f"Training iterations: {best['epochs']} epochs" in result.stdout
    assert f"train.py --data_dir corpus --id r_trial_{best['trial']} " in result.stdout
    checkpoint = re.search("^The best one's best checkpoint: (.*)$", result.stdout, re.MULTILINE)[1]
    assert checkpoint.endswith(f"model.ckpt-{best['best epoch']}") and (folder / f"{checkpoint}.index").exists()
    records = [json.loads(path.read_text()) for path in search.glob("trial_*/trial.json")]
    first, second = sorted(records, key=lambda record: record["begun"])
    assert second["begun"] < first["begun"] + first["seconds"], "two halves of a GPU were to be used at the same time"


@pytest.mark.long
@pytest.mark.alone
def test_a_trial_of_rays_that_is_interrupted_between_two_epochs_goes_on(slow_folder):
    search = slow_folder / "logdir" / "ray_tune" / "r"
    flags = [*ONE_POINT, "--id", "r", "--num_trials", "1", "--num_cpus", "1"]
    status = interrupt("ray_tune.py", *flags, folder=slow_folder, when=first_epoch_of(search), sent=signal.SIGTERM)
    assert status == 143
    result = run("ray_tune.py", *flags, folder=slow_folder)
    assert result.returncode == 2 and "--resume goes on with it" in result.stderr and result.stderr.count("\n") == 1
    goes_on_between_two_epochs(search, "ray_tune.py", *flags, "--resume", folder=slow_folder)


def goes_on_between_two_epochs(search, script, *flags, folder):
    """An interrupted search of one trial, gone on with, is as one that was never interrupted."""
    (trial,) = search.glob("trial_*")
    before = json.loads((trial / "trial.json").read_text())
    assert 1 <= len(before["history"]) < 3 and before["ended"] is None
    result = run(script, *flags, folder=folder)
    assert (result.returncode, result.stderr) == (0, "")
    (row,) = table(search)
    assert (row["epochs"], row["ended"]) == ("3", "3 epochs")
    after = json.loads((trial / "trial.json").read_text())
    assert after["begun"] == before["begun"] and after["history"][: len(before["history"])] == before["history"]
    first, second = sorted(trial.glob("*_*"))
    assert min(map(run_folders.epoch_of, run_folders.kept_in(second))) > len(before["history"])
    config = [
        "--config_file",
        search / "best.config.json",
        "--id",
        "whole",
        "--output_dir",
        "out",
        "--generate",
        "False",
    ]
    whole = ["--data_dir", "corpus", "--batch_size", "2", "--num_epochs", "3", "--jit_compile", "False"]
    command = [sys.executable, str(ROOT / "train.py"), *whole, *map(str, config)]
    environment = {**os.environ, "TF_NUM_INTRAOP_THREADS": "1"}
    assert subprocess.run(command, cwd=folder, capture_output=True, timeout=300, env=environment).returncode == 0
    (run_folder,) = (folder / "logdir" / "whole").iterdir()
    assert after["history"] == json.loads((run_folder / "model.ckpt-3.json").read_text())["history"]


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"resume": True}, "--resume: there is no search in "),
        ({"data_dir": ("nowhere",)}, "--data_dir nowhere: there is no such folder"),
    ],
)
def test_what_ray_tune_cannot_do_is_refused_before_anything_is_written(folder, monkeypatch, flags, said):
    monkeypatch.chdir(folder)
    with pytest.raises(InputError, match=said):
        ray_tuning.search(RayTuneOptions(**{"data_dir": ("corpus",), "space": SPACE_OF_THE_CORPUS, **flags}))
    assert not (folder / "logdir").exists()


def test_a_search_that_ray_pickled_under_other_names_of_modules_is_refused_in_one_line(folder, monkeypatch):
    monkeypatch.chdir(folder)
    options = RayTuneOptions(data_dir=("corpus",), id="old")

    def restore(*args, **kwargs):
        raise ModuleNotFoundError("No module named 'samplernn.ray_tuning'")

    monkeypatch.setattr(tune.Tuner, "can_restore", lambda path: True)
    monkeypatch.setattr(tune.Tuner, "restore", restore)
    with pytest.raises(InputError, match=r"--resume: the search in .*/old was begun by an earlier version"):
        ray_tuning._tuner(Search(replace(options, resume=True)), {"CPU": 1})


@pytest.mark.long
def test_what_no_machine_has_is_one_line_and_leaves_nothing(folder):
    result = run("ray_tune.py", "--id", "r", "--num_cpus", "1", "--cpus_per_trial", "2", folder=folder)
    assert result.returncode == 2
    said = "--cpus_per_trial 2, --gpus_per_trial 0: no machine has so many; there are 1 CPU and 0 GPUs"
    assert said in result.stderr and result.stderr.count("\n") == 1
    assert not (folder / "logdir").exists()


@pytest.mark.long
@pytest.mark.alone
def test_a_population_learns_from_its_best(folder):
    """The member with the hopeless rate goes on from the other's checkpoint with another rate."""
    flags = ["--id", "p", "--type", "pbt", "--num_trials", "3", "--num_cpus", "2", "--num_epochs", "4"]
    flags += ["--learning_rate", "1e-7", "0.003", "0.01", "--rnn_dropout", "0", "0.1", "--frame_sizes", "4", "16"]
    result = run("ray_tune.py", *flags, folder=folder)
    assert (result.returncode, result.stderr) == (0, "")
    search = folder / "logdir" / "ray_tune" / "p"
    rows = table(search)
    assert len(rows) == 3 and {row["ended"] for row in rows} == {"4 epochs"}
    begun = [run for path in search.glob("trial_*") for run in path.iterdir() if run.is_dir()]
    assert len(begun) > 3, "no member went on from another"
    full = re.search(r"train\.py .*--resume_from (\S+)", result.stdout)
    assert Path(f"{full[1]}.index").exists()


@pytest.mark.long
@pytest.mark.alone
def test_a_member_that_diverges_goes_on_from_another_and_all_end_where_all_do(folder):
    """It is the first to begin, lest the others have trained for all epochs before it fails on a slow machine."""
    flags = ["--type", "pbt", "--num_trials", "3", "--num_cpus", "3", "--optimizer", "sgd", "--commitment", "0.1..10"]
    flags += ["--num_epochs", "20", "--perturb_every", "2", "--burn_in", "2", "--random_seed", "5"]
    flags += ["--learning_rate", "1e30"]
    result = run("ray_tune.py", "--id", "p", *flags, "0.01", folder=folder, space=SPACE_OF_AUTOENCODERS)
    assert (result.returncode, result.stderr) == (0, "")
    assert re.search(r"Trial \w+ goes on from \w+, with .*\. Before: The loss is nan", result.stdout)
    rows = table(folder / "logdir" / "ray_tune" / "p")
    ended = {row["ended"] for row in rows if row["learning_rate"] == "0.01"}  # 1e30 is next to it, and taken again
    assert ended == {"20 epochs"}
    assert all(0.1 <= float(row["commitment"]) <= 10 for row in rows)
    result = run("ray_tune.py", "--id", "all", *flags, "1e31", folder=folder, space=SPACE_OF_AUTOENCODERS)
    assert result.returncode == 1 and result.stderr.startswith("Error: No trial has succeeded; ")


@pytest.mark.long
@pytest.mark.alone
def test_a_cluster_of_two_machines_runs_trials_on_both(folder):
    """A head and a second node, each a process of its own with one CPU."""
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    try:
        cluster.add_node(num_cpus=1)
        flags = [
            *FOUR_POINTS,
            "--id",
            "c",
            "--address",
            cluster.address,
            "--num_trials",
            "4",
            "--type",
            "random_search",
        ]
        result = run("ray_tune.py", *flags, folder=folder)
    finally:
        cluster.shutdown()
    assert (result.returncode, result.stderr) == (0, "")
    assert len({row["machine"] for row in table(folder / "logdir" / "ray_tune" / "c")}) == 2
