"""A corpus of audio from MIDI: where notes begin, to the sample, and which files there are."""

import sys

import numpy as np
import pytest
import soundfile
from conftest import ROOT

from samplernn.midi.rolls import HELD, Grid, write_roll
from samplernn.midi.tunes import read_tune

sys.path.insert(0, str(ROOT))

from render_midi import main  # noqa: E402

GRID = Grid(low=60, high=72, step=100_000, steps_per_beat=None, tempo=120.0, onsets=False)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "tunes" / "deep").mkdir(parents=True)
    roll = np.zeros([20, 12], np.int8)
    roll[3:5, 0] = roll[9:10, 7] = HELD
    write_roll(tmp_path / "tunes" / "a.mid", roll, GRID)
    write_roll(tmp_path / "tunes" / "deep" / "b.midi", roll[:12], GRID)
    return tmp_path / "tunes"


@pytest.mark.parametrize("rate", [16000, 22050])
def test_a_note_begins_at_its_sample_and_the_audio_is_as_long_as_the_tune(run_script, folder, tmp_path, rate):
    flags = ("--input_file", folder, "--output_dir", tmp_path / "wavs", "--sample_rate", rate)
    status, out, err = run_script(main, *flags)
    assert (status, err) == (0, "")
    written = [tmp_path / "wavs" / "a.wav", tmp_path / "wavs" / "deep" / "b.wav"]
    assert out.splitlines() == [f"Wrote {written[0]}: 2.00 seconds.", f"Wrote {written[1]}: 1.20 seconds."]
    audio, its_rate = soundfile.read(written[0])
    assert (its_rate, audio.ndim, len(audio)) == (rate, 1, 2 * rate)
    first, second = round(0.3 * rate), round(0.9 * rate)
    assert not audio[: first + 1].any() and np.abs(audio[first : first + 32]).max() > 0
    assert not audio[second - rate // 100 : second + 1].any() and np.abs(audio[second : second + 32]).max() > 0
    assert GRID.roll(read_tune(folder / "a.mid")).shape[0] * rate // 10 == len(audio)


def test_files_are_new_and_a_file_that_is_named_twice_is_one(run_script, folder, tmp_path):
    (tmp_path / "wavs").mkdir()
    (tmp_path / "wavs" / "a.wav").write_text("mine")
    flags = ("--input_file", folder / "a.mid", "--input_file", folder / "a.mid", "--output_dir", tmp_path / "wavs")
    status, out, _ = run_script(main, *flags)
    assert status == 0 and out == f"Wrote {tmp_path / 'wavs' / 'a_1.wav'}: 2.00 seconds.\n"
    assert (tmp_path / "wavs" / "a.wav").read_text() == "mine"


def test_a_file_is_the_same_by_its_folder_and_by_another_path(run_script, folder, tmp_path):
    by_another = folder / "deep" / ".." / "a.mid"
    flags = ("--input_file", folder, folder / "deep" / "b.midi", by_another, "--output_dir", tmp_path / "wavs")
    assert run_script(main, *flags)[0] == 0
    assert sorted(path.name for path in (tmp_path / "wavs").rglob("*.wav")) == ["a.wav", "b.wav"]


def test_what_cannot_be_used_can_be_left_out(run_script, folder, tmp_path):
    (folder / "text.mid").write_text("I am a text")
    (folder / "nothing.mid").touch()
    flags = ("--input_file", folder, "--output_dir", tmp_path / "wavs", "--skip_unusable")
    status, out, err = run_script(main, *flags)
    assert (status, err) == (0, "")
    assert f"{folder / 'nothing.mid'} is empty" in out and f"{folder / 'text.mid'} is not MIDI" in out
    assert sorted(path.name for path in (tmp_path / "wavs").rglob("*.wav")) == ["a.wav", "b.wav"]


def test_what_cannot_be_used_is_named_before_anything_is_written(run_script, folder, tmp_path):
    (folder / "text.mid").write_text("I am a text")
    (tmp_path / "empty").mkdir()
    flags = ("--input_file", folder, tmp_path / "empty", tmp_path / "no.mid", "--output_dir", tmp_path / "wavs")
    status, out, err = run_script(main, *flags)
    assert (status, out, len(err.splitlines())) == (2, "", 1)
    for said in ("text.mid is not MIDI", "empty is a folder without MIDI files", "no.mid is missing"):
        assert said in err
    assert not (tmp_path / "wavs").exists()
