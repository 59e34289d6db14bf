"""The seed: which stretch of the audio is read, at which rate, and what is refused."""

import hashlib
from dataclasses import dataclass

import numpy as np
import pytest
import soundfile
from toy import ToyConfig

from samplernn.audio.quantize import MuLaw
from samplernn.corpus.seed import read_seed, silence
from samplernn.models.config import Window
from samplernn.models.samplernn.config import SampleRNNConfig
from samplernn.system.errors import InputError

CONFIG = SampleRNNConfig(seq_len=48, frame_sizes=(4, 16), dim=8)


def context_of(config, *seed):
    """That of a model of audio alone, which encodes nothing."""
    (context,) = read_seed([config], lambda tokens: [tokens], *seed)
    return context


def test_the_seed_is_a_stretch_of_the_audio(tmp_path, music):
    path = tmp_path / "seed.wav"
    soundfile.write(path, np.stack([music[:100], np.zeros(100)], axis=1), 16000)
    audio = soundfile.read(path, dtype="float32")[0].mean(axis=1)
    said = {"path": str(path), "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    for offset, dur, length in [(84, None, 16), (10, 0.001, 16), (10, 0.0001, 16), (3, 63 / 16000, 48), (4, 0.006, 96)]:
        context = context_of(CONFIG, 16000, str(path), offset, dur)
        np.testing.assert_array_equal(context.tokens, MuLaw().encode(audio[offset : offset + length]))
        assert context.seed == said | {"offset": offset, "dur": length / 16000}


@dataclass(frozen=True)
class OfAnotherFamily(ToyConfig):
    window = property(lambda self: Window(24, left=5))
    seed_length, seed_multiple = 40, 3


@pytest.mark.parametrize(
    ("samples", "dur", "length"), [(100, None, 38), (30, None, 29), (30, 0.001, 14), (30, 1e-5, 5), (5, None, 5)]
)
def test_behind_the_context_a_multiple_is_read_as_much_as_is_wished_or_there(tmp_path, music, samples, dur, length):
    soundfile.write(tmp_path / "seed.wav", music[:samples], 16000)
    assert len(context_of(OfAnotherFamily(), 16000, str(tmp_path / "seed.wav"), 0, dur).tokens) == length


def test_without_a_seed_a_frame_of_silence_is_read():
    context = silence(CONFIG)
    assert context.tokens.tolist() == [128] * 16 and context.seed is None


@pytest.mark.parametrize(("own_rate", "rate"), [(44100, 16000), (8000, 16000)])
def test_a_seed_of_another_rate_is_resampled(tmp_path, own_rate, rate):
    """A sine, from 0.1 seconds on, is the sine of those moments, up to its first and last sample."""
    soundfile.write(tmp_path / "a.flac", 0.5 * np.sin(2 * np.pi * 440 * np.arange(own_rate // 2) / own_rate), own_rate)
    for dur, length in [(None, 16), (0.25, 4000)]:
        context = context_of(CONFIG, rate, str(tmp_path / "a.flac"), own_rate // 10, dur)
        expected = 0.5 * np.sin(2 * np.pi * 440 * (0.1 + np.arange(length) / rate))
        np.testing.assert_allclose(MuLaw().decode(context.tokens), expected, atol=0.015)  # a step of the quantizer
        assert (context.seed["sample_rate"], context.seed["offset"]) == (own_rate, own_rate // 10)
        assert context.seed["dur"] == length / rate


@pytest.mark.parametrize(
    ("samples", "rate", "offset", "dur", "said"),
    [
        (100, 16000, 85, None, "--seed_offset 85 is too far into .*; 84 is the largest that will do$"),
        (15, 16000, 0, None, "--seed .*: 15 samples, 16 are needed; use a longer file"),
        (100, 16000, 5, 0.006, "--seed_offset 5 is too far .*; 4 is the largest that will do with --seed_dur 0.006"),
        (
            100,
            16000,
            0,
            0.007,
            "--seed_dur 0.007: .*seed.wav has only 0.006 seconds; choose less, or use a longer file",
        ),
        (100, 48000, 53, None, "--seed_offset 53 is too far into .*; 52 is the largest that will do$"),
        (47, 48000, 0, None, "--seed .*: 47 samples, 48 are needed; use a longer file"),
        (100, 22050, 78, None, "--seed_offset 78 is too far into .*; 77 is the largest that will do$"),
    ],
)
def test_a_seed_that_is_too_short_is_refused_and_the_largest_offset_is_not(
    tmp_path, music, samples, rate, offset, dur, said
):
    path = str(tmp_path / "seed.wav")
    soundfile.write(path, music[:samples], rate)
    with pytest.raises(InputError, match=said):
        context_of(CONFIG, 16000, path, offset, dur)
    if "offset" in said:
        assert len(context_of(CONFIG, 16000, path, offset - 1, dur).tokens) == (96 if dur else 16)


def test_a_seed_that_is_not_audio_is_refused(tmp_path):
    (tmp_path / "seed.wav").write_text("la la la")
    with pytest.raises(InputError, match="--seed: .*seed.wav is not audio"):
        context_of(CONFIG, 16000, str(tmp_path / "seed.wav"))
    with pytest.raises(InputError, match="--seed: .*nowhere.wav is missing"):
        context_of(CONFIG, 16000, str(tmp_path / "nowhere.wav"))
