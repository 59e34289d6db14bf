"""Two checkpoints blended in one command: what is written, that it can be made again, and what cannot be blended."""

import json
import re
import shutil
from dataclasses import replace

import numpy as np
import pytest
import soundfile
from conftest import GOLDEN
from networks import randomized, saved

import generate as generate_py
from samplernn.corpus.rolls import grid_of
from samplernn.corpus.tunes import open_tune, read_roll
from samplernn.generation.generate import generate_from_checkpoints
from samplernn.models import registry
from samplernn.models.autoencoder.config import VQVAEConfig
from samplernn.models.pianoroll.config import PianoRollConfig
from samplernn.models.predictor.config import PredictorConfig
from samplernn.models.registry import config_to_dict
from samplernn.models.samplernn.config import SampleRNNConfig
from samplernn.models.wavenet.config import WaveNetConfig
from samplernn.options.generate import GenerationOptions
from samplernn.system.errors import InputError
from samplernn.training.train import train

GRU = GOLDEN / "gru" / "model.ckpt-1"
WAVENET = WaveNetConfig(seq_len=16, num_stages=3, residual_size=8, inner_size=8, skip_size=8)
ROLLS = {"seq_len": 4, "layer_sizes": (4,), "note_range": (60, 65)}
QUARTERS = PianoRollConfig(**ROLLS, dt=0.25)
DEEPER_QUARTERS = PianoRollConfig(**ROLLS | {"layer_sizes": (3, 5)}, dt=0.25)
GRID = grid_of(QUARTERS)


@pytest.fixture
def trained(tmp_path):
    """A function that makes a checkpoint of a network of a config, after three epochs."""

    def make(config, name="run", rate=16000):
        known = {"sample_rate": rate} if rate else {}
        return saved(randomized(registry.build(config)), tmp_path / name / "model.ckpt-3", **known)

    return make


@pytest.fixture
def generate(tmp_path):
    """A function that generates, and returns the paths."""

    def generate(*checkpoints, folder="out", **flags):
        flags = {"dur": 0.03, "random_seed": 5, "jit_compile": False, "sample_rate": None} | flags
        path = str(tmp_path / folder / "x")
        options = GenerationOptions(output_path=path, checkpoint_path=tuple(map(str, checkpoints)), **flags)
        return generate_from_checkpoints(options)

    return generate


def audio_of(paths):
    return [soundfile.read(path, dtype="int16")[0] for path in paths]


def test_at_the_ends_of_the_share_it_is_what_each_generates_and_between_them_neither(trained, generate):
    wavenet = trained(WAVENET)
    (first,), (second,) = audio_of(generate(GRU, folder="a")), audio_of(generate(wavenet, folder="b"))
    (path,) = generate(GRU, wavenet, blend="0@0.01,1@0.02")
    assert path.name == "x_e=1+3_t=0.95.wav"
    (blended,) = audio_of([path])
    np.testing.assert_array_equal(blended[:160], first[:160])
    assert not np.array_equal(blended[160:320], first[160:320])
    (ends,) = audio_of(generate(GRU, wavenet, blend=1.0, folder="end"))
    np.testing.assert_array_equal(ends, second)


@pytest.mark.parametrize("seeded", [True, pytest.param(False, marks=pytest.mark.long)])
def test_its_command_makes_it_again(trained, generate, run_script, tmp_path, music, seeded):
    wavenet = trained(WAVENET)
    soundfile.write(tmp_path / "seed.wav", music[:4000], 16000)
    seed = {"seed": str(tmp_path / "seed.wav"), "seed_dur": 0.1} if seeded else {}
    path, _ = generate(GRU, wavenet, blend="0.25@0,1@0.5", num_seqs=2, top_k=9, temperature=("0.9@0,1.1@1",), **seed)
    told = json.loads(path.with_suffix(".json").read_text())
    assert told["checkpoint"]["path"] == str(GRU) and told["config"]["model"] == "samplernn"
    assert told["blend"]["share"] == "0.25@0,1@0.5" and told["blend"]["config"] == config_to_dict(WAVENET)
    assert told["blend"]["checkpoint"]["path"] == str(wavenet)
    content = path.read_bytes()
    status, out, _ = run_script(generate_py.main, *told["command"][2:])
    again = path.with_name(f"{path.stem}_1.wav")
    assert status == 0 and f"Wrote {again}" in out and again.read_bytes() == content


def test_rolls_are_blended_too(trained, generate):
    first, second = (trained(config, name, None) for name, config in (("a", QUARTERS), ("b", DEEPER_QUARTERS)))
    (alone,), (path,) = generate(first, folder="a", dur=4), generate(first, second, blend="0@1,1@2", dur=4)
    assert path.name == "x_e=3+3_t=0.95.mid"
    expected, roll = (read_roll(open_tune(str(file), GRID, "seed"), GRID, 0, 16) for file in (alone, path))
    np.testing.assert_array_equal(roll[:4], expected[:4])
    assert expected[:4].any() and not np.array_equal(roll[4:], expected[4:])


def refused(run_script, tmp_path, *flags):
    """What is said where a command is refused that leaves nothing."""
    status, _, said = run_script(generate_py.main, "--output_path", "out/x.wav", *flags)
    assert status == 2 and not (tmp_path / "out").exists() and said.count("\n") == 1
    return said


@pytest.mark.parametrize(
    ("checkpoints", "number"), [((GRU,), 1), ((GRU, GRU), 1), ((GRU, GOLDEN / "gru-linear" / "model.ckpt-1", 0), 3)]
)
def test_it_is_of_two(run_script, tmp_path, trained, checkpoints, number):
    checkpoints = [each or trained(WAVENET) for each in checkpoints]
    said = refused(run_script, tmp_path, "--checkpoint_path", *checkpoints, "--blend", "0.5")
    assert f"--blend: it takes two different checkpoints, and --checkpoint_path names {number}; name two\n" in said


def test_not_with_all_checkpoints(run_script, tmp_path):
    said = refused(
        run_script, tmp_path, "--checkpoint_path", GRU.parent, WAVENET, "--blend", "0@0,1@9", "--all_checkpoints"
    )
    assert "--all_checkpoints generates with each by itself, --blend with two; leave out one of them" in said


def test_where_one_rate_is_not_known_it_is_the_others(trained, generate):
    for number, rate in enumerate((22050, None)):
        (path,) = generate(GRU, trained(WAVENET, f"run{number}", rate), blend=0.5, folder=str(number))
        assert soundfile.info(path).samplerate == (rate or 16000)


def test_a_config_file_is_for_the_one_without(trained, generate, tmp_path, caplog):
    (tmp_path / "bare").mkdir()
    for file in GRU.parent.glob("model.ckpt-1.*"):
        shutil.copy(file, tmp_path / "bare")
    config = str(next(GRU.parent.glob("*.config.json")))
    wavenet, bare = trained(WAVENET), tmp_path / "bare" / "model.ckpt-1"
    with pytest.raises(InputError, match="no config is beside it; name .* by --config_file, or put it there, as model"):
        generate(bare, wavenet, blend=0.5)
    assert generate(bare, wavenet, blend=0.5, config_file=config)
    assert f"--config_file {config} is not used for {wavenet}, which has a config of its own" in caplog.text


def test_frames_that_rarely_begin_together_are_refused(trained, run_script, tmp_path):
    sizes = {"seq_len": 1021, "dim": 4, "num_rnn_layers": 1, "emb_size": 4}
    long, wide = (SampleRNNConfig(frame_sizes=[size], **sizes | {"seq_len": size}) for size in (1021, 997))
    paths = trained(long, "long"), trained(wide, "wide")
    said = refused(run_script, tmp_path, "--checkpoint_path", *paths, "--blend", "0.5")
    assert "has frames of 1021, and " in said and "of 997, which begin together only every 1017937; name" in said


@pytest.mark.parametrize("share", ["1.5", "0@0,2@3", "0@3,1@1", "loud"])
def test_what_is_no_share_is_refused(run_script, tmp_path, share):
    assert "--blend" in refused(run_script, tmp_path, "--checkpoint_path", GRU, "b", "--blend", share)


@pytest.mark.parametrize(
    ("first", "second", "rates", "said"),
    [
        (
            WAVENET,
            PredictorConfig(q_type="linear", q_levels=64),
            (16000, 16000),
            "predicts samples of 256 mu-law levels",
        ),
        (
            WAVENET,
            PredictorConfig(q_type="linear"),
            (16000, 16000),
            "256 mu-law levels, and .* 256 linear levels; name",
        ),
        (WAVENET, PredictorConfig(), (16000, 44100), "learnt audio at 16000 Hz, and .* at 44100; name networks of one"),
        (
            WAVENET,
            PianoRollConfig(**ROLLS),
            (16000, None),
            "mu-law levels, and .* steps of 0.3 s of the pitches from 60",
        ),
        (
            PianoRollConfig(**ROLLS),
            PianoRollConfig(**ROLLS, steps_per_beat=4, onsets=True),
            (None, None),
            "predicts steps of 0.3 s of the pitches from 60 to 64, and .* 1/4 beat .* with onsets; name two that",
        ),
        (
            WAVENET,
            VQVAEConfig.tiny(),
            (16000, 16000),
            "is an autoencoder, which decodes codes of its own; name others",
        ),
    ],
)
def test_what_does_not_predict_alike_is_refused(trained, run_script, tmp_path, first, second, rates, said):
    checkpoints = [trained(config, f"run{i}", rate) for i, (config, rate) in enumerate(zip((first, second), rates))]
    printed = refused(run_script, tmp_path, "--checkpoint_path", *checkpoints, "--blend", "0@0,1@30")
    assert re.search(f"--blend: .*{said}", printed), printed


def noise_between(low, high, seconds, rate):
    """Noise in a band of Hz."""
    spectrum = np.fft.rfft(np.random.default_rng(0).normal(size=seconds * rate))
    hz = np.fft.rfftfreq(seconds * rate, 1 / rate)
    spectrum[(hz < low) | (hz > high)] = 0
    audio = np.fft.irfft(spectrum)
    return 0.25 * audio / audio.std()


def share_above(audio, limit, rate):
    """The part of its power above a frequency in Hz."""
    power = abs(np.fft.rfft(audio)) ** 2
    return power[np.fft.rfftfreq(len(audio), 1 / rate) > limit].sum() / power.sum()


@pytest.mark.long
@pytest.mark.xla
@pytest.mark.network
def test_by_its_spectra_it_begins_like_the_one_and_ends_like_the_other(options, generate, tmp_path):
    rate, checkpoints = 8000, []
    configs = {
        "low": PredictorConfig(seq_len=256, receptive_field=32, hidden_size=64, input_format="embedding"),
        "high": WaveNetConfig(seq_len=256, num_stages=5, residual_size=32, inner_size=32, skip_size=32),
    }
    for (name, config), band in zip(configs.items(), ((200, 900), (2200, 3600))):
        (tmp_path / name).mkdir()
        for number, chunk in enumerate(np.split(noise_between(*band, 32, rate), 16)):
            soundfile.write(tmp_path / name / f"{number:02}.wav", chunk, rate)
        (tmp_path / f"{name}.json").write_text(json.dumps(config_to_dict(config)))
        files = {"data_dir": (str(tmp_path / name),), "config_file": str(tmp_path / f"{name}.json")}
        train(replace(options, id=name, num_epochs=5, learning_rate=0.003, batch_size=4, **files))
        checkpoints.append(str(tmp_path / "logdir" / name))
    shares = []
    for number, (paths, blend) in enumerate(
        ((checkpoints[:1], None), (checkpoints[1:], None), (checkpoints, "0@0.5,1@1.5"))
    ):
        (audio,) = audio_of(generate(*paths, folder=str(number), blend=blend, dur=2, jit_compile=True))
        shares.append([share_above(part, 1500, rate) for part in np.split(audio / 32768, 4)])
    low, high, blended = shares
    assert max(low) < 0.2 and min(high) > 0.8
    assert blended[0] < 0.2 and blended[3] > 0.8
