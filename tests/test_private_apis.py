"""What we use of libraries that they do not promise: each in one module, and still as we know it.

Where one of these fails, that module is what a new version of the library has to be met in.
"""

import inspect
import re

import pytest
from conftest import ROOT

USED_IN = {
    r"_try_run_and_update_trial|_random_populate_space|_duplicate\b": "search/keras_tuning.py",
    r"_ot_study|_ot_trials": "search/ray_tuning.py",
    r"tensorboard\.compat|tensorboard\.plugins|tensorboard\.summary": "search/hparams.py",
    r"tensorflow\.core": "checkpoints/bundle.py",
    r"tensorflow\.python": "commands/check_machine.py",
    r"MetaSpec|add_meta_spec": "midi/tunes.py",
    r"keras\.src": None,
}


@pytest.mark.parametrize("pattern", USED_IN)
def test_each_is_used_in_one_place(pattern):
    package = ROOT / "samplernn"
    users = [path for path in package.rglob("*.py") if re.search(pattern, path.read_text(encoding="utf-8"))]
    assert [path.relative_to(package).as_posix() for path in users] == list(filter(None, [USED_IN[pattern]]))


def test_keras_tuner_runs_a_trial_and_proposes_values_as_we_know_it():
    from keras_tuner.engine.base_tuner import BaseTuner
    from keras_tuner.oracles import BayesianOptimizationOracle

    assert list(inspect.signature(BaseTuner._try_run_and_update_trial).parameters)[:2] == ["self", "trial"]
    assert list(inspect.signature(BayesianOptimizationOracle._duplicate).parameters) == ["self", "values"]
    assert list(inspect.signature(BayesianOptimizationOracle._random_populate_space).parameters) == ["self"]


def test_ray_keeps_optunas_study_as_we_know_it():
    from ray import tune
    from ray.tune.search.optuna import OptunaSearch

    search = OptunaSearch({"x": tune.choice([1, 2])}, metric="loss", mode="min", seed=0)
    chosen = search.suggest("first")
    assert chosen in ({"x": 1}, {"x": 2})
    assert search._ot_trials["first"].params == chosen
    assert search._ot_study.trials[0].params == chosen


def test_tensorflow_lists_devices_and_has_the_form_of_an_index_as_we_know_it():
    from tensorflow.core.protobuf.tensor_bundle_pb2 import BundleEntryProto, BundleHeaderProto
    from tensorflow.python.client import device_lib

    cpu = next(device for device in device_lib.list_local_devices() if device.device_type == "CPU")
    assert cpu.name.endswith(":0") and cpu.memory_limit > 0
    assert "num_shards" in BundleHeaderProto.DESCRIPTOR.fields_by_name
    used = {"dtype", "shape", "shard_id", "offset", "size", "slices"}
    assert used <= set(BundleEntryProto.DESCRIPTOR.fields_by_name)


def test_tensorboard_describes_hyperparameters_as_we_know_it():
    from tensorboard.plugins.hparams import api

    domain, metric = api.HParam("x", api.Discrete([1, 2])), api.Metric("loss", group="train", display_name="loss")
    assert api.hparams_config_pb([domain], [metric]).value
    assert api.hparams_pb({"x": 1}, trial_id="0").value


def test_keras_names_an_optimizers_slots_as_we_know_it():
    """From which `slots` finds them, to give them TensorFlow 2.3's names."""
    import keras

    variable = keras.Variable([1.0], name="kernel")
    for name, own in {
        "Adam": ["momentum", "velocity"],
        "RMSprop": ["velocity", "momentum"],
        "SGD": ["momentum"],
    }.items():
        optimizer = (
            getattr(keras.optimizers, name)(momentum=0.9, name="own")
            if name != "Adam"
            else (keras.optimizers.Adam(name="own"))
        )
        optimizer.build([variable])
        paths = [slot.path for slot in optimizer.variables]
        assert {f"own/{variable.path.replace('/', '_')}_{slot}" for slot in own} <= set(paths)
