"""Each flag for what it says and for nothing else, whatever the blocks; music has none."""

import json
import re

import numpy as np
import pytest
import soundfile
from clips import files, said_of
from conftest import MUSIC
from hypothesis import given, settings
from hypothesis import strategies as st

from samplernn.audio.listening import Finding, Judge, remark
from samplernn.audio.quantize import Linear, MuLaw
from samplernn.generation.generator import Generator

RATE = 16000
QUANTIZERS = {"mu-law": MuLaw(), "linear": Linear(256)}
RANDOM = np.random.default_rng(0)
TIME = np.arange(3 * RATE) / RATE  # seconds


def heard(audio, sample_rate=RATE, quantize=QUANTIZERS["mu-law"], cuts=()):
    """What is found in audio that a network of this quantizer has made, in blocks."""
    judge = Judge(sample_rate, quantize.decode(np.arange(quantize.levels)))
    for block in np.split(quantize.decode(quantize.encode(audio)), cuts):
        judge.add(block)
    return judge.findings


def flags_in(audio, *how):
    return {finding.flag for finding in heard(audio, *how)}


def repeated(period):
    """Three seconds of a stretch of music over and over."""
    return np.resize(soundfile.read(MUSIC, frames=round(period * RATE), start=50000)[0], 3 * RATE)


@pytest.mark.parametrize("quantize", QUANTIZERS.values(), ids=QUANTIZERS)
@pytest.mark.parametrize("gain", [0.05, 1, 1.8])
def test_music_has_no_flag(music, quantize, gain):
    for clip in (music, music[5000:53000], music[70000:86000], music[30000:38000], music[90000:92000]):
        assert heard(gain * clip, RATE, quantize) == []


@pytest.mark.parametrize("ringing", [3, 10, 20])  # seconds in which it fades by 60 dB
@pytest.mark.parametrize("seconds", [0.5, 1, 3])
def test_a_note_that_rings_has_no_flag(ringing, seconds):
    time = TIME[: round(seconds * RATE)]
    partials = [np.sin(2 * np.pi * 110 * k * time * (1 + 4e-4 * k**2) ** 0.5) / k for k in range(1, 12)]
    assert heard(0.3 * sum(partials) * 10 ** (-3 * time / ringing)) == []


@pytest.mark.parametrize(
    ("flag", "audio"),
    [
        ("silent", np.zeros(3 * RATE)),
        ("silent", 0.0005 * RANDOM.standard_normal(3 * RATE)),
        ("one tone", 0.05 * np.sin(2 * np.pi * 3000 * TIME)),
        ("one tone", 0.9 * (2 * (441.3 * TIME % 1) - 1)),
        ("one tone", 0.5 * np.sin(2 * np.pi * 110 * TIME) + 0.05 * RANDOM.standard_normal(3 * RATE)),
        ("one tone", np.resize([0.1, 0.3, -0.4, 0.2, -0.2], 3 * RATE)),
        ("one tone", np.resize(repeated(0.015) + 0.01 * RANDOM.standard_normal(3 * RATE), 3 * RATE)),
        ("looping", repeated(0.06)),
        ("looping", repeated(1)[: 2 * RATE]),
        ("looping", repeated(0.3) + 0.003 * RANDOM.standard_normal(3 * RATE)),
        ("white noise", RANDOM.uniform(-1, 1, 3 * RATE)),
        ("white noise", 0.05 * RANDOM.uniform(-1, 1, RATE // 5)),
        ("white noise", np.clip(0.3 * RANDOM.standard_normal(3 * RATE), -1, 1)),
        ("white noise", MuLaw().decode(RANDOM.integers(0, 256, 3 * RATE))),  # an untrained network
    ],
)
def test_each_flag_is_for_what_it_says(flag, audio):
    assert heard(audio) == [Finding(flag, 0.0, len(audio) / RATE)]


@pytest.mark.parametrize("quantize", QUANTIZERS.values(), ids=QUANTIZERS)
def test_levels_out_of_place_are_told_in_music(music, quantize):
    loud = 10 * music / np.abs(music).max()
    assert flags_in(loud, RATE, quantize) == flags_in(loud[:1000], RATE, quantize) == {"clipped"}
    assert flags_in(music + 0.2, RATE, quantize) == {"DC offset"}
    assert flags_in(np.full(RATE, 0.2), RATE, quantize) == {"silent", "DC offset"}


@pytest.mark.parametrize("sample_rate", [8000, 48000])
def test_the_rules_are_those_of_any_sample_rate(sample_rate):
    time = np.arange(2 * sample_rate) / sample_rate
    assert flags_in(0.3 * np.sin(2 * np.pi * 220 * time), sample_rate) == {"one tone"}
    assert flags_in(np.resize(RANDOM.uniform(-1, 1, sample_rate // 5), 2 * sample_rate), sample_rate) >= {"looping"}
    assert flags_in(RANDOM.uniform(-1, 1, 2 * sample_rate), sample_rate) == {"white noise"}


def test_noise_that_has_a_shape_is_not_white():
    noise = RANDOM.standard_normal(3 * RATE)
    assert heard(0.3 * np.convolve(noise, [0.5, 0.5], "same")) == []  # less above
    assert heard(0.3 * noise * 10 ** (-2 * (TIME % 0.5))) == []  # strokes that fade
    assert heard(np.where(TIME * RATE % 4000 == 0, 0.9, 0)[: RATE // 2]) == []  # clicks


@pytest.mark.parametrize("sample_rate", [1, 100, 4000, 10**6])
@pytest.mark.parametrize("samples", [1, 2, 3, 999])
def test_as_much_as_can_be_is_judged(sample_rate, samples):
    assert flags_in(np.zeros(samples), sample_rate) == ({"silent"} if (sample_rate, samples) == (4000, 999) else set())
    assert flags_in(np.ones(samples), sample_rate) >= ({"clipped"} if samples == 999 and sample_rate > 1 else set())
    assert flags_in(RANDOM.uniform(-1, 1, samples), sample_rate) <= {"white noise"}
    assert heard(np.zeros(0), sample_rate) == []


def test_a_last_sample_is_no_silence(music):
    assert heard(np.append(music[: 2 * RATE], 0)) == []


def test_where_it_is_found_is_told(music):
    audio = np.concatenate([music[: 4 * RATE], np.zeros(5 * RATE), music[: 3 * RATE], np.zeros(RATE // 2)])
    assert heard(audio) == [Finding("silent", 4.0, 8.0), Finding("silent", 12.0, 12.5)]


AUDIO = np.concatenate([np.zeros(9000), 0.3 * np.sin(np.arange(9000) ** 1.5), np.ones(5000)])


WHOLE = heard(AUDIO, 4000)  # in stretches of 8000 samples


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, len(AUDIO))))
def test_blocks_do_not_matter(cuts):
    assert [finding.flag for finding in WHOLE] == ["silent", "clipped", "DC offset"]
    assert heard(AUDIO, 4000, cuts=sorted(cuts)) == WHOLE


def test_what_is_found_so_far_is_told_at_any_time():
    judge = Judge(RATE, MuLaw().decode(np.arange(256)))
    for _ in range(5):
        judge.add(np.zeros(RATE, np.float32))
        assert judge.findings == judge.findings
    assert judge.findings == [Finding("silent", 0.0, 5.0)]


def test_the_seed_before_a_clip_is_not_judged():
    """A second at full scale, then two of noise, then one of silence, in blocks that do not end where these do."""
    judge = Judge(RATE, MuLaw().decode(np.arange(256)), before=RATE)
    for block in np.split(np.r_[np.ones(RATE), RANDOM.uniform(-0.5, 0.5, 2 * RATE), np.zeros(RATE)], 5):
        judge.add(block)
    assert judge.findings == [Finding("white noise", 1.0, 3.0), Finding("silent", 3.0, 4.0)]


def test_the_remark_is_one_line():
    assert remark([]) == ""
    said = remark([Finding("silent", 0, 2), Finding("DC offset", 0, 10), Finding("silent", 4, 10.25)])
    assert re.fullmatch(
        r"Doubtful: silent from 0 to 2 s and 1 times more \(nothing to hear: .*\); "
        r"DC offset from 0 to 10 s \(.*\)\. See docs/listening\.md\.",
        said,
    )


@pytest.mark.parametrize("error", [None, KeyboardInterrupt()])
def test_the_files_of_a_clip_tell_its_flags(tmp_path, monkeypatch, capsys, error):
    def generate(self, context, num_samples, temperature, seeds, state, sample_rate, codes):
        clip = MuLaw().encode(soundfile.read(MUSIC, frames=RATE, start=50000)[0])
        (seen,) = {said_of(path)["flags"] for path in tmp_path.glob("*.wav")}
        assert seen is None  # until it is known
        yield np.stack([np.full(RATE, 128), clip])
        if error:
            raise error

    monkeypatch.setattr(Generator, "__call__", generate)
    if error:
        with pytest.raises(type(error)):
            files(tmp_path, [1.0, 1.0], dur=2)
    else:
        files(tmp_path, [1.0, 1.0], dur=1)
    silent, sound = sorted(tmp_path.glob("*.json"))
    assert json.loads(silent.read_text())["flags"] == [{"flag": "silent", "from": 0.0, "to": 1.0}]
    assert json.loads(sound.read_text())["flags"] == []
    wrote, doubtful, other = capsys.readouterr().out.splitlines()[-3:]
    assert (wrote, other) == (f"Wrote {silent.with_suffix('.wav')}", f"Wrote {sound.with_suffix('.wav')}")
    assert doubtful.startswith("Doubtful: silent from 0 to 1 s (")
