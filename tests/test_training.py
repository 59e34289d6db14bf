"""Training as a whole, on pieces of real music with tiny models."""

import json
import math
import re
import sys
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
import soundfile
import tensorflow as tf
from conftest import GOLDEN, TINY

from samplernn import checkpoint as checkpoints
from samplernn import cli, training
from samplernn.callbacks import PrintStatistics, SaveCheckpoints, format_duration
from samplernn.config import InputError, ModelConfig, RunError, TrainingOptions
from samplernn.generation import generate_from_checkpoint
from samplernn.model import SampleRNN
from samplernn.optimizer import make_optimizer
from samplernn.quantize import quantizer
from samplernn.training import score, train


@pytest.fixture
def options(tmp_path, make_corpus, tiny_config_file):
    return TrainingOptions(
        data_dir=str(make_corpus([640] * 6)),
        id="test",
        logdir_root=str(tmp_path / "logdir"),
        output_dir=str(tmp_path / "generated"),
        config_file=tiny_config_file,
        num_epochs=2,
        batch_size=2,
        generate=False,
    )


def runs(options):
    """The run folders, oldest first."""
    return sorted(Path(options.logdir_root, options.id).iterdir(), key=lambda folder: folder.stat().st_mtime)


def epochs_saved(run):
    return sorted(checkpoints.epoch_of(index.with_suffix("")) for index in run.glob("*.index"))


def read(checkpoint):
    reader = tf.train.load_checkpoint(str(checkpoint))
    return {key: reader.get_tensor(key) for key in reader.get_variable_to_shape_map()}


@pytest.mark.parametrize(
    ("optimizer", "config", "computation"),
    [
        ("adam", {}, {}),
        ("adam", {"rnn_type": "lstm", "skip_conn": True, "rnn_dropout": 0.3, "num_rnn_layers": 2}, {}),
        ("rmsprop", {"q_type": "linear", "q_levels": 64}, {"jit_compile": False}),
        ("sgd", {"rnn_dropout": 0.1}, {"precision": "mixed_bfloat16"}),
        ("adam", {}, {"precision": "mixed_float16"}),
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
    expected, found = read(whole / "model.ckpt-2"), read(second / "model.ckpt-2")
    assert expected.keys() == found.keys()
    for key, value in expected.items():
        np.testing.assert_array_equal(found[key], value, err_msg=key)
    before = read(first / "model.ckpt-1")
    assert not np.array_equal(before["frame_rnn/upsample/.ATTRIBUTES/VARIABLE_VALUE"],
                              found["frame_rnn/upsample/.ATTRIBUTES/VARIABLE_VALUE"])  # fmt: skip


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


def test_steps_overwrite_each_other_unless_verbose(capsys):
    callback = PrintStatistics(1, verbose=False)
    callback.set_params({"steps": 3})
    callback.on_epoch_begin(0)
    for batch, loss in enumerate([123.0, 5.0, 4.0]):
        callback.on_train_batch_begin(batch)
        callback.on_train_batch_end(batch, {"loss": loss, "accuracy": 0.5})
    out = capsys.readouterr().out
    assert out.count("\n") == 1 and out.endswith("\n")
    first, second, third = out[1:-1].split("\r")
    assert len(second) >= len(first)  # the longer line's end is blanked
    assert "Step: 3/3, Loss: 4.000, Accuracy: 50.000" in third


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (11.2351, "11.235 sec"),
        (71.235, "1 min 11.235 sec"),
        (59.9999, "1 min 0.000 sec"),
        (3723.5, "1 hr 2 min 3.500 sec"),
    ],
)
def test_durations(seconds, text):
    assert format_duration(seconds) == text


def test_a_run_folder_holds_checkpoints_settings_and_logs(options):
    train(replace(options, max_checkpoints=None))
    (run,) = runs(options)
    assert epochs_saved(run) == [1, 2]
    settings = checkpoints.read_settings(run / "model.ckpt-2")
    assert settings["epoch"] == 2
    assert settings["config"] == {**ModelConfig().to_dict(), **TINY}
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
        assert {"epoch_loss", "epoch_accuracy"} <= tags


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
def test_policy_best_saves_improvements_only(monitor, every, values, saved):
    """Also where the run is resumed after any of its epochs."""
    logs = [{monitor: value} for value in values]
    for done in range(len(values) if every == 1 else 1):
        epochs = []
        callback = SaveCheckpoints(lambda epoch, _, epochs=epochs: epochs.append(epoch), every, monitor, logs[:done])
        for epoch in range(done, len(values)):
            callback.on_epoch_end(epoch, logs[epoch])
        assert epochs == [epoch for epoch in saved if epoch > done]


def test_early_stopping_waits_its_patience(options, capsys):
    train(replace(options, num_epochs=9, learning_rate=1e-12, early_stopping_patience=2, monitor="val_accuracy"))
    assert epochs_saved(runs(options)[0]) == [1, 2, 3]
    assert "Stopped early: val_accuracy has not improved for 2 epochs." in capsys.readouterr().out


def test_early_stopping_remembers_when_resumed(options, capsys):
    options = replace(options, learning_rate=1e-12, early_stopping_patience=2, monitor="val_accuracy")
    train(replace(options, num_epochs=2))
    train(replace(options, num_epochs=9))
    assert [epochs_saved(run) for run in runs(options)] == [[1, 2], [3]]
    train(replace(options, num_epochs=9))
    assert epochs_saved(runs(options)[2]) == []
    assert capsys.readouterr().out.count("Stopped early") == 2


def test_the_rate_in_use_is_the_decayed_one(options):
    train(replace(options, num_epochs=3, learning_rate=0.01, reduce_learning_rate_after=1, max_checkpoints=None))
    rates = [
        read(runs(options)[0] / f"model.ckpt-{epoch}")["optimizer/learning_rate/.ATTRIBUTES/VARIABLE_VALUE"]
        for epoch in (1, 2, 3)
    ]
    assert rates == pytest.approx([0.01, 0.01 * math.exp(-0.1), 0.01 * math.exp(-0.2)])


def test_the_learning_rate_decays_after_the_given_epoch():
    options = TrainingOptions(data_dir="", learning_rate=0.01, reduce_learning_rate_after=3)
    rates = [training._learning_rate_schedule(options)(epoch, None) for epoch in range(6)]
    assert rates == pytest.approx(
        [0.01, 0.01, 0.01, 0.01 * math.exp(-0.1), 0.01 * math.exp(-0.2), 0.01 * math.exp(-0.3)]
    )


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


def test_the_command_beside_a_clip_makes_it_again(options, monkeypatch, music, tmp_path):
    soundfile.write(tmp_path / "seed.wav", music[:100], 16000)
    monkeypatch.chdir(tmp_path)
    options = replace(
        options, generate=True, max_generate_per_epoch=2, temperature=(0.8, 1.1), output_file_dur=0.05, seed="seed.wav",
        seed_offset=50, random_seed=2**31 - 1, sample_rate=8000, logdir_root="logdir"
    )  # fmt: skip
    train(options)
    folder = Path(options.output_dir, "test")
    clips = sorted(folder.glob("*.wav"))
    assert [clip.name[5:-4] for clip in clips] == ["e=1(0)_t=0.8", "e=1(1)_t=1.1", "e=2(0)_t=0.8", "e=2(1)_t=1.1"]
    monkeypatch.chdir(folder)
    made = []
    for clip in clips[::2]:
        monkeypatch.setattr(sys, "argv", json.loads(clip.with_suffix(".json").read_text())["command"][1:])
        made += generate_from_checkpoint(cli.generation_options())
    assert [clip.read_bytes() for clip in made] == [clip.read_bytes() for clip in clips]
    assert len(set(clips + made)) == 8 and len({clip.read_bytes() for clip in clips}) == 4


def test_clips_that_no_wav_can_hold_are_refused_before_anything_is_written(options):
    with pytest.raises(InputError, match="--output_file_dur 200000.0: at 16000 Hz 134217 is the longest"):
        train(replace(options, generate=True, output_file_dur=200000.0))
    assert not Path(options.logdir_root).exists()


def test_nan_stops_training_and_keeps_the_last_good_checkpoint(options, monkeypatch):
    plain, calls = training.score, []

    def spoiled(logits, targets):
        return plain(logits, targets) * [spoil, 1.0, 1.0]

    spoil = tf.Variable(1.0)
    monkeypatch.setattr(training, "score", spoiled)
    monkeypatch.setattr(
        training._Run,
        "save_and_generate",
        lambda self, epoch, logs, save=training._Run.save_and_generate: (
            save(self, epoch, logs), calls.append(epoch), spoil.assign(math.nan)
        ),
    )  # fmt: skip
    with pytest.raises(
        RunError, match=r"The loss is nan \(epoch 2, step 1\): try a lower --learning_rate. To go on after epoch 1"
    ):
        train(options)
    assert calls == [1] and epochs_saved(runs(options)[0]) == [1]
    weights = read(runs(options)[0] / "model.ckpt-1")
    assert all(np.isfinite(value).all() for value in weights.values())


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
    assert "Nothing to do: 1 epochs are done" in capsys.readouterr().out
    assert len(runs(options)) == 1


def test_a_prism_checkpoint_is_gone_on_from(options, capsys):
    options = replace(options, config_file=str(GOLDEN / "optimizers" / "model.config.json"), learning_rate=1e-2)
    train(replace(options, resume_from=str(GOLDEN / "optimizers" / "model.ckpt-4"), num_epochs=5))
    (run,) = runs(options)
    assert epochs_saved(run) == [5]
    assert "with epoch 5 of 5" in capsys.readouterr().out
    iterations = "optimizer/iter/.ATTRIBUTES/VARIABLE_VALUE"
    steps = read(run / "model.ckpt-5")[iterations] - read(GOLDEN / "optimizers" / "model.ckpt-4")[iterations]
    assert steps == 2 * (640 // 64)


def test_resuming_without_a_config_flag_takes_the_checkpoints_own(options, monkeypatch, tmp_path):
    train(replace(options, num_epochs=1))
    train(replace(options, config_file=None))
    assert checkpoints.read_settings(runs(options)[1] / "model.ckpt-2")["config"]["dim"] == TINY["dim"]


def test_resuming_with_another_networks_config_is_refused(options, tmp_path):
    train(replace(options, num_epochs=1))
    other = tmp_path / "other.config.json"
    other.write_text('{"dim": 16, "seq_len": 128, "frame_sizes": [4, 16], "num_rnn_layers": 1, "emb_size": 8}')
    with pytest.raises(InputError, match=r"--config_file .*model.ckpt-1.json: dim is 16 \(there 8\)"):
        train(replace(options, config_file=str(other)))
    assert len(runs(options)) == 1


def test_files_added_before_resuming_are_trained_on_only(options, make_corpus):
    train(replace(options, num_epochs=1))
    make_corpus([640] * 10)
    train(options)
    before, after = (
        checkpoints.read_settings(run / f"model.ckpt-{i}")["split"] for i, run in enumerate(runs(options), 1)
    )
    assert after["validation"] == before["validation"]
    assert set(after["training"]) > set(before["training"])


@pytest.mark.parametrize("flag", ["logdir_root", "output_dir"])
def test_a_folder_that_cannot_be_created_is_named(options, tmp_path, flag):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=f"--{flag}: .*file"):
        train(replace(options, generate=True, **{flag: str(tmp_path / "file" / "sub")}))


def test_a_seed_that_cannot_be_used_is_refused_before_anything_is_written(options):
    with pytest.raises(InputError, match="--seed: nowhere.wav is missing"):
        train(replace(options, generate=True, seed="nowhere.wav"))
    assert not Path(options.logdir_root).exists()


def test_scores_are_sums_over_the_targets_that_count():
    logits = tf.math.log([[[0.5, 0.25, 0.25], [0.1, 0.8, 0.1]], [[0.2, 0.2, 0.6], [0.9, 0.05, 0.05]]])
    nll, correct, number = score(logits, tf.constant([[0, 0], [1, -1]])).numpy()
    assert nll == pytest.approx(-(math.log(0.5) + math.log(0.1) + math.log(0.2)), rel=1e-5)
    assert (correct, number) == (1, 3)


def test_state_runs_on_inside_a_file_and_starts_from_zero_at_the_next(options):
    """The loop's losses equal those of whole files, each predicted in one go from a state of zero."""
    corpus = training.scan_corpus(options.data_dir)
    config = ModelConfig.from_dict(TINY)
    model = SampleRNN(config)
    for i, variable in enumerate(model.trainable_variables):
        variable.assign(tf.random.stateless_normal(variable.shape, [i, 0], stddev=0.3))  # so that state matters
    model.compile(optimizer=make_optimizer("sgd", 1e-12, 0.0, model))
    logs = {}
    keep = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, epoch_logs: logs.update(epoch_logs))
    training.fit(model, training.Split(corpus[:4], corpus[4:]), 2, 0, range(1), [keep])
    losses = []
    for recording in corpus:
        audio, _ = soundfile.read(recording.path, dtype="float32")
        tokens = quantizer(config.q_type, config.q_levels).encode(np.r_[np.zeros(16, np.float32), audio])
        logits, _ = model(tf.constant(tokens[None]), model.initial_state(1))
        nll, _, number = score(logits, tf.constant(tokens[None, 16:])).numpy()
        losses.append(nll / number)
    assert logs["loss"] == pytest.approx(np.mean(losses[:4]), abs=1e-4)
    assert logs["val_loss"] == pytest.approx(np.mean(losses[4:]), abs=1e-4)


def test_a_failure_while_saving_says_how_to_resume(options, monkeypatch):
    def full_disk(self, epoch, history, save=training._Run.save_and_generate):
        if epoch == 2:
            raise OSError(28, "No space left on device", "x.wav")
        save(self, epoch, history)

    monkeypatch.setattr(training._Run, "save_and_generate", full_disk)
    with pytest.raises(RunError, match="x.wav: No space left on device. To go on after epoch 1"):
        train(options)
