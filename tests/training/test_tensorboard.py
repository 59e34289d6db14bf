"""What TensorBoard is told of a training, read back from the events, and the figures and pictures it is made of."""

import math
import signal
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
import soundfile
import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from trainings import runs, with_callback

from samplernn.audio import spectrogram
from samplernn.audio.quantize import Linear
from samplernn.audio.wav import Folder, Recording
from samplernn.checkpoints.settings import read_settings
from samplernn.corpus import unigram
from samplernn.corpus.unigram import unigram_entropy
from samplernn.training import tensorboard as curves
from samplernn.training.train import train


def events(run, part):
    accumulator = EventAccumulator(str(run / part), size_guidance={"scalars": 0, "tensors": 0})
    return accumulator.Reload()


def scalars(run, part, tag):
    """The points of a curve, {step: value}; no step has two."""
    points = [(event.step, tf.make_ndarray(event.tensor_proto).item()) for event in events(run, part).Tensors(tag)]
    assert len(dict(points)) == len(points)
    return dict(points)


class StopAfter(keras.callbacks.Callback):
    """Asks the training to stop after so many steps, and keeps what each step tells."""

    def __init__(self, steps=math.inf):
        super().__init__()
        self.steps, self.norms, self.rates = steps, [], []

    def on_train_batch_end(self, batch, logs=None):
        self.norms.append(logs["gradient_norm"])
        self.rates.append(float(self.model.optimizer.learning_rate.numpy()))
        if len(self.norms) == self.steps:
            signal.raise_signal(signal.SIGINT)


def test_the_curves_of_a_run_that_is_stopped_and_resumed_go_on(options, monkeypatch):
    """10 steps an epoch, a point each 4; it is stopped after 13."""
    monkeypatch.setattr(curves, "STEPS", 4)
    options = replace(options, learning_rate=0.01, reduce_learning_rate_after=1)
    stop = StopAfter(13)
    losses = with_callback(monkeypatch, stop)
    with pytest.raises(KeyboardInterrupt):
        train(options)
    stop.steps = math.inf
    train(options)
    first, second = runs(options)
    of_step = np.concatenate([np.diff(np.arange(11) * np.r_[0, losses[i : i + 10]]) for i in (0, 10)])
    expected = {4: of_step[0:4], 8: of_step[4:8], 12: of_step[8:12], 13: of_step[12:13]}
    expected_on = {17: of_step[13:17], 20: of_step[17:20]}
    for run, points in ((first, expected), (second, expected_on)):
        found = scalars(run, "train", "steps/loss")
        assert list(found) == list(points)
        assert list(found.values()) == pytest.approx([np.mean(values) for values in points.values()], rel=1e-4)
        norms = [np.mean(stop.norms[step - len(values) : step]) for step, values in points.items()]
        assert list(scalars(run, "train", "steps/gradient_norm").values()) == pytest.approx(norms, rel=1e-5)
        rates = [stop.rates[step - 1] for step in points]
        assert list(scalars(run, "train", "steps/learning_rate").values()) == pytest.approx(rates)
        assert all(speed > 0 for speed in scalars(run, "train", "steps/samples_per_second").values())
        assert all(0 <= value <= 1 for value in scalars(run, "train", "steps/accuracy").values())

    history = read_settings(second / "model.ckpt-2")["history"]
    for epoch, (run, logs) in enumerate(zip((first, second), history), 1):
        for part, prefix in (("train", ""), ("validation", "val_")):
            for name in ("loss", "accuracy"):
                assert scalars(run, part, f"epochs/{name}") == {epoch: pytest.approx(logs[prefix + name])}
            assert scalars(run, part, "epochs/bits") == {epoch: pytest.approx(logs[f"{prefix}loss"] / math.log(2))}
    (entropy,), (again,) = (scalars(run, "unigram", "epochs/bits").values() for run in runs(options))
    assert entropy == again and 3 < entropy < 8


@pytest.mark.long
@pytest.mark.network
def test_settings_clips_and_their_pictures_are_shown(options, tmp_path):
    options = replace(options, num_epochs=1, generate=True, max_generate_per_epoch=2, output_file_dur=0.05)
    train(replace(options, temperature=(0.8, 1.0)))
    (run,) = runs(options)
    found = events(run, "train")
    config, arguments = (found.Tensors(title)[0] for title in ("config", "arguments"))
    assert "| dim | `8` |" in config.tensor_proto.string_val[0].decode()
    assert "| temperature | `(0.8, 1.0)` |" in arguments.tensor_proto.string_val[0].decode()
    for number, name in enumerate(("test_e=1(0)_t=0.8.wav", "test_e=1(1)_t=1.0.wav")):
        (clip,) = found.Tensors(f"clip_{number}/audio")
        audio, rate = tf.audio.decode_wav(clip.tensor_proto.string_val[0])
        written, _ = soundfile.read(Path(options.output_dir, "test", name), dtype="float32")
        assert clip.step == 1 and rate == 16000
        np.testing.assert_allclose(audio[:, 0], written, atol=1 / 32768)
        (picture,) = found.Tensors(f"clip_{number}/mel")
        pixels = tf.io.decode_png(picture.tensor_proto.string_val[2])
        assert pixels.shape == (280, 640, 3) and len(np.unique(pixels)) > 50


def test_settings_cannot_break_out_of_their_table():
    assert curves._table({"id": "a|b\nc"}).splitlines()[2:] == ["| id | `a\\|b\\nc` |"]


def recordings(tmp_path, *pieces):
    found = []
    for number, audio in enumerate(pieces):
        path = tmp_path / f"{number}.wav"
        soundfile.write(path, audio, 8000, subtype="FLOAT")
        found.append(Recording(path, path.name, 8000, len(audio), 1))
    return found


def test_unigram_entropy_is_that_of_the_levels_frequencies(tmp_path, monkeypatch):
    """Of four levels, of which tokens 0, 1, 3 occur 1, 2 and 5 times, read piece by piece."""
    monkeypatch.setattr(unigram, "READ_FRAMES", 3)
    audio = (np.array([0, 1, 1, 3, 3, 3, 3, 3]) + 0.5) / 2 - 1
    expected = -sum(p * math.log(p) for p in (1 / 8, 2 / 8, 5 / 8))
    assert unigram_entropy(recordings(tmp_path, audio[:7], audio[7:]), Linear(4)) == pytest.approx(expected)


def test_unigram_entropy_counts_a_folder_by_its_weight(tmp_path):
    """Of two files of one level each, the second is heard three times as often."""
    rare, often = recordings(tmp_path, np.full(4, 0.9), np.full(4, -0.9))
    often = replace(often, folder=Folder(weight=3.0))
    expected = -sum(p * math.log(p) for p in (1 / 4, 3 / 4))
    assert unigram_entropy([rare, often], Linear(4)) == pytest.approx(expected)


def test_unigram_entropy_of_a_large_corpus_is_that_of_the_middle_of_some_files(tmp_path, monkeypatch):
    """Of four files every second is looked at, and of each 4 samples."""
    monkeypatch.setattr(unigram, "MAX_FILES", 2)
    monkeypatch.setattr(unigram, "MAX_SAMPLES", 8)
    high, low, silent = np.full(2, 0.9), np.full(2, -0.9), np.zeros(50)
    seen = np.r_[silent, high, low, silent]
    corpus = recordings(tmp_path, seen, silent, seen, silent)
    assert unigram_entropy(corpus, Linear(4)) == pytest.approx(math.log(2))


@pytest.mark.parametrize(("rate", "hertz"), [(16000, 440), (44100, 5000), (8000, 3000)])
def test_a_tone_is_loudest_in_its_band(rate, hertz):
    tone = np.sin(2 * np.pi * hertz * np.arange(rate) / rate).astype(np.float32)
    decibels = spectrogram.mel_spectrogram(tone, rate)
    middle = decibels[:, decibels.shape[1] // 2]

    def mel(frequency):  # as Slaney has it: a straight line to 1 kHz, from there 27 mel for a factor of 6.4
        return frequency * 3 / 200 if frequency < 1000 else 15 + 27 * math.log(frequency / 1000, 6.4)

    lowest, highest = mel(40), mel(rate / 2)
    assert abs(lowest + (np.argmax(middle) + 1) * (highest - lowest) / 81 - mel(hertz)) < (highest - lowest) / 80
    assert middle.max() > np.median(middle) + 40


def test_what_is_short_silent_or_oddly_named_can_be_drawn_too():
    for audio in (np.zeros(1, np.float32), np.full(20, 0.5, np.float32)):
        assert spectrogram.draw(audio, 16000, "$\\frac$ 日本.wav").startswith(b"\x89PNG")
