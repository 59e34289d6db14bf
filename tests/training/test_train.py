"""Training as a whole, on pieces of real music with tiny models."""

import itertools
import json
import math
import os
import re
import shutil
import signal
import sys
from dataclasses import asdict, replace
from pathlib import Path

import keras
import numpy as np
import pytest
import soundfile
import tensorflow as tf
from conftest import GOLDEN, TINY
from torture import assert_equal, read
from trainings import StopAt, epochs_saved, multiply_losses, runs, with_callback

from samplernn.audio.quantize import quantizer
from samplernn.checkpoints import run_folders
from samplernn.checkpoints import store as checkpoints
from samplernn.checkpoints.settings import read_settings
from samplernn.commands import cli
from samplernn.corpus.scan import scan_corpus
from samplernn.corpus.split import Split, split_corpus
from samplernn.generation.generate import generate_from_checkpoints
from samplernn.models.likelihood import categorical
from samplernn.models.optimizer import make_optimizer
from samplernn.models.registry import config_from_dict
from samplernn.models.samplernn.config import SampleRNNConfig
from samplernn.models.samplernn.model import SampleRNN
from samplernn.options.train import TrainingOptions
from samplernn.system import progress
from samplernn.system.errors import InputError, RunError
from samplernn.training import loop, resuming, steps
from samplernn.training import train as training
from samplernn.training.beginning import Beginning
from samplernn.training.callbacks import EarlyStopping, PrintStatistics, Remarks, SaveCheckpoints
from samplernn.training.loop import Progress
from samplernn.training.resuming import Resumed
from samplernn.training.run import Run
from samplernn.training.train import train

LSTM = {
    "frame_sizes": [16],
    "rnn_type": "lstm",
    "skip_conn": True,
    "rnn_dropout": 0.3,
    "num_rnn_layers": 2,
    "weight_norm": True,
    "learned_initial_state": True,
}


@pytest.mark.parametrize(
    ("optimizer", "config", "computation"),
    [
        ("adam", {}, {}),
        pytest.param("rmsprop", {"q_type": "linear", "q_levels": 64}, {}, marks=pytest.mark.long),
        pytest.param("sgd", {}, {"precision": "mixed_bfloat16"}, marks=pytest.mark.long),
        pytest.param("adam", {}, {"precision": "mixed_float16"}, marks=pytest.mark.long),
    ],
)
def test_resuming_ends_as_never_stopping_did(options, tmp_path, optimizer, config, computation):
    path = tmp_path / "other.config.json"
    path.write_text(str({**TINY, **config}).replace("'", '"').replace("True", "true"))
    options = replace(options, optimizer=optimizer, config_file=str(path), reduce_learning_rate_after=1, **computation)
    train(replace(options, id="whole"))
    train(replace(options, id="parts", num_epochs=1))
    train(replace(options, id="parts"))
    (whole,) = runs(replace(options, id="whole"))
    first, second = runs(replace(options, id="parts"))
    assert (epochs_saved(first), epochs_saved(second)) == ([1], [2])
    assert_equal(whole / "model.ckpt-2", second / "model.ckpt-2")
    before, found = read(first / "model.ckpt-1"), read(second / "model.ckpt-2")
    weights = [f"{name}{checkpoints.KEY_SUFFIX}" for name in ("table", "memory", "counts")]
    assert not any(np.array_equal(before[key], found[key]) for key in weights)


def test_lines_are_printed_letter_for_letter(options, capsys):
    train(options)
    lines = capsys.readouterr().out.splitlines()
    steps = [line for line in lines if "Step:" in line]
    number = r"\d+\.\d{3}"
    step = rf"Epoch: 2/2, Step: \d+/10, Loss: {number}, Accuracy: {number}, \(\d+\.\d{{4}} sec/step\)"
    assert len(steps) == 20
    assert [re.search(r"Step: (\d+)/10", line)[1] for line in steps] == [str(i) for i in range(1, 11)] * 2
    assert all(re.fullmatch(step, line) for line in steps[10:])
    epoch = (
        rf"Loss: {number}, Accuracy: {number}, Val Loss: {number}, Val Accuracy: {number} \(10 steps in {number} sec\)"
    )
    assert [bool(re.fullmatch(f"Epoch: {i}/2, {epoch}", line)) for i in (1, 2) for line in lines].count(True) == 2


@pytest.fixture
def lines_of_steps(monkeypatch, capsys):
    """A function that gives what is printed of steps, their losses 123, 5, 4, .... where it is not to stay."""

    def play(terminal, width=200, steps=3, seconds=1):
        clock = iter(range(0, 10**6, seconds))
        monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal)
        monkeypatch.setattr(shutil, "get_terminal_size", lambda: os.terminal_size((width, 24)))
        monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
        callback = PrintStatistics(1, progress.StepLines(all_stay=False))
        callback.set_params({"steps": steps})
        callback.on_epoch_begin(0)
        for batch in range(steps):
            callback.on_train_batch_begin(batch)
            loss = [123.0, 5.0][batch] if batch < 2 else 4.0
            callback.on_train_batch_end(batch, {"loss": loss, "accuracy": 0.5})
        return capsys.readouterr().out

    return play


def test_steps_overwrite_each_other_on_a_terminal_unless_verbose(lines_of_steps):
    out = lines_of_steps(terminal=True)
    assert out.count("\n") == 1 and out.endswith("\n")
    first, second, third = out[1:-1].split("\r")
    assert len(second) >= len(first)  # the longer line's end is blanked
    assert "Step: 3/3, Loss: 4.000, Accuracy: 50.000" in third


def test_what_is_overwritten_is_cut_to_the_terminals_width(lines_of_steps):
    assert lines_of_steps(terminal=True, width=24) == "".join(f"\rEpoch: 1/1, Step: {k}/3, " for k in (1, 2, 3)) + "\n"


def test_into_a_pipe_go_whole_lines_at_a_readable_pace(lines_of_steps):
    lines = lines_of_steps(terminal=False, steps=30).splitlines()  # the clock is looked at up to three times a step
    assert all(re.fullmatch(r"Epoch: 1/1, Step: \d+/30, Loss: .* sec/step\)", line) for line in lines)
    numbers = [int(re.search(r"Step: (\d+)/", line)[1]) for line in lines]
    assert numbers[0] == 1 and numbers[-1] == 30
    assert {later - before for before, later in itertools.pairwise(numbers[:-1])} == {4}


def test_a_run_folder_holds_checkpoints_settings_and_logs(options):
    train(replace(options, max_checkpoints=None))
    (run,) = runs(options)
    assert epochs_saved(run) == [1, 2]
    settings = read_settings(run / "model.ckpt-2")
    assert settings["epoch"] == 2
    assert settings["config"] == {"model": "samplernn", **SampleRNNConfig().to_dict(), **TINY}
    assert settings["arguments"]["batch_size"] == 2
    assert settings["sample_rate"] == 16000
    assert settings["versions"]["tensorflow"] == tf.__version__
    assert len(settings["split"]["training"]) == 4 and len(settings["split"]["validation"]) == 2
    assert [set(logs) >= {"loss", "accuracy", "val_loss", "val_accuracy"} for logs in settings["history"]] == [True] * 2
    for part in ("train", "validation"):
        (events,) = (run / part).iterdir()
        tags = {
            value.tag for event in tf.compat.v1.train.summary_iterator(str(events)) for value in event.summary.value
        }
        assert {"epochs/loss", "epochs/accuracy"} <= tags


@pytest.mark.parametrize(
    ("every", "keep", "kept"), [(1, 2, [3, 4]), (2, None, [2, 4]), (3, None, [3]), (1, None, [1, 2, 3, 4])]
)
def test_checkpoints_are_saved_at_their_interval_and_rotated(options, every, keep, kept):
    train(replace(options, num_epochs=4, checkpoint_every=every, max_checkpoints=keep, early_stopping_patience=None))
    assert epochs_saved(runs(options)[0]) == kept


@pytest.mark.parametrize(
    ("monitor", "every", "values", "saved"),
    [
        ("val_loss", 1, [3.0, 2.0, 2.5, 1.0], [1, 2, 4]),
        ("val_accuracy", 1, [0.3, 0.2, 0.4, 0.4], [1, 3]),
        ("val_loss", 2, [3.0, 2.0, 1.0, 1.5], [2, 4]),  # better than at the last save
        (None, 1, [3.0, 4.0], [1, 2]),
    ],
)
@pytest.mark.parametrize("unknown", [0, 2])
def test_policy_best_keeps_improvements_only(monitor, every, values, saved, unknown):
    """Also where the run is resumed after any of its epochs, and where the first ones are not known."""
    for done in range(len(values)):
        progress = Progress(unknown + done, history=[{monitor: value} for value in values[:done]])
        epochs, rolling = [], []
        keep, roll = (lambda p=progress, to=to: to.append(p.epoch - unknown) for to in (epochs, rolling))
        callback = SaveCheckpoints(keep, roll, every, monitor, progress)
        for value in values[done:]:
            progress.end_epoch({monitor: value})
            callback.on_epoch_end(progress.epoch - 1, progress.history[-1])
        assert epochs == [epoch for epoch in saved if epoch > done]
        due = range(every, len(values) + 1, every)
        assert rolling == [epoch for epoch in due if epoch > done and epoch not in saved]


def test_the_best_checkpoint_is_not_rotated_away(options):
    """By a learning rate at which the first epoch is the best for ever."""
    options = replace(options, num_epochs=4, max_checkpoints=1, early_stopping_patience=None, monitor="val_accuracy")
    train(replace(options, learning_rate=1e-12))
    assert epochs_saved(runs(options)[0]) == [1, 4]


def test_early_stopping_waits_its_patience(options, capsys):
    train(replace(options, num_epochs=9, learning_rate=1e-12, early_stopping_patience=2, monitor="val_accuracy"))
    assert epochs_saved(runs(options)[0]) == [1, 2, 3]
    assert "Stopped early: val_accuracy has not improved since epoch 1, when" in capsys.readouterr().out


def test_early_stopping_remembers_when_resumed(options, capsys):
    options = replace(options, learning_rate=1e-12, early_stopping_patience=2, monitor="val_accuracy")
    train(replace(options, num_epochs=2))
    train(replace(options, num_epochs=9))
    assert [epochs_saved(run) for run in runs(options)] == [[1, 2], [3]]
    train(replace(options, num_epochs=9))
    assert not list(runs(options)[2].glob("*.index"))
    assert capsys.readouterr().out.count("Stopped early") == 2


def test_the_rate_in_use_is_the_decayed_one(options):
    train(replace(options, num_epochs=3, learning_rate=0.01, reduce_learning_rate_after=1, max_checkpoints=None))
    rates = [
        read(runs(options)[0] / f"model.ckpt-{epoch}")["optimizer/learning_rate/.ATTRIBUTES/VARIABLE_VALUE"]
        for epoch in (1, 2, 3)
    ]
    assert rates == pytest.approx([0.01, 0.01 * math.exp(-0.1), 0.01 * math.exp(-0.2)])


def test_the_learning_rate_decays_after_the_given_epoch():
    options = TrainingOptions(data_dir=(), learning_rate=0.01, reduce_learning_rate_after=3)
    rates = [training._learning_rate_schedule(options)(epoch, None) for epoch in range(6)]
    assert rates == pytest.approx(
        [0.01, 0.01, 0.01, 0.01 * math.exp(-0.1), 0.01 * math.exp(-0.2), 0.01 * math.exp(-0.3)]
    )


@pytest.mark.network
def test_audio_is_generated_after_each_checkpoint(options, capsys):
    options = replace(
        options, generate=True, max_generate_per_epoch=2, temperature=(0.8,), output_file_dur=0.05, checkpoint_every=2
    )
    train(options)
    folder = Path(options.output_dir, "test")
    names = ["test_e=2(0)_t=0.8.wav", "test_e=2(1)_t=0.8.wav"]
    assert sorted(path.name for path in folder.glob("*.wav")) == names
    assert len(list(folder.iterdir())) == 4
    assert all(soundfile.info(folder / name).frames == 800 for name in names)
    assert f"Wrote {folder / names[1]}" in capsys.readouterr().out


@pytest.mark.long
@pytest.mark.network
def test_the_command_beside_a_clip_makes_it_again(options, monkeypatch, music, tmp_path):
    soundfile.write(tmp_path / "seed.wav", music[:100], 16000)
    monkeypatch.chdir(tmp_path)
    options = replace(
        options, generate=True, max_generate_per_epoch=2, temperature=(0.8, 1.1), output_file_dur=0.05, seed="seed.wav",
        seed_offset=50, random_seed=2**31 - 1, sample_rate=8000, logdir_root="logdir",
        polyak_decay=0.5, learning_rate=0.1,
    )  # fmt: skip
    train(options)
    folder = Path(options.output_dir, "test")
    clips = sorted(folder.glob("*.wav"))
    assert [clip.name[5:-4] for clip in clips] == ["e=1(0)_t=0.8", "e=1(1)_t=1.1", "e=2(0)_t=0.8", "e=2(1)_t=1.1"]
    monkeypatch.chdir(folder)
    made = []
    for clip in clips[::2]:
        monkeypatch.setattr(sys, "argv", json.loads(clip.with_suffix(".json").read_text())["command"][1:])
        made += generate_from_checkpoints(cli.generation_options())
    assert [clip.read_bytes() for clip in made] == [clip.read_bytes() for clip in clips]
    assert len(set(clips + made)) == 8 and len({clip.read_bytes() for clip in clips}) == 4


def test_clips_that_no_wav_can_hold_are_refused_before_anything_is_written(options):
    with pytest.raises(InputError, match="--output_file_dur 200000.0: at 16000 Hz 134217 is the longest"):
        train(replace(options, generate=True, output_file_dur=200000.0))
    assert not Path(options.logdir_root).exists()


def test_nan_stops_training_and_keeps_the_last_good_checkpoint(options, monkeypatch):
    spoil, calls = tf.Variable(1.0), []
    multiply_losses(monkeypatch, spoil)
    monkeypatch.setattr(
        Run,
        "save_and_generate",
        lambda self, save=Run.save_and_generate: (
            save(self), calls.append(self._progress.epoch), spoil.assign(math.nan)
        ),
    )  # fmt: skip
    with pytest.raises(
        RunError,
        match=r"The loss is nan \(epoch 2, step 1; gradient norm nan, learning rate 0.001\): .* To go on after epoch 1",
    ):
        train(options)
    assert calls == [1] and epochs_saved(runs(options)[0]) == [1]
    weights = read(runs(options)[0] / "model.ckpt-1")
    assert all(np.isfinite(value).all() for value in weights.values())


@pytest.mark.parametrize(
    ("place", "config", "flags"),
    [
        pytest.param((1, 3), {}, {}, marks=[pytest.mark.network, pytest.mark.long]),
        pytest.param((0, 0), LSTM, {}, marks=[pytest.mark.network, pytest.mark.long]),
        ((0, 0), {}, {"optimizer": "rmsprop"}),
        pytest.param((1, 9), {}, {"optimizer": "sgd"}, marks=pytest.mark.long),
        ((0, -1), {}, {"precision": "mixed_bfloat16"}),
        pytest.param((1, 4), {}, {"precision": "mixed_float16"}, marks=pytest.mark.long),
    ],
)
def test_stopping_inside_an_epoch_and_resuming_is_as_never_stopping(
    options, tmp_path, monkeypatch, capsys, place, config, flags
):
    path = tmp_path / "other.config.json"
    path.write_text(json.dumps({**TINY, **config}))
    options = replace(options, config_file=str(path), reduce_learning_rate_after=1, **flags)
    losses = with_callback(monkeypatch, None)
    train(replace(options, id="whole"))
    expected = losses[:]
    losses = with_callback(monkeypatch, StopAt(*place))
    with pytest.raises(KeyboardInterrupt):
        train(replace(options, id="parts"))
    epoch, step = place[0], place[1] + 1 if place[1] >= 0 else 10
    name = f"resume.ckpt-{epoch}-{step}"
    (run,) = runs(replace(options, id="parts"))
    assert f"To go on in epoch {epoch + 1} after step {step}, train again with --resume_from {run / name}" in (
        capsys.readouterr().out
    )
    monkeypatch.undo()
    rest = with_callback(monkeypatch, None)
    train(replace(options, id="parts"))
    assert losses + rest == expected
    rate = 0.001 * math.exp(-0.1 * epoch)
    out = capsys.readouterr().out
    assert f"Resuming from {run / name}, the latest of the newest run in {run.parent} that has one." in out
    place = f"epoch {epoch + 1} of 2, step {step + 1} (the optimizer has taken {10 * epoch + step} until now)"
    if flags.get("precision") != "mixed_float16":  # which leaves steps out
        assert f"It goes on with {place}, learning rate {rate:.6g}." in out
    (whole,), (_, last) = (runs(replace(options, id=name)) for name in ("whole", "parts"))
    assert_equal(whole / "model.ckpt-2", last / "model.ckpt-2")


def test_a_rolling_checkpoint_is_replaced_and_never_generated_from(options, monkeypatch):
    options = replace(options, checkpoint_every_minutes=1e-9, checkpoint_every=2)
    seen = []
    look = keras.callbacks.LambdaCallback(
        on_train_batch_begin=lambda batch, logs: seen.append(
            sorted(path.name for path in runs(options)[0].glob("*.index"))
        )
    )
    with_callback(monkeypatch, look)
    train(options)
    assert len(seen) == 20
    for number, found in enumerate(seen):
        assert f"resume.ckpt-{number // 10}-{number % 10}.index" in found and len(found) <= 2
    (run,) = runs(options)
    assert [path.name for path in run.glob("*.index")] == ["model.ckpt-2.index"]
    assert [path.name for path in run.glob(".*")] == []

    monkeypatch.undo()
    with_callback(monkeypatch, StopAt(2, 4))
    with pytest.raises(KeyboardInterrupt):
        train(replace(options, num_epochs=3))
    stopped = runs(options)[1]
    unfinished = stopped / "resume.ckpt-2-5"
    with pytest.raises(
        InputError, match=f"no checkpoint of a whole epoch in it yet; name {re.escape(str(unfinished))}$"
    ):
        run_folders.resolve(str(stopped))
    assert run_folders.resolve(str(stopped), rolling=True) == unfinished
    assert run_folders.resolve(str(stopped.parent)) == run / "model.ckpt-2"
    assert not (stopped / "checkpoint").exists()


def test_what_is_counted_of_a_resumed_epoch_are_the_steps_taken_here(options, monkeypatch, capsys):
    with_callback(monkeypatch, StopAt(0, 6))
    with pytest.raises(KeyboardInterrupt):
        train(options)
    capsys.readouterr()
    monkeypatch.undo()
    train(options)
    steps = re.findall(r"^Epoch: (\d)/2, Loss.*\((\d+) steps in", capsys.readouterr().out, re.MULTILINE)
    assert steps == [("1", "3"), ("2", "10")]


@pytest.mark.long
def test_the_newest_run_goes_on_and_one_that_got_further_is_named(options, capsys):
    train(replace(options, num_epochs=3))
    train(replace(options, num_epochs=1, resume=False))
    capsys.readouterr()
    train(options)
    first, second, third = runs(options)
    out = capsys.readouterr().out
    assert f"Resuming from {second / 'model.ckpt-1'}, the latest of the newest run" in out
    assert f"An earlier run of this id got further, to {first / 'model.ckpt-3'}, with which --resume_from would" in out
    train(replace(options, num_epochs=4))
    assert f"got further, to {first / 'model.ckpt-3'}, with" in capsys.readouterr().out
    train(replace(options, num_epochs=5, resume_from=str(first)))
    assert "got further" not in capsys.readouterr().out


def test_a_training_says_which_other_one_of_its_id_is_running(options, capsys):
    train(replace(options, num_epochs=1))
    assert "is running already" not in capsys.readouterr().out
    (first,) = runs(options)
    with run_folders.held(first):
        train(options)
    (second,) = set(runs(options)) - {first}
    said = f"A training with --id test is running already, in {first}; another --id would keep the two apart.\n"
    assert said in capsys.readouterr().out
    assert not list(second.glob(".*"))


def test_a_training_is_running_until_it_ends(options, monkeypatch):
    seen = []
    look = keras.callbacks.LambdaCallback(on_train_batch_end=lambda step, logs: seen.append(running()))

    def running():
        return run_folders.running(Path(options.logdir_root, options.id))

    with_callback(monkeypatch, look)
    train(replace(options, num_epochs=1))
    assert seen == [runs(options)] * 10 and running() == []


def test_a_second_ctrl_c_stops_at_once(options, monkeypatch):
    twice = StopAt(0, 3)
    monkeypatch.setattr(twice, "_look", lambda step, look=twice._look: (look(step), look(step)))
    with_callback(monkeypatch, twice)
    with pytest.raises(KeyboardInterrupt):
        train(options)
    assert not list(runs(options)[0].glob("*.index"))


def test_a_stop_at_an_epochs_end_needs_no_checkpoint_of_its_own(options, monkeypatch, capsys):
    at_end = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: signal.raise_signal(signal.SIGINT))
    with_callback(monkeypatch, at_end)
    with pytest.raises(KeyboardInterrupt):
        train(options)
    (run,) = runs(options)
    assert [path.name for path in run.glob("*.index")] == ["model.ckpt-1.index"]
    assert f"To go on after epoch 1, train again with --resume_from {run / 'model.ckpt-1'}" in capsys.readouterr().out


def test_where_the_policy_keeps_nothing_the_run_can_be_resumed_all_the_same(options, capsys):
    options = replace(options, learning_rate=1e-12, monitor="val_accuracy", checkpoint_policy="Best")
    options = replace(options, early_stopping_patience=2)
    train(replace(options, num_epochs=2))
    names = [path.name for path in runs(options)[0].glob("*.index")]
    assert sorted(names) == ["model.ckpt-1.index", "resume.ckpt-2-0.index"]
    train(replace(options, num_epochs=9))
    assert "It goes on with epoch 3 of 9, step 1" in capsys.readouterr().out
    assert [path.name for path in runs(options)[1].glob("*.index")] == ["resume.ckpt-3-0.index"]  # its patience ended


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"batch_size": 1}, "--batch_size"),
        ({"random_seed": 7}, "--random_seed"),
        ({}, "the files to train on, their lengths"),
    ],
)
def test_an_epoch_that_would_go_on_differently_begins_anew(
    options, monkeypatch, capsys, caplog, make_corpus, change, said
):
    with_callback(monkeypatch, StopAt(1, 3))
    with pytest.raises(KeyboardInterrupt):
        train(options)
    if not change:
        make_corpus([640] * 8)
    monkeypatch.undo()
    train(replace(options, **change))
    assert f"Epoch 2 begins anew, as its order depends on what has changed: {said}" in caplog.text
    assert "It goes on with epoch 2 of 2, step 1 (the optimizer has taken 14 until now)" in capsys.readouterr().out


@pytest.fixture
def mixing(options, make_corpus):
    more = make_corpus([640] * 4, folder="more")
    return replace(options, data_dir=(f"{options.data_dir[0]}:1.5", f"{more}:0.5"))


def test_a_mix_goes_on_inside_an_epoch_as_if_it_had_not_stopped(mixing, monkeypatch, capsys):
    train(replace(mixing, id="whole"))
    assert "corpus: 4 files to train on (0.0 minutes), weight 1.5, 75.0% of what is heard" in capsys.readouterr().out
    with_callback(monkeypatch, StopAt(1, 7))
    with pytest.raises(KeyboardInterrupt):
        train(replace(mixing, id="parts"))
    monkeypatch.undo()
    train(replace(mixing, id="parts"))
    (whole,), (_, last) = (runs(replace(mixing, id=name)) for name in ("whole", "parts"))
    assert "It goes on with epoch 2 of 2, step 9" in capsys.readouterr().out
    assert_equal(whole / "model.ckpt-2", last / "model.ckpt-2")


def resumed_mix(options):
    """What a run of these options, stopped inside an epoch, leaves to one that resumes it, and its split."""
    split = split_corpus(scan_corpus(options.data_dir).recordings, 128, 2, 0.1)
    settings = {"arguments": asdict(options), "config": TINY, "split": split.names(), "mix": split.mix}
    settings["training_frames"] = split.training_frames
    return Resumed(Path("run/model.ckpt-1"), "", json.loads(json.dumps(settings))), split


def test_an_epoch_of_other_weights_begins_anew(mixing):
    (resumed, split), (one, other) = resumed_mix(mixing), mixing.data_dir
    config = SampleRNNConfig.from_dict(TINY)
    assert resuming._changes_of_the_epoch(resumed, mixing, config, split) == []
    _, changed = resumed_mix(replace(mixing, data_dir=(one, other.removesuffix(":0.5"))))
    assert resuming._changes_of_the_epoch(resumed, mixing, config, changed) == ["the weights of --data_dir"]


def test_the_folder_that_names_are_relative_to_stays_the_first(mixing):
    """Else what was held out, by its name, might be a file of another folder."""
    (resumed, _), (one, other) = resumed_mix(mixing), mixing.data_dir

    def complaints(options):
        return list(resuming._complaints_about_first_folder(options, resumed))

    for refused in [(other, one), ("new", one), (other,), (other[:-4] + ":3", "new")]:
        (complaint,) = complaints(replace(mixing, data_dir=refused))
        assert re.match(f"--data_dir .*, began with {one[:-4]}, .*; name that folder first", complaint)
    for accepted in [(one, other), (one[:-4],), (one, "new", other), ("moved/corpus", "moved/more")]:
        assert not complaints(replace(mixing, data_dir=accepted))
    for damaged in ["a", [], [1], ["\0"], [["a"]], {"a": 1}, None]:
        resumed.settings["arguments"]["data_dir"] = damaged
        assert not complaints(mixing)


def test_workers_agree_on_the_weights(mixing):
    def facts(*data_dir):
        corpus = scan_corpus(data_dir).recordings
        options = replace(mixing, data_dir=data_dir)
        return Beginning(None, None, SampleRNNConfig(), (), None, split_corpus(corpus, 128, 2, 0.1)).facts(options)

    ours, (one, other) = facts(*mixing.data_dir), mixing.data_dir
    theirs = facts(one, f"{other[:-4]}:2")
    assert [name for name in ours if ours[name] != theirs[name]] == ["the weights of --data_dir"]
    assert facts(str(Path(one[:-4], "..", "corpus")) + ":1.5", other) == ours


def test_flags_that_differ_from_the_resumed_runs_are_listed(options, capsys):
    train(replace(options, num_epochs=1))
    assert "Not as in that run" not in capsys.readouterr().out
    train(replace(options, learning_rate=0.01, temperature=(0.5, 0.75), max_checkpoints=None, verbose=False))
    assert (
        "Not as in that run: --num_epochs 2 (was 1); --learning_rate 0.01 (was 0.001); --max_checkpoints None (was 5);"
        " --temperature 0.5 0.75 (was 0.95).\n" in capsys.readouterr().out
    )


def test_what_would_change_the_split_is_refused(options, make_corpus):
    train(replace(options, num_epochs=1, val_frac=0.3))
    with pytest.raises(InputError, match="--val_frac 0.1: .* held out 0.3 of the files, .*give --val_frac 0.3, or"):
        train(options)
    other = make_corpus([640] * 6, folder="other")
    for path in list(other.iterdir()):
        path.rename(path.with_name(f"other_{path.name}"))
    with pytest.raises(InputError, match="--data_dir: of 2 files that the resumed run held out none is there"):
        train(replace(options, val_frac=0.3, data_dir=(str(other),)))
    assert len(runs(options)) == 1
    train(replace(options, data_dir=(str(other),), resume=False))


def test_what_is_held_out_is_held_out_as_the_run_began(options):
    """Where a run says nothing of it, it is from before there was the flag."""
    settings = {"arguments": asdict(options), "split": {"training": ["a.wav"], "validation": ["b.wav"]}}
    resumed = Resumed(Path("run/model.ckpt-1"), "", settings)
    recordings = replace(options, hold_out="recordings")
    refused = (
        "--hold_out {}: the run to be resumed, run, held out {}, and what it has trained on cannot be held out any"
        " more; give --hold_out {}, or --resume False to start from scratch"
    )

    def complaints(options):
        return list(resuming._complaints_about_split(options, resumed))

    for _ in range(2):
        assert complaints(options) == []
        assert complaints(recordings) == [refused.format("recordings", "files", "files")]
        settings["arguments"].pop("hold_out", None)
    settings["arguments"]["hold_out"] = "recordings"
    assert complaints(recordings) == []
    assert complaints(options) == [refused.format("files", "recordings", "recordings")]
    assert len(complaints(replace(options, val_frac=0.3))) == 2
    del settings["split"]
    assert complaints(replace(options, val_frac=0.3)) == []


def test_recordings_that_are_held_out_stay_so(options, make_corpus, caplog):
    corpus = make_corpus([640] * 8, folder="chunks")
    for k, path in enumerate(sorted(corpus.iterdir())):
        path.rename(corpus / f"{'aaaaaabb'[k]}_chunk_{k}.wav")
    options = replace(options, data_dir=(str(corpus),), val_frac=0.25, hold_out="recordings")
    train(replace(options, num_epochs=1))
    shutil.copy(corpus / "b_chunk_6.wav", corpus / "b_chunk_9.wav")
    shutil.copy(corpus / "a_chunk_0.wav", corpus / "a_chunk_9.wav")
    train(options)
    before, after = (read_settings(run_folders.latest_in(run))["split"] for run in runs(options))
    assert set(before["validation"]) == {"b_chunk_6.wav", "b_chunk_7.wav"}
    assert {name[0] for name in before["training"]} == {"a"} and len(before["training"]) == 6
    assert after["validation"] == before["validation"]
    assert {name[0] for name in after["training"]} == {"a"} and len(after["training"]) == 6
    assert "Left out 1 chunk, new in recordings that the resumed run holds out." in caplog.text
    with pytest.raises(InputError, match="--hold_out files: the run to be resumed, .*; give --hold_out recordings, or"):
        train(replace(options, hold_out="files"))


def test_a_validation_that_flatters_is_said_once_and_again_on_resuming(options, overlapping_chunks, caplog):
    options = replace(options, data_dir=(str(overlapping_chunks),))
    for epochs, remedy in [(1, ""), (2, "with another --id, ")]:
        caplog.clear()
        train(replace(options, num_epochs=epochs))
        said = f"Of 2 held-out files 2 overlap with files that are trained on: the validation loss flatters; {remedy}"
        remarks = [record.getMessage() for record in caplog.records if "held-out" in record.getMessage()]
        assert remarks == [
            said + "--hold_out recordings holds whole recordings out, --hold_out time a stretch of each."
        ]
    for hold_out in ("recordings", "time"):
        caplog.clear()
        train(replace(options, id=hold_out, num_epochs=1, hold_out=hold_out))
        assert "held-out" not in caplog.text
    split = read_settings(runs(replace(options, id="time"))[0] / "model.ckpt-1")["split"]
    of_each = [[int(name[-5]) for name in split["validation"] if name.startswith(recording)] for recording in "xy"]
    assert list(map(len, of_each)) == [1, 1]  # of six chunks, with samples in common with the next two
    trained_on = {(name[0], int(name[-5])) for name in split["training"]}
    assert trained_on == {
        (recording, k) for recording, (held_out,) in zip("xy", of_each) for k in range(1, 7) if abs(k - held_out) > 2
    }


def test_a_loss_that_explodes_is_a_divergence_too(options, monkeypatch):
    multiply_losses(monkeypatch, 11.0)
    with pytest.raises(
        RunError, match=r"The loss is 6[\d.]+ \(epoch 1, step 1; gradient norm [\d.]+, learning rate 0.001\)"
    ):
        train(options)


def test_weights_that_the_validation_shows_to_be_bad_are_not_saved(options):
    """One step an epoch, so that the loss of the only step is from before it."""
    for path in Path(*options.data_dir).iterdir():
        audio, rate = soundfile.read(path)
        soundfile.write(path, audio[:128], rate)
    with pytest.raises(RunError, match=r"The validation loss is .*: training diverges.* There is no checkpoint yet"):
        train(replace(options, batch_size=3, optimizer="sgd", learning_rate=1e6))
    assert not list(runs(options)[0].glob("*.index"))


def test_a_rolling_checkpoint_that_the_next_step_shows_to_be_bad_is_not_gone_on_from(options):
    options = replace(options, optimizer="sgd", learning_rate=1e6, checkpoint_every_minutes=1e-9)
    with pytest.raises(RunError, match=r"\(epoch 1, step 2; .*resume.ckpt-0-0$"):
        train(options)
    assert [path.name for path in runs(options)[0].glob("*.index")] == ["resume.ckpt-0-0.index"]


def test_the_end_can_be_gone_on_from_though_it_is_none_to_save_after(options, capsys):
    train(replace(options, checkpoint_every=5))
    assert [path.name for path in runs(options)[0].glob("*.index")] == ["resume.ckpt-2-0.index"]
    train(replace(options, num_epochs=3))
    assert "It goes on with epoch 3 of 3, step 1" in capsys.readouterr().out


def test_early_stopping_forgives_what_went_on_all_the_same():
    losses = [5.0, 6.0, 6.1, 6.2, 4.0, 3.0, 2.5]
    model = keras.Sequential()
    for number, stops in ((7, False), (4, True)):
        progress = Progress(number, history=[{"val_loss": loss} for loss in losses[:number]])
        callback = EarlyStopping("val_loss", 3, progress)
        callback.set_model(model)
        callback.on_train_begin()
        assert model.stop_training == stops


def test_gradients_that_are_no_numbers_are_noticed_before_anything_is_saved(options, monkeypatch):
    monkeypatch.setattr(steps, "loss_scale", lambda optimizer: math.inf)
    with pytest.raises(RunError, match=r"The loss is 5\.\d+ \(epoch 1, step 1; gradient norm nan"):
        train(replace(options, checkpoint_every_minutes=1e-9))
    assert not list(runs(options)[0].glob("*.index"))


@pytest.mark.parametrize(
    "change",
    [{"step": 10**6}, {"sums": {"correct": 1, "targets": 256, "nll": 2}}, {"sums": [1.0, 1.0, 0.0]}],
    ids=["a step beyond the epoch", "other sums", "no targets"],
)
def test_a_place_that_no_training_can_have_stood_in_is_refused(options, monkeypatch, change):
    with monkeypatch.context() as patch:
        with_callback(patch, StopAt(0, 3))
        with pytest.raises(KeyboardInterrupt):
            train(options)
    (path,) = runs(options)[0].glob("resume.ckpt-*.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(InputError, match=r"resume.ckpt-0-4.json: not where this training can have stood; resume from"):
        train(options)


@pytest.mark.network
@pytest.mark.long
def test_the_sums_of_version_1_are_gone_on_with(options, monkeypatch):
    """Which it wrote as a list, and without the name of the family."""
    train(replace(options, id="whole"))
    with monkeypatch.context() as patch:
        with_callback(patch, StopAt(0, 3))
        with pytest.raises(KeyboardInterrupt):
            train(options)
    (path,) = runs(options)[0].glob("resume.ckpt-*.json")
    settings = json.loads(path.read_text())
    settings["sums"] = [settings["sums"][name] for name in ("nll", "correct", "targets")]
    del settings["config"]["model"]
    path.write_text(json.dumps(settings))
    train(options)
    whole, parts = (read_settings(runs(of)[-1] / "model.ckpt-2") for of in (replace(options, id="whole"), options))
    assert parts["history"] == whole["history"]
    assert_equal(runs(replace(options, id="whole"))[-1] / "model.ckpt-2", runs(options)[-1] / "model.ckpt-2")


@pytest.mark.parametrize(
    ("history", "said"),
    [
        ([(0.1, 3.0), (0.2, 3.1), (0.3, 3.2), (0.4, 3.3), (0.5, 3.4)], [(4, "has only risen since epoch 1")]),
        ([(0.1, 3.0), (0.2, 3.1), (0.3, 3.2), (0.4, 3.2), (0.5, 3.4)], []),
        ([(0.1, 3.0), (0.992, 2.9), (0.994, 2.8)], [(2, "training accuracy is 99.2%")]),
    ],
)
def test_learning_by_heart_is_remarked_on_once(capsys, history, said):
    progress, remarks = Progress(), []
    callback = Remarks(progress)
    callback.set_model(SampleRNN(SampleRNNConfig.tiny()))
    for epoch, (accuracy, held_out) in enumerate(history):
        progress.end_epoch({"accuracy": accuracy, "val_loss": held_out})
        callback.on_epoch_end(epoch)
        remarks += [(epoch + 1, line) for line in capsys.readouterr().out.splitlines()]
    assert len(remarks) == len(said)
    for (epoch, text), (at, line) in zip(said, remarks):
        assert at == epoch and text in line


def test_an_interrupt_says_how_to_resume(options, monkeypatch, capsys):
    def interrupt(self, epoch, logs=None):
        if epoch == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(PrintStatistics, "on_epoch_end", interrupt)
    with pytest.raises(KeyboardInterrupt):
        train(options)
    (run,) = runs(options)
    assert f"To go on after epoch 1, train again with --resume_from {run / 'model.ckpt-1'}" in capsys.readouterr().out


def test_a_finished_run_has_nothing_left_to_do(options, capsys):
    train(replace(options, num_epochs=1))
    train(replace(options, num_epochs=1))
    assert "Nothing to do: epoch 1 is done" in capsys.readouterr().out
    assert len(runs(options)) == 1


@pytest.mark.long
@pytest.mark.network
def test_a_prism_checkpoint_is_gone_on_from(options, capsys):
    options = replace(options, config_file=str(GOLDEN / "optimizers" / "model.config.json"), learning_rate=1e-2)
    train(replace(options, resume_from=str(GOLDEN / "optimizers" / "model.ckpt-4"), num_epochs=5))
    (run,) = runs(options)
    assert epochs_saved(run) == [5]
    out = capsys.readouterr().out
    assert re.search(
        r"It goes on with epoch 5 of 5, step 1 \(the optimizer has taken \d+ until now\), learning rate 0.01\.", out
    )
    iterations = "optimizer/iter/.ATTRIBUTES/VARIABLE_VALUE"
    steps = read(run / "model.ckpt-5")[iterations] - read(GOLDEN / "optimizers" / "model.ckpt-4")[iterations]
    assert steps == 2 * (640 // 64)


class LookAtTheBeginning(keras.callbacks.Callback):
    """Saves what a training begins with as a checkpoint of its own."""

    def __init__(self, folder):
        super().__init__()
        self.checkpoint = folder / "model.ckpt-0"

    def on_train_begin(self, logs=None):
        self.checkpoint.parent.mkdir()
        checkpoints.save(self.checkpoint, self.model, self.model.optimizer, {"config": {}})


@pytest.mark.network
@pytest.mark.parametrize("whose", ["prism's", pytest.param("ours", marks=pytest.mark.long)])
def test_a_new_training_begins_with_the_weights_of_a_checkpoint(options, tmp_path, monkeypatch, capsys, music, whose):
    source, config_file = GOLDEN / "gru" / "model.ckpt-1", None
    if whose == "ours":
        config_file = options.config_file
        other = tmp_path / "other.config.json"
        other.write_text(json.dumps({**TINY, "seq_len": 64, "rnn_dropout": 0.3}))  # what any weights run with
        train(replace(options, id="source", config_file=str(other), num_epochs=3))
        source = runs(replace(options, id="source"))[0] / "model.ckpt-3"
    for path in Path(*options.data_dir).glob("*.wav"):  # all alike, so that the first batch is known
        soundfile.write(path, music[:128], 16000)
    look = LookAtTheBeginning(tmp_path / "beginning")
    losses = with_callback(monkeypatch, look)
    train(replace(options, init_from=str(source), config_file=config_file, num_epochs=1))
    out = capsys.readouterr().out
    assert (
        f"Beginning with the weights of {source}: a new training, from epoch 1 on.\n" in out
        and "Epoch: 1/1, Step: 1/" in out
    )
    (run,) = runs(options)
    settings = read_settings(run / "model.ckpt-1")
    assert len(settings["history"]) == 1 and settings["arguments"]["init_from"] == str(source)

    begun, given = read(look.checkpoint), read(source)
    weights = [key for key in begun if not re.match("optimizer|random", key) and "OPTIMIZER_SLOT" not in key]
    for key in weights:
        np.testing.assert_array_equal(begun[key], given[key], err_msg=key)
    slots = [value for key, value in begun.items() if "OPTIMIZER_SLOT" in key]
    assert len(slots) == 2 * len(weights) >= 30 and not any(map(np.any, slots))
    assert begun["optimizer/iter/.ATTRIBUTES/VARIABLE_VALUE"] == 0
    dropout = "random/dropout/.ATTRIBUTES/VARIABLE_VALUE"
    assert not np.array_equal(begun[dropout], given.get(dropout))

    config = config_from_dict(settings["config"])
    model = SampleRNN(config)
    checkpoints.restore(source, model)
    tokens = quantizer(config.q_type, config.q_levels).encode(np.r_[np.zeros(16, np.float32), music[:128]])
    first = tf.constant(tokens[None, : 16 + config.seq_len])
    sums = categorical(model(first, model.initial_state(1))[0], first[:, 16:])
    assert losses[0] == pytest.approx(float(sums["nll"] / sums["targets"]), abs=1e-5)


@pytest.mark.long
def test_a_run_that_is_there_goes_on_whatever_it_is_to_begin_with(options, capsys, caplog):
    train(replace(options, id="source", num_epochs=1))
    source = str(runs(replace(options, id="source"))[0] / "model.ckpt-1")
    train(replace(options, config_file=None, init_from=source, num_epochs=1))
    assert "is not used" not in caplog.text
    train(replace(options, config_file=None, init_from="gone"))
    out = capsys.readouterr().out
    assert "--init_from gone is not used, as this run goes on; another --id, or --resume False, would" in caplog.text
    assert "It goes on with epoch 2 of 2" in out and out.count("Beginning with the weights") == 1
    assert [epochs_saved(run) for run in runs(options)] == [[1], [2]]
    train(replace(options, config_file=None, init_from=source, num_epochs=1, resume=False))
    assert capsys.readouterr().out.count("Beginning with the weights") == 1
    assert epochs_saved(runs(options)[2]) == [1]


def test_a_training_begins_with_a_rolling_checkpoint_at_another_rate(options, monkeypatch, capsys, make_corpus):
    with_callback(monkeypatch, StopAt(0, 3))
    with pytest.raises(KeyboardInterrupt):
        train(replace(options, id="source"))
    (source,) = runs(replace(options, id="source"))
    capsys.readouterr()
    other = make_corpus([640] * 6, sample_rate=24000, folder="other")
    with pytest.raises(KeyboardInterrupt):
        train(replace(options, data_dir=(str(other),), init_from=str(source)))
    out, (run,) = capsys.readouterr().out, runs(options)
    assert (
        f"Beginning with the weights of {source / 'resume.ckpt-0-4'}: a new training, from epoch 1 on.\n"
        "It was trained at 16000 Hz, and the corpus is at 24000 Hz: pitch and tempo as it has learnt them are 1.5 times"
    ) in out
    assert (
        "To go on in epoch 1 after step 4, leave out --init_from, and train again with --resume_from"
        f" {run / 'resume.ckpt-0-4'}\n"
    ) in out


@pytest.mark.long
@pytest.mark.network
def test_before_the_first_checkpoint_training_again_begins_with_the_same_weights(options, monkeypatch, capsys):
    source = str(GOLDEN / "gru" / "model.ckpt-1")
    twice = StopAt(0, 0)
    monkeypatch.setattr(twice, "_look", lambda step, look=twice._look: (look(step), look(step)))
    with_callback(monkeypatch, twice)
    with pytest.raises(KeyboardInterrupt):
        train(replace(options, config_file=None, init_from=source))
    said = f"There is no checkpoint yet: training again begins with the weights of {source}\n"
    assert said in capsys.readouterr().out


@pytest.mark.network
def test_what_no_training_can_begin_with_is_one_line(options):
    source = str(GOLDEN / "gru" / "model.ckpt-1")
    with pytest.raises(InputError, match="--resume_from goes on with a run, --init_from begins a new one; leave out"):
        replace(options, resume_from=source, init_from=source)
    said = r"--config_file .*tiny.config.json is not .*: dim is 8 \(there 16\).*; leave --init_from out to start from"
    with pytest.raises(InputError, match=said):
        train(replace(options, init_from=source))
    with pytest.raises(InputError, match="model.ckpt-2: there is no such checkpoint; there is epoch 1"):
        train(replace(options, config_file=None, init_from=source[:-1] + "2"))
    assert not Path(options.logdir_root).exists()


def test_resuming_without_a_config_flag_takes_the_checkpoints_own(options, monkeypatch, tmp_path):
    train(replace(options, num_epochs=1))
    train(replace(options, config_file=None))
    assert read_settings(runs(options)[1] / "model.ckpt-2")["config"]["dim"] == TINY["dim"]


def test_resuming_with_another_networks_config_is_refused(options, tmp_path):
    train(replace(options, num_epochs=1))
    other = tmp_path / "other.config.json"
    other.write_text('{"dim": 16, "seq_len": 128, "frame_sizes": [4, 16], "num_rnn_layers": 1, "emb_size": 8}')
    said = r"--config_file .*model.ckpt-1.json: dim is 16 \(there 8\).*; give --resume False to start from scratch$"
    with pytest.raises(InputError, match=said):
        train(replace(options, config_file=str(other)))
    other.write_text('{"model": "wavenet"}')
    said = "model.ckpt-1 is a samplernn; the config .*other.config.json is of wavenet; leave --config_file out"
    with pytest.raises(InputError, match=said):
        train(replace(options, config_file=str(other)))
    assert len(runs(options)) == 1


def test_files_added_before_resuming_are_trained_on_only(options, make_corpus):
    train(replace(options, num_epochs=1))
    make_corpus([640] * 10)
    train(options)
    before, after = (read_settings(run / f"model.ckpt-{i}")["split"] for i, run in enumerate(runs(options), 1))
    assert after["validation"] == before["validation"]
    assert set(after["training"]) > set(before["training"])


def test_unusable_files_are_an_error_or_skipped_and_then_the_run_folder_lists_them(options):
    unusable = Path(*options.data_dir, "piece_9.wav")
    unusable.write_text("no audio")
    with pytest.raises(InputError, match=r"piece_9\.wav is not audio"):
        train(options)
    assert not Path(options.logdir_root).exists()
    train(replace(options, id="skipped", skip_unusable=True, num_epochs=1))
    (skipped,) = runs(replace(options, id="skipped"))
    assert "(1 of 7 files). Left out.\n    piece_9.wav\n" in (skipped / "corpus.txt").read_text()
    unusable.unlink()
    train(replace(options, id="clean", num_epochs=1))
    (clean,) = runs(replace(options, id="clean"))
    without, never = (read_settings(run / "model.ckpt-1")["split"] for run in (skipped, clean))
    assert without == never


@pytest.mark.network
@pytest.mark.parametrize("flag", ["logdir_root", "output_dir"])
def test_a_folder_that_cannot_be_created_is_named(options, tmp_path, flag):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=f"--{flag}: .*file"):
        train(replace(options, generate=True, **{flag: str(tmp_path / "file" / "sub")}))


def test_a_seed_that_cannot_be_used_is_refused_before_anything_is_written(options):
    with pytest.raises(InputError, match="--seed: nowhere.wav is missing"):
        train(replace(options, generate=True, seed="nowhere.wav"))
    assert not Path(options.logdir_root).exists()


@pytest.mark.long
@pytest.mark.network
def test_state_runs_on_inside_a_file_and_starts_from_zero_at_the_next(options):
    """The loop's losses equal those of whole files, each predicted in one go from a state of zero."""
    corpus = scan_corpus(options.data_dir).recordings
    config = SampleRNNConfig.from_dict(TINY)
    model = SampleRNN(config)
    for i, variable in enumerate(model.trainable_variables):
        variable.assign(tf.random.stateless_normal(variable.shape, [i, 0], stddev=0.3))  # so that state matters
    model.compile(optimizer=make_optimizer("sgd", 1e-12, 0.0, model))
    logs = {}
    keep = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, epoch_logs: logs.update(epoch_logs))
    loop.fit(model, Split(corpus[:4], corpus[4:]), 2, 0, 1, [keep])
    losses = []
    for recording in corpus:
        audio, _ = soundfile.read(recording.path, dtype="float32")
        tokens = quantizer(config.q_type, config.q_levels).encode(np.r_[np.zeros(16, np.float32), audio])
        logits, _ = model(tf.constant(tokens[None]), model.initial_state(1))
        sums = categorical(logits, tf.constant(tokens[None, 16:]))
        losses.append(float(sums["nll"] / sums["targets"]))
    assert logs["loss"] == pytest.approx(np.mean(losses[:4]), abs=1e-4)
    assert logs["val_loss"] == pytest.approx(np.mean(losses[4:]), abs=1e-4)


def test_a_failure_while_saving_says_how_to_resume(options, monkeypatch):
    def full_disk(self, save=Run.save_and_generate):
        if self._progress.epoch == 2:
            raise OSError(28, "No space left on device", "x.wav")
        save(self)

    monkeypatch.setattr(Run, "save_and_generate", full_disk)
    with pytest.raises(RunError, match="x.wav: No space left on device. To go on after epoch 1"):
        train(options)
