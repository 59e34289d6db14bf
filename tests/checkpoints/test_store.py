"""Checkpoints: every variable comes back, nothing half-written counts, the right one is found."""

import itertools
import json
import os
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from bundle_table import block, read_table, table, varint
from conftest import GOLDEN, TINY

from samplernn.checkpoints import run_folders
from samplernn.checkpoints import store as checkpoints
from samplernn.checkpoints.settings import model_config, read_settings
from samplernn.models.optimizer import SLOT_NAMES, make_optimizer
from samplernn.models.samplernn.config import SampleRNNConfig
from samplernn.models.samplernn.model import SampleRNN
from samplernn.system.errors import InputError, RunError

PRISM = GOLDEN / "gru" / "model.ckpt-1"


def build(optimizer="adam", **config):
    model = SampleRNN(SampleRNNConfig.from_dict({**TINY, **config}))
    return model, make_optimizer(optimizer, 1e-3, 0.9, model)


def everything(model, optimizer):
    values = {variable.path: variable.numpy() for variable in [*model.trainable_variables, *optimizer.variables]}
    return {**values, "dropout": model.dropout_seed.state.numpy()}


def disturb(model, optimizer):
    """Give every variable values of its own."""
    rng = np.random.default_rng(1)
    for variable in [*model.trainable_variables, model.dropout_seed.state, *optimizer.variables]:
        variable.assign(rng.integers(1, 1000, variable.shape).astype(variable.dtype))


@pytest.mark.parametrize("optimizer", SLOT_NAMES)
@pytest.mark.parametrize("rnn_type", ["gru", "lstm"])
def test_every_variable_comes_back(tmp_path, optimizer, rnn_type):
    config = {"rnn_type": rnn_type, "skip_conn": True, "num_rnn_layers": 2, "rnn_dropout": 0.1}
    model, opt = build(optimizer, **config)
    disturb(model, opt)
    checkpoints.save(tmp_path / "model.ckpt-3", model, opt, {"config": {}})
    other, other_opt = build(optimizer, **config)
    checkpoints.restore(tmp_path / "model.ckpt-3", other, other_opt)
    expected, found = everything(model, opt), everything(other, other_opt)
    slots = len(SLOT_NAMES[optimizer]) * len(model.trainable_variables)
    assert len(found) == len(model.trainable_variables) + 1 + 2 + slots
    for path, value in expected.items():
        np.testing.assert_array_equal(found[path], value, err_msg=path)


def test_keys_are_prisms(tmp_path):
    model = SampleRNN(model_config(GOLDEN / "optimizers" / "model.ckpt-4", None))
    optimizer = make_optimizer("adam", 1e-3, 0.9, model)
    checkpoints.save(tmp_path / "model.ckpt-1", model, optimizer, {})
    ours = set(tf.train.load_checkpoint(str(tmp_path / "model.ckpt-1")).get_variable_to_shape_map())
    theirs = set(tf.train.load_checkpoint(str(GOLDEN / "optimizers" / "model.ckpt-4")).get_variable_to_shape_map())
    suffix = "/.ATTRIBUTES/VARIABLE_VALUE"
    assert ours - theirs == {f"random/dropout{suffix}"}
    of_keras = {f"optimizer/{name}{suffix}" for name in ("beta_1", "beta_2", "decay")}
    assert theirs - ours == of_keras | {"_CHECKPOINTABLE_OBJECT_GRAPH"}


@pytest.mark.parametrize(("first", "second"), list(itertools.permutations(SLOT_NAMES, 2)))
def test_another_optimizer_starts_afresh(tmp_path, caplog, first, second):
    model, optimizer = build(first)
    disturb(model, optimizer)
    checkpoints.save(tmp_path / "model.ckpt-1", model, optimizer, {})
    other, fresh = build(second)
    checkpoints.restore(tmp_path / "model.ckpt-1", other, fresh)
    np.testing.assert_array_equal(other.trainable_variables[0], model.trainable_variables[0])
    assert all(not np.any(slot) for slot in fresh.variables[2:]) and int(fresh.iterations) == 0
    assert f"holds no state of the optimizer {second}, which starts afresh" in caplog.text


@pytest.mark.parametrize("optimizer", ["sgd", "rmsprop"])
def test_slots_without_momentum_come_back(tmp_path, optimizer):
    model, _ = build()
    opt = make_optimizer(optimizer, 1e-3, 0.0, model)
    disturb(model, opt)
    checkpoints.save(tmp_path / "model.ckpt-1", model, opt, {})
    other, _ = build()
    other_opt = make_optimizer(optimizer, 1e-3, 0.0, other)
    checkpoints.restore(tmp_path / "model.ckpt-1", other, other_opt)
    for ours, theirs in zip(other_opt.variables, opt.variables):
        np.testing.assert_array_equal(ours, theirs, err_msg=ours.path)


def test_a_checkpoint_is_three_files_and_tensorflow_finds_the_latest(tmp_path):
    model, optimizer = build()
    for epoch in (9, 10):
        checkpoints.save(tmp_path / f"model.ckpt-{epoch}", model, optimizer, {"epoch": epoch})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint"] + [
        f"model.ckpt-{epoch}.{part}" for epoch in (10, 9) for part in ("data-00000-of-00001", "index", "json")
    ]
    assert tf.train.latest_checkpoint(str(tmp_path)) == str(tmp_path / "model.ckpt-10")
    assert run_folders.latest_in(tmp_path) == tmp_path / "model.ckpt-10"
    assert json.loads((tmp_path / "model.ckpt-9.json").read_text()) == {"epoch": 9}


def test_rotation_keeps_the_last(tmp_path):
    model, optimizer = build()
    for epoch in (8, 9, 10, 11):
        checkpoints.save(tmp_path / f"model.ckpt-{epoch}", model, optimizer, {})
        run_folders.rotate(tmp_path, 2, best=None)
    assert sorted(path.name for path in tmp_path.glob("*.index")) == ["model.ckpt-10.index", "model.ckpt-11.index"]
    assert len(list(tmp_path.iterdir())) == 7
    state = tf.train.get_checkpoint_state(str(tmp_path))
    assert [path.rsplit("-", 1)[1] for path in state.all_model_checkpoint_paths] == ["10", "11"]


def test_the_best_is_kept_beside_the_last(tmp_path):
    model, optimizer = build()
    for epoch in (8, 9, 10, 11, 12):
        checkpoints.save(tmp_path / f"model.ckpt-{epoch}", model, optimizer, {})
        run_folders.rotate(tmp_path, 2, best=tmp_path / "model.ckpt-9" if epoch > 8 else None)
    state = tf.train.get_checkpoint_state(str(tmp_path))
    assert [path.rsplit("-", 1)[1] for path in state.all_model_checkpoint_paths] == ["9", "11", "12"]
    assert [run_folders.epoch_of(path) for path in run_folders.kept_in(tmp_path)] == [9, 11, 12]


@pytest.mark.parametrize(
    ("values", "better", "best"),
    [({1: 3.0, 2: 2.0, 3: 2.0}, min, 2), ({2: 0.3, 3: 0.4, 4: 0.5}, max, 3), ({4: 1.0}, min, None), ({}, max, None)],
)
def test_the_best_is_the_first_of_those_there_with_the_best_value(values, better, best):
    there = [Path(f"model.ckpt-{epoch}") for epoch in (1, 2, 3)]
    assert run_folders.best_of(there, values, better) == (best and there[best - 1])


def test_the_state_never_names_what_is_deleted(tmp_path, monkeypatch):
    model, optimizer = build()
    for epoch in (1, 2, 3):
        checkpoints.save(tmp_path / f"model.ckpt-{epoch}", model, optimizer, {})
    named = []
    monkeypatch.setattr(
        run_folders,
        "_delete",
        lambda checkpoint: named.append(f'"{checkpoint.name}"' in (tmp_path / "checkpoint").read_text()),
    )
    run_folders.rotate(tmp_path, 1, best=None)
    assert named == [False, False]


def test_the_networks_state_comes_back(tmp_path):
    model, optimizer = build()
    state = [np.float32([[0.1, 1e-30], [3.0, -1.0]]), np.zeros((2, 3), np.float32)]
    path = run_folders.rolling_prefix(tmp_path, 3, 17)
    checkpoints.save(path, model, optimizer, {"step": 17}, state)
    assert path.name == "resume.ckpt-3-17" and run_folders.place_of(path) == (3, 17)
    for ours, theirs in zip(checkpoints.read_state(path, [(2, 2), (2, 3)]), state):
        np.testing.assert_array_equal(ours, theirs)
    for shapes in ([(2, 2), (3, 2)], [(2, 2), (2, 3), (1, 1)]):
        with pytest.raises(InputError, match="resume.ckpt-3-17: it does not hold the network's state"):
            checkpoints.read_state(path, shapes)
    checkpoints.restore(path, *build())  # the rest is a checkpoint like any other


def test_what_a_killed_process_left_half_written_is_removed_once_it_is_old(tmp_path):
    folders = [tmp_path / "a run" / name for name in (".model.ckpt-1.part", ".model.ckpt-2.part", ".other")]
    for folder in folders:
        folder.mkdir(parents=True)
        (folder / "data").touch()
    for folder in folders[::2]:
        os.utime(folder, (time.time() - 4000, time.time() - 4000))
    run_folders.remove_abandoned(tmp_path)
    assert [folder.exists() for folder in folders] == [False, True, True]


def test_what_cannot_be_written_leaves_the_old_checkpoint(tmp_path):
    model, optimizer = build()
    checkpoints.save(tmp_path / "model.ckpt-1", model, optimizer, {})
    (tmp_path / "model.ckpt-2.json").mkdir()
    (tmp_path / "model.ckpt-2.json" / "in the way").touch()
    with pytest.raises(RunError, match="model.ckpt-2: cannot be written"):
        checkpoints.save(tmp_path / "model.ckpt-2", model, optimizer, {})
    assert run_folders.latest_in(tmp_path) == tmp_path / "model.ckpt-1"
    assert not list(tmp_path.glob(".*"))


def copy_prism(folder, epoch):
    folder.mkdir(parents=True, exist_ok=True)
    for part in (".index", ".data-00000-of-00001"):
        shutil.copy(f"{PRISM}{part}", folder / f"model.ckpt-{epoch}{part}")


def test_the_latest_is_of_the_newest_run_that_holds_a_complete_one(tmp_path):
    copy_prism(tmp_path / "31.12.2019_23.59.59", 200)
    copy_prism(tmp_path / "02.01.2020_10.00.00", 9)
    copy_prism(tmp_path / "02.01.2020_10.00.00", 10)
    copy_prism(tmp_path / "best of", 300)
    (tmp_path / "03.02.2021_00.00.00").mkdir()
    copy_prism(tmp_path / "04.02.2021_00.00.00", 7)
    (tmp_path / "04.02.2021_00.00.00" / "model.ckpt-7.data-00000-of-00001").unlink()
    assert run_folders.latest(tmp_path) == tmp_path / "02.01.2020_10.00.00" / "model.ckpt-10"
    assert run_folders.furthest(tmp_path) == tmp_path / "31.12.2019_23.59.59" / "model.ckpt-200"
    assert run_folders.latest(tmp_path / "nowhere") is None and run_folders.furthest(tmp_path / "nowhere") is None


def test_a_run_is_running_while_it_is_held(tmp_path):
    runs = [tmp_path / name for name in ("31.12.2019_23.59.59", "02.01.2020_10.00.00", "03.01.2020_10.00.00")]
    for run in runs:
        run.mkdir()
    with run_folders.held(runs[1]), run_folders.held(runs[0]):
        assert run_folders.running(tmp_path) == runs[:2]
    assert run_folders.running(tmp_path) == []


@pytest.mark.parametrize("form", ["model.ckpt-10", "model.ckpt-10.index", "model.ckpt-10.data-00000-of-00001", ""])
def test_a_checkpoint_is_named_in_every_way_that_people_do(tmp_path, form):
    folder = tmp_path / "with [brackets] and spaces"
    for epoch in (9, 10):
        copy_prism(folder, epoch)
    assert run_folders.resolve(str(folder / form)) == folder / "model.ckpt-10"


def test_a_missing_or_incomplete_checkpoint_is_named(tmp_path):
    copy_prism(tmp_path, 5)
    with pytest.raises(InputError, match="model.ckpt-6: there is no such checkpoint; there is epoch 5"):
        run_folders.resolve(str(tmp_path / "model.ckpt-6"))
    with pytest.raises(InputError, match="there is no such checkpoint"):
        run_folders.resolve(str(tmp_path / "nowhere" / "model.ckpt-6"))
    (tmp_path / "model.ckpt-5.index").unlink()
    with pytest.raises(InputError, match="incomplete checkpoint, only model.ckpt-5.data"):
        run_folders.resolve(str(tmp_path / "model.ckpt-5"))
    with pytest.raises(InputError, match="no complete checkpoint"):
        run_folders.resolve(str(tmp_path))


@pytest.mark.parametrize("part", [".index", ".data-00000-of-00001"])
@pytest.mark.parametrize("damage", [lambda data: data[: len(data) // 2], lambda data: b"", lambda data: b"no" * 5000])
def test_a_damaged_checkpoint_is_refused_and_changes_nothing(tmp_path, part, damage):
    copy_prism(tmp_path, 1)
    path = tmp_path / f"model.ckpt-1{part}"
    path.write_bytes(damage(path.read_bytes()))
    model = SampleRNN(model_config(PRISM, None))
    before = [variable.numpy() for variable in model.trainable_variables]
    with pytest.raises(InputError, match="model.ckpt-1: damaged"):
        checkpoints.restore(tmp_path / "model.ckpt-1", model)
    for variable, value in zip(model.trainable_variables, before):
        np.testing.assert_array_equal(variable, value)


@pytest.mark.parametrize(
    "change",
    [
        {"dim": 32},
        {"num_rnn_layers": 1},
        {"skip_conn": True},
        {"rnn_type": "lstm"},
        {"weight_norm": True},
        {"learned_initial_state": True},
        {"frame_sizes": [4]},  # all of whose weights the checkpoint has
    ],
)
def test_a_network_of_another_shape_is_refused(change):
    config = {**json.loads((GOLDEN / "gru" / "model.config.json").read_text()), **change}
    with pytest.raises(InputError, match="is of another network than the config"):
        checkpoints.restore(PRISM, SampleRNN(SampleRNNConfig.from_dict(config)))


def test_a_config_that_contradicts_the_checkpoints_names_the_fields(tmp_path):
    path = tmp_path / "other.config.json"
    path.write_text(json.dumps({"dim": 32, "frame_sizes": [4, 16], "seq_len": 128, "num_rnn_layers": 2}))
    with pytest.raises(InputError, match=r"model.config.json: dim is 32 \(there 16\)") as caught:
        model_config(PRISM, str(path))
    assert "seq_len" not in str(caught.value) and "num_rnn_layers" not in str(caught.value)


def test_a_folder_with_brackets_in_its_name_is_read(tmp_path):
    folder = tmp_path / "take [1] *é"
    copy_prism(folder, 1)
    model = SampleRNN(model_config(PRISM, None))
    checkpoints.restore(folder / "model.ckpt-1", model)
    bias = tf.train.load_checkpoint(str(PRISM)).get_tensor("sample_mlp/outputs/bias/.ATTRIBUTES/VARIABLE_VALUE")
    np.testing.assert_array_equal(model.sample_mlp.logits.bias, bias)


@pytest.mark.parametrize(
    "content",
    [
        "[]",
        "{",
        '{"config": 1}',
        '{"config": {}, "split": [1]}',
        '{"config": {}, "split": {"training": ["a.wav"]}}',
        '{"config": {}, "split": {"training": [], "validation": [1]}}',
        '{"config": {}, "history": {}}',
        '{"config": {}, "history": [{"loss": 1.0}]}',
        '{"config": {}, "history": [{"loss": "a", "accuracy": 0.5, "val_loss": 1.0, "val_accuracy": 0.5}]}',
        '{"config": {}, "step": -1}',
        '{"config": {}, "step": 3}',
        '{"config": {}, "step": 3, "sums": [1.0, 1.0]}',
        '{"config": {}, "step": 3, "sums": [1.0, 1.0, NaN]}',
        '{"config": {}, "step": 3, "sums": [[1.0], 1.0, 2.0, 3.0]}',
        '{"config": {}, "step": 3, "sums": {"nll": [[1], [2, 3]], "targets": 1}}',
        '{"config": {}, "step": 3, "sums": {"nll": 1, "targets": Infinity}}',
        '{"config": {}, "step": 3, "sums": {"nll": "a", "targets": 1}}',
        f'{{"config": {{}}, "step": 3, "sums": {{"nll": 1{"0" * 400}, "targets": 1}}}}',
        f'{{"config": {{}}, "history": [{{"loss": 1{"0" * 400}, "accuracy": 1, "val_loss": 1, "val_accuracy": 1}}]}}',
        '{"config": {}, "sample_rate": "abc"}',
        '{"config": {}, "sample_rate": -1}',
        '{"config": {}, "sample_rate": 1e400}',
    ],
)
def test_settings_of_a_wrong_form_are_refused(tmp_path, content):
    (tmp_path / "model.ckpt-1.json").write_text(content)
    with pytest.raises(InputError, match="model.ckpt-1.json: "):
        read_settings(tmp_path / "model.ckpt-1")


def test_a_checkpoint_without_any_config_asks_for_one(tmp_path):
    copy_prism(tmp_path, 1)
    with pytest.raises(InputError, match="name the one it was trained with by --config_file"):
        model_config(tmp_path / "model.ckpt-1", None)


def test_prisms_own_embedding_width_wins(tmp_path, caplog):
    path = tmp_path / "prism.config.json"
    path.write_text((GOLDEN / "gru" / "model.config.json").read_text().replace('"emb_size": 256', '"emb_size": 64'))
    config = model_config(PRISM, str(path))
    assert config.emb_size == 256
    assert "emb_size is 64 in the config, 256 in the checkpoint" in caplog.text
    checkpoints.restore(PRISM, SampleRNN(config))
    caplog.clear()
    copy_prism(tmp_path, 1)
    assert model_config(tmp_path / "model.ckpt-1", None) == config
    assert caplog.text.count("emb_size is 64 in the config, 256 in the checkpoint, whose own it is.") == 1


def test_a_new_run_is_the_newest_whatever_the_clock_does(tmp_path):
    (tmp_path / "01.02.2123_10.00.00").mkdir()
    (tmp_path / "notes").mkdir()
    assert run_folders.create(tmp_path).name == "01.02.2123_10.00.01"


def test_runs_that_start_in_the_same_second_have_folders_of_their_own(tmp_path):
    started = time.time()
    folders = [run_folders.create(tmp_path / "id") for _ in range(3)]
    assert len(set(folders)) == 3
    for folder in folders:
        assert abs(time.mktime(time.strptime(folder.name, "%d.%m.%Y_%H.%M.%S")) - started) < 10


def sub(tag, content):
    """A message in a message, as protocol buffers have it."""
    return bytes([tag << 3 | 2]) + varint(len(content)) + content


def shaped(*sizes, dtype=1, size=0):
    shape = sub(2, b"".join(sub(2, b"\x08" + varint(dimension)) for dimension in sizes))
    return b"\x08" + varint(dtype) + shape + b"\x28" + varint(size)


@pytest.mark.parametrize(
    "entry",
    [
        shaped(-5),
        shaped(2**62, 2**62),
        shaped(2**62, size=2**64 - 8),
        shaped(*[1] * 300, size=4),
        shaped(2**40, size=2**42),
        shaped(256, dtype=0),
        shaped(256, dtype=99),
        shaped(2**28, dtype=7),
        shaped(2**28, dtype=20),
        shaped(2**28, dtype=21),
        shaped(256, size=1024) + b"\x18\x09",
        shaped(256, size=1024) + b"\x20" + varint(-1),
        shaped(256, size=1024) + sub(7, sub(1, b"\x10\x05")) * 2,
        b"\xff\xff\xff",
    ],
    ids=range(14),
)
def test_an_index_that_tensorflow_would_die_of_is_refused(tmp_path, entry):
    """Its checksums are right, so that TensorFlow would believe it: abort, or reserve gigabytes."""
    copy_prism(tmp_path, 1)
    path = tmp_path / "model.ckpt-1.index"
    entries = dict(read_table(path.read_bytes()))
    entries[b"sample_mlp/outputs/bias/.ATTRIBUTES/VARIABLE_VALUE"] = entry
    path.write_bytes(table(block(entries.items())))
    model = SampleRNN(model_config(PRISM, None))
    with pytest.raises(InputError, match="model.ckpt-1"):
        checkpoints.restore(tmp_path / "model.ckpt-1", model)


def test_an_index_written_anew_is_read_as_it_was(tmp_path):
    copy_prism(tmp_path, 1)
    path = tmp_path / "model.ckpt-1.index"
    path.write_bytes(table(block(read_table(path.read_bytes()))))
    theirs = tf.train.load_checkpoint(str(PRISM)).get_variable_to_shape_map()
    found = checkpoints._read(tmp_path / "model.ckpt-1", lambda key: True)
    suffix = "/.ATTRIBUTES/VARIABLE_VALUE"
    assert {key + suffix: list(value.shape) for key, value in found.items()} == {
        key: shape for key, shape in theirs.items() if key.endswith(suffix)
    }


def test_nothing_is_read_from_where_a_state_file_points(tmp_path):
    copy_prism(tmp_path, 1)
    copy_prism(tmp_path / "elsewhere", 2)
    (tmp_path / "elsewhere" / "model.ckpt-2.data-00000-of-00001").write_bytes(b"")
    (tmp_path / "model.ckpt-1").mkdir()
    for folder in (tmp_path, tmp_path / "model.ckpt-1"):
        (folder / "checkpoint").write_text(f'model_checkpoint_path: "{tmp_path}/elsewhere/model.ckpt-2"')
    model = SampleRNN(model_config(PRISM, None))
    checkpoints.restore(run_folders.resolve(str(tmp_path)), model)


def test_a_config_of_a_larger_network_than_the_checkpoint_is_refused_before_it_is_made(tmp_path):
    copy_prism(tmp_path, 1)
    (tmp_path / "my.config.json").write_text('{"dim": 4096}')
    with pytest.raises(InputError, match="take more bytes than it has"):
        model_config(tmp_path / "model.ckpt-1", None)
