"""benchmarks/autoencoders.py and reconstructions.py: the networks are the paper's, the measure is sound."""

import importlib
import json

import numpy as np
import pytest
from conftest import ROOT

from samplernn.models.registry import config_from_dict


@pytest.fixture
def benchmark(monkeypatch):
    """A function that imports a module of benchmarks/."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return importlib.import_module


def test_the_decoders_of_the_second_table_see_as_far_as_their_names_say(benchmark):
    """The receptive fields of the paper's Table 2, in codes."""
    fields, named = {}, {"codes-vqvae-64", *(f"codes-amae-{field}" for field in (32, 64, 128, 256))}
    variants = benchmark("autoencoders").VARIANTS
    for name in named:
        shipped = json.loads((ROOT / "configs" / f"{variants[name].config}.config.json").read_text())
        config = config_from_dict(shipped | variants[name].changes)
        fields[name] = config.local_model.receptive_field
        assert config.data == "codes" and variants[name].below == "vqvae"
    assert fields == {name: int(name.split("-")[-1]) for name in named}


def test_a_reconstruction_that_is_its_original_but_louder_correlates_with_it_alone(benchmark):
    originals = list(np.random.default_rng(0).normal(size=(3, 80, 50)))
    between = benchmark("reconstructions").correlations(originals, [2 * one + 3 for one in originals])
    np.testing.assert_allclose(between, np.eye(3), atol=0.1)
    np.testing.assert_allclose(np.diag(between), 1)
