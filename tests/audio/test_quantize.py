"""The quantizers against every 16-bit value as the original quantized it."""

import numpy as np
import pytest
from conftest import GOLDEN

from samplernn.audio.quantize import Linear, MuLaw, quantizer

QUANTIZERS = {"mu_law": MuLaw(), "linear_64": Linear(64), "linear_256": Linear(256), "linear_512": Linear(512)}


@pytest.fixture(scope="module")
def golden():
    with np.load(GOLDEN / "quantizers.npz") as data:
        return dict(data)


@pytest.mark.parametrize("name", QUANTIZERS)
def test_every_16_bit_value_is_quantized_as_by_the_original(golden, name):
    tokens = QUANTIZERS[name].encode(golden["samples"] / 32768)
    np.testing.assert_array_equal(tokens, golden[name])


@pytest.mark.parametrize("name", ["mu_law", "linear_512"])
def test_every_level_is_decoded_as_by_the_original(golden, name):
    decoded = QUANTIZERS[name].decode(np.arange(QUANTIZERS[name].levels))
    np.testing.assert_allclose(decoded, golden[f"{name}_decoded"], atol=1e-6)


def test_mu_law_tokens_survive_decoding_and_encoding():
    tokens = np.arange(256)
    np.testing.assert_array_equal(MuLaw().encode(MuLaw().decode(tokens)), tokens)


@pytest.mark.parametrize("quantize", QUANTIZERS.values(), ids=QUANTIZERS)
def test_loud_audio_is_clipped_and_silence_is_the_zero_token(quantize):
    tokens = quantize.encode(np.array([-1.5, 0.0, 1.5]))
    assert tokens.tolist() == [0, quantize.zero, quantize.levels - 1]


def test_mu_law_has_256_levels_whatever_the_config_says():
    assert quantizer("mu-law", 64).levels == 256
    assert quantizer("linear", 64).levels == 64
