"""How numbers, names and lists are put into words."""

import pytest

from samplernn.system.words import counted, did_you_mean, format_duration, listed, roughly


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (11.2351, "11.235 sec"),
        (71.235, "1 min 11.235 sec"),
        (59.9999, "1 min 0.000 sec"),
        (3723.5, "1 hr 2 min 3.500 sec"),
    ],
)
def test_durations(seconds, text):
    assert format_duration(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.4, "less than a second"),
        (59.6, "1 min 0 sec"),
        (704, "11 min 44 sec"),
        (3600, "1 hr 0 min"),
        (90061, "25 hr 1 min"),
    ],
)
def test_durations_in_rough_figures(seconds, text):
    assert roughly(seconds) == text


def test_one_is_singular():
    assert [counted(number, "file") for number in (0, 1, 2)] == ["0 files", "1 file", "2 files"]


def test_of_many_names_ten_are_listed_and_a_count():
    names = [f"{i}.wav" for i in range(12)]
    assert listed(names[:10]) == "0.wav, 1.wav, 2.wav, 3.wav, 4.wav, 5.wav, 6.wav, 7.wav, 8.wav, 9.wav"
    assert listed(names) == listed(names[:10]) + " and 2 more"
    assert listed(["a", "b"], "; ") == "a; b"


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("lr", "did you mean --learning_rate or --logdir_root?"),
        ("batch-size", "did you mean --batch_size?"),
        ("BATCHSIZE", "did you mean --batch_size?"),
        ("frobnicate", None),
        ("", None),
    ],
)
def test_an_unknown_name_is_held_against_the_known_ones(name, hint):
    assert did_you_mean(name, ["batch_size", "logdir_root", "learning_rate"], "--{}") == hint
