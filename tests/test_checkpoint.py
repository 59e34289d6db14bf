"""Checkpoints: every variable comes back, nothing half-written counts, the right one is found."""

import itertools
import json
import shutil
import time

import numpy as np
import pytest
import tensorflow as tf
from conftest import GOLDEN, TINY

from samplernn import checkpoint as checkpoints
from samplernn.config import InputError, ModelConfig, RunError
from samplernn.model import SampleRNN
from samplernn.optimizer import SLOT_NAMES, make_optimizer

PRISM = GOLDEN / "gru" / "model.ckpt-1"


def build(optimizer="adam", **config):
    model = SampleRNN(ModelConfig.from_dict({**TINY, **config}))
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
    model = SampleRNN(checkpoints.model_config(GOLDEN / "optimizers" / "model.ckpt-4", None))
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
    assert checkpoints.latest_in(tmp_path) == tmp_path / "model.ckpt-10"
    assert json.loads((tmp_path / "model.ckpt-9.json").read_text()) == {"epoch": 9}


def test_rotation_keeps_the_last(tmp_path):
    model, optimizer = build()
    for epoch in (8, 9, 10, 11):
        checkpoints.save(tmp_path / f"model.ckpt-{epoch}", model, optimizer, {})
        checkpoints.rotate(tmp_path, 2)
    assert sorted(path.name for path in tmp_path.glob("*.index")) == ["model.ckpt-10.index", "model.ckpt-11.index"]
    assert len(list(tmp_path.iterdir())) == 7
    state = tf.train.get_checkpoint_state(str(tmp_path))
    assert [path.rsplit("-", 1)[1] for path in state.all_model_checkpoint_paths] == ["10", "11"]


def test_what_cannot_be_written_leaves_the_old_checkpoint(tmp_path):
    model, optimizer = build()
    checkpoints.save(tmp_path / "model.ckpt-1", model, optimizer, {})
    (tmp_path / "model.ckpt-2.json").mkdir()
    (tmp_path / "model.ckpt-2.json" / "in the way").touch()
    with pytest.raises(RunError, match="model.ckpt-2: cannot be written"):
        checkpoints.save(tmp_path / "model.ckpt-2", model, optimizer, {})
    assert checkpoints.latest_in(tmp_path) == tmp_path / "model.ckpt-1"
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
    assert checkpoints.latest(tmp_path) == tmp_path / "02.01.2020_10.00.00" / "model.ckpt-10"
    assert checkpoints.latest(tmp_path / "nowhere") is None


@pytest.mark.parametrize("form", ["model.ckpt-10", "model.ckpt-10.index", "model.ckpt-10.data-00000-of-00001", ""])
def test_a_checkpoint_is_named_in_every_way_that_people_do(tmp_path, form):
    folder = tmp_path / "with [brackets] and spaces"
    for epoch in (9, 10):
        copy_prism(folder, epoch)
    assert checkpoints.resolve(str(folder / form)) == folder / "model.ckpt-10"


def test_a_missing_or_incomplete_checkpoint_is_named(tmp_path):
    copy_prism(tmp_path, 5)
    with pytest.raises(InputError, match="model.ckpt-6: there is no such checkpoint; there are epochs 5"):
        checkpoints.resolve(str(tmp_path / "model.ckpt-6"))
    with pytest.raises(InputError, match="there is no such checkpoint"):
        checkpoints.resolve(str(tmp_path / "nowhere" / "model.ckpt-6"))
    (tmp_path / "model.ckpt-5.index").unlink()
    with pytest.raises(InputError, match="incomplete checkpoint, only model.ckpt-5.data"):
        checkpoints.resolve(str(tmp_path / "model.ckpt-5"))
    with pytest.raises(InputError, match="no complete checkpoint"):
        checkpoints.resolve(str(tmp_path))


@pytest.mark.parametrize("part", [".index", ".data-00000-of-00001"])
@pytest.mark.parametrize("damage", [lambda data: data[: len(data) // 2], lambda data: b"", lambda data: b"no" * 5000])
def test_a_damaged_checkpoint_is_refused_and_changes_nothing(tmp_path, part, damage):
    copy_prism(tmp_path, 1)
    path = tmp_path / f"model.ckpt-1{part}"
    path.write_bytes(damage(path.read_bytes()))
    model = SampleRNN(checkpoints.model_config(PRISM, None))
    before = [variable.numpy() for variable in model.trainable_variables]
    with pytest.raises(InputError, match="model.ckpt-1: damaged"):
        checkpoints.restore(tmp_path / "model.ckpt-1", model)
    for variable, value in zip(model.trainable_variables, before):
        np.testing.assert_array_equal(variable, value)


@pytest.mark.parametrize("change", [{"dim": 32}, {"num_rnn_layers": 1}, {"skip_conn": True}, {"rnn_type": "lstm"}])
def test_a_network_of_another_shape_is_refused(change):
    config = {**json.loads((GOLDEN / "gru" / "model.config.json").read_text()), **change}
    with pytest.raises(InputError, match="is of another network than the config"):
        checkpoints.restore(PRISM, SampleRNN(ModelConfig.from_dict(config)))


def test_a_config_that_contradicts_the_checkpoints_names_the_fields(tmp_path):
    path = tmp_path / "other.config.json"
    path.write_text(json.dumps({"dim": 32, "frame_sizes": [4, 16], "seq_len": 128, "num_rnn_layers": 2}))
    with pytest.raises(InputError, match=r"model.config.json: dim is 32 \(there 16\)") as caught:
        checkpoints.model_config(PRISM, str(path))
    assert "seq_len" not in str(caught.value) and "num_rnn_layers" not in str(caught.value)


def test_a_folder_with_brackets_in_its_name_is_read(tmp_path):
    folder = tmp_path / "take [1] *é"
    copy_prism(folder, 1)
    model = SampleRNN(checkpoints.model_config(PRISM, None))
    checkpoints.restore(folder / "model.ckpt-1", model)
    bias = tf.train.load_checkpoint(str(PRISM)).get_tensor("sample_mlp/outputs/bias/.ATTRIBUTES/VARIABLE_VALUE")
    np.testing.assert_array_equal(model.sample_mlp.logits.bias, bias)


@pytest.mark.parametrize(
    "content", ["[]", "{", '{"config": 1}', '{"config": {}, "split": [1]}', '{"config": {}, "history": {}}']
)
def test_settings_of_a_wrong_form_are_refused(tmp_path, content):
    (tmp_path / "model.ckpt-1.json").write_text(content)
    with pytest.raises(InputError, match="model.ckpt-1.json: "):
        checkpoints.read_settings(tmp_path / "model.ckpt-1")


def test_a_checkpoint_without_any_config_asks_for_one(tmp_path):
    copy_prism(tmp_path, 1)
    with pytest.raises(InputError, match="name the one it was trained with by --config_file"):
        checkpoints.model_config(tmp_path / "model.ckpt-1", None)


def test_prisms_own_embedding_width_wins(tmp_path, caplog):
    path = tmp_path / "prism.config.json"
    path.write_text((GOLDEN / "gru" / "model.config.json").read_text().replace('"emb_size": 256', '"emb_size": 64'))
    config = checkpoints.model_config(PRISM, str(path))
    assert config.emb_size == 256
    assert "emb_size is 64 in the config, 256 in the checkpoint" in caplog.text
    checkpoints.restore(PRISM, SampleRNN(config))


def test_runs_that_start_in_the_same_second_have_folders_of_their_own(tmp_path):
    started = time.time()
    folders = [checkpoints.create_run_folder(tmp_path / "id") for _ in range(3)]
    assert len(set(folders)) == 3
    for folder in folders:
        assert abs(time.mktime(time.strptime(folder.name, "%d.%m.%Y_%H.%M.%S")) - started) < 10
