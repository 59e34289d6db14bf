"""What evaluate.py finds, against the originals, plain computations, and what trainings printed."""

import csv
import json
import math
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import tensorflow as tf
from conftest import GOLDEN
from deepsound import FILES, NAMES, config_of
from trainings import runs

from samplernn.audio.quantize import quantizer
from samplernn.checkpoints import store as checkpoints
from samplernn.checkpoints.settings import model_config, read_settings
from samplernn.evaluation.evaluate import evaluate
from samplernn.models.samplernn.model import SampleRNN
from samplernn.options.evaluate import EvaluationOptions
from samplernn.system.errors import InputError, RunError
from samplernn.training.train import train

GRU = GOLDEN / "gru" / "model.ckpt-1"


def evaluated(*checkpoint_path, **flags):
    flags = {name: (str(flag),) if name == "data_dir" else flag for name, flag in flags.items()}
    return evaluate(EvaluationOptions(checkpoint_path=tuple(map(str, checkpoint_path)), jit_compile=False, **flags))


@pytest.mark.parametrize(("name", "file"), [*zip(NAMES, [*FILES, FILES[0]])])
def test_samplernn_pytorchs_files_have_the_nll_that_it_found(tmp_path, capsys, name, file):
    tokens = np.load(GOLDEN / name / "file.npz")["tokens"]
    config = config_of(name)
    (tmp_path / "wavs").mkdir()
    soundfile.write(tmp_path / "wavs" / "a.wav", (tokens + 0.5) / (config["q_levels"] / 2) - 1, 16000)
    (tmp_path / "its.config.json").write_text(json.dumps(config))
    path = GOLDEN / name / file
    (row,) = evaluated(path, data_dir=tmp_path / "wavs", config_file=str(tmp_path / "its.config.json"))
    expected = json.loads((GOLDEN / name / "file.json").read_text())
    assert row["nll_nats"] == pytest.approx(expected["nll_nats"], abs=1e-6)
    assert row["nll_bits"] == pytest.approx(expected["nll_nats"] / math.log(2), abs=1e-6)
    assert (row["accuracy"], row["samples"], row["files"]) == (expected["accuracy"], expected["samples"], 1)
    assert capsys.readouterr().out.count("samplernn-pytorch stretches each file") == 1


def plain(checkpoint, paths, samples):
    """NLL and accuracy of a network over so many samples of each file, one file after the other, in one window."""
    config = model_config(checkpoint, None)
    model, quantize = SampleRNN(config), quantizer(config.q_type, config.q_levels)
    checkpoints.restore(checkpoint, model)
    nll, correct, counts = 0.0, 0, np.zeros(config.q_levels)
    for path, number in zip(paths, samples):
        tokens = quantize.encode(soundfile.read(path, dtype="float32")[0])[:number]
        padded = -number % config.window.left
        x = np.concatenate([np.full(config.window.left, quantize.zero), tokens, np.zeros(padded, np.int32)])
        logits = model(tf.constant(x[None], tf.int32), model.initial_state(1))[0][0, :number]
        log_probabilities = tf.nn.log_softmax(logits).numpy().astype(np.float64)
        nll -= log_probabilities[np.arange(number), tokens].sum()
        correct += int((logits.numpy().argmax(axis=1) == tokens).sum())
        counts += np.bincount(tokens, minlength=config.q_levels)
    frequency = counts[counts > 0] / counts.sum()
    return nll / sum(samples), correct / sum(samples), -np.sum(frequency * np.log(frequency))


def test_all_files_count_to_their_last_whole_window_whatever_the_batch_size(make_corpus):
    lengths = [300, 192, 900, 70, 1500]  # windows of 64
    corpus = make_corpus(lengths)
    length = model_config(GRU, None).seq_len
    samples = [number // length * length for number in lengths]
    nll, accuracy, baseline = plain(GRU, sorted(corpus.iterdir()), samples)
    for batch_size in (2, 64):
        (row,) = evaluated(GRU, data_dir=corpus, batch_size=batch_size)
        assert row["nll_nats"] == pytest.approx(nll, abs=1e-6)
        assert row["accuracy"] == pytest.approx(accuracy, abs=1e-6)
        assert (row["samples"], row["files"]) == (sum(samples), 5)
        assert row["baseline_nats"] == pytest.approx(baseline, abs=1e-9)


def test_checkpoints_of_different_windows_are_compared_over_what_all_predict(tmp_path, make_corpus, caplog):
    """One's windows are 64 samples, the other's 96; both predict 448 or 480 samples of 500, and 0 of 64 and 80."""
    corpus, other = make_corpus([500, 80, 64, 200]), tmp_path / "other"
    other.mkdir()
    for path in GRU.parent.glob("model.ckpt-1.*"):
        shutil.copy(path, other)
    config = json.loads((GRU.parent / "model.config.json").read_text())
    assert (config["seq_len"], config["frame_sizes"][-1]) == (64, 16)
    (other / "its.config.json").write_text(json.dumps(config | {"seq_len": 96}))
    rows = evaluated(GRU, other / "model.ckpt-1", data_dir=corpus)
    samples = [448, 192]  # the first is no whole number of the other's windows
    nll, accuracy, _ = plain(GRU, [corpus / "piece_0.wav", corpus / "piece_3.wav"], samples)
    for row in rows:
        assert row["nll_nats"] == pytest.approx(nll, abs=1e-6)
        assert (row["samples"], row["files"]) == (sum(samples), 2)
    assert "Left out 2 of 4 files: shorter than a window of 96 samples." in caplog.text
    with pytest.raises(InputError, match="not one file holds a window of 96 samples"):
        evaluated(GRU, other / "model.ckpt-1", data_dir=make_corpus([80], folder="short"))


@pytest.mark.long
@pytest.mark.xla
def test_many_long_rows_are_added_up_exactly(tmp_path, music):
    """As a float32 would not: these 65,536 are off by several 1e-7."""
    rows, length = 32, 2048
    corpus, quantize = tmp_path / "corpus", quantizer("mu-law", 256)
    corpus.mkdir()
    for i in range(rows):
        soundfile.write(corpus / f"{i}.wav", music[i * 4000 : i * 4000 + length], 16000)
    config = tmp_path / "long.config.json"
    config.write_text(json.dumps(json.loads((GRU.parent / "model.config.json").read_text()) | {"seq_len": length}))
    options = EvaluationOptions(checkpoint_path=(str(GRU),), data_dir=(str(corpus),), config_file=str(config))
    (row,) = evaluate(options)

    model = SampleRNN(model_config(GRU, str(config)))
    checkpoints.restore(GRU, model)
    audio = [soundfile.read(corpus / f"{i}.wav", dtype="float32")[0] for i in range(rows)]
    tokens = np.stack([quantize.encode(one) for one in audio])
    silence = np.full([rows, model.config.window.left], quantize.zero)
    x = tf.constant(np.concatenate([silence, tokens], axis=1), tf.int32)
    log_probabilities = tf.nn.log_softmax(tf.cast(model(x, model.initial_state(rows))[0], tf.float64))
    nll = -tf.gather(log_probabilities, tokens[..., None], batch_dims=2).numpy().mean()
    assert row["nll_nats"] == pytest.approx(nll, abs=5e-8)


def test_what_a_run_held_out_gives_the_number_that_training_printed(options, capsys):
    train(options)
    (run,) = runs(options)
    history = read_settings(run / "model.ckpt-2")["history"]
    for checkpoint in (run / "model.ckpt-1", run / "model.ckpt-2"):
        logs = history[int(checkpoint.name[-1]) - 1]
        (row,) = evaluated(checkpoint, held_out=True)
        assert row["nll_nats"] == pytest.approx(logs["val_loss"], abs=1e-6)
        assert row["accuracy"] == pytest.approx(logs["val_accuracy"], abs=1e-6)
        assert row["files"] == 2
    assert "trained on" not in capsys.readouterr().out
    evaluated(run / "model.ckpt-2", data_dir=options.data_dir[0])
    assert f"{run / 'model.ckpt-2'} was trained on 4 of 6 files, which flatters it." in capsys.readouterr().out


@pytest.mark.parametrize(("monitor", "values", "best"), [("val_loss", [3, 1, 2], 2), ("val_accuracy", [0.3, 0.1], 1)])
def test_of_a_run_folder_it_is_the_best(options, capsys, monitor, values, best):
    train(replace(options, num_epochs=len(values), monitor=monitor))
    (run,) = runs(options)
    for path in run.glob("model.ckpt-*.json"):
        settings = json.loads(path.read_text())
        for logs, value in zip(settings["history"], values):
            logs[monitor] = value
        path.write_text(json.dumps(settings))
    for folder in (run, run.parent):
        (row,) = evaluated(folder, data_dir=options.data_dir[0])
        assert row["checkpoint"] == str(run / f"model.ckpt-{best}")
    said = f"Evaluating {row['checkpoint']}, the best of its run by {monitor}, {values[best - 1]:.4f}."
    assert capsys.readouterr().out.count(said) == 2


def test_of_a_resumed_run_it_is_the_best_of_its_training(options):
    train(replace(options, num_epochs=2))
    train(replace(options, num_epochs=3))
    first, second = runs(options)
    for path in (*first.glob("model.ckpt-*.json"), *second.glob("model.ckpt-*.json")):
        settings = json.loads(path.read_text())
        for logs, value in zip(settings["history"], (1.0, 3.0, 2.0)):
            logs["val_loss"] = value
        path.write_text(json.dumps(settings))
    for folder, best in ((first.parent, first / "model.ckpt-1"), (second, second / "model.ckpt-3")):
        (row,) = evaluated(folder, data_dir=options.data_dir[0])
        assert row["checkpoint"] == str(best)


def test_averages_are_evaluated_where_there_are_any(options):
    train(replace(options, polyak_decay=0.9))
    (run,) = runs(options)
    (row,) = evaluated(run / "model.ckpt-2", held_out=True)
    assert row["nll_nats"] == pytest.approx(read_settings(run / "model.ckpt-2")["history"][1]["val_loss"], abs=1e-6)


def test_what_runs_held_out_is_compared_however_their_folders_are_named(options, make_corpus, monkeypatch, tmp_path):
    """Of folders with weights, too, and with another window each."""
    make_corpus([900] * 6, folder="more")
    longer = tmp_path / "longer.config.json"
    longer.write_text(json.dumps(json.loads(Path(options.config_file).read_text()) | {"seq_len": 256}))
    monkeypatch.chdir(tmp_path)
    train(replace(options, data_dir=("corpus:2", "more")))
    absolute = (f"{tmp_path / 'corpus'}:2", str(tmp_path / "more"))
    train(replace(options, id="other", data_dir=absolute, config_file=str(longer)))
    (one,), (other,) = runs(options), runs(replace(options, id="other"))
    rows = evaluated(one, other, held_out=True)
    assert rows[0]["samples"] == rows[1]["samples"] and rows[0]["files"] == rows[1]["files"]


@pytest.mark.network
@pytest.mark.long
def test_of_several_checkpoints_the_config_is_for_those_without_one(options, tmp_path, caplog):
    train(options)
    lone = tmp_path / "lone"
    lone.mkdir()
    for path in GRU.parent.glob("model.ckpt-1.*"):
        shutil.copy(path, lone)
    run, config = runs(options)[0], str(GRU.parent / "model.config.json")
    rows = evaluated(run, lone / "model.ckpt-1", data_dir=options.data_dir[0], config_file=config)
    assert [row["checkpoint"] for row in rows] == [str(run / "model.ckpt-2"), str(lone / "model.ckpt-1")]
    assert f"--config_file {config} is not used for {run / 'model.ckpt-2'}" in caplog.text
    with pytest.raises(InputError, match="is not the config of model.ckpt-2"):
        evaluated(run, data_dir=options.data_dir[0], config_file=config)


def test_what_a_run_left_out_as_unusable_is_left_out_of_what_it_held_out(options, tmp_path):
    Path(options.data_dir[0], "broken.wav").write_text("I am a text")
    train(replace(options, skip_unusable=True))
    assert evaluated(runs(options)[0], held_out=True)[0]["files"] == 2


def test_of_a_folder_whose_best_is_not_known_it_is_the_latest(capsys, make_corpus):
    (row,) = evaluated(GRU.parent, data_dir=make_corpus([640]))
    assert row["checkpoint"] == str(GRU)
    assert "the latest of its run, whose settings name no best" in capsys.readouterr().out


@pytest.mark.parametrize("suffix", [".json", ".csv"])
def test_the_table_is_written_as_it_is_returned(tmp_path, make_corpus, capsys, suffix):
    path = tmp_path / "new" / f"table{suffix}"
    corpus, other = make_corpus([640, 640]), GOLDEN / "gru-linear" / "model.ckpt-1"
    rows = evaluated(GRU, other, data_dir=corpus, output_file=str(path))
    assert [row["checkpoint"] for row in rows] == [str(GRU), str(other)]
    if suffix == ".json":
        assert json.loads(path.read_text()) == rows
    else:
        with path.open(newline="") as file:
            read = [*csv.DictReader(file)]
        assert [{name: type(row[name])(value) for name, value in of.items()} for of, row in zip(read, rows)] == rows
    header, *lines = capsys.readouterr().out.splitlines()[-3:]
    assert header.split()[:4] == ["checkpoint", "nll", "nats", "nll"]
    for line, row in zip(lines, rows):
        assert line.startswith(row["checkpoint"])
        shown = [f"{row['nll_nats']:.4f}", f"{row['nll_bits']:.4f}", f"{row['accuracy']:.3%}", f"{row['samples']:,}"]
        assert line.split()[1:6] == [*shown, "2"]


def test_files_at_another_rate_than_the_training_are_remarked_on(options, make_corpus, caplog):
    train(options)
    evaluated(runs(options)[0], data_dir=make_corpus([640], sample_rate=8000, folder="slow"))
    assert "was trained at 16000 Hz, and the files are at 8000 Hz" in caplog.text


def test_figures_that_cannot_be_compared_are_remarked_on(options, make_corpus, capsys):
    others = make_corpus([640] * 6, folder="others")
    train(options)
    train(replace(options, id="other", data_dir=(str(others),)))
    (one,), (other,) = runs(options), runs(replace(options, id="other"))
    evaluated(one, other, held_out=True)
    assert "evaluated on different files: their figures cannot be compared" in capsys.readouterr().out


def test_weights_that_are_damaged_end_in_a_line(options):
    train(options)
    (run,) = runs(options)
    from toy import Toy

    from samplernn.training.steps import model_to_train

    model = model_to_train(model_config(run / "model.ckpt-2", None), options)
    assert isinstance(model, Toy)
    model.table.assign(np.full(model.table.shape, np.nan))
    checkpoints.save(run / "model.ckpt-2", model, model.optimizer, read_settings(run / "model.ckpt-2"))
    with pytest.raises(RunError, match=r"model.ckpt-2: the model's output is not a number"):
        evaluated(run / "model.ckpt-2", held_out=True)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({}, "--data_dir is missing"),
        ({"data_dir": "x", "output_file": "out.txt"}, "--output_file out.txt: it must end in .json or .csv"),
        ({"data_dir": "nowhere"}, "nowhere"),
        ({"held_out": True}, "does not know what was held out; leave the flag out"),
    ],
)
def test_what_cannot_be_evaluated_is_one_line(flags, said, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=said):
        evaluated(GRU, **flags)


def test_held_out_files_that_are_unknown_or_gone_are_named(options, make_corpus):
    train(options)
    held_out = read_settings(runs(options)[0] / "model.ckpt-2")["split"]["validation"]
    Path(options.data_dir[0], held_out[0]).unlink()
    with pytest.raises(InputError, match=f"of 2 files .* has held out 1 are not there; .*: {held_out[0]}"):
        evaluated(runs(options)[0], held_out=True)


def test_a_table_that_cannot_be_written_is_refused_before_anything_is_computed(tmp_path, make_corpus):
    (tmp_path / "file").touch()
    (tmp_path / "folder.csv").mkdir()
    corpus = make_corpus([640])
    with pytest.raises(InputError, match="--output_file: .* can't be written"):
        evaluated(GRU, data_dir=corpus, output_file=str(tmp_path / "file" / "table.csv"))
    with pytest.raises(InputError, match="--output_file .*folder.csv: it is a folder; name a file"):
        evaluated(GRU, data_dir=corpus, output_file=str(tmp_path / "folder.csv"))
    with pytest.raises(InputError, match="nowhere"):
        evaluated(GRU, data_dir="nowhere", output_file=str(tmp_path / "new" / "table.csv"))
    assert not (tmp_path / "new").exists()
