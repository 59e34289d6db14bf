"""The registry of families: which there are, and what a config that names one becomes."""

import json
import re

import pytest
from conftest import GOLDEN, ROOT, TINY
from toy import Toy, ToyConfig

from samplernn.checkpoints.settings import model_config
from samplernn.models import registry
from samplernn.models.samplernn.config import SampleRNNConfig
from samplernn.system.errors import InputError


@pytest.fixture(autouse=True)
def with_toy(monkeypatch):
    monkeypatch.setitem(registry.FAMILIES, "toy", registry.Family(ToyConfig, "toy:Toy"))


def test_a_config_names_its_family_and_without_a_name_it_is_the_first_there_was():
    assert registry.config_from_dict({"model": "toy", "seq_len": 8}) == ToyConfig(seq_len=8)
    assert registry.config_from_dict(TINY) == registry.config_from_dict({"model": None, **TINY})
    assert type(registry.config_from_dict(TINY)) is SampleRNNConfig
    assert registry.config_to_dict(ToyConfig(seq_len=8)) == {
        "model": "toy", "seq_len": 8, "q_type": "mu-law", "q_levels": 256
    }  # fmt: skip
    assert type(registry.build(ToyConfig())) is Toy


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"model": "samplern"}, "model is 'samplern'; did you mean 'samplernn'?"),
        (
            {"model": "gpt"},
            "model is 'gpt'; it must be one of samplernn, wavenet, vqvae, amae, pianoroll, predictor, toy",
        ),
        ({"model": ["toy"]}, r"model is \['toy'\]"),
        ({"modle": "toy"}, "unknown parameter 'modle'; did you mean 'model'?$"),
        ({"zzz": 1, "yyy": 2}, "^unknown parameter 'zzz'; unknown parameter 'yyy'; the parameters are [^;]*$"),
        ({"model": "toy", "dim": 8}, "unknown parameter 'dim'; "),
        ({"num_stages": 4, "seq_len": 64}, 'it names no model, .* are those of a wavenet; add "model": "wavenet"'),
        (
            {"dim": 8, "num_stages": 4},
            "unknown parameter 'num_stages'.*; 'num_stages' is one of wavenet or vqvae or amae$",
        ),
        (
            {"model": "wavenet", "emb_size": 8},
            "; 'emb_size' is one of samplernn or predictor$",
        ),
    ],
)
def test_what_names_none_or_is_not_of_it_is_refused(values, said):
    with pytest.raises(InputError, match=said.replace("?", r"\?")):
        registry.config_from_dict(values)


def test_a_checkpoint_of_another_family_is_refused(tmp_path):
    path = tmp_path / "toy.config.json"
    path.write_text(json.dumps({"model": "toy"}))
    with pytest.raises(InputError, match=r"model.ckpt-1 is a samplernn; the config .*toy.config.json is of toy; leave"):
        model_config(GOLDEN / "gru" / "model.ckpt-1", str(path))


def test_each_ready_made_config_is_described():
    rows = re.findall(
        r"^\| `(.+?)`.*? \| ([\d.]+) M \|", (ROOT / "docs" / "families.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    configs = {
        path.name.removesuffix(".config.json"): registry.load_config(path) for path in (ROOT / "configs").iterdir()
    }
    assert dict(rows) == {name: f"{config.num_parameters / 1e6:.1f}" for name, config in configs.items()}
    assert configs["default"] == registry.default_config()
