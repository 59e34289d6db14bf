"""The JSON config: defaults, and every rule with the message that it gives."""

import json
import os

import pytest
from conftest import ROOT

from samplernn.models.registry import config_from_dict, load_config
from samplernn.models.samplernn.config import SampleRNNConfig
from samplernn.system.errors import InputError


def test_the_shipped_default_config_holds_the_documented_defaults():
    assert load_config(ROOT / "default.config.json") == SampleRNNConfig()
    assert SampleRNNConfig().to_dict() == {
        "seq_len": 1024, "frame_sizes": [16, 64], "dim": 1024, "rnn_type": "gru", "num_rnn_layers": 4,
        "q_type": "mu-law", "q_levels": 256, "emb_size": 256, "skip_conn": False, "rnn_dropout": 0.0,
        "learned_initial_state": False, "weight_norm": False, "network": "prism",
    }  # fmt: skip


def test_a_deepsound_network_is_linear_with_embeddings_as_wide_as_there_are_levels():
    config = SampleRNNConfig.from_dict({"network": "deepsound", "q_levels": 64, "emb_size": 3, "q_type": None})
    assert (config.q_type, config.emb_size) == ("linear", 64)


def test_what_is_not_given_or_null_has_its_default():
    assert SampleRNNConfig.from_dict({"dim": 64, "skip_conn": None}) == SampleRNNConfig(dim=64)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"seq_len": 1000}, "seq_len is 1000; it must be a multiple of the largest frame size 64: 960 or 1024"),
        ({"seq_len": 0}, "seq_len is 0"),
        ({"frame_sizes": [64, 16]}, "ascending"),
        ({"frame_sizes": [16, 16]}, "ascending"),
        ({"frame_sizes": [16, 40]}, "such that 40 is a multiple of 16"),
        ({"frame_sizes": [2, 4, 16, 8]}, "ascending"),
        ({"frame_sizes": [2, 4, 6]}, "such that 6 is a multiple of 4"),
        ({"frame_sizes": [16], "seq_len": 24}, "a multiple of the largest frame size 16: 16 or 32"),
        ({"frame_sizes": []}, "one or more whole numbers"),
        ({"frame_sizes": [0, 16]}, "one or more whole numbers"),
        ({"frame_sizes": "16,64"}, "one or more whole numbers"),
        ({"network": "torch"}, "prism or deepsound"),
        ({"network": "deepsound", "rnn_type": "lstm"}, 'it must be "gru" where network is "deepsound"'),
        ({"network": "deepsound", "q_type": "mu-law"}, 'it must be "linear" where network is "deepsound"'),
        ({"learned_initial_state": 1}, "true or false"),
        ({"dim": 1.5}, "dim is 1.5"),
        ({"dim": True}, "dim is true"),
        ({"dim": 10**30}, "from 1 to 1048576"),
        ({"dim": "1024"}, 'dim is "1024"'),
        ({"num_rnn_layers": 0}, "num_rnn_layers is 0"),
        ({"emb_size": -1}, "emb_size is -1"),
        ({"q_levels": 1}, "q_levels is 1"),
        ({"rnn_type": "rnn"}, "gru or lstm"),
        ({"rnn_type": ["gru"]}, "gru or lstm"),
        ({"q_type": "mulaw"}, "mu-law or linear"),
        ({"skip_conn": 1}, "true or false"),
        ({"rnn_dropout": 1.0}, "from 0 to below 1"),
        ({"rnn_dropout": float("nan")}, "from 0 to below 1"),
        ({"num_rnn_layer": 2}, "did you mean 'num_rnn_layers'?"),
        ({"colour": 2}, "the parameters are seq_len"),
        ([], "JSON object"),
    ],
)
def test_each_broken_rule_is_named(values, said):
    with pytest.raises(InputError) as caught:
        config_from_dict(values)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"dim": 64', "not valid JSON"),
        ("", "not valid JSON"),
        ("[" * 100000, "nested too deeply"),
        ('{"a":' * 100000, "nested too deeply"),
        ("\xff\xfe", "not valid JSON"),
    ],
)
def test_a_file_that_is_no_config_is_named(tmp_path, text, said):
    path = tmp_path / "bad.config.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match=said) as caught:
        load_config(path)
    assert str(path) in str(caught.value)


def test_a_byte_order_mark_is_no_fault(tmp_path):
    (tmp_path / "windows.config.json").write_text('{"dim": 64}', encoding="utf-8-sig")
    assert load_config(tmp_path / "windows.config.json").dim == 64


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match="nowhere.config.json: there is no such file"):
        load_config(tmp_path / "nowhere.config.json")


def test_only_what_shapes_the_network_counts_as_a_difference():
    one = SampleRNNConfig(seq_len=512, rnn_dropout=0.2)
    assert one.network_differences(SampleRNNConfig()) == []
    assert one.network_differences(SampleRNNConfig(dim=64, rnn_type="lstm")) == [
        ("dim", 1024, 64),
        ("rnn_type", "gru", "lstm"),
    ]


def test_mu_law_ignores_q_levels():
    assert SampleRNNConfig(q_levels=64).q_levels == 256
    assert json.dumps(SampleRNNConfig(q_type="linear", q_levels=64).to_dict()["q_levels"]) == "64"


@pytest.mark.parametrize(
    "values",
    [
        {"dim": 2**20, "num_rnn_layers": 128},
        {"emb_size": 2**20, "dim": 2**12},
        {"frame_sizes": [2**19, 2**20], "seq_len": 2**20, "dim": 64, "emb_size": 1},
        {"frame_sizes": [16, 2**20], "seq_len": 2**20, "dim": 1024},
    ],
)
def test_a_network_of_terabytes_is_refused_before_it_is_made(values):
    with pytest.raises(
        InputError, match=r"would hold \d+ numbers, 2147483648 are the most; lower one of these: dim is \d+, num_rnn"
    ):
        SampleRNNConfig.from_dict(values)


@pytest.mark.parametrize("values", [{"num_rnn_layers": 129}, {"num_rnn_layers": 2**20, "dim": 1}])
def test_a_network_of_more_layers_than_can_be_compiled_is_refused(values):
    with pytest.raises(InputError, match="from 1 to 128"):
        SampleRNNConfig.from_dict(values)


def test_only_a_file_of_a_sensible_size_is_read(tmp_path):
    with pytest.raises(InputError, match="not a file, but a folder, a pipe or a device"):
        load_config("/dev/zero" if os.path.exists("/dev/zero") else tmp_path)
    with (tmp_path / "huge.config.json").open("wb") as file:
        file.truncate(8 * 2**30)
    with pytest.raises(InputError, match="too large"):
        load_config(tmp_path / "huge.config.json")


def test_what_a_message_quotes_is_short():
    for values in ({"a" * 10**6: 1}, {"dim": "a" * 10**6}, {"dim": [[1] * 10**5]}):
        with pytest.raises(InputError) as caught:
            SampleRNNConfig.from_dict(values)
        assert len(str(caught.value)) < 300


def test_all_that_is_wrong_is_said_at_once():
    wrong = {"dimm": 8, "sq_len": 1, "num_rnn_layers": 0, "q_type": "a-law", "frame_sizes": [16, 4], "rnn_dropout": 1}
    with pytest.raises(InputError) as refused:
        SampleRNNConfig.from_dict(wrong)
    for said in (
        "unknown parameter 'dimm'; did you mean 'dim'?",
        "unknown parameter 'sq_len'; did you mean 'seq_len'?",
        "num_rnn_layers is 0; it must be a whole number from 1 to 128",
        'q_type is "a-law"; it must be mu-law or linear',
        "frame_sizes is [16, 4]; it must be in ascending order",
        "rnn_dropout is 1; it must be a number from 0 to below 1",
    ):
        assert said in str(refused.value)


def test_however_much_is_wrong_a_message_is_one_line():
    """A table in each parameter's place, or other parameters, as where one JSON file is taken for another."""
    names = ["seq_len", "frame_sizes", "dim", "rnn_type", "num_rnn_layers", "q_levels", "emb_size", "skip_conn"]
    for values in ({name: {"a" * 80: None} for name in names}, {f"{name} of {'a' * 80}": 1 for name in names}):
        with pytest.raises(InputError, match=" and 3 more") as refused:
            SampleRNNConfig.from_dict(values)
        assert len(str(refused.value)) < 1000
